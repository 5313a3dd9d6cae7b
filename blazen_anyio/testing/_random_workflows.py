"""Whole random workflows, each with the one result that all of its runs must have.

A workflow is a chain of stages of several shapes (see :mod:`._shapes`). Each stage turns a number
into a number, whatever the order of its steps and however often an attempt has to be repeated. So
every run of it, simulated or real, stored or not, disturbed or not, has the same result; authors of
stores and of other edges of the engine can use that, too.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar, cast

import attrs

from .._events import Event, InputRequestEvent, StopEvent
from .._retry import Retry
from .._workflow import Workflow
from ._building import MOST_STAGES, Building, Choose, In, make_step
from ._shapes import SHAPES

if TYPE_CHECKING:
    from hypothesis.strategies import SearchStrategy

__all__ = ["RandomWorkflow", "random_workflow", "workflows"]

T = TypeVar("T")

_MOST_ATTEMPTS = 8


@attrs.frozen(kw_only=True)
class RandomWorkflow:
    """A workflow, how to run it, and what must come of it.

    Attributes:
        workflow: the workflow.
        start: what starts a run.
        result: what every run returns.
        shapes: the names of its stages.
        human: answers the requests of a run.
    """

    workflow: Workflow[Any] = attrs.field(repr=False)
    start: Event
    result: int
    shapes: tuple[str, ...]

    @staticmethod
    def human(request: InputRequestEvent) -> int:
        """Answer a request of any random workflow."""
        number: int = request.metadata["n"]
        return number + 1


def random_workflow(seed: int) -> RandomWorkflow:
    """Make the workflow of a seed, without Hypothesis.

    Its steps survive some injected faults: each may be tried several times.
    """
    return _build(random.Random(f"workflow {seed}").choice)


def workflows() -> SearchStrategy[RandomWorkflow]:
    """Draw whole random workflows.

    Example::

        @given(workflows())
        def test_a_store_of_mine(random):
            assert anyio.run(run_in_my_store, random) == random.result
    """
    from hypothesis import strategies as st

    @st.composite
    def drawn(draw: Callable[[SearchStrategy[Any]], Any]) -> RandomWorkflow:
        def choose(options: Sequence[T]) -> T:
            strategy: Any = st.sampled_from(options)
            return cast("T", draw(strategy))

        return _build(choose)

    return drawn()


def _build(choose: Choose) -> RandomWorkflow:
    count = choose(range(1, MOST_STAGES + 1))
    shapes = [choose(SHAPES) for _ in range(count)]
    building = Building(choose)
    number = first = choose(range(4))
    for place, shape in enumerate(shapes):
        number = shape(building, place, number)

    async def finish(ev: Any, ctx: Any) -> StopEvent:
        return StopEvent(result=ev.n)

    building.steps.append(make_step(finish, In.at(count), StopEvent))
    if choose((False, False, True)):
        building.steps.reverse()
    workflow = Workflow(
        "random",
        building.steps,
        retry=Retry(max_attempts=_MOST_ATTEMPTS, initial=choose((0.0, 0.5))),
        max_concurrency=choose((None, None, None, 1, 3)),
        lanes=choose((True, True, False)),
    )
    names = tuple(shape.__name__.strip("_") for shape in shapes)
    return RandomWorkflow(workflow=workflow, start=In.at(0)(first), result=number, shapes=names)
