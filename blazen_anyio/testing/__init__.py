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
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ._cancelling import cancel_sweep
    from ._checking import Check
    from ._choosing import Choice, Schedule
    from ._crashing import crash_sweep
    from ._driver import Invocation
    from ._driving import DrivenRun, drive
    from ._errors import (
        EndlessError,
        ExplorationError,
        ReplayError,
        SimulationError,
        StuckError,
        SweepError,
    )
    from ._event_strategies import events, plain_values
    from ._exploring import Exploration, explore
    from ._faults import (
        ClockJump,
        Duplicate,
        Fault,
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
    from ._sweeping import Sweep
    from ._transcript import SimulatedFact, Transcript, Turn
    from ._workflow_strategies import Move, Route, returns, routes, starts

_HOMES = {
    "_cancelling": "cancel_sweep",
    "_checking": "Check",
    "_choosing": "Choice Schedule",
    "_crashing": "crash_sweep",
    "_driver": "Invocation",
    "_driving": "DrivenRun drive",
    "_errors": "EndlessError ExplorationError ReplayError SimulationError StuckError SweepError",
    "_event_strategies": "events plain_values",
    "_exploring": "Exploration explore",
    "_faults": "ClockJump Duplicate Fault Faults Hang Human InjectedError Late Raise Slow "
    "StoreFails",
    "_random_workflows": "RandomWorkflow random_workflow workflows",
    "_recordings": "record replay",
    "_simulation": "simulate",
    "_state_machine": "WorkflowStateMachine",
    "_sweeping": "Sweep",
    "_transcript": "SimulatedFact Transcript Turn",
    "_workflow_strategies": "Move Route returns routes starts",
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names.split()}

__all__ = [
    "Check",
    "Choice",
    "ClockJump",
    "DrivenRun",
    "Duplicate",
    "EndlessError",
    "Exploration",
    "ExplorationError",
    "Fault",
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
    "plain_values",
    "random_workflow",
    "record",
    "replay",
    "returns",
    "routes",
    "simulate",
    "starts",
    "workflows",
]


if not TYPE_CHECKING:  # pragma: no branch  # type checkers shall notice a name that is not there

    def __getattr__(name: str) -> object:
        """Import what is asked for, and nothing else."""
        home = _HOME_OF.get(name)
        if home is None:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        globals()[name] = value = getattr(importlib.import_module(f".{home}", __name__), name)
        return value

    def __dir__() -> list[str]:
        return __all__
