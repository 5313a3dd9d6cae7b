"""Real commands at a pseudo-terminal: the live view, the prompt, Ctrl-C and what follows."""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest

from .terminals import CTRL_C, CTRL_D, at_terminal, environment

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="pseudo-terminals are POSIX")

SHOP = "cli.flows:shop"
BACKENDS = ["asyncio", "trio"]
PYTHON = shlex.quote(sys.executable)


def in_shell(directory: Path, command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command,
        shell=True,
        cwd=directory,
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
    )


def order(*items: str) -> list[str]:
    return ["--input", json.dumps({"items": items})]


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_run_is_shown_live_and_asks_at_the_prompt(tmp_path: Path, backend: str) -> None:
    command = ["run", SHOP, *order("tea", "ask"), "--run-id", "r", "--backend", backend]
    with at_terminal(tmp_path, command) as person:
        person.sees("? What does ask cost?\n  > ")
        person.types("9\n")
        code, out = person.ends()
    assert (code, json.loads(out)["total"]) == (0, 12)
    assert "a word of the user's\n" in person.shown
    assert "Progress(note='tea is priced', token=***)" in person.shown
    board = person.shown[person.shown.rindex("shop  run r  completed") :].splitlines()
    assert [line.split() for line in board[1:5]] == [
        ["step", "waiting", "running", "done", "failed", "retried"],
        ["split", "0", "0", "1", "0", "0"],
        ["price", "0", "0", "2", "0", "0"],
        ["add_up", "0", "0", "1", "0", "0"],
    ]


@pytest.mark.parametrize("backend", BACKENDS)
def test_ctrl_c_suspends_and_prints_the_command_that_resumes(tmp_path: Path, backend: str) -> None:
    """The command is typed as it was printed; what had been done is not done again."""
    command = ["run", SHOP, *order("tea", "gate"), "-s", "runs.db", "--grace", "0"]
    with at_terminal(tmp_path, [*command, "--backend", backend]) as person:
        person.sees("tea is priced")
        person.types(CTRL_C)
        person.sees("suspending; steps have 0.0 s to finish")
        person.sees("is suspended\n  go on with: ")
        code, out = person.ends()
    assert (code, out) == (3, "")
    printed = person.shown[person.shown.rindex("go on with: ") + 12 :].splitlines()[0]
    (tmp_path / "gate").touch()
    done = in_shell(tmp_path, printed)
    assert (done.returncode, json.loads(done.stdout)["total"]) == (0, 7)
    assert "a word of the user's" not in done.stderr
    assert "tea is priced" not in done.stderr
    assert ("--backend trio" in printed) == (backend == "trio")


def test_an_odd_run_id_resumes_as_it_is_printed(tmp_path: Path) -> None:
    command = ["run", "cli.flows:drinks", "--store=-a.db", "--run-id=-it's", "--no-log"]
    with at_terminal(tmp_path, [*command, "--backend", "trio"]) as person:
        person.sees("[tea / coffee] ")
        person.types(CTRL_D)
        assert person.ends() == (3, "")
    printed = re.findall("(?:answer|go on) with: (.*)", person.shown)
    done = [in_shell(tmp_path, each.replace("ANSWER", "tea")) for each in printed]
    assert [(each.returncode, each.stdout) for each in done] == [(0, ""), (0, '"tea"\n')]
    assert "--backend trio --no-log" in printed[1]


def test_who_ends_the_process_as_it_is_gets_the_cursor_back(tmp_path: Path) -> None:
    with at_terminal(tmp_path, ["run", "cli.flows:stubborn"]) as person:
        person.sees("stubborn")
        person.types(CTRL_C)
        person.sees("suspending")
        person.types(CTRL_C)
        person.sees("stubborn  run")
        person.sees("cancelled")
        person.types(CTRL_C)
        assert person.ends() == (-signal.SIGINT, "")
    hidden, shown = (person.raw.rfind(f"\x1b[?25{letter}") for letter in "lh")
    assert hidden < shown


def test_what_a_child_process_writes_is_not_the_result(tmp_path: Path) -> None:
    with at_terminal(tmp_path, ["run", "cli.flows:child_process"]) as person:
        assert person.ends() == (0, '"done"\n')
    assert "a word of the child's" in person.shown


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_closed_streams_hold_nothing_up(tmp_path: Path, closed: str) -> None:
    done = in_shell(tmp_path, f"{PYTHON} -m blazen_anyio run cli.flows:automatic {closed}")
    assert (done.returncode, done.stdout) == (0, "" if ">&-" in closed.split() else '"water"\n')


def test_a_closed_input_can_not_be_read(tmp_path: Path) -> None:
    done = in_shell(tmp_path, f"{PYTHON} -m blazen_anyio run cli.flows:automatic --input - <&-")
    assert done.returncode == 2
    assert done.stderr == "blazen-anyio: --input -: standard input is closed\n"


