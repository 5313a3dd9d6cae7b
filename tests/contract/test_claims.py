"""The table of the claims leaves no example and no claim out."""

from __future__ import annotations

from pathlib import Path

import pytest

from .claim import STORE, Claim
from .claims import CLAIMS
from .example import Example
from .examples import EXAMPLES

TESTS = Path(__file__).parent.parent

ALL = [pytest.param(each, id=each.text[:60]) for claims in CLAIMS.values() for each in claims]


@pytest.mark.parametrize("claim", ALL)
def test_a_claim_has_an_example_or_says_why_it_has_none_and_what_shows_it(claim: Claim) -> None:
    assert claim.examples or claim.rest
    assert set(claim.examples) <= EXAMPLES.keys()
    assert bool(claim.rest and claim.rest != STORE) == bool(claim.tests)
    assert [each for each in claim.tests if not (TESTS / each).is_file()] == []


def test_every_example_shows_a_claim() -> None:
    shown = {name for claims in CLAIMS.values() for each in claims for name in each.examples}
    assert EXAMPLES.keys() - shown == set()


@pytest.mark.parametrize("example", EXAMPLES.values(), ids=EXAMPLES)
def test_an_example_quotes_what_it_shows(example: Example) -> None:
    assert example.build.__doc__
