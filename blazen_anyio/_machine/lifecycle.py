"""The life of a run: whether it goes on, for how long it has been active, and how it ends.

Every input is closed by :meth:`Lifecycle.commit` or :meth:`Lifecycle.check_idle`, which find out
what follows from it for the run as a whole:

* The first end counts, whatever brings it: a stop event, a failure, a cancellation, a suspension.
* With nothing queued, running, delayed or awaited the run has stalled, unless it may receive events
  from outside; a run that only the outside could move on is suspended once nobody is there.
* The time limit counts neither the time in which the run is paused nor that in which it only waits
  for a human.
"""

from __future__ import annotations

from itertools import repeat

from .._exceptions import WorkflowStalledError
from .facts import FactKind
from .joins import records_of
from .ledger import Ledger
from .live import Delivery
from .outcome import Offer, Outcome
from .scopes import Scopes

__all__ = ["Lifecycle"]


class Lifecycle:
    """The rules of a run as a whole.

    Attributes:
        paused: dispatch is stopped.
        open: somebody may be there who could send, answer or resume.
        suspending: what runs is being cancelled, to be delivered again.
        out: how many attempts have been handed out and not been reported.
        since: when the last input came, for the active time.
        late: errors of attempts that ended after the run had.
        answers_requests: whether an input handler answers requests.
    """

    __slots__ = (
        "_scopes",
        "answers_requests",
        "late",
        "ledger",
        "open",
        "out",
        "paused",
        "since",
        "suspending",
        "told_end",
    )

    def __init__(self, ledger: Ledger, scopes: Scopes) -> None:
        self.ledger = ledger
        self._scopes = scopes
        self.paused = False
        self.open = True
        self.suspending = False
        self.told_end = False
        self.out = 0
        self.since = 0.0
        self.late: list[BaseException] = []
        self.answers_requests = False

    def account(self, now: float) -> None:
        """Count the time since the last input if the run was active in it.

        A run's limit counts neither the time in which it is paused nor that in which it only waits
        for a human.
        """
        if self.ledger.plan.timeout is not None:
            if self.is_active():
                self.ledger.active_time += now - self.since
            self.since = now

    def is_active(self) -> bool:
        ledger = self.ledger
        if self.paused or ledger.ending is not None:
            return False
        only_waits = ledger.requests or ledger.resting
        return bool(self.moves or ledger.delayed or not only_waits)

    @property
    def moves(self) -> bool:
        """Whether an attempt is at work, or one may begin.

        What waits for the slot of an attempt that rests, because its child runs wait for somebody
        outside, moves as little as that.
        """
        ledger = self.ledger
        if not ledger.resting:
            return bool(ledger.active)
        dispatch = ledger.dispatch
        return dispatch.running > len(ledger.resting) or dispatch.has_backlog()

    def time_limit(self) -> float | None:
        """When the run has been active for as long as it may be, if it goes on being active."""
        if self.ledger.plan.timeout is None or not self.is_active():
            return None
        return self.since + self.ledger.plan.timeout - self.ledger.active_time

    def commit(self, now: float) -> None:
        """Close the change under way, with all that follows from it."""
        ledger = self.ledger
        if ledger.drained:
            self._scopes.drain()
        if ledger.news:
            self._tell_news(now)
        ledger.commit()
        if ledger.ending is not None:
            self.tell_end(now)
        elif not ledger.active or self.paused or ledger.resting:
            self.check_idle(now)

    def _tell_news(self, now: float) -> None:
        """Tell what has happened in the change under way."""
        note = self.ledger.note()
        for kind, step, event_type, invocation, cause, times in self.ledger.news:
            fact = (kind, now, step, event_type, None, None, None, invocation, cause)
            for each in repeat(fact, times):
                note(each)
        self.ledger.news.clear()

    def end_attempt(self, delivery: Delivery) -> None:
        """The runner has reported the end of an attempt."""
        self.out -= 1
        delivery.repeated = None
        self.ledger.end_attempt(delivery)

    def end_now(self, outcome: Outcome, now: float) -> None:
        self.ledger.end_now(outcome)
        self.tell_end(now)

    def fail_run(self, error: BaseException, now: float, delivery: Delivery | None = None) -> None:
        """End the run over an error of its workflow; the attempt that met it counts as not made."""
        if delivery is not None:
            self.tell_step("step_failed", delivery, now, error, at_once=True)
            self.end_attempt(delivery)
            self.ledger.dispatch.put_back(delivery)
        if self.ledger.ending is None:
            self.end_now(Outcome("failed", error=error), now)

    def check_idle(self, now: float) -> None:
        """Find out whether the run can still move on by itself, and end it if it can't."""
        ledger = self.ledger
        if ledger.ending is not None or ledger.gate:
            return
        if self.suspending:
            if not self.out:
                self.end_now(Outcome("suspended"), now)
        elif self.paused and not self.open:
            # A pause does not wait for a waiter, nor for one whose wait is over.
            if self.ledger.dispatch.running == len(ledger.resting):
                self.end_now(Outcome("suspended"), now)
        elif not self.moves and not ledger.delayed and not self.is_being_judged:
            self.idle(now)

    @property
    def at_rest(self) -> bool:
        """Whether the run, inside another, does nothing before somebody outside has done something.

        A run of one's own is suspended in this state once nobody is there; a child leaves that to
        the outermost run.
        """
        ledger = self.ledger
        if ledger.ending is not None or ledger.gate:
            return False
        if self.paused:
            return self.ledger.dispatch.running == len(ledger.resting)
        if self.moves or ledger.delayed or self.is_being_judged:
            return False
        return self.awaits_help()

    def idle(self, now: float) -> None:
        if self.awaits_help():
            if not self.open:
                self.end_now(Outcome("suspended"), now)
        elif not self.awaits_itself():
            error = WorkflowStalledError(self.ledger.plan.name, self.unfinished_joins())
            self.end_now(Outcome("failed", error=error), now)

    def awaits_itself(self) -> bool:
        """Whether something will happen without help: an answer of the handler, or a time-out."""
        ledger = self.ledger
        return bool(ledger.requests and self.answers_requests) or any(
            effect.due is not None for effect in ledger.waiting.values()
        )

    def awaits_help(self) -> bool:
        """Whether only somebody outside can move the run on."""
        ledger = self.ledger
        return not self.awaits_itself() and bool(
            ledger.requests or ledger.waiting or ledger.resting or self.ledger.plan.external
        )

    @property
    def is_being_judged(self) -> bool:
        """Whether an attempt waits that may yet claim an event that it is being offered."""
        ledger = self.ledger
        return bool(ledger.waiting) and any(isinstance(each, Offer) for each in ledger.orders)

    def unfinished_joins(self) -> list[str]:
        ledger = self.ledger
        counts: dict[tuple[str, str], int] = {}
        for place in ledger.joins:
            for record in records_of(place.entries):
                key = (place.step.name, record.event.event_type)
                counts[key] = counts.get(key, 0) + 1
        return [
            f"step {step!r} holds {count} of {kind} and waits for more"
            for (step, kind), count in counts.items()
        ]

    def tell(
        self,
        kind: FactKind,
        now: float,
        step: str | None = None,
        event_type: str | None = None,
        invocation: int | None = None,
        cause: int | None = None,
    ) -> None:
        if self.ledger.publish is not None:
            self.ledger.tell((kind, now, step, event_type, None, None, None, invocation, cause))

    def tell_at_once(self, kind: FactKind, now: float) -> None:
        """Tell what no commit makes true, and no commit has to come for."""
        if self.ledger.publish is not None:
            self.ledger.publish((kind, now, None, None, None, None, None, None, None))

    def tell_step(
        self,
        kind: FactKind,
        delivery: Delivery,
        now: float,
        error: BaseException | None = None,
        *,
        at_once: bool = False,
    ) -> None:
        """Tell that an attempt has ended: with the commit that follows from it, or at once."""
        ledger = self.ledger
        if ledger.publish is not None:
            tell = ledger.publish if at_once else ledger.tell
            event_type, cause = delivery.origin()
            tell(
                (
                    kind,
                    now,
                    delivery.step.name,
                    event_type,
                    delivery.attempts + 1,
                    now - delivery.started,
                    None if error is None else _name(error),
                    delivery.id,
                    cause,
                )
            )

    def tell_end(self, now: float) -> None:
        outcome = self.ledger.outcome
        if outcome is None or self.told_end:
            return
        self.told_end = True
        if self.ledger.publish is not None:
            error = None if outcome.error is None else _name(outcome.error)
            kind: FactKind = f"run_{outcome.kind}"  # type: ignore[assignment]
            self.ledger.publish((kind, now, None, None, None, None, error, None, None))


def _name(error: BaseException) -> str:
    kind = type(error)
    return f"{kind.__module__}.{kind.__qualname__}"
