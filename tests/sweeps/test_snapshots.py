"""A snapshot taken after any input of the machine goes on to the same result, on either backend."""

from __future__ import annotations

from typing import Any

import pytest

from .harness import Case, cases, numbers
from .recording import after_each_input
from .scheduling import BACKENDS, Steps, run_with_steps
from .shape import Shape

SHARE = 4


@pytest.mark.parametrize("other", BACKENDS, ids=lambda other: f"on {other}")
@pytest.mark.parametrize(("shape", "backend", "lanes"), cases())
def test_a_snapshot_after_any_input_goes_on_to_the_same_result(
    shape: Shape, backend: str, lanes: bool, other: str
) -> None:
    taken = _snapshots_of(shape, backend, lanes)
    assert taken

    async def main(steps: Steps) -> None:
        case = Case.of(shape, lanes=lanes)
        for number in numbers(len(taken), SHARE, (shape.name, backend, lanes, other)):
            if number > len(taken):
                break
            text, inputs = taken[number - 1]
            try:
                await case.resumed(text)
            except BaseException as error:
                error.add_note(f"{case} from snapshot {number} of {len(taken)}, after {inputs}")
                raise

    run_with_steps(other, main)


def _snapshots_of(shape: Shape, backend: str, lanes: bool) -> list[tuple[str, str]]:
    """The snapshots after each input of an undisturbed run, with the inputs that it was after.

    Inputs that change nothing (such as the handing out of an invocation) share one.
    """
    taken: dict[str, list[str]] = {}

    async def main(steps: Steps) -> None:
        case = Case.of(shape, lanes=lanes)

        def look(name: str) -> None:
            text: Any = case.snapshot()
            if text is not None:
                taken.setdefault(text, []).append(name)

        with after_each_input(look):
            await case.undisturbed(steps)

    run_with_steps(backend, main)
    return [(text, ", ".join(inputs)) for text, inputs in taken.items()]
