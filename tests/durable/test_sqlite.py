"""The same on disk: begun once, put down, taken up by another process, forked.

In real time, since no virtual clock knows that the store's thread is at work. Nothing sleeps.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from blazen_anyio import RunBusyError
from blazen_anyio.stores import SQLiteStore

from .kit import Go, Log, hops, settle
from .test_runs import asking, counted

pytestmark = pytest.mark.anyio


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.mark.parametrize("durability", ["sync", "async"])
async def test_a_run_is_begun_once_and_forked(tmp_path: Path, durability: str) -> None:
    log = Log()
    workflow = counted(log, 0)
    async with SQLiteStore(tmp_path / "runs.db", keep_log=True, lease=None) as store:
        for _ in range(2):
            result = await workflow.run(
                Go(3),
                run_id="run",
                store=store,
                durability=durability,  # type: ignore[arg-type]
            )
            assert result == 3
        assert log.lines == ["begin", "work"]
        found = await store.read("run")
        assert found is not None and [row.key for row in found[1]] == ["result"]
        async with workflow.fork(store, "run", at=2) as run:
            assert await run.result() == 3
    assert log.lines == ["begin", "work", "work"]


async def test_what_one_process_puts_down_another_takes_up(tmp_path: Path) -> None:
    path = tmp_path / "runs.db"
    log = Log()
    workflow = counted(log, 0)
    async with SQLiteStore(path, lease=None) as store, SQLiteStore(path, lease=None) as other:
        async with workflow.start(Go(3), run_id="run", store=store) as run:
            run.pause()
            await run.flush()
            with pytest.raises(RunBusyError):
                await workflow.run(Go(3), run_id="run", store=other)
            await run.suspend()
        assert [each.result for each in await workflow.recover(other)] == [3]
        assert await workflow.run(Go(9), run_id="run", store=store) == 3
        assert await hops.check(store) == []


async def test_a_question_is_answered_in_another_process(tmp_path: Path) -> None:
    path = tmp_path / "runs.db"
    workflow = asking()
    async with (
        SQLiteStore(path, lease=None) as store,
        workflow.start(Go(), run_id="run", store=store) as run,
    ):
        for _ in range(10):
            await settle()
            await run.flush()
        [request] = run.requests
        await run.suspend()
    async with (
        SQLiteStore(path, lease=None) as store,
        workflow.resume_from(store, "run", responses={request.request_id: 7}) as run,
    ):
        assert await run.result() == 7
