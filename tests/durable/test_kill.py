"""A durable run is killed at random moments, again and again, and nothing of it is lost or doubled.

``BLAZEN_KILLS`` says how often in all (``nox -s kill``: 1,000), ``BLAZEN_SEED`` where the random
numbers begin. The moments of the kills are drawn from the seed; where in the run they fall is up to
the machine.
"""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anyio
import attrs
import pytest

from blazen_anyio.stores import SQLiteStore

from .kill_worker import HOPS, ITEMS

if not hasattr(os, "fork"):
    pytest.skip("the system has no fork", allow_module_level=True)

EACH = 25
KILLS = int(os.environ.get("BLAZEN_KILLS", EACH))
SEED = int(os.environ.get("BLAZEN_SEED", "1"))
LONGEST_LIFE = 0.4
"""A life is ended after this part of the time that an undisturbed run takes, at most."""

YOUNG = 0.1
"""The part of the lives that may end before the store is open."""

WORKER = Path(__file__).with_name("kill_worker.py")

STATE = {"done": ITEMS, "ticks": ITEMS, "pages": 2 * ITEMS, "gathered": 1, "hops": HOPS} | {
    f"item-{number}": number for number in range(ITEMS)
}


class Nursery:
    """Gives birth to processes; see ``kill_worker``."""

    def __init__(self) -> None:
        self._is_up = False
        self._running = subprocess.Popen(
            [sys.executable, str(WORKER)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def live(self, job: dict[str, Any], seconds: float | None, *, young: bool = False) -> int:
        """One life, ended after some seconds if it has not ended by then: its exit code.

        The seconds count from when the store is open, or from birth if it may die ``young``.
        """
        child = self._give_birth(job)
        if seconds is None:
            return self._hear("ended")
        if not young:
            self._hear("up")
        time.sleep(seconds)
        try:
            os.kill(child, signal.SIGKILL)
        except ProcessLookupError:
            pass  # it has come to its end
        return self._hear("ended")

    def time_of(self, job: dict[str, Any]) -> float:
        """How many seconds a life takes that nobody ends."""
        self._give_birth(job)
        self._hear("up")
        begun = time.perf_counter()
        assert self._hear("ended") == 0
        return time.perf_counter() - begun

    def _give_birth(self, job: dict[str, Any]) -> int:
        self._is_up = False
        assert self._running.stdin is not None
        self._running.stdin.write(json.dumps(job) + "\n")
        self._running.stdin.flush()
        return self._hear("born")

    def _hear(self, wanted: str) -> int:
        """Wait for a word, and return the number that comes with it, if any."""
        assert self._running.stdout is not None
        if wanted == "up" and self._is_up:
            return 0
        for line in self._running.stdout:
            word, _, number = line.strip().partition(" ")
            if word == wanted:
                return int(number or 0)
            self._is_up |= word == "up"  # the child may be quicker than its mother
            assert word != "ended", f"a life has ended with {number}; its traceback is above"
        raise AssertionError("the nursery has died")

    def close(self) -> None:
        self._running.communicate()


@pytest.fixture(scope="module")
def nursery() -> Iterator[Nursery]:
    nursery = Nursery()
    yield nursery
    nursery.close()


@attrs.define
class Life:
    """One run through all its lives.

    Attributes:
        job: what the processes are told.
        lives: for each life, what was begun in it: step, number, attempt.
        order: all that was begun, in order.
        charges: for each invocation, what was charged and what was returned, in order.
    """

    job: dict[str, Any]
    lives: list[list[tuple[str, int, int]]] = attrs.field(factory=list)
    order: list[tuple[str, int, int]] = attrs.field(factory=list)
    charges: dict[str, list[tuple[str, str]]] = attrs.field(factory=dict)

    def read_traces(self) -> None:
        for line in Path(self.job["traces"]).read_text(encoding="utf-8").splitlines():
            kind, *words = line.split()
            if kind == "life":
                self.lives.append([])
            elif kind == "begin":
                begun = (words[0], int(words[1]), int(words[2]))
                self.lives[-1].append(begun)
                self.order.append(begun)
            else:
                self.charges.setdefault(words[0], []).append((kind, words[1]))

    def check_state(self) -> dict[str, Any]:
        """Everything that has finished counts once in the store, and no event was lost."""
        result = json.loads(Path(self.job["result"]).read_text(encoding="utf-8"))
        assert result["state"] == STATE
        assert len(set(result["tokens"])) == ITEMS
        return result

    def check_charges(self, tokens: list[str]) -> None:
        """What ``once`` has returned it returns ever after; it is not computed again."""
        assert len(self.charges) == ITEMS
        for events in self.charges.values():
            told = [token for kind, token in events if kind == "charged"]
            assert len(set(told)) == 1
            first = events.index(("charged", told[0]))
            assert all(kind == "charged" for kind, _ in events[first:])
        assert {events[-1][1] for events in self.charges.values()} == set(tokens)

    def check_repetitions(self) -> None:
        """Only what was under way when the process died is begun again."""
        for life in self.lives:
            assert max(Counter(life).values(), default=1) == 1
        last = {begun: place for place, begun in enumerate(self.order)}
        first = {begun: self.order.index(begun) for begun in last}
        for step, number, attempt in last:
            for follower in followers(step, number, attempt):
                if follower in first:
                    assert last[step, number, attempt] < first[follower]

    def check_store(self) -> None:
        anyio.run(self._check_store)

    async def _check_store(self) -> None:
        """A finished run leaves its result and nothing else."""
        async with SQLiteStore(self.job["database"], synchronous="NORMAL") as store:
            found = await store.read(self.job["run_id"])
        assert found is not None
        run, rows = found
        assert (run.status, run.owner) == ("completed", None)
        assert [row.key for row in rows] == ["result"]


def followers(step: str, number: int, attempt: int) -> list[tuple[str, int, int]]:
    """What begins only after an attempt has been committed."""
    later = {
        "split": [("work", each, 1) for each in range(ITEMS)],
        "work": [("work", number, attempt + 1), ("tick", number, 1), ("gather", 0, 1)],
        "tick": [("gather", 0, 1)],
        "gather": [("hop", 0, 1)],
        "hop": [("hop", number + 1, 1)],
    }
    return later[step]


def live_and_die(
    nursery: Nursery, job: dict[str, Any], chance: random.Random, longest: float, kills: int
) -> tuple[Life, int]:
    """Run to the end, killed at random moments, and at most so often: the run, and how often."""
    killed = 0
    while True:
        seconds = chance.uniform(0.0, longest) if killed < kills else None
        code = nursery.live(job, seconds, young=chance.random() < YOUNG)
        if code == 0:
            return Life(job), killed
        assert code == -signal.SIGKILL, "a life has failed; its traceback is above"
        killed += 1


def job_of(directory: Path, number: int, backend: str) -> dict[str, Any]:
    return {
        "database": str(directory / "runs.db"),
        "traces": str(directory / f"traces-{number}"),
        "result": str(directory / f"result-{number}"),
        "run_id": f"run-{number}",
        "backend": backend,
        "durability": "sync" if number % 3 else "async",
    }


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
@pytest.mark.parametrize("share", range(max(1, KILLS // EACH // 2)))
def test_a_run_that_is_killed_again_and_again_loses_and_repeats_nothing(
    nursery: Nursery, tmp_path: Path, backend: str, share: int
) -> None:
    seed = SEED * 1_000 + share
    print(f"seed {seed}")
    chance = random.Random(f"{seed} {backend}")
    longest = LONGEST_LIFE * nursery.time_of(job_of(tmp_path, 0, backend))
    kills, runs, killed_at_work = 0, 0, 0
    wanted = min(EACH, max(1, KILLS // 2))
    while kills < wanted:
        runs += 1
        job = job_of(tmp_path, runs, backend)
        life, killed = live_and_die(nursery, job, chance, longest, wanted - kills)
        kills += killed
        life.read_traces()
        killed_at_work += sum(bool(begun) for begun in life.lives[:-1])
        result = life.check_state()
        life.check_store()
        if job["durability"] == "sync":
            life.check_charges(result["tokens"])
            life.check_repetitions()
    assert killed_at_work, "no life ended at work: the kills came too early"
