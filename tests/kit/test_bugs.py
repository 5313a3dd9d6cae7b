"""The kit finds each planted bug within seconds, reports it cut down, and cries no wolf."""

from __future__ import annotations

import time

import pytest

from blazen_anyio.testing import ExplorationError, SweepError

from .bugs import BUGS, Bug, failures, orders, races

assert failures and orders and races, "imported so that they register their bugs"

SECONDS = 5
"""Of this thread's processor time, so that what else runs does not matter."""


@pytest.fixture(params=BUGS.values(), ids=BUGS.keys())
def bug(request: pytest.FixtureRequest) -> Bug:
    return request.param


def test_there_are_at_least_twenty_bugs() -> None:
    assert len(BUGS) >= 20


def test_a_bug_is_found_within_seconds_and_cut_down(bug: Bug) -> None:
    began = time.thread_time()
    with pytest.raises((ExplorationError, SweepError)) as caught:
        bug.find(False)
    assert time.thread_time() - began < SECONDS
    assert bug.says in str(caught.value)
    if bug.departures is not None:
        assert len(caught.value.transcript.schedule) <= bug.departures
        assert f"schedule={dict(caught.value.transcript.schedule)!r}" in str(caught.value)


def test_a_mended_workflow_passes(bug: Bug) -> None:
    bug.find(True)
