"""``explore``: a workflow's orders, tried one by one and drawn, against what must always hold."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from typing import Any

from .._numbers import check_count
from .._workflow import Workflow
from ._exploring import Check, Exploration, Explorer
from ._faults import Fault, Faults
from ._performing import Stubs
from ._production import Answers, Resources, Script, Start
from ._simulation import Simulation
from ._virtual_time import Backend, Stage, run_on

__all__ = ["explore"]


def explore(
    workflow: Workflow[Any] | Callable[[], Workflow[Any]],
    start: Start,
    check: Check,
    *,
    max_runs: int = 1000,
    bound: int | None = 2,
    seed: int = 0,
    pure: Collection[str] = (),
    faults: Faults | Iterable[Fault] = (),
    steps: Stubs | Callable[[], Stubs] | None = None,
    resources: Resources | Callable[[], Resources] | None = None,
    human: Answers | None = None,
    script: Script | None = None,
    lateness: float = 1.0,
    max_turns: int = 10_000,
    backend: Backend = "asyncio",
) -> Exploration:
    """Run a workflow in many orders, and find one that fails a check.

    Up to half of the runs try the orders one by one, cheapest first: which of the steps that are
    ready goes on after another has had to stop is free; to interrupt one, to let time pass while
    somebody is ready, and a fault of ``Faults.any(...)`` cost 1 each, and a run may cost as much as
    ``bound``. The rest of the runs is drawn. A run in which everything waits for ever, or that
    leaves a task behind, fails whatever the check says.

    Args:
        workflow: the workflow, or a function that makes it; see :func:`simulate`.
        start: what starts a run.
        check: is given the transcript of each run; raises, or returns ``False``, if something does
            not hold that always must. Without result a run's ``transcript.error`` says why.
        max_runs: how many runs to make at most.
        bound: what a run that is not drawn may cost; ``None`` to try all orders there are, and draw
            none.
        seed: where to begin to draw.
        pure: the names of steps that touch nothing but their event and what they return. Orders
            that differ only in these are tried once.
        faults, steps, resources, human, script, lateness, max_turns, backend: as for
            :func:`simulate`.

    Returns:
        What was done.

    Raises:
        ExplorationError: a run fails. The message shows the shortest schedule that does, and the
            line that repeats it; it is raised from what the check has raised.
        SimulationError: a simulation can't be brought to an end.

    Example::

        explore(bank, Transfer(10), lambda transcript: transcript.state["balance"] == 0)
    """
    check_count("max_runs=", max_runs)
    if bound is not None:
        check_count("bound=", bound, least=0)
    simulation = Simulation(
        workflow=workflow,
        start=start,
        faults=faults if isinstance(faults, Faults) else tuple(faults),
        steps=steps,
        resources=resources,
        human=human,
        script=script,
        lateness=lateness,
        max_turns=max_turns,
        pure=frozenset(pure),
    )
    explorer = Explorer(simulation, check, seed)
    stage = Stage()
    return run_on(backend, stage, lambda: explorer.explore(stage, max_runs, bound))
