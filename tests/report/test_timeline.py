"""Facts become invocations, attempts and waits, and what they do not tell stays unknown."""

from __future__ import annotations

from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from blazen_anyio import HistoryFact
from blazen_anyio._report.timeline import (
    Attempt,
    Invocation,
    Timeline,
    Wait,
    read_timeline,
    runner_of,
)

from .told import Story


def read(story: Story, *, ended: bool = True) -> Timeline:
    return read_timeline(story.facts, ended=ended)


def only(story: Story, *, ended: bool = True) -> Invocation:
    (invocation,) = read(story, ended=ended).invocations
    return invocation


def times(attempts: Iterable[Attempt]) -> list[tuple[float | None, float | None, str]]:
    return [(each.begin, each.end, each.outcome) for each in attempts]


def test_a_start_and_an_end_make_an_attempt() -> None:
    invocation = only(Story().step("started", 7, cause=3).step("completed", 7, cause=3))
    assert (invocation.number, invocation.step, invocation.event_type) == (7, "work", "Work")
    assert invocation.cause == 3
    assert times(invocation.attempts) == [(0, 1, "completed")]
    assert invocation.outcome == "completed"


def test_invocations_of_one_step_that_overlap_are_told_apart_by_their_numbers() -> None:
    story = Story().step("started", 1).step("started", 2).step("failed", 1, error="Boom")
    story.step("completed", 2)
    first, second = read(story).invocations
    assert times(first.attempts) == [(0, 2, "failed")]
    assert first.attempts[0].error == "Boom"
    assert times(second.attempts) == [(1, 3, "completed")]


@pytest.mark.parametrize("kind", ["failed", "timed_out", "cancelled"])
def test_an_attempt_after_another_belongs_to_the_same_invocation(kind: str) -> None:
    story = Story().step("started").step(kind).step("started", attempt=2).step("completed")
    assert times(only(story).attempts) == [(0, 1, kind), (2, 3, "completed")]


def test_waits_are_part_of_the_attempt() -> None:
    story = Story().step("started").step("waiting").step("continued").step("waiting")
    story.step("completed")
    assert only(story).attempts[0].waits == [Wait(1, 2), Wait(3, 4)]


def test_what_still_waits_has_no_end() -> None:
    story = Story().step("started").step("waiting")
    invocation = only(story, ended=False)
    assert invocation.attempts[0].waits == [Wait(1, None)]
    assert invocation.outcome == "running"


def test_an_attempt_without_an_end_runs_as_long_as_its_run_goes_on() -> None:
    story = Story().step("started").routed()
    assert times(only(story, ended=False).attempts) == [(0, None, "running")]
    assert times(only(story).attempts) == [(0, 1, "lost")]


def test_a_beginning_that_is_forgotten_is_found_by_the_duration() -> None:
    story = Story()
    story.now = 10
    assert times(only(story.step("failed", duration=4)).attempts) == [(6, 10, "failed")]


def test_a_beginning_that_nothing_tells_of_stays_unknown() -> None:
    story = Story().step("continued").step("waiting").step("continued")
    invocation = only(story, ended=False)
    assert times(invocation.attempts) == [(None, None, "running")]
    assert invocation.attempts[0].waits == [Wait(None, 0), Wait(1, 2)]
    assert times(only(story.step("completed", duration=5)).attempts) == [(-2, 3, "completed")]


def test_a_wait_that_began_before_what_is_known_has_an_unknown_beginning() -> None:
    story = Story().step("started").step("continued").step("completed")
    assert only(story).attempts[0].waits == [Wait(None, 1)]


def test_a_resumed_run_has_lost_what_ran_before() -> None:
    story = Story().step("started").tell("run_resumed").step("started").step("completed")
    assert times(only(story).attempts) == [(0, 0, "lost"), (2, 3, "completed")]


def test_a_run_that_goes_on_after_a_pause_has_lost_nothing() -> None:
    story = Story().step("started").tell("run_paused").tell("run_resumed").step("completed")
    assert times(only(story).attempts) == [(0, 3, "completed")]


def test_a_run_that_was_suspended_in_a_pause_is_resumed_and_not_continued() -> None:
    story = Story().step("started").tell("run_paused").tell("run_suspended").tell("run_resumed")
    story.step("started").step("completed")
    assert times(only(story).attempts) == [(0, 2, "lost"), (4, 5, "completed")]


