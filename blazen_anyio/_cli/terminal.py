"""The terminal: where results go, where words for people go, and whether anybody is there.

What comes from a run or a store is shown with its control characters escaped, so that no name, no
prompt and no error can do anything to the terminal.
"""

from __future__ import annotations

import io
import os
import shlex
import shutil
import sys
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import TextIO

import attrs
from rich.cells import cell_len

__all__ = [
    "Terminal",
    "clock_time",
    "columns",
    "command_line",
    "printable",
    "printable_lines",
    "seconds_text",
]

_LONGEST_LINE = 2_000


@attrs.frozen
class Terminal:
    """The streams of the process, as they were when the command began.

    Attributes:
        out: for results.
        err: for people, and for events.
        live: whether a person looks at ``err``.
        asks: whether the person can be asked something, too.
        piped: whether ``out`` goes to another program or a file.
    """

    out: TextIO
    err: TextIO
    live: bool
    asks: bool
    piped: bool = False

    @classmethod
    def of_process(cls) -> Terminal:
        """Take the standard streams; what their encoding lacks is escaped."""
        for stream in (sys.stdout, sys.stderr):
            if isinstance(stream, io.TextIOWrapper):
                stream.reconfigure(errors="backslashreplace")
        out, err = sys.stdout or io.StringIO(), sys.stderr or io.StringIO()  # one may be closed
        live = err.isatty()
        asks = live and sys.stdin is not None and _is_a_person()
        return cls(out, err, live, asks, piped=not out.isatty())

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


def printable_lines(text: str) -> str:
    """Write text on its own lines, with everything else escaped that is not to be seen."""
    return "".join(
        each if each.isprintable() or each in "\n\t" else _escaped(each) for each in text
    )


def _escaped(letter: str) -> str:
    return letter.encode("unicode_escape").decode("ascii")


def columns(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Write a table as aligned text, that programs can take apart, too."""
    table = [header, *([printable(cell) for cell in row] for row in rows)]
    widths = [max(map(cell_len, column)) for column in zip(*table, strict=True)]
    return "\n".join(
        "  ".join(
            cell + " " * (width - cell_len(cell)) for cell, width in zip(row, widths, strict=True)
        ).rstrip()
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


def command_line(command: str, *arguments: str, options: Mapping[str, str | None]) -> str:
    """Write a command as it would be typed, in the way in which this one was started.

    Args:
        command: its name.
        arguments: what has its meaning from its place.
        options: by name; ``""`` for a flag, ``None`` for what is not to be said.
    """
    said = [part for name, value in options.items() for part in _option(name, value)]
    if any(argument.startswith("-") for argument in arguments):
        return shlex.join([*_program(), command, *said, "--", *arguments])
    return shlex.join([*_program(), command, *arguments, *said])


def _option(name: str, value: str | None) -> list[str]:
    if value is None:
        return []
    if value.startswith("-"):
        return [f"{name}={value}"]
    return [name, value] if value else [name]


def _program() -> list[str]:
    started = sys.argv[0] if sys.argv else ""
    if Path(started).name.removesuffix(".exe") == "blazen-anyio":
        return [_as_the_shell_finds_it(started)]
    return [_as_the_shell_finds_it(sys.executable or "python"), "-m", "blazen_anyio"]


def _as_the_shell_finds_it(program: str) -> str:
    """The name of a program if that is enough, else its path."""
    name = Path(program).name
    found = shutil.which(name)
    return name if found and os.path.abspath(found) == os.path.abspath(program) else program
