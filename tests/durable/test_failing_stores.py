"""A store that fails, at whichever call, fails the run; what it holds goes on as if undisturbed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import anyio
import pytest
from sweeps.harness import Case, numbers
from sweeps.scheduling import BACKENDS, Steps, run_with_steps
from sweeps.shape import Shape
from sweeps.shapes import SHAPES

from blazen_anyio import (
    Context,
    RunEndedError,
    RunLostError,
    StepFailedError,
    StopEvent,
    StoreError,
    Workflow,
    step,
)
from blazen_anyio._store import Commit
from blazen_anyio.stores import MemoryStore

from .kit import Boom, Done, Go, Log, Note, Work, hops, settle
from .stores import FailingStore, HeldStore, contents

SHARE = 3


@pytest.mark.parametrize(
    ("shape", "backend", "durability"),
    [
        pytest.param(shape, backend, durability, id=f"{name}-{backend}-{durability}")
        for name, shape in SHAPES.items()
        for backend in BACKENDS
        for durability in ("sync", "async")
    ],
)
def test_a_store_that_fails_at_any_call_fails_the_run_and_holds_what_goes_on(
    shape: Shape, backend: str, durability: Any
) -> None:
    async def main(steps: Steps) -> None:
        total = await _calls(shape, durability)
        for number in numbers(total, SHARE, (shape.name, backend, durability)):
            try:
                if not await _fail_and_go_on(shape, durability, number):
                    break
            except BaseException as error:
                error.add_note(f"{shape.name} at call {number} of {total}")
                raise

    run_with_steps(backend, main)


async def _calls(shape: Shape, durability: Any) -> int:
    case = Case.of(shape)
    case.kit.reset()
    async with FailingStore() as store:
        run = case.workflow.start(run_id="run", store=store, durability=durability)
        assert await case.host(run) == shape.result
    return store.calls


async def _fail_and_go_on(shape: Shape, durability: Any, number: int) -> bool:
    """Whether the store was called often enough to fail."""
    case = Case.of(shape)
    case.kit.reset()
    async with FailingStore(number) as store:
        run = case.workflow.start(run_id="run", store=store, durability=durability)
        try:
            result = await case.host(run)
        except BaseException as error:
            assert "the disk is full" in str(_leaf(error))
            assert isinstance(_leaf(error), StoreError)
        else:
            assert store.calls < number
            assert result == shape.result
            return False
        await case.check_nothing_left()
        store.mend()
        again = case.workflow.start(run_id="run", store=store, durability=durability)
        assert await case.host(again) == shape.result
        await case.check_nothing_left()
    return True


def _leaf(error: BaseException) -> BaseException:
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


# ---- one by one ----------------------------------------------------------------------------------


@step
async def _begin(ev: Go) -> Work:
    return Work(ev.n)


@step
async def _work(ev: Work, ctx: Context) -> StopEvent:
    await anyio.sleep(5)
    return StopEvent(result=ev.n)


slow = Workflow("slow", [_begin, _work])


class Odd(BaseException):
    """What a store must not raise."""


@pytest.mark.anyio
@pytest.mark.parametrize("durability", ["sync", "async"])
@pytest.mark.parametrize("at", [2, 3])
async def test_what_a_store_should_not_raise_becomes_a_store_error_with_that_cause(
    at: int, durability: Any
) -> None:
    stray = await _stray_cancellation()
    for make in (OSError, Odd, lambda: stray):
        async with FailingStore(at, make) as store:
            with pytest.raises(StoreError, match="the store failed with") as caught:
                await slow.run(Go(3), run_id="run", store=store, durability=durability)
            assert caught.value.__cause__ is not None
            store.mend()
            assert await slow.run(Go(3), run_id="run", store=store) == 3


async def _stray_cancellation() -> BaseException:
    with anyio.CancelScope() as scope:
        scope.cancel()
        try:
            await anyio.lowlevel.checkpoint()
        except anyio.get_cancelled_exc_class() as error:
            return error
    raise AssertionError


@pytest.mark.anyio
async def test_ctrl_c_inside_the_store_ends_the_run_as_itself() -> None:
    async with FailingStore(2, KeyboardInterrupt) as store:
        with pytest.raises(KeyboardInterrupt):
            await slow.run(Go(3), run_id="run", store=store)
        store.mend()
        assert await slow.run(Go(3), run_id="run", store=store) == 3


@pytest.mark.anyio
async def test_a_store_that_fails_to_begin_a_run_has_run_nothing() -> None:
    async with FailingStore(1) as store:
        with pytest.raises(StoreError, match="the disk is full"):
            await hops.run(n=1, store=store)
        assert contents(store) == {}


@pytest.mark.anyio
async def test_the_error_of_a_step_is_kept_when_its_end_can_not_be_stored() -> None:
    """The store's comes besides, with the others."""

    @step
    async def work(ev: Go) -> StopEvent:
        raise Boom

    for durability in ("sync", "async"):
        async with FailingStore(2) as store:
            with pytest.raises(StepFailedError) as caught:
                await Workflow("w", [work]).run(Go(), store=store, durability=durability)
            assert isinstance(caught.value.__cause__, Boom)
            assert [type(each) for each in caught.value.others] == [StoreError]


