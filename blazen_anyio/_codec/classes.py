"""Classes: how an attrs class, dataclass, event or enum is taken apart and put together.

An object is its fields. It is restored as it was, field by field: neither ``__init__`` nor
converters, validators and post-init hooks run again; they could make another value of it, or refuse
what was there. An object that holds more than its fields can't be restored and is refused.
"""

from __future__ import annotations

import dataclasses
import enum
import functools
import types
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from itertools import repeat
from typing import Any

import attrs

from .._events import Event, StepFailed
from .annotations import Check, check_of, classes_in, hints_of
from .faults import Unstorable

__all__ = [
    "JSON_ATOMS",
    "EnumPlan",
    "FieldPlan",
    "ObjectPlan",
    "make_objects",
    "plan_of",
    "type_name",
]


JSON_ATOMS: frozenset[type[Any]] = frozenset({str, int, float, bool, type(None)})
"""Types whose values in plain data stand for themselves."""


@attrs.frozen(eq=False, repr=False)
class FieldPlan:
    """One field of a class.

    Attributes:
        name: of the attribute, leading underscores included.
        check: what the annotation asks for; ``None`` if every value will do.
        default: makes the value of a field that data does not have, given the object with the
            fields before it; ``None`` if there is no default.
        may_be_unset: nothing sets it before ``__init__`` has run (``init=False``, no default).
        dropped: a live value that is ``None`` in every copy (the error of a ``StepFailed``).
        plain: JSON's own types of which every value will do.
    """

    name: str
    check: Check | None
    default: Callable[[Any], Any] | None = None
    may_be_unset: bool = False
    dropped: bool = False
    plain: frozenset[type[Any]] = attrs.field(
        init=False, default=attrs.Factory(lambda self: self.find_plain(), takes_self=True)
    )

    def find_plain(self) -> frozenset[type[Any]]:
        """Find the value of ``plain``."""
        return JSON_ATOMS if self.check is None else JSON_ATOMS & self.check.exact


@attrs.frozen(eq=False, repr=False)
class EnumPlan:
    """An enum: members are written by name, so that values may change; flags by number."""

    cls: type[enum.Enum]
    name: str

    def write(self, member: enum.Enum) -> Any:
        """Name a member."""
        return member.value if isinstance(member, enum.Flag) else member.name

    def read(self, data: Any) -> enum.Enum:
        """Find the member.

        Raises:
            ValueError: there is none.
        """
        if issubclass(self.cls, enum.Flag):
            if type(data) is not int:
                raise ValueError("not a number")
            member: enum.Enum = self.cls(data)
            return member
        if type(data) is not str or data not in self.cls.__members__:
            raise ValueError("no such member")
        return self.cls.__members__[data]


@attrs.frozen(eq=False, repr=False)
class ObjectPlan:
    """A class with fields.

    Attributes:
        cls: the class.
        name: under which data names it.
        fields: in the order of the definition.
        is_event: it is named by its ``event_type``.
        in_dict: all fields live in the instance's ``__dict__``: the quick way in and out.
        foreign_slots: attributes of plain base classes that are no fields.
        caches: attributes that may be dropped (cached properties).
        caches_hash: attrs keeps the hash in an attribute that has to be there.
        mentions: the classes that the annotations of its fields name.
        names: of the fields.
    """

    cls: type[Any]
    name: str
    fields: tuple[FieldPlan, ...]
    is_event: bool
    in_dict: bool
    foreign_slots: tuple[str, ...]
    caches: frozenset[str]
    caches_hash: bool
    mentions: frozenset[type[Any]]
    names: frozenset[str]

    def values(self, instance: Any) -> dict[str, Any]:
        """Read the fields that are set. Don't change the result.

        Raises:
            Unstorable: the object is more, or less, than its fields.
        """
        if self.in_dict:
            values: dict[str, Any] = instance.__dict__
            if values.keys() == self.names:
                return values
        self._refuse_extras(instance)
        return self._values_one_by_one(instance)

    def _refuse_extras(self, instance: Any) -> None:
        held = [name for name in self.foreign_slots if hasattr(instance, name)]
        held += getattr(instance, "__dict__", {})
        for name in held:
            if name in self.names or name in self.caches or name.startswith("__"):
                continue  # double underscores: what Python and typing note on instances
            raise Unstorable(
                self.cls, f"can't be restored exactly: its attribute {name!r} is not a field"
            )

    def _values_one_by_one(self, instance: Any) -> dict[str, Any]:
        values: dict[str, Any] = {}
        for field in self.fields:
            try:
                values[field.name] = object.__getattribute__(instance, field.name)
            except AttributeError:
                if not field.may_be_unset:
                    reason = f"can't be restored exactly: its field {field.name!r} is not set"
                    raise Unstorable(self.cls, reason) from None
        return values

    def restore_all(self, columns: dict[str, list[Any]], count: int) -> list[Any]:
        """Make the objects that have these fields, each a column of values."""
        if self.caches_hash:
            columns = {**columns, _CACHED_HASH: [None] * count}
        return make_objects(self.cls, columns, count)

    def restore(self, values: dict[str, Any]) -> Any:
        """Make the object that has these fields."""
        instance: Any = object.__new__(self.cls)
        if self.in_dict:
            instance.__dict__.update(values)
        else:
            for name, value in values.items():
                object.__setattr__(instance, name, value)
        if self.caches_hash:
            object.__setattr__(instance, _CACHED_HASH, None)
        return instance


