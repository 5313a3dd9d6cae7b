"""Traces and metrics as an exporter gets them: the right tree in every case, nothing secret."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import AsyncGenerator
from functools import partial
from importlib import metadata
from typing import Any

import anyio
import anyio.lowlevel
import attrs
import pytest

from blazen_anyio import (
    Context,
    Event,
    InputRequiredError,
    Observer,
    Retry,
    Snapshot,
    StartEvent,
    StepFailedError,
    StopEvent,
    Workflow,
    secret,
    step,
)
from blazen_anyio.stores import MemoryStore

pytest.importorskip("opentelemetry.sdk", reason="opentelemetry-sdk is not installed")

from opentelemetry import context, trace
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanContext, StatusCode

from blazen_anyio.telemetry import ObservedRun
from blazen_anyio.telemetry.otel import OpenTelemetry

pytestmark = pytest.mark.anyio


class Item(Event, event_type="traced.Item"):
    n: int
    password: str = secret(default="hunter2")


class Done(Event, event_type="traced.Done"):
    n: int


class Boom(Exception):
    """What steps raise here."""


@attrs.define
class Telemetry:
    """An observer with exporters in memory."""

    exporter: InMemorySpanExporter = attrs.field(factory=InMemorySpanExporter)
    reader: InMemoryMetricReader = attrs.field(factory=InMemoryMetricReader)
    tracers: TracerProvider = attrs.field(init=False)
    observer: OpenTelemetry = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self.tracers = TracerProvider(shutdown_on_exit=False)
        self.tracers.add_span_processor(SimpleSpanProcessor(self.exporter))
        meters = MeterProvider([self.reader], shutdown_on_exit=False)
        self.observer = OpenTelemetry(tracer_provider=self.tracers, meter_provider=meters)

    def another(self, **options: Any) -> OpenTelemetry:
        """An observer as another process would have it, with the same exporter of spans."""
        return OpenTelemetry(tracer_provider=self.tracers, **options)

    def span(self, name: str) -> Any:
        """A span of a step's own."""
        return self.tracers.get_tracer("user").start_as_current_span(name)

    def spans(self, name: str | None = None) -> list[ReadableSpan]:
        spans = [span for span in self.exporter.get_finished_spans() if name in (None, span.name)]
        return sorted(spans, key=lambda span: span.start_time or 0)

    def one(self, name: str) -> ReadableSpan:
        (span,) = self.spans(name)
        return span

    def tree(self) -> list[str]:
        """The names of all spans, indented, in the order of their starts."""
        return [line for root in self.spans() if root.parent is None for line in self._below(root)]

    def _below(self, span: ReadableSpan, depth: int = 0) -> list[str]:
        lines = ["  " * depth + span.name]
        for child in self.spans():
            if child.parent is not None and child.parent.span_id == place(span).span_id:
                assert place(child).trace_id == place(span).trace_id
                lines += self._below(child, depth + 1)
        return lines

    def measured(self, name: str) -> list[tuple[dict[str, Any], Any]]:
        """The attributes and the value, or the count, of each point of a metric."""
        data = self.reader.get_metrics_data()
        assert data is not None
        return [
            (dict(point.attributes), getattr(point, "count", None) or getattr(point, "value", 0))
            for resource in data.resource_metrics
            for scope in resource.scope_metrics
            for metric in scope.metrics
            if metric.name == name
            for point in metric.data.data_points
        ]


def place(span: ReadableSpan) -> SpanContext:
    found = span.get_span_context()
    assert found is not None
    return found


def attributes(span: ReadableSpan) -> dict[str, Any]:
    return dict(span.attributes or {})


@pytest.fixture
def telemetry() -> Telemetry:
    return Telemetry()


# ---- the tree ------------------------------------------------------------------------------------


@pytest.mark.parametrize("lanes", [True, False])
async def test_spans_nest_as_the_work_does_across_lanes_threads_and_generators(
    telemetry: Telemetry, lanes: bool
) -> None:
    @step
    async def begin(ev: StartEvent) -> AsyncGenerator[Item, None]:
        yield Item(1)
        with telemetry.span("in begin"):
            await anyio.lowlevel.checkpoint()
        yield Item(2)

    @step
    async def work(ev: Item) -> Done:
        await anyio.sleep(3 - ev.n)
        async with anyio.create_task_group() as group:
            group.start_soon(inside, ev.n)
        return Done(ev.n)

    async def inside(n: int) -> None:
        with telemetry.span(f"in work {n}"):
            await anyio.lowlevel.checkpoint()

    @step
    def end(done: list[Done]) -> StopEvent:
        with telemetry.span("in thread"):
            return StopEvent()

    steps = [begin, work, end]
    workflow = Workflow("traced", steps, observers=[telemetry.observer], lanes=lanes)
    with telemetry.span("request"):
        await workflow.run()
    assert telemetry.tree() == [
        "request",
        "  run traced",
        "    step begin",
        "      attempt begin",
        "        in begin",
        "    step work",
        "      attempt work",
        "        in work 1",
        "    step work",
        "      attempt work",
        "        in work 2",
        "    step end",
        "      attempt end",
        "        in thread",
    ]
    assert not trace.get_current_span().get_span_context().is_valid


