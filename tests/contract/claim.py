"""What a claim is: words of the contract, and where each of them is shown."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import attrs

from blazen_anyio import Workflow

__all__ = ["CALL", "DEFINITION", "ONE_PROCESS", "STORE", "TYPES", "WORDS", "Claim", "claim"]

DEFINITION = "a definition that is refused has no run"
ONE_PROCESS = "of what one process saw, another can't know"
CALL = "an error at a call in one process; the run goes on as if nothing had been"
STORE = "about stores, which go on from their own rows"
TYPES = "type checkers say it"
WORDS = "it names things; each is used by the examples or by its own tests"


@attrs.frozen
class Claim:
    """One claim, and where it is shown.

    Attributes:
        text: the words of the contract.
        examples: what shows it here.
        rest: what of it can't be an example, and why; empty if nothing is left.
        tests: what shows the rest, as paths below ``tests``.
    """

    text: str
    examples: tuple[str, ...]
    rest: str
    tests: tuple[str, ...]


def claim(
    text: str, *examples: Callable[[], Workflow[Any]], rest: str = "", tests: str = ""
) -> Claim:
    """Make a claim; ``tests`` are separated by spaces."""
    return Claim(text, tuple(each.__name__ for each in examples), rest, tuple(tests.split()))
