"""References: what the rows of a run must agree on before a machine may trust them.

Works on columns whose form has been checked. Each rule is one that the machine keeps; a document
that breaks one was not written by it. A rule is asked once about all the rows of a table, and row
by row only to find the one that breaks it.
"""

from __future__ import annotations

import operator
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import chain
from typing import Any

import attrs

from .._codec import Malformed, under
from .._machine.records import ROOT
from .._machine.sheets import are_numbers
from .columns import Columns, count_of
from .rows import TABLES

__all__ = ["check_references"]


@attrs.frozen(eq=False, repr=False)
class _Rows:
    """Some rows of a table, from ``start`` to before ``stop``."""

    name: str
    columns: Columns
    start: int
    stop: int

    @classmethod
    def all(cls, tables: Mapping[str, Columns], name: str) -> _Rows:
        """All rows of a table."""
        return cls(name, tables[name], 0, count_of(name, tables[name]))

    def __getitem__(self, column: str) -> list[Any]:
        """The values of a column, also where the default is not written."""
        if column not in self.columns:
            return [TABLES[self.name].defaults[column]] * (self.stop - self.start)
        values: list[Any] = self.columns[column][self.start : self.stop]
        return values

    def numbers(self, column: str) -> Iterable[int]:
        """The numbers in a column of lists, where a number may stand for a list of one."""
        values = self[column]
        if are_numbers(values):
            return values
        return chain.from_iterable([each] if type(each) is int else each for each in values)

    def pairs(self, first: str, second: str) -> Iterator[tuple[Any, Any]]:
        """The values of two columns, side by side."""
        return zip(self[first], self[second], strict=True)

    def only(self, index: int) -> _Rows:
        """One of the rows."""
        return _Rows(self.name, self.columns, index, index + 1)


class _Known:
    """What may be referred to."""

    def __init__(self, tables: Mapping[str, Columns]) -> None:
        def rows(name: str) -> _Rows:
            return _Rows.all(tables, name)

        self.next_id: int = rows("run")["next_id"][0]
        self.events = set(rows("events")["id"])
        self.deliveries = set(rows("deliveries")["id"])
        self.scopes = {ROOT, *rows("scopes")["id"]}
        self.doubled = _doubled(rows("deliveries")["order"])
        self.holders = Counter(rows("scopes")["held"])
        self.effects = set(rows("effects").pairs("delivery", "number"))
        self.children = set(rows("children").pairs("delivery", "number"))
        self.asked = set(rows("effects").pairs("delivery", "request"))

    def are_ids(self, numbers: list[int]) -> bool:
        """Say whether the run has given all these numbers to something."""
        return min(numbers, default=1) > 0 and self.have_been(numbers)

    def have_been(self, numbers: list[int]) -> bool:
        """Say whether the run has given these numbers to something, or they are 0."""
        return max(numbers, default=0) < self.next_id

    def are_deliveries(self, numbers: list[int]) -> bool:
        """Say whether these are ids of deliveries, or 0 for none."""
        return self.deliveries.issuperset(filter(None, numbers))


@attrs.frozen(eq=False, repr=False)
class _Rule:
    """What must be true of the rows of a table.

    Attributes:
        column: where a row is wrong if it is not.
        holds: says whether it is.
        reason: what is wrong, for the error.
    """

    column: str
    holds: Callable[[_Rows, _Known], bool]
    reason: str


_NOT_GIVEN = "an id that the run has not given yet"
_NO_DELIVERY = "there is no such delivery"

_ID = _Rule("id", lambda rows, known: known.are_ids(rows["id"]), _NOT_GIVEN)
_SCOPE = _Rule(
    "scope", lambda rows, known: known.scopes.issuperset(rows["scope"]), "there is no such scope"
)
_DELIVERY = _Rule(
    "delivery", lambda rows, known: known.deliveries.issuperset(rows["delivery"]), _NO_DELIVERY
)

