"""Annotations: evaluated where the step was written, and looked through to what they mean.

Evaluation sees what Python would see at the step: its module, the variables it closes over and the
names around its definition. A name that is not there *yet* is told apart from an annotation that is
wrong: the first may be tried again when the workflow is built, the second never gets better.
"""

from __future__ import annotations

import inspect
import sys
import types
import typing
from collections import ChainMap
from collections.abc import Callable, Iterator, Mapping
from typing import Annotated, Any, TypeGuard, Union, cast

from ._events import Event

__all__ = [
    "UnreadableAnnotationError",
    "UnresolvedAnnotationError",
    "describe",
    "evaluate",
    "is_event",
    "is_union",
    "look_through",
    "members",
    "names_around",
    "namespaces",
    "signature_of",
]


class UnresolvedAnnotationError(Exception):
    """An annotation uses a name that does not exist yet."""


class UnreadableAnnotationError(Exception):
    """An annotation that is no valid expression."""


def names_around(frame: types.FrameType | None) -> Mapping[str, object]:
    """Find the local names at a definition: the class bodies around it and their function."""
    found: list[dict[str, object]] = []
    while frame is not None and frame.f_locals is not frame.f_globals:
        if frame.f_code.co_flags & inspect.CO_OPTIMIZED:
            found.append(dict(frame.f_locals))
            break
        found.append(frame.f_locals)  # of a class: live, so that later names are found, too
        frame = frame.f_back
    return ChainMap(*found)


def namespaces(
    fn: Callable[..., object], around: Mapping[str, object]
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Find the globals and locals in which the annotations of ``fn`` have a meaning."""
    function = _plain_function(fn)
    code = getattr(function, "__code__", None)
    cells = getattr(function, "__closure__", None) or ()
    names = code.co_freevars if code is not None else ()
    closure: dict[str, Any] = {}
    for name, cell in zip(names, cells, strict=True):
        try:
            closure[name] = cell.cell_contents
        except ValueError:  # not assigned yet
            continue
    return getattr(function, "__globals__", {}), {**closure, **around}


def _plain_function(fn: object) -> object:
    while True:
        for attribute in ("__wrapped__", "func", "__func__"):
            inner = getattr(fn, attribute, None)
            if inner is not None:
                fn = inner
                break
        else:
            return fn


def signature_of(fn: Callable[..., object]) -> inspect.Signature:
    """Read the parameters of ``fn`` without evaluating its annotations."""
    if sys.version_info >= (3, 14):  # pragma: no cover  # older versions do not have the option
        from annotationlib import Format

        return inspect.signature(fn, annotation_format=Format.FORWARDREF)
    return inspect.signature(fn)


def evaluate(annotation: object, scope: tuple[dict[str, Any], dict[str, Any]]) -> object:
    """Turn an annotation, or the text of one, into the object it stands for.

    Raises:
        UnresolvedAnnotationError: a name in it does not exist (yet).
        UnreadableAnnotationError: it is no valid annotation.
    """

    def holder() -> None:
        """Carry one annotation, in the form that ``typing`` reads."""

    holder.__annotations__ = {"it": annotation}
    try:
        return typing.get_type_hints(holder, *scope, include_extras=True)["it"]
    except (NameError, AttributeError) as error:
        raise UnresolvedAnnotationError(str(error)) from error
    except Exception as error:
        raise UnreadableAnnotationError(f"{type(error).__name__}: {error}") from error


def look_through(annotation: object) -> tuple[object, tuple[object, ...]]:
    """Take ``Annotated`` and type aliases off; return what is inside and the markers."""
    markers: tuple[object, ...] = ()
    while True:
        if typing.get_origin(annotation) is Annotated:
            markers += cast("Any", annotation).__metadata__
            annotation = cast("Any", annotation).__origin__
        elif type(annotation).__name__ == "TypeAliasType":
            annotation = _value_of(annotation)
        else:
            return annotation, markers


def _value_of(alias: object) -> object:
    try:
        return cast("Any", alias).__value__  # evaluated at its first use
    except NameError as error:
        raise UnresolvedAnnotationError(str(error)) from error


def is_union(annotation: object) -> bool:
    """Say whether an annotation is ``X | Y`` in either spelling."""
    return typing.get_origin(annotation) in (Union, types.UnionType)


def members(annotation: object) -> Iterator[object]:
    """Yield the alternatives of an annotation, one if it is no union, without their wrappers.

    A generic event class stands for itself: what it holds is the type checker's business.
    """
    inner, _ = look_through(annotation)
    if is_union(inner):
        for member in typing.get_args(inner):
            yield from members(member)
        return
    origin = typing.get_origin(inner)
    yield origin if is_event(origin) else inner


def is_event(kind: object) -> TypeGuard[type[Event]]:
    """Say whether ``kind`` is an event class."""
    return isinstance(kind, type) and issubclass(kind, Event)


def describe(annotation: object) -> str:
    """Write an annotation the way a user would."""
    if annotation is type(None):
        return "None"
    if isinstance(annotation, type):
        return annotation.__qualname__.rpartition("<locals>.")[2]
    inner, _ = look_through(annotation)
    if is_union(inner):
        return " | ".join(describe(member) for member in typing.get_args(inner))
    origin = typing.get_origin(inner)
    if origin is None:
        return str(getattr(inner, "__name__", inner)).removeprefix("typing.")
    arguments = ", ".join(
        "..." if each is ... else describe(each) for each in typing.get_args(inner)
    )
    return f"{describe(origin)}[{arguments}]"
