"""The machine's live state as rows, and one committed change of it.

A row is what has to be known of one live object, and all rows are what a run needs to go on. A
store has them row by row, by key: :class:`Tables`. A snapshot has the same column by column: see
``sheets``, which turns one into the other.

A :class:`Delta` is what one commit changed: rows put and keys removed. It is a record of facts and
never "replay this input", so it stays true when the code changes. Applying the deltas in order to
empty tables gives the tables of the machine (a property test holds us to it).

Times in rows are the machine's; who writes them out turns them into wall-clock time.
Counts are not stored: they are recounted from the rows on load. Rows are not changed once made;
they are not frozen, because a stored run makes three for each step, and those would cost twice as
much.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from typing import Any, Literal, Protocol

import attrs

from .._events import Event, InputRequestEvent, StopEvent
from .facts import RawFact

__all__ = [
    "ROOT",
    "ChildRow",
    "DeliveryRow",
    "Delta",
    "EffectRow",
    "EventRow",
    "JoinRow",
    "Key",
    "ManyRows",
    "MemoRow",
    "Put",
    "RequestRow",
    "RunRow",
    "ScopeRow",
    "StateRow",
    "TableName",
    "Tables",
]

ROOT = 0
"""The id of the run's outermost scope, which has no row and never drains."""

Key = int | str | tuple[int, int] | tuple[int, str]
TableName = Literal[
    "run",
    "events",
    "deliveries",
    "scopes",
    "joins",
    "requests",
    "effects",
    "memos",
    "children",
    "state",
]


@attrs.define(kw_only=True)
class RunRow:
    """The one row about the run itself (key 0).

    Attributes:
        workflow: the name of the workflow.
        next_id: the next number for an event, delivery, scope, request or join.
        active: seconds the run has been active, for its timeout.
        carrier: what observers left with the run; the machine does not look into it.
    """

    workflow: str
    next_id: int
    active: float = 0.0
    carrier: str = ""


@attrs.define(kw_only=True)
class EventRow:
    """An event that something still needs (a delivery, a join, a mailbox).

    Attributes:
        id: unique in the run; later events have larger ids.
        event: the user's object.
        cause: the id of the delivery that emitted it; 0 from outside.
        position: its place among what its cause emitted.
        scope, branch: the fan-out scope it belongs to and which item of the fan-out caused it; the
            scope has no row any more if it is over and the event still waits for something.
        recoveries: how many failures in its line of causes were handled by error steps.
        mailbox: nobody has claimed it yet (only types that some step may wait for).
    """

    id: int
    event: Event
    cause: int = 0
    position: int = 0
    scope: int = ROOT
    branch: int = 0
    recoveries: int = 0
    mailbox: bool = False


@attrs.define(kw_only=True)
class DeliveryRow:
    """One or more events on their way to one step; an in-flight one is stored as not handled.

    Attributes:
        id: unique in the run.
        order: its place in the queue, ascending.
        step: the name of the step.
        events: ids of the events: one, or what a gather, batch or pair fired with.
        scope, branch, recoveries: where what it emits belongs.
        attempts: how many attempts have failed.
        due: not before this time; ``None`` if it is ready.
        first_tried: when its first attempt started; ``None`` before.
        deliveries: in how many processes that died it was, or may have been, handed out.
        begun: it was handed out, and it is not known how that ended. Only written for a step that
            may run at most once, and for what may have been what a process died of.
    """

    id: int
    order: int
    step: str
    events: tuple[int, ...]
    scope: int = ROOT
    branch: int = 0
    recoveries: int = 0
    attempts: int = 0
    due: float | None = None
    first_tried: float | None = None
    deliveries: int = 0
    begun: bool = False


@attrs.define(kw_only=True)
class ScopeRow:
    """An open fan-out scope.

    Attributes:
        id: unique in the run.
        parent, branch: where its gathers' output belongs.
        opener: the name of the step that opened it.
        held: the id of the delivery that still adds to it (a generator); 0 for none.
        items: how many items have been emitted into it, for numbering the next.
        closing: a ``Gather(count=...)`` has what it wants; only losers are being cleaned up.
        abandoned: nothing that comes of it counts any more.
        recoveries: as in :class:`EventRow`, for what its gathers emit.
    """

    id: int
    parent: int
    branch: int
    opener: str
    held: int = 0
    items: int = 0
    closing: bool = False
    abandoned: bool = False
    recoveries: int = 0


@attrs.define(kw_only=True)
class JoinRow:
    """An event that waits in a gather, a batch, a pair or a collect.

    Attributes:
        id: unique in the run; ascending in order of arrival.
        step: the name of the step that joins.
        scope: the scope it is joined in.
        branch: the branch, for a pair; 0 otherwise.
        slot: for a pair 0 or 1; for a collect the ``event_type`` it is collected under; else 0.
        event: the id of the event.
        path: for a gather, where an event of a nested fan-out stands in the order; empty otherwise.
    """

    id: int
    step: str
    scope: int
    branch: int
    slot: int | str
    event: int
    path: tuple[int, ...] = ()


