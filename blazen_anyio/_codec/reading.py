"""From plain data to values, strictly.

Each tag has one reader, which wants exactly the keys that the writer writes. Classes are looked up
among those that the codec was given; objects are restored field by field, each checked against its
annotation.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from .._events import Event
from .classes import JSON_ATOMS, FieldPlan, ObjectPlan
from .faults import MAX_DEPTH, Malformed, kind_of, shown
from .registry import Registry
from .scalars import READERS
from .writing import TAG

__all__ = ["WAYS_OUT", "Reader"]

WAYS_OUT = "name its class in Workflow(types=[...]), or pass renames={old: new}"

_KINDS = {"event": "event type", "object": "class", "enum": "enum"}


class Reader:
    """Reads values and events; ``renames`` maps names of types that have changed since."""

    __slots__ = ("_registry", "_renames")

    def __init__(self, registry: Registry, renames: Mapping[str, str]) -> None:
        self._registry = registry
        self._renames = renames

    def value(self, data: Any, depth: int = 0) -> Any:
        """Read a value.

        Raises:
            Malformed: the data is not what the writer writes.
        """
        kind = kind_of(data)
        if kind in JSON_ATOMS:
            return data
        if kind is list:
            return self._items(data, _inside(depth))
        if kind is not dict:
            raise Malformed(f"expected JSON data, got {kind.__name__}")
        if TAG in data:
            return self._tagged(data, depth)
        return self._plain_dict(data, _inside(depth))

    def event(self, data: Any) -> Event:
        """Read an event that has no tag.

        Raises:
            Malformed: as for ``value``.
        """
        if not _is_event(data):
            raise Malformed('expected an event: {"type": ..., "fields": {...}}')
        event: Event = self.read_event(data, 1)
        return event

    def events(self, name: str, columns: dict[str, list[Any]], count: int) -> list[Event]:
        """Read events of one type from columns of their fields.

        Raises:
            Malformed: as for ``value``; it does not say which event.
        """
        plan = self._find(self._registry.events, {"type": name})
        if columns.keys() != plan.names:
            rows = ({key: column[i] for key, column in columns.items()} for i in range(count))
            return [self._restore(plan, row, 1) for row in rows]
        values = {field.name: self._column(field, columns[field.name]) for field in plan.fields}
        events: list[Event] = plan.restore_all(values, count)
        return events

    def _column(self, field: FieldPlan, data: list[Any]) -> list[Any]:
        if field.plain.issuperset(map(type, data)):
            return data
        return [self._field(field, item, 1) for item in data]

    def unknown_types(self, data: Any) -> Iterator[str]:
        """Describe each event type, class and enum that ``data`` names and nobody knows here.

        Args:
            data: whatever ``value`` or ``event`` reads.
        """
        waiting: list[Any] = [{TAG: "event", **data} if _is_event(data) else data]
        while waiting:
            part = waiting.pop()
            kind = kind_of(part)
            if kind is list:
                waiting.extend(part)
            elif kind is dict:
                waiting.extend(part.values())
                if self._names_unknown_type(part):
                    yield f"{_KINDS[part[TAG]]} {shown(part['type'])}"

    def _names_unknown_type(self, part: dict[str, Any]) -> bool:
        tables: dict[str, Mapping[str, Any]] = {
            "event": self._registry.events,
            "object": self._registry.objects,
            "enum": self._registry.enums,
        }
        table = tables.get(str(part.get(TAG)))
        name = part.get("type")
        return table is not None and isinstance(name, str) and self._renamed(name) not in table

    def _renamed(self, name: str) -> str:
        return self._renames.get(name, name)

    def _items(self, data: list[Any], depth: int) -> list[Any]:
        if JSON_ATOMS.issuperset(map(type, data)):
            return data.copy()
        items: list[Any] = []
        try:
            for item in data:
                items.append(self.value(item, depth))  # noqa: PERF401  # its length is the index
        except Malformed as fault:
            fault.at(len(items))
            raise
        return items

    def _plain_dict(self, data: dict[str, Any], depth: int) -> dict[str, Any]:
        if JSON_ATOMS.issuperset(map(type, data.values())):
            return data.copy()
        values: dict[str, Any] = {}
        for key, item in data.items():
            try:
                values[key] = self.value(item, depth)
            except Malformed as fault:
                fault.at(key)
                raise
        return values

    def _tagged(self, data: dict[str, Any], depth: int) -> Any:
        tag = data[TAG]
        if type(tag) is str:
            if tag in READERS:
                _want_keys(data, "v")
                return READERS[tag](data["v"])
            if tag in _TAGGED:
                keys, read = _TAGGED[tag]
                _want_keys(data, *keys)
                return read(self, data, depth if tag == "enum" else _inside(depth))
        raise Malformed(f"unknown tag {shown(tag)}")

    def read_tuple(self, data: dict[str, Any], depth: int) -> tuple[Any, ...]:
        """Read a tuple."""
        return tuple(self._items(_listed(data["v"]), depth))

    def read_set(self, data: dict[str, Any], depth: int) -> set[Any]:
        """Read a set."""
        return set(_distinct(self._items(_listed(data["v"]), depth)))

    def read_frozenset(self, data: dict[str, Any], depth: int) -> frozenset[Any]:
        """Read a frozenset."""
        return frozenset(self.read_set(data, depth))

    def read_dict(self, data: dict[str, Any], depth: int) -> dict[Any, Any]:
        """Read a dict whose keys are more than plain text."""
        keys = self._items(_listed(data["k"]), depth)
        values = self._items(_listed(data["v"]), depth)
        if len(keys) != len(values):
            raise Malformed(f"a dict with {len(keys)} keys and {len(values)} values")
        return dict(zip(_distinct(keys), values, strict=True))

    def read_enum(self, data: dict[str, Any], depth: int) -> Any:
        """Read a member of an enum."""
        plan = self._find(self._registry.enums, data)
        try:
            return plan.read(self.value(data["member"], depth))
        except ValueError as error:
            reason = f"{plan.cls.__qualname__} has no member {shown(data['member'])}"
            raise Malformed(reason) from error

    def read_object(self, data: dict[str, Any], depth: int) -> Any:
        """Read an attrs object or a dataclass."""
        plan = self._find(self._registry.objects, data)
        return self._restore(plan, data["fields"], depth)

    def read_event(self, data: dict[str, Any], depth: int) -> Any:
        """Read an event inside a value."""
        plan = self._find(self._registry.events, data)
        return self._restore(plan, data["fields"], depth)

    def _find(self, table: Mapping[str, Any], data: dict[str, Any]) -> Any:
        name = data["type"]
        if type(name) is not str:
            raise Malformed(f"expected the name of a type, got {shown(name)}")
        plan = table.get(self._renamed(name))
        if plan is None:
            kind = _KINDS[data.get(TAG, "event")]
            raise Malformed(f"unknown {kind} {shown(name)}; {WAYS_OUT}", unknown=True)
        return plan

    def _restore(self, plan: ObjectPlan, data: Any, depth: int) -> Any:
        kind = kind_of(data)
        if kind is not dict:
            raise Malformed(f"expected the fields of {plan.cls.__qualname__}")
        values: dict[str, Any] = {}
        for field in plan.fields:
            name = field.name
            try:
                if name not in data:
                    _fill_in(plan, field, values)
                elif kind_of(data[name]) in field.plain:
                    values[name] = data[name]
                else:
                    values[name] = self._field(field, data[name], depth)
            except Malformed as fault:
                fault.at(name)
                raise
        if extras := data.keys() - plan.names:
            extra = min(extras)
            raise Malformed(f"{plan.cls.__qualname__} has no field {shown(extra)}")
        return plan.restore(values)

    def _field(self, field: FieldPlan, data: Any, depth: int) -> Any:
        if kind_of(data) is dict and data.get(TAG) == "untyped":
            _want_keys(data, "v")
            return self.value(data["v"], depth)
        value = self.value(data, depth)
        problem = None if field.check is None else field.check(value)
        if problem is not None:
            where, reason = problem
            fault = Malformed(reason)
            fault.segments.append(where)
            raise fault
        return value


def _is_event(data: Any) -> bool:
    kind = kind_of(data)
    return kind is dict and data.keys() == {"type", "fields"}


def _inside(depth: int) -> int:
    if depth >= MAX_DEPTH:
        raise Malformed(f"nested deeper than {MAX_DEPTH} levels")
    return depth + 1


def _want_keys(data: dict[str, Any], *keys: str) -> None:
    if len(data) != len(keys) + 1 or not all(key in data for key in keys):
        wanted = ", ".join((TAG, *keys))
        raise Malformed(f"a value tagged {shown(data[TAG])} has exactly the keys {wanted}")


def _listed(data: Any) -> list[Any]:
    if kind_of(data) is not list:
        raise Malformed("expected a list of items")
    items: list[Any] = data
    return items


def _distinct(items: list[Any]) -> list[Any]:
    try:
        distinct = len(set(items)) == len(items)
    except Exception as error:  # a user's __hash__ or __eq__
        raise Malformed("an item that can't be in a set, or be a key") from error
    if not distinct:
        raise Malformed("an item that is there twice")
    return items


def _fill_in(plan: ObjectPlan, field: FieldPlan, values: dict[str, Any]) -> None:
    if field.default is None:
        if field.may_be_unset:
            return
        raise Malformed(f"missing, and {plan.cls.__qualname__} has no default for it")
    try:
        values[field.name] = field.default(plan.restore(values))
    except Exception as error:  # a user's factory
        raise Malformed(f"missing, and {plan.cls.__qualname__} fails to make a default") from error


_TAGGED: dict[str, tuple[tuple[str, ...], Callable[[Reader, Any, int], Any]]] = {
    "tuple": (("v",), Reader.read_tuple),
    "set": (("v",), Reader.read_set),
    "frozenset": (("v",), Reader.read_frozenset),
    "dict": (("k", "v"), Reader.read_dict),
    "enum": (("type", "member"), Reader.read_enum),
    "object": (("type", "fields"), Reader.read_object),
    "event": (("type", "fields"), Reader.read_event),
}
