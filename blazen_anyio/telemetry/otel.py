"""OpenTelemetry: a trace and metrics of every run. Needs ``opentelemetry-api`` (extra ``otel``).

The spans of a run nest as the work does::

    run shop                     parent: whatever span was current where the run was started
      step price                 one invocation, with all its attempts
        attempt price            current inside the step: its own spans, its worker thread's
          run tax                a child run

A run that is resumed, here or in another process, begins a span of its own with a link to the span
of the run as it was before; the context of that span stays with the run, in its snapshots and in
its store.

The rule: names and numbers only. No attribute holds an event, a result, a question or an answer;
an exception is told by its type and the lines it passed through, and by its message only if that is
asked for, since a message may hold anything.

Metrics (seconds and counts; the count of a histogram is the number of what it measures):

=============================  ===========================================================
``blazen.run.active``          runs that go on
``blazen.run.duration``        how long runs took; by status and ``error.type``
``blazen.invocation.active``   invocations begun and not done with
``blazen.invocation.duration`` how long invocations took, retries included; likewise
``blazen.attempt.duration``    how long attempts took; likewise
``blazen.attempt.retries``     attempts that will be repeated
``blazen.queue.depth``         deliveries that wait for their step
=============================  ===========================================================
"""

from __future__ import annotations

import traceback
from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from importlib import metadata

from .._events import InputRequestEvent
from .._observer import (
    AttemptEnd,
    InvocationEnd,
    ObservedAttempt,
    ObservedInvocation,
    ObservedRun,
    Observer,
    RunEnd,
)
from ._errors import error_type

try:
    from opentelemetry import context as otel_context
    from opentelemetry import metrics, trace
    from opentelemetry.metrics import CallbackOptions, Histogram, Meter, MeterProvider, Observation
    from opentelemetry.trace import Link, Span, Status, StatusCode, TracerProvider
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
except ImportError as error:
    raise ImportError(
        "blazen_anyio.telemetry.otel needs OpenTelemetry; install blazen-anyio[otel]"
    ) from error

__all__ = ["OpenTelemetry"]

_SCOPE = "blazen_anyio"
_MOST_CAUSES = 16

_BUCKETS = (0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 10.0, 30.0, 60.0, 300.0, 1800.0, 3600.0)
"""In seconds: those of the specification are meant for milliseconds."""

_End = RunEnd | InvocationEnd | AttemptEnd
_Attributes = Mapping[str, str | bool | int | float | Sequence[int]]


class OpenTelemetry(Observer):
    """Makes spans and metrics of runs. Make one for a program, and give it to all its workflows.

    Args:
        tracer_provider: of the spans; by default the global one.
        meter_provider: of the metrics; by default the global one.
        exception_messages: tell the messages of exceptions, too. They may hold anything that your
            code, or that of a library, writes into them.

    Example::

        telemetry = OpenTelemetry()
        Workflow("shop", steps, observers=[telemetry])
    """

    def __init__(
        self,
        *,
        tracer_provider: TracerProvider | None = None,
        meter_provider: MeterProvider | None = None,
        exception_messages: bool = False,
    ) -> None:
        version = _version()
        self._tracer = trace.get_tracer(_SCOPE, version, tracer_provider)
        meter = metrics.get_meter(_SCOPE, version, meter_provider)
        self._instruments = _Instruments(meter, self._observe_queues)
        self._messages = exception_messages
        self._runs: dict[ObservedRun, Span] = {}
        self._invocations: dict[ObservedInvocation, Span] = {}
        self._attempts: dict[ObservedAttempt, Span] = {}

    # ---- runs ----------------------------------------------------------------------------------

    def run_started(self, run: ObservedRun) -> None:
        """Begin the span of a run, and make it the current one of its tasks."""
        span = self._tracer.start_span(
            f"run {run.workflow}",
            links=_links_to_before(run),
            attributes={**_of_run(run), "blazen.run.resumed": run.resumed},
        )
        self._runs[run] = span
        run.carrier.pop("tracestate", None)
        around = trace.set_span_in_context(span)
        _PROPAGATOR.inject(run.carrier, around)
        otel_context.attach(around)
        self._instruments.runs.add(1, _labels(run))

    def run_ended(self, run: ObservedRun, end: RunEnd) -> None:
        """End the span of a run."""
        self._instruments.runs.add(-1, _labels(run))
        self._instruments.run_duration.record(end.duration, _labels_at_end(run, "run", end))
        self._end(self._runs.pop(run), "run", end)

    def input_requested(self, run: ObservedRun, request: InputRequestEvent) -> None:
        """Note that a human was asked; not what."""
        self._runs[run].add_event(
            "blazen.input.requested", {"blazen.request.id": request.request_id}
        )

    def input_received(self, run: ObservedRun, request_id: str) -> None:
        """Note that the answer has come; not which."""
        self._runs[run].add_event("blazen.input.received", {"blazen.request.id": request_id})

    # ---- invocations ---------------------------------------------------------------------------

    def invocation_started(self, invocation: ObservedInvocation) -> None:
        """Begin the span of an invocation, inside that of the run."""
        self._invocations[invocation] = self._tracer.start_span(
            f"step {invocation.step}",
            context=trace.set_span_in_context(self._runs[invocation.run]),
            attributes=_of_invocation(invocation),
        )
        self._instruments.invocations.add(1, _labels(invocation))

    def invocation_ended(self, invocation: ObservedInvocation, end: InvocationEnd) -> None:
        """End the span of an invocation."""
        self._instruments.invocations.add(-1, _labels(invocation))
        self._instruments.invocation_duration.record(
            end.duration, _labels_at_end(invocation, "invocation", end)
        )
        self._end(self._invocations.pop(invocation), "invocation", end)

    # ---- attempts ------------------------------------------------------------------------------

    def attempt_started(self, attempt: ObservedAttempt) -> AbstractContextManager[object]:
        """Begin the span of an attempt, and make it the current one of the step."""
        invocation = attempt.invocation
        span = self._attempts[attempt] = self._tracer.start_span(
            f"attempt {invocation.step}",
            context=trace.set_span_in_context(self._invocations[invocation]),
            attributes={
                **_of_invocation(invocation),
                "blazen.step.kind": attempt.kind,
                "blazen.attempt.number": attempt.number,
            },
        )
        return trace.use_span(span, record_exception=False, set_status_on_exception=False)

    def attempt_ended(self, attempt: ObservedAttempt, end: AttemptEnd) -> None:
        """End the span of an attempt."""
        invocation = attempt.invocation
        self._instruments.attempt_duration.record(
            end.duration, _labels_at_end(invocation, "attempt", end)
        )
        if end.retry_in is not None:
            self._instruments.retries.add(1, _labels(invocation))
            self._invocations[invocation].add_event(
                "blazen.retry.scheduled",
                {"blazen.attempt.number": attempt.number, "blazen.retry.delay": end.retry_in},
            )
        span = self._attempts.pop(attempt)
        if end.error is not None:
            span.add_event("exception", self._described(end.error))
        self._end(span, "attempt", end)

    # ---- inside --------------------------------------------------------------------------------

    def _end(self, span: Span, what: str, end: _End) -> None:
        span.set_attribute(f"blazen.{what}.status", end.kind)
        if end.error is not None:
            kind = error_type(end.error)
            span.set_attribute("error.type", kind)
            span.set_status(Status(StatusCode.ERROR, kind))
        span.end()

    def _described(self, error: BaseException) -> dict[str, str]:
        described = {
            "exception.type": error_type(error),
            "exception.stacktrace": "".join(traceback.format_tb(error.__traceback__)),
        }
        if self._messages:
            described["exception.message"] = str(error)
            described["exception.stacktrace"] = "".join(traceback.format_exception(error))
        return described

    def _observe_queues(self, options: CallbackOptions) -> Iterable[Observation]:
        depths: dict[tuple[str, str], int] = {}
        for run in list(self._runs):  # called from a thread of the exporter's
            for step, waiting in run.waiting().items():
                depths[run.workflow, step] = depths.get((run.workflow, step), 0) + waiting
        return [
            Observation(depth, {"blazen.workflow.name": workflow, "blazen.step.name": step})
            for (workflow, step), depth in depths.items()
        ]


