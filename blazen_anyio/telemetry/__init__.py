"""What an operator sees of runs: observers of one's own, logs, traces and metrics.

An observer goes to the workflow: ``Workflow(..., observers=[OpenTelemetry(), LogContext()])``.

* :class:`Observer` is for one's own; the other classes here are told to it.
* :class:`LogContext`, :class:`LogFilter` and :class:`LogObserver` are for logs; see :mod:`.logs`.
* ``blazen_anyio.telemetry.otel.OpenTelemetry`` makes traces and metrics; it needs the extra
  ``otel`` and is not imported from here.
"""

from __future__ import annotations

from .._observer import (
    AttemptEnd,
    InvocationEnd,
    ObservedAttempt,
    ObservedInvocation,
    ObservedRun,
    Observer,
    RunEnd,
)
from .logs import LogContext, LogFilter, LogObserver, log_fields

__all__ = [
    "AttemptEnd",
    "InvocationEnd",
    "LogContext",
    "LogFilter",
    "LogObserver",
    "ObservedAttempt",
    "ObservedInvocation",
    "ObservedRun",
    "Observer",
    "RunEnd",
    "log_fields",
]
