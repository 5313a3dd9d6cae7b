"""The pieces of the command line, each by itself."""

from __future__ import annotations

import json
import math
from decimal import Decimal
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


@pytest.mark.parametrize(
    ("program", "typed"),
    [
        (["/usr/bin/blazen-anyio"], "blazen-anyio resume 'a b'"),
        (["C:/x/blazen-anyio.exe"], "blazen-anyio.exe resume 'a b'"),
        (["/x/blazen_anyio/__main__.py"], "python3 -m blazen_anyio resume 'a b'"),
        ([], "python3 -m blazen_anyio resume 'a b'"),
    ],
)
def test_a_command_is_written_as_it_was_started(
    monkeypatch: pytest.MonkeyPatch, program: list[str], typed: str
) -> None:
    monkeypatch.setattr("sys.argv", program)
    monkeypatch.setattr("sys.executable", "/opt/python3")
    assert command_line("resume", "a b") == typed


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
