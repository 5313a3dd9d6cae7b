"""A snapshot taken after any input of the machine goes on to the same result, on either backend.

Nothing that had finished by then runs again: the attempts add up to those of the undisturbed run.
"""

from __future__ import annotations

import attrs
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
    attempts, taken = _snapshots_of(shape, backend, lanes)
    assert taken

    async def main(steps: Steps) -> None:
        case = Case.of(shape, lanes=lanes)
        for number in numbers(len(taken), SHARE, (shape.name, backend, lanes, other)):
            if number > len(taken):
                break
            snapshot = taken[number - 1]
            try:
                await case.resumed(snapshot.text)
                if not (shape.varies or shape.nests):
                    assert snapshot.finished + case.kit.begun == attempts
            except BaseException as error:
                error.add_note(f"{case} from snapshot {number} of {len(taken)}: {snapshot}")
                raise

    run_with_steps(other, main)


@attrs.define
class _Taken:
    """A snapshot, how many attempts had ended by then, and the inputs that it was taken after."""

    text: str = attrs.field(repr=False)
    finished: int
    inputs: list[str]


def _snapshots_of(shape: Shape, backend: str, lanes: bool) -> tuple[int, list[_Taken]]:
    """The attempts of an undisturbed run, and its snapshots, each different from the one before.

    Inputs that change nothing (such as the handing out of an invocation) share one.
    """
    taken: dict[str, _Taken] = {}
    case = Case.of(shape, lanes=lanes)

    def look(name: str) -> None:
        text = case.snapshot()
        if text is not None:
            new = _Taken(text, _finished(case), [])
            taken.setdefault(text, new).inputs.append(name)

    async def main(steps: Steps) -> None:
        with after_each_input(look):
            await case.undisturbed(steps)

    run_with_steps(backend, main)
    return case.kit.begun, list(taken.values())


def _finished(case: Case) -> int:
    ended = {"step_completed", "step_failed", "step_timed_out"}
    assert case.run is not None
    return sum(fact.kind in ended for fact in case.run.history)
