"""Events are written by type and fields, and digested."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Any

import attrs
import pytest
from codec_values import CODEC, Colour, Holding, Opaque, Typed, event_through_json

from blazen_anyio._codec import Codec
from blazen_anyio._events import (
    DynamicEvent,
    Event,
    InputRequestEvent,
    InputResponseEvent,
    LifecycleEvent,
    StartEvent,
    StepFailed,
    StopEvent,
)
from blazen_anyio._exceptions import SnapshotError, StateValueError


class Fetch(Event):
    url: str
    client: Any = None


class TestEvents:
    codec = Codec([Fetch, Typed, Holding], [Colour])

    @pytest.mark.parametrize(
        "event",
        [
            StartEvent(data={"a": (1, 2)}),
            StopEvent(result={1, 2}),
            InputRequestEvent("why?", {"choices": ["a"]}, request_id="r"),
            InputResponseEvent("r", None),
            DynamicEvent("app.Other", {"x": 1}),
            LifecycleEvent("step_started", "s", None, None, 1, None),
            Typed("x", 1, 0.25, ["a"], Colour.RED),
            Holding(Typed("inner")),
        ],
        ids=lambda event: type(event).__name__,
    )
    def test_come_back_as_they_were(self, event: Event) -> None:
        back = event_through_json(self.codec, event)
        assert self.codec.same(back, event)
        assert back == event

    def test_are_written_as_type_and_fields(self) -> None:
        assert self.codec.encode_event(StopEvent(result=1)) == {
            "type": "blazen::StopEvent",
            "fields": {"result": 1},
        }

    def test_that_are_dynamic_keep_the_name_of_their_type(self) -> None:
        data = self.codec.encode_event(DynamicEvent("app.Other", {"x": 1}))
        assert data == {
            "type": "blazen::DynamicEvent",
            "fields": {"event_type": "app.Other", "data": {"x": 1}},
        }

    def test_of_a_failure_lose_the_live_error_and_keep_its_description(self) -> None:
        failure = StepFailed.of("work", Fetch("u"), ValueError("bad"), 3)
        back = event_through_json(self.codec, failure)
        assert isinstance(back, StepFailed)
        assert back == attrs.evolve(failure, error=None)
        assert back.message == "bad"
        assert "ValueError: bad" in back.traceback_text
        assert self.codec.copy(failure, "k").error is None

    @pytest.mark.parametrize(
        ("event", "key", "text"),
        [
            (Fetch("u", Opaque()), "Fetch.client", "Fetch.client: a value of type"),
            (Fetch("u", {"a": [Opaque()]}), "Fetch.client", "(at .a[0]) can't be restored"),
            (Holding(Fetch("u", Opaque())), "Holding.value", "(at .client)"),
        ],
    )
    def test_with_a_live_object_name_event_and_field(
        self, event: Event, key: str, text: str
    ) -> None:
        with pytest.raises(StateValueError) as caught:
            self.codec.encode_event(event)
        assert caught.value.key == key
        assert caught.value.value_type is Opaque
        assert text in str(caught.value)

    def test_that_are_no_plain_objects_are_refused(self) -> None:
        with pytest.raises(StateValueError, match="Event"):
            self.codec.encode_event(Event())
        with pytest.raises(StateValueError, match="is not a field") as caught:
            self.codec.encode_event(_with_extra(Fetch("u")))
        assert caught.value.key == "Fetch"

    def test_of_a_class_that_the_codec_was_not_given_are_written_but_not_read(self) -> None:
        class Stranger(Event):
            x: int

        for _ in range(2):
            data = self.codec.encode_event(Stranger(1))
        assert self.codec.encode(Stranger(1), "k") == {"$": "event", **data}
        with pytest.raises(SnapshotError, match="name its class in Workflow"):
            self.codec.decode_event(data, "$")
        assert Codec([Stranger]).decode_event(data, "$") == Stranger(1)
        with pytest.raises(StateValueError):
            self.codec.copy(Stranger(1), "k")

    def test_of_a_renamed_class_are_read_under_the_new_name(self) -> None:
        data = self.codec.encode_event(Holding([Typed("x", colour=Colour.RED)]))
        text = json.dumps(data).replace("Typed", "Old").replace("Colour", "OldColour")
        renames = {
            "codec_values.Old": "codec_values.Typed",
            "codec_values.OldColour": "codec_values.Colour",
        }
        with pytest.raises(SnapshotError, match="unknown event type 'codec_values.Old'; .*renames"):
            self.codec.decode_event(json.loads(text), "$")
        assert self.codec.decode_event(json.loads(text), "$", renames) == Holding(
            [Typed("x", colour=Colour.RED)]
        )

    @pytest.mark.parametrize(
        "data", [None, [], {}, {"type": "x"}, {"type": "x", "fields": {}, "more": 1}]
    )
    def test_that_do_not_look_like_events_are_refused(self, data: Any) -> None:
        with pytest.raises(SnapshotError, match="expected an event"):
            self.codec.decode_event(data, "$")

    def test_with_an_unknown_field_are_refused(self) -> None:
        data = self.codec.encode_event(Fetch("u"))
        data["fields"]["extra"] = 1
        with pytest.raises(SnapshotError, match="Fetch has no field 'extra'"):
            self.codec.decode_event(data, "$")

    @pytest.mark.parametrize("mark", [{"$": "untyped"}, {"$": "untyped", "v": 1, "w": 1}])
    def test_with_a_broken_mark_are_refused(self, mark: Any) -> None:
        with pytest.raises(SnapshotError, match="exactly the keys"):
            self.codec.decode_event({"type": Fetch.event_type, "fields": {"url": mark}}, "$")


def _with_extra(event: Event) -> Event:
    object.__setattr__(event, "extra", 1)
    return event


_DIGEST_PROGRAM = """
import sys
sys.path[:0] = {path!r}
from codec_values import CODEC, Holding
names = {{"a", "b", "c", "d", "e"}}
ordered = {{name: 1 for name in names}}
print(CODEC.digest(Holding((names, ordered, {{(name,): 1 for name in names}}))))
"""


class TestDigest:
    def test_is_the_same_in_every_process(self) -> None:
        program = _DIGEST_PROGRAM.format(path=[p for p in sys.path if p])
        digests = {
            subprocess.run(
                [sys.executable, "-c", program],
                env={**os.environ, "PYTHONHASHSEED": seed},
                check=True,
                capture_output=True,
            ).stdout
            for seed in ("1", "2")
        }
        assert len(digests) == 1
        assert len(digests.pop().strip()) == 32

    @pytest.mark.parametrize(
        ("first", "second"),
        [
            (Holding(1), Holding(True)),
            (Holding(1), Holding(1.0)),
            (Holding([1, 2]), Holding([2, 1])),
            (Holding("x"), Typed("x")),
            (Holding({1: 1}), Holding({1: 2})),
        ],
    )
    def test_tells_events_apart(self, first: Event, second: Event) -> None:
        assert CODEC.digest(first) != CODEC.digest(second)

    def test_does_not_count_the_order_of_dicts(self) -> None:
        assert CODEC.digest(Holding({"a": 1, "b": 2})) == CODEC.digest(Holding({"b": 2, "a": 1}))
        assert CODEC.digest(Holding([{1: 1, 2: 2}])) == CODEC.digest(Holding([{2: 2, 1: 1}]))

    def test_leaves_out_what_can_not_be_written(self) -> None:
        codec = Codec([Fetch])
        assert codec.digest(Fetch("u", Opaque())) == codec.digest(Fetch("u", lambda: None))
        assert codec.digest(Fetch("u", Opaque())) != codec.digest(Fetch("v", Opaque()))

    def test_of_an_event_that_can_not_be_written_is_of_its_type(self) -> None:
        codec = Codec([Fetch])
        assert codec.digest(Event()) == codec.digest(Event())
        assert codec.digest(_with_extra(Fetch("u"))) == codec.digest(_with_extra(Fetch("v")))

    def test_leaves_out_what_is_not_set(self) -> None:
        class Late(Event):
            x: int = attrs.field(init=False)

        codec = Codec([Late])
        assert codec.digest(Late()) == codec.digest(Late())


def test_unknown_types_are_all_found() -> None:
    data = {
        "type": "app.Gone",
        "fields": {
            "a": [{"$": "enum", "type": "app.Shade", "member": "X"}],
            "b": {
                "$": "object",
                "type": "app.Thing",
                "fields": {"c": {"$": "event", "type": "app.E"}},
            },
            "d": {"type": "plain", "$": "tuple"},
            "e": {"$": "object", "type": 1},
            "f": {"$": "object", "type": "codec_values.Point", "fields": {}},
        },
    }
    found = set(CODEC.reader({}).unknown_types(data))
    assert found == {
        "event type 'app.Gone'",
        "enum 'app.Shade'",
        "class 'app.Thing'",
        "event type 'app.E'",
    }
