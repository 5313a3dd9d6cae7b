"""The terminal: where results go, where words for people go, and whether anybody is there.

What comes from a run or a store is shown with its control characters escaped, so that no name, no
prompt and no error can do anything to the terminal.
"""

from __future__ import annotations

import io
import shlex
import sys
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import TextIO

import attrs

__all__ = ["Terminal", "clock_time", "columns", "command_line", "printable", "seconds_text"]

_LONGEST_LINE = 2_000


@attrs.frozen
class Terminal:
    """The streams of the process, as they were when the command began.

    Attributes:
        out: for results.
        err: for people, and for events.
        live: whether a person looks at ``err``.
        asks: whether the person can be asked something, too.
    """

    out: TextIO
    err: TextIO
    live: bool
    asks: bool

    @classmethod
    def of_process(cls) -> Terminal:
        """Take the standard streams; what their encoding lacks is escaped."""
        for stream in (sys.stdout, sys.stderr):
            if isinstance(stream, io.TextIOWrapper):
                stream.reconfigure(errors="backslashreplace")
        live = sys.stderr.isatty()
        return cls(sys.stdout, sys.stderr, live, live and sys.stdin is not None and _is_a_person())

    def result(self, text: str) -> None:
        """Write a result, and nothing else, to standard output."""
        self.out.write(text if text.endswith("\n") else text + "\n")
        self.out.flush()

    def say(self, text: str) -> None:
        """Tell a person something, on standard error."""
        self.err.write(text + "\n")
        self.err.flush()


def _is_a_person() -> bool:
    try:
        return sys.stdin.isatty()
    except ValueError:  # it is closed
        return False


def printable(text: str, longest: int = _LONGEST_LINE) -> str:
    """Write text on one line, with everything escaped that is not to be seen."""
    if not text.isprintable():
        text = "".join(each if each.isprintable() else _escaped(each) for each in text)
    return text if len(text) <= longest else text[: longest - 1] + "…"


def _escaped(letter: str) -> str:
    return letter.encode("unicode_escape").decode("ascii")


def columns(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Write a table as aligned text, that programs can take apart, too."""
    table = [header, *([printable(cell) for cell in row] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in table
    )


def seconds_text(seconds: float) -> str:
    """Write a duration for people."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(int(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest:02} s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02} min"


def clock_time(seconds: float) -> str:
    """Write a wall-clock time in the time zone of the machine."""
    return datetime.fromtimestamp(seconds).astimezone().isoformat(" ", "milliseconds")


def command_line(*arguments: str) -> str:
    """Write a command as it would be typed, in the way in which this one was started."""
    started = Path(sys.argv[0]).name if sys.argv else ""
    program = (
        [started]
        if started.removesuffix(".exe") == "blazen-anyio"
        else [Path(sys.executable).name or "python", "-m", "blazen_anyio"]
    )
    return shlex.join([*program, *arguments])
