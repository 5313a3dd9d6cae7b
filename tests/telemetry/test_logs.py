"""Log lines tell their run, step and attempt, with the standard library and with structlog."""

from __future__ import annotations

import io
import json
import logging
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import anyio
import anyio.lowlevel
import pytest

from blazen_anyio import (
    Context,
    Event,
    InputRequestEvent,
    InputResponseEvent,
    Retry,
    StartEvent,
    StepFailedError,
    StopEvent,
    Workflow,
    step,
)
from blazen_anyio.telemetry import LogContext, LogFilter, LogObserver, log_fields

pytestmark = pytest.mark.anyio

own = logging.getLogger("tests.telemetry.own")


class Item(Event, event_type="logged.Item"):
    n: int


class Boom(Exception):
    """What steps raise here."""


@pytest.fixture
def lines() -> Iterator[list[dict[str, Any]]]:
    """The records of all loggers, as a handler with the filter writes them."""
    found: list[dict[str, Any]] = []

    class Collect(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            found.append({**vars(record), "message": record.getMessage()})

    handler, root = Collect(), logging.getLogger()
    handler.addFilter(LogFilter())
    level = root.level
    root.addHandler(handler)
    root.setLevel(logging.INFO)
    yield found
    root.removeHandler(handler)
    root.setLevel(level)


def fields_of(line: dict[str, Any]) -> tuple[Any, ...]:
    return tuple(line[name] for name in ("run_id", "workflow", "step", "attempt"))


def talkative(observer: LogContext, log: Any) -> Workflow[Any]:
    """A workflow that logs in each kind of step, after a retry, in a child run, in a handler."""

    @step(name="inside")
    async def inside(ev: Item) -> StopEvent:
        log("in a child run")
        return StopEvent()

    child = Workflow("child", [inside])

    @step(retry=Retry(max_attempts=2, initial=1))
    async def begin(ev: StartEvent, ctx: Context) -> Item:
        log("on the loop")
        if ctx.attempt == 1:
            raise Boom
        await anyio.lowlevel.checkpoint()
        await ctx.run_workflow(child, Item(0))
        return Item(1)

    @step
    def threaded(ev: Item) -> InputRequestEvent:
        log("in a thread")
        return InputRequestEvent("May I?")

    @step
    async def end(ev: InputResponseEvent) -> StopEvent:
        log("at the end")
        return StopEvent()

    def answer(request: InputRequestEvent) -> str:
        log("in a handler")
        return "yes"

    return Workflow("talk", [begin, threaded, end], observers=[observer], input_handler=answer)


EXPECTED = [
    ("on the loop", "r", "talk", "begin", 1),
    ("on the loop", "r", "talk", "begin", 2),
    ("in a child run", "r/2.0", "child", "inside", 1),
    ("in a thread", "r", "talk", "threaded", 1),
    ("in a handler", "r", "talk", None, None),
    ("at the end", "r", "talk", "end", 1),
]


async def test_lines_of_steps_have_the_fields_with_the_standard_library(
    lines: list[dict[str, Any]],
) -> None:
    await talkative(LogContext(), own.info).run(run_id="r")
    own.info("outside")
    told = [(line["message"], *fields_of(line)) for line in lines if line["name"] == own.name]
    assert told == [*EXPECTED, ("outside", None, None, None, None)]
    assert log_fields() == {}


async def test_lines_of_steps_have_the_fields_with_structlog() -> None:
    structlog = pytest.importorskip("structlog", reason="structlog is not installed")
    output = io.StringIO()
    logger = structlog.wrap_logger(
        structlog.WriteLogger(output),
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.JSONRenderer(),
        ],
        wrapper_class=structlog.BoundLogger,
    )
    structlog.contextvars.bind_contextvars(request="q")
    try:
        await talkative(LogContext(structlog=True), logger.info).run(run_id="r")
        logger.info("outside")
    finally:
        structlog.contextvars.clear_contextvars()
    lines = [json.loads(line) for line in output.getvalue().splitlines()]
    names = ("event", "run_id", "workflow", "step", "attempt")
    assert [tuple(map(line.get, names)) for line in lines[:-1]] == EXPECTED
    assert {line["request"] for line in lines} == {"q"}
    assert lines[-1] == {"event": "outside", "request": "q"}


