"""A person at a pseudo-terminal: reads what a process shows, types, presses Ctrl-C."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import subprocess
import sys
import termios
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import attrs

__all__ = ["CTRL_C", "CTRL_D", "Person", "at_terminal", "environment"]

PATIENCE = 30.0
CTRL_C, CTRL_D = "\x03", "\x04"
_CONTROLS = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|\r")


@attrs.define
class Person:
    """Somebody who runs a command at a terminal; its standard output may be a pipe.

    Attributes:
        process: the command.
        shown: all that the terminal has shown so far, without colours and movements.
        raw: all of it.
    """

    process: subprocess.Popen[str]
    _terminal: int
    shown: str = ""
    raw: str = ""
    _seen: int = 0

    def sees(self, text: str) -> None:
        """Wait until the terminal shows a text, after what was seen last."""
        deadline = time.monotonic() + PATIENCE
        while text not in self.shown[self._seen :]:
            assert self._read(deadline), f"{text!r} is not in:\n{self.shown[self._seen :]}"
        self._seen = self.shown.index(text, self._seen) + len(text)

    def types(self, text: str) -> None:
        """Type something: a line ends with a newline."""
        os.write(self._terminal, text.encode())

    def ends(self) -> tuple[int, str]:
        """Wait for the end; return the exit code and what is on standard output."""
        deadline = time.monotonic() + PATIENCE
        while self._read(deadline):
            pass
        out, _ = self.process.communicate(timeout=PATIENCE)
        return self.process.returncode, out or ""

    def _read(self, deadline: float) -> bool:
        ready, _, _ = select.select([self._terminal], [], [], max(0, deadline - time.monotonic()))
        try:
            data = os.read(self._terminal, 2**16) if ready else b""
        except OSError:  # the other side is closed
            data = b""
        text = data.decode(errors="replace")
        self.raw += text
        self.shown += _CONTROLS.sub("", text)
        return bool(data)


@contextmanager
def at_terminal(
    directory: Path, arguments: Sequence[str], *, piped: bool = True
) -> Iterator[Person]:
    """Run a command with a terminal as its controlling one, in a session of its own."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "blazen_anyio", *arguments],
        cwd=directory,
        stdin=theirs,
        stdout=subprocess.PIPE if piped else theirs,
        stderr=theirs,
        text=True,
        start_new_session=True,
        preexec_fn=_take_terminal,
        env={**environment(), "TERM": "xterm", "COLUMNS": "100", "LINES": "40"},
    )
    os.close(theirs)
    try:
        yield Person(process, ours)
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate()
        os.close(ours)


def environment() -> dict[str, str]:
    """The environment of a command: it finds the workflows of the tests."""
    tests = str(Path(__file__).parent.parent)
    return {**os.environ, "PYTHONPATH": tests, "PYTHONWARNINGS": "error"}


def _take_terminal() -> None:
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)