@attrs.define(kw_only=True)
class RequestRow:
    """A question to a human that is open.

    Attributes:
        id: the ``request_id``.
        event: the request with its id filled in.
        number: ascending in the order in which they were made.
        scope, branch, recoveries: where the answer belongs.
        delivery: the id of the delivery that waits for the answer inside its step; 0 for none.
    """

    id: str
    event: InputRequestEvent
    number: int
    scope: int = ROOT
    branch: int = 0
    recoveries: int = 0
    delivery: int = 0


@attrs.define(kw_only=True)
class EffectRow:
    """What one attempt let out early, so that the next does not again. Key: (delivery, number).

    Attributes:
        delivery: the id of the delivery.
        number: ascending from 0 within the delivery.
        kind: what it was.
        digest: of what it let out.
        scope: for a yield, the scope it went into; 0 otherwise.
        request: for a request, its id.
        due: for a wait, when it gives up; ``None`` for never.
        settled: how a wait or request ended; ``None`` while it has not.
        answer: what came back (an answered request, a claimed event) if it was ``"answered"``.
    """

    delivery: int
    number: int
    kind: Literal["send", "yield", "request", "wait"]
    digest: str
    scope: int = ROOT
    request: str = ""
    due: float | None = None
    settled: Literal["answered", "timed_out"] | None = None
    answer: Any = None


@attrs.define(kw_only=True)
class MemoRow:
    """The remembered result of ``ctx.once``. Key: (delivery, name)."""

    delivery: int
    name: str
    value: Any


@attrs.define(kw_only=True)
class ChildRow:
    """A child run of a delivery. Key: (delivery, number).

    Attributes:
        delivery: the id of the delivery.
        number: ascending from 0 within the delivery.
        workflow: the name of the child's workflow.
        digest: of the event that it begins with.
        saved: the child run as the runner has written it down, plain data; ``None`` if it has
            finished or not begun. What is in it is the child's business and not looked at.
        result: the stop event of a child that has finished, as plain data: only the child's own
            workflow need know its class.
        answers: given to requests in ``saved`` before the child could go on, as pairs of request id
            and response; ``None`` for none.
    """

    delivery: int
    number: int
    workflow: str
    digest: str
    saved: Any = None
    result: Any = None
    answers: list[tuple[str, Any]] | None = None


@attrs.define(kw_only=True)
class StateRow:
    """One key of the committed state."""

    key: str
    value: Any


@attrs.define(kw_only=True)
class Tables:
    """All the rows of a run, by key."""

    run: dict[int, RunRow] = attrs.field(factory=dict[int, RunRow])
    events: dict[int, EventRow] = attrs.field(factory=dict[int, EventRow])
    deliveries: dict[int, DeliveryRow] = attrs.field(factory=dict[int, DeliveryRow])
    scopes: dict[int, ScopeRow] = attrs.field(factory=dict[int, ScopeRow])
    joins: dict[int, JoinRow] = attrs.field(factory=dict[int, JoinRow])
    requests: dict[str, RequestRow] = attrs.field(factory=dict[str, RequestRow])
    effects: dict[tuple[int, int], EffectRow] = attrs.field(
        factory=dict[tuple[int, int], EffectRow]
    )
    memos: dict[tuple[int, str], MemoRow] = attrs.field(factory=dict[tuple[int, str], MemoRow])
    children: dict[tuple[int, int], ChildRow] = attrs.field(factory=dict[tuple[int, int], ChildRow])
    state: dict[str, StateRow] = attrs.field(factory=dict[str, StateRow])

    def apply(self, delta: Delta) -> None:
        """Carry out one committed change."""
        for table, key, row in chain(delta.puts, *(items.rows() for items in delta.items)):
            getattr(self, table)[key] = row
        for table, key in delta.removes:
            getattr(self, table).pop(key, None)


Put = tuple[TableName, Key, Any]
"""A row that is new or has changed: its table, its key and the row."""


class ManyRows(Protocol):
    """Many new rows of one commit, which do not change any more."""

    def rows(self) -> Iterator[Put]:
        """Make them, one after the other."""
        ...


@attrs.define(kw_only=True)
class Delta:
    """What one commit changed.

    Attributes:
        sequence: ascending by one from 1 within a run's life in one process.
        puts: rows that are new or changed.
        removes: keys that are gone.
        items: what came besides in large numbers, and writes its rows down when asked.
        stop: the stop event if the run has completed with it.
        facts: what is told when it is durable; a run without a gate has told it already.
    """

    sequence: int
    puts: tuple[Put, ...] = ()
    removes: tuple[tuple[TableName, Key], ...] = ()
    items: tuple[ManyRows, ...] = ()
    stop: StopEvent | None = None
    facts: tuple[RawFact, ...] = ()
