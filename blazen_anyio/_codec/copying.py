"""Private copies, and the question whether two values are exactly the same.

Both are on the path of every access to state, so a container is first asked whether it holds atoms
only, which costs no Python code per item.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Collection
from types import NoneType
from typing import Any

from .classes import ObjectPlan
from .faults import MAX_DEPTH, MAX_ITEMS, Unstorable, kind_of, too_deep, too_large
from .registry import Registry
from .scalars import ATOMS, SCALARS, same_scalar
from .writing import Writer, canonical

__all__ = ["Comparer", "Copier"]


class Copier:
    """Makes one private copy: immutable atoms are shared, everything else is rebuilt."""

    __slots__ = ("_registry", "_room")

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self._room = MAX_ITEMS

    def copy(self, value: Any, depth: int = 0) -> Any:
        """Copy a value.

        Raises:
            Unstorable: it could not be restored exactly.
        """
        kind = kind_of(value)
        if kind in ATOMS:
            return value
        copy = _COPIERS.get(kind)
        if copy is not None:
            self._enter(len(value), depth, kind)
            return copy(self, value, depth + 1)
        plan = self._registry.plans.get(kind)
        if plan is None:
            return _copy_scalar(value)
        if isinstance(plan, ObjectPlan):
            self._enter(len(plan.fields), depth, kind)
            return self._copy_object(plan, value, depth + 1)
        return value

    def _enter(self, size: int, depth: int, kind: type) -> None:
        if depth >= MAX_DEPTH:
            raise too_deep(kind)
        self._room -= size
        if self._room < 0:
            raise too_large(kind)

    def copy_items(self, items: Collection[Any], depth: int) -> list[Any]:
        """Copy what a container holds, in its order."""
        if ATOMS.issuperset(map(type, items)):
            return list(items)
        copied: list[Any] = []
        try:
            for item in items:
                copied.append(self.copy(item, depth))  # noqa: PERF401  # its length is the index
        except Unstorable as fault:
            fault.at(len(copied))
            raise
        return copied

    def copy_dict(self, value: dict[Any, Any], depth: int) -> dict[Any, Any]:
        """Copy the keys and the values of a dict."""
        if ATOMS.issuperset(map(type, value)) and ATOMS.issuperset(map(type, value.values())):
            return value.copy()
        copied: dict[Any, Any] = {}
        for key, item in value.items():
            try:
                copied[self.copy(key, depth)] = self.copy(item, depth)
            except Unstorable as fault:
                fault.at(key)
                raise
        return copied

    def _copy_object(self, plan: ObjectPlan, value: Any, depth: int) -> Any:
        values = plan.values(value)
        copied: dict[str, Any] = {}
        for field in plan.fields:
            name = field.name
            if name not in values:
                continue
            try:
                copied[name] = None if field.dropped else self.copy(values[name], depth)
            except Unstorable as fault:
                fault.at(name)
                raise
        return plan.restore(copied)


_COPIERS: dict[type, Callable[[Copier, Any, int], Any]] = {
    list: Copier.copy_items,
    dict: Copier.copy_dict,
    tuple: lambda copier, value, depth: tuple(copier.copy_items(value, depth)),
    set: lambda copier, value, depth: set(copier.copy_items(value, depth)),
    frozenset: lambda copier, value, depth: frozenset(copier.copy_items(value, depth)),
}


def _copy_scalar(value: Any) -> Any:
    kind = kind_of(value)
    scalar = SCALARS.get(kind)
    if scalar is None:
        raise Unstorable(kind)
    if scalar.kind is bytearray:
        return bytearray(value)
    scalar.write(value)  # an immutable one, but not every value of it can be restored
    return value


_EQUAL_IS_SAME = frozenset({NoneType, bool, int, str, bytes})
"""Types whose values, if they are equal, can't be told apart."""


class Comparer:
    """Says whether two values are the same in value and type all the way down.

    The order of a dict counts, since it is kept; that of a set does not. ``NaN`` is the same as
    ``NaN``, ``-0.0`` is not ``0.0``. What the codec can't copy is the same as nothing but itself.
    """

    __slots__ = ("_registry",)

    def __init__(self, registry: Registry) -> None:
        self._registry = registry

    def same(self, first: Any, second: Any, depth: int = 0) -> bool:
        """Compare two values."""
        kind = kind_of(first)
        if kind is not type(second):
            return False
        if first is second:
            return True
        if kind in _EQUAL_IS_SAME:
            return bool(first == second)
        compare = _COMPARERS.get(kind)
        if compare is not None:
            return depth < MAX_DEPTH and compare(self, first, second, depth + 1)
        plan = self._registry.plans.get(kind)
        if isinstance(plan, ObjectPlan):
            return depth < MAX_DEPTH and self._same_objects(plan, first, second, depth + 1)
        return kind in SCALARS and same_scalar(first, second)

    def same_items(self, first: Collection[Any], second: Collection[Any], depth: int) -> bool:
        """Compare two sequences item by item."""
        types = list(map(type, first))
        if types != list(map(type, second)):
            return False
        if _EQUAL_IS_SAME.issuperset(types):
            return all(map(operator.eq, first, second))
        return all(self.same(one, other, depth) for one, other in zip(first, second, strict=True))

    def same_dicts(self, first: dict[Any, Any], second: dict[Any, Any], depth: int) -> bool:
        """Compare two dicts, their order included."""
        return self.same_items(first, second, depth) and self.same_items(
            first.values(), second.values(), depth
        )

    def same_sets(self, first: Collection[Any], second: Collection[Any], depth: int) -> bool:
        """Compare two sets, whose order says nothing."""
        if len(first) != len(second):
            return False
        try:
            return self._set_text(first) == self._set_text(second)
        except Unstorable:
            return False

    def _set_text(self, items: Collection[Any]) -> str:
        return canonical(Writer(self._registry).value(items))

    def _same_objects(self, plan: ObjectPlan, first: Any, second: Any, depth: int) -> bool:
        try:
            ours, theirs = plan.values(first), plan.values(second)
        except Unstorable:
            return False
        return all(
            self._same_field(field.name, ours, theirs, depth)
            for field in plan.fields
            if not field.dropped
        )

    def _same_field(
        self, name: str, ours: dict[str, Any], theirs: dict[str, Any], depth: int
    ) -> bool:
        if name not in ours or name not in theirs:
            return name not in ours and name not in theirs
        return self.same(ours[name], theirs[name], depth)


_COMPARERS: dict[type, Callable[[Comparer, Any, Any, int], bool]] = {
    list: Comparer.same_items,
    tuple: Comparer.same_items,
    dict: Comparer.same_dicts,
    set: Comparer.same_sets,
    frozenset: Comparer.same_sets,
}
