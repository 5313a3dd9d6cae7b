"""The runner: carries out what the machine decides. The only place that starts tasks.

``drive`` is one run from its first to its last task: it opens the task group of the steps, follows the
machine's deadlines with one timer, and returns when every attempt has been reported. It raises nothing
but an outer cancellation: how the run ended is in the machine. Everything else here is called from the
lanes, from a step's context or from the handle, always in the event loop's thread, and follows one
pattern: tell the machine, then :meth:`Runner.after_input`.
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import Awaitable, Callable, Mapping
from contextvars import Context as ContextVars
from contextvars import copy_context
from functools import partial
from typing import TYPE_CHECKING, Any

import anyio
import attrs

from .._codec import Codec
from .._context import Context
from .._events import Event, InputRequestEvent, LifecycleEvent
from .._exceptions import (
    NoHandlerError,
    StepFailedError,
    StepTimeoutError,
    WorkflowFullError,
)
from .._machine import (
    Cancel,
    Delivery,
    Effect,
    Machine,
    Offer,
    RawFact,
    Record,
    Show,
)
from .._snapshot import Snapshot
from .._state import Committed, State
from ._bodies import Body, run_generator, run_in_thread
from ._failures import is_fatal, without_cancellations
from ._history import History
from ._lanes import Lane
from ._streams import Broadcast

if TYPE_CHECKING:
    from anyio.abc import TaskGroup

    from .._workflow import Workflow

__all__ = ["InputHandler", "Runner", "RunOptions"]

logger = logging.getLogger("blazen_anyio")

InputHandler = Callable[[InputRequestEvent], Awaitable[Any]]


@attrs.frozen(kw_only=True)
class RunOptions:
    """What a run is started with besides its event.

    Attributes:
        input_handler: answers requests, each in a task of its own.
        history: how many facts to keep; 0 for none, ``None`` for all.
        random: numbers from [0, 1), for the jitter of retries.
    """

    input_handler: InputHandler | None = None
    history: int | None = 1000
    random: Callable[[], float] = random.random


@attrs.define(eq=False)
class _Waiter:
    """A step that waits in the engine."""

    kind: type[Event] | None
    where: Callable[[Any], bool] | None
    ready: anyio.Event = attrs.field(factory=anyio.Event)
    error: BaseException | None = None


class Runner:
    """Runs one run.

    Attributes:
        machine: decides.
        steps: how to run each step, by its index.
        broadcast: the run's streams.
        history: the run's facts.
        stopping: the run's scope is cancelled; no lane is reused any more.
        ended: set when the run is over and everything of it has finished.
    """

    def __init__(
        self,
        machine: Machine,
        *,
        steps: tuple[Body, ...],
        codec: Codec,
        options: RunOptions,
    ) -> None:
        self.machine = machine
        self.steps = steps
        self.history = History(options.history)
        self.broadcast = Broadcast(on_room=self._want_lane_if_backlog)
        self.ended = anyio.Event()
        self.stopping = False
        self.on_asyncio = anyio.get_cancelled_exc_class() is asyncio.CancelledError
        self.clock = _clock(self.on_asyncio)
        self.suspend_asked = False
        self._codec = codec
        self._options = options
        self._limiters = {
            body.name: anyio.CapacityLimiter(limit)
            for body in steps
            if body.kind == "sync" and (limit := body.step.options.max_concurrency) is not None
        }
        self._committed = Committed(machine.state, machine.versions)
        self._context_vars: ContextVars = copy_context()
        self._group: TaskGroup | None = None
        self._spare: Lane | None = None
        self._changed = anyio.Event()
        self._waiters: dict[Delivery, _Waiter] = {}
        self._quiet: anyio.Event | None = None
        self._final: Snapshot | None = None
        machine.answers_requests = options.input_handler is not None
        self.follow_facts()

    # ---- the run -------------------------------------------------------------------------------

    async def drive(self) -> None:
        """Run to the end; return when everything of the run has finished.

        Raises nothing but a cancellation from outside, after the run has been cancelled by it.
        """
        try:
            await self._drive_steps()
        finally:
            self.machine.cancel(self.clock())  # if it has not ended, this was cancelled
            self._report_late()
            self.broadcast.close()
            self.ended.set()

    async def _drive_steps(self) -> None:
        try:
            async with anyio.create_task_group() as group:
                self._group = group
                self.after_input()
                try:
                    await self._follow_deadlines()
                finally:
                    # At once, before any lane can take more: this may be a cancellation.
                    self.machine.cancel(self.clock())
                if not self.machine.finished:
                    self.stopping = True
                    group.cancel_scope.cancel()
        except BaseExceptionGroup as errors:
            error = without_cancellations(errors)
            if error is None:
                raise
            self.machine.fail(error, self.clock())
        finally:
            self._group = None

    async def _follow_deadlines(self) -> None:
        """Be the run's one timer until it has ended."""
        machine = self.machine
        while machine.outcome is None:
            self._changed = anyio.Event()
            deadline = machine.next_deadline
            if deadline is None:
                await self._changed.wait()
                continue
            with anyio.CancelScope(deadline=deadline):
                await self._changed.wait()
            now = self.clock()
            if now >= deadline:
                machine.tick(now)
                self.after_input()

    def after_input(self) -> None:
        """Carry out what the machine wants after it has been told something."""
        machine = self.machine
        orders = machine.orders
        while orders:
            order = orders.popleft()
            if isinstance(order, Cancel):
                self._cancel(order.delivery)
            elif isinstance(order, Show):
                self._show_request(order.request)
            elif isinstance(order, Offer):
                self._offer(order.record)
        if machine.outcome is not None or machine.sooner:
            self._changed.set()
        self._want_lane_if_backlog()

    # ---- lanes ---------------------------------------------------------------------------------

    @property
    def has_spare(self) -> bool:
        """Whether a lane is scheduled that has not begun."""
        return self._spare is not None

    def want_lane(self) -> None:
        """See to it that a spare lane is scheduled."""
        if self._spare is None and self._group is not None and not self.stopping:
            lane = self._spare = Lane(self)
            self._start(lane, lane.run(), "lane")

    def _want_lane_if_backlog(self) -> None:
        if self.machine.backlog and not self.broadcast.congested:
            self.want_lane()

    def _start(self, lane: Lane, body: Any, name: str) -> None:
        assert self._group is not None, "lanes are started while the run goes on"
        lane.task = self._group.create_task(
            body, name=f"{name} of {self.machine.run_id}", context=self._context_vars.copy()
        )

    def lane_started(self, lane: Lane) -> None:
        """A lane has begun to run; another may be scheduled as the spare one."""
        if self._spare is lane:
            self._spare = None

    def lane_ended(self, lane: Lane) -> None:
        """A lane retires; what it would have gone on with needs another."""
        self._want_lane_if_backlog()
        if self._quiet is not None and not self.machine.busy:
            self._quiet.set()

    def start_alone(self, delivery: Delivery) -> None:
        """Run an invocation in a task of its own."""
        lane = delivery.carrier = Lane(self)
        self._start(lane, lane.run_alone(delivery), f"step {delivery.step.name}")

    def shares_lanes(self, delivery: Delivery) -> bool:
        """Whether the lane that took an invocation runs it itself."""
        return not self.steps[delivery.step.index].own_task

    def wake(self, delivery: Delivery) -> None:
        """A step that waited in the engine has its slot back."""
        self._waiters[delivery].ready.set()

    def _cancel(self, delivery: Delivery) -> None:
        if delivery.carrier is not None:
            delivery.carrier.cancel()

    # ---- attempts ------------------------------------------------------------------------------

    async def run_body(self, body: Body, delivery: Delivery, context: Context | None) -> Any:
        """Run a step that is more than a coroutine function."""
        events = [record.event for record in delivery.records]
        resources: Mapping[str, object] = {}
        if body.kind == "sync":
            call = partial(body.call, events, context, resources)
            return await run_in_thread(call, self._limiters.get(body.name))
        if body.kind == "generator":
            await run_generator(
                body.call(events, context, resources),
                partial(self._give, delivery),
                partial(self._wait_in_engine, delivery, _Waiter(None, None)),
                body.name,
            )
            return None
        return await body.call(events, context, resources)

    def failed(self, delivery: Delivery, error: BaseException) -> None:
        """Report that an attempt has failed, with the verdict of its retry policy."""
        now = self.clock()
        if is_fatal(error):
            self.machine.released(delivery, now)
            self.machine.fail(error, now)
            return
        _chain_to_handled(delivery, error)
        self.machine.failed(delivery, *self._verdict(delivery, error, now), now)

    def released(self, delivery: Delivery) -> None:
        """Report that an attempt was cancelled, not for a fault of its own."""
        now = self.clock()
        if delivery.doom is None:
            # Cancelled from outside: nothing may be dispatched from here on.
            self.machine.cancel(now)
        self.machine.released(delivery, now)

    def timeout_of(self, delivery: Delivery, cancelled: BaseException) -> StepTimeoutError:
        """Make the error of an attempt that was cancelled because its time was up."""
        timeout = delivery.step.timeout
        assert timeout is not None
        error = StepTimeoutError(delivery.step.name, delivery.events, timeout)
        error.__cause__ = cancelled
        return error

    def _verdict(
        self, delivery: Delivery, error: BaseException, now: float
    ) -> tuple[BaseException, float | None]:
        policy = self.steps[delivery.step.index].retry
        if policy is None or not isinstance(error, Exception):
            return error, None
        first = delivery.started if delivery.first_tried is None else delivery.first_tried
        try:
            wait = policy.delay(delivery.attempts + 1, now - first, error, self._options.random())
        except Exception as broken:
            broken.__context__ = error
            broken.add_note("raised by the predicate of the step's Retry(on=...)")
            return broken, None
        return error, wait

    # ---- for contexts --------------------------------------------------------------------------

    @property
    def run_id(self) -> str:
        """The id of the run."""
        return self.machine.run_id

    def new_state(self) -> State:
        """Make one attempt's view of the state."""
        return State(self._committed, self._codec)

    def show(self, event: Event) -> None:
        """Show an event to watchers."""
        self.broadcast.publish(event)

    def send_early(self, delivery: Delivery, event: Event, delay: float) -> None:
        """Let an event of a running attempt out at once."""
        digest = self._codec.digest(event)
        try:
            self.machine.send_early(delivery, event, digest, delay, self.clock())
        finally:
            self.after_input()

    def collected(self, delivery: Delivery, kind: str) -> list[Event]:
        """What waits under ``kind`` for ``ctx.collect_events``."""
        return self.machine.collected(delivery, kind)

    async def wait_for_event(
        self,
        delivery: Delivery,
        kind: type[Event],
        where: Callable[[Any], bool] | None,
        timeout: float | None,
    ) -> Event:
        """Suspend an attempt until an event is claimed for it."""
        digest = kind.event_type
        wait = partial(self.machine.wait, delivery, digest, timeout)
        answer = await self._wait_for(delivery, _Waiter(kind, where), wait)
        assert isinstance(answer, Event)
        return answer

    async def request_input(
        self, delivery: Delivery, request: InputRequestEvent, timeout: float | None
    ) -> Any:
        """Suspend an attempt until a human has answered."""
        digest = self._codec.digest(request)
        ask = partial(self.machine.ask, delivery, request, digest, timeout)
        return await self._wait_for(delivery, _Waiter(None, None), ask)

    async def run_workflow(
        self, delivery: Delivery, child: Workflow[Any], event: Event | None
    ) -> Any:
        """Run a child inside an attempt."""
        raise NotImplementedError

    async def once(
        self, delivery: Delivery, key: str, fn: Callable[..., Any], args: tuple[Any, ...]
    ) -> Any:
        """Do something once per invocation."""
        raise NotImplementedError

    def _give(self, delivery: Delivery, event: Event) -> bool:
        digest = self._codec.digest(event)
        try:
            return self.machine.give(delivery, event, digest, self.clock())
        finally:
            self.after_input()

    async def _wait_for(
        self, delivery: Delivery, waiter: _Waiter, wait: Callable[[float], Effect]
    ) -> Any:
        self._waiters[delivery] = waiter
        try:
            effect = wait(self.clock())
            self.after_input()
            if effect.settled is None or delivery.phase != "running":
                await self._wait_in_engine(delivery, waiter)
        finally:
            self._waiters.pop(delivery, None)
        if effect.settled == "timed_out":
            raise TimeoutError("nothing came in time")
        return effect.answer

    async def _wait_in_engine(self, delivery: Delivery, waiter: _Waiter) -> None:
        """Wait until the machine has handed the attempt its slot back."""
        waiter.ready = anyio.Event()
        self._waiters[delivery] = waiter
        try:
            await waiter.ready.wait()
        finally:
            self._waiters.pop(delivery, None)
        if waiter.error is not None:
            raise waiter.error

    def _offer(self, record: Record) -> None:
        """Let the waiting steps judge an event, first come, first served."""
        for delivery, _ in self.machine.waits():
            waiter = self._waiters.get(delivery)
            if waiter is None or waiter.kind is None or not record.mailbox:
                continue
            if not isinstance(record.event, waiter.kind):
                continue
            try:
                fits = waiter.where is None or waiter.where(record.event)
            except Exception as error:
                waiter.error = error
                waiter.ready.set()
                continue
            if fits:
                self.machine.claim(delivery, record, self.clock())
                return

    # ---- requests ------------------------------------------------------------------------------

    def _show_request(self, request: InputRequestEvent) -> None:
        self.broadcast.publish(request)
        if self._options.input_handler is not None and self._group is not None:
            self._group.create_task(
                self._ask_handler(request), name=f"input handler of {self.run_id}"
            )

    async def _ask_handler(self, request: InputRequestEvent) -> None:
        handler = self._options.input_handler
        assert handler is not None
        try:
            response = await handler(request)
        except anyio.get_cancelled_exc_class():
            raise
        except BaseException as error:
            self._handler_failed(request, error)
            return
        if any(each.request_id == request.request_id for each in self.machine.requests):
            self.machine.respond(request.request_id, response, self.clock())
            self.after_input()

    def _handler_failed(self, request: InputRequestEvent, error: BaseException) -> None:
        failure = without_cancellations(error)
        if failure is None:
            raise error
        if not is_fatal(failure):
            failed = StepFailedError("input_handler", request, 1, failure)
            failed.__cause__ = failure
            failure = failed
        self.machine.fail(failure, self.clock())
        self.after_input()

    # ---- for the handle ------------------------------------------------------------------------

    def send_from_outside(self, event: Event) -> None:
        """Take an event from outside, if a step accepts it and has room."""
        if not self.machine.plan.accepts(event):
            raise NoHandlerError(event, None)
        if not self.machine.has_room(event):
            raise WorkflowFullError(event)
        self.machine.send(event, self.clock())
        self.after_input()

    async def wait_until_quiet(self) -> None:
        """Wait until no step is running; only of use while dispatch is stopped."""
        if self.machine.busy:
            self._quiet = anyio.Event()
            await self._quiet.wait()

    def suspend(self) -> None:
        """Cancel what runs, to be delivered again, and end the run with a snapshot to come."""
        threads = sorted(
            {
                delivery.step.name
                for delivery in self.machine.running
                if self.steps[delivery.step.index].kind == "sync"
            }
        )
        if threads:
            logger.warning(
                "run %s is being suspended and waits for the worker threads of: %s",
                self.run_id,
                ", ".join(threads),
            )
        self.machine.suspend(self.clock())
        self.after_input()

    def final_snapshot(self) -> Snapshot:
        """The snapshot of a suspended run, taken when all of it had finished."""
        if self._final is None:
            self._final = self.snapshot()
        return self._final

    # ---- facts ---------------------------------------------------------------------------------

    def follow_facts(self) -> None:
        """Have the machine tell facts if anybody wants them."""
        if self.broadcast.wants_lifecycle:
            self.machine.publish = self._publish_fact
        elif self.history.enabled:
            self.machine.publish = self.history.append
        else:
            self.machine.publish = None

    def _publish_fact(self, fact: RawFact) -> None:
        self.history.append(fact)
        kind, _, step, event_type, attempt, duration, error = fact
        self.broadcast.publish_fact(
            LifecycleEvent(kind, step, event_type, duration, attempt, error)
        )

    # ---- the end -------------------------------------------------------------------------------

    def snapshot(self) -> Snapshot:
        """Write the run down as it is between two inputs."""
        now = self.clock()
        return Snapshot.of(
            self.machine.snapshot(now),
            run_id=self.machine.run_id,
            workflow=self.machine.plan.name,
            codec=self._codec,
            offset=time.time() - now,
        )

    def _report_late(self) -> None:
        """See to it that errors which came after the end of the run are not lost."""
        late, outcome = self.machine.late, self.machine.outcome
        error = outcome.error if outcome is not None else None
        others = [each for each in late if each is not error]
        if isinstance(error, StepFailedError):
            error.others = tuple(others)
            return
        for other in others:
            logger.error(
                "run %s: a step failed while the run was ending",
                self.machine.run_id,
                exc_info=other,
            )


def _clock(on_asyncio: bool) -> Callable[[], float]:
    """The clock of ``anyio.current_time()``, without looking the backend up at every call."""
    if on_asyncio:
        return asyncio.get_running_loop().time
    import trio  # the run is on trio, so it is there and imported already

    return trio.current_time


def _chain_to_handled(delivery: Delivery, error: BaseException) -> None:
    """Let the failure of an error step show the failure that it was handling."""
    event = delivery.records[0].event if delivery.records else None
    handled = getattr(event, "error", None)
    if isinstance(handled, BaseException) and error.__context__ is None and error is not handled:
        error.__context__ = handled
