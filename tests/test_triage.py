"""The triage example: files every ticket, asks a human, can be put down and taken up again."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anyio
import pytest

from blazen_anyio import InputRequestEvent, RunSuspendedError, Snapshot, WorkflowError
from blazen_anyio.examples import triage
from blazen_anyio.examples._terminal import Lines, print_text
from blazen_anyio.examples._tickets import (
    SAMPLE,
    Filed,
    Kind,
    MalformedTicketError,
    Ticket,
    UnclearTicketError,
    classify,
    parse_tickets,
    refusals_for,
    render,
)
from blazen_anyio.examples.triage import Human, Inbox, open_service, run_triage

BACKENDS = ["asyncio", "trio"]
PATIENCE = 60


def ticket(id: str = "T-1", subject: str = "", text: str = "") -> Ticket:
    return Ticket(id, subject, text)


def line(**fields: Any) -> str:
    return json.dumps({"id": "T-1", "subject": "s", "text": "t", **fields})


# ---- tickets -----------------------------------------------------------------------------------


def test_tickets_are_read_in_their_order_and_empty_lines_do_not_count() -> None:
    text = f"{line(id='b', more=1)}\n\n  \n{line(id='a')}\n"
    assert parse_tickets(text) == (Ticket("b", "s", "t"), Ticket("a", "s", "t"))
    assert parse_tickets("") == ()


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("{", "line 1: no JSON"),
        ("\n" + "[" * 100_000, "line 2: no JSON"),
        ("[1]", "line 1: expected an object"),
        (line(text=1), "line 1: expected a text as 'text'"),
        ('{"id": "T-1"}', "line 1: expected a text as 'subject'"),
        (f"{line()}\n{line()}", "line 2: another ticket has the id 'T-1'"),
    ],
)
def test_a_line_that_is_no_ticket_is_named_with_its_problem(text: str, problem: str) -> None:
    with pytest.raises(MalformedTicketError) as caught:
        parse_tickets(text)
    assert str(caught.value) == problem


@pytest.mark.parametrize(
    ("subject", "text", "kind"),
    [
        ("Refund", "", Kind("billing", False)),
        ("", "my password", Kind("access", False)),
        ("Site is DOWN!", "", Kind("bugs", True)),
        ("Urgent", "where are the docs?", Kind("questions", True)),
    ],
)
def test_words_tell_what_a_ticket_is_about(subject: str, text: str, kind: Kind) -> None:
    assert classify(ticket(subject=subject, text=text)) == kind


def test_a_ticket_without_any_known_word_is_unclear() -> None:
    with pytest.raises(UnclearTicketError, match="T-1"):
        classify(ticket(text="asdf urgent"))


def test_the_service_is_busy_for_some_and_always_for_the_same() -> None:
    refusals = [refusals_for(each) for each in parse_tickets(SAMPLE)]
    assert refusals == [refusals_for(each) for each in parse_tickets(SAMPLE)]
    assert set(refusals) == {0, 1, 2}


def test_the_table_is_aligned_and_keeps_control_characters_out() -> None:
    filed = [
        Filed(ticket("T-1", "short"), "billing", "queue", 1),
        Filed(ticket("T-\x1b2", "x" * 100), "a", "now", 10),
    ]
    assert render(filed).splitlines() == [
        "ticket   tries  team     when   subject",
        "T-1      1      billing  queue  short",
        f"T-\\x1b2  10     a        now    {'x' * 60}",
    ]


# ---- lines -------------------------------------------------------------------------------------


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    reading, writing = os.pipe()
    yield reading, writing
    os.close(reading)
    try:
        os.close(writing)
    except OSError:
        pass


@pytest.mark.parametrize("backend", BACKENDS)
def test_lines_come_one_by_one_however_they_were_written(
    backend: str, pipe: tuple[int, int]
) -> None:
    async def read() -> list[str | None]:
        lines = Lines(pipe[0])
        os.write(pipe[1], b"one\r\ntw")
        found = [await lines.next()]
        os.write(pipe[1], b"o\n\n\xff\nrest")
        os.close(pipe[1])
        return found + [await lines.next() for _ in range(5)]

    assert anyio.run(read, backend=backend) == ["one", "two", "", "\ufffd", "rest", None]


def test_a_line_without_end_and_a_closed_descriptor_end_the_input(
    monkeypatch: pytest.MonkeyPatch, pipe: tuple[int, int]
) -> None:
    monkeypatch.setattr("blazen_anyio.examples._terminal._LONGEST_LINE", 3)

    async def read() -> list[str | None]:
        lines, closed = Lines(pipe[0]), Lines(-1)
        os.write(pipe[1], b"12345")
        return [await lines.next(), await lines.next(), await closed.next()]

    assert anyio.run(read) == ["12345", None, None]


def test_a_cancelled_read_holds_nothing_up(pipe: tuple[int, int]) -> None:
    async def read() -> None:
        with anyio.move_on_after(0.01):
            await Lines(pipe[0]).next()

    anyio.run(read)
    os.write(pipe[1], b"too late\n")


def test_text_goes_where_it_should(capsys: pytest.CaptureFixture[str]) -> None:
    print_text("out")
    print_text("err", sys.stderr)
    assert capsys.readouterr() == ("out\n", "err\n")


# ---- the workflow ------------------------------------------------------------------------------


def sample() -> Inbox:
    return Inbox(tickets=parse_tickets(SAMPLE))


def human(pipe: tuple[int, int], answers: bytes) -> Human:
    os.write(pipe[1], answers)
    os.close(pipe[1])
    return Human(Lines(pipe[0]))


@pytest.mark.parametrize("backend", BACKENDS)
def test_every_ticket_of_the_sample_is_filed(backend: str) -> None:
    report = anyio.run(run_triage, sample(), None, backend=backend)
    assert [(each.ticket.id, each.team, each.when) for each in report.filed] == [
        ("T-1", "billing", "queue"),
        ("T-2", "bugs", "now"),
        ("T-3", "questions", "queue"),
        ("T-4", "nobody", "unclear"),
        ("T-5", "access", "queue"),
        ("T-6", "bugs", "now"),
    ]
    assert [each.tries for each in report.filed] == [
        refusals_for(each) + 1 for each in parse_tickets(SAMPLE)
    ]


@pytest.mark.parametrize("backend", BACKENDS)
def test_the_human_decides_and_is_asked_again_until_the_answer_is_one(
    backend: str, pipe: tuple[int, int], capsys: pytest.CaptureFixture[str]
) -> None:
    answers = human(pipe, b"what?\n\nToday\nq\n")
    report = anyio.run(run_triage, sample(), answers, backend=backend)
    decided = {each.ticket.id: each.when for each in report.filed if each.team == "bugs"}
    assert decided == {"T-2": "today", "T-6": "queue"}
    asked = capsys.readouterr().err
    assert asked.count("T-2 (bugs): Shop is down\n  [n]ow, [t]oday or [q]ueue?") == 3


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_human_who_leaves_is_asked_when_the_run_is_taken_up_again(
    backend: str, pipe: tuple[int, int]
) -> None:
    answers = human(pipe, b"q\n")
    with pytest.raises(RunSuspendedError) as caught:
        anyio.run(run_triage, sample(), answers, backend=backend)
    assert answers.gone
    snapshot = Snapshot.from_json(caught.value.snapshot.to_json())
    assert len(snapshot.requests) == 1
    report = anyio.run(run_triage, snapshot, None, backend=backend)
    decided = {each.ticket.id: each.when for each in report.filed if each.team == "bugs"}
    assert sorted(decided.values()) == ["now", "queue"]


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_human_who_thinks_long_misses_no_ticket(
    backend: str, pipe: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """More tickets are urgent than any buffer of the stream holds."""

    class Slow(Human):
        async def decide(self, request: InputRequestEvent) -> str | None:
            if not filed:
                await anyio.wait_all_tasks_blocked()
            filed.append(request)
            return "now"

    filed: list[InputRequestEvent] = []
    monkeypatch.setattr(triage, "refusals_for", lambda ticket: 0)
    urgent = tuple(ticket(str(number), "urgent invoice") for number in range(1_100))
    slow = Slow(Lines(pipe[0]))
    report = anyio.run(run_triage, Inbox(tickets=urgent), slow, backend=backend)
    assert len(report.filed) == len(filed) == 1_100


def test_a_service_that_is_down_leaves_every_ticket_unclear() -> None:
    async def open_broken() -> Any:
        raise OSError("down")

    async def run() -> triage.Report:
        return await triage.triage().run(sample(), resources={open_service: open_broken})

    report = anyio.run(run)
    assert {each.when for each in report.filed} == {"unclear"}


# ---- the command, in this process --------------------------------------------------------------


def test_yes_asks_nobody(capsys: pytest.CaptureFixture[str]) -> None:
    assert triage.main(["--yes"]) == 0
    out = capsys.readouterr()
    assert out.out.startswith("ticket  tries  team")
    assert out.err == ""


def test_a_file_of_tickets_is_read(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "tickets.jsonl"
    path.write_text(line(id="X-9", subject="refund é"), encoding="utf-8")
    assert triage.main([str(path), "--yes"]) == 0
    assert "X-9" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("content", "code", "problem"),
    [
        (b"", triage.EXIT_NO_TICKETS, "no tickets"),
        (b"nonsense", triage.EXIT_USAGE, "line 1: no JSON"),
        (b"\xff", triage.EXIT_USAGE, "can't decode"),
        (None, triage.EXIT_USAGE, "No such file"),
    ],
)
def test_what_is_no_file_of_tickets_is_refused(
    content: bytes | None,
    code: int,
    problem: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    path = tmp_path / "tickets.jsonl"
    if content is not None:
        path.write_bytes(content)
    assert triage.main([str(path)]) == code
    error = capsys.readouterr().err
    assert problem in error
    assert str(path) in error


def test_what_is_no_snapshot_of_a_triage_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], other_snapshot: bytes
) -> None:
    path = tmp_path / "run.json"
    for content, problem in ((b"{}", "no snapshot"), (other_snapshot, "of workflow 'other'")):
        path.write_bytes(content)
        assert triage.main(["--resume", str(path), "--yes"]) == triage.EXIT_USAGE
        assert problem in capsys.readouterr().err


@pytest.fixture
def other_snapshot() -> bytes:
    from blazen_anyio import Context, StartEvent, StopEvent, Workflow, step

    @step
    async def ask(ev: StartEvent, ctx: Context) -> StopEvent:
        return StopEvent(result=await ctx.request_input("?"))

    async def run() -> bytes:
        try:
            await Workflow("other", [ask]).run()
        except WorkflowError as error:
            assert isinstance(error, RunSuspendedError)
            return error.snapshot.to_bytes()
        raise AssertionError

    return anyio.run(run)


@pytest.mark.parametrize(
    "arguments", [["--backend", "twisted"], ["a.jsonl", "--resume", "b.json"], ["--nonsense"]]
)
def test_wrong_arguments_are_refused(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as caught:
        triage.main(arguments)
    assert caught.value.code == triage.EXIT_USAGE
    assert "usage: python -m blazen_anyio.examples.triage" in capsys.readouterr().err


def test_a_run_that_can_not_be_put_down_is_printed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with open(os.devnull) as nobody:
        monkeypatch.setattr(sys, "stdin", nobody)
        code = triage.main(["--snapshot", str(tmp_path / "missing" / "run.json")])
    assert code == triage.EXIT_NO_ANSWER
    out = capsys.readouterr()
    assert "printed the run instead" in out.err
    assert Snapshot.from_json(out.out).requests


# ---- the command, as a user runs it ------------------------------------------------------------


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "blazen_anyio.examples.triage", *arguments]


def run_command(*arguments: str, answers: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": os.getcwd()}
    return subprocess.run(
        command(*arguments),
        input=answers,
        capture_output=True,
        text=True,
        cwd=cwd,
        env=environment,
        timeout=PATIENCE,
        check=False,
    )


def when_of(output: str) -> dict[str, str]:
    rows = (row.split() for row in output.splitlines()[1:])
    return {row[0]: row[3] for row in rows}


@pytest.mark.parametrize("backend", BACKENDS)
def test_answers_can_be_piped_in_and_the_rest_asked_later(backend: str, tmp_path: Path) -> None:
    first = run_command("--backend", backend, answers="t\n", cwd=tmp_path)
    assert first.returncode == triage.EXIT_NO_ANSWER, first.stderr
    assert first.stdout == ""
    assert "put down with 1 open question; go on with\n" in first.stderr
    assert first.stderr.rstrip().endswith(
        "python -m blazen_anyio.examples.triage --resume triage.json"
    )
    second = run_command("--backend", backend, "--resume", "triage.json", answers="q", cwd=tmp_path)
    assert second.returncode == 0, second.stderr
    found = when_of(second.stdout)
    assert len(found) == 6
    assert sorted((found["T-2"], found["T-6"])) == ["queue", "today"]


def test_tickets_can_be_piped_in(tmp_path: Path) -> None:
    done = run_command("-", "--yes", answers=SAMPLE, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert when_of(done.stdout)["T-2"] == "now"


@pytest.mark.skipif(sys.platform == "win32", reason="sends a signal")
@pytest.mark.parametrize("backend", BACKENDS)
def test_ctrl_c_while_it_waits_puts_the_run_down(backend: str, tmp_path: Path) -> None:
    process = subprocess.Popen(
        command("--backend", backend, "--snapshot", "my run.json"),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": os.getcwd()},
    )
    assert process.stdin is not None and process.stderr is not None
    while "[n]ow" not in process.stderr.readline():
        pass
    process.send_signal(signal.SIGINT)
    # Standard input stays open: nobody is waited for.
    assert process.wait(PATIENCE) == triage.EXIT_INTERRUPTED
    error = process.stderr.read()
    assert "put down with " in error
    assert error.rstrip().endswith("--resume 'my run.json'")
    for stream in (process.stdin, process.stdout, process.stderr):
        assert stream is not None
        stream.close()
    done = run_command("--resume", "my run.json", answers="n\nn\n", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert len(when_of(done.stdout)) == 6
