"""Performing: how one attempt is made in a simulation: its stub or its body, and its faults.

Faults are applied around whatever runs. What strikes is asked once, when the attempt begins.
"""

from __future__ import annotations

import inspect
from collections.abc import AsyncGenerator, Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, cast

import anyio

from .._context import Context
from .._events import Event
from .._run._bodies import run_generator
from ._faults import Duplicate, Hang, Late, Raise, Slow, StepFault

if TYPE_CHECKING:
    from .._machine import Delivery
    from .._run import Body, Runner

__all__ = ["Attempt", "Stubs", "perform_attempt"]

Stubs = Mapping[str, object]
"""By the name of a step, what to do instead of its body: a function of what the step is called
with, an exception to raise, or anything else to return."""


class Attempt:
    """One attempt that is to be performed.

    Attributes:
        runner, delivery, context, body: as the engine gives them.
        names: the names by which stubs and faults may call the step.
    """

    def __init__(
        self, runner: Runner, delivery: Delivery, context: Context | None, body: Body
    ) -> None:
        self.runner = runner
        self.delivery = delivery
        self.context = context
        self.body = body
        name, workflow = body.name, runner.machine.plan.name
        own = f"{workflow}/{name}"
        self.names = (name, own) if runner.parent is None else (own,)

    async def run(self, stubs: Stubs, context: Context | None) -> Any:
        """Run the stub, or else the body."""
        for name in self.names:
            if name in stubs:
                return await self._run_stub(stubs[name], context)
        body, delivery = self.body, self.delivery
        if body.plain:
            call: Any = body.step.call
            return await call((delivery.records[0].event,), context, {})
        return await self.runner.attempts.run_body(body, delivery, context)

    async def _run_stub(self, stub: object, context: Context | None) -> Any:
        given: Any = stub
        if isinstance(stub, BaseException):
            raise stub
        if isinstance(stub, type) and issubclass(stub, BaseException):
            raise stub
        if not callable(given):
            return await self._returned(given)
        answer = _call(given, self, context)
        if inspect.isawaitable(answer):
            answer = await answer
        return await self._returned(answer)

    async def _returned(self, answer: Any) -> Any:
        """What a stub answers, let out event by event if the step is a generator."""
        if self.body.kind != "generator":
            return answer
        events = cast("Any", answer) if inspect.isasyncgen(answer) else _each(answer)
        await run_generator(
            events,
            partial(self.runner.attempts._give, self.delivery),
            partial(self.runner.waiting.for_room, self.delivery),
            self.body.name,
        )
        return None


async def _each(answer: Any) -> AsyncGenerator[object, None]:
    for event in [answer] if isinstance(answer, Event) else answer or ():
        yield event


def _call(stub: Callable[..., Any], attempt: Attempt, context: Context | None) -> Any:
    """Call a stub with what the step is called with; the context only if it wants it."""
    delivery = attempt.delivery
    if delivery.step.mode.value == "pair":
        arguments: list[Any] = [record.event for record in delivery.records]
    else:
        arguments = [delivery.events]
    wanted = attempt.body.step.parameters.context
    names = [each for each in _parameters(stub) if each in (wanted, "ctx", "context")]
    if context is None or not names:
        return stub(*arguments)
    return stub(*arguments, **{names[0]: context})


def _parameters(stub: Callable[..., Any]) -> tuple[str, ...]:
    try:
        return tuple(inspect.signature(stub).parameters)
    except (TypeError, ValueError):
        return ()


async def perform_attempt(attempt: Attempt, stubs: Stubs, faults: list[StepFault]) -> Any:
    """Make an attempt, struck by ``faults``."""
    for fault in faults:
        if isinstance(fault, Hang):
            await anyio.sleep_forever()
        elif isinstance(fault, Slow):
            await anyio.sleep(fault.seconds)
        elif isinstance(fault, Raise) and not fault.after:
            raise fault.error
        elif isinstance(fault, Duplicate):
            await _rehearse(attempt, stubs)
    returned = await attempt.run(stubs, attempt.context)
    for fault in faults:
        if isinstance(fault, Late):
            await _come_late(attempt, fault)
        elif isinstance(fault, Raise) and fault.after:
            raise fault.error
    return returned


async def _rehearse(attempt: Attempt, stubs: Stubs) -> None:
    """Run the body once before the time that counts, as a delivery that a crash has undone."""
    delivery, real = attempt.delivery, attempt.context
    context = None
    if real is not None:
        context = Context(attempt.runner.runtime, delivery, attempt.body.kind == "sync")
    try:
        await attempt.run(stubs, context)
    finally:
        if context is not None:
            context.close()
        _deliver_again(delivery)


def _deliver_again(delivery: Delivery) -> None:
    """What handing a delivery out again does to it: early effects and children count anew."""
    delivery.cursor = 0
    delivery.repeated = []
    if delivery.children is not None:
        delivery.children.begin_again()


async def _come_late(attempt: Attempt, fault: Late) -> None:
    timeout = attempt.delivery.step.timeout
    seconds = fault.seconds
    if seconds is None:
        seconds = 1.0 if timeout is None else timeout + 1.0
    with anyio.CancelScope(shield=True):
        await anyio.sleep(seconds)
