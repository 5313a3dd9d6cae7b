"""Simulations: a workflow's real steps on virtual time, in an order that is drawn from a seed.

A :class:`Simulation` says what is simulated; each :meth:`Simulation.run` is one run of it in the
event loop that is there, in a world made afresh. ``simulate``, the explorations and the sweeps are
built on it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, cast

import attrs

from .._numbers import check_count, check_seconds
from .._run import Durability
from .._store import Store
from .._workflow import Workflow
from ._checking import check_callable
from ._choosing import Chooser, Schedule, Scheduled, Seeded
from ._conductor import Conductor
from ._faults import Fault, Faults, settled
from ._names import check_names
from ._performing import Stubs
from ._production import Answers, Production, Resources, Script, Start, World
from ._transcript import Transcript
from ._virtual_time import Backend, Stage, run_on

__all__ = ["AtTurn", "Simulation", "simulate"]

AtTurn = Callable[[Conductor, int], object]
"""Called before each turn with its number, from 1."""


def _check_store(instance: object, attribute: object, store: Any) -> None:
    if store is not None and not callable(store):
        raise TypeError(f"store= takes what makes a store, such as MemoryStore, not {store!r}")


def _check_outside(instance: object, attribute: attrs.Attribute[Any], given: object) -> None:
    if given is not None:
        check_callable(f"{attribute.name}=", given)


def _check_lateness(instance: object, attribute: object, lateness: object) -> None:
    check_seconds("lateness=", lateness)


def _check_turns(instance: object, attribute: object, turns: object) -> None:
    check_count("max_turns=", turns)


def _check_schedule(schedule: object) -> None:
    given: Any = schedule
    if not isinstance(schedule, Mapping) or not all(
        isinstance(number, int) and isinstance(what, str) for number, what in given.items()
    ):
        raise TypeError(
            "schedule= takes what happens by the number of the choice point, as in "
            f"transcript.schedule, not {schedule!r}"
        )


@attrs.frozen(kw_only=True)
class Simulation:
    """What is simulated.

    Attributes:
        workflow: the workflow, or what makes it.
        start: what starts a run.
        faults: what goes wrong.
        steps: stubs by step, or what makes them.
        resources: what to use instead of resources, by opener, or what makes it.
        human: answers requests; by default the workflow's input handler does, or nobody.
        script: what the outside does, an async function of the run's handle.
        store: makes the store that keeps the run; ``None`` for nothing.
        durability: of a stored run.
        lateness: how long somebody who is ready may be made to wait at once, in seconds.
        max_turns: how many turns a run may take.
        pure: the names of steps that touch nothing; for explorations.
    """

    workflow: Workflow[Any] | Callable[[], Workflow[Any]]
    start: Start = None
    faults: Faults | tuple[Fault, ...] = attrs.field(default=(), converter=settled)
    steps: Stubs | Callable[[], Stubs] | None = None
    resources: Resources | Callable[[], Resources] | None = None
    human: Answers | None = attrs.field(default=None, validator=_check_outside)
    script: Script | None = attrs.field(default=None, validator=_check_outside)
    store: Callable[[], Store] | None = attrs.field(default=None, validator=_check_store)
    durability: Durability = "sync"
    lateness: float = attrs.field(default=1.0, validator=_check_lateness)
    max_turns: int = attrs.field(default=100_000, validator=_check_turns)
    pure: frozenset[str] = frozenset()

    def world(self) -> World:
        """Make what one run is played in.

        Raises:
            TypeError: there is no workflow, or stubs or fakes are no mapping.
            ValueError: a stub or a fault is of a step that there is not.
        """
        workflow: Any = _made(self.workflow)
        if not _is_workflow(workflow):
            raise TypeError(f"a simulation is of a Workflow, not of {workflow!r}")
        world = World(
            simulation=self,
            workflow=workflow,
            stubs=_made_mapping("steps=", self.steps),
            resources=_made_mapping("resources=", self.resources),
            store=_made(self.store),
        )
        check_names(world)
        return world

    async def run(
        self,
        stage: Stage,
        chooser: Chooser,
        *,
        seed: int,
        traced: bool = False,
        at_turn: AtTurn | None = None,
    ) -> Transcript:
        """Run once, and tell what happened.

        Args:
            stage: the hooks of the event loop that runs.
            chooser: decides at choice points.
            seed: what the jitter of retries and the run's id are drawn from.
            traced: whether to note every turn.
            at_turn: called before each turn.
        """
        stage.clock.now = 0.0
        production = Production(self.world(), stage, chooser, seed, traced=traced)
        conductor = production.conductor
        if at_turn is not None:
            conductor.at_turn = lambda number: at_turn(conductor, number)
        return await production.play()


def _is_workflow(thing: object) -> bool:
    return isinstance(thing, Workflow)


def _made(given: Any) -> Any:
    """What is given, or what the function that is given makes."""
    return given() if callable(given) else given


def _made_mapping(what: str, given: Any) -> Any:
    made = _made(given)
    if made is None:
        return {}
    if not isinstance(made, Mapping):
        raise TypeError(f"{what} takes a mapping, or what makes one, not {made!r}")
    return cast("object", made)


def simulate(
    workflow: Workflow[Any] | Callable[[], Workflow[Any]],
    start: Start = None,
    *,
    seed: int = 0,
    schedule: Schedule | None = None,
    faults: Faults | Iterable[Fault] = (),
    steps: Stubs | Callable[[], Stubs] | None = None,
    resources: Resources | Callable[[], Resources] | None = None,
    human: Answers | None = None,
    script: Script | None = None,
    store: Callable[[], Store] | None = None,
    lateness: float = 1.0,
    max_turns: int = 100_000,
    backend: Backend = "asyncio",
) -> Transcript:
    """Run a workflow once on virtual time, in an order that is drawn from a seed.

    The bodies of steps are the real ones. They must not talk to the outside: replace what does by
    stubs or resources. A plain function, for plain tests; it brings an event loop of its own.

    Args:
        workflow: the workflow; or a function that makes it, where its steps share objects that
            each run needs afresh. The same goes for ``steps`` and ``resources``.
        start: what starts the run: an event, or the fields of the start event as a mapping.
        seed: what the order, the faults and the jitter of retries are drawn from.
        schedule: decides the order and the faults instead of the seed, as in
            ``transcript.schedule`` or in what an exploration prints.
        faults: a list of those that strike for certain, or ``Faults.any(...)``.
        steps: by the name of a step, what to do instead of its body: a function of its event (and
            of ``ctx``), an exception to raise, or anything else to return. A child's step is called
            ``"child/step"``.
        resources: what to use instead of resources, as in ``workflow.run``.
        human: answers requests: a function of the request.
        script: what the outside does: an async function of the run's handle.
        store: makes a store that keeps the run, for instance ``MemoryStore``.
        lateness: how long an attempt that could go on may be made to wait at once, in virtual
            seconds; 0 for a world in which nothing is late.
        max_turns: how many turns the run may take.
        backend: ``"asyncio"`` or ``"trio"``; the transcript is the same.

    Returns:
        What happened, whether the run completed or not.

    Raises:
        TypeError: ``start`` or ``resources`` do not fit the workflow, ``faults`` are none, or
            another argument is not of its kind.
        NoHandlerError: no step accepts ``start``.
        ValueError: there is no such backend, a number is out of range, or a stub or a fault is of a
            step that there is not.
        RuntimeError: an event loop runs already in this thread.
        SimulationError: the simulation can't be brought to an end.

    Example::

        transcript = simulate(shop, Order(["tea"]), seed=7, steps={"price": Priced("tea", 3)})
        assert transcript.result == Invoice(total=3)
    """
    simulation = Simulation(
        workflow=workflow,
        start=start,
        faults=faults,
        steps=steps,
        resources=resources,
        human=human,
        script=script,
        store=store,
        lateness=lateness,
        max_turns=max_turns,
    )
    if schedule is not None:
        _check_schedule(schedule)
    chooser = Seeded(seed) if schedule is None else Scheduled(schedule)
    stage = Stage()
    return run_on(backend, stage, lambda: simulation.run(stage, chooser, seed=seed, traced=True))
