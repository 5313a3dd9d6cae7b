"""The runner: carries out what the machine decides. The only place that starts tasks.

``drive`` is one run from its first to its last task: it opens the task group of the steps, follows
the machine's deadlines with one timer, and returns when every attempt has been reported. It raises
nothing but an outer cancellation: how the run ended is in the machine. What steps, contexts and the
handle want comes in through the parts (attempts, waiting, requests, children), always in the event
loop's thread, and follows one pattern: tell the machine, then :meth:`Runner.after_input`.
"""

from __future__ import annotations

import logging
import sys
import time
from collections import deque
from collections.abc import Callable, Coroutine, Iterator, Mapping
from contextvars import Context as ContextVars
from contextvars import copy_context
from typing import TYPE_CHECKING, Any

import anyio
from anyio.lowlevel import checkpoint, checkpoint_if_cancelled

from .._events import Event, InputResponseEvent, LifecycleEvent
from .._exceptions import NoHandlerError, StepFailedError, WorkflowError, WorkflowFullError
from .._machine import Cancel, Child, Delivery, Machine, Order, Outcome, RawFact, Show, Sink, both
from ._attempts import Attempts
from ._bodies import Body
from ._children import Children, Forwarding
from ._failures import without_cancellations
from ._history import History
from ._lanes import Lane
from ._options import RunOptions
from ._requests import Requests
from ._resources import Hosts
from ._runtime import StepRuntime
from ._streams import Broadcast
from ._waiting import Waiting

if TYPE_CHECKING:
    import asyncio

    from anyio import TaskHandle
    from anyio.abc import TaskGroup

    from .._codec import Codec
    from .._snapshot import Saving, Snapshot
    from ._scribe import Scribe
    from ._shelf import Shelf
    from ._watch import Watch

__all__ = ["Runner"]

logger = logging.getLogger("blazen_anyio")