def test_a_second_ctrl_c_cancels(tmp_path: Path) -> None:
    command = ["run", SHOP, *order("tea", "slow"), "-s", "runs.db", "--run-id", "r"]
    with at_terminal(tmp_path, command) as person:
        person.sees("tea is priced")
        person.types(CTRL_C)
        person.sees("suspending; steps have 5.0 s to finish")
        person.types(CTRL_C)
        person.sees("cancelling")
        person.sees("blazen-anyio: run 'r' was cancelled\n  hint: go on with: ")
        assert person.ends() == (130, "")
    watch = ["watch", "r", "-s", "runs.db", "--interval", "0.01"]
    with at_terminal(tmp_path, watch, piped=False) as person:
        person.sees("shop  run r  cancelled")
        assert person.ends() == (1, "")


def test_the_end_of_the_input_suspends(tmp_path: Path) -> None:
    with at_terminal(tmp_path, ["run", "cli.flows:drinks", "--run-id", "r"]) as person:
        person.sees("? Tea or coffee?\n  until: noon\n  [tea / coffee] ")
        person.types(CTRL_D)
        person.sees("run r waits for an answer")
        assert person.ends() == (3, "")
    resume = ["resume", "cli.flows:drinks", "--snapshot", "run-r.json", "--backend", "trio"]
    with at_terminal(tmp_path, [*resume, "--events"]) as person:
        person.sees("[tea / coffee] ")
        person.types("tea\n")
        assert person.ends() == (0, '"tea"\n')


def test_a_failure_in_the_middle_of_a_prompt_is_shown_below_it(tmp_path: Path) -> None:
    with at_terminal(tmp_path, ["run", SHOP, *order("ask", "bad")]) as person:
        person.sees("  > ")
        person.sees("Traceback (most recent call last):\n")
        person.sees("ValueError: nobody knows")
        assert person.ends() == (1, "")


def test_a_run_is_watched_from_another_process(tmp_path: Path) -> None:
    """The watcher only reads, and who executes the run too is told that somebody does.

    Another watches through a pipe, and gets lines of JSON there though there is a terminal.
    """
    command = ["run", SHOP, *order("tea", "ask"), "-s", "runs.db", "--run-id", "r"]
    watch = ["watch", "r", "-s", "runs.db", "--interval", "0.02"]
    with at_terminal(tmp_path, command) as person:
        person.sees("  > ")
        with (
            at_terminal(tmp_path, watch, piped=False) as watcher,
            at_terminal(tmp_path, watch) as program,
        ):
            watcher.sees("? What does ask cost?")
            busy = subprocess.run(
                [sys.executable, "-m", "blazen_anyio", "resume", SHOP, "r", "-s", "runs.db"],
                cwd=tmp_path,
                env=environment(),
                capture_output=True,
                text=True,
                check=False,
            )
            person.types("1\n")
            assert person.ends()[0] == 0
            watcher.sees("shop  run r  completed")
            assert watcher.ends() == (0, "")
            code, lines = program.ends()
    assert busy.returncode == 1
    assert "is being executed by" in busy.stderr
    assert "hint: follow it with: " in busy.stderr
    rows = [line.split() for line in watcher.shown.splitlines()]
    assert ["price", "0", "0", "2", "0", "0"] in rows
    assert (code, program.shown) == (0, "")
    told = [json.loads(line) for line in lines.splitlines()]
    assert [line["status"] for line in told if "status" in line][-1] == "completed"


def test_terminate_suspends_as_well_and_pipes_get_only_json(tmp_path: Path) -> None:
    """As a service is stopped: nobody looks, and standard error is a pipe."""
    command = ["run", SHOP, *order("tea", "slow"), "--run-id", "r", "--grace", "0", "--events"]
    process = subprocess.Popen(
        [sys.executable, "-m", "blazen_anyio", *command],
        cwd=tmp_path,
        env=environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    assert any("tea is priced" in line for line in process.stderr)
    process.send_signal(signal.SIGTERM)
    out, err = process.communicate(timeout=30)
    assert (process.returncode, out) == (3, "")
    assert '"fact": "run_suspended"' in err
    assert (tmp_path / "run-r.json").exists()


def test_the_third_ctrl_c_ends_the_process(tmp_path: Path) -> None:
    """Whatever a step does about its cancellation."""
    (tmp_path / "stubborn.py").write_text(STUBBORN)
    with at_terminal(tmp_path, ["run", "stubborn:workflow"]) as person:
        person.sees("started")
        person.types(CTRL_C)
        person.sees("suspending")
        person.types(CTRL_C)
        person.sees("cancelling")
        for _ in range(600):
            person.types(CTRL_C)
            with suppress(subprocess.TimeoutExpired):
                person.process.wait(timeout=0.05)
                break
        assert person.process.returncode == -signal.SIGINT


STUBBORN = """
import time

from blazen_anyio import Context, Event, StartEvent, StopEvent, Workflow, step

class Started(Event):
    pass

@step
def stay(ev: StartEvent, ctx: Context) -> StopEvent:
    ctx.write_event_to_stream(Started())
    print("started")
    time.sleep(60)
    return StopEvent()

workflow = Workflow("stubborn", [stay])
"""


def test_a_reader_that_has_gone_is_no_error(tmp_path: Path) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run(
        [sys.executable, "-m", "blazen_anyio", "graph", SHOP],
        cwd=tmp_path,
        env=environment(),
        stdout=writing,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )
    os.close(writing)
    assert (done.returncode, done.stderr) == (1, "")