async def test_a_run_of_its_own_begins_a_trace(telemetry: Telemetry) -> None:
    workflow = Workflow("short", [finish], observers=[telemetry.observer])
    await workflow.run(Item(1))
    await workflow.run(Item(2))
    traces = {place(span).trace_id for span in telemetry.spans()}
    assert telemetry.tree() == ["run short", "  step finish", "    attempt finish"] * 2
    assert len(traces) == 2


@step
async def finish(ev: Item) -> StopEvent:
    return StopEvent(result=ev.n)


async def test_a_child_run_is_inside_the_attempt_that_runs_it(telemetry: Telemetry) -> None:
    child = Workflow("child", [finish])

    @step
    async def outer(ev: StartEvent, ctx: Context) -> StopEvent:
        with telemetry.span("around"):
            first = await ctx.run_workflow(child, Item(1))
        return StopEvent(result=first + await ctx.run_workflow(child, Item(2)))

    assert await Workflow("parent", [outer], observers=[telemetry.observer]).run() == 3
    inner = ["run child", "  step finish", "    attempt finish"]
    assert telemetry.tree() == [
        "run parent",
        "  step outer",
        "    attempt outer",
        "      around",
        *(f"        {line}" for line in inner),
        *(f"      {line}" for line in inner),
    ]


async def test_all_attempts_are_inside_one_invocation(telemetry: Telemetry) -> None:
    @step(retry=Retry(max_attempts=2, initial=5, jitter=False))
    async def flaky(ev: StartEvent, ctx: Context) -> StopEvent:
        if ctx.attempt == 1:
            raise Boom
        return StopEvent()

    await Workflow("flaky", [flaky], observers=[telemetry.observer]).run()
    assert telemetry.tree() == [
        "run flaky",
        "  step flaky",
        "    attempt flaky",
        "    attempt flaky",
    ]
    first, second = telemetry.spans("attempt flaky")
    assert [attributes(each)["blazen.attempt.number"] for each in (first, second)] == [1, 2]
    assert first.status.status_code is StatusCode.ERROR
    assert [event.name for event in first.events] == ["exception"]
    assert second.status.status_code is StatusCode.UNSET
    invocation = telemetry.one("step flaky")
    assert invocation.status.status_code is StatusCode.UNSET
    (retry,) = invocation.events
    assert (retry.name, dict(retry.attributes or {})) == (
        "blazen.retry.scheduled",
        {"blazen.attempt.number": 1, "blazen.retry.delay": 5},
    )


async def test_a_failure_shows_on_all_that_it_ends(telemetry: Telemetry) -> None:
    """By the type of the error that the step raised, for the run too."""

    @step
    async def fail(ev: StartEvent) -> StopEvent:
        raise Boom

    with pytest.raises(StepFailedError):
        await Workflow("failing", [fail], observers=[telemetry.observer]).run()
    spans = telemetry.spans()
    kind = f"{Boom.__module__}.Boom"
    assert len(spans) == 3
    assert {attributes(span)["error.type"] for span in spans} == {kind}
    assert {span.status.description for span in spans} == {kind}


async def test_an_error_of_this_package_has_the_name_that_it_is_imported_by(
    telemetry: Telemetry,
) -> None:
    @step(timeout=1)
    async def slow(ev: StartEvent) -> StopEvent:
        await anyio.sleep_forever()
        return StopEvent()

    with pytest.raises(StepFailedError):
        await Workflow("slow", [slow], observers=[telemetry.observer]).run()
    kinds = {attributes(span)["error.type"] for span in telemetry.spans()}
    assert kinds == {"blazen_anyio.StepTimeoutError"}


