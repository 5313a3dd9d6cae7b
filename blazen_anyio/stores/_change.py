"""Commits of one run, folded into one change: a row that several of them touch is written once.

Folding happens in the store's thread, so that a large commit does not hold up the event loop.
"""

from __future__ import annotations

from collections.abc import Sequence

from .._codec import escape_text
from .._store import Commit, StoredStatus

__all__ = ["Change"]


class Change:
    """Commits of one run as one change: what its head, rows and log become.

    Attributes:
        run_id, epoch: of the run, and of the claim it was made under.
        before, after: the sequence before it, and that of the last commit.
        head, status, note: as in :class:`Commit`; of the last that has any.
        clears: every row goes first.
        puts: rows to write: key, sequence and body.
        removes: keys of rows to remove.
        entries: for the log: sequence and entry.
    """

    __slots__ = (
        "after", "before", "clears", "entries", "epoch", "head", "note", "puts", "removes",
        "run_id", "status",
    )  # fmt: skip

    def __init__(self, commits: Sequence[Commit]) -> None:
        first, last = commits[0], commits[-1]
        self.run_id = escape_text(first.run_id)
        self.epoch = first.epoch
        self.before = first.sequence - 1
        self.after = last.sequence
        self.head = last.head
        self.status: StoredStatus | None = None
        self.note = ""
        self.clears = False
        self.entries: list[tuple[int, bytes]] = []
        rows: dict[str, tuple[int, bytes] | None] = {}
        for commit in commits:
            self._fold(commit, rows)
        self.puts = [(escape_text(key), *row) for key, row in rows.items() if row is not None]
        self.removes = [escape_text(key) for key, row in rows.items() if row is None]

    def _fold(self, commit: Commit, rows: dict[str, tuple[int, bytes] | None]) -> None:
        if commit.clears:
            self.clears = True
            rows.clear()
        for key, body in commit.puts:
            rows[key] = (commit.sequence, body)
        for key in commit.removes:
            rows[key] = None
        if commit.status is not None:
            self.status, self.note = commit.status, escape_text(commit.note)
        if commit.entry is not None:
            self.entries.append((commit.sequence, commit.entry))
