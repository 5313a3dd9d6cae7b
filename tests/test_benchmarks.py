"""The benchmarks measure what they say: right results, tiny sizes, no opinion about times."""

from __future__ import annotations

import ast
import gc
import importlib
import json
import sys
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from benchmarks import guard, tables
from benchmarks.contenders import BACKENDS, CONTENDERS, OURS, PEERS, Contender, find_contender
from benchmarks.harness import Harness, TurnFailedError
from benchmarks.lateness import lateness_beside
from benchmarks.plot import Line, draw, lines_of
from benchmarks.results import Result, Results
from benchmarks.run import main, measure_growth
from benchmarks.turn import check, take_turn, tell_abilities
from benchmarks.workloads import WORKLOADS, Timed, Workload, find_workload, percentile

PEER_MODULES = Path(tables.__file__).parent / "peers"


@pytest.fixture(scope="module", autouse=True)
def quick_collections() -> Iterator[None]:
    """Samples begin with a garbage collection, which need not look at what was there before."""
    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()


def able(contender: Contender) -> list[Workload]:
    module = importlib.import_module(f"benchmarks.{contender.module}")
    return [workload for workload in WORKLOADS if hasattr(module, workload.name)]


DONE_BY_US = [(contender, workload) for contender in OURS for workload in able(contender)]


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("contender", "workload"),
    DONE_BY_US,
    ids=[f"{contender.name}-{workload.name}" for contender, workload in DONE_BY_US],
)
async def test_each_contender_gives_the_right_result(
    contender: Contender, workload: Workload
) -> None:
    work = getattr(importlib.import_module(f"benchmarks.{contender.module}"), workload.name)
    for count in (1, 12):
        check(workload, count, await work(count))


def test_a_wrong_result_is_not_measured() -> None:
    with pytest.raises(AssertionError, match="chain gave 2 instead of 3"):
        check(find_workload("chain"), 3, Timed(2, 0.1))


def test_the_engine_does_every_workload_and_each_has_something_to_compare_with() -> None:
    assert able(find_contender("engine")) == list(WORKLOADS)
    for workload in WORKLOADS:
        if workload.ideal is None:
            assert workload in able(find_contender(workload.base))


def test_a_percentile_is_one_of_the_samples() -> None:
    samples = [float(number) for number in range(200)]
    assert percentile(samples, 99) == 198.0
    assert percentile([3.0], 99) == 3.0


@pytest.mark.anyio
async def test_lateness_is_that_of_the_timer_beside_the_work() -> None:
    async def work(count: int) -> int:
        return count

    timed = await lateness_beside(work, 7)
    assert timed == Timed(7, 0.0)


@pytest.mark.parametrize("contender", PEERS, ids=lambda contender: contender.name)
def test_a_peer_does_or_excuses_each_workload(contender: Contender) -> None:
    """Read, not imported: other engines are not installed here."""
    tree = ast.parse((PEER_MODULES / f"{contender.directory}.py").read_text(encoding="utf-8"))
    does = {node.name for node in tree.body if isinstance(node, ast.AsyncFunctionDef)}
    excuses = {
        constant.value
        for node in tree.body
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "UNABLE"
        for constant in ast.walk(node.value)
        if isinstance(constant, ast.Constant)
    }
    asked = {workload.name for workload in WORKLOADS if not workload.ours}
    assert asked <= does | excuses
    assert not does & excuses


def test_a_peer_that_is_not_there_says_so() -> None:
    # Named for a module that no environment has, under any circumstances.
    nobody = Contender("nobody", "peers.nobody", ["nobody"])
    assert set(tell_abilities(nobody).values()) == {
        "does not run here: No module named 'benchmarks.peers.nobody'"
    }


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_turn_tells_time_memory_and_versions(backend: str) -> None:
    order = {
        "contender": "engine",
        "workload": "chain",
        "backend": backend,
        "count": 20,
        "samples": 2,
    }
    told = take_turn(order)
    assert told["count"] == 20
    assert len(told["seconds"]) == len(told["processor"]) == 2
    assert min(told["seconds"]) > 0
    assert told["versions"]["anyio"]


class Staged(Harness):
    """A harness whose turns are made up; tells in which order they were taken."""

    def __init__(self, told: dict[str, Any], **options: Any) -> None:
        super().__init__(**options)
        object.__setattr__(self, "told", told)
        object.__setattr__(self, "order", [])

    def _run(self, contender: Contender, order: dict[str, Any]) -> dict[str, Any]:
        if "workload" not in order:
            return {}
        self.order.append(contender.name)
        return {
            "count": order["count"],
            "seconds": [self.told[contender.name] * order["count"]],
            "processor": [0.0],
            "memory": None,
            "versions": {"anyio": "4.16.0"},
        }


