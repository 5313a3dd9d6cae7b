"""Snapshots hold a run exactly, and whatever is not one is refused with one typed error."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from typing import Any

import attrs
import pytest
from codec_values import CODEC, Holding, Typed
from snapshot_runs import (
    STEPS,
    altered,
    child_data,
    read_rows,
    sealed,
    snapshot,
    tables,
    write_rows,
)

from blazen_anyio._codec import Codec
from blazen_anyio._events import Event, InputRequestEvent, StopEvent
from blazen_anyio._exceptions import SnapshotError, SnapshotVersionError, StateValueError
from blazen_anyio._machine.records import ChildRow, EventRow, RunRow, StateRow, Tables
from blazen_anyio._snapshot import Snapshot, document, forms

NAMES = [field.name for field in attrs.fields(Tables)]


def same_rows(first: Tables, second: Tables) -> bool:
    """Whether all rows are the same, to the exact type of each value."""
    return all(
        CODEC.same(list(getattr(first, name)), list(getattr(second, name)))
        and all(
            CODEC.same(getattr(one, column), getattr(other, column))
            for one, other in zip(
                getattr(first, name).values(), getattr(second, name).values(), strict=True
            )
            for column in attrs.asdict(one, recurse=False)
        )
        for name in NAMES
    )


def loaded(text: str, **options: Any) -> Tables:
    return read_rows(Snapshot.from_json(text), **options)


class TestRoundTrip:
    def test_gives_the_same_rows(self) -> None:
        assert same_rows(loaded(snapshot().to_json(), steps=STEPS), tables())

    def test_through_bytes_and_with_a_key_gives_an_equal_snapshot(self) -> None:
        first = snapshot()
        assert Snapshot.from_bytes(first.to_bytes()) == first
        for key in (b"secret", "secret"):
            again = Snapshot.from_bytes(first.to_bytes(key), "secret")
            assert again == first
            assert hash(again) == hash(first)
        assert Snapshot.from_json(first.to_json()).to_json() == first.to_json()

    def test_survives_reformatting(self) -> None:
        text = json.dumps(json.loads(snapshot().to_json(b"k")), indent=2)
        assert Snapshot.from_json(text, b"k") == snapshot()

    def test_of_text_that_is_no_unicode_keeps_it(self) -> None:
        odd = "\ud83d\ude00 \0"
        first = write_rows(tables(), run_id=odd, workflow=odd)
        again = Snapshot.from_json(first.to_json())
        assert (again.run_id, again.workflow) == (odd, odd)

    def test_moves_times_to_the_clock_of_the_process_that_reads(self) -> None:
        rows = loaded(snapshot().to_json(), offset=60.0)
        assert rows.deliveries[10].due == 45.0
        assert rows.deliveries[11].first_tried == 41.0
        assert rows.deliveries[12].due is None
        assert rows.effects[10, 2].due == 49.0
        assert rows.run[0].active == 1.5

    def test_takes_whole_numbers_for_times(self) -> None:
        rows = Tables(run={0: RunRow(workflow="w", next_id=1, active=2)})
        text = write_rows(rows, offset=0).to_json()
        assert loaded(text).run[0].active == 2.0

    def test_as_data_is_what_a_parent_keeps_of_its_child(self) -> None:
        child = Snapshot.from_data(loaded(snapshot().to_json()).children[10, 0].saved)
        assert child == Snapshot.from_data(child_data())
        assert child.workflow == "child"
        assert read_rows(child).deliveries[2].due == 2.0


class TestSnapshot:
    def test_stays_what_it_was(self) -> None:
        shared: list[int] = [1]
        rows = tables()
        rows.state["list"] = StateRow(key="list", value=shared)
        first = snapshot(rows)
        shared.append(2)
        rows.events.clear()
        back = read_rows(first)
        assert back.state["list"].value == [1]
        assert len(back.events) == 4

    def test_is_immutable(self) -> None:
        with pytest.raises(attrs.exceptions.FrozenInstanceError):
            snapshot().run_id = "other"  # type: ignore[misc]

    def test_tells_its_names_and_version(self) -> None:
        first = snapshot()
        assert (first.run_id, first.workflow, first.version) == ("r", "flow", 2)

    def test_shows_counts_and_no_values(self) -> None:
        assert repr(snapshot()) == (
            "<Snapshot of 'flow', run 'r': 4 events, 3 deliveries, 2 requests>"
        )

    def test_equals_only_a_snapshot_of_the_same(self) -> None:
        rows = tables()
        rows.state["count"] = StateRow(key="count", value=1)
        true = tables()
        true.state["count"] = StateRow(key="count", value=True)
        assert snapshot() == snapshot()
        assert snapshot(rows) != snapshot()
        assert snapshot(rows) != snapshot(true)
        assert snapshot() != "snapshot"

    def test_shows_the_requests_that_it_was_given(self) -> None:
        class Question(InputRequestEvent): ...

        asked = Question("why?")
        first = write_rows(Tables(), requests=[asked])
        assert first.requests == (asked,)
        assert first.requests[0] is asked

    def test_shows_open_requests_oldest_first_and_those_of_children_last(self) -> None:
        requests = Snapshot.from_json(snapshot().to_json()).requests
        assert [request.request_id for request in requests] == ["first", "second", "child-request"]
        assert snapshot().requests == requests
        assert requests[0] == InputRequestEvent("why?", request_id="first")

    def test_shows_metadata_of_an_unknown_class_as_plain_data(self) -> None:
        point = Snapshot.from_json(snapshot().to_json()).requests[1].metadata["point"]
        assert point == {"$": "object", "type": "codec_values.Point", "fields": {"x": 1, "y": 0}}

    @pytest.mark.parametrize(
        ("metadata", "shown"),
        [
            ({1: 2}, {1: 2}),
            ({"$": 1}, {"$": 1}),
            (None, {}),
            (frozenset({1}), {}),
        ],
        ids=str,
    )
    def test_shows_any_metadata(self, metadata: Any, shown: Any) -> None:
        rows = tables()
        event = InputRequestEvent("why?", metadata, request_id="first")
        rows.requests["first"] = attrs.evolve(rows.requests["first"], event=event)
        assert Snapshot.from_json(snapshot(rows).to_json()).requests[0].metadata == shown

    def test_shows_no_metadata_where_data_has_none(self) -> None:
        text = altered(lambda content: content["requests"][1]["event"]["fields"].pop("metadata"))
        assert Snapshot.from_json(text).requests[0].metadata == {}

    def test_refuses_a_live_object_by_event_and_field(self) -> None:
        rows = tables()
        rows.events[1] = EventRow(id=1, event=Holding(object()))
        with pytest.raises(StateValueError) as caught:
            snapshot(rows)
        assert caught.value.key == "Holding.value"

    def test_names_the_state_key_of_a_value_that_it_refuses(self) -> None:
        rows = tables()
        rows.state["client"] = StateRow(key="client", value=object())
        with pytest.raises(StateValueError) as caught:
            snapshot(rows)
        assert caught.value.key == "client"

    def test_refuses_child_runs_that_nest_too_deep(self) -> None:
        content = child_data()
        rows = tables()
        for _ in range(document.MAX_CHILDREN):
            rows.children = {
                (10, 0): ChildRow(delivery=10, number=0, workflow="c", digest="d", saved=content)
            }
            last = snapshot(rows)
            content = last.to_data()
        assert Snapshot.from_json(last.to_json()) == last
        rows.children = {
            (10, 0): ChildRow(delivery=10, number=0, workflow="c", digest="d", saved=content)
        }
        with pytest.raises(SnapshotError, match="child runs nested deeper than 32"):
            snapshot(rows)
        too_deep = dict(content)
        too_deep["children"] = [
            {"delivery": 10, "number": 0, "workflow": "c", "digest": "d", "saved": content}
        ]
        with pytest.raises(SnapshotError, match="child runs nested deeper than 32"):
            Snapshot.from_json(sealed(too_deep))


class TestKeys:
    def test_that_differ_are_told_apart_from_damage(self) -> None:
        with pytest.raises(SnapshotError, match="signed with another key") as caught:
            Snapshot.from_json(snapshot().to_json("one"), "other")
        assert caught.value.path == "$.signature"
        with pytest.raises(SnapshotError, match="does not agree with its digest") as caught:
            Snapshot.from_json(snapshot().to_json("one").replace("flow", "flaw"), "one")
        assert caught.value.path == "$.digest"

    def test_must_be_given_for_a_signed_snapshot(self) -> None:
        with pytest.raises(SnapshotError, match="pass it as key="):
            Snapshot.from_json(snapshot().to_json("one"))

    def test_refuse_a_snapshot_that_is_not_signed(self) -> None:
        with pytest.raises(SnapshotError, match="not signed"):
            Snapshot.from_json(snapshot().to_json(), "one")

    def test_refuse_what_was_changed_by_somebody_who_can_make_digests(self) -> None:
        honest = json.loads(snapshot().to_json("one"))
        forged = json.loads(altered(lambda content: content["state"].clear()))
        forged["signature"] = honest["signature"]
        with pytest.raises(SnapshotError, match="changed by somebody"):
            Snapshot.from_json(json.dumps(forged), "one")

    def test_and_digests_cover_content_that_hides_between_them(self) -> None:
        text = snapshot().to_json()
        unsigned = '"signature":null,'
        hidden = '"secrets":[]'.ljust(len(unsigned) - 1) + ","
        assert unsigned in text
        with pytest.raises(SnapshotError, match="does not agree with its digest"):
            Snapshot.from_json(text.replace(unsigned, hidden))

    @pytest.mark.parametrize("key", ["", b""])
    def test_must_not_be_empty(self, key: Any) -> None:
        with pytest.raises(ValueError, match="must not be empty"):
            snapshot().to_json(key)
        with pytest.raises(ValueError, match="must not be empty"):
            Snapshot.from_json(snapshot().to_json("k"), key)

    @pytest.mark.parametrize("digest", [None, 1, "", "sha256:", "\ud800", ["sha256"]])
    @pytest.mark.parametrize("field", ["digest", "signature"])
    def test_and_digests_of_any_form_are_compared(self, digest: Any, field: str) -> None:
        content = json.loads(snapshot().to_json("k"))
        content[field] = digest
        with pytest.raises(SnapshotError):
            Snapshot.from_json(json.dumps(content), "k")


class TestDocuments:
    @pytest.mark.parametrize(
        ("text", "message"),
        [
            ("", "no JSON"),
            ("{", "brackets that do not match"),
            ('{"a" 1}', "no JSON: Expecting ':' delimiter at character 5"),
            ("[]", "expected a JSON object"),
            ("null", "expected a JSON object"),
            ("\ufeff{}", "no JSON"),
            ('{"a": NaN}', "NaN is no JSON"),
            ('{"a": [-Infinity]}', "-Infinity is no JSON"),
            ('{"a": 1e999}', "'1e999' is out of range"),
            ('{"a": ' + "1" * 5000 + "}", "a number that is too long"),
            ('{"a": 1, "b": 2, "a": 3}', "the key 'a' is there twice"),
            ("[" * 10_000, "more than 406 levels deep"),
            ("[" * 10_000 + "]" * 10_000, "more than 406 levels deep"),
            ('{"a":' * 10_000 + "1" + "}" * 10_000, "more than 406 levels deep"),
            ("[" * 406 + "]" * 406, "expected a JSON object"),
            ("[" * 407 + "]" * 407, "more than 406 levels deep"),
            ('{"a": "[[[[\\"[[[["}', "no snapshot of blazen_anyio"),
            ('{"a": "\\\\", "b": "]"}', "no snapshot of blazen_anyio"),
            ("{}", "no snapshot of blazen_anyio"),
            ('{"format": "blazen"}', "no snapshot of blazen_anyio"),
            ('{"format": "blazen-anyio"}', "expected a version, got 'None'"),
            ('{"format": "blazen-anyio", "version": true}', "expected a version"),
            ('{"format": "blazen-anyio", "version": 2}', "does not agree with its digest"),
        ],
        ids=lambda value: str(value)[:20],
    )
    def test_that_are_none_are_refused(self, text: str, message: str) -> None:
        with pytest.raises(SnapshotError) as caught:
            Snapshot.from_json(text)
        assert message in str(caught.value)
        assert not isinstance(caught.value, SnapshotVersionError)

    def test_of_a_newer_release_say_so_whatever_else_is_in_them(self) -> None:
        with pytest.raises(SnapshotVersionError, match="version 3; this one reads 2"):
            Snapshot.from_json('{"format": "blazen-anyio", "version": 3, "odd": {}}')

    def test_of_a_version_that_never_was_say_so(self) -> None:
        with pytest.raises(
            SnapshotVersionError, match="no release has written version 0; this one reads 2"
        ) as caught:
            Snapshot.from_json('{"format": "blazen-anyio", "version": 0}')
        assert caught.value.path == "$.version"

    def test_that_are_too_long_are_refused_in_both_directions(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        text = snapshot().to_json()
        monkeypatch.setattr(document, "MAX_CHARACTERS", len(text) - 1)
        with pytest.raises(SnapshotError, match="longer than"):
            Snapshot.from_json(text)
        with pytest.raises(SnapshotError, match="longer than"):
            snapshot().to_json()

    def test_that_are_no_utf8_are_refused(self) -> None:
        with pytest.raises(SnapshotError, match="no UTF-8 at byte 1"):
            Snapshot.from_bytes(b"{\xff}")

    @pytest.mark.parametrize("end", [1, 10, 100, 1000, -1])
    def test_that_are_cut_off_are_refused(self, end: int) -> None:
        with pytest.raises(SnapshotError):
            Snapshot.from_json(snapshot().to_json()[:end])

    def test_near_the_end_of_the_stack_are_refused_with_a_typed_error(self) -> None:
        text = '{"a":' + "[" * 390 + "]" * 390 + "}"

        def at_the_edge() -> Any:
            try:
                return at_the_edge()
            except RecursionError:
                return Snapshot.from_json(text)

        with pytest.raises(SnapshotError, match="the stack that is left"):
            at_the_edge()

    def test_of_the_greatest_allowed_depth_can_be_read(self) -> None:
        value: Any = 1
        for _ in range(99):
            value = Typed(value)  # the wrong type: marked, which takes the most levels
        rows = tables()
        rows.events[1] = EventRow(id=1, event=value)
        assert same_rows(loaded(snapshot(rows).to_json()), rows)


Change = Callable[[dict[str, Any]], Any]


def put(table: str, index: int, column: str, value: Any) -> Change:
    """Set one column of one row."""
    return lambda content: content[table][index].__setitem__(column, value)


def drop(table: str, index: int, column: str) -> Change:
    """Remove one column of one row."""
    return lambda content: content[table][index].pop(column)


class TestContent:
    @pytest.mark.parametrize(
        ("change", "path", "message"),
        [
            (lambda content: content.pop("run_id"), "$.run_id", "expected text, got 'None'"),
            (lambda content: content.update(workflow=1), "$.workflow", "expected text, got '1'"),
            (lambda content: content.update(workflow="\0!"), "$.workflow", "expected text"),
            (lambda content: content.pop("joins"), "$", "'joins' is missing"),
            (lambda content: content.update(more=1), "$", "'more' does not belong here"),
            (lambda content: content.update(events=1), "$.events", "expected a table"),
            (lambda content: content["events"].append(1), "$.events[4]", "expected a row"),
            (
                lambda content: content["events"].append(content["events"][0]),
                "$.events[4]",
                "a row with the key of an earlier one",
            ),
            (lambda content: content["run"].clear(), "$.run", "expected exactly one row"),
            (lambda content: content["run"].append({}), "$.run[1]", "'active' is missing"),
            (drop("events", 1, "id"), "$.events[1]", "'id' is missing"),
            (put("events", 1, "odd", 1), "$.events[1]", "'odd' does not belong here"),
            (put("events", 1, "id", "2"), "$.events[1].id", "a whole number from 0, got '2'"),
            (put("events", 1, "id", True), "$.events[1].id", "a whole number from 0"),
            (put("events", 1, "id", 2.0), "$.events[1].id", "a whole number from 0"),
            (put("events", 1, "scope", -1), "$.events[1].scope", "a whole number from 0"),
            (put("events", 1, "branch", 2**60), "$.events[1].branch", "a whole number from 0"),
            (put("events", 3, "mailbox", 1), "$.events[3].mailbox", "expected true or false"),
            (put("events", 0, "event", None), "$.events[0].event", "expected an event"),
            (put("events", 0, "event", {"type": 1, "fields": {}}), "$.events[0].event", "an event"),
            (put("run", 0, "active", 1), "$.run[0].active", "a number of seconds"),
            (put("run", 0, "workflow", None), "$.run[0].workflow", "expected text"),
            (put("deliveries", 0, "step", 5), "$.deliveries[0].step", "the name of a step"),
            (put("deliveries", 0, "due", 5), "$.deliveries[0].due", "a time in seconds, or null"),
            (put("deliveries", 0, "due", 1e300), "$.deliveries[0].due", "a time in seconds"),
            (put("deliveries", 0, "attempts", -1), "$.deliveries[0].attempts", "whole number"),
            (put("deliveries", 0, "events", [1.5]), "$.deliveries[0].events", "whole numbers"),
            (put("deliveries", 0, "events", 1), "$.deliveries[0].events", "whole numbers"),
            (put("joins", 0, "slot", None), "$.joins[0].slot", "a whole number or text"),
            (put("effects", 0, "kind", "spam"), "$.effects[0].kind", "one of send, yield,"),
            (put("effects", 0, "kind", None), "$.effects[0].kind", "one of send, yield,"),
            (put("effects", 2, "settled", ""), "$.effects[2].settled", "answered, timed_out, null"),
            (put("effects", 2, "settled", []), "$.effects[2].settled", "answered, timed_out, null"),
            (put("children", 0, "saved", []), "$.children[0].saved", "a child run, or null"),
            (put("children", 1, "result", 1), "$.children[1].result", "an event, or null"),
            (put("events", 1, "id", 40), "$.events[1].id", "has not given yet"),
            (put("events", 1, "id", 0), "$.events[1].id", "has not given yet"),
            (put("events", 1, "cause", 40), "$.events[1].cause", "has not given yet"),
            (put("events", 1, "scope", 40), "$.events[1].scope", "has not given yet"),
            (put("deliveries", 0, "id", 40), "$.deliveries[0].id", "has not given yet"),
            (put("deliveries", 0, "scope", 5), "$.deliveries[0].scope", "no such scope"),
            (put("deliveries", 0, "events", [9]), "$.deliveries[0].events", "no such event"),
            (put("deliveries", 0, "order", 40), "$.deliveries[0].order", "has not given yet"),
            (put("deliveries", 0, "order", 11), "$.deliveries[0].order", "that another has, too"),
            (put("scopes", 0, "parent", 9), "$.scopes[0].parent", "no such scope"),
            (put("scopes", 0, "parent", 21), "$.scopes[0].parent", "younger than this"),
            (put("scopes", 0, "parent", 20), "$.scopes[0].parent", "younger than this"),
            (put("scopes", 1, "held", 9), "$.scopes[1].held", "no such delivery"),
            (put("scopes", 0, "held", 11), "$.scopes[0].held", "holds another scope"),
            (put("joins", 0, "scope", 9), "$.joins[0].scope", "no such scope"),
            (put("joins", 0, "event", 9), "$.joins[0].event", "no such event"),
            (put("requests", 0, "scope", 9), "$.requests[0].scope", "no such scope"),
            (put("requests", 0, "number", 40), "$.requests[0].number", "has not given yet"),
            (put("requests", 0, "delivery", 9), "$.requests[0].delivery", "no such delivery"),
            (put("requests", 0, "delivery", 11), "$.requests[0].delivery", "not made this request"),
            (put("requests", 0, "id", "x"), "$.requests[0].event", "is not that of the row"),
            (put("effects", 0, "delivery", 9), "$.effects[0].delivery", "no such delivery"),
            (put("effects", 2, "number", 5), "$.effects[2].number", "before it is missing"),
            (put("memos", 0, "delivery", 9), "$.memos[0].delivery", "no such delivery"),
            (put("children", 0, "delivery", 9), "$.children[0].delivery", "no such delivery"),
            (
                lambda content: content["children"][0]["saved"]["events"][0].update(id=7),
                "$.children[0].saved.events[0].id",
                "has not given yet",
            ),
            (
                lambda content: content["children"][0]["saved"].pop("run"),
                "$.children[0].saved",
                "'run' is missing",
            ),
        ],
    )
    def test_that_is_malformed_is_refused_on_loading_with_its_path(
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
                lambda content: content["events"][0]["event"]["fields"].update(name=5),
                "$.events[0].event.name",
                "expected str, got int",
            ),
            (
                lambda content: content["events"][0]["event"]["fields"]["tags"].append(1),
                "$.events[0].event.tags[1]",
                "expected str, got int",
            ),
            (put("state", 0, "value", {"a": [{"$": "x"}]}), "$.state[0].value.a[0]", "unknown tag"),
            (put("state", 0, "key", "\0!"), "$.state[0].key", "expected text"),
            (put("state", 0, "key", "\0Y291bnQ="), "$.state[0].key", "expected text"),
            (
                put(
                    "requests",
                    1,
                    "event",
                    {"type": "blazen::StopEvent", "fields": {"request_id": "first"}},
                ),
                "$.requests[1].event",
                "no field 'request_id'",
            ),
            (
                put(
                    "requests",
                    1,
                    "event",
                    {
                        "type": "blazen::InputResponseEvent",
                        "fields": {"request_id": "first", "response": 1},
                    },
                ),
                "$.requests[1].event",
                "expected an InputRequestEvent",
            ),
        ],
    )
    def test_that_is_malformed_inside_values_is_refused_with_its_path(
        self, change: Change, path: str, message: str
    ) -> None:
        with pytest.raises(SnapshotError) as caught:
            loaded(altered(change))
        assert caught.value.path == path
        assert message in str(caught.value)

    @pytest.mark.parametrize("data", [None, [], 1, {}])
    def test_of_anything_else_is_refused(self, data: Any) -> None:
        with pytest.raises(SnapshotError):
            Snapshot.from_data(data)

    def test_imports_nothing(self) -> None:
        before = set(sys.modules)
        for name in ("antigravity.Fly", "wsgiref.simple_server.WSGIServer"):
            change = put("events", 0, "event", {"type": name, "fields": {}})
            with pytest.raises(SnapshotError, match="unknown event type"):
                loaded(altered(change))
        assert set(sys.modules) == before

    def test_may_leave_out_what_has_its_default(self) -> None:
        rows = loaded(altered(drop("deliveries", 0, "attempts")))
        assert rows.deliveries[10].attempts == 0

    def test_may_say_what_has_its_default(self) -> None:
        assert same_rows(loaded(altered(put("children", 0, "result", None))), tables())


class TestNames:
    def test_that_nobody_knows_are_listed_all_at_once(self) -> None:
        text = snapshot().to_json()
        with pytest.raises(SnapshotError) as caught:
            loaded(text, codec=Codec([Typed]), steps=["split", "ask"])
        assert caught.value.path == "$.deliveries[0].step"
        assert caught.value.problems == (
            "unknown step 'work' at $.deliveries[0].step",
            "unknown step 'gather' at $.joins[0].step",
            "unknown event type 'codec_values.Holding' at $.events[1].event",
            "unknown class 'codec_values.Point' at $.events[1].event",
            "unknown class 'codec_values.Box' at $.state[1].value",
        )
        assert "renames={old: new}" in str(caught.value)

    def test_of_types_alone_are_listed_too(self) -> None:
        with pytest.raises(SnapshotError) as caught:
            loaded(snapshot().to_json(), codec=Codec([Typed, Holding]), steps=STEPS)
        assert len(caught.value.problems) == 2

    def test_are_listed_up_to_a_bound(self) -> None:
        rows = tables()
        for number in range(30):
            key = f"key{number}"
            rows.state[key] = StateRow(key=key, value=0)
        content = snapshot(rows).to_data()
        for number, row in enumerate(content["state"]):
            row["value"] = {"$": "object", "type": f"app.Thing{number}", "fields": {}}
        with pytest.raises(SnapshotError, match="and 12 more") as caught:
            loaded(sealed(content))
        assert len(caught.value.problems) == 32

    def test_that_have_changed_are_mapped(self) -> None:
        text = sealed(
            json.loads(
                json.dumps(snapshot().to_data())
                .replace('"work"', '"toil"')
                .replace("codec_values.Typed", "codec_values.Old")
                .replace('"slot": "Typed"', '"slot": "codec_values.Old"')
                .replace("codec_values.Box", "boxes.Box")
            )
        )
        renames = {
            "toil": "work",
            "codec_values.Old": "codec_values.Typed",
            "boxes.Box": "codec_values.Box",
        }
        with pytest.raises(SnapshotError):
            loaded(text, steps=STEPS)
        rows = loaded(text, steps=STEPS, renames=renames)
        assert rows.deliveries[10].step == "work"
        assert rows.scopes[21].opener == "work"
        assert isinstance(rows.events[1].event, Typed)
        assert rows.joins[31].slot == "codec_values.Typed"

    def test_of_the_routing_itself_are_no_steps(self) -> None:
        rows = loaded(snapshot().to_json(), steps=STEPS)
        assert rows.deliveries[12].step == ""


def test_every_field_of_a_row_has_a_form() -> None:
    with pytest.raises(KeyError):
        forms.form_of(dict[str, Event])
    with pytest.raises(KeyError):
        forms.form_of(StopEvent)
    assert forms.form_of(int) is forms.form_of(int)