@pytest.mark.anyio
async def test_a_result_that_was_not_waited_for_and_is_not_stored_is_none() -> None:
    async with (
        HeldStore() as store,
        anyio.create_task_group() as group,
        hops.start(n=1, run_id="run", store=store, durability="async") as run,
    ):
        store.hold()
        await settle()
        assert run.status == "completed"
        store.abandon()
        group.start_soon(store.claim, "run")
        await settle()
        store.let_go()
        with pytest.raises(RunLostError):
            await run.result()
        assert run.status == "failed"
        with pytest.raises(RunEndedError, match="has completed"):
            run.snapshot()


@pytest.mark.anyio
async def test_of_two_failures_of_the_store_the_first_says_why() -> None:
    """A commit has failed, and so does the renewal of the lease that was under way."""
    async with MemoryStore() as store, hops.start(n=1, run_id="run", store=store) as run:
        scribe = run._runner.scribe
        assert scribe is not None
        scribe._fail(StoreError("the disk is full"))
        scribe._fail(StoreError("the lease was not renewed"))
        with pytest.raises(StoreError, match="the disk is full"):
            await run.result()


class FailsAfterTheEnd(MemoryStore):
    async def commit(self, commits: Sequence[Commit]) -> None:
        for commit in commits:
            if self._data.runs["run"].run.status == "completed":
                raise StoreError("the disk is full")
            await super().commit([commit])


@pytest.mark.anyio
async def test_a_result_that_is_stored_stands_though_the_log_of_its_end_fails(logged: Any) -> None:
    for durability in ("sync", "async"):
        async with FailsAfterTheEnd(keep_log=True) as store:
            assert await hops.run(n=1, run_id="run", store=store, durability=durability) == "there"
    assert [type(error) for error in logged()] == [StoreError], "in the other it is one commit"


@pytest.mark.anyio
async def test_a_suspension_that_can_not_be_stored_is_an_error() -> None:
    async with FailingStore(keep_log=True) as store:
        async with slow.start(Go(3), run_id="run", store=store) as run:
            await settle()
            store.at = store.calls + 1
            with pytest.raises(RunEndedError, match="before it could be suspended") as caught:
                await run.suspend()
            assert isinstance(caught.value.__cause__, StoreError)
            with pytest.raises(StoreError):
                await run.result()
        store.mend()
        assert await slow.run(Go(3), run_id="run", store=store) == 3


@pytest.mark.anyio
async def test_a_cancellation_goes_on_though_its_end_can_not_be_stored(logged: Any) -> None:
    async with FailingStore() as store:
        async with slow.start(Go(3), run_id="run", store=store) as run:
            await settle()
            store.at = store.calls + 1
            run.cancel()
        assert run.status == "cancelled"
        assert [type(error) for error in logged()] == [StoreError]
        store.mend()
        assert await slow.run(Go(3), run_id="run", store=store) == 3


@pytest.mark.anyio
async def test_a_run_that_can_not_be_given_back_has_ended_all_the_same(logged: Any) -> None:
    class Keeps(MemoryStore):
        async def release(self, run_id: str, epoch: int) -> None:
            raise OSError("gone")

    async with Keeps() as store:
        assert await hops.run(n=1, store=store) == "there"
    assert [type(error) for error in logged()] == [OSError]


