"""Productions: one run of a simulation, from curtain to curtain.

What is made afresh for a run is its *world*: the workflow, the stubs, the fakes and the store. A
production plays one run in it. After a crash another plays on in the same world.
"""

from __future__ import annotations

import asyncio
import copy
import inspect
import random
from collections.abc import Awaitable, Callable, Generator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import anyio
import attrs
from anyio.lowlevel import checkpoint

from .._events import Event, InputRequestEvent
from .._exceptions import (
    NoHandlerError,
    RunCancelledError,
    RunSuspendedError,
    UnknownRequestError,
)
from .._run import Run
from .._store import Store
from .._workflow import Workflow
from ._choosing import Chooser
from ._conductor import Conductor
from ._director import Settings
from ._errors import SimulationError
from ._faults import ClockJump, StoreFails, split
from ._performing import Stubs
from ._staged_store import StagedStore
from ._transcript import SimulationStatus, Transcript
from ._virtual_time import Stage

if TYPE_CHECKING:
    from ._simulation import Simulation

__all__ = ["Answers", "Production", "Resources", "Script", "Start", "World", "first_event"]

Start = Event | Mapping[str, Any] | None
"""What starts a run: an event, the fields of the start event, or nothing."""

_CHECKPOINTS_TO_CLEAR = 5
"""How often what is left behind gets to run while it is being ended."""

Resources = Mapping[Callable[..., object], object]
Script = Callable[[Run[Any]], Awaitable[object]]
Answers = Callable[[InputRequestEvent], Any]


@attrs.frozen(kw_only=True)
class World:
    """What a run is played in, made afresh for it.

    Attributes:
        simulation: what is simulated.
        workflow: the workflow.
        stubs: what to do instead of bodies, by step.
        resources: what to use instead of resources, by opener.
        store: keeps the run; ``None`` for nothing.
        entered: the store, once a first production has opened it.
    """

    simulation: Simulation
    workflow: Workflow[Any]
    stubs: Stubs
    resources: Resources
    store: Store | None
    entered: list[Store] = attrs.field(factory=list[Store])


def first_event(workflow: Workflow[Any], start: Start) -> Event:
    """The event that starts a run.

    Raises:
        TypeError: ``start`` does not fit the workflow, or that is none.
        NoHandlerError: no step accepts it.
    """
    thing: object = workflow
    if not isinstance(thing, Workflow):
        raise TypeError(f"a Workflow is wanted, not {thing!r}")
    if isinstance(start, Mapping):
        return workflow._launcher.first_event(None, start)
    return workflow._launcher.first_event(start, {})