def test_an_attempt_that_is_begun_again_without_an_end_was_lost() -> None:
    story = Story().tell("run_paused").step("started").tell("run_resumed").step("started")
    assert times(only(story, ended=False).attempts) == [(1, 2, "lost"), (3, None, "running")]


def test_a_resumed_run_has_lost_the_attempts_of_its_child_runs_and_of_no_others() -> None:
    story = Story().inside(("r/1.0",)).step("started", 5).inside(("r/2.0",)).step("started", 5)
    timeline = read(story.inside(("r/1.0",)).tell("run_resumed"), ended=False)
    assert [each.outcome for each in timeline.invocations] == ["lost", "running"]
    timeline = read(story.inside(()).tell("run_resumed"), ended=False)
    assert [each.outcome for each in timeline.invocations] == ["lost", "lost"]


def test_child_runs_have_numbers_of_their_own() -> None:
    story = Story().step("started", 4).inside(("r/4.0",)).step("started", 4)
    first, second = read(story).invocations
    assert (first.path, second.path) == ((), ("r/4.0",))


def test_a_cause_is_found_within_the_run() -> None:
    story = Story().step("started", 1).step("started", 2, cause=1).step("started", 3, cause=99)
    assert read(story).causes() == [None, 0, None]


def test_what_begins_a_child_run_was_caused_by_who_runs_it() -> None:
    story = Story().step("started", 12).inside(("r/12.0",)).step("started", 1)
    story.inside(("r/12.0", "r/12.0/1.3")).step("started", 8)
    assert read(story).causes() == [None, 0, 1]


@pytest.mark.parametrize(
    ("run_id", "number"),
    [("r/12.0", 12), ("a/3.1/12.0", 12), ("r", None), ("r/x.0", None), ("", None), ("r/²", None)],
)
def test_the_id_of_a_child_run_tells_who_runs_it(run_id: str, number: int | None) -> None:
    assert runner_of(run_id) == number


def test_an_event_waits_from_its_routing_on() -> None:
    story = Story().routed().routed().step("started", 1).step("started", 2).step("started", 3)
    assert [each.ready for each in read(story).invocations] == [0, 1, None]


def test_two_steps_that_take_the_same_event_wait_for_the_same_time() -> None:
    story = Story().routed().step("started", 1, "a").step("started", 2, "b")
    assert [each.ready for each in read(story).invocations] == [0, 0]


def test_requests_are_facts_of_the_invocation_that_asks() -> None:
    story = Story().step("started", 3)
    story.tell("input_requested", step="work", invocation=3)
    story.tell("input_received", step="work", invocation=4)
    timeline = read(story)
    assert timeline.owners == (0, 0, None)
    assert len(timeline.invocations) == 1


def test_kinds_that_a_later_release_adds_are_left_alone() -> None:
    timeline = read(Story().step("meditated").tell("run_pondered"))
    assert (timeline.owners, timeline.invocations) == ((None, None), ())


KINDS = (
    "event_routed",
    *(f"step_{kind}" for kind in ("started", "completed", "failed", "timed_out", "cancelled")),
    *("step_waiting", "step_continued", "input_requested", "run_paused", "run_resumed"),
    *("run_suspended", "run_completed"),
)
FACTS = st.builds(
    HistoryFact,
    kind=st.sampled_from(KINDS),
    time=st.just(0.0),
    step=st.sampled_from([None, "a", "b"]),
    duration=st.none() | st.floats(0, 5),
    path=st.sampled_from([(), ("r/1.0",), ("r/1.0", "r/1.0/2.0")]),
    invocation=st.none() | st.integers(1, 3),
    cause=st.none() | st.integers(0, 3),
)


@given(st.lists(FACTS, max_size=30), st.booleans())
def test_any_facts_make_a_timeline_that_holds_together(
    facts: list[HistoryFact], ended: bool
) -> None:
    facts = [
        HistoryFact(f.kind, float(n), f.step, None, 1, f.duration, None, f.path, f.invocation)
        for n, f in enumerate(facts)
    ]
    timeline = read_timeline(facts, ended=ended)
    assert len(timeline.owners) == len(facts)
    for invocation in timeline.invocations:
        assert invocation.attempts
        for attempt in invocation.attempts[:-1]:
            assert attempt.outcome != "running"
        last = invocation.attempts[-1]
        assert (last.end is None) == (last.outcome == "running")
        assert not (ended and last.outcome == "running")
