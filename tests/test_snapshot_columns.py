"""A document holds its tables in columns, and says the same as one with rows."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from typing import Any

import pytest
from codec_values import CODEC, Holding, Opaque, Typed, values
from hypothesis import given
from sheets import in_sheets
from snapshot_runs import STEPS, read_rows, sealed, snapshot, tables, write_rows
from test_snapshot import same_rows

from blazen_anyio._codec import Codec, canonical, canonical_in_pieces, writing
from blazen_anyio._events import InputRequestEvent
from blazen_anyio._exceptions import SnapshotError, StateValueError
from blazen_anyio._machine.records import (
    DeliveryRow,
    EventRow,
    RequestRow,
    RunRow,
    StateRow,
    Tables,
)
from blazen_anyio._snapshot import Snapshot, columns
from blazen_anyio._snapshot.form import Loading, Saving
from blazen_anyio._snapshot.rows import TABLES, write_row

HEADER = ("format", "version", "digest", "signature")

Change = Callable[[dict[str, Any]], Any]


def content() -> dict[str, Any]:
    """The content of the document of a run with something in every table."""
    document = json.loads(snapshot().to_json())
    return {name: part for name, part in document.items() if name not in HEADER}


def altered(change: Change) -> str:
    """The document after ``change``, with a digest that agrees."""
    changed = content()
    change(changed)
    return sealed(changed)


def put(table: str, column: str, index: int, value: Any) -> Change:
    """Set one value of a column."""
    return lambda content: content[table][column].__setitem__(index, value)


def shape(content: dict[str, Any], index: int = 0) -> dict[str, Any]:
    """One shape of the events."""
    found: dict[str, Any] = content["events"]["event"]["shapes"][index]
    return found


class TestDocuments:
    def test_hold_columns_and_leave_out_those_with_defaults_only(self) -> None:
        found = content()
        assert found["deliveries"]["id"] == [10, 11, 12]
        assert found["deliveries"]["attempts"] == [2, 0, 0]
        assert "deliveries" not in found["deliveries"]
        assert found["memos"] == {
            "delivery": [10],
            "name": ["receipt"],
            "value": [{"$": "bytes", "v": "cGFpZA=="}],
        }

    def test_of_an_empty_table_hold_no_columns(self) -> None:
        rows = tables()
        rows.memos.clear()
        text = snapshot(rows).to_json()
        assert json.loads(text)["memos"] == {}
        assert same_rows(read_rows(Snapshot.from_json(text)), rows)
        empty: dict[str, Any] = {"delivery": [], "name": [], "value": []}
        for memos in (empty, []):
            found = content() | {"memos": memos}
            assert Snapshot.from_json(sealed(found)) == snapshot(rows)

    def test_say_the_same_in_rows(self) -> None:
        in_rows = sealed(snapshot().to_data())
        assert Snapshot.from_json(in_rows) == snapshot()
        assert Snapshot.from_json(in_rows).to_json() == snapshot().to_json()
        mixed = content() | {"events": snapshot().to_data()["events"]}
        assert Snapshot.from_json(sealed(mixed)) == snapshot()

    def test_say_the_same_in_rows_that_are_written_one_by_one(self) -> None:
        written = {
            name: [write_row(name, row, Saving(CODEC, 100.0)) for row in rows.values()]
            for name, rows in ((name, getattr(tables(), name)) for name in TABLES)
        }
        assert {**snapshot().to_data(), **written} == snapshot().to_data()

    def test_hold_numbers_where_each_row_has_a_list_of_one(self) -> None:
        found = content()
        assert found["deliveries"]["events"] == [[1, 2], [3], []]
        rows = tables()
        for row in rows.deliveries.values():
            row.events = row.events[:1] or (4,)
        text = snapshot(rows).to_json()
        assert json.loads(text)["deliveries"]["events"] == [1, 3, 4]
        assert same_rows(read_rows(Snapshot.from_json(text)), rows)
        assert [row["events"] for row in snapshot(rows).to_data()["deliveries"]] == [[1], [3], [4]]
        mixed = found["deliveries"] | {"events": [[1, 2], 3, []]}
        read = Snapshot.from_json(sealed(found | {"deliveries": mixed}))
        assert same_rows(read_rows(read), tables())

    def test_of_child_runs_may_hold_either(self) -> None:
        found = content()
        child = found["children"]["saved"][0]
        in_columns = json.loads(Snapshot.from_data(copy.deepcopy(child)).to_json())
        found["children"]["saved"][0] = {
            name: part for name, part in in_columns.items() if name not in HEADER
        }
        read = Snapshot.from_json(sealed(found))
        assert read.requests == snapshot().requests
        saved = read_rows(read).children[10, 0].saved
        assert Snapshot.from_data(saved) == Snapshot.from_data(child)

    def test_with_many_rows_say_the_same(self) -> None:
        rows = tables()
        for id in range(1000, 3000, 2):
            event = Typed(str(id)) if id % 6 else Holding((id,))
            rows.events[id] = EventRow(id=id, event=event)
            rows.deliveries[id + 1] = DeliveryRow(
                id=id + 1, order=id, step="work", events=(id,), due=id / 3
            )
        rows.run[0] = RunRow(workflow="flow", next_id=3000)
        text = snapshot(rows).to_json()
        read = read_rows(Snapshot.from_json(text), steps=STEPS)
        for id, row in read.deliveries.items():
            due = rows.deliveries[id].due
            assert row.due is None if due is None else row.due == pytest.approx(due)
        assert read.events.keys() == rows.events.keys()
        for id, row in read.events.items():
            assert CODEC.same(row.event, rows.events[id].event)


class TestMalformed:
    @pytest.mark.parametrize(
        ("change", "path", "message"),
        [
            (lambda content: content.update(events=1), "$.events", "expected a table"),
            (lambda content: content["events"].pop("id"), "$.events", "'id' is missing"),
            (lambda content: content["events"].update(odd=[]), "$.events", "does not belong here"),
            (lambda content: content["events"].update(id={}), "$.events.id", "expected a list"),
            (lambda content: content["events"]["id"].append(9), "$.events", "the same length"),
            (lambda content: content["joins"]["id"].pop(), "$.joins", "of the same length"),
            (lambda content: content.update(run={}), "$.run", "expected exactly one row"),
            (put("events", "id", 1, 1), "$.events[1]", "a row with the key of an earlier one"),
            (put("events", "id", 1, "2"), "$.events[1].id", "a whole number from 0, got '2'"),
            (put("events", "id", 1, True), "$.events[1].id", "a whole number from 0"),
            (put("events", "cause", 1, -1), "$.events[1].cause", "a whole number from 0"),
            (put("events", "cause", 1, 2**60), "$.events[1].cause", "a whole number from 0"),
            (put("events", "cause", 1, 40), "$.events[1].cause", "has not given yet"),
            (put("events", "mailbox", 3, 1), "$.events[3].mailbox", "expected true or false"),
            (put("deliveries", "due", 1, 5), "$.deliveries[1].due", "a time in seconds, or null"),
            (put("deliveries", "step", 1, 5), "$.deliveries[1].step", "the name of a step"),
            (put("deliveries", "events", 1, [1.0]), "$.deliveries[1].events", "whole numbers"),
            (put("deliveries", "events", 1, [-1]), "$.deliveries[1].events", "whole numbers"),
            (put("deliveries", "events", 1, [9]), "$.deliveries[1].events", "no such event"),
            (put("deliveries", "events", 1, 9), "$.deliveries[1].events", "no such event"),
            (put("deliveries", "events", 1, -1), "$.deliveries[1].events", "whole numbers"),
            (put("deliveries", "events", 1, True), "$.deliveries[1].events", "whole numbers"),
            (put("state", "key", 1, 5), "$.state[1].key", "expected text"),
            (put("effects", "number", 2, 7), "$.effects[2].number", "before it is missing"),
            (lambda content: content["events"].update(event=[]), "$.events.event", "events"),
            (
                lambda content: content["events"]["event"].update(of=[0]),
                "$.events.event",
                "shape 0 is not a type and fields with a value per event",
            ),
        ],
    )
    def test_columns_are_refused_on_loading_with_their_path(
        self, change: Change, path: str, message: str
    ) -> None:
        with pytest.raises(SnapshotError) as caught:
            Snapshot.from_json(altered(change))
        assert caught.value.path == path
        assert message in str(caught.value)

    @pytest.mark.parametrize(
        ("change", "path", "message"),
        [
            (
                lambda content: shape(content)["fields"].update(name=[5, 6]),
                "$.events[0].event.name",
                "expected str, got int",
            ),
            (
                lambda content: shape(content)["fields"]["tags"][1].append(1),
                "$.events[3].event.tags[0]",
                "expected str, got int",
            ),
            (
                lambda content: shape(content)["fields"].update(more=[1, 2]),
                "$.events[0].event",
                "has no field 'more'",
            ),
            (
                lambda content: shape(content)["fields"].pop("name"),
                "$.events[0].event.name",
                "no default",
            ),
            (
                lambda content: shape(content, 1).update(type="app.Gone"),
                "$.events[1].event",
                "unknown event type 'app.Gone'",
            ),
            (put("deliveries", "step", 1, "\0!"), "$.deliveries[1].step", "expected text"),
            (put("state", "key", 1, "\0!"), "$.state[1].key", "expected text"),
        ],
    )
    def test_values_are_refused_with_the_path_of_their_row(
        self, change: Change, path: str, message: str
    ) -> None:
        with pytest.raises(SnapshotError) as caught:
            read_rows(Snapshot.from_json(altered(change)))
        assert caught.value.path == path
        assert message in str(caught.value)

    def test_steps_that_nobody_knows_are_named_where_they_are_first(self) -> None:
        text = altered(lambda content: content["deliveries"].update(step=["work", "", "work"]))
        with pytest.raises(SnapshotError) as caught:
            read_rows(Snapshot.from_json(text), steps=["split", "gather"])
        assert caught.value.problems[0] == "unknown step 'work' at $.deliveries[0].step"


class TestForms:
    @pytest.mark.parametrize("name", list(TABLES))
    def test_write_and_read_a_column_as_value_by_value(self, name: str) -> None:
        saving, loading = Saving(CODEC, 7.0), Loading(CODEC.reader({}), 7.0, {})
        rows = list(getattr(tables(), name).values())
        for column, form in TABLES[name].forms.items():
            values = [getattr(row, column) for row in rows]
            written = form.write_column(values, saving, [column] * len(values))
            if form.write is not None:
                assert form.values_of(written) == [form.write(v, saving, column) for v in values]
            assert form.values_of(form.column_of(form.values_of(written))) == form.values_of(
                written
            )
            assert form.check(written, column, len(rows)) == written
            assert all(map(form.fits, form.values_of(written)))
            assert CODEC.same(form.read_column(written, loading, column), values)


def test_a_value_that_could_not_be_restored_is_named_by_its_key() -> None:
    rows = Tables(state={"good": StateRow(key="good", value=1)})
    rows.state["bad"] = StateRow(key="bad", value=[Opaque()])
    with pytest.raises(StateValueError, match="'bad'|^bad") as caught:
        columns.write_tables(in_sheets(rows), Saving(CODEC, 0.0))
    assert caught.value.key == "bad"


def test_requests_keep_what_only_their_workflow_knows() -> None:
    class Question(InputRequestEvent):
        level: int = 0

    codec = Codec([Question])
    rows = tables()
    question = Question("how?", request_id="third", level=3)
    rows.requests["third"] = RequestRow(id="third", event=question, number=34)
    text = write_rows(rows, offset=0.0).to_json()
    read = Snapshot.from_json(text)
    assert [request.request_id for request in read.requests][:3] == ["first", "second", "third"]
    back = Codec([*map(type, [question]), Holding, Typed], [*CODEC._registry.plans])
    assert codec.same(read_rows(read, codec=back, offset=0.0).requests["third"].event, question)


class TestPieces:
    @given(values)
    def test_say_the_same_as_the_whole(self, value: Any) -> None:
        data = {"a": [CODEC.encode(value, "k")], "b": CODEC.encode(value, "k")}
        for levels in (0, 1, 7):
            assert "".join(canonical_in_pieces(data, levels)) == canonical(data)

    @pytest.mark.parametrize("count", [0, 1, 20, 21, 4_999, 5_000, 5_001, 10_000, 12_345])
    def test_of_a_long_list_say_the_same_as_the_whole(self, count: int) -> None:
        data = {
            "fields": [{"name": [f"{number},[]" for number in range(count)]}],
            "of": [[]] * count,
        }
        assert "".join(canonical_in_pieces(data)) == canonical(data)

    def test_are_short_where_a_column_of_events_is_long(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The encoder is never given more than a few thousand items at a time."""
        longest = 0

        def measured(data: Any) -> str:
            nonlocal longest
            longest = max(longest, len(data) if isinstance(data, list) else 0)
            return canonical(data)

        monkeypatch.setattr(writing, "canonical", measured)
        rows = tables()
        rows.run[0] = RunRow(workflow="flow", next_id=20_000)
        rows.events |= {id: EventRow(id=id, event=Typed("x")) for id in range(100, 12_000)}
        text = snapshot(rows).to_json()
        assert longest <= 5_000
        monkeypatch.undo()
        assert len(read_rows(Snapshot.from_json(text), offset=0.0).events) == len(rows.events)
