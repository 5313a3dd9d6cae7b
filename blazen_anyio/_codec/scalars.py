"""Values without parts: which JSON has a form for, and how the others are written.

A scalar type has a tag, a function to plain data and one back. Reading is strict without a grammar
of its own: what was read is written again, and has to give the same data.
"""

from __future__ import annotations

import base64
import functools
import math
import os
import re
import zoneinfo
from collections.abc import Callable, Collection, Set
from datetime import date, datetime, time, timedelta, timezone
from decimal import Decimal
from pathlib import Path, PurePath, PurePosixPath, PureWindowsPath
from types import NoneType
from typing import Any
from uuid import UUID

import attrs

from .faults import Malformed, Unstorable, kind_of

__all__ = [
    "ATOMS",
    "READERS",
    "SCALARS",
    "Scalar",
    "are_plain",
    "escape_text",
    "is_plain_float",
    "is_plain_int",
    "is_plain_text",
    "same_scalar",
    "unescape_text",
]

_EXACT_IN_EVERY_JSON = 2**53


def is_plain_int(value: int) -> bool:
    """Say whether every JSON reader takes the number for what it is."""
    return -_EXACT_IN_EVERY_JSON <= value <= _EXACT_IN_EVERY_JSON


def is_plain_float(value: float) -> bool:
    """Say whether JSON has a form for the number."""
    return value - value == 0.0


def is_plain_text(value: str) -> bool:
    """Say whether the text is Unicode. JSON would join two lone surrogates into one character."""
    if value.isascii():
        return True
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def are_plain(values: Collection[Any], kinds: Set[type[Any]]) -> bool:
    """Say whether values are of these kinds, JSON's own, and JSON keeps each exactly.

    It is ``is_plain_...`` for all at once, without Python code per value in the common cases.
    """
    found = set(map(type, values))
    if not found <= kinds:
        return False
    return all(
        are_plain([value for value in values if type(value) is kind] if len(found) > 1 else values)
        for kind, are_plain in _ARE_PLAIN.items()
        if kind in found
    )


def _are_plain_texts(values: Collection[str]) -> bool:
    return all(map(str.isascii, values)) or all(map(is_plain_text, values))


_ARE_PLAIN: dict[type[Any], Callable[[Collection[Any]], bool]] = {
    str: _are_plain_texts,
    int: lambda values: is_plain_int(min(values)) and is_plain_int(max(values)),
    float: lambda values: all(map(math.isfinite, values)),
}


@attrs.frozen(eq=False, repr=False)
class Scalar:
    """How one type is written.

    Attributes:
        kind: the exact type.
        tag: its name in data.
        write: to plain data; raises ``Unstorable``.
        read: from plain data; may raise anything for data that ``write`` does not make.
    """

    kind: type[Any]
    tag: str
    write: Callable[[Any], Any]
    read: Callable[[Any], Any]


def _write_text(value: str) -> str:
    return base64.b64encode(value.encode("utf-8", "surrogatepass")).decode()


def _read_text(data: str) -> str:
    return base64.b64decode(data, validate=True).decode("utf-8", "surrogatepass")


def escape_text(value: str) -> str:
    """Write any text, file names with undecodable bytes included, as Unicode text."""
    if is_plain_text(value) and not value.startswith("\0"):
        return value
    return "\0" + _write_text(value)


def unescape_text(data: str) -> str:
    """Read what ``escape_text`` wrote.

    Raises:
        ValueError: it did not write this.
    """
    if not data.startswith("\0"):
        return data
    text = _read_text(data[1:])
    if escape_text(text) != data:
        raise ValueError("text that needs no escape")
    return text


def _write_bytes(value: bytes | bytearray) -> str:
    return base64.b64encode(value).decode()


def _read_bytes(data: str) -> bytes:
    return base64.b64decode(data, validate=True)


def _write_complex(value: complex) -> list[str]:
    return [repr(value.real), repr(value.imag)]


def _read_complex(data: list[str]) -> complex:
    real, imaginary = data
    return complex(float(real), float(imaginary))


def _write_decimal(value: Decimal) -> str:
    # The context of the thread may ask for a small "e".
    return str(value).replace("e", "E")


def _write_delta(value: timedelta) -> list[int]:
    return [value.days, value.seconds, value.microseconds]


def _read_delta(data: list[int]) -> timedelta:
    days, seconds, microseconds = data
    return timedelta(days, seconds, microseconds)


def _write_zone(zone: object) -> list[Any]:
    if type(zone) is timezone:
        offset = zone.utcoffset(None)
        name = zone.tzname(None) if repr(zone) != repr(timezone(offset)) else None
        if name is None or is_plain_text(name):
            return [_write_delta(offset), name]
    if type(zone) is zoneinfo.ZoneInfo and _is_installed(zone.key):
        return [zone.key]
    raise Unstorable(
        type(zone), "can't be restored exactly; use datetime.timezone or an installed ZoneInfo"
    )


