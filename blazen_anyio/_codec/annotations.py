"""Annotations: the classes they name, and checks that a value is what they say.

A check never changes a value. What it can't judge (``Any``, type variables, protocols, names that
do not resolve) it lets pass: a value is written by its own type, so nothing is lost by that.
"""

from __future__ import annotations

import collections.abc
import dataclasses
import enum
import functools
import sys
import types
import typing
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from typing import Annotated, Any, Literal, Union

import attrs

from .faults import kind_of, segment

__all__ = ["Check", "Problem", "check_of", "classes_in", "hints_of"]

Problem = tuple[str, str]
"""Where below the value, as a path, and what is wrong there."""


@attrs.frozen(eq=False, repr=False)
class Check:
    """Says whether a value is what an annotation asks for.

    Attributes:
        exact: types of which every value passes; the quick way.
        test: finds the problem of any other value.
    """

    exact: frozenset[type[Any]]
    test: Callable[[Any], Problem | None]

    def __call__(self, value: Any) -> Problem | None:
        return None if type(value) in self.exact else self.test(value)


def hints_of(cls: type[Any], declared: Mapping[str, Any]) -> dict[str, Any]:
    """Evaluate the annotations of a class's fields.

    Args:
        cls: the class.
        declared: the annotations by field, some of them still text.

    Returns:
        The annotations by field; ``Any`` where one can't be evaluated.
    """
    try:
        found = typing.get_type_hints(cls, include_extras=True)
    except Exception:  # one bad name fails all: take them one by one
        found = {}
    return {
        name: found[name] if name in found else _evaluate(cls, annotation)
        for name, annotation in declared.items()
    }


def _evaluate(cls: type[Any], annotation: Any) -> Any:
    def probe() -> None: ...

    probe.__annotations__ = {"it": annotation}
    names: dict[str, Any] = {}
    for base in reversed(cls.__mro__):
        module = sys.modules.get(base.__module__)
        names.update(vars(module) if module is not None else {})
    try:
        return typing.get_type_hints(probe, names, include_extras=True)["it"]
    except Exception:  # an annotation may be any expression
        return Any


def classes_in(annotation: Any) -> frozenset[type[Any]]:
    """Find every class that an annotation names, in its arguments too."""
    seen: list[Any] = []
    waiting = [annotation]
    found: set[type[Any]] = set()
    while waiting:
        part = _look_through(waiting.pop())
        if part in seen:  # an alias may contain itself
            continue
        seen.append(part)
        origin = typing.get_origin(part)
        if isinstance(part, enum.Enum):
            found.add(type(part))
        elif isinstance(part, type):
            found.add(part)
        elif isinstance(origin, type):
            found.add(origin)
        waiting.extend(_parts(part))
    return frozenset(found)


def _parts(annotation: Any) -> Iterator[Any]:
    if hasattr(annotation, "__value__"):  # type X = ...
        yield annotation.__value__
    for argument in typing.get_args(annotation):
        if isinstance(argument, list):  # the parameters of a Callable
            yield from argument
        else:
            yield argument


def _look_through(annotation: Any) -> Any:
    while True:
        origin = typing.get_origin(annotation)
        if origin in (Annotated, typing.Final, typing.ClassVar):
            annotation = typing.get_args(annotation)[0]
        elif hasattr(annotation, "__supertype__"):  # NewType
            annotation = annotation.__supertype__
        else:
            return annotation


def check_of(annotation: Any) -> Check | None:
    """Make the check for an annotation.

    Returns:
        The check, or ``None`` if every value passes.
    """
    annotation = _look_through(annotation)
    if isinstance(annotation, type):
        return _class_check(annotation)
    if hasattr(annotation, "__value__"):  # type X = ...
        return _alias_check(annotation)
    origin = typing.get_origin(annotation)
    arguments = typing.get_args(annotation)
    if origin in (Union, types.UnionType):
        return _union_check(arguments, _name(annotation))
    if origin is Literal:
        return _literal_check(arguments, _name(annotation))
    if origin is tuple:
        return _tuple_check(arguments)
    if isinstance(origin, type):
        return _generic_check(origin, arguments)
    return None


def _name(annotation: Any) -> str:
    if annotation is types.NoneType:
        return "None"
    if isinstance(annotation, type):
        return annotation.__qualname__
    if typing.get_origin(annotation) in (Union, types.UnionType):
        return " | ".join(_name(argument) for argument in typing.get_args(annotation))
    return str(annotation).replace("typing.", "")


def _expected(name: str, value: Any) -> Problem:
    return "", f"expected {name}, got {_name(type(value))}"


_ACCEPTED: dict[type[Any], frozenset[type[Any]]] = {
    # As type checkers see it: an int will do for a float. It stays an int.
    float: frozenset({float, int}),
    complex: frozenset({complex, float, int}),
}


