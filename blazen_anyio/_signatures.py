"""Signatures: what the parameters of a step say.

Nothing in a signature is guessed: each parameter is an event, the context, a resource, or has a
default and is left alone; everything else is a problem. All problems are found before any is
reported, so the readers below note them in a list and go on.
"""

from __future__ import annotations

import inspect
import typing
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import attrs

from ._annotations import (
    UnreadableAnnotationError,
    describe,
    evaluate,
    is_event,
    look_through,
    members,
    signature_of,
)
from ._context import Context
from ._events import Event, StepFailed, StopEvent
from ._machine.plan import Mode
from ._markers import Batch, Gather, Resource

__all__ = ["Arguments", "Parameters", "read_arguments"]

Scope = tuple[dict[str, Any], dict[str, Any]]


@attrs.frozen(kw_only=True, eq=False, repr=False)
class Parameters:
    """The names of the parameters that the engine fills.

    Attributes:
        events: the event parameter, or the two of a pair.
        context: the context parameter, if there is one.
        resources: the resource parameters and what opens them.
        positional: those that can be passed by position, in order; the others go by keyword.
    """

    events: tuple[str, ...]
    context: str | None = None
    resources: Mapping[str, Resource] = attrs.field(factory=dict[str, Resource])
    positional: tuple[str, ...] = ()


@attrs.frozen(kw_only=True, eq=False, repr=False)
class _EventParameter:
    name: str
    accepts: tuple[type[Event], ...] = ()
    many: bool = False
    gather: Gather | None = None
    batch: Batch | None = None


@attrs.define(eq=False, repr=False)
class Arguments:
    """What has been found about the parameters of one step, problems included."""

    problems: list[str] = attrs.field(factory=list[str])
    events: list[_EventParameter] = attrs.field(factory=list[_EventParameter])
    contexts: list[str] = attrs.field(factory=list[str])
    resources: dict[str, Resource] = attrs.field(factory=dict[str, Resource])
    positional: list[str] = attrs.field(factory=list[str])
    keywords_only: bool = False

    @property
    def mode(self) -> Mode:
        """How the step takes its events."""
        if len(self.events) == 2:
            return Mode.PAIR
        if not any(event.many for event in self.events):
            return Mode.EACH
        return Mode.BATCH if self.events[0].batch else Mode.GATHER

    @property
    def accepts(self) -> tuple[type[Event], ...]:
        """The accepted classes; for a pair one each, in order."""
        return tuple(kind for event in self.events for kind in event.accepts)

    @property
    def parameters(self) -> Parameters:
        """The names, for who calls the step."""
        return Parameters(
            events=tuple(event.name for event in self.events),
            context=self.contexts[0] if self.contexts else None,
            resources=self.resources,
            positional=tuple(self.positional),
        )


def read_arguments(
    fn: Callable[..., object], scope: Scope, *, is_method: bool, accepts_given: bool
) -> Arguments:
    """Read what a step takes.

    Args:
        fn: the function, not bound.
        scope: where its annotations have a meaning.
        is_method: whether its first parameter is the instance.
        accepts_given: whether ``accepts=`` says what the event parameter takes, so that it may go
            without an annotation.

    Raises:
        UnresolvedAnnotationError: an annotation uses a name that does not exist yet.
    """
    found = Arguments()
    parameters = list(signature_of(fn).parameters.values())
    for parameter in parameters[1:] if is_method else parameters:
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            continue
        filled = _read_parameter(parameter, scope, accepts_given, found)
        found.keywords_only |= not filled or parameter.kind is parameter.KEYWORD_ONLY
        if not found.keywords_only:
            found.positional.append(parameter.name)
    _check_together(found)
    return found


def _read_parameter(
    parameter: inspect.Parameter, scope: Scope, accepts_given: bool, found: Arguments
) -> bool:
    """Note what the engine passes for a parameter; say whether it passes anything."""
    if parameter.annotation is parameter.empty:
        return _read_bare(parameter, accepts_given, found)
    try:
        annotation = evaluate(parameter.annotation, scope)
    except UnreadableAnnotationError as error:
        found.problems.append(f"the annotation of {parameter.name!r} can't be read ({error})")
        return False
    inner, markers = look_through(annotation)
    resource = next((marker for marker in markers if isinstance(marker, Resource)), None)
    if resource is not None:
        found.resources[parameter.name] = resource
    elif _is_context(inner):
        found.contexts.append(parameter.name)
    elif not _read_event(parameter, inner, markers, found):
        return _leave_alone(parameter, inner, found)
    return True


