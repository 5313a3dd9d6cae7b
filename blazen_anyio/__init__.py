"""Typed, event-driven workflows on structured concurrency.

Async functions (*steps*) receive typed *events* and return events; the engine routes every event by
its type to the steps that accept it and runs them concurrently until a ``StopEvent``. It lives
inside any anyio program and runs the same on asyncio and on trio. See :class:`Workflow`.
"""

from typing import TYPE_CHECKING

from ._context import Context
from ._events import (
    DynamicEvent,
    Event,
    InputRequestEvent,
    InputResponseEvent,
    LifecycleEvent,
    StartEvent,
    StepFailed,
    StopEvent,
    secret,
)
from ._exceptions import (
    AttemptLostError,
    ContextClosedError,
    DefinitionError,
    InputRequiredError,
    JoinIncompleteError,
    NoHandlerError,
    NonDeterministicStepError,
    RunBusyError,
    RunCancelledError,
    RunEndedError,
    RunLostError,
    RunSuspendedError,
    SnapshotError,
    SnapshotVersionError,
    StateConflictError,
    StateValueError,
    StepFailedError,
    StepTimeoutError,
    StoreError,
    StreamLagError,
    UnknownRequestError,
    WorkflowError,
    WorkflowFullError,
    WorkflowStalledError,
    WorkflowTimeoutError,
)
from ._graph import Graph
from ._imports import imported_when_used
from ._machine import Fact, FactKind
from ._retry import Retry
from ._run import (
    Durability,
    EventStream,
    History,
    InputHandler,
    Overflow,
    Run,
    RunStatistics,
    RunStatus,
    StepStatistics,
)
from ._state import State, StateKey
from ._steps import Batch, Gather, Resource, StepFunction, step
from ._workflow import Workflow

if TYPE_CHECKING:
    from ._durable import StoredMisfit
    from ._observer import Observer
    from ._report.report import Report, report, stored_report
    from ._run._recovery import RecoveredRun
    from ._snapshot import Snapshot
    from ._stages import Parallel, Results, Stage, pipeline
    from ._store import HistoryEntry, HistoryFact, Store, StoredRun, StoredStatus

__all__ = [
    "AttemptLostError",
    "Batch",
    "Context",
    "ContextClosedError",
    "DefinitionError",
    "Durability",
    "DynamicEvent",
    "Event",
    "EventStream",
    "Fact",
    "FactKind",
    "Gather",
    "Graph",
    "History",
    "HistoryEntry",
    "HistoryFact",
    "InputHandler",
    "InputRequestEvent",
    "InputRequiredError",
    "InputResponseEvent",
    "JoinIncompleteError",
    "LifecycleEvent",
    "NoHandlerError",
    "NonDeterministicStepError",
    "Observer",
    "Overflow",
    "Parallel",
    "RecoveredRun",
    "Report",
    "Resource",
    "Results",
    "Retry",
    "Run",
    "RunBusyError",
    "RunCancelledError",
    "RunEndedError",
    "RunLostError",
    "RunStatistics",
    "RunStatus",
    "RunSuspendedError",
    "Snapshot",
    "SnapshotError",
    "SnapshotVersionError",
    "Stage",
    "StartEvent",
    "State",
    "StateConflictError",
    "StateKey",
    "StateValueError",
    "StepFailed",
    "StepFailedError",
    "StepFunction",
    "StepStatistics",
    "StepTimeoutError",
    "StopEvent",
    "Store",
    "StoreError",
    "StoredMisfit",
    "StoredRun",
    "StoredStatus",
    "StreamLagError",
    "UnknownRequestError",
    "Workflow",
    "WorkflowError",
    "WorkflowFullError",
    "WorkflowStalledError",
    "WorkflowTimeoutError",
    "pipeline",
    "report",
    "secret",
    "step",
    "stored_report",
]

if not TYPE_CHECKING:  # pragma: no branch  # type checkers shall notice a name that is not there
    __getattr__ = imported_when_used(
        __name__,
        {
            "_durable": ["StoredMisfit"],
            "_observer": ["Observer"],
            "_report": ["Report", "report", "stored_report"],
            "_run._recovery": ["RecoveredRun"],
            "_snapshot": ["Snapshot"],
            "_stages": ["Parallel", "Results", "Stage", "pipeline"],
            "_store": ["HistoryEntry", "HistoryFact", "Store", "StoredRun", "StoredStatus"],
        },
    )

    def __dir__() -> list[str]:
        return __all__
