"""Restored: what of a restored queue nobody has looked at yet.

Most of a large snapshot are events on their way to one step that nothing else in the run knows of.
Like an item of a fan-out, each becomes a record and a delivery when it is next; until then it is a
line of the sheets that were read. So a run goes on as soon as its snapshot is read, however much is
queued in it. In a run that keeps a journal they are made at once: it counts who needs each record.
"""

from __future__ import annotations

import operator
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import compress, groupby, repeat

import attrs

from .._events import Event
from .live import Delivery, Record, Scope
from .plan import StepPlan
from .sheets import Sheet, Sheets, are_numbers, flat

__all__ = ["Lines", "Restored", "stretches"]


@attrs.frozen(eq=False, repr=False)
class Lines:
    """Where the lines of deliveries are that are yet to be made.

    Attributes:
        deliveries: their sheet, with the id of the one event of each; 0 if it has not one.
        events: theirs; the events themselves are taken from elsewhere.
        places: of the events in their sheet, by id.
        scopes: by id.
    """

    deliveries: Sheet
    events: Sheet
    places: Mapping[int, int]
    scopes: Mapping[int, Scope]

    @classmethod
    def of(cls, deliveries: Sheet, events: Sheet, scopes: Mapping[int, Scope]) -> Lines:
        """The lines of sheets that have been read."""
        places = {id: place for place, id in enumerate(events["id"])}
        single = {**deliveries, "events": _events_of(deliveries)}
        return cls(single, {**events, "event": []}, places, scopes)

    def places_of(self, numbers: Iterable[int]) -> Iterator[int]:
        """The places of the events of deliveries."""
        ids = map(self.deliveries["events"].__getitem__, numbers)
        return map(self.places.__getitem__, ids)

    def make(self, line: int, event: Event, step: StepPlan) -> Delivery:
        """Make a delivery, and the record of its event."""
        sheet = self.deliveries
        delivery = Delivery(
            sheet["id"][line],
            step,
            (self._record(sheet["events"][line], event),),
            self.scopes[sheet["scope"][line]],
            sheet["branch"][line],
            sheet["recoveries"][line],
        )
        delivery.order = sheet["order"][line]
        delivery.attempts = sheet["attempts"][line]
        delivery.first_tried = sheet["first_tried"][line]
        return delivery

    def _record(self, id: int, event: Event) -> Record:
        sheet, place = self.events, self.places[id]
        return Record(
            id,
            event,
            sheet["cause"][place],
            sheet["position"][place],
            self.scopes[sheet["scope"][place]],
            sheet["branch"][place],
            sheet["recoveries"][place],
        )


class Restored:
    """Makes deliveries to one step, in one scope and next to each other in the queue.

    Args:
        step: who handles them.
        numbers: of their lines, in the order of the queue.
        lines: where the lines are.
    """

    __slots__ = ("_lines", "_numbers", "_step")

    def __init__(self, step: StepPlan, numbers: Sequence[int], lines: Lines) -> None:
        self._step = step
        self._numbers = numbers
        self._lines = lines

    def order(self, before: int) -> int:
        order: int = self._lines.deliveries["order"][self._numbers[before]]
        return order

    def make(self, event: Event, before: int) -> Delivery:
        return self._lines.make(self._numbers[before], event, self._step)


def _events_of(deliveries: Sheet) -> list[int]:
    events = deliveries["events"]
    return events if are_numbers(events) else [each[0] if len(each) == 1 else 0 for each in events]


def stretches(sheets: Sheets, events: list[int]) -> Iterator[list[int]]:
    """Find deliveries that need not be made yet.

    Args:
        sheets: of the run.
        events: the id of the one event of each delivery; 0 if it has not one.

    Yields:
        The numbers of the lines of two or more deliveries to one step in one scope that are next to
        each other in the queue.
    """
    sheet = sheets["deliveries"]
    is_involved = (_involved(sheets, events) | _sharing(sheets, events)).__contains__
    queue = sorted(range(len(sheet["id"])), key=sheet["order"].__getitem__)
    alike = list(zip(map(is_involved, sheet["id"]), sheet["step"], sheet["scope"], strict=True))
    for (involved, *_), numbers in groupby(queue, alike.__getitem__):
        stretch = list(numbers)
        if len(stretch) > 1 and not involved:
            yield stretch


def _sharing(sheets: Sheets, events: list[int]) -> set[int]:
    """The ids of deliveries of an event that something else needs, too."""
    sheet = sheets["deliveries"]
    needed = [*flat(sheet["events"]), *sheets["joins"]["event"]]
    needed += compress(sheets["events"]["id"], sheets["events"]["mailbox"])
    if len(set(needed)) == len(needed):
        return set()
    shared = {id for id, count in Counter(needed).items() if count > 1}
    return set(compress(sheet["id"], map(shared.__contains__, events)))


def _involved(sheets: Sheets, events: list[int]) -> set[int]:
    """The ids of deliveries of which there is more in the run than one event in the queue."""
    sheet = sheets["deliveries"]
    ids = sheet["id"]
    return {
        *sheets["effects"]["delivery"],
        *sheets["memos"]["delivery"],
        *sheets["children"]["delivery"],
        *sheets["scopes"]["held"],
        *compress(ids, map((0).__eq__, events)),
        *compress(ids, map(operator.is_not, sheet["due"], repeat(None))),
        *compress(ids, sheet["deliveries"]),
        *compress(ids, sheet["begun"]),
    }
