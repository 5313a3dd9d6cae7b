"""A stored run goes on under changed code if it fits, or is told how; else nothing changes."""

from __future__ import annotations

from typing import Any

import anyio
import pytest

from blazen_anyio import (
    Context,
    Event,
    InputRequestEvent,
    InputRequiredError,
    InputResponseEvent,
    SnapshotError,
    StepFailedError,
    StopEvent,
    Workflow,
    step,
)
from blazen_anyio.stores import MemoryStore

from .kit import Boom, Done, End, Go, Work, settle
from .stores import contents, image_of

pytestmark = pytest.mark.anyio


class OldWork(Event, event_type="durable.OldWork"):
    n: int = 0


class NewWork(Event, event_type="durable.NewWork"):
    n: int = 0
    twice: int = 0


@step
async def _begin_old(ev: Go) -> OldWork:
    return OldWork(ev.n)


@step(name="old")
async def _old(ev: OldWork, ctx: Context) -> StopEvent:
    ctx.state["seen"] = ev.n
    await anyio.sleep(100)
    raise AssertionError


@step
async def _begin_new(ev: Go) -> NewWork:
    raise AssertionError


@step(name="new")
async def _new(ev: NewWork, ctx: Context) -> StopEvent:
    return StopEvent(result=[ev.n, ev.twice])


before_deploy = Workflow("before", [_begin_old, _old])
after_deploy = Workflow("after", [_begin_new, _new])

RENAMES = {"before": "after", "old": "new", "durable.OldWork": "durable.NewWork"}


async def half_done(store: MemoryStore, workflow: Workflow[Any] = before_deploy) -> None:
    with anyio.move_on_after(1):
        await workflow.run(Go(3), run_id="run", store=store)


async def test_what_does_not_fit_changes_nothing_and_check_finds_it() -> None:
    @step
    async def begin(ev: Go) -> Work:
        raise AssertionError

    @step
    async def work(ev: Work) -> StopEvent:
        raise AssertionError

    changed = Workflow("before", [begin, work])
    async with MemoryStore(keep_log=True) as store:
        await half_done(store)
        before = contents(store)
        for way in (
            lambda: changed.resume_from(store, "run"),
            lambda: changed.start(Go(), run_id="run", store=store),
            lambda: changed.fork(store, "run", at=2),
        ):
            with pytest.raises(SnapshotError) as caught:
                async with way():
                    raise AssertionError
            assert "unknown step 'old'" in str(caught.value)
            assert any("durable.OldWork" in problem for problem in caught.value.problems)
            assert contents(store) == before
        [misfit] = await changed.check(store)
        assert misfit.run.run_id == "run"
        assert isinstance(misfit.error, SnapshotError)
        assert await before_deploy.check(store) == []
        assert contents(store) == before
        [recovered] = await changed.recover(store)
        assert isinstance(recovered.error, SnapshotError)
        assert contents(store) == before


async def test_names_may_be_mapped_and_are_new_ones_from_then_on() -> None:
    async with MemoryStore() as store:
        await half_done(store)
        assert await after_deploy.check(store, renames=RENAMES) == []
        async with after_deploy.resume_from(store, "run", renames=RENAMES) as run:
            run.pause()
            await run.flush()
            image = image_of(store)
            run.resume()
            assert await run.result() == [3, 0]
        async with image:
            stored = [row.body for row in image._data.runs["run"].rows.values()]
            assert not any(b"OldWork" in body for body in stored)
            async with after_deploy.resume_from(image, "run", renames={"before": "after"}) as run:
                assert await run.result() == [3, 0]


async def test_recover_finds_runs_under_the_old_name_too() -> None:
    async with MemoryStore() as store:
        await half_done(store)
        assert await after_deploy.recover(store) == []
        [recovered] = await after_deploy.recover(store, renames=RENAMES)
        assert recovered.result == [3, 0]
        async with after_deploy.resume_from(store, "run", renames=RENAMES) as run:
            assert await run.result() == [3, 0]


async def test_a_run_may_be_migrated_and_stays_so() -> None:
    def migrate(content: dict[str, Any]) -> dict[str, Any]:
        for row in content["events"]:
            fields = row["event"]["fields"]
            fields.setdefault("twice", 2 * fields["n"])
        return content

    async with MemoryStore() as store:
        await half_done(store)
        resumed = after_deploy.resume_from(store, "run", renames=RENAMES, migrate=migrate)
        async with resumed as run:
            run.pause()
            await run.flush()
            image = image_of(store)
            run.resume()
            assert await run.result() == [3, 6]
        async with image:
            again = after_deploy.resume_from(image, "run", renames={"before": "after"})
            async with again as run:
                assert await run.result() == [3, 6]


