"""The pieces of the command line, each by itself."""

from __future__ import annotations

import json
import math
from decimal import Decimal
from pathlib import Path
from typing import Any

import attrs
import pytest
from rich.console import Console

from blazen_anyio import (
    DynamicEvent,
    Event,
    HistoryFact,
    LifecycleEvent,
    StepStatistics,
    StopEvent,
    secret,
)
from blazen_anyio._cli.board import Board, draw
from blazen_anyio._cli.plain import event_line, to_json, to_plain
from blazen_anyio._cli.progress import Progress
from blazen_anyio._cli.terminal import (
    Terminal,
    clock_time,
    columns,
    command_line,
    printable,
    seconds_text,
)
from blazen_anyio._codec import Codec

CODEC = Codec(())


# ---- plain ---------------------------------------------------------------------------------------


class Login(Event):
    user: str
    password: str = secret()


class Odd:
    def __repr__(self) -> str:
        raise ValueError


class Plain:
    def __repr__(self) -> str:
        return "<plain>"


class Answer(StopEvent):
    text: str


@pytest.mark.parametrize(
    ("value", "plain"),
    [
        ([None, True, 1, 1.5, "a", (2,)], [None, True, 1, 1.5, "a", [2]]),
        ({"a": {1}, "b": frozenset("c")}, {"a": [1], "b": ["c"]}),
        ({1: 2}, {"$": "dict", "k": [1], "v": [2]}),
        (math.inf, {"$": "float", "v": "inf"}),
        (Decimal("1.50"), {"$": "decimal", "v": "1.50"}),
        (Login("u", "hush"), {"user": "u", "password": "***"}),
        (Answer(text="t"), {"text": "t"}),
        (Answer(text="t", result=1), {"text": "t", "result": 1}),
        (Plain(), "<plain>"),
        ({1: Plain()}, "{1: <plain>}"),
        (Odd(), "<Odd>"),
    ],
)
def test_a_value_is_written_so_that_json_can_hold_it(value: Any, plain: Any) -> None:
    assert to_plain(value, CODEC) == plain
    assert json.loads(to_json(value, CODEC)) == plain


def test_what_contains_itself_is_only_represented() -> None:
    endless: list[Any] = []
    endless.append(endless)
    assert to_plain(endless, CODEC) == "[[...]]"


def test_a_line_says_where_an_event_comes_from() -> None:
    line = json.loads(event_line(DynamicEvent("made.up", {"a": 1}), ("r/1.0",), CODEC))
    assert line.pop("time")
    assert line == {"event": "made.up", "fields": {"a": 1}, "path": ["r/1.0"]}
    line = json.loads(event_line(LifecycleEvent("step_started", "price"), ("r/1.0",), CODEC))
    assert line.pop("time")
    assert line == {"fact": "step_started", "step": "price", "path": ["r/1.0"]}


# ---- text ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain ü", "plain ü"),
        ("a\x1b[2Jb\nc\u202e", r"a\x1b[2Jb\nc\u202e"),
        ("x" * 3000, "x" * 1999 + "…"),
    ],
)
def test_nothing_can_do_anything_to_the_terminal(text: str, shown: str) -> None:
    assert printable(text) == shown


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.04, "0.0 s"), (59.9, "59.9 s"), (61, "1 min 01 s"), (7265.5, "2 h 01 min")],
)
def test_durations_are_written_for_people(seconds: float, text: str) -> None:
    assert seconds_text(seconds) == text


def test_a_time_says_its_zone() -> None:
    assert clock_time(0.5).endswith(("+00:00", "00")) and ".500" in clock_time(0.5)


def test_columns_are_aligned() -> None:
    assert columns(("a", "bb"), [("long\n", ""), ("x", "y")]) == "a       bb\nlong\\n\nx       y"
    assert columns(("a", "b"), [("日本", "x"), ("ab", "y")]) == "a     b\n日本  x\nab    y"


