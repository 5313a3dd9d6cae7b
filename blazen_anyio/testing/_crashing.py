"""Crash sweeps: a process dies before any one turn of a run, and another goes on from the store.

To *crash* is to stop: from that turn on nothing of the first process gets a turn any more, and no
cleanup of it runs before the second process has come to its end. What is outside the process, the
store and the fakes, is as it was. The turns of the store's own task are turns like all others, so a
run is also cut off between a commit and everything that follows from it.
"""

from __future__ import annotations

import gc
import warnings
from collections.abc import Callable, Iterable
from typing import Any

import anyio
from anyio.abc import TaskGroup
from anyio.lowlevel import checkpoint

from .._numbers import check_count
from .._run import Durability
from .._store import Store
from .._workflow import Workflow
from ..stores import MemoryStore
from ._checking import Check, Problem, check_callable, leftovers, violation
from ._choosing import Seeded
from ._faults import Fault, Faults
from ._performing import Stubs
from ._production import Answers, Production, Resources, Script, Start, World
from ._silence import silenced
from ._simulation import Simulation
from ._sweeping import Sweep, run_undisturbed, sweep_error
from ._transcript import Transcript, told, told_error
from ._virtual_time import Backend, Stage, run_on

__all__ = ["crash_sweep"]

_CHECKPOINTS_TO_SETTLE = 10


def crash_sweep(
    workflow: Workflow[Any] | Callable[[], Workflow[Any]],
    start: Start = None,
    check: Check | None = None,
    *,
    effects: Callable[[Transcript], object] | None = None,
    seed: int = 0,
    crashes: int = 1,
    durability: Durability = "sync",
    store: Callable[[], MemoryStore] = MemoryStore,
    faults: Faults | Iterable[Fault] = (),
    steps: Stubs | Callable[[], Stubs] | None = None,
    resources: Resources | Callable[[], Resources] | None = None,
    human: Answers | None = None,
    script: Script | None = None,
    backend: Backend = "asyncio",
) -> Sweep:
    """Let a stored run crash before each of its turns, and go on in another process.

    That is after every commit and between any two inputs of the machine that are in turns of their
    own. However it was cut off, the run has the result of the undisturbed one.

    Args:
        workflow: the workflow, or a function that makes it; see :func:`simulate`.
        start: what starts a run.
        check: what must hold after each run; it is given the transcript of the process that brought
            the run to its end. A fake that ``resources`` makes has lived through the crash.
        effects: what the run has done outside: has to be equal to what it is for the undisturbed
            run. An effect of a step may be repeated by a crash unless the step takes care of it, by
            ``ctx.once`` or ``ctx.idempotency_key``.
        seed: of the order in which the steps go on.
        crashes: how many processes die one after the other, each as many turns after its begin.
        durability: as in ``workflow.run``.
        store: makes the store.
        faults, steps, resources, human, script, backend: as for :func:`simulate`.

    Returns:
        How many places there were.

    Raises:
        SweepError: a result, an effect or the check differs, with the place and a diagram.
        SimulationError: the undisturbed run does not come to an end.
        TypeError: something does not fit, as for :func:`simulate`, or ``check`` or ``effects`` is
            no function.
        ValueError: ``crashes`` is no number from 1, or a stub or a fault is of a step that there is
            not.
    """
    check_count("crashes=", crashes)
    for what, given in (("check=", check), ("effects=", effects)):
        if given is not None:
            check_callable(what, given)
    simulation = Simulation(
        workflow=workflow,
        start=start,
        faults=faults,
        steps=steps,
        resources=resources,
        human=human,
        script=script,
        store=store,
        durability=durability,
    )
    stage = Stage()
    sweeper = _CrashSweeper(simulation, stage, check, effects, seed)
    with silenced(), warnings.catch_warnings():
        # Among what the dead leave are coroutines that they never came to await.
        warnings.filterwarnings("ignore", "coroutine .* was never awaited", RuntimeWarning)
        try:
            return run_on(backend, stage, lambda: sweeper.sweep(crashes))
        finally:
            gc.collect()


