"""Find Python files and count what is in one: plain functions, no workflow, no output.

What can't be read is data too: an :class:`Unreadable` says where and why, and the census goes on.
"""

from __future__ import annotations

import ast
import os
import threading
import time
from collections.abc import Callable, Iterator

import attrs

from blazen_anyio import Event

__all__ = ["Definition", "FileReport", "SourceFile", "Unreadable", "analyse", "find_sources"]

MAX_BYTES = 16 * 1024 * 1024
"""A larger file is no source that a person wrote; parsing it would take gigabytes."""

SKIPPED = frozenset({"__pycache__", "dist-packages", "node_modules", "site-packages"})

DOCUMENTABLE = (ast.AsyncFunctionDef, ast.ClassDef, ast.FunctionDef, ast.Module)
PARSING = threading.Lock()
"""Held while parsing. Some CPythons, 3.11 among them, count the depth of a syntax tree once for all
threads: two that parse at a time can fail each other with a ``SystemError``. Reading overlaps."""

FUNCTION = (ast.AsyncFunctionDef, ast.FunctionDef)


class SourceFile(Event):
    """A Python file that was found."""

    path: str


class Unreadable(Event):
    """A file or directory that could not be read, or a file that is no Python."""

    path: str
    line: int | None
    reason: str


@attrs.frozen(order=True)
class Definition:
    """A function or method. Sorts by length first.

    Attributes:
        lines: its length, decorators included.
        name: its name, as written after ``def``.
        path: the file it is in.
        line: where it starts.
    """

    lines: int
    name: str
    path: str
    line: int


class FileReport(Event):
    """What is in one file.

    Args:
        path: the file.
        lines: lines of text.
        functions: functions and methods, nested ones included.
        longest: the longest of them, if there is one.
        documentable: the module itself and its classes and functions.
        documented: how many of those have a docstring.
        seconds: how long reading and parsing took.
    """

    path: str
    lines: int
    functions: int
    longest: Definition | None
    documentable: int
    documented: int
    seconds: float


def find_sources(
    root: str, *, between: Callable[[], None] = lambda: None
) -> Iterator[SourceFile | Unreadable]:
    """Walk a tree for ``*.py`` files, in the order of their names.

    Hidden directories, caches, installed packages and virtual environments are left out. Symbolic
    links are not followed, so a loop of them can't trap the walk.

    Args:
        root: a directory, or one file, which is taken whatever its name is.
        between: called before each directory; what it raises ends the walk.
    """
    if not os.path.isdir(root):
        yield SourceFile(root)
        return
    directories = [root]
    while directories:
        between()
        found, below = _list_directory(directories.pop())
        directories.extend(reversed(below))
        yield from found


def _list_directory(directory: str) -> tuple[list[SourceFile | Unreadable], list[str]]:
    """Tell what is in one directory: the findings, and the directories below to go on with."""
    try:
        with os.scandir(directory) as entries:
            ordered = sorted(entries, key=lambda entry: entry.name)
    except OSError as error:
        return [Unreadable(directory, None, _reason(error))], []
    if any(entry.name == "pyvenv.cfg" for entry in ordered):
        return [], []
    files = [entry for entry in ordered if entry.is_file(follow_symlinks=False)]
    below = [entry for entry in ordered if entry.is_dir(follow_symlinks=False)]
    return (
        [SourceFile(entry.path) for entry in files if entry.name.endswith(".py")],
        [entry.path for entry in below if not _is_skipped(entry.name)],
    )


def _is_skipped(name: str) -> bool:
    return name.startswith(".") or name in SKIPPED


def analyse(
    path: str, *, clock: Callable[[], float] = time.perf_counter
) -> FileReport | Unreadable:
    """Read and parse one file and count what is in it.

    The encoding is the file's own: its byte order mark or its PEP 263 comment, else UTF-8.

    Args:
        path: the file.
        clock: seconds; only differences count.
    """
    started = clock()
    try:
        source = _read(path)
        with PARSING:
            tree = ast.parse(source, path)
    except SyntaxError as error:
        return Unreadable(path, error.lineno or None, error.msg)
    except (MemoryError, RecursionError):
        return Unreadable(path, None, "nested too deeply to parse")
    except (OSError, ValueError) as error:
        return Unreadable(path, None, _reason(error))
    return _report(path, source, tree, clock() - started)


def _read(path: str) -> bytes:
    with open(path, "rb") as file:
        source = file.read(MAX_BYTES + 1)
    if len(source) > MAX_BYTES:
        raise ValueError(f"larger than {MAX_BYTES:,} bytes")
    return source


def _report(path: str, source: bytes, tree: ast.Module, seconds: float) -> FileReport:
    nodes = [node for node in ast.walk(tree) if isinstance(node, DOCUMENTABLE)]
    functions = [_definition(path, node) for node in nodes if isinstance(node, FUNCTION)]
    return FileReport(
        path=path,
        lines=len(source.splitlines()),
        functions=len(functions),
        longest=max(functions, default=None),
        documentable=len(nodes),
        documented=sum(ast.get_docstring(node, clean=False) is not None for node in nodes),
        seconds=seconds,
    )


def _definition(path: str, node: ast.FunctionDef | ast.AsyncFunctionDef) -> Definition:
    first = min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)])
    last = node.end_lineno or node.lineno
    return Definition(last - first + 1, node.name, path, first)


def _reason(error: OSError | ValueError) -> str:
    return (error.strerror if isinstance(error, OSError) else None) or str(error)
