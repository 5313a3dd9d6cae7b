"""``record`` and ``replay``: a history kept in a file, and the first fact that differs."""

from __future__ import annotations

import json

import anyio
import pytest

from blazen_anyio import Event, StartEvent, StopEvent, Workflow, step
from blazen_anyio.testing import (
    Faults,
    Raise,
    ReplayError,
    drive,
    record,
    replay,
    simulate,
)

from .shop import Invoice, Item, Order, Priced, add_up, price, shop, split

ORDER = Order(["tea", "bread"])


def test_a_simulation_is_repeated_exactly(tmp_path):
    path = tmp_path / "history.json"
    for seed in range(5):
        transcript = simulate(shop, ORDER, seed=seed)
        record(transcript, path)
        for backend in ("asyncio", "trio"):
            assert replay(shop, path, ORDER, backend=backend).turns is not None
    content = json.loads(path.read_text())
    assert (content["format"], content["version"], content["workflow"]) == (
        "blazen_anyio.history",
        1,
        "shop",
    )


def test_drawn_faults_are_repeated(tmp_path):
    path = tmp_path / "history.json"
    faults = Faults.any(Raise("price"), rate=0.5)
    drawn = (simulate(shop, ORDER, seed=seed, faults=faults) for seed in range(50))
    transcript = next(t for t in drawn if "step_failed" in [fact.kind for fact in t.facts])
    record(transcript, path)
    replay(shop, path, ORDER, faults=faults)
    with pytest.raises(ReplayError):
        replay(shop, path, ORDER)


@pytest.mark.anyio
async def test_a_real_run_is_followed(tmp_path, anyio_backend):
    path = tmp_path / "history.json"

    class Part(Event):
        n: int

    class Done(Event):
        n: int

    @step
    async def begin(ev: StartEvent) -> tuple[Part, Done]:
        return Part(1), Done(2)

    @step
    async def first(ev: Part) -> None:
        await anyio.sleep(0.3)

    @step
    async def second(ev: Done) -> StopEvent:
        await anyio.sleep(0.2 if "quick" in quick else 0.4)
        return StopEvent()

    quick: list[str] = []
    workflow = Workflow("follows", [begin, first, second])
    async with workflow.start() as run:
        await run.result()
    record(run, path)
    assert json.loads(path.read_text())["workflow"] == "follows"
    await anyio.to_thread.run_sync(replay, workflow, path)
    quick.append("quick")
    with pytest.raises(ReplayError, match="differs from the recording"):
        await anyio.to_thread.run_sync(replay, workflow, path)


@pytest.mark.anyio
async def test_a_real_run_of_steps_that_end_at_once_is_followed(tmp_path, anyio_backend):
    path = tmp_path / "history.json"

    @step(name="price")
    async def price_at_once(item: Item) -> Priced:
        return Priced(item.name, 1)

    workflow = Workflow("shop", [split, price_at_once, add_up], stop=Invoice)
    async with workflow.start(items=ORDER.items) as run:
        await run.result()
    record(run, path)
    await anyio.to_thread.run_sync(replay, workflow, path, ORDER)
    with pytest.raises(ReplayError, match="fact 5 differs") as caught:
        await anyio.to_thread.run_sync(replay, workflow, path, Order(["tea"]))
    assert caught.value.at == 5


def test_a_run_by_hand_is_recorded(tmp_path):
    path = tmp_path / "history.json"
    run = drive(shop, Order(["tea"]))
    run.complete("split", [Item("tea")])
    run.complete("price", Priced("tea", 3))
    run.complete("add_up", Invoice(3))
    record(run, path)
    assert json.loads(path.read_text())["workflow"] == "shop"
    replay(shop, path, Order(["tea"]))


def test_the_first_fact_that_differs_is_shown(tmp_path):
    path = tmp_path / "history.json"
    record(simulate(shop, ORDER), path)

    @step(name="price")
    async def price_twice(item: Item) -> tuple[Priced, ...]:
        return (Priced(item.name, 1), Priced(item.name, 2))

    changed = Workflow("shop", [split, price_twice, add_up], stop=Invoice)
    with pytest.raises(ReplayError) as caught:
        replay(changed, path, ORDER)
    message = str(caught.value)
    assert f"fact {caught.value.at} differs" in message
    assert "  - " in message and "  + " in message
    shorter = tmp_path / "shorter.json"
    content = json.loads(path.read_text())
    content["facts"].pop()
    shorter.write_text(json.dumps(content))
    with pytest.raises(ReplayError, match="the end of the recording"):
        replay(shop, shorter, ORDER)
    content["facts"] += [content["facts"][0]] * 3
    shorter.write_text(json.dumps(content))
    with pytest.raises(ReplayError):
        replay(shop, shorter, ORDER)


@pytest.mark.anyio
async def test_a_history_with_gaps_is_refused(tmp_path, anyio_backend):
    forgetful = Workflow("shop", [split, price, add_up], stop=Invoice, history=3)
    async with forgetful.start(ORDER) as run:
        await run.result()
    with pytest.raises(ValueError, match="has forgotten"):
        record(run, tmp_path / "history.json")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("{", "is no recording"),
        ("[]", "its format is not"),
        ('{"format": "blazen_anyio.history", "version": 7}', "of version 7"),
        ('{"format": "blazen_anyio.history", "version": 1}', "damaged"),
        (
            '{"format": "blazen_anyio.history", "version": 1, "workflow": 3, "seed": null, '
            '"schedule": {}, "facts": []}',
            "damaged",
        ),
        (
            '{"format": "blazen_anyio.history", "version": 1, "workflow": "", "seed": true, '
            '"schedule": {}, "facts": []}',
            "damaged",
        ),
    ],
)
def test_what_is_no_recording_is_refused(tmp_path, text, says):
    path = tmp_path / "history.json"
    path.write_text(text)
    with pytest.raises(ValueError, match=says):
        replay(shop, path, ORDER)


def test_a_file_beyond_all_size_is_not_read(tmp_path, monkeypatch):
    path = tmp_path / "history.json"
    path.write_text("x" * 100)
    monkeypatch.setattr("blazen_anyio.testing._recordings._LARGEST", 10)
    with pytest.raises(ValueError, match="larger than any recording"):
        replay(shop, path, ORDER)


def test_child_runs_are_part_of_a_simulations_recording(tmp_path):
    from blazen_anyio.testing import random_workflow

    path = tmp_path / "history.json"
    seeds = [seed for seed in range(60) if "child" in random_workflow(seed).shapes][:2]
    for seed in seeds:
        random = random_workflow(seed)
        transcript = simulate(random.workflow, random.start, seed=seed, human=random.human)
        assert any(fact.run for fact in transcript.facts)
        record(transcript, path)
        replay(random.workflow, path, random.start, human=random.human)
    data = json.loads(path.read_text())
    data["facts"] = [{**fact, "attempt": 7} if fact["run"] else fact for fact in data["facts"]]
    path.write_text(json.dumps(data))
    with pytest.raises(ReplayError, match="in run"):
        replay(random.workflow, path, random.start, human=random.human)