async def test_traces_and_metrics_say_which_version_has_made_them(telemetry: Telemetry) -> None:
    @step
    async def go(ev: StartEvent) -> StopEvent:
        return StopEvent()

    await Workflow("short", [go], observers=[telemetry.observer]).run()
    data = telemetry.reader.get_metrics_data()
    assert data is not None
    scopes = {span.instrumentation_scope for span in telemetry.spans()}
    scopes |= {scope.scope for each in data.resource_metrics for scope in each.scope_metrics}
    assert {(scope.name, scope.version) for scope in scopes if scope is not None} == {
        ("blazen_anyio", metadata.version("blazen-anyio"))
    }


def test_a_program_that_the_package_is_frozen_into_has_telemetry(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def version(name: str) -> str:
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "version", version)
    assert Telemetry().observer is not None


@pytest.mark.parametrize("how", ["cancel", "suspend", "outside"])
async def test_what_is_cut_short_ends_in_the_right_place(telemetry: Telemetry, how: str) -> None:
    @step
    async def wait(ev: StartEvent) -> StopEvent:
        with telemetry.span("waiting"):
            await anyio.sleep_forever()
        return StopEvent()

    workflow = Workflow("cut", [wait], observers=[telemetry.observer])
    with anyio.move_on_after(5):
        async with workflow.start() as run:
            await anyio.sleep(1)
            if how == "cancel":
                run.cancel()
            elif how == "suspend":
                await run.suspend()
    assert telemetry.tree() == ["run cut", "  step wait", "    attempt wait", "      waiting"]
    assert attributes(telemetry.one("attempt wait"))["blazen.attempt.status"] == "cancelled"
    assert attributes(telemetry.one("step wait"))["blazen.invocation.status"] == "cancelled"
    status = "suspended" if how == "suspend" else "cancelled"
    assert attributes(telemetry.one("run cut"))["blazen.run.status"] == status
    assert {span.status.status_code for span in telemetry.spans() if span.name != "waiting"} == {
        StatusCode.UNSET
    }


async def test_another_observer_does_not_come_in_between(telemetry: Telemetry) -> None:
    class Between(Observer):
        def run_started(self, run: ObservedRun) -> None:
            span = telemetry.tracers.get_tracer("other").start_span("other")
            context.attach(trace.set_span_in_context(span))
            span.end()

    observers = [telemetry.observer, Between()]
    await Workflow("short", [finish], observers=observers).run(Item(1))
    inner = ["run short", "  step finish", "    attempt finish"]
    assert telemetry.tree() == [inner[0], "  other", *inner[1:]]


# ---- runs that go on -----------------------------------------------------------------------------


@step
async def ask(ev: StartEvent, ctx: Context) -> StopEvent:
    return StopEvent(result=await ctx.request_input("the question", {"choice": "of answers"}))


def links_of(span: ReadableSpan) -> list[int]:
    return [link.context.span_id for link in span.links]


async def test_a_run_that_goes_on_from_a_snapshot_links_to_its_span_before(
    telemetry: Telemetry,
) -> None:
    """In another process, with an observer of its own; child runs likewise."""
    child = Workflow("child", [ask])

    @step
    async def outer(ev: StartEvent, ctx: Context) -> StopEvent:
        return StopEvent(result=await ctx.run_workflow(child, StartEvent()))

    def workflow(observer: OpenTelemetry) -> Workflow[Any]:
        return Workflow("parent", [outer], observers=[observer])

    with pytest.raises(InputRequiredError) as waiting:
        await workflow(telemetry.observer).run()
    snapshot = Snapshot.from_json(waiting.value.snapshot.to_json())
    responses = {snapshot.requests[0].request_id: "yes"}
    with telemetry.span("later"):
        resumed = workflow(telemetry.another()).resume(snapshot, responses=responses)
        async with resumed as run:
            assert await run.result() == "yes"
    inner = [
        "run parent",
        "  step outer",
        "    attempt outer",
        "      run child",
        "        step ask",
        "          attempt ask",
    ]
    assert telemetry.tree() == [*inner, "later", *(f"  {line}" for line in inner)]
    for name in ("run parent", "run child"):
        before, after = telemetry.spans(name)
        assert links_of(before) == []
        assert links_of(after) == [place(before).span_id]
        assert attributes(before)["blazen.run.resumed"] is False
        assert attributes(after)["blazen.run.resumed"] is True


