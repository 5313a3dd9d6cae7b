"""What was measured: numbers first, words elsewhere.

Within a turn the smallest of the samples counts, for it is the one that was disturbed least. Over
the turns it is the median. Ratios are taken turn by turn, between contenders that took their turns
one right after the other, and their median counts.
"""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from typing import Any

import attrs

from .workloads import Workload, find_workload

__all__ = ["Result", "Results"]


@attrs.frozen
class Result:
    """One contender at one workload on one backend.

    Attributes:
        workload, contender, backend: their names.
        count: how many units each sample did.
        turns: for each turn the seconds of its samples.
        processor: for each turn the processor time of its samples, in seconds.
        memory: for each turn by how many bytes the process grew at most; ``None`` if unknown.
        versions: of Python, anyio, trio and the contender.
        unable: why there is nothing to tell; ``None`` if there is.
    """

    workload: str
    contender: str
    backend: str
    count: int = 0
    turns: Sequence[Sequence[float]] = ()
    processor: Sequence[Sequence[float]] = ()
    memory: Sequence[int | None] = ()
    versions: Mapping[str, str] = attrs.field(factory=dict[str, str])
    unable: str | None = None

    @property
    def best(self) -> list[float]:
        """The smallest sample of each turn, in seconds per unit or of the whole."""
        divisor = self.count if self.kind.per_unit else 1
        return [min(samples) / divisor for samples in self.turns]

    @property
    def cost(self) -> float:
        """Seconds per unit, or of the whole."""
        return statistics.median(self.best)

    @property
    def spread(self) -> float:
        """Half of the range of the turns, as a part of the cost."""
        return (max(self.best) - min(self.best)) / 2 / self.cost if self.cost else 0.0

    @property
    def busy(self) -> float:
        """Seconds of processor time, of all units."""
        return statistics.median(min(samples) for samples in self.processor)

    @property
    def growth(self) -> float | None:
        """By how many bytes the process grew at most."""
        known = [grown for grown in self.memory if grown is not None]
        return statistics.median(known) if known else None

    @property
    def kind(self) -> Workload:
        """The workload itself."""
        return find_workload(self.workload)

    def ratios(self, base: Result) -> list[float]:
        """For each turn, how this one's cost compares with another's."""
        return [
            mine / other for mine, other in zip(self.best, base.best, strict=False) if other > 0
        ]


@attrs.frozen
class Results:
    """All that was measured in one run.

    Attributes:
        command: what was typed.
        day: when, as ``YYYY-MM-DD``.
        machine: where.
        load: how many processes wanted a processor, before and after; others' included.
        items: each contender's result.
    """

    command: str
    day: str
    machine: str
    load: Sequence[float]
    items: Sequence[Result]

    def find(self, workload: str, contender: str, backend: str) -> Result | None:
        """Look up a result that has something to tell."""
        for item in self.items:
            if (item.workload, item.contender, item.backend) == (workload, contender, backend):
                return item if item.unable is None else None
        return None

    def ratio(self, workload: str, contender: str, backend: str, base: str) -> float | None:
        """How a contender compares with another, or with what would be ideal."""
        mine, other = (self.find(workload, name, backend) for name in (contender, base))
        if mine is None:
            return None
        if mine.kind.ideal is not None:
            return mine.cost / mine.kind.ideal(mine.count)
        ratios = mine.ratios(other) if other is not None else []
        return statistics.median(ratios) if ratios else None

    def versions(self) -> dict[str, str]:
        """All versions that the numbers depend on."""
        found: dict[str, str] = {}
        for item in self.items:
            found |= item.versions
        return found

    def to_data(self) -> dict[str, Any]:
        """Plain data, for JSON."""
        return attrs.asdict(self)

    @classmethod
    def from_data(cls, data: dict[str, Any]) -> Results:
        """Read what ``to_data`` returned."""
        rest = {name: value for name, value in data.items() if name != "items"}
        return cls(**rest, items=[Result(**item) for item in data["items"]])
