"""Each example comes to its outcome, undisturbed and from a snapshot at every input of the machine.

The snapshots are taken up in another process, on the same backend and on the other one.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any
from unittest import mock

import anyio
import pytest
from sweeps.recording import after_each_input

from blazen_anyio import Run, RunEndedError

from .examples import EXAMPLES
from .performing import on_virtual_time, perform
from .workers import Workers

BACKENDS = ("asyncio", "trio")


@pytest.fixture(scope="session")
def workers() -> Iterator[Workers]:
    """The other processes; they end with the tests."""
    with Workers(BACKENDS) as started:
        yield started


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example_comes_to_its_outcome_from_a_snapshot_at_every_input(
    name: str, backend: str, workers: Workers
) -> None:
    outcome, texts = recorded(name, backend)
    assert outcome == EXAMPLES[name].outcome
    assert texts
    for other, outcomes in workers.outcomes(name, texts).items():
        assert isinstance(outcomes, list), outcomes
        assert len(outcomes) == len(texts)
        for number, each in enumerate(outcomes):
            assert each == outcome, f"from snapshot {number} on {other}: {texts[number]}"


def recorded(name: str, backend: str) -> tuple[Any, list[str]]:
    """Run an example, undisturbed; return its outcome and its snapshots, the same text once."""
    texts: dict[str, None] = {}
    entered: list[Run[Any]] = []

    async def enter(run: Run[Any]) -> Run[Any]:
        await enter_run(run)
        entered.append(run)
        return run

    def look(input: str) -> None:
        if entered:
            try:
                texts[entered[-1].snapshot().to_json()] = None
            except RunEndedError:
                assert entered[-1].status == "completed"

    enter_run = Run.__aenter__
    with mock.patch.object(Run, "__aenter__", enter), after_each_input(look):
        outcome = anyio.run(perform, EXAMPLES[name], **on_virtual_time(backend))
    return json.loads(json.dumps(outcome)), list(texts)
