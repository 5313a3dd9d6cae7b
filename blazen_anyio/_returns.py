"""Returns: what the return annotation of a step says it emits.

A list, and what a generator yields, is a fan-out; a tuple is several events without one. What can't
be routed (``Any``, ``str``, nothing at all) is a problem, noted in a list, and reading goes on.
"""

from __future__ import annotations

import inspect
import typing
from collections.abc import Callable, Sequence
from typing import Any, Never, NoReturn, TypeVar, cast

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
from ._events import Event, StepFailed

__all__ = ["Returns", "problem_of_emitted", "read_returns"]

_STREAMS = frozenset({"AsyncIterator", "AsyncGenerator", "AsyncIterable"})
_SEVERAL = frozenset({"Sequence", "Iterable", "Iterator", "Generator", "set", "frozenset"})
_WHAT_TO_RETURN = (
    "write the event types it returns, as in `-> Done`, `-> Done | Failed`, `-> list[Work]` "
    "for a fan-out, or `-> None`"
)


@attrs.frozen(kw_only=True, eq=False, repr=False)
class Returns:
    """What a step emits, as its return annotation says.

    Attributes:
        emits: the event classes that it returns singly or in a tuple.
        fans_out: those of a list or of a generator; ``None`` if it has neither.
        none: whether it may return ``None``.
    """

    emits: tuple[type[Event], ...] = ()
    fans_out: tuple[type[Event], ...] | None = None
    none: bool = False


def read_returns(
    fn: Callable[..., object],
    scope: tuple[dict[str, Any], dict[str, Any]],
    *,
    generator: bool,
    problems: list[str],
) -> Returns:
    """Read what a step emits.

    Args:
        fn: the function, not bound.
        scope: where its annotations have a meaning.
        generator: whether it yields what it emits.
        problems: takes what can't be used.

    Raises:
        UnresolvedAnnotationError: the annotation uses a name that does not exist yet.
    """
    annotation = signature_of(fn).return_annotation
    if annotation is inspect.Signature.empty:
        problems.append(f"has no return annotation; {_WHAT_TO_RETURN}")
        return Returns()
    try:
        inner, _ = look_through(evaluate(annotation, scope))
    except UnreadableAnnotationError as error:
        problems.append(f"the return annotation can't be read ({error})")
        return Returns()
    if generator:
        return _read_stream(inner, problems)
    return _read_alternatives(inner, problems)


def _name_of_origin(annotation: object) -> str:
    return getattr(typing.get_origin(annotation) or annotation, "__name__", "")


def _read_stream(annotation: object, problems: list[str]) -> Returns:
    arguments = typing.get_args(annotation)
    if _name_of_origin(annotation) not in _STREAMS or not arguments:
        problems.append(
            f"is a generator but returns {describe(annotation)}; write `-> AsyncIterator[Work]`"
        )
        return Returns()
    return Returns(fans_out=_read_elements(arguments[:1], problems))


def _read_alternatives(annotation: object, problems: list[str]) -> Returns:
    emits: list[type[Event]] = []
    fans_out: list[type[Event]] | None = None
    none = False
    for member in members(annotation):
        if member is type(None):
            none = True
        elif typing.get_origin(member) is list:
            fans_out = (fans_out or []) + list(_read_elements(typing.get_args(member), problems))
        elif typing.get_origin(member) is tuple:
            elements = [each for each in typing.get_args(member) if each is not ...]
            emits += _read_elements(elements, problems)
        elif member is not Never and member is not NoReturn:
            emits += _read_elements([member], problems)
    return Returns(
        emits=_once(emits), fans_out=None if fans_out is None else _once(fans_out), none=none
    )


def _read_elements(annotations: Sequence[object], problems: list[str]) -> tuple[type[Event], ...]:
    kinds: list[type[Event]] = []
    for kind in (kind for annotation in annotations for kind in members(annotation)):
        problem = problem_of_emitted(kind)
        if problem is not None:
            problems.append(problem)
        else:
            kinds.append(cast("type[Event]", kind))
    return _once(kinds)


def _once(kinds: Sequence[type[Event]]) -> tuple[type[Event], ...]:
    return tuple(dict.fromkeys(kinds))


def problem_of_emitted(kind: object) -> str | None:
    """Say why ``kind`` can't be emitted, and what to write instead; ``None`` if it can."""
    if is_event(kind):
        if issubclass(kind, StepFailed):
            return "returns StepFailed, which only the engine makes; raise the error instead"
        return None
    name = _name_of_origin(kind)
    if kind is None or kind is type(None):
        return "returns None among several events; leave it out of the list or tuple"
    if kind is list or kind is tuple:
        return f"returns a {name} of unknown events; write `-> {name}[...]` with their types"
    if name in _STREAMS:
        return f"returns {describe(kind)} but never yields; write `-> list[...]`, or yield"
    if name in _SEVERAL:
        return f"returns {describe(kind)}; write `-> list[...]` for a fan-out, else `-> tuple[...]`"
    if isinstance(kind, TypeVar):
        return f"returns the type variable {kind}; write the event types it stands for"
    return f"returns {describe(kind)}, which is no event type; {_WHAT_TO_RETURN}"