def staged(cost: float = 1.0, **options: Any) -> Staged:
    return Staged({"engine": cost, "L2": 2.0, "burr": 5.0}, **options)


NAMES = ("engine", "L2")
TWO = [find_contender(name) for name in NAMES]


def test_contenders_take_turns_and_each_turn_begins_with_another() -> None:
    harness = staged(turns=3)
    results = harness.measure(find_workload("chain"), "trio", TWO, 10)
    assert harness.order == ["engine", "L2", "L2", "engine", "engine", "L2"]
    assert [len(result.turns) for result in results] == [3, 3]
    assert results[0].ratios(results[1]) == [0.5, 0.5, 0.5]


def test_who_does_not_run_on_a_backend_or_is_not_asked_is_left_out() -> None:
    harness = staged(turns=1)
    dbos = find_contender("dbos")
    found = harness.measure(find_workload("chain"), "trio", [*TWO, dbos])
    assert [result.unable for result in found] == [None, None, "does not run on trio"]
    found = harness.measure(find_workload("snapshot_dump"), "asyncio", [*TWO, dbos])
    assert [result.contender for result in found] == list(NAMES)


def test_a_peer_without_an_environment_does_not_install_here(tmp_path: Path) -> None:
    for environments in (None, tmp_path):
        harness = Harness(turns=2, environments=environments)
        (result,) = harness.measure(find_workload("chain"), "asyncio", [find_contender("burr")])
        assert result.unable == "does not install here"


def test_turns_run_in_processes_of_their_own_and_a_failing_one_is_no_number(
    tmp_path: Path,
) -> None:
    """A peer's failure is its own; one of ours ends the measurement."""
    place = tmp_path / "apache_burr" / "bin"
    place.mkdir(parents=True)
    python = place / "python"
    python.write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n', encoding="utf-8")
    python.chmod(0o755)
    harness = Harness(turns=1, samples=1, environments=tmp_path)
    burr = find_contender("burr")
    found = harness.measure(find_workload("chain"), "asyncio", [TWO[1], burr], 5)
    assert found[0].cost > 0
    assert found[1].unable == "does not run here: No module named 'burr'"
    with pytest.raises(TurnFailedError, match="nonsense"):
        harness._run(TWO[0], {"contender": "nonsense"})
    assert harness._run(burr, {"contender": "nonsense"})["unable"].startswith("fails: ")


def test_a_turn_that_lasts_too_long_is_ended() -> None:
    harness = Harness(patience=0.001)
    assert harness._run(TWO[0], {"contender": "engine"}) == {"unable": "took longer than 0 s"}


def result(
    contender: str = "engine", *turns: float, workload: str = "chain", **more: Any
) -> Result:
    samples = [[seconds, 2 * seconds] for seconds in turns]
    count = more.pop("count", 10)
    return Result(
        workload, contender, "asyncio", count, samples, samples, [None] * len(turns), **more
    )


def test_the_smallest_sample_of_a_turn_counts_and_the_median_of_the_turns() -> None:
    found = result("engine", 30.0, 10.0, 20.0)
    assert found.best == [3.0, 1.0, 2.0]
    assert found.cost == 2.0
    assert found.spread == pytest.approx(0.5)
    assert found.growth is None


def results_of(*items: Result) -> Results:
    return Results("a command", "2026-11-24", "2-core", [1.0, 2.0], items)


def test_ratios_are_taken_turn_by_turn() -> None:
    """What slows a whole turn down does not change its ratio."""
    found = results_of(result("engine", 1.0, 10.0, 3.0), result("L2", 2.0, 20.0, 4.0))
    assert found.ratio("chain", "engine", "asyncio", "L2") == 0.5
    assert found.ratio("chain", "engine", "trio", "L2") is None
    assert found.ratio("chain", "engine", "asyncio", "lanes") is None


def test_waits_are_compared_with_the_ideal() -> None:
    found = results_of(result("engine", 0.12, workload="waits", count=1000))
    assert found.ratio("waits", "engine", "asyncio", "L2") == pytest.approx(1.2)