async def test_a_run_that_goes_on_from_a_store_after_a_crash_links_to_its_span_before(
    telemetry: Telemetry,
) -> None:
    """The span of the run before the crash is never exported; what had ended inside it is."""
    dying = True

    @step
    async def begin(ev: StartEvent) -> Item:
        return Item(1)

    @step
    async def end(ev: Item) -> StopEvent:
        if dying:
            store.abandon()
            died.set()
            await anyio.sleep_forever()
        return StopEvent(result="done")

    store, died = MemoryStore(), anyio.Event()
    first = Workflow("durable", [begin, end], observers=[telemetry.observer])
    async with store, anyio.create_task_group() as group:
        group.start_soon(partial(first.run, store=store, run_id="r"))
        await died.wait()
        at_crash = telemetry.spans()
        dying = False
        second = Workflow("durable", [begin, end], observers=[telemetry.another()])
        (recovered,) = await second.recover(store)
        group.cancel_scope.cancel()
    assert recovered.result == "done"
    assert [span.name for span in at_crash] == ["step begin", "attempt begin"]
    (parent,) = (span.parent for span in at_crash if span.name == "step begin")
    assert parent is not None
    resumed = next(span for span in telemetry.spans("run durable") if span.links)
    assert links_of(resumed) == [parent.span_id]
    assert resumed.links[0].context.trace_id == parent.trace_id


async def test_each_resumption_links_to_the_one_before(telemetry: Telemetry) -> None:
    workflow = Workflow("asking", [ask], observers=[telemetry.observer])
    async with MemoryStore() as store:
        with pytest.raises(InputRequiredError):
            await workflow.run(store=store, run_id="r")
        for _ in range(2):
            with pytest.raises(InputRequiredError):
                async with workflow.resume_from(store, "r"):
                    pass
    first, second, third = telemetry.spans("run asking")
    assert links_of(second) == [place(first).span_id]
    assert links_of(third) == [place(second).span_id]


async def test_a_run_that_was_not_traced_before_has_no_link(telemetry: Telemetry) -> None:
    with pytest.raises(InputRequiredError) as waiting:
        await Workflow("asking", [ask]).run()
    workflow = Workflow("asking", [ask], observers=[telemetry.observer])
    with pytest.raises(InputRequiredError):
        async with workflow.resume(waiting.value.snapshot):
            pass
    assert links_of(telemetry.one("run asking")) == []


async def test_the_state_of_one_trace_does_not_stay_with_another(telemetry: Telemetry) -> None:
    workflow = Workflow("asking", [ask], observers=[telemetry.observer])
    remote = trace.SpanContext(
        1, 2, True, trace.TraceFlags(1), trace.TraceState([("vendor", "state")])
    )
    with trace.use_span(trace.NonRecordingSpan(remote)), pytest.raises(InputRequiredError) as first:
        await workflow.run()
    with pytest.raises(InputRequiredError) as second:
        async with workflow.resume(first.value.snapshot):
            pass
    assert "vendor=state" in first.value.snapshot.to_json()
    assert "vendor" not in second.value.snapshot.to_json()


async def test_without_an_sdk_nothing_stays_with_the_run() -> None:
    workflow = Workflow("asking", [ask], observers=[OpenTelemetry()])
    with pytest.raises(InputRequiredError) as waiting:
        await workflow.run()
    assert "carrier" not in waiting.value.snapshot.to_json()


# ---- what is told, and what is not ---------------------------------------------------------------


async def test_attributes_say_what_a_span_is_about(telemetry: Telemetry) -> None:
    @step
    async def begin(ev: StartEvent) -> list[Item]:
        return [Item(n) for n in range(20)]

    @step
    async def work(ev: Item) -> Done:
        return Done(ev.n)

    @step
    def end(done: list[Done]) -> StopEvent:
        return StopEvent()

    workflow = Workflow("told", [begin, work, end], observers=[telemetry.observer])
    await workflow.run(run_id="r")
    assert attributes(telemetry.one("run told")) == {
        "blazen.workflow.name": "told",
        "blazen.run.id": "r",
        "blazen.run.resumed": False,
        "blazen.run.status": "completed",
    }
    numbers = [
        attributes(span)["blazen.invocation.number"] for span in telemetry.spans("step work")
    ]
    invocation = attributes(telemetry.one("step end"))
    assert invocation.pop("blazen.invocation.number") not in numbers
    assert invocation == {
        "blazen.workflow.name": "told",
        "blazen.run.id": "r",
        "blazen.step.name": "end",
        "blazen.event.type": "traced.Done",
        "blazen.invocation.causes": tuple(numbers[:16]),
        "blazen.invocation.status": "succeeded",
    }
    attempt = attributes(telemetry.one("attempt end"))
    assert attempt["blazen.step.kind"] == "sync"
    assert attempt["blazen.attempt.status"] == "succeeded"


