"""What random workflows are built with: their event types, and steps whose types are drawn.

A random workflow is a chain of stages (see :mod:`._shapes`). Each stage has event types of its own,
all of which carry one number.
"""

from __future__ import annotations

import types
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Annotated, Any, Protocol, TypeVar, cast

import anyio
import attrs

from .._context import Context
from .._events import Event, StartEvent, StopEvent
from .._steps import StepFunction, step
from ._faults import InjectedError

__all__ = [
    "MOST_STAGES",
    "Answer",
    "Ask",
    "Building",
    "Choose",
    "Done",
    "In",
    "Item",
    "Left",
    "Numbered",
    "Part",
    "PartDone",
    "Ping",
    "Right",
    "make_step",
    "many",
    "marked",
    "stream",
]

T = TypeVar("T")

MOST_STAGES = 3
"""How many stages a random workflow has at most."""


class Choose(Protocol):
    """Chooses one of several things."""

    def __call__(self, options: Sequence[T], /) -> T: ...


class Numbered(Event, event_type="blazen::testing::Numbered"):
    """An event that carries a number."""

    n: int = 0


class _Family:
    """One event class for each stage."""

    def __init__(self, name: str) -> None:
        self._kinds = [self._make(f"{name}{place}") for place in range(MOST_STAGES + 1)]

    @staticmethod
    def _make(name: str) -> type[Numbered]:
        options = {"event_type": f"blazen::testing::{name}"}
        made = types.new_class(
            name, (Numbered,), options, lambda body: body.update(__module__=__name__)
        )
        return cast("type[Numbered]", made)

    def at(self, place: int) -> type[Numbered]:
        """The class of a stage."""
        return self._kinds[place]


In = _Family("In")
Item = _Family("Item")
Done = _Family("Done")
Part = _Family("Part")
PartDone = _Family("PartDone")
Left = _Family("Left")
Right = _Family("Right")
Ping = _Family("Ping")


class Ask(StartEvent, event_type="blazen::testing::Ask"):
    """Starts a child run."""

    n: int


class Answer(StopEvent, event_type="blazen::testing::Answer"):
    """Ends a child run."""

    n: int


@attrs.define
class Building:
    """A workflow under way.

    Attributes:
        choose: chooses one of several things.
        steps: the steps so far.
    """

    choose: Choose
    steps: list[StepFunction[..., Any]] = attrs.field(factory=list[StepFunction[..., Any]])

    def add(self, body: Callable[..., Any], accepts: Any, returns: Any, **options: Any) -> None:
        """Add a step of a body that takes an event and a context."""
        self.steps.append(make_step(body, accepts, returns, **options))

    def options(self) -> dict[str, Any]:
        """Draw the options of an ordinary step."""
        return {
            "max_concurrency": self.choose((None, None, 1, 2)),
            "timeout": self.choose((None, 1000.0)),
        }

    def pace(self) -> Callable[[Context], Any]:
        """Draw how an attempt spends its time, and how often it fails before it succeeds."""
        seconds = self.choose((None, 0.0, 1.0, 2.0))
        failures = self.choose((0, 0, 0, 1))

        async def spend(ctx: Context) -> None:
            if seconds is not None:
                await anyio.sleep(seconds)
            if ctx.attempt <= failures:
                raise InjectedError("the workflow's own")

        return spend


def make_step(
    body: Callable[..., Any], accepts: Any, returns: Any, **options: Any
) -> StepFunction[..., Any]:
    """Make a step whose types are known only now."""
    body.__annotations__ = {"ev": accepts, "ctx": Context, "return": returns}
    return step(body, **options)


def many(kind: type[Numbered]) -> Any:
    """The type of a list of events."""
    return list[kind]  # type: ignore[valid-type]


def marked(kind: type[Numbered], marker: object) -> Any:
    """The type of a list of events that a ``Gather`` or ``Batch`` says more about."""
    return Annotated[list[kind], marker]  # type: ignore[valid-type]


def stream(kind: type[Numbered]) -> Any:
    """The type of a generator of events."""
    return AsyncIterator[kind]  # type: ignore[valid-type]
