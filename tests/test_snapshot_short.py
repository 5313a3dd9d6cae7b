"""Long columns of the engine's own are written in short, and read as if they were not."""

from __future__ import annotations

import json
from typing import Any

import pytest
from codec_values import Typed
from hypothesis import given
from hypothesis import strategies as st
from snapshot_runs import read_rows, sealed, snapshot, tables
from test_snapshot import same_rows

from blazen_anyio._codec import Malformed, escape_text
from blazen_anyio._events import InputRequestEvent
from blazen_anyio._exceptions import SnapshotError
from blazen_anyio._machine.records import (
    DeliveryRow,
    EventRow,
    MemoRow,
    RequestRow,
    RunRow,
    StateRow,
    Tables,
)
from blazen_anyio._snapshot import Snapshot
from blazen_anyio._snapshot.short import MOST, lengthen, shorten

HEADER = ("format", "version", "digest", "signature")
COUNT = 40


def many() -> Tables:
    """A run with many queued events that are alike."""
    rows = tables()
    rows.run[0] = RunRow(workflow="flow", next_id=3000)
    for id in range(1000, 1000 + 2 * COUNT, 2):
        rows.events[id] = EventRow(id=id, event=Typed("same"), cause=10, position=id)
        rows.state[str(id)] = StateRow(key=str(id), value="same")
    rows.deliveries = {
        id + 1: DeliveryRow(id=id + 1, order=id + 1, step="work", events=(id,))
        for id in range(1000, 1000 + 2 * COUNT, 2)
    }
    for name in ("requests", "effects", "memos", "children", "scopes", "joins"):
        getattr(rows, name).clear()
    for id in (1, 2, 3, 4):
        del rows.events[id]
    return rows


def content() -> dict[str, Any]:
    document = json.loads(snapshot(many()).to_json())
    return {name: part for name, part in document.items() if name not in HEADER}


class TestColumns:
    @given(
        st.lists(st.integers(0, 3) | st.sampled_from(["", "a"]), max_size=40)
        | st.builds(
            lambda first, by, count, tail: [first + by * n for n in range(count)] + tail,
            st.integers(0, MOST),
            st.integers(-3, 3),
            st.integers(0, 40),
            st.lists(st.integers(0, 9), max_size=2),
        )
        | st.lists(st.none() | st.floats(allow_nan=False) | st.booleans(), max_size=40)
        | st.lists(st.lists(st.integers(0, 2)), max_size=40)
    )
    def test_in_short_say_the_same(self, column: list[Any]) -> None:
        short = shorten(column)
        if isinstance(short, list) or max(map(abs, column[:1] + column[-1:]), default=0) < MOST / 2:
            assert repr(lengthen(short, len(column))) == repr(column)

    @pytest.mark.parametrize(
        ("column", "short"),
        [
            (["hold"] * 16, {"all": "hold"}),
            ([7] * 16, {"all": 7}),
            (list(range(4, 36, 2)), {"from": 4, "by": 2}),
        ],
    )
    def test_that_are_alike_or_count_are_in_short(self, column: list[Any], short: Any) -> None:
        assert shorten(column) == short

    @pytest.mark.parametrize(
        "column",
        [
            ["hold"] * 15,
            [*["hold"] * 15, "held", "hold"],
            [*range(15), 16],
            list(range(16, 0, -1)),
            [True] * 16,
            [None] * 16,
            [1.5] * 16,
            [[1]] * 16,
            ["", *range(16)],
            [0, "", *range(16)],
        ],
    )
    def test_that_are_something_else_are_not(self, column: list[Any]) -> None:
        assert shorten(column) is column

    @pytest.mark.parametrize(
        "data",
        [
            {},
            {"all": None},
            {"all": True},
            {"all": 1.0},
            {"all": [1]},
            {"all": 1, "more": 2},
            {"from": 1},
            {"from": -1, "by": 1},
            {"from": 1, "by": 0},
            {"from": 1, "by": True},
            {"from": 1.0, "by": 1},
            {"from": MOST - 4, "by": 1},
            {"from": 1, "by": MOST},
            "text",
        ],
    )
    def test_in_short_of_another_form_are_refused(self, data: Any) -> None:
        with pytest.raises(Malformed, match="expected a list with a value for each row"):
            lengthen(data, 5)


