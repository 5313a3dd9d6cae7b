"""The contract, claim by claim, and the examples that show each.

The claims are the sentences of the contract about what a run does, under its headings and mostly in
its order. Where no example can show a claim, it says why, and which tests do. ``test_claims`` sees
to it that every claim has one or the other, and that every example shows a claim.
"""

from __future__ import annotations

from .claim import Claim
from .claims_of_joins import CLAIMS as OF_JOINS
from .claims_of_more import CLAIMS as OF_MORE
from .claims_of_runs import CLAIMS as OF_RUNS
from .claims_of_steps import CLAIMS as OF_STEPS

__all__ = ["CLAIMS"]

CLAIMS: dict[str, tuple[Claim, ...]] = {**OF_STEPS, **OF_JOINS, **OF_RUNS, **OF_MORE}
"""By the heading of the contract."""
