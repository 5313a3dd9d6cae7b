"""The runtime: what the contexts of a run's steps ask of it."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from .._events import Event, InputRequestEvent
from .._exceptions import DefinitionError, SnapshotError
from .._machine import Delivery
from .._state import Committed, State
from ._outcomes import outcome_of, result_of

if TYPE_CHECKING:
    from .._workflow import Workflow
    from ._runner import Runner

__all__ = ["StepRuntime"]


class StepRuntime:
    """Serves :class:`~blazen_anyio.Context`; it implements the protocol ``Runtime`` there."""

    def __init__(self, runner: Runner) -> None:
        self._runner = runner
        self._committed = Committed(runner.machine.state, runner.machine.versions)

    @property
    def run_id(self) -> str:
        """The id of the run."""
        return self._runner.machine.run_id

    def new_state(self) -> State:
        """Make one attempt's view of the state."""
        return State(self._committed, self._runner.codec)

    def show(self, event: Event) -> None:
        """Show an event to watchers."""
        self._runner.broadcast.publish(event)

    def send_early(self, delivery: Delivery, event: Event, delay: float) -> None:
        """Let an event of a running attempt out at once."""
        runner = self._runner
        runner.check_storable(event)
        digest = runner.codec.digest(event)
        try:
            runner.machine.inside.send_early(delivery, event, digest, delay, runner.clock())
        finally:
            runner.after_input()

    def collected(self, delivery: Delivery, kind: str) -> list[Event]:
        """What waits under ``kind`` for ``ctx.collect_events``."""
        return self._runner.machine.handling.collected(delivery, kind)

    async def wait_for_event(
        self,
        delivery: Delivery,
        kind: type[Event],
        where: Callable[[Any], bool] | None,
        timeout: float | None,
    ) -> Event:
        """Suspend an attempt until an event has been claimed for it."""
        return await self._runner.waiting.for_event(delivery, kind, where, timeout)

    async def request_input(
        self, delivery: Delivery, request: InputRequestEvent, timeout: float | None
    ) -> Any:
        """Suspend an attempt until a human has answered."""
        return await self._runner.waiting.for_answer(delivery, request, timeout)

    async def run_workflow(
        self, delivery: Delivery, child: Workflow[Any], event: Event | None
    ) -> Any:
        """Run a child inside an attempt, or give the result that it had before."""
        runner = self._runner
        if any(child.graph.plan is each.machine.plan for each in runner.line()):
            raise DefinitionError(
                f"step {delivery.step.name!r}", [f"workflow {child.name!r} would run inside itself"]
            )
        first = child.first_event(event)
        digest = runner.codec.digest(first)
        record = runner.machine.inside.begin_child(delivery, child.name, digest, runner.clock())
        runner.after_input()
        if not record.has_ended:
            with self._failing_the_run():
                inner = child.make_child(runner, record, first)
            await runner.children.drive(inner, record, delivery)
            if record.result is None:
                return outcome_of(inner)
        elif record.result is None:
            with self._failing_the_run():
                record.result = child.read_result(record.written_result, runner.children.renames)
        return result_of(record.result)

    @contextmanager
    def _failing_the_run(self) -> Generator[None]:
        """What does not fit fails the run, not the step: another attempt would begin it anew."""
        try:
            yield
        except SnapshotError as error:
            self._runner.machine.fail(error, self._runner.clock())
            self._runner.after_input()
            raise

    async def once(
        self, delivery: Delivery, key: str, fn: Callable[..., Any], args: tuple[Any, ...]
    ) -> Any:
        """Do something once per invocation, or give the result that it had before."""
        runner = self._runner
        what = f"once({key!r})"
        if delivery.memos is not None and key in delivery.memos:
            return runner.codec.copy(delivery.memos[key], what)
        result = fn(*args)
        if inspect.isawaitable(result):
            result = await result
        kept = runner.codec.copy(result, what)
        runner.machine.inside.remember(delivery, key, kept, runner.clock())
        runner.after_input()
        if runner.scribe is not None:
            await runner.scribe.flush()
        return result
