"""Virtual time for both backends: who runs next is asked whenever nothing is ready.

An event loop is *quiet* when no task is ready. Only then is its :class:`Quiet` asked, and says what
happens: something was made ready (``"go"``), the clock jumps to the next deadline (``"jump"``), or
real time has to pass because a worker thread is busy (``"wait"``). So the clock stands still while
anything runs, and no sleep takes real time.

The clock starts at 0 and jumps to deadlines exactly, with no sum of floats in between: what happens
at a time happens at the same float on both backends.
"""

from __future__ import annotations

import asyncio
import heapq
import math
import selectors
from collections.abc import Awaitable, Callable, Coroutine
from contextvars import Context as ContextVars
from typing import TYPE_CHECKING, Any, Literal, Protocol, TypeVar, TypeVarTuple, cast

import anyio

from ._errors import SimulationError

if TYPE_CHECKING:
    import trio

__all__ = ["BACKENDS", "AnyCoroutine", "Backend", "Clock", "Quiet", "Stage", "Verdict", "run_on"]

Backend = Literal["asyncio", "trio"]
BACKENDS: tuple[Backend, ...] = ("asyncio", "trio")

_PATIENCE = 1.0
"""Real seconds to wait for a worker thread before looking again."""

T = TypeVar("T")
Arguments = TypeVarTuple("Arguments")
AnyCoroutine = Coroutine[Any, Any, Any]

Verdict = Literal["go", "jump", "wait"]
"""What happens when nothing is ready; see above."""


class Quiet(Protocol):
    """Decides what happens when nothing is ready."""

    def __call__(self, due: float | None) -> Verdict:
        """Decide.

        Args:
            due: the next deadline; ``None`` if there is none.
        """
        ...


class Clock(Protocol):
    """A virtual clock.

    Attributes:
        now: seconds since it began; may be set while nothing waits for a deadline.
    """

    now: float


class Stage:
    """Where simulations take place: the hooks that an event loop on virtual time calls.

    Attributes:
        clock: the virtual clock of the loop that runs.
        quiet: asked whenever nothing is ready; ``None`` between simulations.
        wrap: given the coroutine and the name of each new task, returns the coroutine to run.
    """

    def __init__(self) -> None:
        self.clock: Clock = _Stopped()
        self.quiet: Quiet | None = None
        self.wrap: Callable[[AnyCoroutine, str], AnyCoroutine] | None = None

    def ask(self, due: float | None) -> Verdict:
        """Ask what happens now that nothing is ready; between simulations time just passes."""
        if self.quiet is None:
            return "wait" if due is None else "jump"
        return self.quiet(due)


class _Stopped:
    """Stands for a clock before there is one."""

    now = 0.0


def run_on(backend: Backend, stage: Stage, main: Callable[[], Awaitable[T]]) -> T:
    """Run ``main`` to its end in an event loop on virtual time.

    Raises:
        RuntimeError: an event loop runs already in this thread.
        ValueError: ``backend`` is neither ``"asyncio"`` nor ``"trio"``.
    """
    if backend == "asyncio":
        options: dict[str, Any] = {"loop_factory": lambda: _Loop(stage)}
    elif backend == "trio":
        options = _trio_options(stage)
    else:
        raise ValueError(f"backend= is 'asyncio' or 'trio', not {backend!r}")
    returned: list[T] = []

    async def keep() -> None:
        # As the result of asyncio's main task it would be written out, for nobody to read.
        returned.append(await main())

    try:
        anyio.run(keep, backend=backend, backend_options=options)
    except Exception as error:
        # Trio takes what its clock raises for an error of its own.
        cause = error.__cause__
        if type(error).__name__ == "TrioInternalError" and isinstance(cause, SimulationError):
            # Its state is lost then, with warnings that would fail a test.
            raise cause from cause.__cause__  # pragma: no cover
        raise
    finally:
        stage.quiet = stage.wrap = None
    return returned[0]


# ---- asyncio ---------------------------------------------------------------------------------


class _Loop(asyncio.SelectorEventLoop):
    """A selector event loop whose time jumps."""

    def __init__(self, stage: Stage) -> None:
        self.now = 0.0
        self.stage = stage
        self._timers: list[tuple[float, int, asyncio.TimerHandle]] = []
        self._made = 0
        stage.clock = self
        super().__init__(_Selector(self))

    def time(self) -> float:
        return self.now

    def call_at(
        self,
        when: float,
        callback: Callable[[*Arguments], object],
        *args: *Arguments,
        context: ContextVars | None = None,
    ) -> asyncio.TimerHandle:
        handle = super().call_at(when, callback, *args, context=context)
        if when < math.inf:
            self._made += 1
            heapq.heappush(self._timers, (when, self._made, handle))
        return handle

    def create_task(self, coro: Any, **options: Any) -> asyncio.Task[Any]:
        if self.stage.wrap is None:
            return super().create_task(coro, **options)
        wrapped = self.stage.wrap(coro, options.get("name") or "task")
        task = super().create_task(wrapped, **options)
        if wrapped is not coro:
            # A task that is cancelled before it has begun runs no line of what it was given.
            task.add_done_callback(lambda done: coro.close())
        return task

    def jump(self, now: float) -> None:
        """Let it be ``now``. What is due a little later, however little, is not due yet."""
        self.now = now
        self._clock_resolution = math.ulp(now)

    def next_deadline(self) -> float | None:
        """The exact time of the next timer; what asyncio tells the selector is rounded."""
        timers = self._timers
        while timers and (timers[0][0] <= self.now or timers[0][2].cancelled()):
            heapq.heappop(timers)
        return timers[0][0] if timers else None


class _Selector(selectors.DefaultSelector):
    """Where the loop would wait, it is quiet."""

    def __init__(self, loop: _Loop) -> None:
        super().__init__()
        self._loop = loop

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        loop = self._loop
        if timeout is not None and timeout <= 0:
            return super().select(0)
        due = loop.next_deadline()
        verdict = loop.stage.ask(due)
        if verdict == "wait":
            return super().select(_PATIENCE)
        if verdict == "jump":
            assert due is not None, "there is a deadline to jump to"
            loop.jump(due)
        return []


# ---- trio ------------------------------------------------------------------------------------


def _trio_options(stage: Stage) -> dict[str, Any]:
    clock = _trio_clock(stage)
    stage.clock = cast("Clock", clock)
    return {"clock": clock, "instruments": [_trio_instrument(stage)]}


def _trio_clock(stage: Stage) -> trio.abc.Clock:
    """A clock that trio asks how long to wait, and only when no task is ready."""
    import trio

    class VirtualClock(trio.abc.Clock):
        now = 0.0

        def start_clock(self) -> None:
            pass

        def current_time(self) -> float:
            return self.now

        def deadline_to_sleep_time(self, deadline: float) -> float:
            if deadline <= self.now:
                return 0  # the clock has been set ahead
            due = None if deadline == math.inf else deadline
            verdict = stage.ask(due)
            if verdict == "wait":
                return _PATIENCE
            if verdict == "jump":
                self.now = deadline
            return 0

    return VirtualClock()


def _trio_instrument(stage: Stage) -> trio.abc.Instrument:
    """Wraps the coroutine of each new task before it has begun."""
    import trio

    class Spawning(trio.abc.Instrument):
        def task_spawned(self, task: trio.lowlevel.Task) -> None:
            if stage.wrap is not None:
                coroutine: Any = task.coro
                task.coro = cast("Any", stage.wrap(coroutine, task.name))

    return Spawning()
