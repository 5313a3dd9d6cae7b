"""Recovery: several runs side by side, each of which ends for itself."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Generic, TypeVar

import anyio
import attrs

from .._exceptions import RunBusyError, RunEndedError
from ._outcomes import outcome_of
from ._runner import Runner

__all__ = ["RecoveredRun", "run_each"]

R = TypeVar("R", covariant=True)


@attrs.frozen
class RecoveredRun(Generic[R]):
    """How a run that was taken up has ended.

    Attributes:
        run_id: the id of the run.
        result: what it returned; ``None`` if it did not.
        error: what it raised instead: why it failed, or what it waits for.
    """

    run_id: str
    result: R | None = None
    error: Exception | None = None


async def run_each(
    run_ids: Sequence[str],
    take_up: Callable[[str], Awaitable[Runner]],
    max_runs: int,
) -> list[RecoveredRun[Any]]:
    """Run each to its end, ``max_runs`` at a time; one that is not to be had is left out.

    Args:
        run_ids: of the runs, in the order in which they begin and are returned.
        take_up: makes the runner of one.
        max_runs: how many at a time.

    Raises:
        BaseException: what is no failure of one run: a cancellation, Ctrl-C.
    """
    recovered: dict[str, RecoveredRun[Any]] = {}
    fatal: list[BaseException] = []
    limiter = anyio.CapacityLimiter(max_runs)

    async def run(run_id: str) -> None:
        try:
            runner = await take_up(run_id)
            runner.machine.close(runner.clock())
            await runner.drive()
            recovered[run_id] = RecoveredRun(run_id, result=outcome_of(runner))
        except (RunBusyError, RunEndedError):
            pass  # somebody executes it, or it has come to an end since it was found
        except Exception as error:
            recovered[run_id] = RecoveredRun(run_id, error=error)
        except anyio.get_cancelled_exc_class():
            raise
        except BaseException as error:
            # Not raised in this task: asyncio would let it out of the event loop, past its
            # caller, and a task group would wrap it.
            fatal.append(error)
            group.cancel_scope.cancel()
        finally:
            limiter.release_on_behalf_of(run_id)

    async with anyio.create_task_group() as group:
        for run_id in run_ids:
            # Here and not in the task: trio begins tasks in any order.
            await limiter.acquire_on_behalf_of(run_id)
            group.start_soon(run, run_id, name=f"recovery of run {run_id}")
    if fatal:
        raise fatal[0]
    return [recovered[run_id] for run_id in run_ids if run_id in recovered]
