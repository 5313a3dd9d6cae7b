"""Logs: which run, step and attempt a line belongs to.

The engine logs through the logger ``blazen_anyio`` of the standard library, and only what has no
other way to anybody: an error that came while a run was ending, a store that could not give a run
back. Three parts make more of it, each of use without the others:

* :class:`LogContext` notes the fields ``run_id``, ``workflow``, ``step`` and ``attempt`` in the
  context of each attempt, for the lines that steps write.
* :class:`LogFilter` puts the fields on the records of the standard library; with structlog it is
  not needed.
* :class:`LogObserver` writes a line when a run starts and ends, and when an attempt fails.

No line holds an event, a result or, unless it is asked for, the message of an exception.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Generator, Mapping
from contextlib import AbstractContextManager, contextmanager
from contextvars import ContextVar, Token
from typing import Any

from .._observer import (
    AttemptEnd,
    ObservedAttempt,
    ObservedRun,
    Observer,
    RunEnd,
)
from ._errors import error_type

__all__ = ["LogContext", "LogFilter", "LogObserver", "log_fields"]

_FIELDS: ContextVar[Mapping[str, object]] = ContextVar("blazen_anyio.log_fields")

_NAMES = ("run_id", "workflow", "step", "attempt")

_Tokens = Mapping[str, Token[Any]]
_Bind = Callable[..., _Tokens]
_Reset = Callable[..., None]


def log_fields() -> Mapping[str, object]:
    """The fields of the attempt that this is called in, as :class:`LogContext` has noted them.

    Returns:
        ``run_id``, ``workflow``, ``step`` and ``attempt``; the first two in an input handler; none
        outside a run.
    """
    return _FIELDS.get({})


class LogContext(Observer):
    """Notes which run, step and attempt is under way, for log lines that are written in it.

    ``log_fields()`` has the fields in the step, in its worker thread and in its child runs.

    Args:
        structlog: bind them as structlog's context variables, too; its processor
            ``merge_contextvars`` then adds them to each line.

    Raises:
        ImportError: structlog is not installed.

    Example::

        handler.addFilter(LogFilter())
        handler.setFormatter(logging.Formatter("%(run_id)s %(step)s %(message)s"))
        Workflow("shop", steps, observers=[LogContext()])
    """

    def __init__(self, *, structlog: bool = False) -> None:
        self._bind: _Bind = _bind_nothing
        self._reset: _Reset = _reset_nothing
        if structlog:
            self._bind, self._reset = _structlog()

    def run_started(self, run: ObservedRun) -> None:
        """Note the run, in the context of all its tasks."""
        fields = _of_run(run)
        _FIELDS.set(fields)
        self._bind(**fields)

    def attempt_started(self, attempt: ObservedAttempt) -> AbstractContextManager[object]:
        """Note the step and the attempt around the step's body."""
        return self._bound(_of_attempt(attempt))

    @contextmanager
    def _bound(self, fields: Mapping[str, object]) -> Generator[None]:
        token, tokens = _FIELDS.set(fields), self._bind(**fields)
        try:
            yield
        finally:
            # Put back as it was, not unset: the task of the step runs other steps as it is.
            self._reset(**tokens)
            _FIELDS.reset(token)


class LogFilter(logging.Filter):
    """Puts the fields of :func:`log_fields` on log records; ``None`` where there are none.

    Add it to a handler. A record that has a field of such a name keeps its own.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        """Put the fields on a record; all records pass."""
        fields = log_fields()
        for name in _NAMES:
            if not hasattr(record, name):
                setattr(record, name, fields.get(name))
        return True


class LogObserver(Observer):
    """Writes a log line when a run starts, goes on or ends, and when an attempt fails.

    Each line has the fields of :func:`log_fields` as ``extra``, and ``status``, ``duration``
    (seconds), ``error_type`` and ``retry_in`` (seconds) where they apply. A run that has failed is
    an error, a failed attempt a warning; the rest is information.

    Args:
        logger: a logger of the standard library; by default ``blazen_anyio``.
        tracebacks: write exceptions with their messages and tracebacks, which may hold what should
            not be in a log; by default only their types are written, a step's failure by the type
            of what the step raised.
    """

    def __init__(self, logger: logging.Logger | None = None, *, tracebacks: bool = False) -> None:
        self._logger = logging.getLogger("blazen_anyio") if logger is None else logger
        self._tracebacks = tracebacks

    def run_started(self, run: ObservedRun) -> None:
        """Write that a run starts or goes on."""
        how = "goes on" if run.resumed else "starts"
        self._logger.info(
            "run %s of %s %s", run.run_id, run.workflow, how, extra={**_NO_FIELDS, **_of_run(run)}
        )

    def run_ended(self, run: ObservedRun, end: RunEnd) -> None:
        """Write how a run has ended."""
        level = logging.ERROR if end.kind == "failed" else logging.INFO
        text = "run %s of %s: %s after %.3f s"
        details = (run.run_id, run.workflow, _told(end.kind, end.error), end.duration)
        self._write(level, text, details, _of_run(run), end)

    def attempt_ended(self, attempt: ObservedAttempt, end: AttemptEnd) -> None:
        """Write why an attempt has failed, and whether there will be another."""
        if end.kind not in ("failed", "timed_out"):
            return
        then = "" if end.retry_in is None else f"; next attempt in {end.retry_in:.3f} s"
        invocation = attempt.invocation
        text = "run %s: attempt %d of step %s: %s%s"
        what = _told(end.kind, end.error)
        details = (invocation.run.run_id, attempt.number, invocation.step, what, then)
        self._write(logging.WARNING, text, details, _of_attempt(attempt), end)

    def _write(
        self,
        level: int,
        text: str,
        details: tuple[object, ...],
        fields: Mapping[str, object],
        end: RunEnd | AttemptEnd,
    ) -> None:
        extra: dict[str, object] = {**_NO_FIELDS, **fields}
        extra |= {"status": end.kind, "duration": end.duration}
        if end.error is not None:
            extra["error_type"] = error_type(end.error)
        if isinstance(end, AttemptEnd) and end.retry_in is not None:
            extra["retry_in"] = end.retry_in
        shown = end.error if self._tracebacks else None
        self._logger.log(level, text, *details, exc_info=shown, extra=extra)


_NO_FIELDS: Mapping[str, object] = dict.fromkeys(_NAMES)


def _of_run(run: ObservedRun) -> Mapping[str, object]:
    return {"run_id": run.run_id, "workflow": run.workflow}


def _of_attempt(attempt: ObservedAttempt) -> Mapping[str, object]:
    invocation = attempt.invocation
    return {
        **_of_run(invocation.run),
        "step": invocation.step,
        "attempt": attempt.number,
    }


def _told(kind: str, error: BaseException | None) -> str:
    what = kind.replace("_", " ")
    return what if error is None else f"{what} with {error_type(error)}"


def _bind_nothing(**fields: object) -> _Tokens:
    return {}


def _reset_nothing(**tokens: Token[Any]) -> None:
    return None


def _structlog() -> tuple[_Bind, _Reset]:
    try:
        from structlog import contextvars
    except ImportError as error:
        raise ImportError("LogContext(structlog=True) needs structlog; install it") from error
    return contextvars.bind_contextvars, contextvars.reset_contextvars
