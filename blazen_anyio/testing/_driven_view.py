"""What can be seen of a run that is driven by hand; see :mod:`._driving` for what can be done."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .._events import InputRequestEvent
from .._run import RunStatus
from .._run._outcomes import result_of
from .._workflow import Workflow
from ._driver import Driver, Invocation
from ._transcript import SimulatedFact

__all__ = ["DrivenView"]


class DrivenView:
    """What can be seen of a run that is driven by hand."""

    def __init__(self, workflow: Workflow[Any], driver: Driver) -> None:
        self._workflow = workflow
        self._driver = driver
        self._machine = driver.machine

    def __repr__(self) -> str:
        return f"<DrivenRun of {self._workflow.name!r}, {self.status}, at {self.now:g} s>"

    @property
    def now(self) -> float:
        """The virtual time, in seconds."""
        return self._driver.now

    @property
    def workflow(self) -> str:
        """The name of the workflow."""
        return self._workflow.name

    @property
    def ready(self) -> tuple[Invocation, ...]:
        """The attempts that are yours to make, oldest first; none that waits inside."""
        opened = self._driver.open.items()
        return tuple(each for delivery, each in opened if delivery.phase == "running")

    @property
    def waiting(self) -> tuple[Invocation, ...]:
        """The attempts that wait inside, for an event, an answer, room or their slot."""
        opened = self._driver.open.items()
        return tuple(each for delivery, each in opened if delivery.phase != "running")

    @property
    def requests(self) -> tuple[InputRequestEvent, ...]:
        """The open requests for input."""
        return tuple(self._machine.requests)

    @property
    def state(self) -> Mapping[str, Any]:
        """The committed state."""
        return dict(self._machine.state)

    @property
    def facts(self) -> tuple[SimulatedFact, ...]:
        """What happened, oldest first."""
        return tuple(SimulatedFact(*fact) for fact in self._driver.facts)

    @property
    def status(self) -> RunStatus:
        """``"running"``, ``"paused"``, or how the run ended."""
        outcome = self._machine.outcome
        if outcome is not None:
            return outcome.kind
        return "paused" if self._machine.paused else "running"

    @property
    def ended(self) -> bool:
        """Whether the run has completed, failed, been cancelled or been suspended."""
        return self._machine.outcome is not None

    @property
    def result(self) -> Any:
        """What the run returned.

        Raises:
            LookupError: it has not completed; from what has failed it, if anything has.
        """
        outcome = self._machine.outcome
        if outcome is None or outcome.kind != "completed":
            raise LookupError(f"the run has no result: it is {self.status}") from self.error
        return result_of(outcome.event)

    @property
    def error(self) -> BaseException | None:
        """What failed the run, if anything has."""
        outcome = self._machine.outcome
        return None if outcome is None else outcome.error

    @property
    def next_deadline(self) -> float | None:
        """When something is due by itself; ``None`` if nothing is."""
        return self._machine.next_deadline

    def find(self, step: str) -> Invocation:
        """The oldest ready invocation of a step.

        Raises:
            LookupError: there is none.
        """
        for invocation in self.ready:
            if invocation.step == step:
                return invocation
        names = ", ".join(invocation.step for invocation in self.ready) or "nothing"
        raise LookupError(f"step {step!r} is not ready; {names} is; the run is {self.status}")
