"""The forms of the columns.

The form of a column follows from the annotation of its field, so that a new field needs no word
here.
"""

from __future__ import annotations

import typing
from types import NoneType
from typing import Any, Literal

from .._codec import Malformed, escape_text, kind_of, unescape_text
from .._events import Event, InputRequestEvent
from .form import EventForm, Form, Loading, NumbersForm, Saving
from .short import MOST

__all__ = [
    "ANSWERS",
    "CHILD",
    "NAME",
    "RESULT",
    "WORKFLOW",
    "form_of",
    "is_event_data",
]


def _is_count(data: Any) -> bool:
    return type(data) is int and 0 <= data <= MOST


def _all_counts(data: list[Any]) -> bool:
    if not data:
        return True
    return {int}.issuperset(map(type, data)) and min(data) >= 0 and max(data) <= MOST


def _are_counts(data: Any) -> bool:
    return kind_of(data) is list and all(map(_is_count, data))


def _all_text(data: list[Any]) -> bool:
    return {str}.issuperset(map(type, data))


def _is_text(data: Any) -> bool:
    return type(data) is str


def _is_seconds(data: Any) -> bool:
    # NaN compares as false.
    return type(data) is float and -MOST <= data <= MOST


def is_event_data(data: Any) -> bool:
    """Say whether data looks like an event, known or not."""
    if kind_of(data) is not dict or data.keys() != {"type", "fields"}:
        return False
    return type(data["type"]) is str and kind_of(data["fields"]) is dict


def _write_text(value: str, saving: Saving, label: str) -> str:
    return escape_text(value)


def _read_text(data: str, loading: Loading) -> str:
    try:
        return unescape_text(data)
    except ValueError as error:
        raise Malformed("expected text") from error


def _read_name(data: str, loading: Loading) -> str:
    return loading.renamed(_read_text(data, loading))


def _write_slot(value: int | str, saving: Saving, label: str) -> int | str:
    return escape_text(value) if isinstance(value, str) else value


def _read_slot(data: int | str, loading: Loading) -> int | str:
    return _read_name(data, loading) if isinstance(data, str) else data


def _write_seconds(value: float, saving: Saving, label: str) -> float:
    return float(value)


def _write_time(value: float | None, saving: Saving, label: str) -> float | None:
    return None if value is None else float(value + saving.offset)


def _read_time(data: float | None, loading: Loading) -> float | None:
    return None if data is None else data - loading.offset


def _write_numbers(value: tuple[int, ...], saving: Saving, label: str) -> list[int]:
    return list(value)


def _read_numbers(data: list[int], loading: Loading) -> tuple[int, ...]:
    return tuple(data)


def _write_event(value: Event, saving: Saving, label: str) -> Any:
    data = saving.prepared.pop(id(value), None) if saving.prepared else None
    return saving.codec.encode_event(value) if data is None else data


def _read_event(data: Any, loading: Loading) -> Event:
    return loading.reader.event(data)


def _read_request(data: Any, loading: Loading) -> InputRequestEvent:
    event = loading.reader.event(data)
    if not isinstance(event, InputRequestEvent):
        raise Malformed("expected an InputRequestEvent")
    return event


def _write_value(value: Any, saving: Saving, label: str) -> Any:
    return saving.codec.encode(value, label)


def _read_value(data: Any, loading: Loading) -> Any:
    return loading.reader.value(data)


def _is_answer(data: Any) -> bool:
    return kind_of(data) is list and len(data) == 2 and type(data[0]) is str


def _write_answers(value: list[tuple[str, Any]] | None, saving: Saving, label: str) -> Any:
    if value is None:
        return None
    return [[escape_text(id), saving.codec.encode(answer, label)] for id, answer in value]


def _read_answers(data: list[Any] | None, loading: Loading) -> list[tuple[str, Any]] | None:
    if data is None:
        return None
    return [(_read_text(id, loading), loading.reader.value(answer)) for id, answer in data]


def _one_of(*allowed: str | None) -> Form:
    names = ", ".join("null" if name is None else name for name in allowed)

    def fits(data: Any) -> bool:
        return (data is None or type(data) is str) and data in allowed

    return Form(f"one of {names}", fits)


_COUNT = Form("a whole number from 0", _is_count, all_fit=_all_counts)
# Text may be in short: read once for each row, a little document could take hours and gigabytes.
_TEXT = Form("text", _is_text, _write_text, _read_text, all_fit=_all_text, repeats=True)
_FLAG = Form("true or false", lambda data: type(data) is bool)
_SECONDS = Form("a number of seconds", _is_seconds, _write_seconds)
_TIME = Form(
    "a time in seconds, or null",
    lambda data: data is None or _is_seconds(data),
    _write_time,
    _read_time,
)
_NUMBERS = NumbersForm(
    "a list of whole numbers", _are_counts, _write_numbers, _read_numbers, all_fit=_all_counts
)
_SLOT = Form(
    "a whole number or text",
    lambda data: _is_count(data) or _is_text(data),
    _write_slot,
    _read_slot,
    repeats=True,
)
_EVENT = EventForm("an event", is_event_data, _write_event, _read_event, True)
_REQUEST = Form("an event", is_event_data, _write_event, _read_request, True)
_VALUE = Form("a value", lambda data: True, _write_value, _read_value, True)

NAME = Form(
    "the name of a step", _is_text, _write_text, _read_name, all_fit=_all_text, repeats=True
)
"""Of a step, which may have been renamed."""

WORKFLOW = Form("the name of a workflow", _is_text, _write_text, _read_name, repeats=True)
"""Of a child run's workflow, which may have been renamed."""

CHILD = Form("a child run, or null", lambda data: data is None or kind_of(data) is dict)
"""The content of a child run's own snapshot, which its own workflow reads."""

RESULT = Form("an event, or null", lambda data: data is None or is_event_data(data))
"""The stop event of a child run, which its own workflow reads."""

ANSWERS = Form(
    "pairs of a request id and an answer, or null",
    lambda data: data is None or (kind_of(data) is list and all(map(_is_answer, data))),
    _write_answers,
    _read_answers,
    True,
)
"""Given to a child run that has not begun again yet."""


_FORMS: dict[Any, Form] = {
    int: _COUNT,
    str: _TEXT,
    bool: _FLAG,
    float: _SECONDS,
    float | None: _TIME,
    tuple[int, ...]: _NUMBERS,
    int | str: _SLOT,
    Event: _EVENT,
    InputRequestEvent: _REQUEST,
    Any: _VALUE,
}


def form_of(annotation: Any) -> Form:
    """Find the form of a field.

    Raises:
        KeyError: there is none for such an annotation.
    """
    if annotation in _FORMS:
        return _FORMS[annotation]
    allowed: list[Any] = []
    for part in typing.get_args(annotation):
        if typing.get_origin(part) is Literal:
            allowed += typing.get_args(part)
        elif isinstance(part, str) or part is NoneType:
            allowed.append(part if isinstance(part, str) else None)
        else:
            raise KeyError(annotation)
    if not allowed:
        raise KeyError(annotation)
    return _one_of(*allowed)
