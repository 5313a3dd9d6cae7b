"""The machine's live objects: what the rows of a run look like while it runs.

They are mutable and refer to each other directly, so that a hop costs no look-up. Each knows its
row; a snapshot says nothing but what all the rows say. A *record* is an event with its place in the
run; a *delivery* is that event on its way to one step, from the commit that emitted it until it is
handled.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Literal, Protocol

from .._events import Event, InputRequestEvent, StopEvent
from .plan import StepPlan
from .records import ROOT, ChildRow, DeliveryRow, EffectRow, EventRow, RequestRow, ScopeRow

if TYPE_CHECKING:
    from .items import Items
    from .timers import Timer

__all__ = [
    "Carrier",
    "Child",
    "Children",
    "Delivery",
    "Doom",
    "Effect",
    "Phase",
    "Record",
    "Request",
    "Scope",
]

Phase = Literal["held", "ready", "running", "waiting", "delayed", "gone"]
"""Where a delivery is: behind the commit gate, in a queue, with the runner, waiting in the engine
inside its step, put off until a time, or no longer in the run."""

Doom = Literal["timeout", "suspend", "discard"]
"""Why a running attempt is being cancelled: its time is up, the run is being suspended (it will be
delivered again), or nothing that comes of it counts any more."""


EffectKind = Literal["send", "yield", "request", "wait"]


class Carrier(Protocol):
    """What runs an attempt, as the runner knows it."""

    def cancel(self) -> None: ...


class Scope:
    """A fan-out scope: what was emitted into it and all that this caused.

    ``members`` holds its tokens: deliveries, items that will be some, open requests, child scopes,
    and the generator that still adds to it. It has drained when there is none. A dict, because
    cancelling walks it and the order must be the same in every process.
    """

    __slots__ = (
        "abandoned",
        "branch",
        "closing",
        "held_by",
        "id",
        "items",
        "members",
        "opener",
        "parent",
        "recoveries",
    )

    def __init__(
        self, id: int, parent: Scope | None, branch: int, opener: StepPlan | None, recoveries: int
    ) -> None:
        self.id = id
        self.parent = parent
        self.branch = branch
        self.opener = opener
        self.recoveries = recoveries
        self.held_by: Delivery | None = None
        self.items = 0
        self.closing = False
        self.abandoned = False
        self.members: dict[Delivery | Items | Request | Scope, None] = {}

    def joined_by(self, gather: int) -> Scope | None:
        """The nearest scope, this one or further out, whose drain fires the step ``gather``."""
        scope: Scope | None = self
        while scope is not None:
            if scope.opener is not None and gather in scope.opener.gathers:
                return scope
            scope = scope.parent
        return None

    def opened_by(self, step: StepPlan) -> Scope | None:
        """The nearest scope, this one or further out, that ``step`` opened."""
        scope: Scope | None = self
        while scope is not None and scope.opener is not step:
            scope = scope.parent
        return scope

    def row(self) -> ScopeRow:
        assert self.parent is not None and self.opener is not None, "the root scope has no row"
        return ScopeRow(
            id=self.id,
            parent=self.parent.id,
            branch=self.branch,
            opener=self.opener.name,
            held=self.held_by.id if self.held_by is not None else 0,
            items=self.items,
            closing=self.closing,
            abandoned=self.abandoned,
            recoveries=self.recoveries,
        )


class Record:
    """An event with its place in the run. Immutable but for ``holders`` and ``mailbox``.

    ``holders`` counts who needs it (deliveries, joins, the mailbox); at none its row goes. Only a
    run that keeps a journal has rows, and counts to the end.
    """

    __slots__ = (
        "branch",
        "cause",
        "event",
        "holders",
        "id",
        "mailbox",
        "position",
        "recoveries",
        "scope",
    )

    def __init__(
        self,
        id: int,
        event: Event,
        cause: int,
        position: int,
        scope: Scope,
        branch: int,
        recoveries: int,
    ) -> None:
        self.id = id
        self.event = event
        self.cause = cause
        self.position = position
        self.scope = scope
        self.branch = branch
        self.recoveries = recoveries
        self.holders = 0
        self.mailbox = False

    def row(self) -> EventRow:
        return EventRow(
            id=self.id,
            event=self.event,
            cause=self.cause,
            position=self.position,
            scope=self.scope.id,
            branch=self.branch,
            recoveries=self.recoveries,
            mailbox=self.mailbox,
        )


class Effect:
    """One early effect of an invocation; see :class:`~blazen_anyio._machine.records.EffectRow`."""

    __slots__ = (
        "answer",
        "delivery",
        "digest",
        "due",
        "kind",
        "number",
        "request",
        "scope",
        "settled",
    )

    def __init__(self, delivery: int, number: int, kind: EffectKind, digest: str) -> None:
        self.delivery = delivery
        self.number = number
        self.kind: EffectKind = kind
        self.digest = digest
        self.scope: Scope | None = None
        self.request = ""
        self.due: float | None = None
        self.settled: Literal["answered", "timed_out"] | None = None
        self.answer: Any = None

    def row(self) -> EffectRow:
        return EffectRow(
            delivery=self.delivery,
            number=self.number,
            kind=self.kind,
            digest=self.digest,
            scope=self.scope.id if self.scope is not None else ROOT,
            request=self.request,
            due=self.due,
            settled=self.settled,
            answer=self.answer,
        )


class Child:
    """One child run of an invocation.

    Attributes:
        number: ascending from 0 within the invocation.
        workflow: the name of the child's workflow.
        digest: of the event that it begins with.
        begun: whether the attempt under way has asked for it.
        save: writes the child run down as plain data; the runner's. ``None`` before it has begun.
        saved: what was written down before this process took over.
        answers: given to requests in ``saved`` before the child has begun again, by request id.
        asks: tells the open requests of the child run and of its own; the runner's, like ``save``.
        result: the stop event of a child that has finished in this process.
        write_result: writes it down as plain data; the runner's.
        written_result: what was written down by a process before this one.
    """

    __slots__ = (
        "answers",
        "asks",
        "begun",
        "delivery",
        "digest",
        "number",
        "result",
        "save",
        "saved",
        "workflow",
        "write_result",
        "written_result",
    )

    def __init__(self, delivery: int, number: int, workflow: str, digest: str) -> None:
        self.delivery = delivery
        self.number = number
        self.workflow = workflow
        self.digest = digest
        self.begun = False
        self.save: Callable[[], Any] | None = None
        self.asks: Callable[[], list[InputRequestEvent]] | None = None
        self.saved: Any = None
        self.answers: dict[str, Any] = {}
        self.result: StopEvent | None = None
        self.write_result: Callable[[], Any] | None = None
        self.written_result: Any = None

    @property
    def is_dormant(self) -> bool:
        """Whether it was written down and has not begun again yet."""
        return self.saved is not None and self.save is None and not self.has_ended

    @property
    def has_ended(self) -> bool:
        """Whether its result is there."""
        return self.result is not None or self.written_result is not None

    def row(self) -> ChildRow:
        saved, result = self.saved, self.written_result
        if self.result is not None and self.write_result is not None:
            result = self.write_result()
        if result is not None:
            saved = None
        elif self.save is not None:
            saved = self.save()
        return ChildRow(
            delivery=self.delivery,
            number=self.number,
            workflow=self.workflow,
            digest=self.digest,
            saved=saved,
            result=result,
            answers=list(self.answers.items()) or None,
        )


class Children:
    """The child runs of an invocation, in the order in which they were first asked for."""

    __slots__ = ("runs",)

    def __init__(self) -> None:
        self.runs: list[Child] = []

    def begin_again(self) -> None:
        """Another delivery asks for the child runs anew."""
        for child in self.runs:
            child.begun = False


class Delivery:
    """An event (or several, for a joining step) on its way to one step, until it is handled.

    The machine hands it out as the invocation to run. Read it; only the machine changes it.

    Attributes:
        id: unique in the run and the same on every attempt and redelivery.
        order: its place in the queue; ascending, a new one when it queues again behind the others.
        step: who handles it.
        records: what it handles.
        scope, branch, recoveries: the place in the run of what it emits.
        attempts: how many attempts have failed.
        due: not before this time.
        first_tried: when the first attempt started.
        deliveries, begun: see :class:`~blazen_anyio._machine.records.DeliveryRow`.
        started: when the running attempt started.
        phase, doom: see :data:`Phase` and :data:`Doom`.
        effects: what attempts have let out early; ``cursor`` is how many this attempt has made, and
            ``repeated`` the yields among them that an earlier attempt had made.
        waiting_for: the wait or request that the running attempt is suspended in.
        resumes: handed out not to start an attempt but to wake the one that waited.
        opened: the scope that it fans out into early (a generator's).
        carrier: the runner's own: what runs the attempt. The machine does not look at it.
        children: the child runs of its attempt; ``memos`` what ``ctx.once`` remembers.
        timer: what ends its delay or its attempt; ``time_left`` of the attempt while it waits.
    """

    __slots__ = (
        "attempts",
        "begun",
        "branch",
        "carrier",
        "children",
        "cursor",
        "deliveries",
        "doom",
        "due",
        "effects",
        "first_tried",
        "id",
        "memos",
        "opened",
        "order",
        "phase",
        "records",
        "recoveries",
        "repeated",
        "resumes",
        "scope",
        "started",
        "step",
        "time_left",
        "timer",
        "waiting_for",
    )

    def __init__(
        self,
        id: int,
        step: StepPlan,
        records: tuple[Record, ...],
        scope: Scope,
        branch: int,
        recoveries: int,
    ) -> None:
        self.id = id
        self.order = id
        self.step = step
        self.records = records
        self.scope = scope
        self.branch = branch
        self.recoveries = recoveries
        self.attempts = 0
        self.due: float | None = None
        self.first_tried: float | None = None
        self.deliveries = 0
        self.begun = False
        self.started = 0.0
        self.phase: Phase = "ready"
        self.doom: Doom | None = None
        self.effects: list[Effect] | None = None
        self.cursor = 0
        self.repeated: list[Event] | None = None
        self.waiting_for: Effect | None = None
        self.resumes = False
        self.carrier: Carrier | None = None
        self.children: Children | None = None
        self.memos: dict[str, Any] | None = None
        self.opened: Scope | None = None
        self.timer: Timer | None = None
        self.time_left: float | None = None

    @property
    def has_early_effects(self) -> bool:
        """Whether its success has to be held against what it let out, or ran, before."""
        return self.effects is not None or self.step.generates or self.children is not None

    @property
    def events(self) -> Event | list[Event]:
        """What the step is called with: the event, or the list of a joining step."""
        if self.step.joins:
            return [record.event for record in self.records]
        return self.records[0].event

    def origin(self) -> tuple[str, int | None]:
        """The type name of its event and who emitted that, for facts.

        Of a joining step's first; for a gather that has nothing to gather the element type, and
        ``None``.
        """
        if self.records:
            record = self.records[0]
            return record.event.event_type, record.cause
        return self.step.accepts[0].event_type, None

    def row(self) -> DeliveryRow:
        return DeliveryRow(
            id=self.id,
            order=self.order,
            step=self.step.name,
            events=tuple(record.id for record in self.records),
            scope=self.scope.id,
            branch=self.branch,
            recoveries=self.recoveries,
            attempts=self.attempts,
            due=self.due,
            first_tried=self.first_tried,
            deliveries=self.deliveries,
            begun=self.begun,
        )


class Request:
    """A question to a human that is open."""

    __slots__ = ("branch", "delivery", "effect", "event", "number", "recoveries", "scope")

    def __init__(
        self, event: InputRequestEvent, number: int, scope: Scope, branch: int, recoveries: int
    ) -> None:
        self.event = event
        self.number = number
        self.scope = scope
        self.branch = branch
        self.recoveries = recoveries
        self.delivery: Delivery | None = None
        self.effect: Effect | None = None

    @property
    def id(self) -> str:
        return self.event.request_id

    @property
    def asking(self) -> tuple[str, int] | tuple[None, None]:
        """The step that waits for the answer inside, if any, and the number of its delivery."""
        return (self.delivery.step.name, self.delivery.id) if self.delivery else (None, None)

    def row(self) -> RequestRow:
        return RequestRow(
            id=self.id,
            event=self.event,
            number=self.number,
            scope=self.scope.id,
            branch=self.branch,
            recoveries=self.recoveries,
            delivery=self.delivery.id if self.delivery is not None else 0,
        )
