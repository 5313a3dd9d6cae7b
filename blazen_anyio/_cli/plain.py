"""To JSON: results and events as plain data for other programs, secrets hidden.

What JSON has a form for is written in that form, events and other objects as their fields. The rest
is written as the codec's plain data, which has a tag that says what it is; what even the codec
refuses, as its ``repr``.
"""

from __future__ import annotations

import dataclasses
import json
import math
import time
from collections.abc import Mapping
from typing import Any, TypeGuard, cast

import attrs

from .._codec import Codec
from .._events import DynamicEvent, Event, LifecycleEvent, StopEvent, is_secret
from .._exceptions import StateValueError
from .terminal import clock_time

__all__ = ["event_line", "fact_line", "fields_of", "to_json", "to_plain"]

_HIDDEN = "***"


def to_json(value: object, codec: Codec, *, indent: int | None = None) -> str:
    """Write a value as JSON."""
    return json.dumps(to_plain(value, codec), indent=indent, allow_nan=False)


def to_plain(value: object, codec: Codec) -> Any:
    """Make plain data of a value."""
    try:
        return _plain(value, codec)
    except RecursionError:
        return _represented(value)


def _plain(value: object, codec: Codec) -> Any:
    if value is None or type(value) in (bool, int, str):
        return value
    if type(value) is float and math.isfinite(value):
        return value
    if type(value) in (list, tuple, set, frozenset):
        return [_plain(item, codec) for item in cast("list[object]", value)]
    if _has_text_keys(value):
        return {key: _plain(item, codec) for key, item in value.items()}
    if attrs.has(type(value)) or dataclasses.is_dataclass(type(value)):
        return fields_of(value, codec)
    try:
        return codec.encode(value, "a value")
    except StateValueError:
        return _represented(value)


def _has_text_keys(value: object) -> TypeGuard[Mapping[str, object]]:
    return isinstance(value, Mapping) and all(
        type(key) is str for key in cast("Mapping[object, object]", value)
    )


def fields_of(value: Any, codec: Codec) -> dict[str, Any]:
    """Make plain data of the fields of an object; those that are secret only show that they are."""
    kind: Any = value.__class__
    fields = attrs.fields(kind) if attrs.has(kind) else dataclasses.fields(kind)
    plain = {
        field.name: _HIDDEN
        if is_secret(field.metadata)
        else _plain(getattr(value, field.name, None), codec)
        for field in fields
    }
    if isinstance(value, StopEvent) and kind is not StopEvent and plain["result"] is None:
        del plain["result"]  # that of a plain StopEvent; a subclass is itself the result
    return plain


def _represented(value: object) -> str:
    try:
        return repr(value)
    except Exception:  # a user's __repr__
        return f"<{type(value).__qualname__}>"


def event_line(event: Event, path: tuple[str, ...], codec: Codec) -> str:
    """Write an event of a stream as one line of JSON."""
    if isinstance(event, LifecycleEvent):
        return fact_line({"time": clock_time(time.time()), **fields_of(event, codec)}, path)
    fields = event.data if isinstance(event, DynamicEvent) else fields_of(event, codec)
    line = {"event": event.event_type, "fields": to_plain(fields, codec), **_place(path)}
    return json.dumps({"time": clock_time(time.time()), **line}, allow_nan=False)


def fact_line(fact: Mapping[str, Any], path: tuple[str, ...] = ()) -> str:
    """Write a fact as one line of JSON, without what it has nothing to say about."""
    rest = {name: value for name, value in fact.items() if value not in (None, ())}
    when, kind = rest.pop("time"), rest.pop("kind")
    return json.dumps({"time": when, "fact": kind, **rest, **_place(path)})


def _place(path: tuple[str, ...]) -> dict[str, Any]:
    return {"path": list(path)} if path else {}
