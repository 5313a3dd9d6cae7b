"""Markers: what an annotation says beyond a type.

A marker is frozen data inside ``Annotated[...]``. It checks itself when it is made; whether it fits
the step and the workflow is found out where these are known.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Literal, cast, get_args

import attrs

__all__ = ["Batch", "Gather", "Resource", "ResourceScope", "StepReference"]

ResourceScope = Literal["run", "workflow", "step"]
StepReference = Callable[..., object] | str
"""How a step is named elsewhere: the step itself, or its name."""


def _check_size(instance: object, attribute: attrs.Attribute[int], value: object) -> None:
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        name = f"{type(instance).__name__}({attribute.name}=...)"
        raise ValueError(f"{name} takes a whole number from 1, not {value!r}")


def _check_references(instance: object, attribute: attrs.Attribute[Any], value: object) -> None:
    many = cast("Sequence[object]", value) if isinstance(value, (list, tuple)) else (value,)
    if not many:
        raise TypeError("Gather(of=...) names no step; leave it out or name one")
    for reference in many:
        if not isinstance(reference, str) and not callable(reference):
            raise TypeError(f"Gather(of=...) takes a step or a list of steps, not {reference!r}")


@attrs.frozen(kw_only=True)
class Gather:
    """Says which fan-out a ``list[...]`` parameter gathers, and how many of its events.

    Args:
        count: fire at this many and cancel what is left of the fan-out; by default, wait for all.
        of: the step that fans out, or a list of alternatives, each as the step or its name. By
            default, those whose events get to the gather without another fan-out in between.

    Raises:
        ValueError: ``count`` is no whole number from 1.
        TypeError: ``of`` is no step.

    Example::

        @step
        async def first_three(parts: Annotated[list[Done], Gather(count=3)]) -> StopEvent: ...
    """

    count: int | None = attrs.field(default=None, validator=attrs.validators.optional(_check_size))
    of: StepReference | Sequence[StepReference] | None = attrs.field(
        default=None, validator=attrs.validators.optional(_check_references)
    )

    @property
    def fan_outs(self) -> tuple[StepReference, ...]:
        """What ``of`` names, one or several; empty if it was left out."""
        if self.of is None:
            return ()
        if isinstance(self.of, str) or callable(self.of):
            return (self.of,)
        return tuple(self.of)


@attrs.frozen
class Batch:
    """Says that a ``list[...]`` parameter takes every ``size`` events, in order of arrival.

    What is left when a fan-out ends makes a last, smaller batch.

    Args:
        size: how many events make a batch.

    Raises:
        ValueError: ``size`` is no whole number from 1.
    """

    size: int = attrs.field(validator=_check_size)


def _check_opener(instance: object, attribute: attrs.Attribute[Any], value: Any) -> None:
    if not callable(value):
        raise TypeError(
            "Resource(...) takes a function that opens the resource, best an async context "
            f"manager, not {value!r}"
        )


def _check_scope(instance: object, attribute: attrs.Attribute[Any], value: Any) -> None:
    if value not in get_args(ResourceScope):
        raise ValueError(f"Resource(scope=...) is 'run', 'workflow' or 'step', not {value!r}")


@attrs.frozen
class Resource:
    """Says that a parameter is a live object, opened by the engine and shared as ``scope`` tells.

    Args:
        opener: called to open it, in the event loop; async functions are awaited. If it gives a
            context manager, async or not, that is entered, and left to close the resource. Its own
            parameters may be annotated in the same way, with what it needs itself.
        scope: ``"run"``: one for each run, opened at its first use and closed when the run ends.
            ``"workflow"``: one for all runs inside ``async with workflow``. ``"step"``: one for
            each attempt of a step, which fails if closing it does.

    Raises:
        TypeError: ``opener`` can't be called.
        ValueError: ``scope`` is none of these.

    Example::

        @step
        async def fetch(ev: Fetch, client: Annotated[Client, Resource(open_client)]) -> Page: ...
    """

    opener: Callable[..., object] = attrs.field(validator=_check_opener)
    scope: ResourceScope = attrs.field(default="run", validator=_check_scope)