class Runner:
    """Runs one run.

    Args:
        machine: decides; it has been started or restored, or will be before ``drive``.
        steps: how to run each step, by its index.
        find_codec: gives the workflow's codec, which is imported when it is used.
        options: what the run was started with.
        hosts: where the resources of the run will be; ``None`` if it has none.
        replacements: what to open instead of resources, for child runs too.
        parent: the run in a step of which this one runs.
        scribe: has what the run commits stored; ``None`` for a run that is not stored.

    Attributes:
        broadcast: the run's streams.
        history: the run's facts.
        stopping: the run's scope is cancelled; no lane is reused any more.
        spare: the lane that is scheduled and has not begun, if any.
        latest: the lane that was the last to begin an attempt.
        parked: the lane that waits for the store, if any.
        giving_way: how many lanes have given the event loop its turn and will go on.
        conductor: decides in which order attempts go on, in a simulation.
        watch: tells the observers; ``None`` if there are none.
        record: a child run as the run around it knows it.
        shelf: where the rows of a stored run are (no other has one); ``saving`` is how they are
            written.
        suspend_asked, cancel_asked: the run ends because its user wanted it to.
    """

    __slots__ = (
        "_awaited",
        "_broken",
        "_changed",
        "_codec",
        "_conducted",
        "_context_vars",
        "_ended_lanes",
        "_failure_logged",
        "_final",
        "_find_codec",
        "_group",
        "_lane_type",
        "_over",
        "_quiet",
        "asyncio_task",
        "attempts",
        "broadcast",
        "cancel_asked",
        "children",
        "clock",
        "conductor",
        "giving_way",
        "history",
        "hosts",
        "latest",
        "machine",
        "options",
        "parent",
        "parked",
        "path",
        "record",
        "replacements",
        "requests",
        "runtime",
        "saving",
        "scribe",
        "shelf",
        "spare",
        "steps",
        "stopping",
        "suspend_asked",
        "waiting",
        "watch",
    )

    shelf: Shelf

    def __init__(
        self,
        machine: Machine,
        *,
        steps: tuple[Body, ...],
        find_codec: Callable[[], Codec],
        options: RunOptions,
        hosts: Hosts | None,
        replacements: Mapping[Callable[..., object], object],
        parent: Runner | None,
        scribe: Scribe | None = None,
    ) -> None:
        self.machine = machine
        self.steps = steps
        self._find_codec = find_codec
        self._codec: Codec | None = None
        self.options = options
        self.conductor = options.conductor
        self.hosts = hosts
        self.replacements = replacements
        self.parent = parent
        self.scribe = scribe
        self.saving: Saving | None = None
        self.record: Child | None = None
        if scribe is not None and parent is None:
            scribe.root, self.shelf = self, scribe.shelf
        self.path: tuple[str, ...] = () if parent is None else (*parent.path, machine.run_id)
        self.clock, self.asyncio_task = _bearings()
        self.history = History(options.history)
        self.broadcast: Broadcast | Forwarding = (
            Broadcast(on_room=self.room_again)
            if parent is None
            else Forwarding(parent.broadcast, machine.run_id)
        )
        self.attempts = Attempts(self, steps)
        self.waiting = Waiting(self)
        self.requests = Requests(self)
        self.children = Children(self)
        self.runtime = StepRuntime(self)
        self.watch: Watch | None = None
        self._lane_type = Lane
        if options.observers:
            from ._watch import Watch, WatchedLane  # nobody else pays for their imports

            self.watch, self._lane_type = Watch(self, options.observers), WatchedLane
        self._over = False
        self._awaited: anyio.Event | None = None
        self.stopping = False
        self.giving_way = 0
        self.latest: Lane | None = None
        self.suspend_asked = self.cancel_asked = False
        self._context_vars: ContextVars = copy_context()
        self._group: TaskGroup | None = None
        self.spare: Lane | None = None
        self.parked: Lane | None = None
        self._changed: anyio.Event | None = None
        self._quiet: anyio.Event | None = None
        self._final: Snapshot | None = None
        self._ended_lanes: deque[Lane] = deque(maxlen=8)
        self._broken: WorkflowError | None = None
        self._failure_logged = False
        machine.answers_requests = options.input_handler is not None
        self._conducted = None if self.conductor is None else self.conductor.begin(self)
        self.follow_facts()

    @property
    def codec(self) -> Codec:
        """Copies, writes and reads the values of the run."""
        if self._codec is None:
            self._codec = self._find_codec()
        return self._codec

    # ---- the run -------------------------------------------------------------------------------

    async def drive(self) -> None:
        """Run to the end; return when everything of the run has finished.

        Raises nothing but a cancellation from outside, after the run has been cancelled by it.
        """
        try:
            if self.scribe is None or self.parent is not None:
                await self._drive_hosted()
            else:
                async with self.scribe:
                    await self._drive_hosted()
            if self.machine.outcome == Outcome("cancelled"):
                # On trio a lane may have met it first, and the group has kept it to itself.
                await checkpoint_if_cancelled()
        except BaseException:
            self.log_failure()
            raise
        finally:
            self.machine.cancel(self.clock())  # if it has not ended, this was cancelled
            self._report_late()
            self.broadcast.close()
            if self.watch is not None:
                self.watch.end()
            self._over = True
            if self._awaited is not None:
                self._awaited.set()

    def dissolve(self) -> None:
        """Let go of all that refers back to the run, which is over and nobody's any more.

        Its hundred objects are then freed at once, and not left to the garbage collector.
        """
        self._ended_lanes.clear()
        self.scribe = None
        del self.attempts, self.waiting, self.requests, self.children, self.runtime, self.broadcast
        del self.latest

    async def _drive_hosted(self) -> None:
        # Before any step, whose first part would run all the same.
        await checkpoint_if_cancelled()
        if self.watch is not None:
            self.watch.begin(self._context_vars)
        if self.hosts is None:
            await self._drive_steps()
        else:
            async with self.hosts:
                await self._drive_steps()

    async def _drive_steps(self) -> None:
        cancelled: BaseException | None = None
        try:
            async with anyio.create_task_group() as group:
                self._group = group
                self.after_input()
                try:
                    await self._follow_deadlines()
                except BaseException as error:
                    cancelled = error
                    raise
                finally:
                    self.stop()
                if not self.machine.finished or self.requests.in_handler:
                    self.stopping = True
                    group.cancel_scope.cancel()
        except BaseExceptionGroup as errors:
            failure = without_cancellations(errors)
            if failure is None:
                raise
            if failure is not cancelled:  # on trio, Ctrl-C may arrive here as itself
                self._task_broke(failure)
            if cancelled is not None and self._broken is None:
                raise cancelled from None  # the group has replaced a cancellation from outside
        finally:
            cancelled = self._group = None

    def stop(self) -> None:
        """The run has ended, or its tasks are being cancelled: dispatch nothing more.

        Called before any lane can take more. A group that neither the runner nor anybody outside
        has cancelled cancels itself, when one of its tasks has broken; with what is known only
        later.
        """
        group = self._group
        if self.stopping or group is None or not group.cancel_scope.cancel_called:
            self.machine.cancel(self.clock())
        elif self.machine.outcome is None:
            self._broken = WorkflowError(
                "a task of the run broke, most likely over a cancel scope or task group that a "
                f"step left open; the steps that ran last: {self._last_steps()}"
            )
            self.machine.fail(self._broken, self.clock())
        self.waiting.let_leave()
        self._unpark()

    def _task_broke(self, error: BaseException) -> None:
        """Report what came out of a task of the run, and is no failure of a step."""
        if self._broken is not None:
            self._broken.__cause__ = error
        else:
            error.add_note(f"the steps that ran last: {self._last_steps()}")
            self.machine.fail(error, self.clock())

    def _last_steps(self) -> str:
        lanes = self._ended_lanes
        return ", ".join(dict.fromkeys(name for lane in lanes for name in lane.recent))

    async def _follow_deadlines(self) -> None:
        """Be the run's one timer until it has ended."""
        machine = self.machine
        while machine.outcome is None:
            changed = self._changed = anyio.Event()
            deadline = machine.next_deadline
            if deadline is None:
                await changed.wait()
                continue
            with anyio.CancelScope(deadline=deadline):
                await changed.wait()
            now = self.clock()
            if now >= deadline:
                if self.conductor is not None:
                    await self.conductor.turn(self)
                    now = self.clock()
                machine.tick(now)
                self.after_input()

    def _wake_timer(self) -> None:
        if self._changed is not None:
            self._changed.set()

    def after_input(self) -> None:
        """Carry out what the machine wants after it has been told something."""
        if self.scribe is not None:
            self.scribe.take(self)
        if self._group is None:
            return  # not begun yet, and then it will; or over
        machine = self.machine
        if machine.orders:
            self._carry_out(machine.orders)
        # A run with a time limit may have become active again, which no timer tells.
        if machine.outcome is not None or machine.sooner or machine.plan.timeout is not None:
            self._wake_timer()
        self.want_lane_if_backlog()
        self._check_quiet()
        if self.parent is not None:
            self.parent.children.stirred(self)

    def _carry_out(self, orders: deque[Order]) -> None:
        offered = False
        while orders:
            order = orders.popleft()
            if isinstance(order, Cancel):
                # Always there while an attempt runs, so far as anybody has seen.
                if order.delivery.carrier is not None:  # pragma: no branch
                    order.delivery.carrier.cancel()
                    self.waiting.let_leave(order.delivery)
            elif isinstance(order, Show):
                self.requests.show(order.request)
            else:
                self.waiting.offer(order.record)
                offered = True
        if offered:
            self.machine.inside.judged(self.clock())
            if self.scribe is not None:
                self.scribe.take(self)  # what was claimed

    # ---- tasks ---------------------------------------------------------------------------------

    def want_lane(self) -> None:
        """See to it that a spare lane is scheduled."""
        if self.spare is not None or self._group is None or self.stopping:
            return
        if self.parked is not None:
            self._unpark()
            return
        lane = self.spare = self._lane_type(self)
        lane.task = self.start_task(lane.run(), "lane")

    def want_others(self) -> None:
        """A lane is about to run a step: what else there is to do is others'."""
        if self.scribe is not None:
            self.scribe.stir()
        if self.machine.has_backlog():
            self.want_lane()

    @property
    def parks(self) -> bool:
        """Whether a lane that has nothing to do should wait for the store."""
        return (
            self.scribe is not None
            and self.scribe.gated
            and self.parked is None
            and self.machine.outcome is None
            and not self.stopping
        )

    def _unpark(self) -> None:
        """Have the lane that waits for the store go on, as the spare one."""
        if self.parked is not None:
            self.spare, self.parked = self.parked, None
            self.spare.wake()

    def want_lane_if_backlog(self) -> None:
        """See to it that a spare lane is scheduled if there is something for it to do."""
        if self.machine.has_backlog() and not self.held_up:
            self.want_lane()

    def lane_started(self, lane: Lane) -> None:
        """A lane has begun to run; another may be scheduled as the spare one."""
        # Else it is a task of its own, started while a spare lane was scheduled.
        if self.spare is lane:  # pragma: no branch
            self.spare = None

    def take_down(self) -> None:
        """Carry out what followed from that nothing could be handed out."""
        if self.machine.deltas or self.machine.outcome is not None:
            self.after_input()

    def lane_ended(self, lane: Lane) -> None:
        """A lane retires; what it would have gone on with needs another."""
        self._ended_lanes.append(lane)
        self.take_down()
        self.history.trim()
        if self.scribe is not None:
            self.scribe.stir()
        self.want_lane_if_backlog()
        self._check_quiet()

    def start_alone(self, delivery: Delivery) -> None:
        """Run an invocation in a task of its own; what is behind it begins after it has begun."""
        lane = delivery.carrier = self._lane_type(self)
        if self.spare is None:  # pragma: no branch  # mostly: it was not to run anything itself
            self.spare = lane
        lane.task = self.start_task(lane.run_alone(delivery), f"step {delivery.step.name!r}")

    def start_task(self, body: Coroutine[Any, Any, None], what: str) -> TaskHandle[None]:
        """Start a task of the run, from a clean copy of the context that the run was started in."""
        assert self._group is not None, "tasks are started while the run goes on"
        name = f"{what} of run {self.machine.run_id}"
        return self._group.create_task(body, name=name, context=self._context_vars.copy())

    def wake(self, delivery: Delivery) -> None:
        """A step that waited inside has its slot back."""
        self.waiting.wake(delivery)
        self.children.settle(delivery)
        if self.machine.sooner:  # the time limit of its attempt goes on
            self._wake_timer()

    @property
    def held_up(self) -> bool:
        """Whether dispatch waits until subscribers or the store have caught up."""
        return bool(self.broadcast.congested) or (self.scribe is not None and self.scribe.congested)

    def room_again(self) -> None:
        """Subscribers, or the store, have caught up."""
        self.want_lane_if_backlog()
        for child in self.children:
            child.room_again()

    # ---- steering ------------------------------------------------------------------------------

    def send_from_outside(self, event: Event) -> None:
        """Take an event from outside, if a step accepts it and has room; an answer is an answer."""
        if type(event) is InputResponseEvent:
            self.requests.respond(event.request_id, event.response)
            return
        if not self.machine.plan.accepts(event):
            raise NoHandlerError(event, None)
        if not self.machine.handling.has_room(event):
            raise WorkflowFullError(event)
        self.check_storable(event)
        self.machine.send(event, self.clock())
        self.after_input()
        self.history.trim()  # no lane need run for it

    def check_storable(self, *events: Event) -> None:
        """See to it that events can be stored, if the run is.

        Raises:
            StateValueError: one can't.
        """
        if self.scribe is not None:
            self.scribe.drafting.check(self, events)

    def shelve(self, record: Child) -> None:
        """Take the place of a child run among the rows of the run around it."""
        assert self.parent is not None
        self.record = record
        if self.scribe is not None:
            self.shelf = self.parent.shelf.child(record.delivery, record.number)

    def pause(self) -> None:
        """Stop dispatch, in child runs too."""
        self.machine.pause(self.clock())
        for child in self.children:
            child.pause()
        self.after_input()

    def resume(self) -> None:
        """Dispatch again, in child runs too."""
        self.machine.resume(self.clock())
        for child in self.children:
            child.resume()
        self.after_input()

    async def wait_until_over(self) -> None:
        """Wait until the run is over and everything of it has finished."""
        if self._over:
            await checkpoint()
            return
        if self._awaited is None:
            self._awaited = anyio.Event()
        await self._awaited.wait()

    async def wait_until_quiet(self) -> None:
        """Wait until no step is running; only of use while dispatch is stopped."""
        if self.machine.busy:
            self._quiet = anyio.Event()
            await self._quiet.wait()

    def _check_quiet(self) -> None:
        if self._quiet is not None and not self.machine.busy:
            self._quiet.set()

    def suspend(self) -> None:
        """Cancel what runs, to be delivered again, and end the run with a snapshot to come."""
        threads = sorted(set(self._threaded()))
        if threads:
            logger.warning(
                "run %s is being suspended and waits for the worker threads of: %s",
                self.machine.run_id,
                ", ".join(threads),
            )
        self.machine.suspend(self.clock())
        self.after_input()

    def _threaded(self) -> Iterator[str]:
        """The names of the steps that run in worker threads, those of child runs too."""
        for delivery in self.machine.running:
            if self.steps[delivery.step.index].kind == "sync":
                yield delivery.step.name
        for child in self.children:
            yield from child._threaded()

    def line(self) -> Iterator[Runner]:
        """This run and those around it, innermost first."""
        runner: Runner | None = self
        while runner is not None:
            yield runner
            runner = runner.parent

    # ---- facts ---------------------------------------------------------------------------------

    def follow_facts(self) -> None:
        """Have the machine tell facts if anybody wants them."""
        for child in self.children:
            child.follow_facts()
        told: Sink | None = None
        if self.broadcast.wants_lifecycle:
            told = self._publish_fact
        elif self.history.enabled:
            told = self.history.append
        logged = self.scribe is not None and self.scribe.keeps_log
        self.machine.tell(both(told, self._conducted), self._note if logged else None)

    def _note(self, fact: RawFact) -> None:
        assert self.scribe is not None
        self.scribe.note(self, fact)

    def _publish_fact(self, fact: RawFact) -> None:
        self.history.append(fact)
        kind, _, step, event_type, attempt, duration, error, invocation, cause = fact
        self.broadcast.publish_fact(
            LifecycleEvent(kind, step, event_type, duration, attempt, error, invocation, cause)
        )

    # ---- snapshots and the end -----------------------------------------------------------------

    def snapshot(self) -> Snapshot:
        """Write the run down as it is between two inputs."""
        from .._snapshot import Snapshot  # nobody else pays for its imports

        now = self.clock()
        return Snapshot.of(
            self.machine.snapshot(now),
            run_id=self.machine.run_id,
            workflow=self.machine.plan.name,
            codec=self.codec,
            offset=self.options.wall() - now,
            requests=self.requests.kept(),
        )

    def save(self) -> Any:
        """Write a child run down, as plain data for the snapshot around it."""
        return self.snapshot().to_data()

    def final_snapshot(self) -> Snapshot:
        """The snapshot of a suspended run, taken when all of it had finished."""
        if self._final is None:
            self._final = self.snapshot()
        return self._final

    def _report_late(self) -> None:
        """See to it that errors which came while the run was ending are not lost."""
        outcome = self.machine.outcome
        error = outcome.error if outcome is not None else None
        told = (error, getattr(error, "error", None))
        closing = self.hosts.errors if self.hosts is not None else []
        others = tuple(
            each for each in (*self.machine.late, *closing) if all(each is not one for one in told)
        )
        if isinstance(error, StepFailedError):
            error.others = others
            return
        for other in others:
            self.log("an error while the run was ending", other)

    def log_failure(self) -> None:
        """Log why the run has failed, since something else is raised."""
        outcome = self.machine.outcome
        if outcome is not None and outcome.error is not None and not self._failure_logged:
            self._failure_logged = True
            self.log("the run failed, and something else is raised", outcome.error)

    def log(self, what: str, error: BaseException) -> None:
        """Log an error that has no other way to anybody."""
        logger.error("run %s: %s", self.machine.run_id, what, exc_info=error)


def _bearings() -> tuple[Callable[[], float], Callable[[], asyncio.Task[Any] | None]]:
    """The clock of ``anyio.current_time()``, and what tells the task of asyncio that runs, if any.

    Neither looks the backend up at every call. A backend that runs has been imported; one that does
    not is not imported for being asked about.
    """
    asyncio = sys.modules.get("asyncio")
    if asyncio is not None and anyio.get_cancelled_exc_class() is asyncio.CancelledError:
        loop = asyncio.get_running_loop()
        # The clock of asyncio's own loops is this one, with a call between for every attempt.
        is_its_own = getattr(loop.time, "__func__", None) is asyncio.BaseEventLoop.time
        return time.monotonic if is_its_own else loop.time, asyncio.current_task
    from trio.lowlevel import current_clock

    return current_clock().current_time, _no_task


def _no_task() -> None:
    return None
