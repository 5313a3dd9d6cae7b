"""Openers: the functions behind resources, and what they depend on themselves.

An opener may ask for other resources with parameters of its own, annotated like a step's. The web of
openers is read and checked when the workflow is built: a circle, a dependency on something that lives
shorter, or a parameter that nobody fills is a definition error.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping

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


@attrs.frozen(eq=False)
class Opener:
    """A function that opens a resource.

    Attributes:
        open: the function.
        needs: what its parameters ask for, by parameter name.
    """

    open: Callable[..., object]
    needs: Mapping[str, Resource]

    @property
    def name(self) -> str:
        """The function's name, for messages."""
        return name_of(self.open)


def name_of(opener: Callable[..., object]) -> str:
    """What to call an opener in a message."""
    return getattr(opener, "__qualname__", None) or repr(opener)


def read_openers(
    steps: Iterable[Step],
) -> tuple[dict[Callable[..., object], Opener], list[str]]:
    """Read all openers that the steps need, directly or not; and what is wrong with them."""
    found: dict[Callable[..., object], Opener] = {}
    problems: list[str] = []
    for step in steps:
        for resource in step.parameters.resources.values():
            _read(resource, (), found, problems)
    return found, problems


def _read(
    resource: Resource,
    path: tuple[Callable[..., object], ...],
    found: dict[Callable[..., object], Opener],
    problems: list[str],
) -> None:
    opener = resource.opener
    if opener in path:
        circle = " -> ".join(name_of(each) for each in (*path[path.index(opener) :], opener))
        problems.append(f"resources need each other in a circle: {circle}")
        return
    if opener not in found:
        found[opener] = Opener(opener, _needs_of(opener, problems))
    for needed in found[opener].needs.values():
        if _LIFE[needed.scope] < _LIFE[resource.scope]:
            problems.append(
                f"resource {name_of(opener)} of scope {resource.scope!r} needs "
                f"{name_of(needed.opener)} of scope {needed.scope!r}, which does not live as long"
            )
        _read(needed, (*path, opener), found, problems)


def _needs_of(opener: Callable[..., object], problems: list[str]) -> dict[str, Resource]:
    needs: dict[str, Resource] = {}
    try:
        parameters = signature_of(opener).parameters.values()
    except (TypeError, ValueError):
        return needs  # a class or function written in C: called without arguments
    for parameter in parameters:
        resource = _resource_of(opener, parameter)
        if resource is not None:
            needs[parameter.name] = resource
        elif parameter.default is parameter.empty and parameter.kind not in (
            parameter.VAR_POSITIONAL,
            parameter.VAR_KEYWORD,
        ):
            problems.append(
                f"resource {name_of(opener)} has a parameter {parameter.name!r} that nothing fills; "
                "give it a default, or annotate it: Annotated[..., Resource(opener)]"
            )
    return needs


def _resource_of(opener: Callable[..., object], parameter: inspect.Parameter) -> Resource | None:
    if parameter.annotation is parameter.empty:
        return None
    try:
        annotation = evaluate(parameter.annotation, namespaces(opener, {}))
    except (UnresolvedAnnotationError, UnreadableAnnotationError):
        return None
    _, markers = look_through(annotation)
    return next((each for each in markers if isinstance(each, Resource)), None)
