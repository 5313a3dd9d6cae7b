"""What is delivered again after a crash, how often, and what is not.

A crash is an image of the store, taken at that moment, that a new process opens.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import anyio
import pytest

from blazen_anyio import (
    AttemptLostError,
    Context,
    DefinitionError,
    InputRequestEvent,
    InputRequiredError,
    Retry,
    Snapshot,
    StepFailed,
    StepFailedError,
    StopEvent,
    Workflow,
    step,
)
from blazen_anyio.stores import MemoryStore

from .kit import Boom, Done, Go, Log, Note, Work, settle, until
from .stores import HeldStore, contents, image_of

pytestmark = pytest.mark.anyio


class Crash(BaseException):
    """Stands for the death of a process: an image has been taken."""


async def crashed(
    workflow: Workflow[Any],
    store: MemoryStore,
    when: Callable[[], bool],
    **options: Any,
) -> MemoryStore:
    """Run until something is the case, and return what the store holds then."""
    async with store:
        run = workflow.start(Go(), run_id="run", store=store, **options)
        with anyio.CancelScope() as scope:
            async with run:
                await until(when, 0.1)
                await settle()
                image = image_of(store)
                scope.cancel()
        return image


# ---- at least once -------------------------------------------------------------------------------


async def test_an_idempotency_key_is_the_same_on_every_delivery_and_no_others() -> None:
    keys: list[str] = []

    @step
    async def begin(ev: Go) -> tuple[Work, Work]:
        return Work(1), Work(2)

    @step(retry=Retry(max_attempts=2, jitter=False))
    async def work(ev: Work, ctx: Context) -> StopEvent | None:
        keys.append(ctx.idempotency_key)
        if ev.n == 1:
            return None
        if ctx.attempt == 1:
            raise Boom
        await anyio.sleep(5 if len(keys) < 4 else 0)
        return StopEvent(result=ctx.idempotency_key)

    workflow = Workflow("w", [begin, work])
    image = await crashed(workflow, MemoryStore(), lambda: len(keys) == 3)
    async with image:
        [recovered] = await workflow.recover(image)
    assert len(keys) == 4
    assert keys[1] == keys[2] == keys[3] == recovered.result != keys[0]


# ---- at most once --------------------------------------------------------------------------------


def charging(log: Log, *, error_step: bool, seconds: float = 5) -> Workflow[Any]:
    @step
    async def begin(ev: Go) -> tuple[Work, Work]:
        return Work(1), Work(2)

    @step(delivery="at_most_once", max_concurrency=1)
    async def charge(ev: Work) -> Done:
        log(f"charge {ev.n}")
        await anyio.sleep(seconds)
        return Done(ev.n)

    @step(max_concurrency=1)
    async def done(ev: Done, ctx: Context) -> StopEvent | None:
        found = ctx.collect_events(Done, 2)
        return None if found is None else StopEvent(result=[each.n for each in found])

    @step
    async def lost(failure: StepFailed) -> Done:
        log(f"lost {failure.event.n} after {failure.attempts}: {failure.error_type}")  # type: ignore[union-attr]
        assert isinstance(failure.error, AttemptLostError)
        assert isinstance(failure.event, Work)
        return Done(-failure.event.n)

    return Workflow("w", [begin, charge, done, *([lost] if error_step else [])])


@pytest.mark.parametrize("durability", ["sync", "async"])
async def test_an_attempt_that_must_not_repeat_is_lost_and_what_had_not_begun_runs(
    durability: Any,
) -> None:
    log = Log()
    workflow = charging(log, error_step=True)
    image = await crashed(workflow, MemoryStore(), lambda: bool(log.lines), durability=durability)
    assert log.lines == ["charge 1"]
    async with image:
        [recovered] = await workflow.recover(image, durability=durability)
    assert sorted(recovered.result) == [-1, 2]
    assert log.lines[1:] == [
        "lost 1 after 1: blazen_anyio.AttemptLostError",
        "charge 2",
    ] or log.lines[1:] == [
        "charge 2",
        "lost 1 after 1: blazen_anyio.AttemptLostError",
    ]


async def test_without_an_error_step_the_run_fails_and_fails_again() -> None:
    log = Log()
    workflow = charging(log, error_step=False)
    image = await crashed(workflow, MemoryStore(keep_log=True), lambda: bool(log.lines))
    async with image:
        for _ in range(2):
            with pytest.raises(StepFailedError) as caught:
                async with workflow.resume_from(image, "run") as run:
                    await run.result()
            error = caught.value.error
            assert isinstance(error, AttemptLostError)
            assert (error.step, error.deliveries) == ("charge", 1)
            assert "may run at most once" in str(error)
            assert caught.value.attempts == 1
        found = await image.load("run")
        assert found is not None and found.status == "failed"
        facts = [fact for entry in await image.history("run") for fact in entry.facts]
        assert [fact.step for fact in facts if fact.kind == "step_failed"] == ["charge"] * 2
    assert log.lines == ["charge 1"]


@pytest.mark.parametrize("durability", ["sync", "async"])
async def test_one_begins_when_it_is_on_record_that_it_has(durability: Any) -> None:
    log = Log()
    async with HeldStore() as store:
        workflow = charging(log, error_step=False, seconds=0)
        async with workflow.start(Go(), run_id="run", store=store, durability=durability) as run:
            store.hold()
            await settle()
            assert log.lines == []
            for _ in range(10):
                if log.lines:
                    break
                image = image_of(store)
                store.let_go()
                store.hold()
                await settle()
            store.let_go()
            assert await run.result() == [1, 2]
    assert log.lines == ["charge 1", "charge 2"]
    async with image:
        await workflow.recover(image)
    assert log.lines[2:] == ["charge 1", "charge 2"], "it had not begun"


async def test_one_that_failed_is_not_done_again_by_going_on_with_the_run() -> None:
    log = Log()

    @step(delivery="at_most_once")
    async def charge(ev: Go) -> StopEvent:
        log("charge")
        raise Boom

    workflow = Workflow("w", [charge])
    async with MemoryStore() as store:
        with pytest.raises(StepFailedError) as caught:
            await workflow.run(Go(), run_id="run", store=store)
        assert isinstance(caught.value.error, Boom)
        with pytest.raises(StepFailedError) as caught:
            await workflow.run(Go(), run_id="run", store=store)
        assert isinstance(caught.value.error, AttemptLostError)
    assert log.lines == ["charge"]


async def test_a_suspension_inside_one_loses_it_and_one_before_it_does_not() -> None:
    log = Log()
    workflow = charging(log, error_step=True)
    async with HeldStore() as store:
        async with workflow.start(Go(), run_id="run", store=store) as run:
            await settle()
            assert log.lines == ["charge 1"]
            await run.suspend()
        [recovered] = await workflow.recover(store)
        assert sorted(recovered.result) == [-1, 2]


@pytest.mark.parametrize("way", ["suspend", "pause"])
async def test_one_that_is_on_record_as_begun_and_was_not_handed_out_runs_after_all(
    way: str,
) -> None:
    log = Log()
    workflow = charging(log, error_step=False, seconds=0)
    async with HeldStore() as store:
        async with workflow.start(Go(), run_id="run", store=store) as run:
            store.hold()
            for _ in range(100):
                if any(b'"begun":true' in body for _, body in puts(store)):
                    break
                store.let_go()
                store.hold()
                await anyio.lowlevel.checkpoint()
            assert log.lines == []
            if way == "suspend":
                async with anyio.create_task_group() as group:
                    group.start_soon(run.suspend)
                    await settle()
                    store.let_go()
            else:
                run.pause()
                store.let_go()
                await run.flush()
                run.resume()
        if way == "suspend":
            assert log.lines == []
            [recovered] = await workflow.recover(store)
            assert recovered.result == [1, 2]
    assert log.lines == ["charge 1", "charge 2"]


def puts(store: HeldStore) -> list[tuple[str, bytes]]:
    return [put for commit in store.commits for put in commit.puts]


async def test_it_holds_in_a_snapshot_too() -> None:
    log = Log()
    workflow = charging(log, error_step=True)
    async with workflow.start(Go()) as run:
        await settle()
        snapshot = await run.suspend()
    async with workflow.resume(Snapshot.from_json(snapshot.to_json())) as again:
        assert sorted(await again.result()) == [-1, 2]
    assert log.lines[0] == "charge 1"
    assert log.lines.count("charge 1") == 1


async def test_a_step_in_a_thread_and_one_with_a_context_may_be_such_steps() -> None:
    @step(delivery="at_most_once")
    def begin(ev: Go) -> Work:
        return Work(ev.n + 1)

    @step(delivery="at_most_once", own_task=True)
    async def work(ev: Work, ctx: Context) -> StopEvent:
        return StopEvent(result=[ev.n, ctx.attempt])

    async with MemoryStore() as store:
        for durability in ("sync", "async"):
            result = await Workflow("w", [begin, work]).run(
                Go(1), store=store, durability=durability
            )
            assert result == [2, 1]


def test_a_step_that_may_not_repeat_has_no_retry() -> None:
    with pytest.raises(DefinitionError, match="does not go with retry= or waits="):

        @step(delivery="at_most_once", retry=Retry())
        async def charge(ev: Go) -> StopEvent:
            raise AssertionError

    with pytest.raises(DefinitionError, match="'at_least_once' or 'at_most_once'"):

        @step(delivery="never")  # type: ignore[call-overload]
        async def never(ev: Go) -> StopEvent:
            raise AssertionError


# ---- poison --------------------------------------------------------------------------------------


def poisoned(log: Log, *, error_step: bool, limit: int | None = 3) -> Workflow[Any]:
    """Of the events that are handled at the same time, one kills the process each time."""

    @step
    async def begin(ev: Go) -> list[Work]:
        return [Work(n) for n in range(5)]

    @step
    async def work(ev: Work, ctx: Context) -> Done:
        log(f"work {ev.n}")
        await anyio.sleep(1)
        if ev.n == 2:
            log("crash")
        await anyio.sleep(ev.n)
        return Done(ev.n)

    @step
    async def join(done: list[Done]) -> StopEvent:
        return StopEvent(result=[each.n for each in done])

    @step(for_steps=[work])
    async def poison(failure: StepFailed) -> Done:
        assert isinstance(failure.event, Work)
        assert isinstance(failure.error, AttemptLostError)
        log(f"poison {failure.event.n} after {failure.error.deliveries}")
        return Done(-failure.event.n)

    steps = [begin, work, join, *([poison] if error_step else [])]
    return Workflow("w", steps, max_deliveries=limit)


async def lives_of(
    workflow: Workflow[Any], log: Log, store: MemoryStore, most: int = 20, **options: Any
) -> tuple[int, Any]:
    """Start process after process, each until it is killed; how many, and the result."""
    for life in range(1, most + 1):
        log.lines.clear()
        images: list[MemoryStore] = []
        async with store:
            run = workflow.start(Go(), run_id="run", store=store, **options)
            with anyio.CancelScope() as scope:
                async with run, anyio.create_task_group() as group:

                    async def kill(
                        store: Any = store, scope: Any = scope, images: Any = images
                    ) -> None:
                        await until(lambda: "crash" in log.lines, 0.1)
                        images.append(image_of(store))
                        scope.cancel()

                    group.start_soon(kill)
                    try:
                        result = await run.result()
                    except StepFailedError as error:
                        result = error
                    group.cancel_scope.cancel()
                return life, result
        [store] = images
    return most, None


@pytest.mark.parametrize("durability", ["sync", "async"])
async def test_an_event_that_kills_each_process_is_stopped_and_what_ran_beside_it_is_not(
    durability: Any,
) -> None:
    log = Log()
    workflow = poisoned(log, error_step=True)
    lives, result = await lives_of(workflow, log, MemoryStore(), durability=durability)
    assert result == [0, 1, -2, 3, 4]
    assert lives == 4
    assert "poison 2 after 3" in log.lines


async def test_without_an_error_step_the_run_fails_over_it() -> None:
    log = Log()
    _, failure = await lives_of(poisoned(log, error_step=False), log, MemoryStore())
    assert isinstance(failure, StepFailedError)
    assert isinstance(failure.error, AttemptLostError)
    assert failure.error.deliveries == 3
    assert "begun 3 times and ended the process each time" in str(failure.error)
    assert failure.event == Work(2)


async def test_without_a_limit_it_is_delivered_for_ever() -> None:
    log = Log()
    workflow = poisoned(log, error_step=True, limit=None)
    lives, result = await lives_of(workflow, log, MemoryStore(), most=15)
    assert (lives, result) == (15, None)


async def test_a_graceful_end_does_not_count() -> None:
    log = Log()
    workflow = poisoned(log, error_step=True)
    async with MemoryStore() as store:
        for _ in range(6):
            with anyio.move_on_after(0.5):
                await workflow.run(Go(), run_id="run", store=store)
        assert await workflow.run(Go(), run_id="run", store=store) == [0, 1, 2, 3, 4]


async def test_an_attempt_that_ends_clears_its_event_of_suspicion() -> None:
    log = Log()
    workflow = poisoned(log, error_step=True)
    store = await crashed(workflow, MemoryStore(), lambda: "work 1" in log.lines)
    rows = [row.body for row in store._data.runs["run"].rows.values()]
    assert not any(b"begun" in body for body in rows), "nobody is suspected before a crash"
    store = await crashed(workflow, store, lambda: "crash" in log.lines)
    rows = [row.body for row in store._data.runs["run"].rows.values()]
    assert any(b'"begun":true' in body and b'"deliveries":1' in body for body in rows)


async def test_a_step_that_waits_for_a_human_is_not_what_processes_die_of() -> None:
    asked = Log()

    @step
    async def ask(ev: Go, ctx: Context) -> StopEvent:
        asked("again")
        return StopEvent(result=await ctx.request_input("?"))

    workflow = Workflow("w", [ask], max_deliveries=2)
    store = MemoryStore()
    for _ in range(6):
        asked.lines.clear()
        store = await crashed(workflow, store, lambda: bool(asked.lines))
    async with store, workflow.start(Go(), run_id="run", store=store) as run:
        await settle()
        run.respond_to_input(run.requests[0].request_id, 7)
        assert await run.result() == 7


async def test_but_what_comes_after_the_wait_may_be() -> None:
    log = Log()

    @step(waits=[Note])
    async def work(ev: Go, ctx: Context) -> StopEvent:
        note = await ctx.wait_for_event(Note)
        log("crash")
        await anyio.sleep(5)
        return StopEvent(result=note.text)

    workflow = Workflow("w", [work], max_deliveries=2, external=[Note])

    async def life(store: MemoryStore) -> MemoryStore:
        log.lines.clear()
        async with store:
            with anyio.CancelScope() as scope:
                async with workflow.start(Go(), run_id="run", store=store) as run:
                    await settle()
                    if run.status == "running" and "crash" not in log.lines:
                        run.send_event(Note("hello"))
                    await settle()
                    image = image_of(store)
                    scope.cancel()
            return image

    store = await life(MemoryStore())
    store = await life(store)
    with pytest.raises(StepFailedError) as caught:
        await life(store)
    assert isinstance(caught.value.error, AttemptLostError)
    assert log.lines == []


async def test_a_suspect_that_is_dropped_makes_way_for_the_next() -> None:
    """The gather has what it wants, and the rest is cancelled: held, begun or not."""
    from typing import Annotated

    from blazen_anyio import Gather

    log = Log()
    lives = [0]

    @step
    async def begin(ev: Go) -> list[Work]:
        return [Work(n) for n in range(4)]

    @step
    async def work(ev: Work) -> Done:
        log(f"work {ev.n}")
        await anyio.sleep(5 if lives[0] < 2 else 0)
        return Done(ev.n)

    async def first(done: Annotated[list[Done], Gather(count=1)]) -> Note:
        log("first")
        return Note()

    first.__annotations__ = {"done": Annotated[list[Done], Gather(count=1)], "return": Note}

    @step
    async def end(ev: Note) -> StopEvent:
        return StopEvent(result=[line for line in log.lines if line != "first"])

    workflow = Workflow("w", [begin, work, step(first), end], max_deliveries=3)
    store = MemoryStore()
    for _ in range(2):
        log.lines.clear()
        store = await crashed(workflow, store, lambda: len(log.lines) == 4)
        lives[0] += 1
    log.lines.clear()
    async with store:
        assert await workflow.run(Go(), run_id="run", store=store) == ["work 0"]


async def test_what_was_put_off_when_the_process_died_is_delivered_when_due() -> None:
    log = Log()

    @step
    async def begin(ev: Go, ctx: Context) -> None:
        ctx.send_event(Work(1), delay=100)
        log("begin")

    @step(retry=Retry(max_attempts=2, initial=100, jitter=False))
    async def work(ev: Work, ctx: Context) -> StopEvent:
        log(f"attempt {ctx.attempt}")
        if ctx.attempt == 1:
            raise Boom
        return StopEvent(result=ctx.attempt)

    workflow = Workflow("w", [begin, work], max_deliveries=2)
    store = MemoryStore()
    for _ in range(3):
        log.lines.clear()
        store = await crashed(workflow, store, lambda: True)
        assert len(store._data.runs["run"].rows) == 2
    async with store:
        assert await workflow.run(Go(), run_id="run", store=store) == 2
    assert log.lines == ["attempt 1", "attempt 2"]


async def test_input_required_after_a_crash_is_as_before() -> None:
    @step
    async def ask(ev: Go) -> InputRequestEvent:
        return InputRequestEvent("?")

    @step
    async def take(ev: Note) -> StopEvent:
        raise AssertionError

    from blazen_anyio import InputResponseEvent

    @step
    async def answer(ev: InputResponseEvent) -> StopEvent:
        return StopEvent(result=ev.response)

    workflow = Workflow("w", [ask, answer])
    image = await crashed(workflow, MemoryStore(), lambda: True)
    async with image:
        before = contents(image)["run"][1]
        with pytest.raises(InputRequiredError):
            await workflow.run(Go(), run_id="run", store=image)
        assert contents(image)["run"][1] == before
