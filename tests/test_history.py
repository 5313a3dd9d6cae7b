"""The history keeps what it should, numbers it, and can be read while the run goes on."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from blazen_anyio._machine.facts import Fact, RawFact
from blazen_anyio._run._history import History


def raw(number: int) -> RawFact:
    return ("step_started", float(number), f"step{number}", "app.Work", 1, None, None, number, 0)


def filled(count: int, maxlen: int | None = None) -> History:
    history = History(maxlen)
    for number in range(count):
        history.append(raw(number))
    return history


def test_facts_are_typed_when_they_are_read() -> None:
    history = History()
    history.append(("step_failed", 2.5, "fetch", "app.Fetch", 2, 0.5, "builtins.OSError", 7, 3))
    assert history[0] == Fact(
        sequence=0,
        kind="step_failed",
        time=2.5,
        step="fetch",
        event_type="app.Fetch",
        attempt=2,
        duration=0.5,
        error="builtins.OSError",
        invocation=7,
        cause=3,
    )


def test_an_unbounded_history_keeps_all() -> None:
    history = filled(5000)
    assert (len(history), history.dropped, history.maxlen) == (5000, 0, None)
    assert history.enabled


def test_a_bounded_history_forgets_the_oldest_and_counts_them() -> None:
    history = filled(10, maxlen=3)
    assert [fact.time for fact in history] == [7.0, 8.0, 9.0]
    assert (len(history), history.dropped, history.maxlen) == (3, 7, 3)


def test_a_history_that_is_off_keeps_and_drops_nothing() -> None:
    history = filled(10, maxlen=0)
    assert list(history) == []
    assert (len(history), history.dropped, history.enabled) == (0, 0, False)


def test_the_sequence_shows_what_was_dropped() -> None:
    history = filled(10, maxlen=3)
    assert [fact.sequence for fact in history] == [7, 8, 9]
    assert history[0].sequence == history.dropped


@given(
    count=st.integers(0, 12),
    maxlen=st.none() | st.integers(0, 12),
    index=st.integers(-15, 15),
    cut=st.slices(15),
)
def test_it_reads_like_a_list(count: int, maxlen: int | None, index: int, cut: slice) -> None:
    every = [Fact(number, *raw(number)) for number in range(count)]
    model = every if maxlen is None else every[max(0, count - maxlen) :]
    history = filled(count, maxlen)
    assert (list(history), list(reversed(history)), len(history)) == (
        model,
        model[::-1],
        len(model),
    )
    assert history[cut] == model[cut]
    if -len(model) <= index < len(model):
        assert history[index] == model[index]
        assert history.index(history[index]) == index % len(model)
    else:
        with pytest.raises(IndexError):
            history[index]


def test_it_can_be_read_while_facts_are_appended() -> None:
    history = filled(3, maxlen=3)
    seen: list[int] = []
    for fact in history:
        history.append(raw(99))
        seen.append(fact.sequence)
    assert seen == [0, 1, 2]
    assert [fact.sequence for fact in history] == [3, 4, 5]


@pytest.mark.parametrize(
    ("maxlen", "error"), [(-1, ValueError), (1.5, TypeError), (True, TypeError)]
)
def test_a_useless_length_is_refused(maxlen: Any, error: type[Exception]) -> None:
    with pytest.raises(error, match="history takes"):
        History(maxlen)


def test_the_repr_is_short() -> None:
    assert repr(filled(10, maxlen=3)) == "<History of 3 facts, 7 dropped>"