_CACHED_HASH = "_attrs_cached_hash"


def make_objects(cls: type[Any], columns: Mapping[str, Iterable[Any]], count: int) -> list[Any]:
    """Make many objects of a class from columns of their attributes, without its ``__init__``.

    No Python code runs per object. A column may be endless.
    """
    objects = list(map(object.__new__, repeat(cls, count)))
    for name, column in columns.items():
        slot = getattr(cls, name, None)
        if isinstance(slot, types.MemberDescriptorType):
            deque(map(slot.__set__, objects, column), maxlen=0)
        else:
            deque(map(object.__setattr__, objects, repeat(name), column), maxlen=0)
    return objects


def type_name(cls: type[Any]) -> str:
    """Name a class in data: an event by its ``event_type``, others by module and qualified name."""
    if issubclass(cls, Event):
        return cls.event_type
    return f"{cls.__module__}.{cls.__qualname__}"


def plan_of(cls: type[Any]) -> ObjectPlan | EnumPlan | None:
    """Study a class.

    Returns:
        How to write and restore its objects, or ``None`` if it is of no kind that can be restored.
    """
    if issubclass(cls, enum.Enum):
        return EnumPlan(cls, type_name(cls))
    if not _is_made_of_fields(cls):
        return None
    fields, hints = _attrs_fields(cls) if attrs.has(cls) else _dataclass_fields(cls)
    foreign_slots = tuple(_foreign_slots(cls))
    return ObjectPlan(
        cls=cls,
        name=type_name(cls),
        fields=fields,
        is_event=issubclass(cls, Event),
        in_dict=_keeps_in_dict(cls, fields) and not foreign_slots,
        foreign_slots=foreign_slots,
        caches=_cached_properties(cls) | {_CACHED_HASH},
        caches_hash=_CACHED_HASH in _names_used_by(cls.__hash__),
        mentions=frozenset[type[Any]]().union(*map(classes_in, hints.values())),
        names=frozenset(hints),
    )


def _is_made_of_fields(cls: type[Any]) -> bool:
    if not (attrs.has(cls) or dataclasses.is_dataclass(cls)):
        return False
    try:
        # Refuses exceptions, subclasses of builtin containers and abstract classes.
        object.__new__(cls)
    except TypeError:
        return False
    return True


def _attrs_fields(cls: type[Any]) -> tuple[tuple[FieldPlan, ...], dict[str, Any]]:
    attributes = attrs.fields(cls)
    hints = hints_of(cls, {a.name: Any if a.type is None else a.type for a in attributes})
    fields = tuple(
        FieldPlan(
            name=attribute.name,
            check=check_of(hints[attribute.name]),
            default=_attrs_default(attribute),
            may_be_unset=not attribute.init and attribute.default is attrs.NOTHING,
            dropped=issubclass(cls, StepFailed) and attribute.name == "error",
        )
        for attribute in attributes
    )
    return fields, hints


def _attrs_default(attribute: Any) -> Callable[[Any], Any] | None:
    default: Any = attribute.default
    # What a converter would make of the default now may be another value than it was then.
    if default is attrs.NOTHING or attribute.converter is not None:
        return None
    if not isinstance(default, attrs.Factory):  # type: ignore[arg-type]
        return lambda instance: default
    factory: Any = default
    if factory.takes_self:
        return lambda instance: factory.factory(instance)
    return lambda instance: factory.factory()


def _dataclass_fields(cls: Any) -> tuple[tuple[FieldPlan, ...], dict[str, Any]]:
    found = dataclasses.fields(cls)
    hints = hints_of(cls, {field.name: field.type for field in found})
    fields = tuple(
        FieldPlan(
            name=field.name,
            check=check_of(hints[field.name]),
            default=_dataclass_default(field),
            may_be_unset=not field.init and _dataclass_default(field) is None,
        )
        for field in found
    )
    return fields, hints


def _dataclass_default(field: dataclasses.Field[Any]) -> Callable[[Any], Any] | None:
    if field.default is not dataclasses.MISSING:
        return lambda instance: field.default
    if field.default_factory is not dataclasses.MISSING:
        factory = field.default_factory
        return lambda instance: factory()
    return None


def _keeps_in_dict(cls: type[Any], fields: tuple[FieldPlan, ...]) -> bool:
    if not getattr(cls, "__dictoffset__", 0):
        return False
    return not any(hasattr(getattr(cls, field.name, None), "__set__") for field in fields)


def _foreign_slots(cls: type[Any]) -> Iterable[str]:
    for base in cls.__mro__:
        if "__attrs_attrs__" in vars(base) or "__dataclass_fields__" in vars(base):
            continue
        slots = vars(base).get("__slots__", ())
        for name in (slots,) if isinstance(slots, str) else slots:
            if not name.startswith("__"):
                yield name


def _cached_properties(cls: type[Any]) -> frozenset[str]:
    return frozenset(
        name
        for base in cls.__mro__
        for name, value in vars(base).items()
        if isinstance(value, functools.cached_property)
    )


def _names_used_by(function: object) -> tuple[str, ...]:
    code = getattr(function, "__code__", None)
    return code.co_names if isinstance(code, types.CodeType) else ()
