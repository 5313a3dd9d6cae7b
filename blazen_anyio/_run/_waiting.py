"""Waiting: steps that wait inside, for an event, for a human, or for room.

The machine decides who waits and who goes on; here are the tasks that are suspended meanwhile, and
the ``where`` conditions, which are user code and so not the machine's. A step that waits holds no
slot; it goes on when the machine hands its delivery out again.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

import anyio
import attrs
from anyio.lowlevel import checkpoint

from .._events import Event, InputRequestEvent
from .._exceptions import DefinitionError
from .._machine import Delivery, Effect, Record

if TYPE_CHECKING:
    from ._runner import Runner

__all__ = ["Waiting"]


@attrs.define(eq=False, repr=False)
class _Waiter:
    """A step that waits; ``kind`` and ``where`` say for which event, if it does for one."""

    kind: type[Event] | None = None
    where: Callable[[Any], bool] | None = None
    ready: anyio.Event = attrs.field(factory=anyio.Event)
    error: BaseException | None = None
    leaving: bool = False


class Waiting:
    """The steps of one run that wait inside."""

    def __init__(self, runner: Runner) -> None:
        self._runner = runner
        self._waiters: dict[Delivery, _Waiter] = {}

    async def for_event(
        self,
        delivery: Delivery,
        kind: type[Event],
        where: Callable[[Any], bool] | None,
        timeout: float | None,
    ) -> Event:
        """Suspend an attempt until an event has been claimed for it.

        Raises:
            TimeoutError: none came in time.
        """
        wait = partial(self._runner.machine.inside.wait, delivery, kind.event_type, timeout)
        event = await self._until_settled(delivery, _Waiter(kind, where), wait)
        assert isinstance(event, Event)
        return event

    async def for_answer(
        self, delivery: Delivery, request: InputRequestEvent, timeout: float | None
    ) -> Any:
        """Suspend an attempt until a human has answered.

        Raises:
            TimeoutError: no answer came in time.
        """
        self._runner.check_storable(request)
        digest = self._runner.codec.digest(request)
        ask = partial(self._runner.machine.inside.ask, delivery, request, digest, timeout)
        return await self._until_settled(delivery, _Waiter(), ask)

    async def for_room(self, delivery: Delivery) -> None:
        """Suspend a generator until what it yielded to has room for more."""
        waiter = self._waiters[delivery] = _Waiter()
        try:
            await waiter.ready.wait()
        finally:
            del self._waiters[delivery]

    def wake(self, delivery: Delivery) -> None:
        """A step has its slot back."""
        waiter = self._waiters.get(delivery)
        if waiter is not None:  # else it is being cancelled and waits no more
            waiter.ready.set()

    def offer(self, record: Record) -> None:
        """Let the waiting steps judge an event, first come, first served."""
        for delivery, _ in self._runner.machine.inside.waits():
            waiter = self._waiters.get(delivery)
            if waiter is not None and record.mailbox and self._fits(waiter, record.event):
                self._runner.machine.inside.claim(delivery, record, self._runner.clock())
                return

    def _fits(self, waiter: _Waiter, event: Event) -> bool:
        if waiter.kind is None or not isinstance(event, waiter.kind):
            return False
        try:
            return waiter.where is None or bool(waiter.where(event))
        except Exception as error:
            # The condition is the step's, and so is its failure.
            waiter.error = error
            waiter.ready.set()
            return False

    async def _until_settled(
        self, delivery: Delivery, waiter: _Waiter, wait: Callable[[float], Effect]
    ) -> Any:
        if delivery in self._waiters:
            raise DefinitionError(
                f"step {delivery.step.name!r}",
                ["an attempt waits for one thing at a time; make a step of each wait"],
            )
        self._waiters[delivery] = waiter
        try:
            effect = wait(self._runner.clock())
            self._runner.after_input()
            if delivery.waiting_for is effect:
                await waiter.ready.wait()
            elif effect.settled is None:
                await anyio.sleep_forever()  # the run has ended: the attempt is being cancelled
        except anyio.get_cancelled_exc_class():
            await self._leave(delivery, waiter)
            raise
        finally:
            del self._waiters[delivery]
        if waiter.error is not None:
            raise waiter.error
        if effect.settled == "timed_out":
            raise TimeoutError("nothing came in time")
        return effect.answer

    async def _leave(self, delivery: Delivery, waiter: _Waiter) -> None:
        """A scope of the step's own has ended its wait: it needs a slot before it goes on.

        Shielded, or it would go on without one; :meth:`let_leave` ends that if the run does.
        """
        runner = self._runner
        with anyio.CancelScope(shield=True):
            # If it is the whole run that is being cancelled, the runner meets it in the same turn.
            await checkpoint()
        if not runner.machine.inside.leave_wait(delivery, runner.clock()):
            return
        waiter.leaving = True
        runner.after_input()
        with anyio.CancelScope(shield=True):
            await waiter.ready.wait()

    def let_leave(self, delivery: Delivery | None = None) -> None:
        """Nobody gets a slot any more, or an attempt need not: it goes on to its end without."""
        for waiting, waiter in list(self._waiters.items()):
            if waiter.leaving and delivery in (None, waiting):
                waiter.ready.set()
