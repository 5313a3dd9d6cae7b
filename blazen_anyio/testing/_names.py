"""Names: a stub or a fault of a step that there is not would make a test that tests nothing."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING, Any

from ._faults import Faults, StepFault, StoreFails, split

if TYPE_CHECKING:
    from .._workflow import Workflow
    from ._production import World

__all__ = ["check_names"]


def check_names(world: World) -> None:
    """Refuse what could never take effect in a simulation.

    The steps of a child, ``"child/step"``, are not known before it runs, and not looked for.

    Raises:
        ValueError: a stub, a fault or ``pure=`` names no step of the workflow, or a store is to
            fail where there is none.
    """
    simulation = world.simulation
    faults = _all_of(simulation.faults)
    if world.store is None and any(isinstance(fault, StoreFails) for fault in faults):
        raise ValueError("StoreFails needs a store, as in store=MemoryStore")
    struck = [fault.step for fault in faults if isinstance(fault, StepFault)]
    _check(world.workflow, "steps=", world.stubs)
    _check(world.workflow, "faults=", struck)
    _check(world.workflow, "pure=", simulation.pure)


def _all_of(faults: Faults | tuple[Any, ...]) -> tuple[Any, ...]:
    certain, drawn = split(faults)
    return (*certain, *drawn.faults)


def _check(workflow: Workflow[Any], parameter: str, names: Collection[str]) -> None:
    if not names:
        return
    known = [step.name for step in workflow.graph.steps]
    for name in names:
        if name.removeprefix(f"{workflow.name}/") not in known and (
            "/" not in name or name.startswith(f"{workflow.name}/")
        ):
            raise ValueError(
                f"{parameter} names no step of workflow {workflow.name!r}: {name!r}; "
                f"its steps are {', '.join(known)}, and a child's is called 'child/step'"
            )
