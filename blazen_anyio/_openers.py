"""Openers: the functions behind resources, and what they depend on themselves.

An opener may ask for other resources with parameters of its own, annotated like a step's. The web
of openers is read and checked when the workflow is built: a circle, a dependency on something that
lives shorter, or a parameter that nobody fills is a definition error.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping
from typing import cast

import attrs

from ._annotations import (
    UnreadableAnnotationError,
    UnresolvedAnnotationError,
    evaluate,
    look_through,
    namespaces,
    signature_of,
)
from ._markers import Resource, ResourceScope
from ._step import Step

__all__ = ["Opener", "read_openers"]

_LIFE: Mapping[ResourceScope, int] = {"step": 0, "run": 1, "workflow": 2}


@attrs.frozen(eq=False, repr=False)
class Opener:
    """A function that opens a resource.

    Attributes:
        open: the function.
        needs: what its parameters ask for, by parameter name.
    """

    open: Callable[..., object]
    needs: Mapping[str, Resource]


def name_of(opener: Callable[..., object]) -> str:
    """What to call an opener in a message."""
    return getattr(opener, "__qualname__", None) or repr(opener)


def read_openers(
    steps: Iterable[Step],
) -> tuple[dict[Callable[..., object], Opener], list[str]]:
    """Read all openers that the steps need, directly or not; and what is wrong with them."""
    reader = _Reader()
    for step in steps:
        for resource in step.parameters.resources.values():
            reader.read(resource, ())
    return reader.found, list(reader.problems)


class _Reader:
    """Reads openers, each once, from those of the steps down to what these need."""

    def __init__(self) -> None:
        self.found: dict[Callable[..., object], Opener] = {}
        self.problems: dict[str, None] = {}
        self._done: set[Resource] = set()

    def read(self, resource: Resource, path: tuple[Callable[..., object], ...]) -> None:
        opener = resource.opener
        if opener in path:
            circle = " -> ".join(name_of(each) for each in (*path[path.index(opener) :], opener))
            self._complain(f"resources need each other in a circle: {circle}")
            return
        if resource in self._done:
            return
        if opener not in self.found:
            self.found[opener] = Opener(opener, self._needs_of(opener))
        for needed in self.found[opener].needs.values():
            if _LIFE[needed.scope] < _LIFE[resource.scope]:
                self._complain(
                    f"resource {name_of(opener)} of scope {resource.scope!r} needs "
                    f"{name_of(needed.opener)} of scope {needed.scope!r}, which lives shorter"
                )
            self.read(needed, (*path, opener))
        self._done.add(resource)

    def _needs_of(self, opener: Callable[..., object]) -> dict[str, Resource]:
        needs: dict[str, Resource] = {}
        try:
            parameters = signature_of(opener).parameters.values()
        except (TypeError, ValueError):
            return needs  # a class or function written in C: called without arguments
        for parameter in parameters:
            try:
                resource = _resource_of(opener, parameter)
            except (UnresolvedAnnotationError, UnreadableAnnotationError) as error:
                resource, reason = None, f"whose annotation can't be read ({error})"
            else:
                reason = "that nothing fills"
            if resource is not None and parameter.kind is not parameter.POSITIONAL_ONLY:
                needs[parameter.name] = resource
            elif _must_be_filled(parameter):
                self._complain(
                    f"resource {name_of(opener)} has a parameter {parameter.name!r} {reason}; "
                    "give it a default, or annotate it: Annotated[..., Resource(opener)]"
                )
        return needs

    def _complain(self, problem: str) -> None:
        self.problems[problem] = None


def _must_be_filled(parameter: inspect.Parameter) -> bool:
    optional = parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD)
    return parameter.default is parameter.empty and not optional


def _resource_of(opener: Callable[..., object], parameter: inspect.Parameter) -> Resource | None:
    if parameter.annotation is parameter.empty:
        return None
    annotation = evaluate(parameter.annotation, namespaces(_function_of(opener), {}))
    _, markers = look_through(annotation)
    return next((each for each in markers if isinstance(each, Resource)), None)


def _function_of(opener: Callable[..., object]) -> Callable[..., object]:
    """Where the annotations of an opener were written."""
    if isinstance(opener, type):
        return cast("Callable[..., object]", getattr(opener, "__init__"))  # noqa: B009
    if any(hasattr(opener, each) for each in ("__code__", "__wrapped__", "func", "__func__")):
        return opener
    return type(opener).__call__
