"""Drafting: what a stored run commits, as changes of the store in plain data.

The rule: no attempt is committed before all that it leaves has been written in plain data once, so
that what can't be stored is its failure and not the store's. What comes in large numbers is looked
through, and its rows are added to their change, a few at a time; who calls gives others their turn.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import chain
from typing import TYPE_CHECKING, Any

import attrs
from anyio.lowlevel import cancel_shielded_checkpoint

from .._codec import canonical
from .._events import Event, StopEvent
from .._machine import Delta, Outcome, in_rows
from .._machine.records import ChildRow, Key, TableName
from .._snapshot import Saving, write_row
from .._store import RESULT
from ._book import Book, Change

if TYPE_CHECKING:
    from ._runner import Runner

__all__ = ["Drafting"]

_ROWS_PER_TURN = 100
"""How many rows are written down before the event loop has its turn."""

_UNSEEN: tuple[Event | None, Any] = (None, None)


class Drafting:
    """Makes the changes of the store for one run and its child runs.

    Args:
        book: what the store holds of the run.
        hides: whether the store hides what it keeps.
    """

    def __init__(self, book: Book, *, hides: bool) -> None:
        self._book = book
        self._hides = hides
        self._looked_through: dict[int, tuple[Event | None, Any]] = {}

    # ---- before the commit ---------------------------------------------------------------------

    def check(self, runner: Runner, events: Iterable[Event]) -> None:
        """See to it that events can be stored, before anything is committed.

        Raises:
            StateValueError: one can't; it names the event type and the field.
        """
        prepared, looked_through = self.saving(runner).prepared, self._looked_through
        prepared.clear()
        for event in events:
            _, data = looked_through.get(id(event), _UNSEEN)
            prepared[id(event)] = data or runner.codec.encode_event(event)
        self._looked_through = {}

    async def look_through(self, runner: Runner, events: Iterable[Event]) -> None:
        """Do what :meth:`check` does, in advance and a few at a time; it is next."""
        seen: dict[int, tuple[Event | None, Any]] = {}
        for number, event in enumerate(events, 1):
            # With the event, so that no other can have its id.
            seen[id(event)] = event, runner.codec.encode_event(event)
            if not number % _ROWS_PER_TURN:
                await cancel_shielded_checkpoint()
        self._looked_through = seen

    def forget_checked(self, runner: Runner, *, is_needed: bool) -> None:
        """What was checked is committed. It was known by the ids of objects, which may be gone.

        Args:
            runner: of the run.
            is_needed: some of it is not drafted yet, and keeps what was written then.
        """
        saving = self.saving(runner)
        if not is_needed:
            saving.prepared.clear()
        elif saving.prepared:
            runner.saving = attrs.evolve(saving, prepared={})

    # ---- the commit ----------------------------------------------------------------------------

    def change(self, runner: Runner, delta: Delta, saving: Saving) -> Change:
        """Draft what a machine has committed, but for the items in it."""
        change = Change(runner.shelf)
        if delta.stop is not None and runner.parent is None:
            self._book.completed, self._book.run = True, {}
            change.status, change.clears = "completed", True
            change.puts[RESULT] = canonical(runner.codec.encode_event(delta.stop))
            return change
        if delta.stop is not None:
            return self._ended_child(runner, delta.stop)
        for table, key in delta.removes:
            change.removes.append(runner.shelf.key(table, key))
            if table == "children":
                change.removes += self._forget_child(runner, key)
        for table, key, row in delta.puts:
            self._put_row(change, runner, table, key, row, saving)
        if self._book.reopens:
            self._book.reopens = False
            change.status = "running"
        return change

    def add_items(
        self, runner: Runner, delta: Delta, change: Change, saving: Saving
    ) -> Iterator[None]:
        """Add the rows of the items in what was committed; at each step a turn for others is due.

        ``change`` is the next to be stored, and none is written before; see :meth:`Book.put`.
        """
        rows = chain.from_iterable(items.rows() for items in delta.items)
        for number, (table, key, row) in enumerate(rows, 1):
            text = canonical(write_row(table, row, saving))
            self._book.put(change, runner.shelf.key(table, key), text)
            if not number % _ROWS_PER_TURN:
                yield

    def whole(self, runner: Runner) -> Change:
        """Draft all of a run, but its child runs as they are, each in one row."""
        tables = in_rows(runner.machine.snapshot(runner.clock()))
        saving, change = self.saving(runner), Change(runner.shelf)
        for child in list(runner.shelf.inner):
            self._forget_child(runner, child)
        change.removes += runner.shelf.weights
        for table in attrs.fields_dict(type(tables)):
            for key, row in getattr(tables, table).items():
                self._put_row(change, runner, table, key, row, saving)  # type: ignore[arg-type]
        change.removes = [key for key in change.removes if key not in change.puts]
        return change

    def end(self, runner: Runner, outcome: Outcome, change: Change) -> None:
        """Add how a run has ended, if it is not to be taken up again by itself."""
        if outcome.kind == "failed" and outcome.error is not None:
            change.status = "failed"
            change.note = _in_words(outcome.error)
        elif outcome.kind == "suspended":
            change.status = "suspended"
            change.note = self._questions(runner)
        elif outcome.kind == "cancelled" and runner.cancel_asked:
            change.status = "cancelled"

    def _questions(self, runner: Runner) -> str:
        """What a run waits for; a store that hides what it keeps does not show it here either."""
        requests = runner.requests.kept()
        if not requests:
            return ""
        if self._hides:
            return f"waits for {len(requests)} answer(s)"
        return f"waits for an answer to: {'; '.join(request.prompt for request in requests)}"

    # ---- rows ----------------------------------------------------------------------------------

    def saving(self, runner: Runner) -> Saving:
        """How the values of a run are written."""
        if runner.saving is None:
            offset = runner.options.wall() - runner.clock()
            runner.saving = Saving(runner.codec, offset)
        return runner.saving

    def _ended_child(self, runner: Runner, stop: StopEvent) -> Change:
        """A child run has completed: its result takes the place of its rows in the same commit.

        Otherwise a crash before the run around it has taken the result would leave a child run with
        nothing to do.
        """
        parent, record = runner.parent, runner.record
        assert parent is not None and record is not None, "it is a child run"
        row = ChildRow(
            delivery=record.delivery,
            number=record.number,
            workflow=record.workflow,
            digest=record.digest,
            result=runner.codec.encode_event(stop),
        )
        change = Change(parent.shelf)
        key = (record.delivery, record.number)
        self._put_row(change, parent, "children", key, row, self.saving(parent))
        return change

    def _put_row(
        self,
        change: Change,
        runner: Runner,
        table: TableName,
        key: Key,
        row: Any,
        saving: Saving,
    ) -> None:
        if table == "children":
            row = self._without_stored(change, runner, key, row)
        data = write_row(table, row, saving)
        if table == "run" and runner.parent is None:
            self._book.run = data
        else:
            change.puts[runner.shelf.key(table, key)] = canonical(data)

    def _without_stored(self, change: Change, runner: Runner, key: Any, row: ChildRow) -> ChildRow:
        """A child run's row, without what its own rows say; with the result it needs no others."""
        if row.result is not None:
            change.removes += self._forget_child(runner, key)
        elif row.saved is not None and key in runner.shelf.inner:
            return attrs.evolve(row, saved=None)
        return row

    def _forget_child(self, runner: Runner, key: Any) -> list[str]:
        return self._book.forget(runner.shelf, *key)


def _in_words(error: BaseException) -> str:
    kind = type(error).__qualname__
    try:
        return f"{kind}: {error}"
    except Exception:  # a user's __str__ must not stand in the way of the end
        return kind
