"""What a store knows of a run, read for people.

The rule: a stored value is shown only if it can be restored here, for only its class knows which
fields are secret. What can't be is named, never guessed at.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any

from .._codec import Codec, unescape_text
from .._exceptions import SnapshotError
from .._store import RESULT, HistoryFact, LogEntry, replay
from .showing import show

__all__ = ["Contents", "Log"]


class Contents:
    """The rows of a stored run.

    Args:
        texts: the rows by their keys.
        codec: knows the classes of the workflow; ``None`` for the built-in ones only.
    """

    def __init__(self, texts: Mapping[str, str], codec: Codec | None) -> None:
        self._texts = texts
        self._codec = Codec(()) if codec is None else codec

    def of(self, texts: Mapping[str, str]) -> Contents:
        """Read other rows in the same way."""
        return Contents(texts, self._codec)

    def state(self) -> dict[str, str]:
        """What is in the state of the run itself, by key."""
        rows = (row for path, row in self._rows("state") if not path)
        return {unescape_text(row["key"]): self._value(row["value"]) for row in rows}

    def requests(self) -> list[str]:
        """What is asked, in child runs too."""
        return [self._prompt(row["event"]) for _, row in self._rows("requests")]

    def result(self) -> str:
        """What the run has returned; empty if it has not completed."""
        text = self._texts.get(RESULT)
        return "" if text is None else self._event(json.loads(text))

    def _rows(self, table: str) -> Iterator[tuple[str, Any]]:
        """The rows of a table with the path of the child run that each is of."""
        for key, text in self._texts.items():
            path, _, name = key.partition("/")[0].rpartition(">")
            if name == table:
                yield path, json.loads(text)

    def _value(self, data: Any) -> str:
        try:
            return show(self._codec.decode(data, "$"))
        except SnapshotError as error:
            return f"not shown: {error}"

    def _event(self, data: Any) -> str:
        try:
            return show(self._codec.decode_event(data, "$"))
        except SnapshotError as error:
            return f"not shown: {error}"

    def _prompt(self, data: Any) -> str:
        try:
            return show(getattr(self._codec.decode_event(data, "$"), "prompt", ""))
        except SnapshotError as error:
            return f"not shown: {error}"


class Log:
    """The log of a stored run.

    Args:
        entries: the sequence and the entry of each commit, ascending.
        sequence: of the last commit, which the log may lack.
    """

    def __init__(self, entries: Sequence[tuple[int, LogEntry]], sequence: int) -> None:
        self._entries = entries
        self._sequence = sequence

    @property
    def facts(self) -> tuple[HistoryFact, ...]:
        """What happened."""
        return tuple(fact for _, entry in self._entries for fact in entry.facts)

    @property
    def gaps(self) -> tuple[str, ...]:
        """What is missing of it."""
        if not self._entries:
            return ("The store keeps no log of this run; one with keep_log=True does.",)
        numbers = [0, *(sequence for sequence, _ in self._entries), self._sequence + 1]
        return tuple(
            f"The log has no entries for commits {before + 1:,} to {after - 1:,}."
            for before, after in pairwise(numbers)
            if after > before + 1
        )

    def rows_before_end(self) -> dict[str, str] | None:
        """The rows before the commit that completed the run; ``None`` if the log lacks some."""
        numbers = [sequence for sequence, _ in self._entries]
        whole = list(range(1, max(self._sequence, len(numbers)) + 1))
        if not numbers or numbers != whole:
            return None
        entries = [entry for _, entry in self._entries]
        ends = next(
            (i for i, each in enumerate(entries) if each.status == "completed"), len(entries)
        )
        return replay(entries[:ends])[1]