def _version() -> str:
    try:
        return metadata.version("blazen-anyio")
    except metadata.PackageNotFoundError:  # not installed, but copied or frozen into a program
        return ""


_PROPAGATOR = TraceContextTextMapPropagator()
"""Not the global one: what stays with a run for long should hold no baggage."""


class _Instruments:
    """The instruments of one meter."""

    def __init__(self, meter: Meter, observe_queues: metrics.CallbackT) -> None:
        self.runs = meter.create_up_down_counter(
            "blazen.run.active", unit="{run}", description="Runs that go on."
        )
        self.invocations = meter.create_up_down_counter(
            "blazen.invocation.active",
            unit="{invocation}",
            description="Invocations that have begun and are not done with.",
        )
        self.retries = meter.create_counter(
            "blazen.attempt.retries",
            unit="{retry}",
            description="Attempts that will be repeated.",
        )
        meter.create_observable_up_down_counter(
            "blazen.queue.depth",
            [observe_queues],
            unit="{delivery}",
            description="Deliveries that wait for their step.",
        )
        self.run_duration = _durations(meter, "run")
        self.invocation_duration = _durations(meter, "invocation")
        self.attempt_duration = _durations(meter, "attempt")


def _durations(meter: Meter, what: str) -> Histogram:
    return meter.create_histogram(
        f"blazen.{what}.duration",
        unit="s",
        description=f"How long each {what} took.",
        explicit_bucket_boundaries_advisory=_BUCKETS,
    )


def _links_to_before(run: ObservedRun) -> list[Link]:
    before = trace.get_current_span(_PROPAGATOR.extract(run.carrier, otel_context.Context()))
    place = before.get_span_context()
    return [Link(place, {"blazen.link": "before"})] if place.is_valid else []


def _of_run(run: ObservedRun) -> dict[str, str | bool | int | float | Sequence[int]]:
    return {"blazen.workflow.name": run.workflow, "blazen.run.id": run.run_id}


def _of_invocation(invocation: ObservedInvocation) -> _Attributes:
    attributes = {
        **_of_run(invocation.run),
        "blazen.step.name": invocation.step,
        "blazen.event.type": invocation.event_type,
        "blazen.invocation.number": invocation.number,
    }
    if invocation.causes:
        attributes["blazen.invocation.causes"] = invocation.causes[:_MOST_CAUSES]
    return attributes


def _labels(about: ObservedRun | ObservedInvocation) -> dict[str, str]:
    """Attributes of a measurement: nothing of which there are many values."""
    if isinstance(about, ObservedRun):
        return {"blazen.workflow.name": about.workflow}
    return {**_labels(about.run), "blazen.step.name": about.step}


def _labels_at_end(about: ObservedRun | ObservedInvocation, what: str, end: _End) -> dict[str, str]:
    labels = {**_labels(about), f"blazen.{what}.status": end.kind}
    if end.error is not None:
        labels["error.type"] = error_type(end.error)
    return labels
