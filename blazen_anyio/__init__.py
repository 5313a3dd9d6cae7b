"""Typed, event-driven workflows on structured concurrency.

Async functions (*steps*) receive typed *events* and return events; the engine routes every event by
its type to the steps that accept it and runs them concurrently until a ``StopEvent``. It lives
inside any anyio program and runs the same on asyncio and on trio. See :class:`Workflow`.
"""

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
)
from ._exceptions import (
    ContextClosedError,
    DefinitionError,
    InputRequiredError,
    JoinIncompleteError,
    NoHandlerError,
    NonDeterministicStepError,
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
from ._machine import Fact, FactKind
from ._retry import Retry
from ._run import (
    EventStream,
    History,
    InputHandler,
    Overflow,
    Run,
    RunStatistics,
    RunStatus,
    StepStatistics,
)
from ._snapshot import Snapshot
from ._stages import Parallel, Results, Stage, pipeline
from ._state import State, StateKey
from ._steps import Batch, Gather, Resource, StepFunction, step
from ._workflow import Workflow

__all__ = [
    "Batch",
    "Context",
    "ContextClosedError",
    "DefinitionError",
    "DynamicEvent",
    "Event",
    "EventStream",
    "Fact",
    "FactKind",
    "Gather",
    "Graph",
    "History",
    "InputHandler",
    "InputRequestEvent",
    "InputRequiredError",
    "InputResponseEvent",
    "JoinIncompleteError",
    "LifecycleEvent",
    "NoHandlerError",
    "NonDeterministicStepError",
    "Overflow",
    "Parallel",
    "Resource",
    "Results",
    "Retry",
    "Run",
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
    "StoreError",
    "StreamLagError",
    "UnknownRequestError",
    "Workflow",
    "WorkflowError",
    "WorkflowFullError",
    "WorkflowStalledError",
    "WorkflowTimeoutError",
    "pipeline",
    "step",
]