async def test_a_lane_goes_on_although_structlog_was_bound() -> None:
    pytest.importorskip("structlog", reason="structlog is not installed")
    tasks: list[int] = []

    @step
    async def hop(ev: Item) -> Item | StopEvent:
        tasks.append(anyio.get_current_task().id)
        return Item(ev.n - 1) if ev.n else StopEvent()

    await Workflow("hops", [hop], observers=[LogContext(structlog=True)]).run(Item(9))
    assert len(set(tasks)) == 1


def test_a_record_keeps_a_field_of_its_own() -> None:
    record = logging.makeLogRecord({"step": "mine"})
    assert LogFilter().filter(record)
    assert (record.step, record.run_id) == ("mine", None)  # type: ignore[attr-defined]


async def test_runs_and_failures_are_written(lines: list[dict[str, Any]]) -> None:
    @step(retry=Retry(max_attempts=2, initial=3, jitter=False), timeout=5)
    async def fail(ev: StartEvent, ctx: Context) -> StopEvent:
        if ctx.attempt == 1:
            raise Boom("hunter2")
        await anyio.sleep_forever()
        return StopEvent()

    with pytest.raises(StepFailedError):
        await Workflow("failing", [fail], observers=[LogObserver()]).run(run_id="r")
    boom = f"{Boom.__module__}.Boom"
    assert [(line["levelname"], line["message"]) for line in lines] == [
        ("INFO", "run r of failing starts"),
        (
            "WARNING",
            f"run r: attempt 1 of step fail: failed with {boom}; next attempt in 3.000 s",
        ),
        (
            "WARNING",
            "run r: attempt 2 of step fail: timed out with blazen_anyio.StepTimeoutError",
        ),
        (
            "ERROR",
            "run r of failing: failed with blazen_anyio.StepTimeoutError after 8.000 s",
        ),
    ]
    assert {line["name"] for line in lines} == {"blazen_anyio"}
    assert fields_of(lines[1]) == ("r", "failing", "fail", 1)
    assert (lines[1]["status"], lines[1]["error_type"], lines[1]["retry_in"]) == (
        "failed",
        boom,
        3,
    )
    assert fields_of(lines[3]) == ("r", "failing", None, None)
    assert lines[3]["status"] == "failed"
    assert lines[3]["duration"] == pytest.approx(8)
    assert all(line["exc_info"] is None for line in lines)
    assert "hunter2" not in str(lines)


async def test_a_run_that_goes_on_is_written_as_such(lines: list[dict[str, Any]]) -> None:
    @step
    async def wait(ev: StartEvent, ctx: Context) -> StopEvent:
        await anyio.sleep(3)
        return StopEvent()

    workflow = Workflow("long", [wait], observers=[LogObserver(own)])
    async with workflow.start(run_id="r") as run:
        await anyio.sleep(1)
        snapshot = await run.suspend()
    async with workflow.resume(snapshot) as run:
        await run.result()
    assert [line["message"] for line in lines] == [
        "run r of long starts",
        "run r of long: suspended after 1.000 s",
        "run r of long goes on",
        "run r of long: completed after 3.000 s",
    ]
    assert {line["name"] for line in lines} == {own.name}
    assert {line["levelname"] for line in lines} == {"INFO"}


async def test_tracebacks_are_written_if_that_is_asked_for(lines: list[dict[str, Any]]) -> None:
    @step
    async def fail(ev: StartEvent) -> StopEvent:
        raise Boom

    with pytest.raises(StepFailedError):
        await Workflow("failing", [fail], observers=[LogObserver(tracebacks=True)]).run()
    assert [type(line["exc_info"][1]).__name__ for line in lines[1:]] == [
        "Boom",
        "StepFailedError",
    ]


def test_without_structlog_the_error_says_what_is_missing() -> None:
    code = (
        "import sys; sys.modules['structlog'] = None\n"
        "from blazen_anyio.telemetry import LogContext\n"
        "try: LogContext(structlog=True)\n"
        "except ImportError as error: print(error)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True
    )
    assert "needs structlog" in done.stdout
