"""Lanes: tasks that run one invocation after another.

The runner does not start a task per event. A lane takes the next invocation from the machine, runs
it, reports how it ended and goes on with the next. Before it runs a step while more work waits, it
sees to it that a spare lane is scheduled; the spare gets to run only if this one suspends. Steps
that do not suspend share one task, each suspended step costs one spawn, and concurrency has no
bound but the steps' limits.

A lane must be invisible to a step:

* It awaits the step plainly, inside the scope that its task has anyway; to cancel a step is to
  cancel its lane while the step runs. It never awaits between taking an invocation and running it.
* It is reused only if spotless: not cancelled, its context unchanged, no cancellation request left
  over. Otherwise it retires and another takes its place.
* It never runs a step inside an ``except`` block, where a ``raise`` would mean something else.
* It lets the event loop have its turn on a budget, so that steps that never suspend can't starve it
  or outrun a cancellation. A spare that gets to run in such a turn only waits for the next.
* In a stored run, where what it commits is let out only when it is stored, a lane that has nothing
  else to do has it stored, or waits for it, instead of a new one being started for every step.
* A scope that a step left open surfaces when the lane ends; it then tells its recent steps.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from contextlib import suppress
from contextvars import Context as ContextVars
from contextvars import copy_context
from typing import TYPE_CHECKING, Any

import anyio
from anyio.lowlevel import checkpoint, checkpoint_if_cancelled

from .._context import Context
from .._events import Event
from .._machine import Delivery, Outputs
from ._attempts import timeout_of
from ._failures import cancelled_from_outside, without_cancellations

if TYPE_CHECKING:
    import asyncio

    from anyio import TaskHandle

    from ._runner import Runner

__all__ = ["Lane"]

_HOPS_PER_TURN = 48
_SECONDS_PER_TURN = 0.0005
_RECENT_STEPS = 8
_NO_RESOURCES: Mapping[str, object] = {}


class Lane:
    """One task that runs invocations.

    A scope or task group that a step left open, or one of another's that it closed, surfaces as a
    ``RuntimeError`` at the end of the task; the runner makes it the run's, with a note that names
    the steps of :attr:`recent`.

    Attributes:
        recent: the names of the steps it ran last.
        task: the handle of its task, once it was started.
    """

    __slots__ = ("_clean", "_host", "_runner", "_woken", "recent", "task")

    def __init__(self, runner: Runner) -> None:
        self._runner = runner
        self._clean: ContextVars | None = None
        self._host: asyncio.Task[Any] | None = None
        self.recent: deque[str] = deque(maxlen=_RECENT_STEPS)
        self.task: TaskHandle[None] | None = None
        self._woken: anyio.Event | None = None

    def cancel(self) -> None:
        """Cancel the step that this lane runs, and with it the lane."""
        assert self.task is not None, "a lane that runs a step has been started"
        self.task.cancel()

    async def run(self) -> None:  # noqa: C901
        """Run invocations until there is none, the lane is not spotless, or its turn is over.

        In one piece, since a coroutine for a part of it would cost every step one more.
        """
        runner = self._runner
        while runner.giving_way:
            # No lane is suspended in a step: that one goes on, and this stays the spare.
            await self._give_way()
        runner.lane_started(self)
        machine, clock, streams = runner.machine, runner.clock, runner.broadcast
        take, bodies, scribe = machine.handling.take, runner.steps, runner.scribe
        self._begin()
        now = turn = clock()
        hops = 0
        while not streams.congested and (scribe is None or not scribe.congested):
            delivery = take(now)
            if delivery is None:
                if not runner.parks or not await self._park():
                    break
                now = turn = clock()
                hops = 0
                continue
            if delivery.resumes:
                runner.wake(delivery)
                continue
            alone = bodies[delivery.step.index].own_task
            if alone and self.recent:
                runner.start_alone(delivery)
                break
            if (runner.spare is None and machine.has_backlog()) or scribe is not None:
                runner.want_others()
            runner.latest = self
            now = await self.attempt(delivery)
            if alone or not self._is_spotless(delivery):
                await self._wash()
                break
            hops += 1
            if runner.latest is not self:
                # Another has begun meanwhile: the step was suspended, the loop has had its turn.
                turn, hops = now, 0
                runner.history.trim()
            if hops >= _HOPS_PER_TURN or now - turn > _SECONDS_PER_TURN:
                runner.giving_way += 1
                try:
                    await self._give_way()
                finally:
                    runner.giving_way -= 1
                now = turn = clock()
                hops = 0
                runner.history.trim()
        runner.lane_ended(self)

    async def _park(self) -> bool:
        """Have what this lane has committed stored, or wait until another has done it.

        Returns:
            Whether there may be something to do; if not, the run is over.
        """
        runner = self._runner
        assert runner.scribe is not None, "only a lane of a stored run waits for the store"
        runner.take_down()
        try:
            if runner.scribe.may_write:
                await runner.scribe.write(self._become_spare)
                await checkpoint_if_cancelled()
            else:
                woken = self._woken = anyio.Event()
                runner.parked = self
                await woken.wait()
        except anyio.get_cancelled_exc_class():
            runner.stop()
            raise
        runner.lane_started(self)
        return runner.machine.outcome is None

    def _become_spare(self) -> None:
        """What is let out now is this lane's, so that no other is started for it."""
        if self._runner.spare is None:
            self._runner.spare = self

    def wake(self) -> None:
        """End the waiting of a parked lane."""
        assert self._woken is not None, "only a parked lane is woken"
        self._woken.set()

    def _begin(self) -> None:
        """Note what the task is like before any step has run in it."""
        self._clean = copy_context()
        self._host = self._runner.asyncio_task()

    async def _give_way(self) -> None:
        """Let the event loop have its turn. A cancellation from outside may arrive here first."""
        try:
            await checkpoint()
        except anyio.get_cancelled_exc_class():
            self._runner.stop()
            raise

    async def run_alone(self, delivery: Delivery) -> None:
        """Run one invocation in a task of its own."""
        self._begin()
        self._runner.lane_started(self)
        if self._runner.machine.has_backlog():
            self._runner.want_lane()
        await self.attempt(delivery)
        await self._wash()
        self._runner.lane_ended(self)

    async def attempt(self, delivery: Delivery) -> float:  # noqa: C901
        """Run one attempt and report how it ended; return when.

        In one piece, since a coroutine for a part of it would cost every step one more.
        """
        runner = self._runner
        body = runner.steps[delivery.step.index]
        delivery.carrier = self
        self.recent.append(body.name)
        machine = runner.machine
        if machine.deltas or (delivery.timer is not None and machine.sooner):
            # What is next is begun when that is on record, and the run's timer follows this one.
            runner.after_input()
        context = (
            Context(runner.runtime, delivery, body.kind == "sync") if body.wants_context else None
        )
        returned: Any = None
        outputs: Outputs | None = None
        error: BaseException | None = None
        try:
            if runner.conductor is not None:
                returned = await runner.conductor.attempt(runner, delivery, context, body)
            elif not body.plain or delivery.begun:
                returned = await runner.attempts.run_body(body, delivery, context)
            elif body.direct is not None:
                returned = await body.direct(delivery.records[0].event)
            else:
                returned = await body.call((delivery.records[0].event,), context, _NO_RESOURCES)
            if returned is not None and not isinstance(returned, Event):
                returned = await runner.attempts.look_through(body.name, returned, context)
            if context is not None or runner.scribe is not None:
                outputs = runner.attempts.settle(context, returned)
        except BaseException as exc:
            error = exc
        if context is not None:
            context.close()
        now = runner.clock()
        if error is None:
            machine.handling.succeeded(delivery, returned, outputs, now)
        else:
            self._report(delivery, error)
        if machine.wants_attention() or runner.parent or runner.scribe:
            runner.attempts.reported()
        return now

    def _report(self, delivery: Delivery, error: BaseException) -> None:
        """Tell the machine what the exception that came out of a step means."""
        runner = self._runner
        if isinstance(error, GeneratorExit):
            raise error  # the event loop is gone; nothing may be awaited any more
        failure = without_cancellations(error)
        if failure is None and delivery.doom == "timeout":
            failure = timeout_of(delivery, error)
        elif failure is None:
            outside = cancelled_from_outside()
            if outside or delivery.doom is not None or runner.machine.outcome is not None:
                runner.attempts.released(delivery)
                if outside and delivery.doom is None:
                    raise error
                return
            # Nobody cancelled this step: it awaited something that was cancelled.
            failure = error
        elif delivery.doom is None and cancelled_from_outside():
            runner.stop()  # a failing cleanup: the run is cancelled, and this is reported besides
        runner.attempts.failed(delivery, failure)

    def _is_spotless(self, delivery: Delivery) -> bool:
        """Whether the next step would not notice that another ran in this task before it."""
        if delivery.doom is not None or self._runner.stopping:
            return False
        if self._host is not None and self._host.cancelling():
            return False
        try:
            return copy_context() == self._clean
        except Exception:
            # A step left a value behind that can't even be compared.
            return False

    async def _wash(self) -> None:
        """Take back cancellation requests that a step left on its own task."""
        task = self._host
        if task is None or not task.cancelling() or cancelled_from_outside():
            return
        with suppress(anyio.get_cancelled_exc_class()):
            await checkpoint()  # absorbs a request that has not been delivered yet
        while task.cancelling():
            task.uncancel()
