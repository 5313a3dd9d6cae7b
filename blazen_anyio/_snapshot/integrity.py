"""References: what the rows of a run must agree on before a machine may trust them.

Works on plain data whose form has been checked. Each rule is one that the machine keeps; a document
that breaks one was not written by it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

import attrs

from .._codec import Malformed, under
from .._machine.records import ROOT

__all__ = ["check_references"]

Row = Mapping[str, Any]


class _Known:
    """What may be referred to."""

    def __init__(self, tables: Mapping[str, list[dict[str, Any]]]) -> None:
        self.next_id: int = tables["run"][0]["next_id"]
        self.events = {row["id"] for row in tables["events"]}
        self.deliveries = {row["id"] for row in tables["deliveries"]}
        self.scopes = {ROOT, *(row["id"] for row in tables["scopes"])}
        self.holders = Counter(row.get("held", 0) for row in tables["scopes"])
        self.effects = {(row["delivery"], row["number"]) for row in tables["effects"]}
        self.children = {(row["delivery"], row["number"]) for row in tables["children"]}
        self.asked = {(row["delivery"], row.get("request", "")) for row in tables["effects"]}

    def is_id(self, number: int) -> bool:
        """Say whether the run has given this number to something."""
        return 0 < number < self.next_id


@attrs.frozen
class _Rule:
    """What must be true of each row of a table.

    Attributes:
        column: where it is wrong if it is not.
        holds: says whether it is.
        reason: what is wrong, for the error.
    """

    column: str
    holds: Callable[[Row, _Known], bool]
    reason: str


_ID = _Rule("id", lambda row, known: known.is_id(row["id"]), "an id that the run has not given yet")
_SCOPE = _Rule(
    "scope", lambda row, known: row.get("scope", ROOT) in known.scopes, "there is no such scope"
)
_DELIVERY = _Rule(
    "delivery", lambda row, known: row["delivery"] in known.deliveries, "there is no such delivery"
)

_RULES: dict[str, tuple[_Rule, ...]] = {
    "events": (
        _ID,
        # A gathered event may be the last that is left of a scope which is over.
        _Rule(
            "scope",
            lambda row, known: row.get("scope", ROOT) < known.next_id,
            "an id that the run has not given yet",
        ),
        _Rule(
            "cause",
            lambda row, known: row.get("cause", 0) < known.next_id,
            "an id that the run has not given yet",
        ),
    ),
    "deliveries": (
        _ID,
        _SCOPE,
        _Rule("events", lambda row, known: known.events.issuperset(row["events"]), "no such event"),
    ),
    "scopes": (
        _ID,
        _Rule("parent", lambda row, known: row["parent"] in known.scopes, "there is no such scope"),
        # Ids ascend, so this makes them a tree.
        _Rule("parent", lambda row, known: row["parent"] < row["id"], "a parent younger than this"),
        _Rule(
            "held",
            lambda row, known: row.get("held", 0) == 0 or row.get("held", 0) in known.deliveries,
            "there is no such delivery",
        ),
        _Rule(
            "held",
            lambda row, known: row.get("held", 0) == 0 or known.holders[row.get("held", 0)] == 1,
            "a delivery that holds another scope, too",
        ),
    ),
    "joins": (
        _ID,
        _SCOPE,
        _Rule("event", lambda row, known: row["event"] in known.events, "there is no such event"),
    ),
    "requests": (
        _SCOPE,
        _Rule(
            "event",
            lambda row, known: row["event"]["fields"].get("request_id") == row["id"],
            "its request_id is not that of the row",
        ),
        _Rule(
            "number",
            lambda row, known: known.is_id(row["number"]),
            "an id that the run has not given yet",
        ),
        _Rule(
            "delivery",
            lambda row, known: (
                row.get("delivery", 0) == 0 or row.get("delivery", 0) in known.deliveries
            ),
            "there is no such delivery",
        ),
        _Rule(
            "delivery",
            lambda row, known: (
                row.get("delivery", 0) == 0 or (row.get("delivery", 0), row["id"]) in known.asked
            ),
            "a delivery that has not made this request",
        ),
    ),
    "effects": (
        _DELIVERY,
        _Rule(
            "number",
            lambda row, known: (
                row["number"] == 0 or (row["delivery"], row["number"] - 1) in known.effects
            ),
            "the effect before it is missing",
        ),
    ),
    "memos": (_DELIVERY,),
    "children": (
        _DELIVERY,
        _Rule(
            "number",
            lambda row, known: (
                row["number"] == 0 or (row["delivery"], row["number"] - 1) in known.children
            ),
            "the child run before it is missing",
        ),
    ),
}


def check_references(tables: Mapping[str, list[dict[str, Any]]]) -> None:
    """Check that ids are in range and that what rows refer to is there.

    Raises:
        Malformed: something does not agree.
    """
    if len(tables["run"]) != 1:
        with under("run"):
            raise Malformed("expected exactly one row")
    known = _Known(tables)
    for table, rules in _RULES.items():
        for index, row in enumerate(tables[table]):
            for rule in rules:
                if not rule.holds(row, known):
                    with under(table), under(index), under(rule.column):
                        raise Malformed(rule.reason)