_RULES: dict[str, tuple[_Rule, ...]] = {
    "events": (
        _ID,
        # A gathered event may be the last that is left of a scope which is over.
        _Rule("scope", lambda rows, known: known.have_been(rows["scope"]), _NOT_GIVEN),
        _Rule("cause", lambda rows, known: known.have_been(rows["cause"]), _NOT_GIVEN),
    ),
    "deliveries": (
        _ID,
        _SCOPE,
        _Rule(
            "events",
            lambda rows, known: known.events.issuperset(rows.numbers("events")),
            "no such event",
        ),
        _Rule("order", lambda rows, known: known.are_ids(rows["order"]), _NOT_GIVEN),
        _Rule(
            "order",
            lambda rows, known: known.doubled.isdisjoint(rows["order"]),
            "a place in the queue that another has, too",
        ),
    ),
    "scopes": (
        _ID,
        _Rule(
            "parent",
            lambda rows, known: known.scopes.issuperset(rows["parent"]),
            "there is no such scope",
        ),
        # Ids ascend, so this makes them a tree.
        _Rule(
            "parent",
            lambda rows, known: all(map(operator.lt, rows["parent"], rows["id"])),
            "a parent younger than this",
        ),
        _Rule("held", lambda rows, known: known.are_deliveries(rows["held"]), _NO_DELIVERY),
        _Rule(
            "held",
            lambda rows, known: all(known.holders[id] == 1 for id in filter(None, rows["held"])),
            "a delivery that holds another scope, too",
        ),
    ),
    "joins": (
        _ID,
        _SCOPE,
        _Rule(
            "event",
            lambda rows, known: known.events.issuperset(rows["event"]),
            "there is no such event",
        ),
    ),
    "requests": (
        _SCOPE,
        _Rule(
            "event",
            lambda rows, known: all(
                event["fields"].get("request_id") == id for event, id in rows.pairs("event", "id")
            ),
            "its request_id is not that of the row",
        ),
        _Rule("number", lambda rows, known: known.are_ids(rows["number"]), _NOT_GIVEN),
        _Rule("delivery", lambda rows, known: known.are_deliveries(rows["delivery"]), _NO_DELIVERY),
        _Rule(
            "delivery",
            lambda rows, known: known.asked.issuperset(
                pair for pair in rows.pairs("delivery", "id") if pair[0]
            ),
            "a delivery that has not made this request",
        ),
    ),
    "effects": (
        _DELIVERY,
        _Rule(
            "number",
            lambda rows, known: known.effects.issuperset(_before(rows)),
            "the effect before it is missing",
        ),
    ),
    "memos": (_DELIVERY,),
    "children": (
        _DELIVERY,
        _Rule(
            "number",
            lambda rows, known: known.children.issuperset(_before(rows)),
            "the child run before it is missing",
        ),
    ),
}


def _doubled(numbers: list[int]) -> set[int]:
    """The numbers that are there more than once."""
    if len(set(numbers)) == len(numbers):
        return set()
    return {number for number, times in Counter(numbers).items() if times > 1}


def _before(rows: _Rows) -> Iterator[tuple[int, int]]:
    """The keys that come right before those of the rows, in their deliveries."""
    for delivery, number in rows.pairs("delivery", "number"):
        if number:
            yield delivery, number - 1


def check_references(tables: Mapping[str, Columns]) -> None:
    """Check that ids are in range and that what rows refer to is there.

    Raises:
        Malformed: something does not agree.
    """
    if count_of("run", tables["run"]) != 1:
        with under("run"):
            raise Malformed("expected exactly one row")
    known = _Known(tables)
    for name, rules in _RULES.items():
        rows = _Rows.all(tables, name)
        for rule in rules:
            if not rule.holds(rows, known):
                _refuse(rows, rule, known)


def _refuse(rows: _Rows, rule: _Rule, known: _Known) -> None:
    each = range(rows.start, rows.stop)
    wrong = next(index for index in each if not rule.holds(rows.only(index), known))
    with under(rows.name), under(wrong), under(rule.column):
        raise Malformed(rule.reason)