def test_results_survive_being_written_down() -> None:
    found = results_of(result("engine", 1.0), result("burr", unable="a reason"))
    written = json.dumps(found.to_data())
    again = Results.from_data(json.loads(written))
    assert json.dumps(again.to_data()) == written
    assert again.items[0].cost == found.items[0].cost


def test_a_table_names_what_it_was_measured_with_and_who_can_not() -> None:
    found = results_of(
        result("engine", 1e-4, versions={"anyio": "4.16.0"}),
        result("L2", 4e-4),
        result("burr", 1e-2, versions={"apache-burr": "0.43"}),
        result("blazen", unable="a reason"),
    )
    text = tables.render(found)
    for part in ("anyio 4.16.0", "a command", "| 0.25 (10 µs) |", "(100 times)", "a reason"):
        assert part in text


def test_times_and_sizes_are_shown_with_their_unit() -> None:
    assert [tables.show_seconds(seconds) for seconds in (5.5e-6, 0.0123, 2.0)] == [
        "5.5 µs",
        "12.3 ms",
        "2 s",
    ]
    assert [tables.show_bytes(size) for size in (2_500, 2_500_000)] == ["2 KB", "2.5 MB"]


def test_the_command_measures_saves_and_shows_again(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "results.json"
    small = ["--backend", "trio", "--workload", "chain", "--size", "0.001", "--turns", "1"]
    chosen = ["--contender", "engine", "--contender", "L2", "--save", str(path)]
    assert main([*small, *chosen], tell=lambda line: None) == 0
    shown = capsys.readouterr().out
    assert "chain of hops" in shown
    assert main(["--load", str(path)]) == 0
    assert capsys.readouterr().out == shown


def test_who_would_take_too_long_for_the_next_point_of_the_plot_stops() -> None:
    points = measure_growth(staged(cost=1e-9, turns=1), TWO)
    counts = {name: [p.count for p in points if p.contender == name] for name in NAMES}
    assert counts == {"engine": [1_000, 10_000, 100_000, 1_000_000], "L2": [1_000]}


def test_the_plot_is_a_document_with_a_line_for_each_contender() -> None:
    lines = lines_of([result("engine", 1.0, count=1_000), result("burr", unable="a reason")])
    assert [line.name for line in lines] == ["engine"]
    document = ElementTree.fromstring(
        draw([*lines, Line("<L2>", [(1_000, 30.0), (1_000_000, 31.0)])], "title", "note")
    )
    drawn = [element.tag.rpartition("}")[2] for element in document]
    assert drawn.count("polyline") == 2
    assert any("<L2>" in (element.text or "") for element in document)


KNOWN = {"chain, asyncio": 0.20}


def test_the_guard_finds_what_became_slower_by_more_than_it_may() -> None:
    for value, regressions in ((0.10, 0), (0.229, 0), (0.231, 1)):
        _, worse = guard.judge({"chain, asyncio": guard.Ratio(value)}, KNOWN)
        assert len(worse) == regressions


def test_the_guard_does_not_judge_what_it_can_not_tell() -> None:
    said, worse = guard.judge({"chain, asyncio": guard.Ratio(0.4, spread=0.2)}, KNOWN)
    assert worse == []
    assert "skipped: the turns differ by 20%" in said[0]
    said, worse = guard.judge({"waits, trio": guard.Ratio(0.4)}, KNOWN)
    assert worse == []
    assert "not compared" in said[0]


def test_the_guard_fails_on_a_regression_and_only_with_the_same_versions(
    capsys: pytest.CaptureFixture[str],
) -> None:
    def measured() -> dict[str, guard.Ratio]:
        return {"chain, asyncio": guard.Ratio(0.3)}

    baseline = {"versions": guard.describe(), "time": KNOWN}
    assert guard.compare("time", measured, baseline) == 1
    assert "slower: chain, asyncio: 0.3000" in capsys.readouterr().out
    assert guard.compare("time", measured, {**baseline, "versions": {"anyio": "4.13"}}) == 0
    assert "not compared" in capsys.readouterr().out


def test_the_baseline_has_a_ratio_for_all_that_is_watched() -> None:
    baseline = json.loads(guard.BASELINE.read_text(encoding="utf-8"))
    watched = {f"{workload}, {backend}" for workload, backend in guard.WATCHED}
    assert set(baseline["instructions"]) == set(baseline["time"]) == watched


def test_every_contender_has_a_module() -> None:
    for contender in CONTENDERS:
        path = PEER_MODULES.parent / f"{contender.module.replace('.', '/')}.py"
        assert path.exists()
