"""Options: the keyword arguments of ``@step``, and of a workflow where they mean the same.

Data first, checks second: options hold what was written, and the functions below say what is wrong
with it. A check returns the problem, or ``None``; it never raises, so that all can be reported.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Literal, cast, get_args

import attrs

from ._annotations import is_event
from ._events import DynamicEvent, Event, StepFailed, StopEvent
from ._functions import Kind
from ._machine.plan import Mode
from ._markers import StepReference
from ._retry import Retry
from ._signatures import Arguments

__all__ = [
    "Delivery",
    "EventKind",
    "StepOptions",
    "kinds_of",
    "problem_of_count",
    "problem_of_name",
    "problem_of_retry",
    "problem_of_seconds",
    "problems_of_fit",
    "problems_of_options",
]

Delivery = Literal["at_least_once", "at_most_once"]
"""How often an invocation may be begun, should the process die in it."""

EventKind = type[Event] | str
"""An event class, or the type name of a :class:`DynamicEvent`."""

_LONGEST_NAME = 200


@attrs.frozen(kw_only=True, repr=False)
class StepOptions:
    """What ``@step(...)`` was given; see :func:`step` for what each means."""

    name: str | None = None
    accepts: Sequence[EventKind] | None = None
    emits: Sequence[EventKind] | None = None
    waits: Sequence[type[Event]] = ()
    for_steps: Sequence[StepReference] | None = None
    max_concurrency: int | None = None
    max_pending: int | None = None
    max_recoveries: int | None = None
    timeout: float | None = None
    retry: Retry | None = None
    delivery: Delivery = "at_least_once"
    cooperative: bool = False
    own_task: bool = False


def problems_of_options(name: str, options: StepOptions) -> list[str]:
    """Find what is wrong with the options by themselves, whatever the signature is."""
    checks: Iterable[str | None] = (
        problem_of_name(name),
        problem_of_count("max_concurrency", options.max_concurrency),
        problem_of_count("max_pending", options.max_pending),
        problem_of_count("max_recoveries", options.max_recoveries),
        problem_of_seconds("timeout", options.timeout),
        problem_of_retry(options.retry),
        _problem_of_kinds("accepts", options.accepts, strings=True),
        _problem_of_kinds("emits", options.emits, strings=True),
        _problem_of_kinds("waits", options.waits, strings=False),
        _problem_of_references("for_steps", options.for_steps),
        _problem_of_delivery(options),
        _problem_of_flag("cooperative", options.cooperative),
        _problem_of_flag("own_task", options.own_task),
    )
    return [problem for problem in checks if problem is not None]


def problems_of_fit(kind: Kind, arguments: Arguments, options: StepOptions) -> list[str]:
    """Find the options that do not go with the signature."""
    problems: list[str] = []
    if kind == "sync" and options.timeout is not None and not options.cooperative:
        problems.append(
            "timeout= on a `def` step: a thread can't be stopped; write `async def`, or call "
            "anyio.from_thread.check_cancelled() in it regularly and say cooperative=True"
        )
    if kind != "sync" and options.cooperative is True:
        problems.append("cooperative= is for `def` steps; an `async def` can be cancelled as it is")
    given = _classes(options.accepts)
    handles = any(issubclass(each, StepFailed) for each in (*arguments.accepts, *given))
    if not handles and (options.for_steps is not None or options.max_recoveries is not None):
        problems.append(
            "for_steps= and max_recoveries= are for steps that accept StepFailed; this one does not"
        )
    if any(issubclass(emitted, StepFailed) for emitted in _classes(options.emits)):
        problems.append("emits= names StepFailed, which only the engine makes")
    return problems + _problems_of_accepts(given, arguments, options)


def _problems_of_accepts(
    given: list[type[Event]], arguments: Arguments, options: StepOptions
) -> list[str]:
    """Compare ``accepts=`` with the annotation: each has to cover the other."""
    if options.accepts is None or not _is_list(options.accepts):
        return []
    if arguments.mode is Mode.PAIR:
        return ["accepts= does not go with a pair; the annotations say it"]
    problems = ["accepts= is empty; leave it out or name what it takes"] * (not options.accepts)
    taken = list(given)
    if any(isinstance(kind, str) for kind in options.accepts):
        taken.append(DynamicEvent)
    annotated = arguments.accepts or (Event,)
    for kind in taken:
        if issubclass(kind, StopEvent):
            problems.append(f"accepts= names {kind.__qualname__}, but a StopEvent ends the run")
        elif not issubclass(kind, annotated):
            names = " | ".join(each.__qualname__ for each in annotated)
            problems.append(
                f"accepts= names {kind.__qualname__}, but the parameter is annotated with {names}"
            )
    problems += [
        f"accepts= leaves out {each.__qualname__}, with which the parameter is annotated"
        for each in annotated
        if options.accepts and not any(issubclass(kind, each) for kind in taken)
    ]
    return problems


def _classes(kinds: Sequence[EventKind] | None) -> list[type[Event]]:
    return [kind for kind in kinds or () if is_event(kind)] if _is_list(kinds) else []


def kinds_of(kinds: Iterable[EventKind]) -> tuple[tuple[type[Event], ...], tuple[str, ...]]:
    """Split event classes from the names of dynamic types."""
    both = tuple(dict.fromkeys(kinds))
    classes = tuple(kind for kind in both if not isinstance(kind, str))
    return classes, tuple(kind for kind in both if isinstance(kind, str))


def problem_of_name(name: object) -> str | None:
    """Check the name of a step or of a workflow."""
    if not isinstance(name, str):
        return f"its name is a string, not {name!r}"
    if not name.isprintable() or not name.strip() or name != name.strip():
        return f"the name {name!r} is empty, has spaces around it, or can't be printed"
    if len(name) > _LONGEST_NAME:
        return f"its name has {len(name)} characters; {_LONGEST_NAME} is the most"
    return None


def problem_of_count(option: str, value: object, *, optional: bool = True) -> str | None:
    """Check an option that takes a whole number from 1, or ``None`` if it is optional."""
    if value is None and optional:
        return None
    if isinstance(value, int) and value is not True and value >= 1:
        return None
    none = ", or None for no limit" if optional else ""
    return f"{option}= takes a whole number from 1{none}, not {value!r}"


def problem_of_seconds(option: str, value: object) -> str | None:
    """Check an option that takes seconds, or ``None``."""
    if value is None:
        return None
    if isinstance(value, (int, float)) and value is not True and 0 < value < math.inf:
        return None
    return f"{option}= takes a number of seconds above 0, or None for no limit, not {value!r}"


def problem_of_retry(value: object) -> str | None:
    """Check an option that takes a retry policy, or ``None``."""
    if value is None or isinstance(value, Retry):
        return None
    return f"retry= takes a policy such as Retry(max_attempts=3), not {value!r}"


def _problem_of_delivery(options: StepOptions) -> str | None:
    if options.delivery not in get_args(Delivery):
        return f"delivery= is 'at_least_once' or 'at_most_once', not {options.delivery!r}"
    if options.delivery == "at_most_once" and (options.retry is not None or options.waits):
        return (
            "delivery='at_most_once' does not go with retry= or waits=: a retry, or a resume after "
            "a wait, begins the step again"
        )
    return None


def _is_list(value: object) -> bool:
    return isinstance(value, (Sequence, set, frozenset)) and not isinstance(value, (str, bytes))


def _problem_of_kinds(option: str, value: object, *, strings: bool) -> str | None:
    if value is None and strings:
        return None
    what = "event classes and names of dynamic types" if strings else "event classes"
    if not _is_list(value):
        return f"{option}= takes a list of {what}, not {value!r}"
    for kind in cast("Iterable[object]", value):
        if not (is_event(kind) or (strings and isinstance(kind, str) and kind)):
            return f"{option}= takes {what}, not {kind!r}"
    return None


def _problem_of_references(option: str, value: object) -> str | None:
    if value is None:
        return None
    if not _is_list(value) or not value:
        return f"{option}= takes a list of steps or of their names, not {value!r}"
    for reference in cast("Iterable[object]", value):
        if not isinstance(reference, str) and not callable(reference):
            return f"{option}= takes steps or their names, not {reference!r}"
    return None


def _problem_of_flag(option: str, value: object) -> str | None:
    return None if isinstance(value, bool) else f"{option}= is True or False, not {value!r}"
