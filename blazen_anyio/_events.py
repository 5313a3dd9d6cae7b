"""Events: typed, immutable messages between steps.

Subclass :class:`Event` and annotate fields; nothing else is needed::

    class Greet(Event):
        name: str
        times: int = 1

The subclass becomes a frozen attrs class: ``attrs.field`` gives defaults, factories and validators.
Every class has a stable ``event_type`` under which snapshots name it. Frozen is shallow: an event
is handed on by reference, so treat what its fields hold as read-only.

A field declared with :func:`secret` shows as ``***`` wherever an event is shown. A store keeps it
as it is, since a run could not go on without it; give the store a cipher to hide it there.
"""

from __future__ import annotations

import traceback as _traceback
from collections.abc import Callable, Mapping
from typing import Any, ClassVar, TypeVar, cast, dataclass_transform, overload

import attrs

__all__ = [
    "CONTROL_EVENTS",
    "DynamicEvent",
    "Event",
    "InputRequestEvent",
    "InputResponseEvent",
    "LifecycleEvent",
    "StartEvent",
    "StepFailed",
    "StopEvent",
    "is_secret",
    "secret",
]

T = TypeVar("T")

_SECRET = "secret"


def is_secret(metadata: Mapping[Any, Any]) -> bool:
    """Say whether a field with this metadata is never to be shown; see :func:`secret`."""
    return bool(metadata.get(_SECRET))


@overload
def secret(*, default: T, kw_only: bool = False) -> T: ...
@overload
def secret(*, factory: Callable[[], T], kw_only: bool = False) -> T: ...
@overload
def secret(*, kw_only: bool = False) -> Any: ...
def secret(
    *,
    default: Any = attrs.NOTHING,
    factory: Callable[[], Any] | None = None,
    kw_only: bool = False,
) -> Any:
    """Declare a field whose value is never shown: in a ``repr``, an error, a log or a report.

    The same as ``attrs.field(metadata={"secret": True})``.

    Args:
        default: as for ``attrs.field``.
        factory: as for ``attrs.field``.
        kw_only: as for ``attrs.field``.

    Example::

        class Login(StartEvent):
            user: str
            password: str = secret()
    """
    if factory is not None:
        default = attrs.Factory(factory)
    return attrs.field(default=default, kw_only=kw_only, metadata={_SECRET: True})


def _hide_secrets(cls: type[Any], fields: list[attrs.Attribute[Any]]) -> list[attrs.Attribute[Any]]:
    return [field.evolve(repr=_stars) if is_secret(field.metadata) else field for field in fields]


def _stars(value: object) -> str:
    return "***"


