"""Seeded simulations of random workflows, with faults: what the contract promises holds in each.

A share runs always; ``BLAZEN_SIMULATIONS=1000000`` makes it a million. Every tenth runs on trio,
too, to the same transcript.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterator

import pytest

from blazen_anyio.testing import (
    Duplicate,
    Faults,
    Hang,
    Late,
    Raise,
    RandomWorkflow,
    Slow,
    Transcript,
    random_workflow,
)
from blazen_anyio.testing._choosing import Seeded
from blazen_anyio.testing._simulation import Simulation
from blazen_anyio.testing._virtual_time import Stage, run_on

from . import SIMULATIONS

PARTS = 10
SEEDS_PER_WORKFLOW = 20

_ENDS = ("step_completed", "step_failed", "step_timed_out", "step_cancelled")


def faults_of(random: RandomWorkflow) -> Faults:
    """What may happen to the steps of a random workflow, and be survived."""
    faults = []
    for plan in random.workflow.graph.plan.steps:
        name = plan.name
        faults += [Raise(name), Raise(name, after=True), Slow(name, 2.0), Duplicate(name)]
        if plan.timeout is not None:
            faults += [Hang(name), Late(name)]
    return Faults.any(*faults, rate=0.05, most=3)


def simulation_of(random: RandomWorkflow, *, faults: bool) -> Simulation:
    return Simulation(
        workflow=random.workflow,
        start=random.start,
        human=random.human,
        faults=faults_of(random) if faults else (),
    )


@pytest.mark.parametrize("part", range(PARTS))
def test_every_simulation_keeps_the_contract(part):
    stage = Stage()

    async def play() -> None:
        first, last = part * SIMULATIONS // PARTS, (part + 1) * SIMULATIONS // PARTS
        for seed in range(first, last):
            random = random_workflow(seed // SEEDS_PER_WORKFLOW)
            simulation = workflows.setdefault(
                seed // SEEDS_PER_WORKFLOW, simulation_of(random, faults=True)
            )
            transcript = await simulation.run(stage, Seeded(seed), seed=seed)
            problems = list(problems_of(transcript, random))
            assert not problems, (seed, random, problems, transcript)
            if seed % 10 == 0:
                samples.append((seed, simulation, transcript.to_json()))

    workflows: dict[int, Simulation] = {}
    samples: list[tuple[int, Simulation, str]] = []
    run_on("asyncio", stage, play)

    async def compare() -> None:
        for seed, simulation, text in samples:
            transcript = await simulation.run(trio, Seeded(seed), seed=seed)
            assert transcript.to_json() == text, seed

    trio = Stage()
    run_on("trio", trio, compare)


def problems_of(transcript: Transcript, random: RandomWorkflow) -> Iterator[str]:
    """What the contract forbids."""
    if transcript.result != random.result:
        yield f"the result is {transcript.result}, not {random.result}"
    if transcript.leftover:
        yield f"tasks are left: {transcript.leftover}"
    facts = transcript.facts
    if [fact.kind for fact in facts if not fact.run][-1] != "run_completed":
        yield "something happened after the end"
    if any(fact.time > later.time for fact, later in itertools.pairwise(facts)):
        yield "time went back"
    yield from _problems_of_attempts(transcript, random)


def _problems_of_attempts(transcript: Transcript, random: RandomWorkflow) -> Iterator[str]:
    """Each attempt ends once, limits hold, and attempts are counted up."""
    limits = {plan.name: plan.max_concurrency for plan in random.workflow.graph.plan.steps}
    most = random.workflow.graph.plan.max_concurrency
    running: Counter[tuple[str, str | None]] = Counter()
    for fact in transcript.facts:
        key = (fact.run, fact.step)
        if fact.kind == "step_started":
            running[key] += 1
        elif fact.kind in _ENDS:
            running[key] -= 1
        if running[key] < 0:
            yield f"step {fact.step} ended more often than it started"
        limit = None if fact.run else limits.get(fact.step or "")
        if limit is not None and not _waits(fact.step) and running[key] > limit:
            yield f"step {fact.step} runs {running[key]} times, with a limit of {limit}"
        inside = sum(
            count for (run, step), count in running.items() if not run and not _waits(step)
        )
        if most is not None and inside > most:
            yield f"{inside} steps run, with a limit of {most}"
    if any(running.values()):
        yield f"attempts have not ended: {+running}"


def _waits(step: str | None) -> bool:
    """Whether a step gives its slot back inside, so that its attempts do not count."""
    return step is not None and step.startswith(("wait", "ask", "pages", "parent"))


def test_a_random_workflow_is_the_same_for_the_same_seed():
    first, second = random_workflow(3), random_workflow(3)
    assert (first.shapes, first.start, first.result) == (second.shapes, second.start, second.result)
    assert len({random_workflow(seed).shapes for seed in range(50)}) > 20
