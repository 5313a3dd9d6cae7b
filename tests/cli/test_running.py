"""``run``, ``resume`` and ``fork``: what they print where, and with which exit code they end."""

from __future__ import annotations

import json
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from blazen_anyio import Snapshot

from .conftest import Told

Blazen = Callable[..., Told]
SHOP = ("run", "cli.flows:shop")
BACKENDS = ["asyncio", "trio"]


def order(*items: str) -> tuple[str, str]:
    return "--input", json.dumps({"items": items, "discount": "1.5", "card": "4111"})


@pytest.mark.parametrize("backend", BACKENDS)
def test_the_result_is_json_and_all_that_is_on_standard_output(
    blazen: Blazen, backend: str
) -> None:
    told = blazen(*SHOP, *order("tea", "bread"), "--backend", backend)
    assert told.code == 0
    assert json.loads(told.out) == {
        "total": 8,
        "discount": {"$": "decimal", "v": "1.5"},
        "card": "***",
    }
    assert "a word of the user's" in told.lines


def test_the_stream_comes_as_lines_of_json_without_secrets(blazen: Blazen) -> None:
    told = blazen(*SHOP, *order("tea"))
    line = json.loads(told.lines[-1])
    assert line.pop("time")
    assert line == {
        "event": "cli.flows.Progress",
        "fields": {"note": "tea is priced", "token": "***"},
    }
    assert "hush" not in told.err + told.out
    assert "4111" not in told.err + told.out


def test_with_events_the_engine_tells_what_it_does_too(blazen: Blazen) -> None:
    told = blazen(*SHOP, *order("tea"), "--events")
    facts = [json.loads(line) for line in told.lines if line.startswith("{")]
    kinds = [fact.get("fact") for fact in facts if fact.get("step") == "price"]
    assert kinds == ["step_started", "step_completed"]
    assert facts[-1]["fact"] == "run_completed"


def test_input_comes_from_a_file_or_from_standard_input(blazen: Blazen, tmp_path: Path) -> None:
    text = json.dumps({"items": ["tea"]})
    (tmp_path / "order.json").write_text(text)
    assert json.loads(blazen(*SHOP, "-i", "@order.json").out)["total"] == 3
    assert json.loads(blazen(*SHOP, "-i", "-", stdin=text).out)["total"] == 3


@pytest.mark.parametrize(
    ("given", "problem", "hint"),
    [
        ("{", "--input is no JSON", "@file"),
        ('{"items": NaN}', "it has no number NaN", "@file"),
        ('{"items": 1e999}', "1e999 is too large", "@file"),
        ("[" * 100_000, "--input is no JSON", "@file"),
        ("@nothing", "--input @nothing: [Errno 2]", ""),
        ("[1]", "Order takes a JSON object with its fields, not [1]", ""),
        ('{"items": [1]}', "Order.items[0]: expected str, got", "items: list[str], discount"),
        ("{}", "Order: missing: items", "items: list[str]"),
        ('{"items": [], "x": 1}', "Order: there is no field 'x'", "(optional)"),
    ],
)
def test_input_that_does_not_fit_is_refused_in_one_line_and_a_hint(
    blazen: Blazen, given: str, problem: str, hint: str
) -> None:
    told = blazen(*SHOP, "--input", given)
    assert (told.code, told.out) == (2, "")
    assert problem in told.lines[0]
    assert hint in "".join(told.lines[1:])
    assert len(told.lines) <= 2


def test_a_workflow_with_several_starts_is_told_which(blazen: Blazen) -> None:
    several = ("run", "cli.flows:several")
    assert "--start" in blazen(*several).lines[1]
    assert blazen(*several, "--start", "Other").out == '"Other"\n'
    assert blazen(*several, "--start", "cli.flows.Order", *order()).out == '"Order"\n'


def test_an_event_that_nobody_accepts_is_refused(blazen: Blazen) -> None:
    told = blazen("run", "cli.flows:idle", "--start", "nobody.knows")
    assert told.code == 1
    assert told.lines[0].startswith("blazen-anyio: no step accepts DynamicEvent 'nobody.knows'")


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_failed_run_shows_the_users_exception_as_python_does(
    blazen: Blazen, backend: str
) -> None:
    told = blazen(*SHOP, *order("bad"), "--backend", backend)
    assert (told.code, told.out) == (1, "")
    start = told.lines.index("Traceback (most recent call last):")
    assert told.lines[start + 1].startswith(f'  File "{Path(__file__).parent / "flows.py"}"')
    assert told.lines[start + 3] == r"ValueError: nobody knows\x1b[2J the price"
    assert told.lines[-1] == (
        "blazen-anyio: step 'price' failed on Item after 2 attempts: ValueError"
    )


def test_with_traceback_the_engine_is_shown_too(blazen: Blazen) -> None:
    told = blazen(*SHOP, *order("bad"), "--traceback")
    assert "_lanes.py" in told.err
    assert "The above exception was the direct cause" in told.err
    assert "\x1b" not in told.err


def test_an_exit_in_a_step_is_the_exit_of_the_process(blazen: Blazen) -> None:
    with pytest.raises(SystemExit) as caught:
        blazen(*SHOP, *order("exit"))
    assert caught.value.code == 7


def test_a_handler_of_the_workflow_answers(blazen: Blazen) -> None:
    told = blazen("run", "cli.flows:automatic", "--input", '{"thirst": 1.5}')
    assert told.out == '"water"\n'


