"""Events: what a subclass statement makes of a class."""

from __future__ import annotations

import attrs
import pytest

from blazen_anyio import DynamicEvent, Event, StartEvent, StopEvent, secret


class Greet(Event):
    name: str
    times: int = 1


class Shout(Greet, event_type="app.Shout"):
    loudness: int = attrs.field(default=3, validator=attrs.validators.ge(1))


def test_a_subclass_has_its_fields_and_those_it_inherits() -> None:
    event = Shout("Ada", 2, 5)
    assert (event.name, event.times, event.loudness) == ("Ada", 2, 5)
    assert Shout("Ada") == Shout("Ada", times=1, loudness=3)


def test_an_event_is_frozen() -> None:
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        Greet("Ada").name = "Bob"  # type: ignore[misc]


def test_validators_run() -> None:
    with pytest.raises(ValueError, match="loudness"):
        Shout("Ada", loudness=0)


def test_the_type_name_is_the_module_and_the_qualified_name_unless_said_and_not_inherited() -> None:
    class Whisper(Shout):
        pass

    assert Greet.event_type == f"{__name__}.Greet"
    assert Shout.event_type == "app.Shout"
    assert Whisper.event_type.endswith("<locals>.Whisper")


def test_an_empty_type_name_is_refused() -> None:
    with pytest.raises(TypeError, match="event_type must not be empty"):
        type("Nameless", (Event,), {}, event_type="")


def test_the_built_in_events_keep_their_names() -> None:
    assert StartEvent.event_type == "blazen::StartEvent"
    assert StopEvent.event_type == "blazen::StopEvent"
    assert DynamicEvent("app.Thing").event_type == "app.Thing"


def test_base_fields_are_keyword_only_so_that_subclasses_add_theirs_freely() -> None:
    class Ask(StartEvent):
        name: str

    assert Ask("Ada") == Ask(name="Ada")
    assert Ask("Ada").data == {}


@pytest.mark.parametrize("default", [[], {}, set()])
def test_a_default_that_all_events_would_share_is_refused(default: object) -> None:
    with pytest.raises(TypeError, match="would be shared by all events; write attrs.field"):
        type("Shared", (Event,), {"__annotations__": {"items": "object"}, "items": default})


def test_a_secret_field_does_not_show_and_may_have_a_default() -> None:
    class Login(StartEvent):
        user: str
        password: str = secret()
        codes: list[str] = secret(factory=list)
        pin: int = secret(default=0)
        token: str = attrs.field(default="t0ken", metadata={"secret": True})

    login = Login("ada", "pa55")
    assert (login.password, login.codes, login.pin, login.token) == ("pa55", [], 0, "t0ken")
    assert repr(login).endswith(
        "Login(data={}, user='ada', password=***, codes=***, pin=***, token=***)"
    )
