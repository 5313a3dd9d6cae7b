"""Attempts: how a step's body is run, and how its end is reported to the machine."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import anyio

from .._context import Context
from .._events import Event
from .._exceptions import StepTimeoutError
from .._machine import Delivery, Outputs, emitted
from ._bodies import Body, check_returned, run_generator, run_in_thread
from ._failures import is_fatal

if TYPE_CHECKING:
    from ._runner import Runner

__all__ = ["Attempts", "timeout_of"]


class Attempts:
    """Runs the bodies of one run's steps and reports their failures."""

    def __init__(self, runner: Runner, steps: tuple[Body, ...]) -> None:
        self._runner = runner
        self._steps = steps
        # A step that limits itself needs threads of its own: with the default limiter it would
        # share forty with the whole program.
        self._limiters = {
            body.name: anyio.CapacityLimiter(limit)
            for body in steps
            if body.kind == "sync" and (limit := body.step.options.max_concurrency) is not None
        }

    @property
    def limiters(self) -> tuple[anyio.CapacityLimiter, ...]:
        """The limiters of the threads of steps that limit themselves."""
        return tuple(self._limiters.values())

    # ---- bodies --------------------------------------------------------------------------------

    async def run_body(self, body: Body, delivery: Delivery, context: Context | None) -> Any:
        """Run a step that is more than a coroutine function of one event.

        Where a run does not wait for its commits, a step waits that has to be on record as begun.
        """
        scribe = self._runner.scribe
        if delivery.begun and scribe is not None and not scribe.gated:
            await scribe.flush()
        needs, hosts = body.step.parameters.resources, self._runner.hosts
        if not needs or hosts is None:
            return await self._run_kind(body, delivery, context, {})
        async with hosts.for_attempt(needs) as resources:
            return await self._run_kind(body, delivery, context, resources)

    async def _run_kind(
        self,
        body: Body,
        delivery: Delivery,
        context: Context | None,
        resources: Mapping[str, object],
    ) -> Any:
        events = [record.event for record in delivery.records]
        if body.kind == "sync":
            call = partial(body.call, events, context, resources)
            return await run_in_thread(call, self._limiters.get(body.name))
        if body.kind == "generator":
            await run_generator(
                body.call(events, context, resources),
                partial(self._give, delivery),
                partial(self._runner.waiting.for_room, delivery),
                body.name,
            )
            return None
        return await body.call(events, context, resources)

    def _give(self, delivery: Delivery, event: Event) -> bool:
        """Let out what a generator yields; return whether there is room for more."""
        runner = self._runner
        runner.check_storable(event)
        digest = runner.codec.digest(event)
        try:
            return runner.machine.inside.give(delivery, event, digest, runner.clock())
        finally:
            runner.after_input()

    async def look_through(
        self, name: str, returned: object, context: Context | None
    ) -> Sequence[Event]:
        """Check what a step returned that is no event, without holding the event loop for long.

        Others run meanwhile. They must not come between what the step has read of the state and its
        commit, so one that has is looked at in one piece; nor must they change what it returned.

        Raises:
            TypeError: it is neither a list nor a tuple of events.
            StateValueError: one of them can't be stored, and the run is.
        """
        events = check_returned(name, returned)
        if self._runner.scribe is not None and (context is None or not context.knows_state):
            events = list(events) if isinstance(events, list) else tuple(events)
            await self._runner.scribe.drafting.look_through(self._runner, events)
        return events

    def settle(self, context: Context | None, returned: Any) -> Outputs | None:
        """What an attempt leaves besides what it returned; all of it can be committed.

        Raises:
            StateConflictError: it read a key that has changed meanwhile, and wrote it.
            StateValueError: it leaves something that can't be stored.
        """
        outputs = None if context is None else context.settle()
        if self._runner.scribe is not None:
            self._runner.check_storable(*emitted(returned, outputs))
        return outputs

    # ---- ends ----------------------------------------------------------------------------------

    def failed(self, delivery: Delivery, error: BaseException) -> None:
        """Report that an attempt has failed, with the verdict of its retry policy."""
        machine, watch, now = self._runner.machine, self._runner.watch, self._runner.clock()
        if is_fatal(error):
            if watch is not None:
                watch.failed(delivery, error, None)
            machine.handling.released(delivery, now)
            machine.fail(error, now)
            return
        _chain_to_handled(delivery, error)
        error, retry_in = self._verdict(delivery, error, now)
        if watch is not None:
            watch.failed(delivery, error, retry_in)
        machine.handling.failed(delivery, error, retry_in, now)

    def reported(self) -> None:
        """Carry out what follows from the end of an attempt; its lane has the commit stored."""
        runner = self._runner
        if runner.scribe is None:
            runner.after_input()
        else:
            runner.scribe.report(runner)

    def released(self, delivery: Delivery) -> None:
        """Report that an attempt was cancelled, for no fault of its own."""
        machine, now = self._runner.machine, self._runner.clock()
        if delivery.doom is None:
            self._runner.stop()
        machine.handling.released(delivery, now)

    def _verdict(
        self, delivery: Delivery, error: BaseException, now: float
    ) -> tuple[BaseException, float | None]:
        policy = self._steps[delivery.step.index].retry
        if policy is None or not isinstance(error, Exception):
            return error, None
        first = delivery.started if delivery.first_tried is None else delivery.first_tried
        random = self._runner.options.random()
        try:
            return error, policy.delay(delivery.attempts + 1, now - first, error, random)
        except Exception as broken:
            broken.__context__ = error
            broken.add_note("raised by the predicate of the step's Retry(on=...)")
            return broken, None


def timeout_of(delivery: Delivery, cancelled: BaseException) -> StepTimeoutError:
    """Make the error of an attempt that was cancelled because its time was up."""
    timeout = delivery.step.timeout
    assert timeout is not None, "only an attempt with a time limit runs out of it"
    error = StepTimeoutError(delivery.step.name, delivery.events, timeout)
    error.__cause__ = cancelled
    return error


def _chain_to_handled(delivery: Delivery, error: BaseException) -> None:
    """Let the failure of an error step show the failure that it was handling."""
    event = delivery.records[0].event if delivery.records else None
    handled = getattr(event, "error", None)
    if isinstance(handled, BaseException) and error.__context__ is None and error is not handled:
        error.__context__ = handled
