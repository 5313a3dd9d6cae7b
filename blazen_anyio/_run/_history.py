"""History: what happened in a run, kept as cheaply as possible and typed when it is read.

The rule: noting a fact costs an append of the tuple that the machine made; a :class:`Fact` is made
only for a reader. A bounded history is a ring: it forgets the oldest fact and counts it. Facts are
numbered from 0, so that the first one kept has the number ``dropped``.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from typing import final, overload

from .._machine.facts import Fact, RawFact
from .._numbers import check_count

__all__ = ["History"]


@final
class History(Sequence[Fact]):
    """The facts of a run, oldest first, to read only.

    Reading is safe while the run goes on: an iteration shows what was there when it began.

    Args:
        maxlen: how many facts to keep; 0 keeps none, ``None`` keeps all.

    Raises:
        TypeError: ``maxlen`` is neither a whole number nor ``None``.
        ValueError: ``maxlen`` is negative.
    """

    __slots__ = ("_noted", "_ring")

    def __init__(self, maxlen: int | None = None) -> None:
        if maxlen is not None:
            check_count("history", maxlen, least=0)
        self._ring: deque[RawFact] = deque(maxlen=maxlen)
        self._noted = 0

    @property
    def maxlen(self) -> int | None:
        """How many facts are kept at most; 0 for none, ``None`` for all."""
        return self._ring.maxlen

    @property
    def enabled(self) -> bool:
        """Whether any fact is kept. If not, nobody needs to note one."""
        return self._ring.maxlen != 0

    @property
    def dropped(self) -> int:
        """How many facts were noted and forgotten again, because newer ones needed the room."""
        return self._noted - len(self._ring) if self.enabled else 0

    def append(self, raw: RawFact) -> None:
        """Note a fact. Pointless, though harmless, in a history that keeps none."""
        self._noted += 1
        self._ring.append(raw)

    def __len__(self) -> int:
        return len(self._ring)

    def __iter__(self) -> Iterator[Fact]:
        # A copy: the run may append between two facts that the reader takes.
        for number, raw in enumerate(tuple(self._ring), self.dropped):
            yield Fact(number, *raw)

    def __reversed__(self) -> Iterator[Fact]:
        return reversed(self[:])

    @overload
    def __getitem__(self, index: int) -> Fact: ...

    @overload
    def __getitem__(self, index: slice) -> list[Fact]: ...

    def __getitem__(self, index: int | slice) -> Fact | list[Fact]:
        numbers = range(self.dropped, self.dropped + len(self._ring))
        if isinstance(index, slice):
            raws = tuple(self._ring)[index]
            return [Fact(number, *raw) for number, raw in zip(numbers[index], raws, strict=True)]
        raw = self._ring[index]
        return Fact(numbers[index], *raw)

    def __repr__(self) -> str:
        return f"<History of {len(self)} facts, {self.dropped} dropped>"
