"""History: what happened in a run, kept as cheaply as possible and typed when it is read.

The rule: noting a fact costs an append of the tuple that the machine made, and no call of Python
code; a :class:`Fact` is made only for a reader. A bounded history forgets its oldest facts, many at
a time: whoever notes facts calls :meth:`History.trim` now and then, and a reader does. Facts are
numbered from 0, so that the first one kept has the number ``dropped``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
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

    __slots__ = ("_dropped", "_facts", "_maxlen", "append")

    def __init__(self, maxlen: int | None = None) -> None:
        if maxlen is not None:
            check_count("history", maxlen, least=0)
        self._maxlen = maxlen
        self._facts: list[RawFact] = []
        self._dropped = 0
        self.append: Callable[[RawFact], object] = self._facts.append
        """Note a fact. Pointless, though harmless, in a history that keeps none."""

    @property
    def maxlen(self) -> int | None:
        """How many facts are kept at most; 0 for none, ``None`` for all."""
        return self._maxlen

    @property
    def enabled(self) -> bool:
        """Whether any fact is kept. If not, nobody needs to note one."""
        return self._maxlen != 0

    @property
    def dropped(self) -> int:
        """How many facts were noted and forgotten again, because newer ones needed the room."""
        self.trim(0)
        return self._dropped

    def trim(self, slack: int = 2000) -> None:
        """Forget the oldest facts if there are ``slack`` more of them than are kept."""
        if self._maxlen is not None and len(self._facts) - self._maxlen > slack:
            surplus = len(self._facts) - self._maxlen
            del self._facts[:surplus]
            self._dropped += surplus if self._maxlen else 0

    def __len__(self) -> int:
        self.trim(0)
        return len(self._facts)

    def __iter__(self) -> Iterator[Fact]:
        # A copy: the run may append between two facts that the reader takes.
        for number, raw in enumerate(self._kept(), self._dropped):
            yield Fact(number, *raw)

    def _kept(self) -> list[RawFact]:
        self.trim(0)
        return self._facts.copy()

    def __reversed__(self) -> Iterator[Fact]:
        return reversed(self[:])

    @overload
    def __getitem__(self, index: int) -> Fact: ...

    @overload
    def __getitem__(self, index: slice) -> list[Fact]: ...

    def __getitem__(self, index: int | slice) -> Fact | list[Fact]:
        numbers = range(self.dropped, self.dropped + len(self._facts))
        if isinstance(index, slice):
            raws = self._facts[index]
            return [Fact(number, *raw) for number, raw in zip(numbers[index], raws, strict=True)]
        raw = self._facts[index]
        return Fact(numbers[index], *raw)

    def __repr__(self) -> str:
        return f"<History of {len(self)} facts, {self.dropped} dropped>"
