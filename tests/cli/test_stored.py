"""The commands that look at stored runs and steer them, none of which executes a step."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from blazen_anyio import HistoryEntry
from blazen_anyio._cli.stored import entry_data
from blazen_anyio._cli.terminal import clock_time

from .conftest import Told

Blazen = Callable[..., Told]
STORE = ("--store", "runs.db")
STEP_RAN = "a word of the user's"


@pytest.fixture
def waiting(blazen: Blazen) -> Blazen:
    """A store with the run ``w`` that waits for two answers."""
    start_shop(blazen, "w", "ask", "asks")
    return blazen


def start_shop(blazen: Blazen, run_id: str, *items: str, workflow: str = "shop") -> Told:
    given = json.dumps({"items": items, "card": "4111"})
    return blazen("run", f"cli.flows:{workflow}", "-i", given, *STORE, "--run-id", run_id)


def start_idle(blazen: Blazen, run_id: str) -> None:
    assert blazen("run", "cli.flows:idle", *STORE, "--run-id", run_id).code == 3


# ---- looking -------------------------------------------------------------------------------------


def test_ls_lists_the_last_changed_first_and_takes_filters(waiting: Blazen) -> None:
    start_shop(waiting, "done", "tea")
    start_idle(waiting, "i")
    table = waiting("ls", *STORE).out.splitlines()
    assert [line.split()[:3] for line in table] == [
        ["run", "workflow", "status"],
        ["i", "idle", "suspended"],
        ["done", "shop", "completed"],
        ["w", "shop", "suspended"],
    ]
    assert "waits for an answer to: What does ask cost?" in table[3]

    def listed(*options: str) -> list[str]:
        lines = waiting("ls", *STORE, "--json", *options).out.splitlines()
        return [json.loads(line)["run_id"] for line in lines]

    assert listed() == ["i", "done", "w"]
    assert listed("--status", "suspended") == ["i", "w"]
    assert listed("--workflow-name", "shop") == ["done", "w"]
    assert listed("--limit", "1") == ["i"]


def test_show_tells_what_waits_and_no_values(waiting: Blazen) -> None:
    shown = waiting("show", "w", *STORE).out
    assert "queued:\n  price: 2\n" in shown
    assert "requests:\n  w-8  What does ask cost?\n  w-9  What does asks cost?\n" in shown
    assert shown.endswith("state:\n  order\n")
    data = json.loads(waiting("show", "w", *STORE, "--json").out)
    assert data["status"] == "suspended"
    assert data["state"] == ["order"]


def test_show_with_the_workflow_tells_values_but_no_secrets(waiting: Blazen) -> None:
    told = waiting("show", "w", *STORE, "--workflow", "cli.flows:shop")
    assert '"card": {"number": "***"}' in told.out
    start_shop(waiting, "done", "tea")
    done = waiting("show", "done", *STORE, "--workflow", "cli.flows:shop").out
    assert 'result:\n  total: 3\n  discount: {"$": "decimal", "v": "0"}\n  card: "***"' in done
    assert "result" not in waiting("show", "done", *STORE).out
    assert waiting("show", "done", *STORE, "--workflow", "cli.flows:idle").code == 1


def test_history_tells_facts_by_commit(waiting: Blazen) -> None:
    lines = waiting("history", "w", *STORE).out.splitlines()
    assert lines[0].split()[:4] == ["commit", "time", "fact", "step"]
    assert any("step_completed" in line and "split" in line for line in lines)
    facts = [
        json.loads(line) for line in waiting("history", "w", *STORE, "--json").out.split("\n")[:-1]
    ]
    assert [fact["commit"] for fact in facts] == sorted(fact["commit"] for fact in facts)
    assert "run_suspended" in [fact["kind"] for fact in facts]
    assert facts[-1]["status"] == "suspended"


def test_history_needs_a_log(blazen: Blazen) -> None:
    blazen("run", "cli.flows:idle", *STORE, "--run-id", "i", "--no-log")
    told = blazen("history", "i", *STORE)
    assert (told.code, told.lines[1]) == (2, "  hint: run without --no-log keeps one")


@pytest.mark.parametrize("command", ["show", "history", "watch", "cancel"])
def test_a_run_that_is_not_there_is_told_in_one_line(waiting: Blazen, command: str) -> None:
    told = waiting(command, "x", *STORE)
    assert (told.code, told.lines) == (1, ["blazen-anyio: there is no run 'x' in the store"])


@pytest.mark.parametrize("command", ["show", "history", "watch", "cancel", "rm"])
def test_looking_makes_no_store(blazen: Blazen, command: str) -> None:
    told = blazen(command, "x", "--store", "nothing.db")
    assert (told.code, told.lines[0]) == (2, "blazen-anyio: there is no store at nothing.db")
    assert blazen("ls", "--store", "nothing.db").code == 2


def test_a_file_that_is_no_store_is_told(blazen: Blazen) -> None:
    Path("text.db").write_text("this is no database " * 100)
    told = blazen("ls", "--store", "text.db")
    assert told.code == 1
    assert len(told.lines) == 2


def test_a_sealed_store_is_named_by_what_makes_it(blazen: Blazen) -> None:
    store = ("--store", "cli.flows:sealed_store")
    assert blazen("run", "cli.flows:idle", *store, "--run-id", "i").code == 3
    assert "i " in blazen("ls", *store).out
    assert "run 'i': record" in blazen("show", "i", "--store", "sealed.db").err
    assert blazen("show", "i", *store).code == 0


def test_what_is_no_store_is_refused(blazen: Blazen) -> None:
    told = blazen("ls", "--store", "cli.flows:make_nothing")
    assert told.lines == ["blazen-anyio: cli.flows:make_nothing is of type NoneType, not a store"]
    assert blazen("run", "cli.flows:idle", "--store", ":memory:").code == 2


def test_watch_ends_with_the_code_of_the_run(waiting: Blazen) -> None:
    start_shop(waiting, "done", "tea")
    start_shop(waiting, "bad", "bad")
    codes = {
        run_id: waiting("watch", run_id, *STORE, "--interval", "0.01").code
        for run_id in ("w", "done", "bad")
    }
    assert codes == {"w": 3, "done": 0, "bad": 1}
    lines = [
        json.loads(line)
        for line in waiting("watch", "done", *STORE, "--interval", "0.01").out.splitlines()
    ]
    assert lines[0]["fact"] == "run_started"
    assert [line["status"] for line in lines if "status" in line] == ["completed"]
    assert {"fact": "run_completed"}.items() <= lines[-2].items() | lines[-1].items()


# ---- steering ------------------------------------------------------------------------------------


def test_an_event_is_sent_to_a_run_that_nobody_executes(blazen: Blazen) -> None:
    start_idle(blazen, "i")
    sent = blazen("send", "cli.flows:idle", "i", "Ping", "--data", '{"number": 5}', *STORE)
    assert (sent.code, sent.out) == (0, "")
    assert "queued:\n  pong: 1" in blazen("show", "i", *STORE).out
    assert blazen("resume", "cli.flows:idle", "i", *STORE).out == "5\n"
    told = blazen("send", "cli.flows:idle", "i", "Ping", "--data", '{"number": 5}', *STORE)
    assert (told.code, told.lines[0]) == (1, "blazen-anyio: run 'i' has ended: completed")


def test_an_event_that_is_not_taken_changes_nothing(blazen: Blazen) -> None:
    start_idle(blazen, "i")
    before = blazen("show", "i", *STORE).out
    assert "no step accepts" in blazen("send", "cli.flows:idle", "i", "Nobody", *STORE).err
    assert blazen("send", "cli.flows:idle", "i", "Ping", "-d", '{"number": "x"}', *STORE).code == 2
    assert blazen("show", "i", *STORE).out == before


def test_one_of_several_requests_is_answered_by_its_id(waiting: Blazen) -> None:
    respond = ("respond", "cli.flows:shop", "w")
    told = waiting(*respond, "7", *STORE)
    assert told.code == 2
    assert "w-8 (What does ask cost?); w-9 (What does asks cost?)" in told.lines[0]
    assert told.lines[1] == "  hint: say --request ID"
    assert waiting(*respond, "7", "--request", "w-9", *STORE).code == 0
    assert waiting(*respond, "-3", *STORE).code == 0
    told = waiting(*respond, "7", *STORE)
    assert (told.code, told.lines[0]) == (2, "blazen-anyio: run 'w' asks nothing")
    told = waiting(*respond, "7", "--request", "w-8", *STORE)
    assert "input request 'w-8' was never made by this run" in told.err
    assert STEP_RAN not in told.err
    told = waiting("resume", "cli.flows:shop", "w", *STORE)
    assert json.loads(told.out)["total"] == 4
    assert STEP_RAN not in told.err


def test_an_answer_may_be_json(blazen: Blazen) -> None:
    blazen("run", "cli.flows:drinks", *STORE, "--run-id", "d")
    assert blazen("respond", "cli.flows:drinks", "d", "[true, 1]", "--from-json", *STORE).code == 0
    assert blazen("resume", "cli.flows:drinks", "d", *STORE).out == "[true, 1]\n"


def test_a_cancelled_run_is_marked_and_can_still_go_on(waiting: Blazen) -> None:
    assert waiting("cancel", "w", *STORE).code == 0
    assert "status:    cancelled" in waiting("show", "w", *STORE).out
    told = waiting("respond", "cli.flows:shop", "w", "7", "--request", "w-8", *STORE)
    assert "has ended: cancelled; resume_from goes on" in told.err
    told = start_shop(waiting, "w", "tea")
    assert (told.code, told.lines[0]) == (1, "blazen-anyio: run 'w' was cancelled")
    assert waiting("watch", "w", *STORE, "--interval", "0.01").code == 1
    assert waiting("resume", "cli.flows:shop", "w", *STORE).code == 3


def test_runs_are_removed(waiting: Blazen) -> None:
    start_shop(waiting, "done", "tea")
    told = waiting("rm", "w", "x", *STORE)
    assert (told.code, told.lines) == (1, ["blazen-anyio: no such run: x"])
    assert waiting("rm", *STORE, "--older-than", "1h").lines == ["removed 0"]
    assert waiting("rm", *STORE, "--older-than", "0s").lines == ["removed 1"]
    assert waiting("ls", *STORE, "--json").out == ""
    assert waiting("rm", *STORE).code == 2


# ---- workflows and their runs --------------------------------------------------------------------


def test_check_tells_which_runs_would_not_resume(waiting: Blazen) -> None:
    assert waiting("check", "cli.flows:shop").lines == ["shop: fine"]
    assert waiting("check", "cli.flows:shop", *STORE).code == 0
    told = waiting("check", "cli.flows:renamed", *STORE)
    assert (told.code, told.lines) == (1, ["1 stored runs would not resume"])
    assert told.out.startswith("w: $.")
    assert "unknown step 'price'" in told.out
    assert waiting("check", "cli.flows:renamed", *STORE, "--rename", "price=value").code == 0


def test_a_report_is_a_page(waiting: Blazen, tmp_path_factory: pytest.TempPathFactory) -> None:
    page = tmp_path_factory.mktemp("reports") / "run.html"
    report = ("report", "w", *STORE, "--output")
    assert waiting(*report, str(page)).code == 0
    assert page.read_text(encoding="utf-8").startswith("<!")
    assert waiting(*report, str(page), "--workflow", "cli.flows:shop").code == 0
    assert "4111" not in page.read_text(encoding="utf-8")
    told = waiting(*report, str(page / "no"))
    assert (told.code, len(told.lines)) == (1, 1)


def test_a_commit_that_tells_nothing_is_shown_by_itself() -> None:
    entry = HistoryEntry(sequence=3, time=0.0, status=None, facts=(), changed=(), removed=())
    assert entry_data(entry) == [
        {"kind": "commit", "commit": 3, "status": None, "time": clock_time(0.0)}
    ]
