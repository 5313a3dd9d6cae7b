"""What can't be right is refused before anything runs or is stored, by an error of its type."""

from __future__ import annotations

from typing import Any

import pytest

from blazen_anyio import (
    Context,
    DefinitionError,
    StartEvent,
    StepFailedError,
    StopEvent,
    StoreError,
    Workflow,
    step,
)
from blazen_anyio.stores import MemoryStore

from .kit import Go, hops
from .stores import contents

pytestmark = pytest.mark.anyio

BAD_STORES: list[Any] = [object(), "runs.db", MemoryStore]


@pytest.mark.parametrize("durability", ["x", "SYNC", None, True])
async def test_durability_is_sync_or_async(durability: Any) -> None:
    async with MemoryStore() as store:
        with pytest.raises(ValueError, match="durability= is 'sync' or 'async', not "):
            await hops.run(n=1, store=store, durability=durability)
        for way in (
            lambda: hops.start(n=1, store=store, durability=durability),
            lambda: hops.resume_from(store, "run", durability=durability),
            lambda: hops.fork(store, "run", at=1, durability=durability),
        ):
            with pytest.raises(ValueError, match="durability="):
                way()
        with pytest.raises(ValueError, match="durability="):
            await hops.recover(store, durability=durability)
        assert contents(store) == {}


@pytest.mark.parametrize("store", BAD_STORES, ids=["object", "text", "class"])
async def test_a_store_is_a_store(store: Any) -> None:
    with pytest.raises(TypeError, match="store= takes a Store"):
        await hops.run(n=1, store=store)
    for way in (
        lambda: hops.start(n=1, store=store),
        lambda: hops.resume_from(store, "run"),
        lambda: hops.fork(store, "run", at=1),
        lambda: hops.resume_from(None, "run"),  # type: ignore[arg-type]
        lambda: hops.fork(None, "run", at=1),  # type: ignore[arg-type]
    ):
        with pytest.raises(TypeError, match="store= takes a Store"):
            way()
    for awaitable in (hops.recover(store), hops.check(store), hops.check(None)):  # type: ignore[arg-type]
        with pytest.raises(TypeError, match="store= takes a Store"):
            await awaitable


async def test_a_snapshot_is_not_resumed_into_what_is_no_store() -> None:
    async with hops.start(n=2) as run:
        snapshot = run.snapshot()
        run.cancel()
    with pytest.raises(TypeError, match="store= takes a Store"):
        hops.resume(snapshot, store=object())  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="durability="):
        hops.resume(snapshot, durability="x")  # type: ignore[arg-type]


async def test_a_closed_store_begins_nothing() -> None:
    for way in (
        lambda store: hops.run(n=1, store=store),
        lambda store: hops.recover(store),
        lambda store: hops.check(store),
    ):
        with pytest.raises(StoreError, match="closed"):
            await way(MemoryStore())


@pytest.mark.parametrize(
    ("run_id", "error"),
    [("", ValueError), ("x" * 201, ValueError), ("a\nb", ValueError), (7, TypeError)],
)
async def test_a_run_id_is_text_that_can_be_printed(run_id: Any, error: type[Exception]) -> None:
    async with MemoryStore() as store:
        with pytest.raises(error):
            await hops.run(n=1, store=store, run_id=run_id)
        for way in (
            lambda: hops.start(n=1, store=store, run_id=run_id),
            lambda: hops.resume_from(store, run_id),
            lambda: hops.fork(store, run_id, at=1),
            lambda: hops.fork(store, "run", at=1, new_run_id=run_id),
        ):
            with pytest.raises(error):
                way()
        assert contents(store) == {}


@pytest.mark.parametrize(
    ("at", "error"),
    [(-1, ValueError), (0, ValueError), (1.5, TypeError), ("1", TypeError), (True, TypeError)],
)
async def test_a_fork_begins_at_a_commit(at: Any, error: type[Exception]) -> None:
    async with MemoryStore(keep_log=True) as store:
        with pytest.raises(error, match="at="):
            hops.fork(store, "run", at=at)


async def test_changes_are_what_they_should_be() -> None:
    async with MemoryStore() as store:
        for options in ({"renames": ["a"]}, {"migrate": "code"}, {"responses": [1]}):
            with pytest.raises(TypeError):
                hops.resume_from(store, "run", **options)  # type: ignore[arg-type]
        for number in (0, -1):
            with pytest.raises(ValueError, match="max_runs"):
                await hops.recover(store, max_runs=number)


# ---- names that do not last ----------------------------------------------------------------------


async def test_events_whose_names_no_other_process_knows_are_refused() -> None:
    class Local(StartEvent):
        n: int = 0

    async def work(ev: Any) -> StopEvent:
        raise AssertionError

    work.__annotations__ = {"ev": Local, "return": StopEvent}
    workflow = Workflow("local", [step(work)])
    async with MemoryStore() as store:
        for way in (
            lambda: workflow.start(n=1, store=store),
            lambda: workflow.resume_from(store, "run"),
        ):
            with pytest.raises(DefinitionError, match="name it: class Local") as caught:
                async with way():
                    raise AssertionError
            assert 'event_type="app.Local"' in str(caught.value)
        assert contents(store) == {}


async def test_those_of_a_main_module_too_and_those_of_child_runs() -> None:
    class Main(StartEvent):
        n: int = 0

    Main.__module__ = "__main__"
    Main.__qualname__ = "Main"
    Main.event_type = "__main__.Main"

    async def inner(ev: Any) -> StopEvent:
        return StopEvent(result=1)

    inner.__annotations__ = {"ev": Main, "return": StopEvent}
    child = Workflow("child", [step(inner)])

    @step
    async def delegate(ev: Go, ctx: Context) -> StopEvent:
        return StopEvent(result=await ctx.run_workflow(child))

    workflow = Workflow("outer", [delegate])
    assert await workflow.run(Go()) == 1
    async with MemoryStore() as store:
        with pytest.raises(DefinitionError, match="which another process may not know"):
            await child.run(store=store)
        with pytest.raises(StepFailedError) as caught:
            await workflow.run(Go(), store=store)
        assert isinstance(caught.value.error, DefinitionError)