@pytest.mark.parametrize(
    ("program", "typed"),
    [
        (["BIN/blazen-anyio"], "blazen-anyio"),
        (["OTHER/blazen-anyio"], "OTHER/blazen-anyio"),
        (["./blazen-anyio.exe"], "./blazen-anyio.exe"),
        (["BIN/blazen_anyio/__main__.py"], "python3 -m blazen_anyio"),
        ([], "python3 -m blazen_anyio"),
    ],
)
def test_a_command_is_written_so_that_the_shell_finds_what_was_started(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, program: list[str], typed: str
) -> None:
    """By its name where that is enough: another program may have the name, too."""
    for name in ("blazen-anyio", "python3"):
        (tmp_path / name).touch(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr("sys.executable", str(tmp_path / "python3"))
    monkeypatch.setattr("sys.argv", [each.replace("BIN", str(tmp_path)) for each in program])
    assert command_line("resume", "a b", options={}) == f"{typed} resume 'a b'"


def test_a_python_that_the_shell_would_not_find_is_written_with_its_path(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("PATH", "")
    monkeypatch.setattr("sys.argv", ["x/blazen_anyio/__main__.py"])
    monkeypatch.setattr("sys.executable", "/opt/my python")
    written = command_line("ls", options={"--store": "a.db"})
    assert written == "'/opt/my python' -m blazen_anyio ls --store a.db"


@pytest.mark.parametrize(
    ("arguments", "options", "typed"),
    [
        (["w:w", "r"], {"--store": "a b.db", "--no-log": ""}, "w:w r --store 'a b.db' --no-log"),
        (["w:w", "-r"], {"--store": "a.db", "--snapshot": None}, "--store a.db -- w:w -r"),
        (["w:w", "it's"], {"--store": "-a.db"}, """w:w 'it'"'"'s' --store=-a.db"""),
    ],
)
def test_what_looks_like_an_option_is_written_as_none(
    monkeypatch: pytest.MonkeyPatch,
    arguments: list[str],
    options: dict[str, str | None],
    typed: str,
) -> None:
    monkeypatch.setattr("sys.argv", ["./blazen-anyio"])
    written = command_line("resume", *arguments, options=options)
    assert written == f"./blazen-anyio resume {typed}"


def test_a_closed_input_asks_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    class Closed:
        def isatty(self) -> bool:
            raise ValueError("closed")

    class Seen:
        def isatty(self) -> bool:
            return True

    monkeypatch.setattr("sys.stderr", Seen())
    monkeypatch.setattr("sys.stdin", Closed())
    terminal = Terminal.of_process()
    assert (terminal.live, terminal.asks) == (True, False)
    monkeypatch.setattr("sys.stdin", None)
    assert not Terminal.of_process().asks


# ---- progress and board --------------------------------------------------------------------------


def fact(kind: str, attempt: int = 1, path: tuple[str, ...] = ()) -> HistoryFact:
    step = "price" if kind.startswith("step") else None
    return HistoryFact(kind, 5.0, step, attempt=attempt, path=path)


@pytest.mark.parametrize(
    ("facts", "counts"),
    [
        ([], (2, 0, 0, 0, 0)),
        ([fact("step_started")], (1, 1, 0, 0, 0)),
        ([fact("step_started"), fact("step_completed")], (2, 0, 1, 0, 0)),
        ([fact("step_started"), fact("step_failed")], (2, 0, 0, 1, 0)),
        ([fact("step_started"), fact("step_timed_out")], (2, 0, 0, 1, 0)),
        ([fact("step_started"), fact("step_cancelled")], (2, 0, 0, 0, 0)),
        ([fact("step_started"), fact("step_failed"), fact("step_started", 2)], (1, 1, 0, 0, 1)),
        ([fact("step_started"), fact("run_resumed")], (2, 0, 0, 0, 0)),
        ([fact("step_started"), fact("run_paused"), fact("step_waiting")], (1, 1, 0, 0, 0)),
        ([fact("step_started", path=("r/1.0",))], (2, 0, 0, 0, 0)),
    ],
)
def test_a_log_tells_what_each_step_does(facts: list[HistoryFact], counts: tuple[int, ...]) -> None:
    progress = Progress()
    progress.add(facts)
    found = progress.statistics({"price": 2})["price"]
    assert attrs.astuple(found) == counts
    assert (progress.begun is None) == all(each.path for each in facts)


def test_what_the_store_has_no_more_does_not_run_though_the_log_has_not_told_of_its_end() -> None:
    """It tells with the next commit, which may come much later."""
    progress = Progress()
    progress.add([fact("step_started"), fact("step_started")])
    counts = [attrs.astuple(progress.statistics({"price": n})["price"])[:3] for n in (3, 2, 1, 0)]
    assert counts == [(1, 2, 0), (0, 2, 0), (0, 1, 1), (0, 0, 2)]


def test_a_board_shows_counts_requests_and_a_note() -> None:
    console = Console(width=80, record=True, file=None, quiet=False, force_terminal=False)
    board = Board(
        workflow="shop\x1b",
        run_id="r",
        status="running",
        elapsed=3.21,
        steps={"price [bold]": StepStatistics(1000, 2, 3, 4, 5)},
        requests=["May\x1b I?"],
        note="a note",
    )
    with console.capture() as shown:
        console.print(draw(board))
    lines = [line.rstrip() for line in shown.get().splitlines()]
    assert lines == [
        r"shop\x1b  run r  running  3.2 s",
        "step          waiting  running  done  failed  retried",
        "price [bold]    1,000        2     3       4        5",
        r"? May\x1b I?",
        "a note",
    ]
