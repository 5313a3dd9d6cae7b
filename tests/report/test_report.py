"""Reports on runs of this process and on stored ones tell what there is, and what is missing."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import anyio
import attrs
import pytest
from engine.kit import settle

from blazen_anyio import (
    Context,
    Event,
    HistoryFact,
    InputRequestEvent,
    InputResponseEvent,
    Report,
    Retry,
    StartEvent,
    StepFailedError,
    StopEvent,
    StoreError,
    Workflow,
    report,
    secret,
    step,
    stored_report,
)
from blazen_anyio._report.report import _described
from blazen_anyio._report.stored import Log
from blazen_anyio._store import LogEntry
from blazen_anyio.stores import MemoryStore

pytestmark = pytest.mark.anyio


class Begin(StartEvent, event_type="report.Begin"):
    count: int = 3


class Work(Event, event_type="report.Work"):
    n: int


class Done(Event, event_type="report.Done"):
    n: int


class Bill(StopEvent, event_type="report.Bill"):
    total: int
    token: str = secret(default="hunter2")


@attrs.frozen
class Login:
    user: str
    password: str = attrs.field(metadata={"secret": True})


@step
async def split(ev: Begin, ctx: Context) -> list[Work]:
    ctx.state["login"] = Login("ada", "hunter2")
    ctx.state["count"] = ev.count
    return [Work(n) for n in range(ev.count)]


@step(retry=Retry(initial=1, jitter=False))
async def work(ev: Work, ctx: Context) -> Done:
    await anyio.sleep(1)
    if ev.n == 1 and ctx.attempt == 1:
        raise OSError
    return Done(ev.n)


@step
async def bill(done: list[Done]) -> Bill:
    return Bill(total=len(done))


SHOP = Workflow("shop", [split, work, bill], stop=Bill, types=[Login])


def rows(made: Report, *columns: int) -> list[tuple[Any, ...]]:
    """Columns of the invocations, names in words: 2 is the step, 3 the event type."""
    strings = made.data["strings"]
    return [
        tuple(strings[row[each]] if each in (2, 3) else row[each] for each in columns)
        for row in made.data["invocations"]
    ]


def outcomes(made: Report) -> list[tuple[str, list[str]]]:
    strings = made.data["strings"]
    return [(strings[row[2]], [each[3] for each in row[6]]) for row in made.data["invocations"]]


def gaps(made: Report) -> list[str]:
    return list(made.data["gaps"])


# ---- runs of this process ------------------------------------------------------------------------


async def test_a_run_that_has_ended_is_told_from_beginning_to_end() -> None:
    async with SHOP.start(count=2) as run:
        await run.result()
    made = report(run, SHOP)
    assert outcomes(made) == [
        ("split", ["completed"]),
        ("work", ["completed"]),
        ("work", ["failed", "completed"]),
        ("bill", ["completed"]),
    ]
    assert [row[0] for row in rows(made, 4)] == [-1, 0, 0, 1]
    assert made.data["run"]["status"] == "completed"
    assert made.data["run"]["duration"] == pytest.approx(3)
    assert made.data["steps"][1]["counted"]["retried"] == 1
    assert gaps(made) == []
    assert made.data["graph"]["declared"]
    assert made.title == f"shop · {run.run_id}"
    assert repr(made) == f"<Report {made.title!r}, {len(run.history)} facts>"


async def test_result_and_state_are_shown_without_their_secrets() -> None:
    async with SHOP.start(count=0) as run:
        await run.result()
    made = report(run)
    assert "total = 0" in made.data["run"]["result"]
    state = dict(made.data["state"])
    assert state["count"] == "0"
    assert "'ada'" in state["login"]
    assert "hunter2" not in made.to_html()


async def test_a_run_that_goes_on_is_told_as_it_is() -> None:
    async with SHOP.start() as run:
        await settle()
        made = report(run, SHOP)
        await run.result()
    assert made.data["run"]["status"] == "running"
    assert outcomes(made)[1:] == [("work", ["running"])] * 3


async def test_an_attempt_that_runs_lasts_until_the_report() -> None:
    async with SHOP.start(count=1) as run:
        await settle()
        await anyio.sleep(0.5)
        assert report(run).data["run"]["duration"] == pytest.approx(0.5)
        await run.result()


async def test_what_a_run_waits_for_is_told_while_it_does() -> None:
    @step
    async def ask(ev: StartEvent, ctx: Context) -> StopEvent:
        return StopEvent(result=await ctx.request_input("May \u202e I?"))

    async with Workflow("w", [ask]).start() as run:
        await settle()
        made = report(run)
        assert made.data["requests"] == ["'May \\u202e I?'"]
        assert made.data["invocations"][0][6][0][5][0][1] is None
        run.respond_to_input(run.requests[0].request_id, True)
        await run.result()
    assert report(run).data["requests"] == []


class Rude(Exception):
    def __str__(self) -> str:
        raise RuntimeError


async def test_why_a_run_failed_is_told() -> None:
    @step
    async def fail(ev: StartEvent) -> StopEvent:
        raise Rude

    async with Workflow("w", [fail]).start() as run:
        with pytest.raises(StepFailedError):
            await run.result()
    made = report(run)
    assert made.data["run"]["error"].startswith("blazen_anyio.StepFailedError: ")
    assert outcomes(made) == [("fail", ["failed"])]


def test_an_error_that_cannot_say_what_it_is_does_not_stand_in_the_way() -> None:
    assert _described(Rude()).endswith("Rude: <str() of the exception failed>")


async def test_a_bounded_history_says_what_it_has_forgotten() -> None:
    small = Workflow("small", [split, work, bill], stop=Bill, types=[Login], history=5)
    async with small.start() as run:
        await run.result()
    made = report(run)
    (gap,) = gaps(made)
    assert gap.startswith(f"{run.history.dropped} earlier facts are not shown")
    assert [step["counted"]["done"] for step in made.data["steps"]] == [1, 3, 1]


async def test_a_run_without_history_says_so() -> None:
    silent = Workflow("w", [split, work, bill], stop=Bill, types=[Login], history=0)
    async with silent.start() as run:
        await run.result()
    made = report(run)
    assert gaps(made) == ["This workflow keeps no history (history=0)."]
    assert made.data["invocations"] == []


async def test_a_run_that_was_taken_up_says_that_there_was_something_before() -> None:
    async with SHOP.start() as run:
        await settle()
        snapshot = await run.suspend()
    assert outcomes(report(run))[1:] == [("work", ["cancelled"])] * 3
    async with SHOP.resume(snapshot) as resumed:
        await resumed.result()
    made = report(resumed)
    assert gaps(made) == ["What happened before the run was taken up here is not in its history."]
    assert [row[0] for row in rows(made, 4)][:3] == [-2, -2, -2]
    assert rows(made, 1, 2)[:3] == rows(report(run), 1, 2)[1:]


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_a_run_can_be_reported_after_its_event_loop_is_gone(backend: str) -> None:
    async def main() -> Any:
        async with SHOP.start(count=0) as run:
            await run.result()
            return run

    made = report(anyio.run(main, backend=backend), SHOP)
    assert made.data["run"]["began"] == pytest.approx(time.time(), abs=60)
    assert made.data["run"]["status"] == "completed"


def test_a_run_that_was_not_started_has_no_report() -> None:
    with pytest.raises(RuntimeError, match="not been started"):
        report(SHOP.start())


async def test_a_report_is_written_to_a_file(tmp_path: Path) -> None:
    async with SHOP.start(count=0) as run:
        await run.result()
    made = report(run, SHOP)
    place = made.write(str(tmp_path / "run.html"))
    assert place == tmp_path / "run.html"
    assert place.read_text(encoding="utf-8") == made.to_html()


# ---- stored runs ---------------------------------------------------------------------------------


async def test_a_stored_run_is_told_by_its_log() -> None:
    async with MemoryStore(keep_log=True) as store:
        await SHOP.run(count=2, run_id="r", store=store)
        made = await stored_report(store, "r", SHOP)
    assert outcomes(made) == [
        ("split", ["completed"]),
        ("work", ["completed"]),
        ("work", ["failed", "completed"]),
        ("bill", ["completed"]),
    ]
    assert (made.data["run"]["status"], gaps(made)) == ("completed", [])
    assert "total = 2" in made.data["run"]["result"]
    assert "hunter2" not in made.to_html()
    state = dict(made.data["state"])
    assert (state["count"], "'ada'" in state["login"]) == ("2", True)
    assert made.data["stateNote"] == "As it was before the commit that ended the run."


async def test_values_of_classes_that_are_not_known_are_not_shown() -> None:
    async with MemoryStore(keep_log=True) as store:
        await SHOP.run(count=0, run_id="r", store=store)
        made = await stored_report(store, "r")
    assert "hunter2" not in made.to_html()
    state = dict(made.data["state"])
    assert state["count"] == "0"
    assert state["login"].startswith("not shown: ")
    assert made.data["run"]["result"].startswith("not shown: ")
    assert not made.data["graph"]["declared"]


async def test_without_a_log_the_state_is_told_and_what_is_missing() -> None:
    async with MemoryStore() as store:
        async with SHOP.start(run_id="r", store=store) as run:
            await settle()
            await run.suspend()
        made = await stored_report(store, "r", SHOP)
        assert gaps(made) == ["The store keeps no log of this run; one with keep_log=True does."]
        assert dict(made.data["state"])["count"] == "3"
        assert (made.data["run"]["status"], made.data["stateNote"]) == ("suspended", "")
        async with SHOP.resume_from(store, "r") as resumed:
            await resumed.result()
        made = await stored_report(store, "r", SHOP)
    assert made.data["state"] == []
    assert made.data["stateNote"].startswith("A run that has completed keeps its result")


async def test_a_log_tells_of_a_run_in_several_processes() -> None:
    async with MemoryStore(keep_log=True) as store:
        async with SHOP.start(count=1, run_id="r", store=store) as run:
            await settle()
            await run.suspend()
        async with SHOP.resume_from(store, "r") as resumed:
            await resumed.result()
        made = await stored_report(store, "r", SHOP)
    assert outcomes(made)[1] == ("work", ["cancelled", "completed"])


async def test_child_runs_are_told_by_the_log_within_the_step_that_runs_them() -> None:
    class Go(StartEvent, event_type="report.Go"):
        pass

    @step
    async def outer(ev: Go, ctx: Context) -> StopEvent:
        return StopEvent(result=await ctx.run_workflow(SHOP, Begin(count=1)))

    around = Workflow("around", [outer])
    async with MemoryStore(keep_log=True) as store:
        await around.run(Go(), run_id="r", store=store)
        made = await stored_report(store, "r", around)
    assert [name for name, _ in outcomes(made)] == ["outer", "split", "work", "bill"]
    strings = made.data["strings"]
    runs = [None if row[0] is None else strings[row[0]] for row in made.data["invocations"]]
    assert runs[0] is None
    assert set(runs[1:]) == {f"r/{made.data['invocations'][0][1]}.0"}
    assert [row[4] for row in made.data["invocations"]] == [-1, 0, 1, 2]


async def test_the_state_of_a_child_run_is_not_that_of_the_run_around_it() -> None:
    class Go(StartEvent, event_type="report.Go"):
        pass

    @step
    async def outer(ev: Go, ctx: Context) -> StopEvent:
        return StopEvent(result=await ctx.run_workflow(SHOP, Begin(count=1)))

    async with MemoryStore() as store:
        async with Workflow("around", [outer]).start(Go(), run_id="r", store=store) as run:
            await settle()
            await run.suspend()
        _, rows = await store.read("r") or (None, [])
        assert any(">state/" in row.key for row in rows)
        assert (await stored_report(store, "r")).data["state"] == []


async def test_what_a_stored_run_asks_and_why_it_failed_is_told() -> None:
    @step
    async def ask(ev: StartEvent) -> InputRequestEvent:
        return InputRequestEvent("May I?")

    @step
    async def answered(ev: InputResponseEvent) -> StopEvent:
        raise ValueError("no")

    workflow = Workflow("w", [ask, answered])
    async with MemoryStore(keep_log=True) as store:
        async with workflow.start(run_id="r", store=store) as run:
            await settle()
            await run.suspend()
        made = await stored_report(store, "r")
        assert made.data["requests"] == ["'May I?'"]
        async with workflow.resume_from(store, "r") as run:
            run.respond_to_input(run.requests[0].request_id, 1)
            with pytest.raises(StepFailedError):
                await run.result()
        made = await stored_report(store, "r")
    assert made.data["run"]["error"].startswith("StepFailedError: ")


async def test_a_request_of_a_class_that_is_not_known_is_not_shown() -> None:
    class Ask(InputRequestEvent, event_type="report.Ask"):
        pass

    @step
    async def ask(ev: StartEvent) -> Ask:
        return Ask("May I?")

    @step
    async def answered(ev: InputResponseEvent) -> StopEvent:
        return StopEvent()

    async with MemoryStore() as store:
        async with Workflow("w", [ask, answered]).start(run_id="r", store=store) as run:
            await settle()
            await run.suspend()
        made = await stored_report(store, "r")
    assert made.data["requests"][0].startswith("not shown: ")


def test_a_log_tells_which_commits_it_lacks() -> None:
    fact = HistoryFact("run_paused", 0.0)
    entry = LogEntry(time=0, head="", facts=(fact, fact))
    log = Log([(3, entry), (4, entry), (9, entry)], 9)
    assert log.gaps == (
        "The log has no entries for commits 1 to 2.",
        "The log has no entries for commits 5 to 8.",
    )
    assert log.rows_before_end() is None


def test_a_log_that_was_given_up_is_no_whole_one() -> None:
    """The run went on without one."""
    entry = LogEntry(time=0, head="", facts=())
    log = Log([(1, entry), (2, entry)], 7)
    assert log.gaps == ("The log has no entries for commits 3 to 7.",)
    assert log.rows_before_end() is None
    assert Log([(1, entry), (2, entry)], 2).gaps == ()


async def test_a_run_that_is_not_there_has_no_report() -> None:
    async with MemoryStore() as store:
        with pytest.raises(StoreError, match="no run 'r'"):
            await stored_report(store, "r")
