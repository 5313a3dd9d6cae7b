"""Many events at once: a set of columns per class instead of an object per event.

    {"shapes": [{"type": "app.Item", "fields": {"number": [1, 2], "name": ["a", "b"]}}],
     "of": [0, 0]}

A *shape* is an event type with the fields that are set; ``of`` names the shape of each event, in
order. A column is written, checked and read as a whole wherever all of it is JSON's own, so that
ten thousand events cost little more than their text. The rules are those of the writer and the
reader of single events, which also have the last word: whoever can't go on here asks them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import count, repeat
from operator import attrgetter, itemgetter
from typing import Any, TypeVar

from .._events import Event
from .classes import ObjectPlan
from .faults import Malformed, kind_of
from .reading import Reader
from .registry import Registry
from .writing import Writer

__all__ = ["check_packed", "pack", "pack_events", "read_packed", "unpack"]

T = TypeVar("T")


def pack(events: Iterable[dict[str, Any]]) -> dict[str, Any]:
    """Put events that have been written one by one into columns."""
    places: dict[tuple[str, tuple[str, ...]], int] = {}
    members: list[list[dict[str, Any]]] = []
    of: list[int] = []
    for event in events:
        fields = event["fields"]
        place = places.setdefault((event["type"], tuple(fields)), len(places))
        if place == len(members):
            members.append([])
        members[place].append(fields)
        of.append(place)
    shapes = [
        {"type": name, "fields": {field: [fields[field] for fields in held] for field in names}}
        for (name, names), held in zip(places, members, strict=True)
    ]
    return {"shapes": shapes, "of": of}


def unpack(packed: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Take events out of columns, one by one."""
    sources = [map(_event_of, repeat(shape), count()) for shape in packed["shapes"]]
    return _in_order(sources, packed["of"])


def _event_of(shape: dict[str, Any], index: int) -> dict[str, Any]:
    fields = {name: column[index] for name, column in shape["fields"].items()}
    return {"type": shape["type"], "fields": fields}


def pack_events(events: Sequence[Event], registry: Registry) -> dict[str, Any] | None:
    """Write events straight into columns.

    Returns:
        What ``pack`` makes of them; ``None`` if they are too odd for columns.

    Raises:
        Unstorable: one of them holds what could not be restored; it does not say which one.
    """
    groups = _by_class(events)
    plans = [registry.plan_of_event(kind) for kind in groups]
    if len({plan.name for plan in plans}) < len(plans):
        return None
    shapes: list[dict[str, Any]] = []
    for plan, members in zip(plans, groups.values(), strict=True):
        columns = _columns_of(plan, members)
        if columns is None:
            return None
        shapes.append({"type": plan.name, "fields": _write_columns(plan, columns, registry)})
    places = {kind: place for place, kind in enumerate(groups)}
    return {"shapes": shapes, "of": list(map(places.__getitem__, map(type, events)))}


def _by_class(events: Sequence[Event]) -> dict[type[Event], Sequence[Event]]:
    kinds = set(map(type, events))
    if len(kinds) == 1:
        return dict.fromkeys(kinds, events)
    groups: dict[type[Event], list[Event]] = {}
    for event in events:
        groups.setdefault(type(event), []).append(event)
    return {**groups}


def _columns_of(plan: ObjectPlan, events: Sequence[Event]) -> list[list[Any]] | None:
    """What events of one class hold, field by field; ``None`` if one is more or less than them."""
    if not plan.in_dict:
        return None
    held: list[dict[str, Any]] = list(map(attrgetter("__dict__"), events))
    if not {len(plan.names)}.issuperset(map(len, held)):
        return None
    try:
        return [list(map(itemgetter(field.name), held)) for field in plan.fields]
    except KeyError:
        return None


def _write_columns(
    plan: ObjectPlan, columns: list[list[Any]], registry: Registry
) -> dict[str, list[Any]]:
    writer = Writer(registry)
    return {
        field.name: writer.column(field, column)
        for field, column in zip(plan.fields, columns, strict=True)
    }


def check_packed(data: Any) -> int:
    """Check the form of columns of events, whatever they hold.

    Returns:
        The number of events.

    Raises:
        Malformed: it is another.
    """
    if kind_of(data) is not dict or data.keys() != {"shapes", "of"}:
        raise Malformed('expected events: {"shapes": [...], "of": [...]}')
    shapes, of = data["shapes"], data["of"]
    if kind_of(shapes) is not list or kind_of(of) is not list:
        raise Malformed("expected lists of shapes and of their numbers")
    if not {int}.issuperset(map(type, of)) or not set(range(len(shapes))).issuperset(of):
        raise Malformed("expected the number of a shape for each event")
    for place, shape in enumerate(shapes):
        if not _is_shape(shape, of.count(place)):
            raise Malformed(f"shape {place} is not a type and fields with a value per event")
    return len(of)


def _is_shape(shape: Any, events: int) -> bool:
    if kind_of(shape) is not dict or shape.keys() != {"type", "fields"}:
        return False
    fields = shape["fields"]
    if type(shape["type"]) is not str or kind_of(fields) is not dict:
        return False
    return all(kind_of(column) is list and len(column) == events for column in fields.values())


def read_packed(packed: dict[str, Any], reader: Reader) -> list[Event]:
    """Read events from columns of which the form has been checked.

    Raises:
        Malformed: one of them is not what the writer writes; it does not say which one.
    """
    shapes, of = packed["shapes"], packed["of"]
    groups = [
        reader.events(shape["type"], shape["fields"], of.count(place))
        for place, shape in enumerate(shapes)
    ]
    if len(groups) == 1:
        return groups[0]
    return list(_in_order(list(map(iter, groups)), of))


def _in_order(sources: Sequence[Iterator[T]], of: list[int]) -> Iterator[T]:
    for place in of:
        yield next(sources[place])
