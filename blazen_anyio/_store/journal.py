"""The log of a run: one entry for each commit, with what it changed and what had happened.

The changes, applied in order, give the rows as they were after any commit, which is what a fork
begins with. The facts are for people.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

import attrs

from .._codec import canonical
from .._exceptions import StoreError
from .records import StoredStatus

__all__ = ["HistoryEntry", "HistoryFact", "LogEntry", "replay"]


@attrs.frozen
class HistoryFact:
    """One thing that happened in a stored run; the attributes are those of a ``Fact``.

    Attributes:
        kind: what happened.
        time: when, in wall-clock seconds.
        step, event_type, attempt, duration, error: as in :class:`~blazen_anyio.Fact`.
        path: the ids of the child runs that it happened in, outermost first; empty for the run.
        invocation, cause: as in :class:`~blazen_anyio.Fact`, within the run of ``path``.
    """

    kind: str
    time: float
    step: str | None = None
    event_type: str | None = None
    attempt: int | None = None
    duration: float | None = None
    error: str | None = None
    path: tuple[str, ...] = ()
    invocation: int | None = None
    cause: int | None = None


@attrs.frozen(kw_only=True)
class HistoryEntry:
    """What one commit of a stored run changed, and what had happened since the one before.

    Attributes:
        sequence: of the commit; ``workflow.fork`` takes it as ``at``.
        time: when it was made, in wall-clock seconds.
        status: of the run from then on; ``None`` for no change.
        facts: what had happened.
        changed, removed: keys of the records that it wrote and removed.
    """

    sequence: int
    time: float
    status: StoredStatus | None
    facts: tuple[HistoryFact, ...]
    changed: tuple[str, ...]
    removed: tuple[str, ...]


@attrs.frozen(kw_only=True)
class LogEntry:
    """One entry of the log, as it is written.

    Attributes:
        time: wall-clock seconds.
        head: the content of the run's head after the commit.
        puts, removes, clears: the change, in plain text.
        status: see :class:`HistoryEntry`.
        facts: see :class:`HistoryEntry`.
    """

    time: float
    head: str
    puts: tuple[tuple[str, str], ...] = ()
    removes: tuple[str, ...] = ()
    clears: bool = False
    status: StoredStatus | None = None
    facts: tuple[HistoryFact, ...] = ()

    def write(self) -> str:
        """Write it as text."""
        return canonical(
            {
                "time": self.time,
                "head": self.head,
                "puts": self.puts,
                "removes": self.removes,
                "clears": self.clears,
                "status": self.status,
                "facts": [attrs.astuple(fact) for fact in self.facts],
            }
        )

    @classmethod
    def read(cls, text: str) -> LogEntry:
        """Read what ``write`` wrote; its seal has been checked.

        Raises:
            StoreError: another release has written it.
        """
        try:
            data: dict[str, Any] = json.loads(text)
            facts = tuple(_read_fact(fact) for fact in data["facts"])
            puts = tuple((key, body) for key, body in data["puts"])
            return cls(
                time=data["time"],
                head=data["head"],
                puts=puts,
                removes=tuple(data["removes"]),
                clears=data["clears"],
                status=data["status"],
                facts=facts,
            )
        except (ValueError, KeyError, TypeError) as error:
            raise StoreError("an entry of the log is not as this release writes it") from error

    def history(self, sequence: int) -> HistoryEntry:
        """What to show of it."""
        return HistoryEntry(
            sequence=sequence,
            time=self.time,
            status=self.status,
            facts=self.facts,
            changed=tuple(key for key, _ in self.puts),
            removed=self.removes,
        )


def _read_fact(data: list[Any]) -> HistoryFact:
    kind, when, step, event_type, attempt, duration, error, path, invocation, cause = data
    return HistoryFact(
        kind, when, step, event_type, attempt, duration, error, tuple(path), invocation, cause
    )


def replay(entries: Iterable[LogEntry]) -> tuple[str, dict[str, str]]:
    """Apply changes in order: the head and the rows after the last of them."""
    head, rows = "", dict[str, str]()
    for entry in entries:
        head = entry.head
        if entry.clears:
            rows.clear()
        rows.update(entry.puts)
        for key in entry.removes:
            rows.pop(key, None)
    return head, rows
