"""Support tickets: read, classified and shown. Plain functions, no workflow, no I/O."""

from __future__ import annotations

import json
import re
import zlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, cast

import attrs

from blazen_anyio import Event

from ._tables import printable

__all__ = [
    "SAMPLE",
    "Filed",
    "Kind",
    "MalformedTicketError",
    "Ticket",
    "UnclearTicketError",
    "classify",
    "parse_tickets",
    "refusals_for",
    "render",
]

_HEADINGS = ("ticket", "tries", "team", "when", "subject")
_FIELDS = ("id", "subject", "text")
_MOST_REFUSALS = 2
_LONGEST_SUBJECT = 60


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_TEAMS: Mapping[str, frozenset[str]] = {
    "billing": _words("bill card charge charged invoice paid payment refund"),
    "access": _words("account locked login logged password reset sign"),
    "bugs": _words("bug crash crashed crashes down error errors fails lost timeout"),
    "questions": _words("docs feature how help question where"),
}
_URGENT = _words("breach down emergency lost outage urgent")

SAMPLE = """\
{"id": "T-1", "subject": "Charged twice", "text": "My card was charged twice for one invoice."}
{"id": "T-2", "subject": "Shop is down", "text": "All pages answer with an error since 9:40."}
{"id": "T-3", "subject": "How do I export?", "text": "Where in the docs is the export feature?"}
{"id": "T-4", "subject": "hello", "text": "asdf qwer"}
{"id": "T-5", "subject": "Locked out", "text": "The password reset mail never comes."}
{"id": "T-6", "subject": "Orders lost", "text": "Urgent: two orders are lost after the crash."}
"""


class Ticket(Event, event_type="triage.Ticket"):
    """What a customer has written."""

    id: str
    subject: str
    text: str


class Filed(Event, event_type="triage.Filed"):
    """Where a ticket has gone.

    Args:
        ticket: the ticket.
        team: who gets it.
        when: ``"now"``, ``"today"`` or ``"queue"``; or ``"unclear"``.
        tries: how many times the service was asked.
    """

    ticket: Ticket
    team: str
    when: str
    tries: int


@attrs.frozen
class Kind:
    """What a ticket is about, and whether it can't wait."""

    team: str
    urgent: bool


class MalformedTicketError(ValueError):
    """A line that is no ticket."""


class UnclearTicketError(Exception):
    """A ticket that nobody can make sense of."""


def parse_tickets(text: str) -> tuple[Ticket, ...]:
    """Read tickets from JSON lines; empty lines do not count.

    Raises:
        MalformedTicketError: with the number of the first line that is no ticket.
    """
    tickets: dict[str, Ticket] = {}
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip():
            continue
        try:
            ticket = _parse(line)
        except MalformedTicketError as error:
            raise MalformedTicketError(f"line {number}: {error}") from error.__cause__
        if ticket.id in tickets:
            raise MalformedTicketError(f"line {number}: another ticket has the id {ticket.id!r}")
        tickets[ticket.id] = ticket
    return tuple(tickets.values())


def _parse(line: str) -> Ticket:
    try:
        data: object = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise MalformedTicketError("no JSON") from error
    if not isinstance(data, dict):
        raise MalformedTicketError("expected an object")
    fields = cast("dict[str, Any]", data)
    for name in _FIELDS:
        if not isinstance(fields.get(name), str):
            raise MalformedTicketError(f"expected a text as {name!r}")
    return Ticket(*(fields[name] for name in _FIELDS))


def classify(ticket: Ticket) -> Kind:
    """Tell what a ticket is about by the words in it.

    Raises:
        UnclearTicketError: none of them says anything.
    """
    words = re.findall(r"[a-z]+", f"{ticket.subject} {ticket.text}".lower())
    scores = {team: sum(word in known for word in words) for team, known in _TEAMS.items()}
    best = max(scores, key=lambda team: scores[team])
    if not scores[best]:
        raise UnclearTicketError(f"no word of ticket {ticket.id!r} says what it is about")
    return Kind(best, not _URGENT.isdisjoint(words))


def refusals_for(ticket: Ticket) -> int:
    """How many attempts the service refuses a ticket, because it is busy; always the same."""
    return zlib.crc32(ticket.id.encode(errors="replace")) % (_MOST_REFUSALS + 1)


def render(filed: Sequence[Filed]) -> str:
    """Write a table of where the tickets have gone."""
    rows = [_HEADINGS, *_rows(filed)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ("  ".join(map(str.ljust, row, widths)).rstrip() for row in rows)
    return "\n".join(lines)


def _rows(filed: Sequence[Filed]) -> Iterator[tuple[str, ...]]:
    for each in filed:
        subject = printable(each.ticket.subject[:_LONGEST_SUBJECT])
        yield printable(each.ticket.id), str(each.tries), each.team, each.when, subject