async def test_a_migration_that_fails_or_makes_nonsense_changes_nothing() -> None:
    def fail(content: dict[str, Any]) -> dict[str, Any]:
        raise Boom

    async with MemoryStore() as store:
        await half_done(store)
        before = contents(store)
        with pytest.raises(Boom):
            async with before_deploy.resume_from(store, "run", migrate=fail):
                raise AssertionError
        for nonsense in ({}, None, {"run": 1}):
            with pytest.raises(SnapshotError):
                async with before_deploy.resume_from(
                    store, "run", migrate=lambda content, made=nonsense: made
                ):
                    raise AssertionError
        [misfit] = await before_deploy.check(store, migrate=fail)
        assert isinstance(misfit.error.__cause__, Boom)
        assert contents(store) == before


async def test_a_migration_that_fails_the_second_time_gives_the_run_back() -> None:
    calls = [0]

    def migrate(content: dict[str, Any]) -> dict[str, Any]:
        calls[0] += 1
        if calls[0] == 2:
            raise Boom
        return content

    async with MemoryStore() as store:
        await half_done(store)
        with pytest.raises(Boom):
            async with before_deploy.resume_from(store, "run", migrate=migrate):
                raise AssertionError
        run = await store.load("run")
        assert run is not None and run.owner is None

        class Keeps(MemoryStore):
            async def release(self, run_id: str, epoch: int) -> None:
                raise OSError("gone")

        calls[0] = 0
        keeping = Keeps()
        keeping._data = store._data
        async with keeping:
            with pytest.raises(Boom) as caught:
                async with before_deploy.resume_from(keeping, "run", migrate=migrate):
                    raise AssertionError
            assert caught.value.__notes__ == ["the run could not be given back: OSError('gone')"]


async def test_a_result_whose_type_is_gone_is_a_clear_error() -> None:
    @step
    async def work(ev: Go) -> End:
        return End(n=ev.n)

    @step
    async def plain(ev: Go) -> StopEvent:
        raise AssertionError

    async with MemoryStore() as store:
        await Workflow("w", [work], stop=End).run(Go(3), run_id="run", store=store)
        with pytest.raises(SnapshotError, match="durable.End"):
            async with Workflow("w", [plain]).resume_from(store, "run"):
                raise AssertionError


async def test_check_leaves_out_what_has_gone_meanwhile_or_has_completed() -> None:
    class Gone(MemoryStore):
        async def read(self, run_id: str) -> Any:
            return None

    async with Gone() as store:
        await half_done(store)
        assert await before_deploy.check(store) == []

    async with MemoryStore() as store:
        async with after_deploy.start(NewWork(1), run_id="run", store=store) as run:
            await run.result()
        listed = await store.list()

        class Late(MemoryStore):
            async def list(self, **options: Any) -> Any:
                return listed

        late = Late()
        late._data = store._data
        async with late:
            assert await after_deploy.check(late) == []


async def test_check_lets_out_what_the_store_must_not_raise() -> None:
    class Odd(MemoryStore):
        async def read(self, run_id: str) -> Any:
            raise Boom

    async with Odd() as store:
        await half_done(store)
        with pytest.raises(Boom):
            await before_deploy.check(store)


# ---- child runs ----------------------------------------------------------------------------------


def nesting(child: Workflow[Any], name: str = "outer") -> Workflow[Any]:
    @step(name="delegate")
    async def delegate(ev: Go, ctx: Context) -> Done:
        await ctx.run_workflow(child, ev)
        return Done(1)

    @step(name="end")
    async def end(ev: Done) -> StopEvent:
        return StopEvent(result=ev.n)

    return Workflow(name, [delegate, end])


@step(name="new")
async def _late(ev: NewWork, ctx: Context) -> StopEvent:
    seen.append([ev.n, ev.twice])
    await anyio.sleep(1)
    return StopEvent()


seen: list[list[int]] = []
slow_after = Workflow("after", [_begin_new, _late])


@pytest.mark.parametrize("depth", [1, 2])
async def test_names_in_child_runs_are_mapped_when_they_go_on(depth: int) -> None:
    old, new = before_deploy, slow_after
    for level in range(depth):
        old, new = nesting(old, f"outer {level}"), nesting(new, f"outer {level}")
    seen.clear()
    async with MemoryStore() as store:
        await half_done(store, old)
        async with new.resume_from(store, "run", renames=RENAMES) as run:
            await settle()
            assert seen == [[3, 0]]
            await run.flush()
            image = image_of(store)
            assert await run.result() == 1
        async with image:
            again = new.resume_from(image, "run")
            async with again as run:
                assert await run.result() == 1
    assert seen == [[3, 0]] * 2


