"""From values to plain data.

JSON's own forms stand for ``None``, bool, int, float, str, list and dicts with plain text keys. All
else is an object with a tag under ``"$"``: ``{"$": "tuple", "v": [...]}``. Since dicts with such a
key are tagged themselves, there is exactly one way to read what is written.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterator
from typing import Any

from .._events import Event
from .classes import JSON_ATOMS, EnumPlan, FieldPlan, ObjectPlan
from .faults import MAX_DEPTH, MAX_ITEMS, Unstorable, kind_of, too_deep, too_large
from .registry import Registry
from .scalars import SCALARS, are_plain, is_plain_float, is_plain_int, is_plain_text

__all__ = ["TAG", "Writer", "canonical", "canonical_in_pieces"]

TAG = "$"

_TEXT_ONLY = frozenset({str})

_MANY = 16
"""With more items than this it is quicker to look at all at once before one by one."""


def canonical(data: Any, *, sort_keys: bool = False) -> str:
    """Write plain data as JSON in the one form that digests are made of."""
    return _SORTED.encode(data) if sort_keys else _PLAIN.encode(data)


def canonical_in_pieces(data: Any, levels: int = 7) -> Iterator[str]:
    """Write plain data as ``canonical`` does, in pieces of a few milliseconds each.

    The encoder keeps the interpreter to itself until it is done. In a worker thread, this gives the
    others their turn in between.

    Args:
        data: plain data.
        levels: how far down to look for what is long.

    Yields:
        The pieces. The brackets of what is looked into are pieces of their own.
    """
    kind = kind_of(data)
    before = ""
    if kind is dict and levels:
        yield "{"
        for name, part in data.items():
            yield f"{before}{canonical(name)}:"
            yield from canonical_in_pieces(part, levels - 1)
            before = ","
        yield "}"
    elif kind is list and len(data) > _PIECE:
        yield "["
        for start in range(0, len(data), _PIECE):
            yield before + canonical(data[start : start + _PIECE])[1:-1]
            before = ","
        yield "]"
    elif kind is list and levels and len(data) <= _FEW:
        yield "["
        for part in data:
            yield before
            yield from canonical_in_pieces(part, levels - 1)
            before = ","
        yield "]"
    else:
        yield canonical(data)


_PIECE = 5_000
"""Items that are written at once."""

_FEW = 20
"""A list as short as this may hold long ones."""

# Made once: ``json.dumps`` would make one at every call.
_PLAIN = json.JSONEncoder(separators=(",", ":"), allow_nan=False)
_SORTED = json.JSONEncoder(separators=(",", ":"), allow_nan=False, sort_keys=True)


class Writer:
    """Writes values, counting what they hold."""

    __slots__ = ("_registry", "_room")

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self._room = MAX_ITEMS

    def value(self, value: Any, depth: int = 0) -> Any:
        """Write a value.

        Raises:
            Unstorable: it could not be restored exactly.
        """
        kind = kind_of(value)
        if kind is str:
            if is_plain_text(value):
                return value
        elif kind is int:
            if is_plain_int(value):
                return value
        elif kind is float:
            if is_plain_float(value):
                return value
        elif value is None or kind is bool:
            return value
        else:
            write = _WRITERS.get(kind)
            if write is not None:
                self._enter(len(value), depth, kind)
                return write(self, value, depth + 1)
        return self._rarer_value(value, depth)

    def _rarer_value(self, value: Any, depth: int) -> dict[str, Any]:
        kind = kind_of(value)
        scalar = SCALARS.get(kind)
        if scalar is not None:
            return {TAG: scalar.tag, "v": scalar.write(value)}
        plan = self._registry.plans.get(kind)
        if plan is None:
            if not issubclass(kind, Event):
                raise Unstorable(kind)
            plan = self._registry.plan_of_event(kind)
        if isinstance(plan, EnumPlan):
            return {TAG: "enum", "type": plan.name, "member": self.value(plan.write(value))}
        tag = "event" if plan.is_event else "object"
        return {TAG: tag, "type": plan.name, "fields": self.fields(plan, value, depth)}

    def event(self, event: Event) -> dict[str, Any]:
        """Write an event where only an event can be: it needs no tag.

        Raises:
            Unstorable: as for ``value``; the outermost segment of its path is the field.
        """
        plan = self._registry.plan_of_event(type(event))
        return {"type": plan.name, "fields": self.fields(plan, event, 0)}

    def fields(self, plan: ObjectPlan, instance: Any, depth: int) -> dict[str, Any]:
        """Write the fields of an object."""
        self._enter(len(plan.fields), depth, plan.cls)
        values = plan.values(instance)
        data: dict[str, Any] = {}
        for field in plan.fields:
            name = field.name
            if name in values:
                try:
                    data[name] = self.field(field, values[name], depth + 1)
                except Unstorable as fault:
                    fault.at(name)
                    raise
        return data

    def field(self, field: FieldPlan, value: Any, depth: int = 1) -> Any:
        """Write the value of one field.

        One that is not what the annotation says is marked: it comes back as it was, while data
        that has another type without the mark is refused.
        """
        if field.dropped:
            return None
        data = self.value(value, depth)
        check = field.check
        if check is None or check(value) is None:
            return data
        return {TAG: "untyped", "v": data}

    def column(self, field: FieldPlan, values: list[Any]) -> list[Any]:
        """Write the values that a field has in many objects. They may be returned themselves."""
        if field.dropped:
            return [None] * len(values)
        if are_plain(values, field.plain):
            return values
        written: list[Any] = []
        for value in values:
            self._room = MAX_ITEMS
            written.append(self.field(field, value))
        return written

    def _enter(self, size: int, depth: int, kind: type) -> None:
        if depth >= MAX_DEPTH:
            raise too_deep(kind)
        self._room -= size
        if self._room < 0:
            raise too_large(kind)

    def items(self, items: Collection[Any], depth: int) -> list[Any]:
        """Write what a container holds, in its order."""
        if len(items) > _MANY and are_plain(items, JSON_ATOMS):
            return list(items)
        written: list[Any] = []
        try:
            for item in items:
                written.append(self.value(item, depth))  # noqa: PERF401  # its length is the index
        except Unstorable as fault:
            fault.at(len(written))
            raise
        return written

    def write_tuple(self, value: Collection[Any], depth: int) -> dict[str, Any]:
        """Write a tuple."""
        return {TAG: "tuple", "v": self.items(value, depth)}

    def write_set(self, value: Collection[Any], depth: int) -> dict[str, Any]:
        """Write a set, in an order that is the same in every process."""
        return {TAG: type(value).__name__, "v": sorted(self.items(value, depth), key=canonical)}

    def write_dict(self, value: dict[Any, Any], depth: int) -> dict[str, Any]:
        """Write a dict, in its order."""
        if not _has_plain_keys(value):
            keys = self.items(value, depth)
            return {TAG: "dict", "k": keys, "v": self.items(value.values(), depth)}
        if len(value) > _MANY and are_plain(value.values(), JSON_ATOMS):
            return value.copy()
        data: dict[str, Any] = {}
        for key, item in value.items():
            try:
                data[key] = self.value(item, depth)
            except Unstorable as fault:
                fault.at(key)
                raise
        return data


def _has_plain_keys(value: dict[Any, Any]) -> bool:
    if not _TEXT_ONLY.issuperset(map(type, value)) or TAG in value:
        return False
    return all(map(str.isascii, value)) or all(map(is_plain_text, value))


_WRITERS: dict[type, Callable[[Writer, Any, int], Any]] = {
    list: Writer.items,
    dict: Writer.write_dict,
    tuple: Writer.write_tuple,
    set: Writer.write_set,
    frozenset: Writer.write_set,
}
