"""The codec: everything that the engine asks of values."""

from __future__ import annotations

import hashlib
from collections.abc import Generator, Iterable, Mapping, Sequence
from contextlib import contextmanager, suppress
from types import MappingProxyType
from typing import Any

from .._events import Event
from .._exceptions import SnapshotError, StateValueError
from .classes import type_name
from .copying import Comparer, Copier
from .faults import Malformed, Unstorable, kind_of
from .packing import pack, pack_events
from .reading import Reader
from .registry import Registry
from .scalars import ATOMS
from .writing import TAG, Writer, canonical

__all__ = ["Codec", "refusing_at"]

_NO_RENAMES: Mapping[str, str] = MappingProxyType({})
_OUT_OF_STACK = "nests deeper than the stack that is left"


class Codec:
    """Copies, compares, writes and reads the values that a workflow's state and events hold.

    It has no state that its answers depend on, and may be used from several threads.

    Args:
        events: the event classes of the workflow; the built-in ones are always known.
        types: attrs classes, dataclasses and enums that state and ``Any`` fields may hold. What
            the annotations of all these classes name is found by itself.

    Raises:
        DefinitionError: a class that can't be restored, or two under one name.
    """

    def __init__(self, events: Iterable[type[Event]], types: Iterable[type] = ()) -> None:
        self._use(Registry([*events, *types]))

    @classmethod
    def of(cls, registry: Registry) -> Codec:
        """Make a codec of a registry that is there already."""
        codec = cls.__new__(cls)
        codec._use(registry)
        return codec

    def _use(self, registry: Registry) -> None:
        self._registry = registry
        self._comparer = Comparer(registry)

    def copy(self, value: Any, key: str) -> Any:
        """Make a private copy of a value: immutable ones themselves, containers rebuilt.

        Args:
            value: what a step puts into state.
            key: named in the error.

        Raises:
            StateValueError: the value could not be restored exactly.
        """
        if type(value) in ATOMS:
            return value
        try:
            return Copier(self._registry).copy(value)
        except Unstorable as fault:
            raise fault.error(key) from fault.__cause__
        except RecursionError:
            raise StateValueError(key, kind_of(value), _OUT_OF_STACK) from None

    def same(self, first: Any, second: Any) -> bool:
        """Say whether two values are the same in value and type all the way down.

        The order of a dict counts, that of a set does not. ``1``, ``1.0`` and ``True`` differ, and
        so do ``0.0`` and ``-0.0``; ``NaN`` is the same as ``NaN``.
        """
        try:
            return self._comparer.same(first, second)
        except RecursionError:
            return False

    def encode(self, value: Any, path: str) -> Any:
        """Write a value as plain data that JSON keeps exactly.

        Args:
            value: any value that ``copy`` takes.
            path: named in the error.

        Raises:
            StateValueError: the value could not be restored exactly.
        """
        try:
            return Writer(self._registry).value(value)
        except Unstorable as fault:
            raise fault.error(path) from fault.__cause__
        except RecursionError:
            raise StateValueError(path, kind_of(value), _OUT_OF_STACK) from None

    def encode_event(self, event: Event) -> dict[str, Any]:
        """Write an event: ``{"type": ..., "fields": {...}}``.

        An event of a class that the codec was not given is written, too: nothing is lost by that,
        and reading it names the class that is missing. The live error of a ``StepFailed`` is not.

        Raises:
            StateValueError: a live object in a field; its ``key`` reads ``Fetch.client``.
        """
        name = type(event).__name__
        try:
            return Writer(self._registry).event(event)
        except Unstorable as fault:
            field = fault.segments.pop() if fault.segments else ""
            raise fault.error(name + field) from fault.__cause__
        except RecursionError:
            raise StateValueError(name, type(event), _OUT_OF_STACK) from None

    def encode_events(self, events: Sequence[Event]) -> dict[str, Any]:
        """Write many events at once, in columns: what ``pack`` makes of ``encode_event`` of each.

        Raises:
            StateValueError: as for ``encode_event``.
        """
        with suppress(Unstorable, RecursionError):
            packed = pack_events(events, self._registry)
            if packed is not None:
                return packed
        return pack(map(self.encode_event, events))

    def decode(self, data: Any, path: str, renames: Mapping[str, str] = _NO_RENAMES) -> Any:
        """Read a value that ``encode`` wrote.

        Args:
            data: plain data.
            path: where it is in its document, for the error.
            renames: new names of classes and event types that data names by old ones.

        Raises:
            SnapshotError: the data is not what ``encode`` writes.
        """
        with refusing_at(path):
            return Reader(self._registry, renames).value(data)

    def decode_event(self, data: Any, path: str, renames: Mapping[str, str] = _NO_RENAMES) -> Event:
        """Read an event that ``encode_event`` wrote.

        Objects are restored field by field: no ``__init__``, converter, validator or post-init hook
        runs. A field that data does not have takes its default; one that the class does not have is
        an error.

        Raises:
            SnapshotError: the data is not what ``encode_event`` writes, or names an unknown type.
        """
        with refusing_at(path):
            return Reader(self._registry, renames).event(data)

    def reader(self, renames: Mapping[str, str]) -> Reader:
        """Make what reads many values; use it inside ``refusing_at``."""
        return Reader(self._registry, renames)

    def digest(self, event: Event) -> str:
        """Digest an event: 32 hexadecimal digits, the same in every process.

        The order of dicts and sets does not matter, for it may come from the hash of a string. A
        field that holds what can't be written does not count.
        """
        data = {"type": type_name(type(event)), "fields": self._writable_fields(event)}
        text = canonical(data, sort_keys=True)
        if '"$":"dict"' in text:
            text = canonical(_without_order(data), sort_keys=True)
        return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()

    def _writable_fields(self, event: Event) -> dict[str, Any]:
        try:
            plan = self._registry.plan_of_event(type(event))
            values = plan.values(event)
        except Unstorable:
            return {}
        fields: dict[str, Any] = {}
        for field in plan.fields:
            if field.name in values:
                with suppress(Unstorable, RecursionError):
                    fields[field.name] = Writer(self._registry).field(field, values[field.name])
        return fields


@contextmanager
def refusing_at(path: str) -> Generator[None]:
    """Turn a fault of a reader into the error that the user sees.

    Raises:
        SnapshotError: the data is malformed.
    """
    try:
        yield
    except Malformed as fault:
        raise fault.error(path) from fault.__cause__
    except RecursionError:
        raise SnapshotError(_OUT_OF_STACK, path) from None


def _without_order(data: Any) -> Any:
    kind = kind_of(data)
    if kind is list:
        return [_without_order(item) for item in data]
    if kind is not dict:
        return data
    plain: dict[str, Any] = {key: _without_order(item) for key, item in data.items()}
    if plain.get(TAG) == "dict":
        pairs = zip(plain.pop("k"), plain["v"], strict=True)
        plain["v"] = sorted(pairs, key=_text_without_order)
    return plain


def _text_without_order(data: Any) -> str:
    return canonical(data, sort_keys=True)