# ---- put down and taken up -----------------------------------------------------------------------


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_run_in_no_store_that_waits_is_put_down_in_a_file(
    blazen: Blazen, tmp_path: Path, backend: str
) -> None:
    told = blazen(*SHOP, *order("ask"), "--run-id", "a/b", "--backend", backend)
    assert (told.code, told.out) == (3, "")
    assert told.lines[-3:-1] == [
        "blazen-anyio: run a/b waits for an answer",
        "  ? What does ask cost?  (a/b-6)",
    ]
    assert "resume cli.flows:shop --snapshot run-a_b.json" in told.lines[-1]
    file = tmp_path / "run-a_b.json"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    resume = ("resume", "cli.flows:shop", "--snapshot", file.name, "--backend", backend)
    assert blazen(*resume).code == 3
    assert json.loads(blazen(*resume, "--answer", "a/b-6=12").out)["total"] == 12


def test_a_file_that_can_not_be_written_is_told(blazen: Blazen) -> None:
    told = blazen(*SHOP, *order("ask"), "--snapshot", "no/such/directory.json")
    assert told.code == 1
    assert "No such file or directory" in told.err
    assert "the run is lost" in told.lines[-1]


def test_a_file_that_is_no_snapshot_is_refused(blazen: Blazen, tmp_path: Path) -> None:
    resume = ("resume", "cli.flows:shop", "--snapshot", "x.json")
    assert blazen(*resume).lines == ["blazen-anyio: x.json: No such file or directory"]
    (tmp_path / "x.json").write_text("{}")
    told = blazen(*resume)
    assert (told.code, len(told.lines)) == (1, 1)  # and no hint about names


def test_a_run_from_a_file_stays_in_files_whatever_store_the_environment_names(
    blazen: Blazen, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It would be lost if the store were believed to have it."""
    assert blazen(*SHOP, *order("ask", "asks"), "--run-id", "r").code == 3
    monkeypatch.setenv("BLAZEN_STORE", "runs.db")
    file = tmp_path / "run-r.json"
    (first, *_) = Snapshot.from_bytes(file.read_bytes()).requests
    resume = ("resume", "cli.flows:shop", "--snapshot", file.name)
    told = blazen(*resume, "--answer", f"{first.request_id}=12")
    assert told.code == 3
    assert told.lines[-1].endswith("resume cli.flows:shop --snapshot run-r.json")
    assert first not in Snapshot.from_bytes(file.read_bytes()).requests


def test_resume_wants_a_run_or_a_file(blazen: Blazen) -> None:
    problem = "blazen-anyio: name a run and its --store, or a file with --snapshot"
    assert blazen("resume", "cli.flows:shop").lines == [problem]
    assert blazen("resume", "cli.flows:shop", "r", "--snapshot", "x").lines == [problem]
    told = blazen("resume", "cli.flows:shop", "r")
    assert (told.code, told.lines[0]) == (2, "blazen-anyio: which store is the run in?")


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_stored_run_is_answered_and_goes_on(blazen: Blazen, backend: str) -> None:
    place = ("--store", "runs.db")
    told = blazen(*SHOP, *order("ask", "tea"), *place, "--run-id", "r", "--backend", backend)
    assert told.code == 3
    assert "respond cli.flows:shop r ANSWER --store runs.db" in told.lines[-2]
    assert "resume cli.flows:shop r --store runs.db" in told.lines[-1]
    told = blazen("respond", "cli.flows:shop", "r", "7", *place)
    assert (told.code, told.out) == (0, "")
    assert "resume cli.flows:shop r --store runs.db" in told.err
    assert "a word of the user's" not in told.err
    told = blazen("resume", "cli.flows:shop", "r", *place, "--backend", backend)
    assert json.loads(told.out)["total"] == 10
    again = blazen(*SHOP, *order("bad"), *place, "--run-id", "r")
    assert json.loads(again.out)["total"] == 10


def test_a_failed_run_in_a_store_tells_how_it_goes_on(blazen: Blazen) -> None:
    told = blazen(*SHOP, *order("bad"), "--store", "runs.db", "--run-id", "r")
    assert told.lines[-1].endswith("resume cli.flows:shop r --store runs.db")
    told = blazen("resume", "cli.flows:shop", "r", "--store", "runs.db", "--backend", "trio")
    assert told.lines[-1].endswith("resume cli.flows:shop r --store runs.db --backend trio")


def test_a_run_that_does_not_fit_is_told_how_to_map_names(blazen: Blazen) -> None:
    blazen(*SHOP, *order("bad"), "--store", "runs.db", "--run-id", "r")
    resume = ("resume", "cli.flows:renamed", "r", "--store", "runs.db")
    told = blazen(*resume)
    assert told.code == 1
    assert "unknown step 'price'" in told.lines[0]
    assert told.lines[1] == "  hint: names that have changed are mapped with --rename old=new"
    assert json.loads(blazen(*resume, "--rename", "price=value").out)["total"] == 100
    assert blazen(*resume, "--rename", "price").code == 2


def test_a_fork_begins_as_the_run_was(blazen: Blazen) -> None:
    blazen(*SHOP, *order("tea"), "--store", "runs.db", "--run-id", "r")
    told = blazen("fork", "cli.flows:shop", "r", "--at", "1", "--new-run-id", "s", "-s", "runs.db")
    assert "run s begins as r was" in told.lines
    assert json.loads(told.out)["total"] == 3


def test_only_what_was_logged_can_be_forked(blazen: Blazen) -> None:
    blazen(*SHOP, *order("tea"), "--store", "runs.db", "--run-id", "r", "--no-log")
    told = blazen("fork", "cli.flows:shop", "r", "--at", "1", "-s", "runs.db")
    assert told.code == 1
    assert "has no log up to commit 1" in told.err


def test_the_store_may_be_named_in_the_environment(
    blazen: Blazen, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BLAZEN_STORE", "runs.db")
    blazen(*SHOP, *order("tea"), "--run-id", "r")
    assert "r " in blazen("ls").out