class TestDocuments:
    def test_hold_columns_in_short(self) -> None:
        found = content()
        assert found["deliveries"]["step"] == {"all": "work"}
        assert found["deliveries"]["order"] == {"from": 1001, "by": 2}
        assert found["deliveries"]["events"] == {"from": 1000, "by": 2}
        assert found["events"]["cause"] == {"all": 10}

    def test_hold_one_column_in_full_that_tells_the_number_of_rows(self) -> None:
        found = content()
        for name in ("deliveries", "events", "state"):
            column = found[name]["key" if name == "state" else "id"]
            assert isinstance(column, list)
            assert len(column) >= COUNT

    def test_hold_in_full_what_users_have_put_there(self) -> None:
        found = content()
        (shape,) = found["events"]["event"]["shapes"]
        assert shape["fields"]["name"] == ["same"] * COUNT
        assert found["state"]["value"][-COUNT:] == ["same"] * COUNT

    def test_are_read_as_they_were(self) -> None:
        read = Snapshot.from_json(snapshot(many()).to_json())
        assert same_rows(read_rows(read), many())
        assert read == snapshot(many())
        assert Snapshot.from_data(read.to_data()) == read

    def test_of_child_runs_may_have_columns_in_short(self) -> None:
        rows = many()
        rows.requests |= {
            str(number): RequestRow(
                id=str(number),
                event=InputRequestEvent("?", request_id=str(number)),
                number=number,
                scope=0,
                branch=number,
            )
            for number in range(100, 120)
        }
        document = json.loads(snapshot(rows).to_json())
        assert document["requests"]["number"] == {"from": 100, "by": 1}
        found = {name: part for name, part in document.items() if name not in HEADER}
        parent = json.loads(snapshot().to_json())
        parent = {name: part for name, part in parent.items() if name not in HEADER}
        parent["children"]["saved"][0] = found
        read = Snapshot.from_json(sealed(parent))
        saved = read_rows(read).children[10, 0].saved
        assert Snapshot.from_data(saved) == snapshot(rows)
        assert [each.request_id for each in read.requests][:4] == ["first", "second", "100", "101"]

    @pytest.mark.parametrize(
        ("table", "column", "data", "path", "message"),
        [
            ("deliveries", "id", {"from": 1001, "by": 2}, ".id", "expected a list"),
            ("state", "value", {"all": 1}, ".value", "expected a list"),
            ("events", "event", {"all": 1}, ".event", "expected events"),
            ("deliveries", "step", {"all": 1}, "[0].step", "the name of a step, got '1'"),
            ("deliveries", "order", {"all": "x"}, "[0].order", "a whole number from 0"),
            ("deliveries", "begun", {"all": 1}, "[0].begun", "true or false"),
            ("deliveries", "due", {"from": 1, "by": 1}, "[0].due", "a time in seconds"),
            ("deliveries", "order", {"from": 1, "by": -1}, ".order", "expected a list"),
            ("deliveries", "events", {"all": 999}, "[0].events", "no such event"),
            ("events", "cause", {"from": 2990, "by": 1}, "[10].cause", "has not given yet"),
        ],
    )
    def test_with_another_form_are_refused_with_the_path(
        self, table: str, column: str, data: Any, path: str, message: str
    ) -> None:
        found = content()
        found[table][column] = data
        with pytest.raises(SnapshotError) as caught:
            Snapshot.from_json(sealed(found))
        assert caught.value.path == f"$.{table}{path}"
        assert message in str(caught.value)

    def test_text_in_short_is_read_once(self) -> None:
        """Else a long one and many rows take a copy of it for each of them."""
        rows = many()
        for number in rows.deliveries:
            rows.memos[number, "name"] = MemoRow(delivery=number, name="name", value=1)
        document = json.loads(snapshot(rows).to_json())
        found = {name: part for name, part in document.items() if name not in HEADER}
        found["memos"]["name"] = {"all": escape_text("\ud800")}
        read = read_rows(Snapshot.from_json(sealed(found)))
        names = [row.name for row in read.memos.values()]
        assert len(names) == COUNT
        assert len(set(map(id, names))) == 1

    def test_that_ask_for_more_rows_than_they_list_are_small(self) -> None:
        """The number of rows is that of a list, so a huge run takes a huge document."""
        found = content()
        found["deliveries"] = {
            "id": [5],
            "order": {"from": 1, "by": 1},
            "step": {"all": "work"},
            "events": {"all": 1000},
        }
        assert len(read_rows(Snapshot.from_json(sealed(found))).deliveries) == 1
