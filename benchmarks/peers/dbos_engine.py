"""The durable workloads on dbos, with its SQLite system database. It has no runs that are not."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from dbos import DBOS

from ..workloads import Timed

_OTHER = "every workflow is durable: see the durable workloads"

UNABLE = dict.fromkeys(
    [
        "chain",
        "suspending_chain",
        "fan_out",
        "suspending_fan_out",
        "short_runs",
        "concurrent_runs",
        "waits",
        "stream",
        "stream_to_four",
    ],
    _OTHER,
)


@DBOS.step()
async def _hop(number: int) -> int:
    return number + 1


@DBOS.workflow()
async def _chain(hops: int) -> int:
    number = 0
    for _ in range(hops):
        number = await _hop(number)
    return number


@asynccontextmanager
async def _launched() -> AsyncIterator[None]:
    with TemporaryDirectory() as directory:
        url = f"sqlite:///{Path(directory) / 'dbos.sqlite'}"
        DBOS(
            config={
                "name": "benchmark",
                "system_database_url": url,
                "run_admin_server": False,
                "log_level": "ERROR",
            }
        )
        DBOS.launch()
        try:
            yield
        finally:
            await asyncio.to_thread(DBOS.destroy)
            logging.getLogger("dbos").handlers.clear()


async def durable_chain(steps: int) -> Timed:
    """Launching takes a second; it is not counted."""
    return await _durable(1, steps)


async def durable_runs(steps: int) -> Timed:
    return await _durable(10, steps)


async def _durable(runs: int, steps: int) -> Timed:
    async with _launched():
        shares = [len(range(run, steps, runs)) for run in range(runs)]
        started = time.perf_counter()
        numbers = await asyncio.gather(*[_chain(share) for share in shares if share])
        return Timed(sum(numbers), time.perf_counter() - started)
