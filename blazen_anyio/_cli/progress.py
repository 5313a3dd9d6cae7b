"""Progress: the counts of each step, folded from the facts of a log."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import attrs

from .._run import StepStatistics
from .._store import HistoryFact

__all__ = ["Progress"]


@attrs.define
class _Step:
    started: int = 0
    ended: int = 0
    done: int = 0
    failed: int = 0
    retried: int = 0


@attrs.define
class Progress:
    """What the steps of a run have done, as far as its log tells.

    Attributes:
        begun: when the run began, in wall-clock seconds; ``None`` before.
    """

    begun: float | None = None
    _steps: dict[str, _Step] = attrs.field(factory=dict[str, _Step])

    def add(self, facts: Iterable[HistoryFact]) -> None:
        """Count what has happened since, in the run itself and not in its child runs."""
        for fact in facts:
            if not fact.path:
                self._count(fact)

    def _count(self, fact: HistoryFact) -> None:
        self.begun = fact.time if self.begun is None else self.begun
        if fact.step is None:
            if fact.kind == "run_resumed":
                self._restart()
            return
        step = self._steps.setdefault(fact.step, _Step())
        if fact.kind == "step_started":
            step.started += 1
            if (fact.attempt or 1) > 1:
                step.retried += 1
                step.failed = max(0, step.failed - 1)  # not for good, as it turns out
        elif fact.kind in ("step_completed", "step_failed", "step_timed_out", "step_cancelled"):
            step.ended += 1
            step.done += fact.kind == "step_completed"
            step.failed += fact.kind in ("step_failed", "step_timed_out")

    def _restart(self) -> None:
        """What ran in another process runs no more."""
        for step in self._steps.values():
            step.ended = step.started

    def statistics(self, queued: Mapping[str, int]) -> dict[str, StepStatistics]:
        """The counts of each step.

        Args:
            queued: how many deliveries the store has for each step, those in flight included.
        """
        names = dict.fromkeys([*self._steps, *queued])
        return {name: self._of(name, queued.get(name, 0)) for name in names}

    def _of(self, name: str, queued: int) -> StepStatistics:
        step = self._steps.get(name) or _Step()
        # The log tells of an end with the commit after: what the store has no more is done.
        begun = max(0, step.started - step.ended)
        running = min(begun, queued)
        return StepStatistics(
            waiting=queued - running,
            running=running,
            done=step.done + begun - running,
            failed=step.failed,
            retried=step.retried,
        )
