"""What both stores check in what they are given; a wrong argument is a programmer's mistake."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

from .._numbers import check_count, check_seconds
from .._store import Commit

__all__ = ["check_lease", "check_limit", "check_sequence"]


def check_lease(lease: float | None) -> None:
    """Check the seconds of a lease; ``None`` for one that does not end by itself.

    Raises:
        TypeError: it is no number.
        ValueError: it is not positive, or infinite.
    """
    if lease is not None:
        check_seconds("lease=", lease)
        if not lease:
            raise ValueError("lease= takes a positive number of seconds, or None")


def check_limit(limit: int | None) -> None:
    """Check how many are asked for; ``None`` for all.

    Raises:
        TypeError: it is no whole number.
        ValueError: it is negative.
    """
    if limit is not None:
        check_count("limit=", limit, least=0)


def check_sequence(commits: Sequence[Commit]) -> None:
    """Check that commits are of one claim of one run, one after another.

    Raises:
        ValueError: they are not.
    """
    for before, commit in itertools.pairwise(commits):
        expected = (before.run_id, before.epoch, before.sequence + 1)
        if (commit.run_id, commit.epoch, commit.sequence) != expected:
            raise ValueError(
                f"commits go together if they are of one run, in order: after {expected} comes "
                f"{(commit.run_id, commit.epoch, commit.sequence)}"
            )
