"""Hypothesis strategies from event classes.

A field's strategy follows its validators where these are attrs' own, and else its type. What a
validator of the user's refuses is drawn again. Values are ones that a snapshot can hold, and equal
to themselves: no NaN.
"""

from __future__ import annotations

import types
import typing
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar, Union, cast, get_args, get_origin

import attrs
from hypothesis import assume
from hypothesis import strategies as st

from .._events import Event, StopEvent

__all__ = ["Draw", "Strategy", "events", "plain_values"]

E = TypeVar("E", bound=Event)
Strategy = st.SearchStrategy[Any]
Draw = Callable[[Strategy], Any]


def plain_values() -> Strategy:
    """Values that state, and fields annotated ``Any``, can hold without further ado."""
    atoms = st.one_of(
        st.none(),
        st.booleans(),
        st.integers(-(2**64), 2**64),
        st.floats(allow_nan=False),
        st.text(max_size=10),
        st.binary(max_size=5),
    )
    return st.recursive(
        atoms,
        lambda inner: st.one_of(
            st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=5), inner, max_size=3)
        ),
        max_leaves=5,
    )


# ---- events ----------------------------------------------------------------------------------


def events(kind: type[E], /, **fields: Strategy) -> st.SearchStrategy[E]:
    """Draw valid instances of an event class.

    Args:
        kind: the class.
        fields: strategies for fields, instead of those that follow from validators and types.

    Returns:
        A strategy for instances. What a validator refuses is drawn again.

    Raises:
        TypeError: there is no such field, or its type says nothing that could be drawn.

    Example::

        @given(events(Order, total=st.integers(1, 100)))
        def test_small_orders(order): ...
    """
    own = [field for field in attrs.fields(cast("Any", kind)) if field.init]
    known = {field.alias for field in own}
    if unknown := set(fields) - known:
        raise TypeError(f"{kind.__qualname__} has no field {min(unknown)!r}")
    hints = _hints(kind)
    drawn = dict(fields)
    for field in own:
        if field.alias not in fields and not _is_engines(kind, field):
            drawn[field.alias] = _of_field(kind, field, hints.get(field.name, Any))
    return _valid(kind, drawn)


@st.composite
def _valid(draw: Draw, kind: type[Any], fields: Mapping[str, Strategy]) -> Any:
    values = {name: draw(strategy) for name, strategy in fields.items()}
    try:
        return kind(**values)
    except (TypeError, ValueError, AssertionError):
        if not any(field.validator for field in attrs.fields(kind)):
            raise
        assume(False)


def _is_engines(kind: type[Event], field: attrs.Attribute[Any]) -> bool:
    """Whether a field is better left at its default: the result of a typed stop event."""
    return field.name == "result" and kind is not StopEvent and issubclass(kind, StopEvent)


def _hints(kind: type[Event]) -> dict[str, Any]:
    try:
        return typing.get_type_hints(kind, include_extras=True)
    except NameError:
        return {
            field.name: field.type
            for field in attrs.fields(cast("Any", kind))
            if not isinstance(field.type, str)
        }


def _of_field(kind: type[Event], field: attrs.Attribute[Any], annotation: Any) -> Strategy:
    bounds = _Bounds()
    bounds.read(field.validator)
    if bounds.choices is not None:
        return st.sampled_from(list(bounds.choices))
    try:
        strategy = _of_type(annotation, bounds)
    except Exception as error:
        raise TypeError(
            f"{kind.__qualname__}.{field.name}: no values can be drawn for {annotation!r}; pass "
            f"events({kind.__qualname__}, {field.alias}=a_strategy)"
        ) from error
    return st.none() | strategy if bounds.optional else strategy