@pytest.mark.anyio
async def test_an_end_whose_error_can_not_be_told_is_stored_all_the_same() -> None:
    class Mute(KeyboardInterrupt):
        def __str__(self) -> str:
            raise Boom

    @step
    async def work(ev: Go) -> StopEvent:
        raise Mute

    async with MemoryStore() as store:
        with pytest.raises(Mute):
            await Workflow("w", [work]).run(Go(), run_id="run", store=store)
        run = await store.load("run")
        assert run is not None
        assert (run.status, run.note) == (
            "failed",
            "test_an_end_whose_error_can_not_be_told_is_stored_all_the_same.<locals>.Mute",
        )


@pytest.mark.anyio
async def test_once_and_flush_raise_the_error_of_the_store() -> None:
    log = Log()

    @step
    async def work(ev: Go, ctx: Context) -> StopEvent:
        try:
            await ctx.once("charge", log, "charge")
        except StoreError:
            log("not stored")
            raise
        return StopEvent()

    async with FailingStore(2) as store:
        with pytest.raises(StoreError):
            async with Workflow("w", [work]).start(Go(), store=store) as run:
                await settle()
                with pytest.raises(StoreError):
                    await run.flush()
    assert log.lines == ["charge", "not stored"]


@pytest.mark.anyio
async def test_the_steps_of_a_run_whose_store_failed_are_cancelled_and_clean_up() -> None:
    log = Log()

    @step
    async def begin(ev: Go) -> tuple[Work, Done]:
        return Work(), Done()

    @step
    async def work(ev: Work) -> None:
        with log.around("work"):
            await anyio.sleep(100)

    @step
    async def done(ev: Done) -> Note:
        await anyio.sleep(5)
        return Note()

    @step
    async def note(ev: Note) -> StopEvent:
        raise AssertionError

    async with FailingStore() as store:
        with pytest.raises(StoreError):
            async with Workflow("w", [begin, work, done, note]).start(Go(), store=store) as run:
                await settle()
                store.at = store.calls + 1
                with anyio.fail_after(10):
                    await run.result()
    assert log.lines == ["work begins", "work ends"]


@pytest.mark.anyio
async def test_leases_are_renewed_while_nothing_happens_and_failing_ones_fail_the_run() -> None:
    now = anyio.current_time
    start = now()
    async with FailingStore(lease=30, clock=lambda: now() - start) as store:
        async with slow.start(Go(3), run_id="run", store=store) as run:
            run.pause()
            await anyio.sleep(1000)
            assert store.calls >= 90
            async with store.another() as other:
                with pytest.raises(StoreError, match="is being executed"):
                    await other.claim("run")
            run.resume()
            assert await run.result() == 3
        with pytest.raises(StoreError, match="the disk is full"):
            async with slow.start(Go(3), run_id="other", store=store) as run:
                run.pause()
                await settle()
                store.at = store.calls + 1
                with anyio.fail_after(60):
                    await run.result()


@pytest.mark.anyio
async def test_a_run_whose_lease_ran_out_and_was_taken_is_lost() -> None:
    now = anyio.current_time

    class Forgetful(MemoryStore):
        async def renew(self, run_id: str, epoch: int) -> None:
            kept = self._data.runs[run_id]
            if kept.run.epoch != epoch:
                raise RunLostError(run_id)

    async with Forgetful(lease=30, clock=now) as store, store.another() as other:
        with pytest.raises(RunLostError):
            async with slow.start(Go(3), run_id="run", store=store) as run:
                run.pause()
                await anyio.sleep(31)
                claim = await other.claim("run")
                assert claim is not None and claim.abandoned
                await anyio.sleep(100)
        await other.release("run", 2)
        assert await slow.run(Go(3), run_id="run", store=other) == 3


@pytest.mark.anyio
async def test_commits_renew_a_lease_and_nothing_else_does_then() -> None:
    @step
    async def work(ev: Go | Work) -> Work | StopEvent:
        await anyio.sleep(4)
        return Work(ev.n + 1) if ev.n < 20 else StopEvent()

    now = anyio.current_time
    async with FailingStore(lease=30, clock=now) as store:
        await Workflow("w", [work]).run(Go(), store=store)
        assert store.calls == 1 + 21, "the first commit and one for each attempt"


@pytest.mark.anyio
async def test_a_store_that_also_fails_to_take_the_run_back_is_not_told_of_twice(
    logged: Any,
) -> None:
    class Gone(FailingStore):
        async def release(self, run_id: str, epoch: int) -> None:
            raise StoreError("gone")

    async with Gone(2) as store:
        with pytest.raises(StoreError, match="the disk is full"):
            await hops.run(n=1, store=store)
    assert logged() == []
