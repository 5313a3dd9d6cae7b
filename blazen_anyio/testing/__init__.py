"""The testing kit: test the routing and timing of a workflow the way databases are tested.

On virtual time, over thousands of orders, with faults, reproducibly, in plain synchronous tests::

    transcript = simulate(shop, Order(["tea"]), seed=7)          # one run
    explore(shop, Order(["tea"]), check)                         # many orders, shortest failure
    cancel_sweep(shop, Order(["tea"]))                           # cancelled at every turn
    crash_sweep(shop, Order(["tea"]))                            # crashed at every turn
    run = drive(shop, Order(["tea"]))                            # by hand, without event loop

Strategies for Hypothesis are made from events and workflows, real and simulated runs are recorded
and replayed, and a pytest plugin brings fixtures and options. Nothing is imported before it is
used: the parts for Hypothesis need the extra ``testing``.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ._choosing import Schedule
    from ._crashing import crash_sweep
    from ._driving import DrivenRun, Invocation, drive
    from ._errors import (
        EndlessError,
        ExplorationError,
        ReplayError,
        SimulationError,
        StuckError,
        SweepError,
    )
    from ._explore import explore
    from ._exploring import Exploration
    from ._faults import (
        ClockJump,
        Duplicate,
        Faults,
        Hang,
        Human,
        InjectedError,
        Late,
        Raise,
        Slow,
        StoreFails,
    )
    from ._random_workflows import RandomWorkflow, random_workflow, workflows
    from ._recordings import record, replay
    from ._simulation import simulate
    from ._state_machine import WorkflowStateMachine
    from ._strategies import Move, Route, events, outcomes, plain_values, routes, starts
    from ._sweeping import Sweep, cancel_sweep
    from ._transcript import SimulatedFact, Transcript, Turn

_HOMES = {
    "_choosing": "Schedule",
    "_crashing": "crash_sweep",
    "_driving": "DrivenRun Invocation drive",
    "_errors": ("EndlessError ExplorationError ReplayError SimulationError StuckError SweepError"),
    "_explore": "explore",
    "_exploring": "Exploration",
    "_faults": ("ClockJump Duplicate Faults Hang Human InjectedError Late Raise Slow StoreFails"),
    "_random_workflows": "RandomWorkflow random_workflow workflows",
    "_recordings": "record replay",
    "_simulation": "simulate",
    "_state_machine": "WorkflowStateMachine",
    "_strategies": "Move Route events outcomes plain_values routes starts",
    "_sweeping": "Sweep cancel_sweep",
    "_transcript": "SimulatedFact Transcript Turn",
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names.split()}

__all__ = [
    "ClockJump",
    "DrivenRun",
    "Duplicate",
    "EndlessError",
    "Exploration",
    "ExplorationError",
    "Faults",
    "Hang",
    "Human",
    "InjectedError",
    "Invocation",
    "Late",
    "Move",
    "Raise",
    "RandomWorkflow",
    "ReplayError",
    "Route",
    "Schedule",
    "SimulatedFact",
    "SimulationError",
    "Slow",
    "StoreFails",
    "StuckError",
    "Sweep",
    "SweepError",
    "Transcript",
    "Turn",
    "WorkflowStateMachine",
    "cancel_sweep",
    "crash_sweep",
    "drive",
    "events",
    "explore",
    "outcomes",
    "plain_values",
    "random_workflow",
    "record",
    "replay",
    "routes",
    "simulate",
    "starts",
    "workflows",
]


def __getattr__(name: str) -> Any:
    """Import what is asked for, and nothing else."""
    home = _HOME_OF.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f".{home}", __name__), name)