def _read_bare(parameter: inspect.Parameter, accepts_given: bool, found: Arguments) -> bool:
    if parameter.default is not parameter.empty:
        return _leave_alone(parameter, None, found)
    if accepts_given:
        found.events.append(_EventParameter(name=parameter.name))
        return True
    found.problems.append(
        f"parameter {parameter.name!r} has no annotation; write `{parameter.name}: SomeEvent`, "
        f"`{parameter.name}: Context`, or give it a default"
    )
    return False


def _leave_alone(parameter: inspect.Parameter, annotation: object, found: Arguments) -> bool:
    name = parameter.name
    if parameter.default is parameter.empty:
        found.problems.append(
            f"parameter {name!r} is annotated with {describe(annotation)}, which is neither an "
            f"event, nor `Context`, nor a resource; write `{name}: SomeEvent`, "
            f"`{name}: list[SomeEvent]` for a gather, `{name}: Annotated[..., Resource(opener)]`, "
            "or give it a default"
        )
    elif parameter.kind is parameter.POSITIONAL_ONLY:
        found.problems.append(
            f"parameter {name!r} has a default and can only be passed by position; drop the `/`"
        )
    return False


def _is_context(annotation: object) -> bool:
    kinds = [kind for kind in members(annotation) if kind is not type(None)]
    return len(kinds) == 1 and isinstance(kinds[0], type) and issubclass(kinds[0], Context)


def _read_event(
    parameter: inspect.Parameter, inner: object, markers: Sequence[object], found: Arguments
) -> bool:
    """Note an event parameter; say whether it is one."""
    many = typing.get_origin(inner) is list
    kinds = list(members(typing.get_args(inner)[0] if many else inner))
    gathers = [marker for marker in markers if isinstance(marker, Gather)]
    batches = [marker for marker in markers if isinstance(marker, Batch)]
    if not (gathers or batches or any(map(is_event, kinds))):
        return False
    found.problems += _problems_of_event(parameter, kinds)
    found.problems += _problems_of_markers(parameter.name, len(gathers), len(batches), many)
    found.events.append(
        _EventParameter(
            name=parameter.name,
            accepts=tuple(kind for kind in kinds if is_event(kind)),
            many=many,
            gather=gathers[0] if gathers else None,
            batch=batches[0] if batches else None,
        )
    )
    return True


def _problems_of_event(parameter: inspect.Parameter, kinds: Sequence[object]) -> list[str]:
    problems: list[str] = []
    name = parameter.name
    if parameter.default is not parameter.empty:
        problems.append(f"event parameter {name!r} has a default, which is never used; drop it")
    for kind in kinds:
        if kind is type(None):
            problems.append(f"event parameter {name!r} is never None; drop the `| None`")
        elif not is_event(kind):
            problems.append(f"parameter {name!r} takes {describe(kind)}, which is no event type")
        elif issubclass(kind, StopEvent):
            problems.append(
                f"takes {kind.__qualname__}, but a StopEvent ends the run: nothing can receive it"
            )
    return problems


def _problems_of_markers(name: str, gathers: int, batches: int, many: bool) -> list[str]:
    if gathers + batches > 1:
        return [f"parameter {name!r} has several of Gather and Batch; keep one"]
    if gathers + batches and not many:
        marker = "Gather" if gathers else "Batch"
        return [f"parameter {name!r} is marked with {marker}; write `list[...]` for its type"]
    return []


def _check_together(found: Arguments) -> None:
    events = found.events
    joined = len(events) > 1 or any(event.many for event in events)
    if joined and any(issubclass(kind, StepFailed) for kind in found.accepts):
        found.problems.append(
            "joins StepFailed with other events; take it alone, in an error step that returns an "
            "event for the join"
        )
    if len(found.contexts) > 1:
        found.problems.append(f"has {len(found.contexts)} context parameters; keep one")
    if not events and not found.problems:
        found.problems.append("takes no event; give it a parameter such as `ev: StartEvent`")
    if len(events) < 2:
        return
    names = ", ".join(repr(event.name) for event in events)
    if len(events) > 2:
        found.problems.append(f"takes {len(events)} events ({names}); a step takes one, or two")
    elif any(event.many for event in events):
        found.problems.append(f"takes a list and another event ({names}); split it in two steps")
    elif any(len(event.accepts) != 1 for event in events):
        found.problems.append(
            f"pairs {names}; each of a pair takes exactly one event type: name a common base class "
            "instead of a union, and leave accepts= out"
        )
