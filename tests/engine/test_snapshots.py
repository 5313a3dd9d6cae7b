"""Snapshots: lossless at any moment, plain JSON, strict, and good in another process."""

from __future__ import annotations

import json
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from datetime import date
from decimal import Decimal
from enum import Enum
from pathlib import Path
from typing import Any

import anyio
import attrs
import pytest

from blazen_anyio import (
    Context,
    Event,
    InputRequestEvent,
    InputResponseEvent,
    Retry,
    RunEndedError,
    Snapshot,
    SnapshotError,
    SnapshotVersionError,
    StartEvent,
    StateValueError,
    StepFailedError,
    StopEvent,
    Workflow,
    step,
)

from .kit import Boom, Done, Log, Note, Other, Work, settle

pytestmark = pytest.mark.anyio


def through_json(snapshot: Snapshot) -> Snapshot:
    return Snapshot.from_json(snapshot.to_json())


# ---- lossless ----------------------------------------------------------------------------------


@step
async def split(ev: StartEvent) -> list[Work]:
    return [Work(n) for n in range(4)]


@step(max_concurrency=2)
async def work(ev: Work, ctx: Context) -> Done:
    await anyio.sleep(ev.n + 1)
    ctx.state.apply("sum", lambda value: value + ev.n, 0)
    return Done(ev.n)


@step
async def gather(done: list[Done], ctx: Context) -> StopEvent:
    return StopEvent(result=([each.n for each in done], ctx.state["sum"]))


FAN = Workflow("fan", [split, work, gather])


@pytest.mark.parametrize("seconds", [0, 0.5, 1.5, 2.5, 3.5, 4.5, 5.5])
async def test_a_snapshot_at_any_moment_resumes_to_the_same_result(seconds: float) -> None:
    """What is queued, running, gathered and committed: all of it is there, once."""
    async with FAN.start() as run:
        await anyio.sleep(seconds)
        snapshot = through_json(run.snapshot())
        assert await run.result() == ([0, 1, 2, 3], 6)  # and the run goes on undisturbed
    async with FAN.resume(snapshot) as run:
        assert run.run_id == snapshot.run_id
        assert await run.result() == ([0, 1, 2, 3], 6)


async def test_a_snapshot_taken_inside_a_step_counts_its_event_as_not_handled() -> None:
    log = Log()
    snapshots: list[Snapshot] = []

    @step
    async def first(ev: StartEvent) -> Work:
        log("first")
        return Work()

    @step
    async def second(ev: Work) -> StopEvent:
        log("second")
        snapshots.append(run.snapshot())
        return StopEvent(result="done")

    workflow = Workflow("w", [first, second])
    async with workflow.start() as run:
        await run.result()
    async with workflow.resume(through_json(snapshots[0])) as run:
        assert await run.result() == "done"
    assert log.lines == ["first", "second", "second"]


async def test_a_snapshot_can_be_resumed_more_than_once() -> None:
    async with FAN.start() as run:
        await anyio.sleep(2.5)
        snapshot = run.snapshot()
        run.cancel()
    for _ in range(2):
        async with FAN.resume(snapshot) as run:
            assert await run.result() == ([0, 1, 2, 3], 6)


async def test_delays_elapse_while_the_run_is_down() -> None:
    """Due times are kept by the wall clock; here no real time passes, so the delay is all there."""

    @step
    async def begin(ev: StartEvent, ctx: Context) -> Done | None:
        ctx.send_event(Done(7), delay=3600)
        return None

    @step
    async def done(ev: Done) -> StopEvent:
        return StopEvent(result=ev.n)

    workflow = Workflow("w", [begin, done])
    async with workflow.start() as run:
        await settle()
        snapshot = through_json(run.snapshot())
        run.cancel()
    started = anyio.current_time()
    async with workflow.resume(snapshot) as run:
        assert await run.result() == 7
    assert anyio.current_time() - started == pytest.approx(3600, abs=5)


