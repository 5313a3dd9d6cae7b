"""What is given by hand for a step or for the outside is what the engine would take from them.

What no step of the kind could do, and what the engine would refuse, is refused before anything has
changed: else a test by hand would pass with what fails in production.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from .._events import Event, InputRequestEvent
from .._exceptions import DefinitionError
from .._machine import StepPlan
from .._numbers import check_seconds
from .._run import Body
from .._run._bodies import check_returned

__all__ = [
    "check_context",
    "check_error",
    "check_event",
    "check_returns",
    "check_timeout",
    "check_waits",
    "fanned_out",
    "request_of",
    "sent",
]


def check_event(event: object, what: str) -> None:
    """Check an event.

    Raises:
        TypeError: it is none.
    """
    if not isinstance(event, Event):
        raise TypeError(f"{what} takes an event, not {event!r}")


def check_returns(step: StepPlan, returned: object) -> None:
    """Check what a step is to return.

    Raises:
        TypeError: the engine would not take it, or the step is a generator, which returns nothing.
    """
    if returned is None:
        return
    if step.generates:
        raise TypeError(f"step {step.name!r} is a generator and returns nothing; emit() its yields")
    if not isinstance(returned, Event):
        check_returned(step.name, returned)


def check_context(body: Body, what: str) -> None:
    """Check that a step takes a context, without which it can only return.

    Raises:
        TypeError: it takes none.
    """
    if not body.wants_context:
        raise TypeError(f"step {body.name!r} takes no context, without which it can't {what}")


def check_waits(step: StepPlan, kind: object) -> None:
    """Check that a step has declared what it waits for.

    Raises:
        TypeError: it is no class of events.
        DefinitionError: it is not declared.
    """
    if not isinstance(kind, type) or not issubclass(kind, Event):
        raise TypeError(f"wait takes a class of events, not {kind!r}")
    if not any(issubclass(kind, declared) for declared in step.waits):
        name = kind.__qualname__
        problem = f"waits for {name}; declare it: @step(waits=[{name}])"
        raise DefinitionError(f"step {step.name!r}", [problem])


def check_timeout(timeout: float | None) -> None:
    """Check a number of seconds, or none.

    Raises:
        TypeError: it is no number.
        ValueError: it is negative or not finite.
    """
    if timeout is not None:
        check_seconds("timeout", timeout)


def check_error(error: object) -> BaseException:
    """The exception that an exception or its class is.

    Raises:
        TypeError: it is neither.
    """
    raised: Any = error() if isinstance(error, type) else error
    if not isinstance(raised, BaseException):
        raise TypeError(f"fail takes an exception or its class, not {error!r}")
    return raised


def sent(sends: Iterable[object]) -> list[tuple[Event | list[Event], float]]:
    """Events that are sent, each with its delay.

    Raises:
        TypeError: something among them is neither an event nor a pair of one and seconds.
        ValueError: a delay is negative or not finite.
    """
    pairs: list[tuple[Event | list[Event], float]] = []
    for each in sends:
        given: Any = each
        pair: Any = given if isinstance(each, tuple) else (given, 0.0)
        if len(pair) != 2 or not isinstance(pair[0], Event):
            raise TypeError(f"sends= takes events, and pairs of an event and seconds, not {each!r}")
        check_seconds("delay", pair[1])
        pairs.append(pair)
    return pairs


def fanned_out(fan_outs: Iterable[Iterable[object]]) -> list[tuple[Event | list[Event], float]]:
    """Lists of events that are fanned out.

    Raises:
        TypeError: something in one of them is no event.
    """
    pairs: list[tuple[Event | list[Event], float]] = []
    for given in fan_outs:
        events: list[Any] = list(given)
        for event in events:
            check_event(event, "each list of fan_outs=")
        pairs.append((events, 0.0))
    return pairs


def request_of(prompt: object) -> InputRequestEvent:
    """The request that a question or a request is.

    Raises:
        TypeError: it is neither.
    """
    if isinstance(prompt, InputRequestEvent):
        return prompt
    if not isinstance(prompt, str):
        raise TypeError(f"ask takes a question or an InputRequestEvent, not {prompt!r}")
    return InputRequestEvent(prompt)
