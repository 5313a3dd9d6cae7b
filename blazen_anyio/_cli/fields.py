"""From JSON to events: fields take what their annotations ask for, and nothing else.

A value that fits as it stands is taken as it stands. Otherwise it is read the way people write it:
a date as ISO text, a decimal as text or number, an enum by name, an object by its fields; never by
guessing from what it looks like. The event is made by its class, so its validators have a say.
"""

from __future__ import annotations

import base64
import dataclasses
import enum
import types
import typing
from collections.abc import Callable, Iterable, Mapping
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path, PurePath, PurePosixPath, PureWindowsPath
from typing import Annotated, Any, Union, cast
from uuid import UUID

import attrs

from .._codec import kind_of
from .._codec.annotations import check_of, hints_of
from .._events import DynamicEvent, Event, StartEvent
from .errors import CommandError

__all__ = ["event_named", "make_event"]


_OF_BASES = frozenset({"data", "result"})
"""Fields that typed start and stop events have and nobody gives."""


class _MisfitError(Exception):
    """A value that is not what an annotation asks for; ``path`` says where."""

    def __init__(self, path: str, reason: str) -> None:
        super().__init__(f"{path}: {reason}")
        self.path = path
        self.reason = reason


def event_named(name: str, known: Iterable[type[Event]]) -> type[Event] | str:
    """Find an event class by its ``event_type`` or by the name of the class.

    Returns:
        The class; or the name itself, of a dynamic type, if nothing of that name is known.

    Raises:
        CommandError: several classes have the name.
    """
    kinds = list(known)
    typed = [kind for kind in kinds if kind.event_type == name]
    found = typed or [kind for kind in kinds if name in (kind.__name__, kind.__qualname__)]
    if len(found) > 1:
        names = ", ".join(kind.event_type for kind in found)
        raise CommandError(f"several events are called {name}", f"name one of {names}")
    return found[0] if found else name


def make_event(kind: type[Event] | str, data: object) -> Event:
    """Make an event of what JSON says of its fields.

    Raises:
        CommandError: it does not fit.
    """
    name = kind if isinstance(kind, str) else kind.__name__
    if not isinstance(data, dict):
        raise CommandError(f"{name} takes a JSON object with its fields, not {_shown(data)}")
    fields = cast("dict[str, Any]", data)
    if isinstance(kind, str):
        return DynamicEvent(kind, fields)
    if kind is StartEvent:
        return StartEvent(data=fields)
    try:
        event = _object(kind, fields, name)
    except _MisfitError as misfit:
        raise CommandError(str(misfit), f"it takes {_signature(kind)}") from misfit
    assert isinstance(event, Event)
    return event


def _signature(kind: type[Any]) -> str:
    return ", ".join(
        f"{alias}: {_name(annotation)}" + ("" if required else " (optional)")
        for alias, annotation, required in _parameters(kind)
        if alias not in _OF_BASES
    )


def _name(annotation: Any) -> str:
    if isinstance(annotation, type) and not typing.get_args(annotation):
        return annotation.__name__
    return str(annotation).replace("typing.", "")


def _shown(data: object) -> str:
    text = repr(data)
    return text if len(text) <= 60 else f"{text[:57]}..."


# ---- objects -------------------------------------------------------------------------------------


def _parameters(kind: Any) -> list[tuple[str, Any, bool]]:
    """What ``__init__`` takes: name, annotation, and whether it has to be given."""
    if attrs.has(kind):
        attributes = [each for each in attrs.fields(kind) if each.init]
        declared = {each.name: Any if each.type is None else each.type for each in attributes}
        hints = hints_of(kind, declared)
        return [
            (each.alias or each.name, hints[each.name], each.default is attrs.NOTHING)
            for each in attributes
        ]
    fields = [each for each in dataclasses.fields(kind) if each.init]
    hints = hints_of(kind, {each.name: each.type for each in fields})
    none = dataclasses.MISSING
    return [
        (each.name, hints[each.name], each.default is none and each.default_factory is none)
        for each in fields
    ]


def _object(kind: Any, data: dict[str, Any], path: str) -> Any:
    parameters = _parameters(kind)
    known = {name for name, _, _ in parameters}
    for name in data:
        if name not in known:
            raise _MisfitError(path, f"there is no field {name!r}")
    missing = [name for name, _, required in parameters if required and name not in data]
    if missing:
        raise _MisfitError(path, f"missing: {', '.join(missing)}")
    secrets = _secrets(kind)
    values = {
        name: _field(annotation, data[name], f"{path}.{name}", name in secrets)
        for name, annotation, _ in parameters
        if name in data
    }
    try:
        return kind(**values)
    except Exception as error:  # a user's validator or converter
        if secrets:
            raise _MisfitError(path, f"refused with {type(error).__name__}") from None
        raise _MisfitError(path, f"{type(error).__name__}: {error}") from error


