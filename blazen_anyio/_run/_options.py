"""What a run is started with besides its event."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, Literal, Protocol, get_args

import attrs

from .._events import InputRequestEvent

if TYPE_CHECKING:
    from .._context import Context
    from .._machine import Delivery, RawFact
    from .._observer import Observer
    from ._bodies import Body
    from ._runner import Runner

__all__ = ["Conductor", "Durability", "InputHandler", "RunOptions", "check_durability"]

Durability = Literal["sync", "async"]
"""``"sync"``: what a step emitted is not acted on before it is stored. ``"async"``: it is stored
soon and in order; a crash may repeat more and loses nothing that was acknowledged."""

InputHandler = Callable[[InputRequestEvent], Awaitable[Any] | Any]


class Conductor(Protocol):
    """Decides in which order the attempts of a run and of its child runs go on, for simulations."""

    def begin(self, runner: Runner) -> Callable[[RawFact], object]:
        """A run begins; return where its facts go."""
        ...

    async def attempt(
        self, runner: Runner, delivery: Delivery, context: Context | None, body: Body
    ) -> Any:
        """Run one attempt, in its lane, and return what the step returned."""
        ...

    async def turn(self, runner: Runner) -> None:
        """Wait until the run may carry out what is due."""
        ...


def check_durability(durability: object) -> None:
    """Check how durable a run is to be.

    Raises:
        ValueError: it is neither.
    """
    if durability not in get_args(Durability):
        raise ValueError(f"durability= is 'sync' or 'async', not {durability!r}")


def _random_number() -> float:
    import random  # only who tries again after a failure pays for it

    return random.random()


def _wall_clock() -> float:
    return time.time()


def _check_handler(instance: object, attribute: attrs.Attribute[Any], value: object) -> None:
    if value is not None and not callable(value):
        raise TypeError(f"input_handler takes an async function of the request, not {value!r}")


@attrs.frozen(kw_only=True, eq=False, repr=False)
class RunOptions:
    """What a run is started with besides its event.

    Attributes:
        input_handler: answers requests, each in a task of its own.
        history: how many facts to keep; 0 for none, ``None`` for all.
        random: numbers from [0, 1), for the jitter of retries.
        wall: tells the wall-clock time, by which due times are written down.
        conductor: decides in which order attempts go on; ``None`` leaves that to the event loop.
        observers: are told what the run does.
    """

    input_handler: InputHandler | None = attrs.field(default=None, validator=_check_handler)
    history: int | None = 1000
    random: Callable[[], float] = _random_number
    wall: Callable[[], float] = _wall_clock
    conductor: Conductor | None = None
    observers: tuple[Observer, ...] = ()
