"""Small workflows for the tests of the graph, and what becomes of them."""

from typing import Any

from blazen_anyio._context import Context
from blazen_anyio._events import Event, StartEvent, StopEvent
from blazen_anyio._exceptions import DefinitionError
from blazen_anyio._graph import Graph, build
from blazen_anyio._steps import StepFunction, step


class A(Event):
    pass


class B(Event):
    pass


class C(Event):
    pass


class D(Event):
    pass


class Work(Event):
    pass


class Done(Event):
    pass


class ChildOfA(A):
    pass


class Ask(StartEvent):
    pass


class Answer(StopEvent):
    pass


AnyStep = StepFunction[..., Any]


def make(name: str, takes: Any, gives: Any, *, context: bool = False, **options: Any) -> AnyStep:
    """Make a step from what it takes and gives; a tuple of two takes a pair."""
    pair = isinstance(takes, tuple)

    if pair:

        async def made(a: Any, b: Any) -> None: ...

        made.__annotations__.update(a=takes[0], b=takes[1])
    elif context:

        async def made(ev: Any, ctx: Context) -> None: ...  # type: ignore[misc]

        made.__annotations__["ctx"] = Context
    else:

        async def made(ev: Any) -> None: ...  # type: ignore[misc]

    if not pair:
        made.__annotations__["ev"] = takes
    made.__annotations__["return"] = gives
    return step(name=name, **options)(made)


def problems(*steps: Any, **options: Any) -> tuple[str, ...]:
    """Return the problems of a workflow, none if it is sound."""
    try:
        build("w", steps, **options)
    except DefinitionError as error:
        assert error.subject == "workflow 'w'"
        return error.problems
    return ()


def problem(*steps: Any, **options: Any) -> str:
    """Return the only problem of a workflow."""
    found = problems(*steps, **options)
    assert len(found) == 1, found
    return found[0]


def gathers(graph: Graph) -> dict[str, tuple[str, ...]]:
    """Return which gather steps are bound to each fan-out, by name."""
    return {
        planned.name: tuple(graph.plan.steps[index].name for index in planned.gathers)
        for planned in graph.plan.steps
        if planned.gathers
    }


start_stop = make("start_stop", StartEvent, StopEvent)
split = make("split", StartEvent, list[Work])
work = make("work", Work, Done)
reduce = make("reduce", list[Done], StopEvent)