def _read_zone(data: list[Any]) -> timezone | zoneinfo.ZoneInfo:
    if len(data) == 1:
        (key,) = data
        if not _is_installed(key):
            raise Malformed(f"no time zone {key!r} is installed here")
        return zoneinfo.ZoneInfo(key)
    offset, name = data
    if name is None:
        return timezone(_read_delta(offset))
    return timezone(_read_delta(offset), name)


_ZONE_KEY = re.compile(r"[A-Za-z0-9_+-]{1,32}(/[A-Za-z0-9_+-]{1,32}){0,3}", re.ASCII)


def _is_installed(key: str | None) -> bool:
    # ZoneInfo(key) of an unknown key would import a package whose name is made of the key.
    if key is None or not _ZONE_KEY.fullmatch(key):
        return False
    if any(os.path.isfile(os.path.join(folder, key)) for folder in zoneinfo.TZPATH):
        return True
    return key in _packaged_zones()


@functools.cache
def _packaged_zones() -> frozenset[str]:
    return frozenset(zoneinfo.available_timezones())


def _write_datetime(value: datetime) -> list[Any]:
    zone = None if value.tzinfo is None else _write_zone(value.tzinfo)
    return [value.replace(tzinfo=None).isoformat(), value.fold, zone]


def _read_datetime(data: list[Any]) -> datetime:
    text, fold, zone = data
    read = None if zone is None else _read_zone(zone)
    return datetime.fromisoformat(text).replace(fold=fold, tzinfo=read)


def _write_time(value: time) -> list[Any]:
    zone = None if value.tzinfo is None else _write_zone(value.tzinfo)
    return [value.replace(tzinfo=None).isoformat(), value.fold, zone]


def _read_time(data: list[Any]) -> time:
    text, fold, zone = data
    read = None if zone is None else _read_zone(zone)
    return time.fromisoformat(text).replace(fold=fold, tzinfo=read)


def _path(kind: type[PurePath]) -> Scalar:
    def write(value: PurePath) -> str:
        return escape_text(str(value))

    def read(data: str) -> PurePath:
        return kind(unescape_text(data))

    return Scalar(kind, kind.__name__, write, read)


SCALARS: dict[type[Any], Scalar] = {
    scalar.kind: scalar
    for scalar in (
        Scalar(int, "int", hex, lambda data: int(data, 16)),
        Scalar(float, "float", repr, float),
        Scalar(str, "str", _write_text, _read_text),
        Scalar(complex, "complex", _write_complex, _read_complex),
        Scalar(bytes, "bytes", _write_bytes, _read_bytes),
        Scalar(bytearray, "bytearray", _write_bytes, lambda data: bytearray(_read_bytes(data))),
        Scalar(Decimal, "decimal", _write_decimal, Decimal),
        Scalar(date, "date", date.isoformat, date.fromisoformat),
        Scalar(time, "time", _write_time, _read_time),
        Scalar(datetime, "datetime", _write_datetime, _read_datetime),
        Scalar(timedelta, "timedelta", _write_delta, _read_delta),
        Scalar(timezone, "timezone", _write_zone, _read_zone),
        Scalar(zoneinfo.ZoneInfo, "zone", _write_zone, _read_zone),
        Scalar(UUID, "uuid", str, UUID),
        _path(PurePosixPath),
        _path(PureWindowsPath),
        _path(type(Path())),
    )
}
"""Every scalar type that JSON has no form for, or not for all of its values."""

ATOMS = frozenset(
    {
        NoneType, bool, int, float, str, complex, bytes, Decimal, date, timedelta, UUID,
        PurePosixPath, PureWindowsPath, type(Path()),
    }
)  # fmt: skip
"""Immutable types of which every value can be restored: a private copy is the value itself."""


def _reader(scalar: Scalar) -> Callable[[Any], Any]:
    def read(data: Any) -> Any:
        try:
            value = scalar.read(data)
            # Compared as text: 1, 1.0 and True are equal.
            exact = type(value) is scalar.kind and repr(scalar.write(value)) == repr(data)
        except Malformed:
            raise
        except Exception as error:  # whatever odd data makes a parser raise
            raise Malformed(f"this is no {scalar.tag}") from error
        if not exact:
            raise Malformed(f"this is not how a {scalar.tag} is written")
        return value

    return read


READERS: dict[str, Callable[[Any], Any]] = {
    scalar.tag: _reader(scalar) for scalar in SCALARS.values()
}
"""By tag: from plain data to the value, or ``Malformed``."""


def same_scalar(first: Any, second: Any) -> bool:
    """Say whether two scalars of one type are the same in all that can be told apart."""
    kind = kind_of(first)
    if kind is float:
        if first == second:
            return math.copysign(1.0, first) == math.copysign(1.0, second)
        return bool(first != first and second != second)
    if kind is str or kind is int or kind is bytes or kind is bytearray:
        return bool(first == second)
    if kind is Decimal:
        return bool(first.as_tuple() == second.as_tuple())
    # The others show all that they are: fold and zone of a datetime, signs in a complex number.
    return repr(first) == repr(second)
