"""Acting before any one step of the event loop, on both backends.

A *scheduler step* is one turn of one task on trio, and one handle of the event loop on asyncio (a
turn of a task, or a callback). What is done before one is what another task could have done there.

On trio the order of tasks is seeded, so that a step number means the same in each run.
"""

from __future__ import annotations

import asyncio
import os
import random
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any

import anyio
import trio
from virtual_time import VirtualTimeLoop, asyncio_options, trio_options

__all__ = ["BACKENDS", "Steps", "run_with_steps"]

BACKENDS = ("asyncio", "trio")

SEED = int(os.environ.get("BLAZEN_SWEEP_SEED", "0"))
"""Of the order in which trio runs tasks that are ready at the same time."""


class Steps(trio.abc.Instrument):
    """Counts scheduler steps, and acts before a chosen one."""

    def __init__(self) -> None:
        self.count = 0
        self._at = 0
        self._action: Callable[[], None] | None = None
        self._error: BaseException | None = None

    def restart(
        self, at: int = 0, action: Callable[[], None] | None = None, *, seed: int = SEED
    ) -> None:
        """Count from here on; carry ``action`` out before step ``at``, counted from 1."""
        self.count = 0
        self._at, self._action, self._error = at, action, None
        _seed_trio(seed)

    def finish(self) -> bool:
        """Act no more; return whether the step at which to act has come.

        Raises whatever the action raised.
        """
        acted, self._at = 0 < self._at <= self.count, 0
        if self._error is not None:
            raise self._error
        return acted

    def step(self) -> None:
        """Take note of a step that is about to be made."""
        self.count += 1
        if self.count == self._at and self._action is not None:
            try:
                self._action()
            except BaseException as error:
                self._error = error

    def before_task_step(self, task: trio.lowlevel.Task) -> None:
        self.step()


class _SteppingLoop(VirtualTimeLoop):
    """A loop on virtual time that tells of each handle."""

    def __init__(self, steps: Steps) -> None:
        super().__init__()
        self._steps = steps

    def call_soon(self, callback: Any, *args: Any, context: Any = None) -> asyncio.Handle:
        return super().call_soon(self._stepped, callback, args, context=context)

    def _stepped(self, callback: Any, args: Any) -> None:
        self._steps.step()
        callback(*args)


def run_with_steps(backend: str, main: Callable[[Steps], Awaitable[None]]) -> None:
    """Run ``main`` on virtual time, with the steps of its event loop."""
    steps = Steps()
    if backend == "asyncio":
        options = {**asyncio_options(debug=False), "loop_factory": lambda: _SteppingLoop(steps)}
    else:
        options = dict(trio_options())
        options["instruments"] = [*options["instruments"], steps]
    with _deterministic_trio():
        anyio.run(main, steps, backend=backend, backend_options=options)


@contextmanager
def _deterministic_trio() -> Iterator[None]:
    # The way in which pytest-trio makes Hypothesis and trio get along.
    run: Any = trio._core._run
    before = run._ALLOW_DETERMINISTIC_SCHEDULING
    run._ALLOW_DETERMINISTIC_SCHEDULING = True
    try:
        yield
    finally:
        run._ALLOW_DETERMINISTIC_SCHEDULING = before
        run._r.seed(random.random())


def _seed_trio(seed: int) -> None:
    run: Any = trio._core._run
    run._r.seed(seed)