@pytest.fixture
def wall_clock(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Stops the wall clock; it goes on when called. Virtual time knows nothing of it."""
    now = 1_000_000_000.0
    monkeypatch.setattr(time, "time", lambda: now)

    def go_on(seconds: float) -> None:
        nonlocal now
        now += seconds

    return go_on


@pytest.mark.parametrize(("down", "left"), [(0, 3600), (1000, 2600), (3600, 0), (9999, 0)])
async def test_time_on_the_wall_clock_while_the_run_is_down_is_taken_off_a_delay(
    wall_clock: Callable[[float], None], down: float, left: float
) -> None:
    @step
    async def begin(ev: StartEvent, ctx: Context) -> Done | None:
        ctx.send_event(Done(7), delay=3600)
        return None

    @step
    async def done(ev: Done) -> StopEvent:
        return StopEvent(result=ev.n)

    workflow = Workflow("w", [begin, done])
    async with workflow.start() as run:
        await settle()
        snapshot = through_json(await run.suspend())
    wall_clock(down)
    resumed = anyio.current_time()
    async with workflow.resume(snapshot) as run:
        assert await run.result() == 7
    assert anyio.current_time() - resumed == pytest.approx(left, abs=0.01)


@pytest.mark.parametrize(("down", "left"), [(0, 60), (40, 20), (60, 0), (99, 0)])
async def test_time_on_the_wall_clock_while_the_run_is_down_is_taken_off_a_retrys_wait(
    wall_clock: Callable[[float], None], down: float, left: float
) -> None:
    @step(retry=Retry(initial=60, max_delay=60, jitter=False))
    async def fails(ev: StartEvent, ctx: Context) -> StopEvent:
        if ctx.attempt == 1:
            raise Boom
        return StopEvent(result=ctx.attempt)

    workflow = Workflow("w", [fails])
    async with workflow.start() as run:
        await settle()
        snapshot = through_json(await run.suspend())
    wall_clock(down)
    resumed = anyio.current_time()
    async with workflow.resume(snapshot) as run:
        assert await run.result() == 2
    assert anyio.current_time() - resumed == pytest.approx(left, abs=0.01)


async def test_collect_buffers_and_open_requests_are_in_a_snapshot() -> None:
    @step
    async def begin(ev: StartEvent) -> tuple[Note, InputRequestEvent]:
        return Note("one"), InputRequestEvent("two?", {"choices": [1, 2]})

    @step
    async def answered(ev: InputResponseEvent) -> Note:
        return Note(ev.response)

    @step(max_concurrency=1)
    async def collect(ev: Note, ctx: Context) -> StopEvent | None:
        notes = ctx.collect_events(Note, 2)
        return None if notes is None else StopEvent(result=[each.text for each in notes])

    workflow = Workflow("w", [begin, answered, collect])
    async with workflow.start() as run:
        await settle()
        snapshot = through_json(run.snapshot())
        run.cancel()
    (request,) = snapshot.requests
    assert (request.prompt, request.metadata) == ("two?", {"choices": [1, 2]})
    async with workflow.resume(snapshot) as run:
        assert run.requests == (request,)
        run.respond_to_input(request.request_id, "two")
        assert await run.result() == ["one", "two"]


class Colour(Enum):
    RED = "red"


@attrs.frozen
class Point:
    x: int
    y: Decimal


class Rich(Event):
    value: Any


VALUES = [
    None,
    True,
    1,
    2**200,
    -0.0,
    1e308,
    float("inf"),
    "text \ud800 \x00",
    b"bytes",
    (1, (2,)),
    [1, [2]],
    {1: "one", "1": "text", (1, 2): None},
    {1, 2},
    frozenset({"a"}),
    Decimal("1.10"),
    date(2020, 2, 29),
    Colour.RED,
    Point(1, Decimal("2.50")),
]


@pytest.mark.parametrize("value", VALUES, ids=lambda value: type(value).__name__)
async def test_values_come_back_equal_and_of_the_same_type(value: Any) -> None:
    """Both from a field of an event and from the state."""

    @step
    async def begin(ev: StartEvent, ctx: Context) -> Rich:
        ctx.state["value"] = value
        run.pause()
        return Rich(value)

    @step
    async def end(ev: Rich, ctx: Context) -> StopEvent:
        return StopEvent(result=[ev.value, ctx.state["value"]])

    workflow = Workflow("w", [begin, end], types=[Colour, Point])
    async with workflow.start() as run:
        await settle()
        snapshot = through_json(run.snapshot())
        run.cancel()
    async with workflow.resume(snapshot) as run:
        for result in await run.result():
            assert result == value
            assert type(result) is type(value)
            assert repr(result) == repr(value)


async def test_a_live_object_is_fine_until_a_snapshot_needs_it() -> None:
    live = object()

    @step
    async def begin(ev: StartEvent) -> Rich:
        return Rich(live)

    @step
    async def end(ev: Rich) -> StopEvent:
        await anyio.sleep(5)
        return StopEvent(result=ev.value)

    async with Workflow("w", [begin, end]).start() as run:
        await settle()
        with pytest.raises(StateValueError, match=r"Rich.*value|value.*Rich"):
            run.snapshot()
        assert await run.result() is live


# ---- what has a snapshot -----------------------------------------------------------------------


async def test_a_failed_run_can_go_on_from_its_snapshot() -> None:
    broken = True

    @step
    async def begin(ev: StartEvent) -> Work:
        return Work()

    @step
    async def fails(ev: Work, ctx: Context) -> StopEvent:
        if broken:
            raise Boom
        return StopEvent(result=ctx.attempt)

    workflow = Workflow("w", [begin, fails])
    async with workflow.start() as run:
        with pytest.raises(StepFailedError):
            await run.result()
    snapshot = through_json(run.snapshot())
    broken = False
    async with workflow.resume(snapshot) as run:
        assert await run.result() == 1


async def test_a_cancelled_run_can_go_on_from_its_snapshot() -> None:
    async with FAN.start() as run:
        await anyio.sleep(1.5)
        run.cancel()
    async with FAN.resume(through_json(run.snapshot())) as run:
        assert await run.result() == ([0, 1, 2, 3], 6)


async def test_a_completed_run_has_no_snapshot() -> None:
    async with FAN.start() as run:
        await run.result()
    with pytest.raises(RunEndedError):
        run.snapshot()


async def test_history_is_no_part_of_a_snapshot() -> None:
    async with FAN.start() as run:
        await settle()
        snapshot = run.snapshot()
        run.cancel()
    async with FAN.resume(snapshot) as run:
        assert run.history[0].kind == "run_resumed"
        run.cancel()


# ---- the document ------------------------------------------------------------------------------


async def some_snapshot() -> Snapshot:
    async with FAN.start(run_id="fixed") as run:
        await anyio.sleep(1.5)
        snapshot = run.snapshot()
        run.cancel()
    return snapshot


async def test_a_document_is_plain_versioned_json() -> None:
    snapshot = await some_snapshot()
    document = json.loads(snapshot.to_json())
    assert document["version"] == snapshot.version
    assert snapshot.workflow == "fan"
    assert snapshot.run_id == "fixed"
    assert Snapshot.from_bytes(snapshot.to_bytes()) == snapshot


async def test_white_space_does_not_count() -> None:
    snapshot = await some_snapshot()
    pretty = json.dumps(json.loads(snapshot.to_json()), indent=2)
    assert Snapshot.from_json(pretty) == snapshot


async def test_a_signed_document_needs_its_key() -> None:
    snapshot = await some_snapshot()
    text = snapshot.to_json(key="secret")
    assert Snapshot.from_json(text, key="secret") == snapshot
    for key in (None, "other"):
        with pytest.raises(SnapshotError):
            Snapshot.from_json(text, key=key)
    with pytest.raises(SnapshotError):
        Snapshot.from_json(snapshot.to_json(), key="secret")


def truncated(text: str) -> str:
    return text[: len(text) // 2]


def altered(text: str) -> str:
    return text.replace('"fan"', '"fun"')


def of_a_newer_version(text: str) -> str:
    document = json.loads(text)
    document["version"] += 1
    return json.dumps(document)


def nested(text: str) -> str:
    return '{"a":' * 10_000 + "1" + "}" * 10_000


def with_a_key_twice(text: str) -> str:
    return text.replace('"run_id"', '"run_id":"x","run_id"', 1)


def no_object(text: str) -> str:
    return f"[{text}]"


def empty(text: str) -> str:
    return ""


@pytest.mark.parametrize(
    "spoil",
    [truncated, altered, of_a_newer_version, nested, with_a_key_twice, no_object, empty],
    ids=lambda spoil: spoil.__name__,
)
async def test_a_spoilt_document_gives_one_snapshot_error(spoil) -> None:
    text = (await some_snapshot()).to_json()
    spoilt = spoil(text)
    assert spoilt != text
    with pytest.raises(SnapshotError) as caught:
        Snapshot.from_json(spoilt)
    assert isinstance(caught.value, ValueError)
    assert caught.value.path.startswith("$")
    assert isinstance(caught.value, SnapshotVersionError) == (spoil is of_a_newer_version)


async def test_bytes_that_are_no_text_give_a_snapshot_error() -> None:
    with pytest.raises(SnapshotError):
        Snapshot.from_bytes(b"\xff\xfe")


# ---- another workflow --------------------------------------------------------------------------


async def test_a_snapshot_of_another_workflow_is_refused_on_entering() -> None:
    other = Workflow("other", [split, work, gather])
    with pytest.raises(SnapshotError, match="fan"):
        async with other.resume(await some_snapshot()):
            raise AssertionError("not entered")


async def test_a_renamed_workflow_is_told_with_renames() -> None:
    other = Workflow("other", [split, work, gather])
    async with other.resume(await some_snapshot(), renames={"fan": "other"}) as run:
        assert await run.result() == ([0, 1, 2, 3], 6)


@step
async def begin_two(ev: StartEvent) -> tuple[Work, Other]:
    return Work(), Other()


@step
async def old_name(ev: Work, ctx: Context) -> Done:
    await anyio.sleep(5)
    return Done(3)


@step
async def other_old_name(ev: Other) -> None:
    await anyio.sleep(5)


@step
async def finish(ev: Done) -> StopEvent:
    return StopEvent(result=ev.n)


async def test_all_unknown_steps_and_types_are_listed_in_one_error() -> None:
    class NewWork(Event):
        n: int = 0

    @step
    async def begin(ev: StartEvent) -> NewWork:
        return NewWork()

    @step
    async def new_name(ev: NewWork) -> Done:
        return Done(ev.n)

    async with Workflow("w", [begin_two, old_name, other_old_name, finish]).start() as run:
        await settle()
        snapshot = run.snapshot()
        run.cancel()
    with pytest.raises(SnapshotError) as caught:
        async with Workflow("w", [begin, new_name, finish]).resume(snapshot):
            raise AssertionError("not entered")
    text = "\n".join(caught.value.problems)
    for name in ("old_name", "other_old_name", Work.event_type, Other.event_type):
        assert name in text
        assert name in str(caught.value)


async def test_renames_map_steps_and_types() -> None:
    class NewWork(Event):
        n: int = 0

    @step
    async def begin(ev: StartEvent) -> tuple[NewWork, Other]:
        return NewWork(), Other()

    @step
    async def new_name(ev: NewWork) -> Done:
        return Done(4)

    async with Workflow("w", [begin_two, old_name, other_old_name, finish]).start() as run:
        await settle()
        snapshot = through_json(run.snapshot())
        run.cancel()
    renamed = Workflow("w", [begin, new_name, other_old_name, finish])
    renames = {"old_name": "new_name", Work.event_type: NewWork.event_type}
    async with renamed.resume(snapshot, renames=renames) as run:
        assert await run.result() == 4


async def test_settings_of_the_new_workflow_are_in_force_after_a_resume() -> None:
    async with FAN.start() as run:
        await anyio.sleep(0.5)
        snapshot = run.snapshot()
        run.cancel()
    running = 0
    most = 0

    @step(name="work", max_concurrency=1)
    async def one_at_a_time(ev: Work, ctx: Context) -> Done:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await anyio.sleep(1)
        running -= 1
        ctx.state.apply("sum", lambda value: value + ev.n, 0)
        return Done(ev.n)

    async with Workflow("fan", [split, one_at_a_time, gather]).resume(snapshot) as run:
        assert await run.result() == ([0, 1, 2, 3], 6)
    assert most == 1


async def test_resuming_something_else_is_a_type_error() -> None:
    with pytest.raises(TypeError):
        FAN.resume("text")  # type: ignore[arg-type]


# ---- another process ---------------------------------------------------------------------------


PROGRAM = """
import sys
import anyio
from blazen_anyio import Context, Event, InputRequestEvent, InputResponseEvent, Snapshot
from blazen_anyio import InputRequiredError, StartEvent, StopEvent, Workflow, step

class Ask(StartEvent, event_type="app.Ask"):
    name: str

class Work(Event, event_type="app.Work"):
    n: int

class Done(Event, event_type="app.Done"):
    text: str

@step
async def begin(ev: Ask, ctx: Context) -> list[Work]:
    ctx.state["name"] = ev.name
    return [Work(n) for n in range(3)]

@step
async def work(ev: Work) -> InputRequestEvent:
    return InputRequestEvent(f"{ev.n}?")

@step
async def answered(ev: InputResponseEvent, ctx: Context) -> Done:
    return Done(f"{ctx.state['name']}: {ev.response}")

@step
async def gather(done: list[Done]) -> StopEvent:
    return StopEvent(result=[each.text for each in done])

workflow = Workflow("app", [begin, work, answered, gather])

async def put_down():
    try:
        await workflow.run(name="Ada", run_id="the-run")
    except InputRequiredError as error:
        print(error.snapshot.to_json(key="k"), end="")

async def take_up():
    snapshot = Snapshot.from_json(sys.stdin.read(), key="k")
    responses = {each.request_id: each.prompt.upper() for each in snapshot.requests}
    async with workflow.resume(snapshot, responses=responses) as run:
        print(run.run_id, await run.result(), end="")

if sys.argv[1] == "down":
    anyio.run(put_down, backend="asyncio")
else:
    anyio.run(take_up, backend="trio")
"""


def test_a_run_can_be_put_down_and_taken_up_in_another_process(tmp_path: Path, lanes: bool) -> None:
    """On asyncio in one process, on trio in the next, through signed JSON."""
    if not lanes:
        pytest.skip("once is enough")
    program = tmp_path / "program.py"
    program.write_text(textwrap.dedent(PROGRAM), encoding="utf-8")

    def run(what: str, given: str = "") -> str:
        command = [sys.executable, str(program), what]
        done = subprocess.run(
            command, input=given, capture_output=True, text=True, check=False, timeout=60
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    document = run("down")
    assert run("up", document) == "the-run ['Ada: 0?', 'Ada: 1?', 'Ada: 2?']"
