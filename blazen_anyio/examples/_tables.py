"""From file reports to the text of a census: plain functions, no workflow, no I/O."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence

import attrs

from ._sources import Definition, FileReport, Unreadable

__all__ = ["Totals", "printable", "render", "totals_by_group"]

HEADINGS = ("", "files", "lines", "functions", "docstrings", "longest function")


@attrs.frozen(kw_only=True)
class Totals:
    """The sum of some file reports.

    Attributes:
        name: of the group: a top-level package or directory, or the whole.
        files: how many were parsed.
        lines, functions, documentable, documented: as in :class:`FileReport`.
        longest: the longest function of all.
    """

    name: str
    files: int
    lines: int
    functions: int
    documentable: int
    documented: int
    longest: Definition | None

    @classmethod
    def of(cls, name: str, reports: Sequence[FileReport]) -> Totals:
        """Add up ``reports``."""
        return cls(
            name=name,
            files=len(reports),
            lines=sum(report.lines for report in reports),
            functions=sum(report.functions for report in reports),
            documentable=sum(report.documentable for report in reports),
            documented=sum(report.documented for report in reports),
            longest=max((report.longest for report in reports if report.longest), default=None),
        )


def totals_by_group(root: str, reports: Iterable[FileReport]) -> list[Totals]:
    """Add up per top-level package or directory under ``root``; files beside them are ``"."``."""
    groups: dict[str, list[FileReport]] = {}
    for report in reports:
        groups.setdefault(_group(root, report.path), []).append(report)
    return [Totals.of(name, groups[name]) for name in sorted(groups)]


def _group(root: str, path: str) -> str:
    first, separator, _ = os.path.relpath(path, root).partition(os.sep)
    return first if separator else "."


def render(
    root: str, reports: Sequence[FileReport], unreadable: Sequence[Unreadable], *, top: int
) -> str:
    """Write the census: the table, the slowest files, and what could not be read.

    Args:
        root: where the census was taken; places are told relative to it.
        reports: the files that were parsed.
        unreadable: what could not be read.
        top: how many of the slowest files to name.
    """
    parts = [_table(root, reports), _slowest(root, reports, top), _problems(root, unreadable)]
    return "\n\n".join("\n".join(part) for part in parts if part)


def _table(root: str, reports: Sequence[FileReport]) -> list[str]:
    rows = [_row(root, totals) for totals in totals_by_group(root, reports)]
    return _align([HEADINGS, *rows, _row(root, Totals.of("total", reports))])


def _row(root: str, totals: Totals) -> tuple[str, ...]:
    return (
        printable(totals.name),
        f"{totals.files:,}",
        f"{totals.lines:,}",
        f"{totals.functions:,}",
        _share(totals.documented, totals.documentable),
        _longest(root, totals.longest),
    )


def _share(part: int, whole: int) -> str:
    return f"{part / whole:.0%}" if whole else "-"


def _longest(root: str, longest: Definition | None) -> str:
    if longest is None:
        return "-"
    return f"{longest.lines:,} lines: {longest.name} ({_place(root, longest.path, longest.line)})"


def _align(rows: Sequence[tuple[str, ...]]) -> list[str]:
    """The first and the last column to the left, numbers to the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines: list[str] = []
    for first, *numbers, last in rows:
        cells = [
            first.ljust(widths[0]),
            *(cell.rjust(width) for cell, width in zip(numbers, widths[1:-1], strict=True)),
            last,
        ]
        lines.append("  ".join(cells).rstrip())
    return lines


def _slowest(root: str, reports: Sequence[FileReport], top: int) -> list[str]:
    slowest = sorted(reports, key=lambda report: report.seconds, reverse=True)[:top]
    if not slowest:
        return []
    rows = [f"{r.seconds * 1000:9.1f} ms  {_place(root, r.path)}" for r in slowest]
    return ["slowest files", *rows]


def _problems(root: str, unreadable: Sequence[Unreadable]) -> list[str]:
    if not unreadable:
        return []
    rows = [
        f"  {_place(root, problem.path, problem.line)}: {printable(problem.reason)}"
        for problem in unreadable
    ]
    return [f"not counted: {len(unreadable):,}", *rows]


def _place(root: str, path: str, line: int | None = None) -> str:
    relative = os.path.relpath(path, root)
    shown = printable(os.path.basename(path) if relative == "." else relative)
    return shown if line is None else f"{shown}:{line}"


def printable(text: str) -> str:
    """File names may hold anything, line breaks and undecodable bytes included."""
    return "".join(
        character if character.isprintable() else character.encode("unicode_escape").decode()
        for character in text
    )