def _class_check(cls: type[Any]) -> Check | None:
    if cls is object or getattr(cls, "_is_protocol", False):
        return None
    if typing.is_typeddict(cls):
        return _class_check(dict)
    try:
        isinstance(None, cls)
    except Exception:  # a metaclass may do anything
        return None
    exact = _ACCEPTED.get(cls, frozenset({cls}))

    accepted = tuple(exact)
    refuses_bool = cls in (int, float, complex)

    def test(value: Any) -> Problem | None:
        fits = isinstance(value, accepted) and not (refuses_bool and type(value) is bool)
        return None if fits else _expected(_name(cls), value)

    return Check(exact, test)


def _alias_check(alias: Any) -> Check:
    # Evaluated on use, because an alias may contain itself.
    @functools.cache
    def meaning() -> Check | None:
        return check_of(alias.__value__)

    def test(value: Any) -> Problem | None:
        check = meaning()
        return None if check is None else check(value)

    return Check(frozenset(), test)


def _union_check(arguments: tuple[Any, ...], name: str) -> Check | None:
    found = [check_of(argument) for argument in arguments]
    checks = [check for check in found if check is not None]
    if len(checks) < len(found):
        return None
    exact = frozenset[type]().union(*(check.exact for check in checks))

    def test(value: Any) -> Problem | None:
        problems = [check(value) for check in checks]
        if None in problems:
            return None
        deep = [problem for problem in problems if problem is not None and problem[0]]
        return deep[0] if len(deep) == 1 else _expected(name, value)

    return Check(exact, test)


def _literal_check(arguments: tuple[Any, ...], name: str) -> Check:
    allowed = {(kind_of(argument), argument) for argument in arguments}

    def test(value: Any) -> Problem | None:
        try:
            known = (kind_of(value), value) in allowed
        except TypeError:  # not hashable
            known = False
        return None if known else _expected(name, value)

    return Check(frozenset(), test)


def _tuple_check(arguments: tuple[Any, ...]) -> Check:
    if len(arguments) == 2 and arguments[1] is Ellipsis:
        return _items_check(tuple, check_of(arguments[0]))
    checks = [check_of(argument) for argument in arguments]

    def test(value: Any) -> Problem | None:
        if kind_of(value) is not tuple:
            return _expected("tuple", value)
        items: tuple[Any, ...] = value
        if len(items) != len(checks):
            return "", f"expected a tuple of {len(checks)}, got one of {len(items)}"
        for index, (check, item) in enumerate(zip(checks, items, strict=True)):
            if check is not None and (problem := check(item)) is not None:
                return segment(index) + problem[0], problem[1]
        return None

    return Check(frozenset(), test)


def _generic_check(origin: type[Any], arguments: tuple[Any, ...]) -> Check | None:
    # An attrs class or dataclass may be a generic container of its own: its argument is no item's.
    if attrs.has(origin) or dataclasses.is_dataclass(origin):
        return _class_check(origin)
    if _is_subclass(origin, collections.abc.Mapping) and len(arguments) == 2:
        return _mapping_check(origin, check_of(arguments[0]), check_of(arguments[1]))
    if _is_subclass(origin, collections.abc.Iterable) and len(arguments) == 1:
        return _items_check(origin, check_of(arguments[0]))
    return _class_check(origin)


# Typed so that the class is not narrowed to a half-known generic.
_is_subclass: Callable[[type[Any], type[Any]], bool] = issubclass


_HOLD_ITEMS = frozenset({list, tuple, set, frozenset})


def _items_check(origin: type[Any], item_check: Check | None) -> Check:
    def test(value: Any) -> Problem | None:
        if not isinstance(value, origin):
            return _expected(_name(origin), value)
        if kind_of(value) not in _HOLD_ITEMS:
            return None
        items: Collection[Any] = value
        return _first_problem(item_check, items, enumerate(items))

    return Check(frozenset(), test)


def _mapping_check(origin: type[Any], key_check: Check | None, item_check: Check | None) -> Check:
    def test(value: Any) -> Problem | None:
        if not isinstance(value, origin):
            return _expected(_name(origin), value)
        if kind_of(value) is not dict:
            return None
        mapping: dict[Any, Any] = value
        keys = ((key, key) for key in mapping)
        return _first_problem(key_check, mapping, keys) or _first_problem(
            item_check, mapping.values(), mapping.items()
        )

    return Check(frozenset(), test)


def _first_problem(
    check: Check | None, items: Iterable[Any], named: Iterable[tuple[Any, Any]]
) -> Problem | None:
    if check is None or check.exact.issuperset(map(type, items)):
        return None
    for key, item in named:
        problem = check(item)
        if problem is not None:
            return segment(key) + problem[0], problem[1]
    return None
