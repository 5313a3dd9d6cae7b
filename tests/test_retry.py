"""Retry policies: pure functions of (attempt, elapsed, error, random number)."""

from __future__ import annotations

import math
from typing import Any

import attrs
import pytest

from blazen_anyio import Retry


def plain(**options: Any) -> Retry:
    """A policy without jitter that does not run out of attempts."""
    return Retry(**{"max_attempts": 10_000, "jitter": False, **options})


def wait(retry: Retry, attempt: int = 1, random: float = 0.5) -> float | None:
    return retry.delay(attempt, 0.0, ValueError(), random)


# ---- how long ----------------------------------------------------------------------------------


@pytest.mark.parametrize("random", [0.0, 0.25, 0.5, 0.999])
def test_with_jitter_the_wait_is_uniform_between_nothing_and_the_whole(random: float) -> None:
    """A uniform random number is stretched to the wait, so the wait is uniform."""
    retry = plain(initial=8, factor=1, jitter=True)
    assert wait(retry, random=random) == 8 * random


def test_jitter_is_drawn_from_the_wait_that_max_delay_has_cut() -> None:
    retry = plain(initial=8, factor=10, max_delay=20, jitter=True)
    assert wait(retry, attempt=3, random=0.5) == 10


@pytest.mark.parametrize("random", [0.0, 0.25, 0.999])
def test_without_jitter_the_random_number_does_not_matter(random: float) -> None:
    assert wait(plain(initial=8), random=random) == 8


def test_each_wait_is_longer_by_the_factor() -> None:
    retry = plain(initial=0.5, factor=3, max_delay=1000)
    assert [wait(retry, attempt) for attempt in (1, 2, 3, 4)] == [0.5, 1.5, 4.5, 13.5]


def test_a_factor_may_shorten_the_waits() -> None:
    assert [wait(plain(initial=8, factor=0.5), attempt) for attempt in (1, 2, 3)] == [8, 4, 2]


def test_no_wait_is_longer_than_max_delay() -> None:
    retry = plain(initial=1, factor=2, max_delay=5)
    assert [wait(retry, attempt) for attempt in (1, 2, 3, 4, 9)] == [1, 2, 4, 5, 5]


def test_max_delay_holds_for_the_first_wait_too() -> None:
    assert wait(plain(initial=100, max_delay=5)) == 5


def test_a_wait_too_large_for_a_number_is_max_delay() -> None:
    assert wait(plain(initial=1, factor=10.0, max_delay=7), attempt=5_000) == 7


def test_no_initial_wait_means_no_wait_at_all() -> None:
    assert [wait(plain(initial=0), attempt) for attempt in (1, 2, 3)] == [0, 0, 0]


# ---- whether -----------------------------------------------------------------------------------


def test_max_attempts_counts_the_first_one() -> None:
    retry = plain(max_attempts=3, initial=1, factor=1)
    assert [wait(retry, attempt) for attempt in (1, 2, 3, 4)] == [1, 1, None, None]


def test_one_attempt_means_no_retry() -> None:
    assert wait(plain(max_attempts=1)) is None


@pytest.mark.parametrize(("elapsed", "expected"), [(0, 4), (6, 4), (6.001, None), (99, None)])
def test_an_attempt_may_start_at_max_elapsed_and_no_later(
    elapsed: float, expected: float | None
) -> None:
    retry = plain(initial=4, max_elapsed=10)
    assert retry.delay(1, elapsed, ValueError(), 0.5) == expected


def test_max_elapsed_looks_at_the_wait_with_its_jitter() -> None:
    retry = plain(initial=4, max_elapsed=10, jitter=True)
    assert retry.delay(1, 7, ValueError(), 0.5) == 2
    assert retry.delay(1, 7, ValueError(), 0.9) is None


def test_without_max_elapsed_time_does_not_matter() -> None:
    assert plain(initial=4).delay(1, 1e9, ValueError(), 0.5) == 4


# ---- which exceptions --------------------------------------------------------------------------


def retries(on: Any, error: BaseException) -> bool:
    return plain(on=on).delay(1, 0.0, error, 0.5) is not None