class _CrashSweeper:
    """Crashes at each turn.

    Args:
        simulation: what is simulated.
        stage: the hooks of the event loop.
        check: what must hold afterwards.
        effects: what must be as in the undisturbed run.
        seed: of the order.
    """

    def __init__(
        self,
        simulation: Simulation,
        stage: Stage,
        check: Check | None,
        effects: Callable[[Transcript], object] | None,
        seed: int,
    ) -> None:
        self._simulation = simulation
        self._stage = stage
        self._check = check
        self._effects = effects
        self._seed = seed

    async def sweep(self, crashes: int) -> Sweep:
        """Crash before turn 1, 2, and so on until the run ends before it crashes."""
        undisturbed = await run_undisturbed(self._simulation, self._stage, self._seed)
        self._judge(undisturbed, undisturbed, 0)
        number = 0
        while True:
            number += 1
            if not await self._run_with_crashes(number, crashes, undisturbed):
                return Sweep(number - 1, number)

    async def _run_with_crashes(self, at: int, crashes: int, undisturbed: Transcript) -> bool:
        """Run, crash, go on and judge; return whether the run got as far as to crash."""
        self._stage.clock.now = 0.0
        lives: list[_Process] = []
        failure: BaseException | None = None
        async with anyio.create_task_group() as group:
            lives = await self._lives(group, at, crashes)
            try:
                lives[-1].judge(lambda transcript: self._judge(transcript, undisturbed, at))
            except Exception as error:
                failure = error  # by itself, in no group
            # Only now: what the dead do while they unwind is of no interest any more.
            for _ in range(_CHECKPOINTS_TO_SETTLE):
                await checkpoint()  # who has been woken by a timer gets to where it is parked
            for process in lives[:-1]:
                await process.bury()
        if failure is not None:
            raise failure
        return len(lives) > 1

    async def _lives(self, group: TaskGroup, at: int, crashes: int) -> list[_Process]:
        """Start processes until one has not died."""
        world = self._simulation.world()
        lives: list[_Process] = []
        while not lives or lives[-1].has_died:
            if lives:
                _abandon(world.store)
            life = len(lives)
            process = _Process(world, self._stage, self._seed + life, self._seed)
            lives.append(process)
            group.start_soon(process.live, at if life < crashes else None, name="process")
            await process.over.wait()
        return lives

    def _judge(self, transcript: Transcript, undisturbed: Transcript, at: int) -> None:
        problem = (
            leftovers(transcript)
            or self._difference(transcript, undisturbed)
            or violation(self._check, transcript)
        )
        if problem is not None:
            what = f"whose process died before its turn {at}; what the last process did"
            if transcript is undisturbed:
                what = "undisturbed"
            raise sweep_error(problem, what, at, transcript) from problem.cause

    def _difference(self, transcript: Transcript, undisturbed: Transcript) -> Problem | None:
        end, expected = _ended(transcript), _ended(undisturbed)
        if end != expected:
            says = f"it ends with {end}, and undisturbed with {expected}"
            return Problem(says, transcript.error)
        if self._effects is None:
            return None
        done, expected = told(self._effects(transcript)), told(self._effects(undisturbed))
        if done != expected:
            return Problem(f"its effects are {done}, and undisturbed {expected}")
        return None


class _Process:
    """One process: plays a run until it ends or dies.

    Attributes:
        over: set when it has ended or died.
        transcript: what it told at its end; ``None`` if it has died.
        error: what it raised instead.
    """

    def __init__(self, world: World, stage: Stage, seed: int, run_seed: int) -> None:
        self._production = Production(world, stage, Seeded(seed), run_seed, traced=True)
        self.over = anyio.Event()
        self._buried = anyio.Event()
        self.transcript: Transcript | None = None
        self.error: BaseException | None = None

    async def live(self, at: int | None) -> None:
        """Play on; die before turn ``at``."""
        conductor = self._production.conductor

        def look(number: int) -> None:
            if number == at:
                conductor.freeze()
                self.over.set()

        conductor.at_turn = look
        try:
            transcript = await self._production.play()
        except (Exception, BaseExceptionGroup) as error:
            if not conductor.frozen:
                self.error = error
        else:
            self.transcript = None if conductor.frozen else transcript
        self.over.set()
        self._buried.set()

    @property
    def has_died(self) -> bool:
        """Whether it has neither ended nor raised."""
        return self.transcript is None and self.error is None

    def judge(self, judge: Callable[[Transcript], object]) -> None:
        """Judge what the process that ended has told, or raise what it has raised."""
        if self.error is not None:
            raise self.error
        assert self.transcript is not None, "it has ended"
        judge(self.transcript)

    async def bury(self) -> None:
        """Let what is left of it unwind."""
        self._production.conductor.abandon()
        await self._buried.wait()


def _abandon(store: Store | None) -> None:
    assert isinstance(store, MemoryStore), "the runs of a crash sweep are stored in memory"
    store.abandon()


def _ended(transcript: Transcript) -> str:
    error = transcript.error
    return told(transcript.result) if error is None else told_error(error)
