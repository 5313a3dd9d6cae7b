"""The handle of a run: what the user holds while it goes on."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Any, Generic, Literal, TypeVar, cast

import anyio
import attrs
from anyio.abc import TaskGroup
from anyio.lowlevel import checkpoint

from .._events import Event, InputRequestEvent
from .._exceptions import (
    RunEndedError,
)
from .._machine import Outcome
from .._numbers import check_seconds
from ._groups import leave_group
from ._history import History
from ._outcomes import outcome_of
from ._runner import Runner
from ._streams import Broadcast, EventStream, Overflow

if TYPE_CHECKING:
    from .._snapshot import Snapshot

__all__ = ["Run", "RunStatistics", "RunStatus", "StepStatistics"]

R = TypeVar("R", covariant=True)

RunStatus = Literal["running", "paused", "suspended", "completed", "failed", "cancelled"]


@attrs.frozen
class StepStatistics:
    """The counts of one step.

    Attributes:
        waiting: deliveries that wait for a slot or for dispatch.
        running: attempts that run now.
        done: invocations handled.
        failed: invocations that failed for good.
        retried: attempts that were repeated after a failure.
    """

    waiting: int
    running: int
    done: int
    failed: int
    retried: int


@attrs.frozen
class RunStatistics:
    """The counts of a run at one moment.

    Attributes:
        steps: by the name of the step, in the order of the workflow's list.
        active_time: seconds in which the run was neither paused nor only waiting for a human;
            ``None`` for a workflow without a ``timeout``, where nobody counts them.
    """

    steps: Mapping[str, StepStatistics]
    active_time: float | None


class Run(Generic[R]):
    """A run of a workflow, as an asynchronous context manager.

    ::

        async with workflow.start(name="Ada") as run:
            async for event in run.stream_events():
                print(event)
            result = await run.result()

    Leaving the block waits for the run. An exception in the block cancels the run and is raised
    itself; an outer cancellation cancels it. A run that fails does not cancel the block: its error
    is raised by :meth:`result`, or on leaving if nobody fetched it. A run that could only go on
    with the handle's help (paused, waiting for input, idle for external events) is suspended on
    leaving, which raises the error that carries the snapshot.

    All synchronous methods belong to the event loop's thread.
    """

    def __init__(self, run_id: str, make_runner: Callable[[], Awaitable[Runner]]) -> None:
        self._run_id = run_id
        self._make_runner = make_runner
        self._started: Runner | None = None
        self._group: TaskGroup | None = None
        self._fetchers = 0

    def __repr__(self) -> str:
        status = "not started" if self._started is None else self.status
        return f"<Run {self._run_id!r} {status}>"

    async def __aenter__(self) -> Run[R]:
        if self._started is not None:
            raise RuntimeError("a run can be entered once; start another with workflow.start()")
        self._started = await self._make_runner()
        self._group = anyio.create_task_group()
        await self._group.__aenter__()
        self._group.start_soon(self._started.drive, name=f"run {self._run_id}")
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        runner, group = self._runner, self._group
        assert group is not None
        if exc is None:
            runner.machine.close(runner.clock())
        else:
            runner.machine.cancel(runner.clock())
        runner.after_input()
        await leave_group(group, exc)
        if self._fetchers:
            return
        if exc is None:
            self._raise_unfetched()
        else:
            runner.log_failure()  # the block's own exception is the one that is raised

    def _raise_unfetched(self) -> None:
        outcome = self._outcome
        if outcome.kind == "failed" or (
            outcome.kind == "suspended" and not self._runner.suspend_asked
        ):
            outcome_of(self._runner)

    # ---- what can be read ----------------------------------------------------------------------

    @property
    def run_id(self) -> str:
        """The id of the run; the same after a resume."""
        return self._run_id

    @property
    def status(self) -> RunStatus:
        """What the run is doing, or how it ended."""
        machine = self._runner.machine
        if machine.outcome is not None:
            return machine.outcome.kind
        return "paused" if machine.paused else "running"

    @property
    def requests(self) -> tuple[InputRequestEvent, ...]:
        """The open requests for input, in the order in which they were made."""
        return tuple(self._runner.requests.open())

    @property
    def history(self) -> History:
        """What happened, as typed facts; the newest ``Workflow(history=...)`` of them."""
        return self._runner.history

    def statistics(self) -> RunStatistics:
        """Count what each step has done and has to do."""
        runner = self._runner
        return RunStatistics(
            {
                step.plan.name: StepStatistics(
                    step.pending, step.running, step.done, step.failed, step.retried
                )
                for step in runner.machine.counts()
            },
            None
            if runner.machine.plan.timeout is None
            else runner.machine.active_time(runner.clock()),
        )

    def stream_events(
        self, *, buffer: int = 1024, overflow: Overflow = "error", lifecycle: bool = False
    ) -> EventStream:
        """Watch the run: what steps write to the stream, and requests for input.

        Args:
            buffer: how many events may wait for this subscriber.
            overflow: what happens to a subscriber that lags; see :class:`EventStream`.
            lifecycle: show lifecycle facts (:class:`LifecycleEvent`), too.

        Returns:
            A stream of all that is shown from now on; it ends when the run does.

        Raises:
            TypeError: ``buffer`` is no whole number.
            ValueError: ``buffer`` is less than 1, or ``overflow`` is no policy.
        """
        runner = self._runner
        streams = runner.broadcast
        assert isinstance(streams, Broadcast), "a handle is of an outermost run"
        stream = streams.subscribe(buffer=buffer, overflow=overflow, lifecycle=lifecycle)
        runner.follow_facts()
        return stream

    # ---- the end -------------------------------------------------------------------------------

    async def result(self) -> R:
        """Wait for the end of the run and return its result.

        Raises:
            StepFailedError: a step failed, from its exception.
            WorkflowError: the run ended otherwise without a result; see the error tree.
        """
        self._fetchers += 1
        try:
            await self._runner.wait_until_over()
        except BaseException:
            self._fetchers -= 1
            raise
        return cast("R", outcome_of(self._runner))

    def cancel(self) -> None:
        """Cancel the run. Leaving the block waits until everything of it has finished."""
        runner = self._runner
        runner.cancel_asked = True
        runner.machine.cancel(runner.clock())
        runner.after_input()

    async def flush(self) -> None:
        """Wait until all that the run has taken and committed so far is in its store.

        So an event from outside is acknowledged: ``run.send_event(event)``, then
        ``await run.flush()``. A run without a store has nothing to wait for.

        Raises:
            StoreError: it could not be stored; the run has failed.
        """
        await checkpoint()
        if self._runner.scribe is not None:
            await self._runner.scribe.flush()

    async def suspend(self, *, grace: float = 0) -> Snapshot:
        """End the run so that it can go on from the snapshot, perhaps in another process.

        Dispatch stops. Running steps have ``grace`` seconds to finish; then they are cancelled, and
        what they were handling will be delivered again without an attempt used up. Worker threads
        can't be cancelled and are waited for. If this call is itself cancelled, the run is
        suspended without further grace.

        Args:
            grace: seconds.

        Raises:
            RunEndedError: the run had ended, or ended during the grace time.
            StateValueError: something in the run can't be written to a snapshot.
        """
        check_seconds("grace", grace)
        runner = self._going()
        runner.suspend_asked = True
        runner.pause()
        try:
            if grace > 0:
                with anyio.move_on_after(grace):
                    await runner.wait_until_quiet()
        finally:
            runner.suspend()
        await runner.wait_until_over()
        if self._outcome.kind != "suspended":
            ended = RunEndedError(f"run {self._run_id!r} ended before it could be suspended")
            raise ended from self._outcome.error
        return runner.final_snapshot()

    # ---- steering ------------------------------------------------------------------------------

    def send_event(self, event: Event) -> None:
        """Send an event into the run from outside.

        Args:
            event: goes to the steps that accept it; an ``InputResponseEvent`` answers its request,
                as :meth:`respond_to_input` does.

        Raises:
            TypeError: ``event`` is no event.
            NoHandlerError: no step accepts it; the run goes on.
            UnknownRequestError: ``event`` answers a request that is not open.
            RunEndedError: the run has ended.
            WorkflowFullError: a step that accepts it has ``max_pending`` deliveries waiting.
        """
        runner = self._going()
        if not isinstance(event, Event):
            raise TypeError(f"send_event takes an event, not {type(event).__qualname__}")
        runner.send_from_outside(event)

    def respond_to_input(self, request_id: str, response: Any) -> None:
        """Answer a request, of the run or of a child run.

        Args:
            request_id: of one of :attr:`requests`.
            response: the answer, as the step is to get it.

        Raises:
            UnknownRequestError: no such request is open; ``reason`` says why.
            RunEndedError: the run has ended.
        """
        self._going().requests.respond(request_id, response)

    def pause(self) -> None:
        """Stop dispatch at once. What is running goes on; events and answers are taken.

        Raises:
            RunEndedError: the run has ended.
        """
        self._going().pause()

    def resume(self) -> None:
        """Dispatch again after a :meth:`pause`.

        Raises:
            RunEndedError: the run has ended.
        """
        self._going().resume()

    def snapshot(self) -> Snapshot:
        """Write down all that the run needs to go on from this moment.

        Events that are being handled count as not handled. Works also when the run has failed, was
        cancelled or suspended: what was not handled is still there.

        Raises:
            RunEndedError: the run has completed; there is nothing to go on with.
            StateValueError: an event holds something that can't be written, with type and field.
        """
        runner = self._runner
        if runner.machine.stopped_by is not None:
            raise RunEndedError(f"run {self._run_id!r} has completed")
        return runner.snapshot()

    # ---- inside --------------------------------------------------------------------------------

    @property
    def _runner(self) -> Runner:
        if self._started is None:
            raise RuntimeError("the run has not been started; write: async with workflow.start()")
        return self._started

    @property
    def _outcome(self) -> Outcome:
        outcome = self._runner.machine.outcome
        assert outcome is not None, "the run has ended"
        return outcome

    def _going(self) -> Runner:
        runner = self._runner
        if runner.machine.outcome is not None:
            raise RunEndedError(f"run {self._run_id!r} has ended: {runner.machine.outcome.kind}")
        return runner