def test_on_a_class_takes_its_subclasses_and_nothing_else() -> None:
    assert retries(OSError, OSError())
    assert retries(OSError, ConnectionError())
    assert not retries(OSError, ValueError())


def test_on_a_tuple_takes_each_of_its_classes() -> None:
    both = (OSError, KeyError)
    assert retries(both, ConnectionError())
    assert retries(both, KeyError())
    assert not retries(both, ValueError())


def test_on_an_empty_tuple_takes_nothing() -> None:
    assert not retries((), ValueError())


def test_on_a_predicate_is_asked_with_the_error_itself() -> None:
    seen: list[BaseException] = []

    def judge(error: BaseException) -> bool:
        seen.append(error)
        return str(error) == "again"

    again, enough = ValueError("again"), ValueError("enough")
    assert retries(judge, again)
    assert not retries(judge, enough)
    assert [id(each) for each in seen] == [id(again), id(enough)]


def test_a_predicate_is_not_asked_after_the_last_attempt() -> None:
    asked: list[BaseException] = []
    retry = plain(max_attempts=2, on=lambda error: bool(asked.append(error)))
    assert wait(retry, attempt=2) is None
    assert asked == []


def test_by_default_every_exception_is_worth_it_and_no_other_base_exception() -> None:
    retry = Retry(jitter=False)
    assert wait(retry) == 0.1
    assert retry.delay(1, 0.0, GeneratorExit(), 0.5) is None


@pytest.mark.parametrize("error", [KeyboardInterrupt(), SystemExit()])
@pytest.mark.parametrize(
    "on",
    [BaseException, (KeyboardInterrupt, SystemExit), lambda error: True],
    ids=["base", "both", "any"],
)
def test_what_ends_the_program_is_never_retried(on: Any, error: BaseException) -> None:
    assert not retries(on, error)


# ---- the policy itself -------------------------------------------------------------------------


def test_the_defaults_are_those_of_the_contract() -> None:
    assert attrs.asdict(Retry()) == {
        "max_attempts": 3,
        "initial": 0.1,
        "factor": 2.0,
        "max_delay": 30.0,
        "jitter": True,
        "on": Exception,
        "max_elapsed": None,
    }


def test_a_policy_is_frozen_and_equal_to_one_that_says_the_same() -> None:
    retry = Retry(max_attempts=5)
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        retry.max_attempts = 6  # type: ignore[misc]
    assert retry == Retry(max_attempts=5)
    assert retry != Retry(max_attempts=6)


def test_arguments_are_given_by_name() -> None:
    with pytest.raises(TypeError):
        Retry(5)  # type: ignore[misc]


@pytest.mark.parametrize("value", [0, -1, 1.0, True, "3", None])
def test_max_attempts_takes_a_whole_number_from_1(value: Any) -> None:
    with pytest.raises((TypeError, ValueError), match=r"max_attempts=.* whole number from 1, not "):
        Retry(max_attempts=value)


@pytest.mark.parametrize("name", ["initial", "factor", "max_delay", "max_elapsed"])
@pytest.mark.parametrize("value", [-0.001, math.nan, math.inf, True, "1", [1]])
def test_times_and_factor_take_a_number_from_0(name: str, value: Any) -> None:
    with pytest.raises((TypeError, ValueError), match=rf"{name}=.* number from 0, not "):
        Retry(**{name: value})


@pytest.mark.parametrize("name", ["initial", "factor", "max_delay"])
def test_only_max_elapsed_may_be_none(name: str) -> None:
    with pytest.raises(TypeError, match=name):
        Retry(**{name: None})  # type: ignore[arg-type]
    assert Retry(max_elapsed=None).max_elapsed is None


@pytest.mark.parametrize("name", ["initial", "factor", "max_delay", "max_elapsed"])
def test_whole_numbers_and_zero_are_numbers(name: str) -> None:
    assert getattr(Retry(**{name: 0}), name) == 0  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "value", [int, (ValueError, int), (ValueError, "OSError"), "ValueError", None, ValueError()]
)
def test_on_takes_exception_classes_or_a_predicate(value: Any) -> None:
    with pytest.raises(TypeError, match=r"on=.* exception class, a tuple of them or a predicate"):
        Retry(on=value)
