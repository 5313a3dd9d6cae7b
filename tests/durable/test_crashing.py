"""A crash after any commit: what the store holds by then goes on to the same result.

All shapes of the sweeps, on both backends, with the durability that waits and the one that doesn't.
What a shape counts in its state must happen exactly once, so that what is lost and what is done
twice both show in its result. What ``ctx.once`` has stored is not asked for again: in
``remembered`` a second answer would be another number, and then another early effect.
"""

from __future__ import annotations

from typing import Any

import pytest
from sweeps.harness import Case, numbers
from sweeps.scheduling import BACKENDS, Steps, run_with_steps
from sweeps.shape import Shape
from sweeps.shapes import SHAPES

from blazen_anyio.stores import MemoryStore

from .stores import CopyingStore

SHARE = 5
DURABILITIES = ("sync", "async")

cases = pytest.mark.parametrize(
    ("shape", "backend", "durability"),
    [
        pytest.param(shape, backend, durability, id=f"{name}-{backend}-{durability}")
        for name, shape in SHAPES.items()
        for backend in BACKENDS
        for durability in DURABILITIES
    ],
)


def images_of(shape: Shape, backend: str, durability: Any) -> list[MemoryStore]:
    """Run a shape undisturbed; what its store held after each commit."""
    store = CopyingStore()

    async def main(steps: Steps) -> None:
        case = Case.of(shape)
        case.kit.reset()
        async with store:
            run = case.workflow.start(run_id="run", store=store, durability=durability)
            assert await case.host(run) == shape.result
        await case.check_nothing_left()

    run_with_steps(backend, main)
    return store.images


@cases
def test_a_crash_after_any_commit_loses_nothing_and_repeats_nothing_finished(
    shape: Shape, backend: str, durability: Any
) -> None:
    images = images_of(shape, backend, durability)
    assert list(images[-1]._data.runs["run"].rows) == ["result"]

    async def main(steps: Steps) -> None:
        case = Case.of(shape)
        for number in numbers(len(images), SHARE, (shape.name, backend, durability)):
            if number > len(images):
                break
            case.kit.reset()
            try:
                async with images[number - 1] as store:
                    run = case.workflow.resume_from(store, "run", durability=durability)
                    assert await case.host(run) == shape.result
                    await case.check_nothing_left()
                    assert list(store._data.runs["run"].rows) == ["result"]
            except BaseException as error:
                error.add_note(f"{case} after commit {number} of {len(images)}")
                raise

    run_with_steps(backend, main)