def _secrets(kind: Any) -> set[str]:
    """The fields of which no error may show anything."""
    if attrs.has(kind):
        fields = attrs.fields(kind)
        return {each.alias or each.name for each in fields if each.metadata.get("secret")}
    return {each.name for each in dataclasses.fields(kind) if each.metadata.get("secret")}


def _field(annotation: Any, data: Any, path: str, secret: bool) -> Any:
    try:
        return _convert(annotation, data, path)
    except _MisfitError:
        if not secret:
            raise
    raise _MisfitError(path, f"expected {_name(annotation)}")


# ---- values --------------------------------------------------------------------------------------


def _convert(annotation: Any, data: Any, path: str) -> Any:
    check = check_of(annotation)
    problem = None if check is None else check(data)
    if check is None or problem is None:
        return data
    value = _read(_bare(annotation), data, path)
    after = check(value)
    if after is not None:
        raise _MisfitError(path + after[0], after[1])
    return value


def _bare(annotation: Any) -> Any:
    while True:
        if typing.get_origin(annotation) in (Annotated, typing.Final):
            annotation = typing.get_args(annotation)[0]
        elif hasattr(annotation, "__supertype__"):  # NewType
            annotation = annotation.__supertype__
        elif hasattr(annotation, "__value__"):  # type X = ...
            annotation = annotation.__value__
        else:
            return annotation


def _read(annotation: Any, data: Any, path: str) -> Any:
    arguments: tuple[Any, ...] = typing.get_args(annotation)
    origin: Any = typing.get_origin(annotation) or annotation
    if origin in (Union, types.UnionType):
        return _read_union(arguments, data, path)
    if not isinstance(origin, type):
        return data
    kind: Any = origin
    if kind_of(data) is dict and (attrs.has(kind) or dataclasses.is_dataclass(kind)):
        return _object(kind, data, path)
    if kind_of(data) is dict and issubclass(kind, Mapping) and len(arguments) == 2:
        return {key: _convert(arguments[1], item, f"{path}.{key}") for key, item in data.items()}
    if kind_of(data) is list and not issubclass(kind, (str, Mapping)):
        return _read_items(kind, arguments, data, path)
    return _read_scalar(kind, data, path)


def _read_union(arguments: tuple[Any, ...], data: Any, path: str) -> Any:
    misfits: list[_MisfitError] = []
    for argument in arguments:
        try:
            return _convert(argument, data, path)
        except _MisfitError as misfit:
            misfits.append(misfit)
    # The one that got furthest is the one that was meant.
    raise max(misfits, key=lambda misfit: len(misfit.path))


def _read_items(kind: Any, arguments: tuple[Any, ...], data: list[Any], path: str) -> Any:
    is_fixed = kind is tuple and Ellipsis not in arguments and len(arguments) == len(data)
    wanted = arguments if is_fixed else arguments[:1] * len(data)
    items = [
        _convert(annotation, item, f"{path}[{index}]")
        for index, (annotation, item) in enumerate(zip(wanted, data, strict=False))
    ]
    make: Any = kind if kind in (tuple, set, frozenset) else list
    return make(items if arguments else data)


def _read_scalar(kind: Any, data: Any, path: str) -> Any:
    if issubclass(kind, enum.Enum):
        return _read_enum(kind, data, path)
    read = _SCALARS.get(kind)
    if read is None or kind_of(data) in (bool, dict, list):
        raise _MisfitError(path, f"expected {kind.__name__}, got {_shown(data)}")
    try:
        return read(data)
    except (ValueError, TypeError, ArithmeticError) as error:
        raise _MisfitError(path, f"expected {kind.__name__}, got {_shown(data)}") from error


def _read_enum(kind: type[enum.Enum], data: Any, path: str) -> enum.Enum:
    members = kind.__members__
    if isinstance(data, str) and data in members:
        return members[data]
    for member in members.values():
        if type(member.value) is type(data) and member.value == data:
            return member
    raise _MisfitError(path, f"expected one of {', '.join(members)}, got {_shown(data)}")


def _read_seconds(data: Any) -> timedelta:
    return timedelta(seconds=data)


def _read_bytes(data: Any) -> bytes:
    return base64.b64decode(data, validate=True)


def _read_decimal(data: Any) -> Decimal:
    return Decimal(str(data))


_SCALARS: dict[type[Any], Callable[[Any], Any]] = {
    Decimal: _read_decimal,
    datetime: datetime.fromisoformat,
    date: date.fromisoformat,
    time: time.fromisoformat,
    timedelta: _read_seconds,
    UUID: UUID,
    bytes: _read_bytes,
    Path: Path,
    PurePath: PurePath,
    PurePosixPath: PurePosixPath,
    PureWindowsPath: PureWindowsPath,
}
"""How people write what JSON has no form for: seconds for a duration, base64 for bytes."""