async def test_a_child_run_may_be_migrated_and_stays_so() -> None:
    def migrate(content: dict[str, Any]) -> dict[str, Any]:
        for row in content["children"]:
            for event in row["saved"]["events"]:
                event["event"]["fields"]["twice"] = 6
        return content

    seen.clear()
    old, new = nesting(before_deploy), nesting(slow_after)
    async with MemoryStore() as store:
        await half_done(store, old)
        async with new.resume_from(store, "run", renames=RENAMES, migrate=migrate) as run:
            run.pause()
            await run.flush()
            early = image_of(store)
            run.resume()
            await settle()
            await run.flush()
            late = image_of(store)
            assert await run.result() == 1
        async with late, new.resume_from(late, "run") as run:
            assert await run.result() == 1
        async with early, new.resume_from(early, "run", renames=RENAMES) as run:
            assert await run.result() == 1
    assert seen == [[3, 6]] * 3


async def test_a_child_run_that_does_not_fit_fails_the_run_and_is_kept() -> None:
    seen.clear()
    async with MemoryStore() as store:
        await half_done(store, nesting(before_deploy))
        with pytest.raises(SnapshotError):
            async with nesting(slow_after).resume_from(
                store, "run", renames={"before": "after"}
            ) as run:
                await run.result()
        async with nesting(slow_after).resume_from(store, "run", renames=RENAMES) as run:
            assert await run.result() == 1
    assert seen == [[3, 0]]


def asking_child() -> Workflow[Any]:
    @step
    async def ask(ev: Go, ctx: Context) -> InputRequestEvent:
        return InputRequestEvent("?")

    @step
    async def take(ev: InputResponseEvent) -> StopEvent:
        return StopEvent(result=ev.response)

    return Workflow("asking", [ask, take])


async def test_an_answer_to_a_sleeping_child_is_stored_before_it_goes_on() -> None:
    child = asking_child()

    @step(max_concurrency=1)
    async def delegate(ev: Go, ctx: Context) -> StopEvent:
        return StopEvent(result=await ctx.run_workflow(child, ev))

    workflow = Workflow("outer", [delegate])
    async with MemoryStore() as store:
        with pytest.raises(InputRequiredError) as caught:
            await workflow.run(Go(), run_id="run", store=store)
        [request] = caught.value.requests
        run = workflow.resume_from(store, "run", responses={request.request_id: 7})
        async with run:
            run.pause()
            await run.flush()
            image = image_of(store)
            run.resume()
            assert await run.result() == 7
        async with image:
            assert await workflow.run(Go(), run_id="run", store=image) == 7


async def test_a_failed_attempt_takes_the_rows_of_its_child_runs_with_it() -> None:
    from blazen_anyio import Retry

    @step
    async def inner(ev: Go) -> StopEvent:
        if ev.n:
            raise Boom
        await anyio.sleep(1)
        return StopEvent()

    child = Workflow("child", [inner])
    middle = nesting(child, "middle")

    @step(retry=Retry(max_attempts=2, initial=100, jitter=False))
    async def delegate(ev: Go, ctx: Context) -> StopEvent:
        async with anyio.create_task_group() as group:
            group.start_soon(ctx.run_workflow, middle, Go(0))
            group.start_soon(ctx.run_workflow, middle, Go(2 - ctx.attempt))
        return StopEvent(result=ctx.attempt)

    workflow = Workflow("outer", [delegate])
    async with MemoryStore() as store:
        async with workflow.start(Go(), run_id="run", store=store) as run:
            await anyio.sleep(10)
            keys = list(store._data.runs["run"].rows)
            assert len(keys) == 2, keys
            image = image_of(store)
            assert await run.result() == 2
            assert run._runner.scribe is not None
            assert not run._runner.shelf.inner
        async with image:
            assert await workflow.run(Go(), run_id="run", store=image) == 2


async def test_a_step_that_fails_in_a_child_run_fails_as_in_any_run() -> None:
    @step
    async def inner(ev: Go) -> StopEvent:
        raise Boom

    workflow = nesting(Workflow("child", [inner]))
    async with MemoryStore() as store:
        for _ in range(2):
            with pytest.raises(StepFailedError):
                await workflow.run(Go(), run_id="run", store=store)
        assert len(store._data.runs["run"].rows) == 2