@attrs.define
class _Bounds:
    """What the validators of attrs say about a field.

    Attributes:
        least, most: of a number.
        beyond: whether ``least`` and ``most`` themselves are refused.
        shortest, longest: of a text or container.
        pattern: of a text.
        choices: the only values.
        optional: ``None`` is one, too.
    """

    least: Any = None
    most: Any = None
    beyond: tuple[bool, bool] = (False, False)
    shortest: int = 0
    longest: int | None = None
    pattern: str | None = None
    choices: Sequence[Any] | None = None
    optional: bool = False

    def read(self, validator: Any) -> None:
        """Take over what a validator says; one of the user's says nothing that can be read.

        The classes of attrs' own are not public, so they are told by their names.
        """
        name = type(validator).__name__
        if name == "_AndValidator":
            for each in validator._validators:
                self.read(each)
        elif name == "_OptionalValidator":
            self.optional = True
            self.read(validator.validator)
        elif name == "_InValidator":
            self.choices = list(validator.options)
        elif name == "_NumberValidator":
            self._bound(validator.compare_op, validator.bound)
        elif name == "_MinLengthValidator":
            self.shortest = validator.min_length
        elif name == "_MaxLengthValidator":
            self.longest = validator.max_length
        elif name == "_MatchesReValidator":
            self.pattern = validator.pattern.pattern

    def _bound(self, operator: str, bound: Any) -> None:
        low, high = self.beyond
        if operator in (">", ">="):
            self.least, self.beyond = bound, (operator == ">", high)
        else:
            self.most, self.beyond = bound, (low, operator == "<")


_NO_BOUNDS = _Bounds()


def _of_type(annotation: Any, bounds: _Bounds = _NO_BOUNDS) -> Strategy:
    """What an annotation says, within bounds that apply to it as a whole."""
    if annotation in (Any, object):
        return plain_values()
    if _is_event(annotation):
        return events(annotation)
    origin, inner = get_origin(annotation), get_args(annotation)
    if origin is typing.Annotated:
        return _of_type(inner[0], bounds)
    if origin in (Union, types.UnionType):
        return st.one_of(*(_of_type(each, bounds) for each in inner))
    if annotation in _ATOMS:
        return _ATOMS[annotation](bounds)
    if origin is not None and inner and origin is not typing.Literal:
        return _of_container(origin, inner, bounds, annotation)
    return _from_type(annotation)


def _is_event(annotation: Any) -> bool:
    return isinstance(annotation, type) and issubclass(annotation, Event)


def _of_container(
    origin: Any, inner: tuple[Any, ...], bounds: _Bounds, annotation: Any
) -> Strategy:
    sizes: dict[str, Any] = {
        "min_size": bounds.shortest,
        "max_size": bounds.shortest + 5 if bounds.longest is None else bounds.longest,
    }
    name = getattr(origin, "__name__", "")
    if name in ("list", "Sequence", "Iterable", "Collection", "MutableSequence"):
        return st.lists(_of_type(inner[0]), **sizes)
    if name in ("dict", "Mapping", "MutableMapping"):
        return st.dictionaries(_of_type(inner[0]), _of_type(inner[1]), **sizes)
    if name == "set":
        return st.sets(_of_type(inner[0]), **sizes)
    if name == "frozenset":
        return st.frozensets(_of_type(inner[0]), **sizes)
    if name == "tuple" and len(inner) == 2 and inner[1] is Ellipsis:
        return st.lists(_of_type(inner[0]), **sizes).map(tuple)
    if name == "tuple":
        return st.tuples(*map(_of_type, inner))
    return _from_type(annotation)


def _from_type(annotation: Any) -> Strategy:
    """What Hypothesis makes of a type, refused at once if that is nothing."""
    strategy: Strategy = st.from_type(annotation)
    strategy.validate()
    return strategy


def _integers(bounds: _Bounds) -> Strategy:
    low, high = bounds.least, bounds.most
    if low is not None:
        low += bounds.beyond[0]
    if high is not None:
        high -= bounds.beyond[1]
    return st.integers(low, high)


def _floats(bounds: _Bounds) -> Strategy:
    return st.floats(
        bounds.least,
        bounds.most,
        allow_nan=False,
        exclude_min=bounds.beyond[0],
        exclude_max=bounds.beyond[1],
    )


def _texts(bounds: _Bounds) -> Strategy:
    if bounds.pattern is not None:
        return st.from_regex(bounds.pattern, fullmatch=True)
    return st.text(min_size=bounds.shortest, max_size=bounds.longest)


_ATOMS: dict[Any, Callable[[_Bounds], Strategy]] = {
    int: _integers,
    float: _floats,
    str: _texts,
    bytes: lambda bounds: st.binary(min_size=bounds.shortest, max_size=bounds.longest),
}
