"""Take a census of the Python files in a source tree.

Run it with ``python -m blazen_anyio.examples.census PATH``. The workflow is three steps: ``find``
fans out to one event per file, ``parse`` reads them in worker threads, a few at a time, and
``total`` gathers what came of them all. A file that does not parse is a result like another.
"""

from __future__ import annotations

import argparse
import os
import sys
import warnings
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from itertools import islice

import anyio
import anyio.from_thread

from blazen_anyio import StartEvent, StopEvent, Workflow, WorkflowTimeoutError, step

from ._sources import FileReport, SourceFile, Unreadable, analyse, find_sources
from ._tables import render
from ._terminal import backend_name, print_text

__all__ = ["Census", "Scan", "census", "main"]

EXIT_NOTHING_FOUND = 1
EXIT_USAGE = 2
EXIT_TIMEOUT = 124
EXIT_INTERRUPTED = 130


class Scan(StartEvent):
    """Starts a census.

    Args:
        root: the directory to walk, or a single file.
        limit: parse no more than so many files; ``None`` for all.
    """

    root: str
    limit: int | None = None


class Census(StopEvent):
    """What was counted, in the order of the walk."""

    reports: tuple[FileReport, ...]
    unreadable: tuple[Unreadable, ...]


@step
def find(ev: Scan) -> list[SourceFile | Unreadable]:
    """Walk the tree in a worker thread; a cancelled run is noticed between two directories."""
    found = find_sources(ev.root, between=anyio.from_thread.check_cancelled)
    return list(islice(found, ev.limit))


@step(max_concurrency=os.cpu_count() or 1)
def parse(ev: SourceFile) -> FileReport | Unreadable:
    """Count one file in a worker thread."""
    return analyse(ev.path)


@step
async def total(results: list[FileReport | Unreadable]) -> Census:
    """Fires once, when everything that ``find`` caused is done; with ``[]`` for an empty tree."""
    return Census(
        reports=tuple(result for result in results if isinstance(result, FileReport)),
        unreadable=tuple(result for result in results if isinstance(result, Unreadable)),
    )


def census(*, timeout: float | None = None) -> Workflow[Census]:
    """Build the workflow; ``timeout`` is in seconds."""
    return Workflow("census", [find, parse, total], stop=Census, timeout=timeout)


def main(arguments: Sequence[str] | None = None) -> int:
    """Take a census and print it.

    Returns:
        0, or 1 if there is no Python file, 2 if the arguments are no good, 124 if it took too long
        and 130 if it was interrupted.
    """
    options = _parse_arguments(arguments)
    if problem := _problem_with(options.path):
        return _complain(f"{options.path}: {problem}", EXIT_USAGE)
    try:
        result = _run(options)
    except WorkflowTimeoutError:
        return _complain(f"not finished within {options.timeout:g} s", EXIT_TIMEOUT)
    except KeyboardInterrupt:
        return _complain("interrupted; nothing is left running", EXIT_INTERRUPTED)
    if not (result.reports or result.unreadable):
        return _complain(f"{options.path}: no Python files", EXIT_NOTHING_FOUND)
    print_text(render(options.path, result.reports, result.unreadable, top=options.top))
    return 0


def _parse_arguments(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m blazen_anyio.examples.census",
        description="Count files, lines, functions and docstrings of the Python files in a tree.",
    )
    parser.add_argument("path", metavar="PATH", help="a directory, or a file")
    parser.add_argument("--backend", type=backend_name, default="asyncio", help="asyncio or trio")
    parser.add_argument("--limit", type=_whole_number, metavar="N", help="parse at most N files")
    parser.add_argument(
        "--top", type=_whole_number, default=5, metavar="N", help="name the N slowest files (5)"
    )
    parser.add_argument(
        "--timeout", type=_seconds, metavar="SECONDS", help="give up after so long (never)"
    )
    return parser.parse_args(arguments)


def _whole_number(text: str) -> int:
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"a whole number from 0, not {text!r}")
    return int(text)


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0
    if not 0 < seconds < float("inf"):
        raise argparse.ArgumentTypeError(f"a number of seconds above 0, not {text!r}")
    return seconds


def _problem_with(path: str) -> str | None:
    try:
        if os.path.isdir(path):
            os.scandir(path).close()
        else:
            open(path, "rb").close()
    except (OSError, ValueError) as error:
        return getattr(error, "strerror", None) or str(error)
    return None


def _run(options: argparse.Namespace) -> Census:
    async def take() -> Census:
        scan = Scan(root=options.path, limit=options.limit)
        return await census(timeout=options.timeout).run(scan)

    with _interrupt_unwrapped(), warnings.catch_warnings():
        # What the parser thinks of the style of somebody else's strings is no part of the census.
        warnings.simplefilter("ignore", SyntaxWarning)
        warnings.simplefilter("ignore", DeprecationWarning)
        return anyio.run(take, backend=options.backend)


@contextmanager
def _interrupt_unwrapped() -> Generator[None, None, None]:
    """On trio, Ctrl-C may arrive in a group, together with what else failed at that moment."""
    try:
        yield
    except BaseExceptionGroup as group:
        if group.subgroup(KeyboardInterrupt) is None:
            raise
        raise KeyboardInterrupt from group


def _complain(text: str, code: int) -> int:
    print(f"census: {text}", file=sys.stderr)
    return code


if __name__ == "__main__":
    sys.exit(main())
