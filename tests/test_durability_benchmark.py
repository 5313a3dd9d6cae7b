"""The benchmark of durability measures what it says, at tiny sizes; no opinion about times."""

from __future__ import annotations

import gc
import json
from collections.abc import Iterator

import pytest

from benchmarks.durability import Comparison, Sizes, main, record, render, run_chains, take_report


@pytest.fixture(scope="module", autouse=True)
def quick_collections() -> Iterator[None]:
    """Samples begin with a garbage collection, which need not look at what was there before."""
    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()


@pytest.mark.anyio
@pytest.mark.parametrize("anyio_backend", ["asyncio", "trio"])
async def test_a_report_has_every_comparison(anyio_backend: str) -> None:
    report = await take_report(Sizes(steps=5, at_once=2, crowd=3, long=120, repeat=1))
    assert len(report) == 8
    text = render(anyio_backend, report)
    for each in report:
        assert each.name in text
        assert each.ours > 0 < each.other


@pytest.mark.anyio
@pytest.mark.parametrize("anyio_backend", ["asyncio", "trio"])
async def test_what_is_replayed_is_what_the_engine_writes(tmp_path, anyio_backend: str) -> None:
    """One transaction for each step of all runs, every run in it."""
    transactions = await record(tmp_path / "recorded.db", 3, 10, "NORMAL")
    moves = [
        sum("UPDATE runs SET sequence" in text for text, _, _ in each) for each in transactions
    ]
    assert len(transactions) >= 10
    assert moves.count(3) >= 9


@pytest.mark.anyio
@pytest.mark.parametrize("anyio_backend", ["asyncio", "trio"])
async def test_chains_run_to_their_ends(tmp_path, anyio_backend: str) -> None:
    assert await run_chains(tmp_path / "runs.db", 3, 4, "NORMAL") > 0


def test_a_comparison_is_a_ratio() -> None:
    assert Comparison("x", ours=3.0, other=2.0, against="y", target=1.6).ratio == 1.5


def test_the_command_prints_json(capsys: pytest.CaptureFixture[str]) -> None:
    sizes = "--steps 5 --at-once 2 --crowd 3 --long 120 --repeat 1"
    assert main(["--backend", "trio", "--json", *sizes.split()]) == 0
    document = json.loads(capsys.readouterr().out)
    assert list(document["reports"]) == ["trio"]
    assert document["versions"]["sqlite"]