async def everything_told(telemetry: Telemetry, observer: OpenTelemetry) -> str:
    """Run into everything with something secret in it, and write down all that was told."""

    @step
    async def begin(ev: StartEvent, ctx: Context) -> Item:
        await ctx.request_input("hunter2?", {"hunter2": "hunter2"})
        return Item(1)

    @step
    async def fail(ev: Item) -> StopEvent:
        raise ValueError(f"wrong password: {ev.password}")

    workflow = Workflow("secrets", [begin, fail], observers=[observer])
    with pytest.raises(StepFailedError):
        await workflow.run(input_handler=lambda request: "hunter2", hunter2="hunter2")
    assert len(telemetry.spans()) == 5
    return "".join(span.to_json() for span in telemetry.spans()) + str(
        telemetry.reader.get_metrics_data()
    )


async def test_neither_secrets_nor_payloads_are_told(telemetry: Telemetry) -> None:
    told = await everything_told(telemetry, telemetry.observer)
    assert "hunter2" not in told.replace('password: str = secret(default="hunter2")', "")
    (asked, answered) = telemetry.one("run secrets").events
    assert [asked.name, answered.name] == ["blazen.input.requested", "blazen.input.received"]


async def test_an_exception_is_told_by_its_type_and_the_lines_it_passed(
    telemetry: Telemetry,
) -> None:
    await everything_told(telemetry, telemetry.observer)
    (event,) = telemetry.one("attempt fail").events
    told = dict(event.attributes or {})
    assert told["exception.type"] == "ValueError"
    assert ", in fail" in str(told["exception.stacktrace"])
    assert "exception.message" not in told


async def test_messages_are_told_if_that_is_asked_for(telemetry: Telemetry) -> None:
    await everything_told(telemetry, telemetry.another(exception_messages=True))
    (event,) = telemetry.one("attempt fail").events
    told = dict(event.attributes or {})
    assert told["exception.message"] == "wrong password: hunter2"
    assert str(told["exception.stacktrace"]).endswith("ValueError: wrong password: hunter2\n")


# ---- metrics -------------------------------------------------------------------------------------


async def test_metrics_count_and_measure(telemetry: Telemetry) -> None:
    @step
    async def begin(ev: StartEvent) -> list[Item]:
        return [Item(n) for n in range(3)]

    @step(max_concurrency=1, retry=Retry(max_attempts=2, initial=1, jitter=False))
    async def work(ev: Item, ctx: Context) -> Done:
        if ev.n == 0 and ctx.attempt == 1:
            raise Boom
        await anyio.sleep(10)
        return Done(ev.n)

    @step
    async def end(done: list[Done]) -> StopEvent:
        return StopEvent()

    workflow = Workflow("measured", [begin, work, end], observers=[telemetry.observer])
    name = {"blazen.workflow.name": "measured"}
    at_work = {**name, "blazen.step.name": "work"}
    async with workflow.start() as run:
        await anyio.sleep(0.5)
        depths = telemetry.measured("blazen.queue.depth")
        assert (at_work, 1) in depths
        assert len(depths) == 3
        assert telemetry.measured("blazen.run.active") == [(name, 1)]
        # One waits for its second attempt, one is at work.
        assert (at_work, 2) in telemetry.measured("blazen.invocation.active")
        await run.result()
    assert telemetry.measured("blazen.queue.depth") == []
    assert telemetry.measured("blazen.run.active") == [(name, 0)]
    assert telemetry.measured("blazen.attempt.retries") == [(at_work, 1)]
    assert telemetry.measured("blazen.run.duration") == [
        ({**name, "blazen.run.status": "completed"}, 1)
    ]
    done = {**at_work, "blazen.invocation.status": "succeeded"}
    assert (done, 3) in telemetry.measured("blazen.invocation.duration")
    failed = {"blazen.attempt.status": "failed", "error.type": f"{Boom.__module__}.Boom"}
    assert ({**at_work, **failed}, 1) in telemetry.measured("blazen.attempt.duration")


async def test_nothing_is_kept_of_runs_that_have_ended(telemetry: Telemetry) -> None:
    observer = telemetry.observer
    workflow = Workflow("short", [finish], observers=[observer])
    async with anyio.create_task_group() as group:
        for number in range(20):
            group.start_soon(workflow.run, Item(number))
    assert (observer._runs, observer._invocations, observer._attempts) == ({}, {}, {})


# ---- without the extra ---------------------------------------------------------------------------


def test_without_opentelemetry_the_error_says_what_to_install() -> None:
    code = (
        "import sys; sys.modules['opentelemetry'] = None\n"
        "import blazen_anyio.telemetry\n"
        "try: import blazen_anyio.telemetry.otel\n"
        "except ImportError as error: print(error)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True
    )
    assert "install blazen-anyio[otel]" in done.stdout
