"""How late a timer of somebody else's fires while a contender works flat out."""

from __future__ import annotations

import anyio

from .workloads import Timed, Work, percentile

__all__ = ["lateness_beside"]

_PERIOD = 0.001


async def lateness_beside(work: Work, count: int) -> Timed:
    """Do the work and tell how late a timer of a millisecond was, at the 99th percentile."""
    late: list[float] = []
    result: int | Timed = 0

    async def tick() -> None:
        while True:
            due = anyio.current_time() + _PERIOD
            await anyio.sleep(_PERIOD)
            late.append(anyio.current_time() - due)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(tick)
        await anyio.sleep(5 * _PERIOD)
        late.clear()
        result = await work(count)
        tasks.cancel_scope.cancel()
    if isinstance(result, Timed):
        raise TypeError("the work beside the timer takes no time of its own")
    return Timed(result, percentile(late, 99) if late else 0.0)
