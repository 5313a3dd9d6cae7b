"""What the shapes are made with: steps that count what they hold open, and can be made to fail.

Every step of a shape runs its body inside :meth:`Kit.attempt`. So after a run has ended in whatever
way, ``open`` must be zero: each attempt that began has finished its cleanup. A fault planned for
the n-th attempt strikes at its start, or at its end, after all that the attempt has sent and
written.
"""

from __future__ import annotations

import inspect
import threading
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from types import TracebackType
from typing import Any, Literal

import anyio
import attrs
from anyio.lowlevel import checkpoint

from blazen_anyio import Retry, Workflow, step

__all__ = ["Attempt", "Fault", "InjectedError", "Kit"]


class InjectedError(Exception):
    """The fault of an attempt that was chosen to fail."""


@attrs.frozen
class Fault:
    """Makes the ``number``-th attempt of a run fail.

    ``"start"``: before it has done anything; ``"end"``: after it has done everything;
    ``"hang"``: it never returns, so that its timeout ends it.
    """

    number: int
    kind: Literal["start", "end", "hang"]


@attrs.define(eq=False)
class Kit:
    """Makes the steps and the workflow of one shape, and counts what its runs do.

    Attributes:
        lanes: see ``Workflow(lanes=...)``.
        spare: attempts that each retry policy grants on top of what the shape needs.
        timeout: of each attempt that can be cancelled, in seconds.
        open: attempts that have begun and not finished their cleanup.
        begun: attempts that have begun.
        slow: the numbers of those that can be cancelled, and so hang.
        cancelled: attempts that ended with an exception which is none of the shape's.
        fault: the attempt that is to fail, and how.
        struck: whether it has.
    """

    lanes: bool = True
    spare: int = 0
    timeout: float | None = None
    open: int = 0
    begun: int = 0
    slow: list[int] = attrs.field(factory=list)
    cancelled: int = 0
    fault: Fault | None = None
    struck: bool = False
    _lock: threading.Lock = attrs.field(factory=threading.Lock, repr=False)

    def reset(self, fault: Fault | None = None) -> None:
        """Begin to count a new run."""
        self.open = self.begun = self.cancelled = 0
        self.slow = []
        self.fault = fault
        self.struck = False

    def step(self, fn: Callable[..., Any] | None = None, /, **options: Any) -> Any:
        """``@step``, with a timeout if the kit has one and the step can be cancelled."""
        if fn is None:
            return lambda fn: self.step(fn, **options)
        if inspect.iscoroutinefunction(fn) or inspect.isasyncgenfunction(fn):
            options.setdefault("timeout", self.timeout)
        return step(fn, **options)

    def retry(self, attempts: int, **options: Any) -> Retry:
        """A policy of so many attempts and what is to spare, after fixed waits."""
        options = {"initial": 0.5, "jitter": False, **options}
        return Retry(max_attempts=attempts + self.spare, **options)

    def workflow(self, name: str, steps: Sequence[Any], **options: Any) -> Workflow[Any]:
        """``Workflow``, with the kit's lanes, and a policy for the attempts it has to spare."""
        if self.spare:
            options.setdefault("retry", self.retry(1))
        return Workflow(name, steps, lanes=self.lanes, **options)

    def attempt(self) -> Attempt:
        """The context of one attempt: ``with`` never suspends, ``async with`` cleans up slowly."""
        return Attempt(self)

    def begin(self) -> int:
        """Count an attempt that begins, perhaps in a worker thread; return its number."""
        with self._lock:
            self.begun += 1
            return self.begun

    def hold(self, change: int) -> None:
        """Count an attempt that holds something open from here on (1), or no longer (-1)."""
        with self._lock:
            self.open += change

    @asynccontextmanager
    async def held(self) -> AsyncIterator[None]:
        """Something besides attempts that has to be closed again, slowly."""
        self.hold(1)
        try:
            yield
        finally:
            with anyio.CancelScope(shield=True):
                await checkpoint()
            self.hold(-1)

    def strikes(self, number: int, kind: str) -> bool:
        """Whether the fault strikes this attempt, here."""
        if self.fault != Fault(number, kind):  # type: ignore[arg-type]
            return False
        self.struck = True
        return True


class Attempt:
    """One attempt of a step. Used with ``async with``, its cleanup awaits, shielded."""

    def __init__(self, kit: Kit) -> None:
        self._kit = kit
        self._number = 0

    def __enter__(self) -> None:
        kit = self._kit
        self._number = kit.begin()
        if kit.strikes(self._number, "start"):
            raise InjectedError
        kit.hold(1)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        kit = self._kit
        kit.hold(-1)
        if error is not None and not isinstance(error, Exception):
            kit.cancelled += 1
        if error is None and kit.strikes(self._number, "end"):
            raise InjectedError

    async def __aenter__(self) -> None:
        self.__enter__()
        self._kit.slow.append(self._number)

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        try:
            if error is None and self._kit.strikes(self._number, "hang"):
                await anyio.sleep_forever()
        finally:
            with anyio.CancelScope(shield=True):
                await checkpoint()
            self.__exit__(kind, error, traceback)