@dataclass_transform(frozen_default=True, field_specifiers=(attrs.field, secret))
class Event:
    """The base of all events.

    Args (of a subclass statement):
        event_type: the name snapshots use; by default the module and the qualified name. Give one
            explicitly to events that outlive a refactoring. It is not inherited.
    """

    event_type: ClassVar[str] = "blazen::Event"

    def __init_subclass__(cls, *, event_type: str | None = None, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if event_type is not None and not event_type:
            raise TypeError(f"{cls.__qualname__}: event_type must not be empty")
        # In place (slots=False): __init_subclass__ can't hand back another class, and attrs writes
        # the fields of a frozen class with a __dict__ at the speed of a mutable one.
        attrs.define(
            cls, slots=False, frozen=True, auto_attribs=True, field_transformer=_hide_secrets
        )
        _refuse_shared_defaults(cls)
        # Afterwards: where a class has a field of this name, attrs would take it for the default.
        cls.event_type = event_type or f"{cls.__module__}.{cls.__qualname__}"


def _refuse_shared_defaults(cls: type[Event]) -> None:
    """Refuse a default that all events would share and anybody could change, as dataclasses do."""
    for field in attrs.fields(cast("Any", cls)):
        kind: str = type(field.default).__name__
        if kind in ("list", "dict", "set"):
            raise TypeError(
                f"{cls.__qualname__}.{field.name}: a {kind} as default would be shared by all "
                f"events; write attrs.field(factory={kind})"
            )


class StartEvent(Event, event_type="blazen::StartEvent"):
    """Starts a run. ``data`` holds the keyword arguments of ``run``; subclasses have fields."""

    data: Mapping[str, Any] = attrs.field(factory=dict[str, Any], kw_only=True)


class StopEvent(Event, event_type="blazen::StopEvent"):
    """Ends a run. ``result`` is what ``run`` returns; a subclass is itself the result."""

    result: Any = attrs.field(default=None, kw_only=True)


class InputRequestEvent(Event, event_type="blazen::InputRequestEvent"):
    """Asks a human. Other work of the run goes on.

    Args:
        prompt: what to ask.
        metadata: anything that helps to ask it (choices, a link, who may answer).
        request_id: given by the engine, unique; it overwrites what a step puts here.
    """

    prompt: str
    metadata: Mapping[str, Any] = attrs.field(factory=dict[str, Any])
    request_id: str = attrs.field(default="", kw_only=True)


class InputResponseEvent(Event, event_type="blazen::InputResponseEvent"):
    """The answer to the :class:`InputRequestEvent` with the same ``request_id``."""

    request_id: str
    response: Any


class DynamicEvent(Event, event_type="blazen::DynamicEvent"):
    """An event of a type that this process has no class for.

    Args:
        event_type: the name of the type; steps take it with ``@step(accepts=["that.name"])``.
        data: its fields.
    """

    event_type: str  # type: ignore[misc]  # the name is the instance's, not the class's
    data: Mapping[str, Any] = attrs.field(factory=dict[str, Any])


class StepFailed(Event, event_type="blazen::StepFailed"):
    """A step failed for good; routed to the steps that accept this type.

    Args:
        step: the name of the step.
        event: what it was handling (a list for a step that gathers several).
        error: the live exception; ``None`` after the run was resumed from a snapshot.
        attempts: how many attempts were made.
        error_type: the qualified name of the exception's class.
        message: ``str(error)``.
        traceback_text: the formatted traceback, kept for when ``error`` is gone.
    """

    step: str
    event: Event | list[Event]
    error: BaseException | None
    attempts: int
    error_type: str = ""
    message: str = ""
    traceback_text: str = attrs.field(default="", repr=False)

    @classmethod
    def of(
        cls, step: str, event: Event | list[Event], error: BaseException, attempts: int
    ) -> StepFailed:
        """Describe ``error`` so that its description survives a snapshot."""
        kind = type(error)
        return cls(
            step=step,
            event=event,
            error=error,
            attempts=attempts,
            error_type=f"{kind.__module__}.{kind.__qualname__}",
            message=_message_of(error),
            traceback_text="".join(_traceback.format_exception(error)),
        )


def _message_of(error: BaseException) -> str:
    try:
        return str(error)
    except Exception:  # what the user's __str__ raises must not stand in for the failure itself
        return "<str() of the exception failed>"


class LifecycleEvent(Event, event_type="blazen::LifecycleEvent"):
    """Tells watchers what the run does: ``run.stream_events(lifecycle=True)``. Never routed.

    Args:
        kind: what happened: ``"event_routed"``, ``"step_started"``, ``"step_completed"``,
            ``"step_failed"`` or another of the kinds that ``run.history`` knows.
        step: the step concerned, if any.
        event_type: the type of the event concerned, if any.
        duration: seconds an attempt took, where one has ended.
        attempt: which attempt, counted from 1, where a step is concerned.
        error: the qualified type name of the exception, where something failed.
        invocation: the number of the invocation concerned, the same on every attempt.
        cause: the number of the invocation that emitted the event concerned; 0 for one from
            outside, ``None`` where that is not known.
    """

    kind: str
    step: str | None = None
    event_type: str | None = None  # type: ignore[misc,assignment]  # the concerned event's, not ours
    duration: float | None = None
    attempt: int | None = None
    error: str | None = None
    invocation: int | None = None
    cause: int | None = None


CONTROL_EVENTS: tuple[type[Event], ...] = (
    StopEvent,
    StepFailed,
    InputRequestEvent,
    InputResponseEvent,
    LifecycleEvent,
)
"""A step that accepts plain ``Event`` does not receive these: they must be named."""
