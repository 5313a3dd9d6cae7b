"""The contenders take turns, each turn in a process of its own.

For each workload and backend all contenders take a turn, one right after the other, and then the
next: what disturbs the machine disturbs all of them. Each turn begins with another contender.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import attrs

from .contenders import Contender
from .results import Result
from .workloads import WORKLOADS, Workload

__all__ = ["Harness", "TurnFailedError"]

ROOT = Path(__file__).parent.parent


class TurnFailedError(Exception):
    """A turn of the engine, or of what it is compared with, failed."""


@attrs.frozen
class Harness:
    """How to measure.

    Attributes:
        turns: how many turns each contender takes.
        samples: how often a turn does the work.
        size: what all counts are multiplied by.
        environments: the directory of the peers' environments; ``None`` leaves the peers out.
        patience: for how many seconds a turn may last.
        tell: gets a line after each turn.

    What a contender can't do is asked once.
    """

    turns: int = 3
    samples: int = 3
    size: float = 1.0
    environments: Path | None = None
    patience: float = 240.0
    tell: Callable[[str], None] = lambda line: None
    _unable: dict[str, dict[str, str]] = attrs.field(factory=dict[str, dict[str, str]])

    def measure(
        self, workload: Workload, backend: str, contenders: Sequence[Contender], count: int = 0
    ) -> list[Result]:
        """Let the contenders take their turns at one workload.

        Args:
            workload: what they do.
            backend: on what; who does not run on it says so.
            contenders: who takes part.
            count: how many units; 0 for as many as the workload says.
        """
        count = count or workload.scaled(self.size)
        contenders = [who for who in contenders if not (who.packages and workload.ours)]
        taken: dict[str, list[dict[str, Any]]] = {who.name: [] for who in contenders}
        for turn in range(self.turns):
            for contender in _rotated(contenders, turn):
                if turn and "unable" in taken[contender.name][0]:
                    continue
                outcome = self._take(contender, workload, backend, count)
                taken[contender.name].append(outcome)
                self.tell(f"{workload.name}, {backend}, {contender.name}: {_summary(outcome)}")
        return [_result(workload, who, backend, taken[who.name]) for who in contenders]

    def _take(
        self, contender: Contender, workload: Workload, backend: str, count: int
    ) -> dict[str, Any]:
        if backend not in contender.backends:
            return {"unable": f"does not run on {backend}"}
        reason = self._abilities(contender).get(workload.name)
        if reason is not None:
            return {"unable": reason}
        order = {
            "contender": contender.name,
            "workload": workload.name,
            "backend": backend,
            "count": count,
            "samples": 1 if contender.packages else self.samples,
        }
        return self._run(contender, order)

    def _abilities(self, contender: Contender) -> dict[str, str]:
        """For each workload that a contender can't do, why not."""
        if contender.name not in self._unable:
            told = self._run(contender, {"contender": contender.name})
            if "unable" in told:
                told = {workload.name: told["unable"] for workload in WORKLOADS}
            self._unable[contender.name] = told
        return self._unable[contender.name]

    def _python(self, contender: Contender) -> str | None:
        if not contender.packages:
            return sys.executable
        if self.environments is None:
            return None
        python = self.environments / contender.directory / "bin" / "python"
        return str(python) if python.exists() else None

    def _run(self, contender: Contender, order: dict[str, Any]) -> dict[str, Any]:
        python = self._python(contender)
        if python is None:
            return {"unable": "does not install here"}
        command = [python, "-m", "benchmarks.turn", json.dumps(order)]
        try:
            done = subprocess.run(
                command, cwd=ROOT, capture_output=True, text=True, timeout=self.patience,
                check=False, stdin=subprocess.DEVNULL,
            )  # fmt: skip
        except subprocess.TimeoutExpired:
            return {"unable": f"took longer than {self.patience:.0f} s"}
        if done.returncode == 0:
            told: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
            return told
        if contender.packages:
            return {"unable": f"fails: {_last_line(done.stderr)}"}
        raise TurnFailedError(f"{order}:\n{done.stderr}")


def _rotated(contenders: Sequence[Contender], turn: int) -> Iterable[Contender]:
    start = turn % len(contenders)
    return [*contenders[start:], *contenders[:start]]


def _result(
    workload: Workload, contender: Contender, backend: str, taken: Sequence[dict[str, Any]]
) -> Result:
    first = taken[0]
    unable = next((outcome["unable"] for outcome in taken if "unable" in outcome), None)
    if unable is not None:
        return Result(workload.name, contender.name, backend, unable=unable)
    return Result(
        workload.name,
        contender.name,
        backend,
        count=first["count"],
        turns=[outcome["seconds"] for outcome in taken],
        processor=[outcome["processor"] for outcome in taken],
        memory=[outcome["memory"] for outcome in taken],
        versions=first["versions"],
    )


def _summary(outcome: dict[str, Any]) -> str:
    unable = outcome.get("unable")
    return unable or f"{min(outcome['seconds']):.4f} s for {outcome['count']:,}"


def _last_line(text: str) -> str:
    lines = text.strip().splitlines()
    return lines[-1] if lines else "no message"


def load_average() -> float:
    """How many processes wanted a processor in the last minute."""
    return round(os.getloadavg()[0], 1)