class Production:
    """One run of a simulation.

    Args:
        world: what it is played in.
        stage: the hooks of the event loop.
        chooser: decides at choice points.
        seed: what the jitter of retries and the run's id are drawn from.
        traced: whether to note every turn.

    Attributes:
        conductor: gives out the turns.
    """

    def __init__(
        self, world: World, stage: Stage, chooser: Chooser, seed: int, *, traced: bool = False
    ) -> None:
        self._world = world
        self._stage = stage
        self._seed = seed
        self._run_id = f"simulation-{seed}"
        self._cancelled = False
        simulation = world.simulation
        self._certain, drawn = split(simulation.faults)
        settings = Settings(
            stubs=world.stubs,
            certain=self._certain,
            drawn=drawn,
            lateness=simulation.lateness,
            max_turns=simulation.max_turns,
            traced=traced,
            pure=simulation.pure,
        )
        self.conductor = Conductor(stage, chooser, settings, self._run_id)
        self._workflow = self._cast()

    def _cast(self) -> Workflow[Any]:
        """The workflow to play: a copy of it whose runs are conducted."""
        workflow, clock = copy.copy(self._world.workflow), self._stage.clock
        options = attrs.evolve(
            workflow._launcher.options,
            conductor=self.conductor,
            random=_Jitter(self._seed),
            wall=lambda: clock.now,
        )
        workflow._launcher = attrs.evolve(workflow._launcher, options=options)
        return workflow

    # ---- playing -------------------------------------------------------------------------------

    async def play(self) -> Transcript:
        """Run from curtain to curtain, and tell what happened.

        Raises:
            TypeError: what the run is given does not fit the workflow.
            NoHandlerError: no step accepts what is to start it.
            SimulationError: the run does not even end when it is cancelled.
        """
        conductor = self.conductor
        conductor.open(anyio.get_cancelled_exc_class() is asyncio.CancelledError)
        result, error = None, None
        try:
            with _seeded_random(self._seed), anyio.CancelScope() as scope:
                conductor.end = scope.cancel
                result = await self._around()
            self._cancelled = scope.cancelled_caught
        except Exception as raised:
            if conductor.runner is None and isinstance(raised, (TypeError, NoHandlerError)):
                raise  # a mistake of who simulates; nothing has happened that could be told
            error = raised
        finally:
            leftover, broken = conductor.leftover, conductor.broken
            if leftover and not broken:
                await self._clear()
            conductor.close()
        if broken:
            raise SimulationError(
                f"even cancelling the simulation does not end it: {conductor.error}"
            ) from conductor.error
        if conductor.error is not None:
            conductor.error.__cause__ = error
            result, error = None, conductor.error
        return self._transcript(result, error, leftover)

    async def _around(self) -> Any:
        """Play inside what a run may need around it: a store, shared resources, a jumping clock."""
        store = self._world.store
        if store is None:
            return await self._with_resources(None)
        fails = [fault for fault in self._certain if isinstance(fault, StoreFails)]
        staged = StagedStore(store, fails, self.conductor.store_turn)
        if self._world.entered:
            return await self._with_resources(staged)
        self._world.entered.append(store)
        async with store:
            return await self._with_resources(staged)

    async def _with_resources(self, store: Store | None) -> Any:
        if not self._workflow.graph.openers:
            return await self._with_jumps(store)
        async with self._workflow:
            return await self._with_jumps(store)

    async def _with_jumps(self, store: Store | None) -> Any:
        jumps = [fault for fault in self._certain if isinstance(fault, ClockJump)]
        if not jumps:
            return await self._act(store)
        error: BaseException | None = None
        result: Any = None
        async with anyio.create_task_group() as group:
            for jump in jumps:
                group.start_soon(self._jump, jump, name="clock")
            try:
                result = await self._act(store)
            except Exception as raised:
                error = raised  # by itself, in no group
            group.cancel_scope.cancel()
        if error is not None:
            raise error
        return result

    async def _jump(self, fault: ClockJump) -> None:
        await anyio.sleep_until(fault.at)
        self._stage.clock.now += fault.seconds

    async def _act(self, store: Store | None) -> Any:
        """The run and what the outside does to it."""
        world, simulation = self._world, self._world.simulation
        run = self._workflow.start(
            first_event(self._workflow, simulation.start),
            run_id=self._run_id,
            store=store,
            durability=simulation.durability,
            resources=world.resources,
            input_handler=self._human(),
        )
        async with run:
            if simulation.script is not None:
                await self.conductor.conduct("script", _awaited(simulation.script(run)))
        return await run.result()

    async def _clear(self) -> None:
        """Get rid of tasks that the workflow has left behind."""
        self.conductor.abandon()
        for _ in range(_CHECKPOINTS_TO_CLEAR):
            await checkpoint()

    # ---- humans --------------------------------------------------------------------------------

    def _human(self) -> Callable[[InputRequestEvent], Awaitable[Any]] | None:
        answers = self._world.simulation.human or self._workflow._launcher.options.input_handler
        if answers is None:
            return None

        async def handle(request: InputRequestEvent) -> Any:
            faults = self.conductor.human_faults()
            for fault in faults:
                await anyio.sleep(fault.late)
            answer = answers(request)
            if inspect.isawaitable(answer):
                answer = await answer
            for fault in faults:
                answer = answer if fault.wrong is attrs.NOTHING else fault.wrong
            if any(fault.twice for fault in faults):
                self._answer_ahead(request, answer)
            return answer

        return handle

    def _answer_ahead(self, request: InputRequestEvent, answer: Any) -> None:
        """Answer before the answer that the handler is about to give."""
        assert self.conductor.runner is not None, "a request comes from a run"
        try:
            self.conductor.runner.requests.respond(request.request_id, answer)
        except UnknownRequestError:
            return  # withdrawn meanwhile

    # ---- the transcript ------------------------------------------------------------------------

    def _transcript(
        self, result: Any, error: BaseException | None, leftover: tuple[str, ...]
    ) -> Transcript:
        conductor = self.conductor
        choices = tuple(conductor.choices)
        return Transcript(
            workflow=self._workflow.name,
            seed=self._seed,
            status=self._status(error),
            result=result,
            error=error,
            schedule={
                number: choice.options[choice.chosen]
                for number, choice in enumerate(choices)
                if choice.chosen != choice.default
            },
            choices=choices,
            turns=tuple(conductor.turns),
            footprints=tuple(conductor.footprints),
            state={} if conductor.runner is None else dict(conductor.runner.machine.state),
            resources=self._world.resources,
            leftover=leftover,
            swallowed=tuple(conductor.swallowed),
            time=self._stage.clock.now,
            facts=tuple(conductor.facts),
        )

    def _status(self, error: BaseException | None) -> SimulationStatus:
        if self.conductor.error is not None:
            return "stuck"
        if error is None:
            return "cancelled" if self._cancelled else "completed"
        if isinstance(error, RunCancelledError):
            return "cancelled"
        return "suspended" if isinstance(error, RunSuspendedError) else "failed"


@contextmanager
def _seeded_random(seed: int) -> Generator[None, None, None]:
    """Seed the module ``random``, which the user's code may use, and give its state back."""
    before = random.getstate()
    random.seed(seed)
    try:
        yield
    finally:
        random.setstate(before)


class _Jitter:
    """Random numbers of a seed, seeded when the first is drawn: most runs want none."""

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._random: random.Random | None = None

    def __call__(self) -> float:
        if self._random is None:
            self._random = random.Random(f"jitter {self._seed}")
        return self._random.random()


async def _awaited(awaitable: Awaitable[object]) -> object:
    return await awaitable
