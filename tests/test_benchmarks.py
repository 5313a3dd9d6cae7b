"""The benchmarks measure what they say: right results, tiny sizes, no opinion about times."""

from __future__ import annotations

import gc
import json
from collections.abc import Iterator

import pytest

from benchmarks.measuring import Measurement, measure, measure_growth
from benchmarks.run import main, render, take_report
from benchmarks.workloads import CONTENDERS, WORKLOADS, Workload


@pytest.fixture(scope="module", autouse=True)
def quick_collections() -> Iterator[None]:
    """Samples begin with a garbage collection, which need not look at what was there before."""
    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()


@pytest.mark.anyio
@pytest.mark.parametrize("count", [1, 2, 7])
@pytest.mark.parametrize("contender", CONTENDERS)
@pytest.mark.parametrize("workload", WORKLOADS, ids=lambda workload: workload.name)
async def test_each_contender_gives_the_right_result(
    workload: Workload, contender: str, count: int
) -> None:
    assert await workload.contenders[contender](count) == workload.expected(count)


@pytest.mark.anyio
async def test_contenders_take_turns_and_the_first_turn_does_not_count() -> None:
    turns: list[str] = []

    def contender(name: str):
        async def work(count: int) -> int:
            turns.append(name)
            return count

        return work

    workload = Workload("w", "unit", {"a": contender("a"), "b": contender("b")}, int, target=1)
    measurements = await measure(workload, 5, 2)
    assert turns == ["a", "b"] * 3
    assert [len(measurement.samples) for measurement in measurements] == [2, 2]


@pytest.mark.anyio
async def test_a_wrong_result_is_not_measured() -> None:
    async def work(count: int) -> int:
        return count + 1

    with pytest.raises(AssertionError, match="2 instead of 1"):
        await measure(Workload("w", "unit", {"a": work}, int, target=1), 1, 1)


@pytest.mark.anyio
async def test_growth_compares_a_short_with_a_long_chain() -> None:
    growth = await measure_growth(20, 40, 1)
    assert (growth.short, growth.long) == (20, 40)
    assert min(growth.short_cost, growth.long_cost, growth.short_peak, growth.long_peak) > 0


def test_median_and_spread_of_samples() -> None:
    measurement = Measurement("w", "a", 1, [1.0, 2.0, 3.0, 4.0, 5.0])
    assert measurement.median == 3.0
    assert measurement.spread == pytest.approx(0.5)
    assert Measurement("w", "a", 1, [1.0]).spread == 0


@pytest.mark.anyio
async def test_a_report_names_every_workload_and_its_ratio(anyio_backend_name: str) -> None:
    report = await take_report(anyio_backend_name, 20, 1, long=False)
    text = render(report)
    assert text.startswith(anyio_backend_name)
    for workload in WORKLOADS:
        assert f"{workload.name}, per {workload.unit}" in text
        assert f"{report.ratio(workload.name):.3f}" in text


def test_the_command_prints_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--backend", "trio", "--count", "20", "--repeat", "1", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert [report["backend"] for report in document["reports"]] == ["trio"]
    assert document["versions"]["anyio"]
