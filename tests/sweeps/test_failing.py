"""Whichever attempt fails or times out, before or after its work, a retry makes up for it."""

from __future__ import annotations

from typing import Literal

import pytest

from .harness import Case, cases, numbers
from .kit import Fault
from .scheduling import Steps, run_with_steps
from .shape import Shape

SHARE = 4


@pytest.mark.parametrize("kind", ["start", "end", "hang"])
@pytest.mark.parametrize(("shape", "backend", "lanes"), cases())
def test_a_run_of_which_any_attempt_fails_once_has_the_same_result(
    shape: Shape, backend: str, lanes: bool, kind: Literal["start", "end", "hang"]
) -> None:
    async def main(steps: Steps) -> None:
        case = Case.of(shape, lanes=lanes, spare=1, timeout=100 if kind == "hang" else None)
        await case.undisturbed(steps)
        attempts = case.kit.slow if kind == "hang" else range(1, case.kit.begun + 1)
        struck = 0
        for number in numbers(len(attempts), SHARE, case):
            if number > len(attempts):
                break
            case.kit.reset(Fault(attempts[number - 1], kind))
            try:
                assert await case.host(case.workflow.start()) == shape.result
                await case.check_nothing_left()
            except BaseException as error:
                error.add_note(f"{case}, of which attempt {attempts[number - 1]} fails: {kind}")
                raise
            struck += case.kit.struck
        assert struck

    run_with_steps(backend, main)
