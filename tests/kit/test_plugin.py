"""The pytest plugin: fixtures, options, reports, and many processes."""

from __future__ import annotations

import os
import subprocess
import sys
import types
from importlib.metadata import entry_points
from pathlib import Path

import pytest

from blazen_anyio.testing import plugin

ROOT = Path(__file__).parent.parent.parent

TESTS = """
from tests.kit.shop import Order, shop

def test_passes(simulate, blazen_seed, blazen_backend):
    transcript = simulate(shop, Order(["a"]))
    assert transcript.seed == blazen_seed

def test_fails(simulate):
    simulate(shop, Order(["a"]))
    assert simulate(shop, Order(["a", "b"])).result is None

def test_explores(explore, blazen_runs):
    assert explore(shop, Order(["a", "b"]), lambda t: t.result).runs <= blazen_runs
"""


def run_pytest(tmp_path: Path, *options: str, tests: str = TESTS) -> str:
    (tmp_path / "test_shop.py").write_text(tests)
    done = subprocess.run(
        [sys.executable, "-m", "pytest", str(tmp_path), "-p", "no:cacheprovider", "-q", "-rA"]
        + ["--rootdir", str(tmp_path), "-c", os.devnull, *options]
        + ([] if installed() else ["-p", "blazen_anyio.testing.plugin"]),
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    return done.stdout + done.stderr


def installed() -> bool:
    return any(entry.name == "blazen_anyio" for entry in entry_points(group="pytest11"))


def test_a_failing_test_tells_how_to_repeat_its_simulation(tmp_path):
    output = run_pytest(tmp_path, "--blazen-seed", "5")
    assert "2 passed" in output and "1 failed" in output
    assert "test_passes[seed5-asyncio]" in output
    assert "the last of 2 simulations of this test: seed=5, schedule={" in output
    assert "time    split" in output
    assert "shop, seed 5: completed" in output


def test_seeds_and_backends_multiply_the_tests_in_many_processes(tmp_path):
    output = run_pytest(tmp_path, "--blazen-runs", "2", "--blazen-backend", "both", "-n", "2")
    assert "test_passes[seed1-trio]" in output
    assert "4 failed, 6 passed" in output


def test_a_drawn_seed_is_told_and_is_the_same_in_all_processes(tmp_path):
    tests = """
def test_seed(blazen_seed): pass
def test_other(blazen_seed): pass
"""
    output = run_pytest(tmp_path, "--blazen-seed", "random", "-n", "2", "-v", tests=tests)
    (told,) = [line for line in output.splitlines() if line.startswith("blazen: --blazen-seed=")]
    seed = told.rpartition("=")[2]
    assert f"test_seed[seed{seed}]" in output
    assert f"test_other[seed{seed}]" in output


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (("--blazen-seed", "x"), "takes a whole number or 'random'"),
        (("--blazen-runs", "0"), "takes a whole number from 1"),
    ],
)
def test_wrong_options_are_refused(tmp_path, options, says):
    assert says in run_pytest(tmp_path, *options)


def test_a_long_transcript_is_cut(tmp_path):
    tests = """
from tests.kit.shop import Order, shop
def test_fails(simulate):
    assert not simulate(shop, Order(["x"] * 40)).result
"""
    output = run_pytest(tmp_path, tests=tests)
    assert "the simulation of this test: seed=0" in output
    assert "\n  ...\n" in output


def test_the_plugin_imports_nothing_before_it_is_used():
    code = (
        "import sys, blazen_anyio.testing.plugin\n"
        "print([n for n in sys.modules if n.startswith(('hypothesis.', 'trio.')) or "
        "n.startswith('blazen_anyio.testing._')])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"


def test_the_header_tells_a_drawn_seed_only():
    config = types.SimpleNamespace(getoption=lambda name: given, stash={plugin._SEED: 7})
    given = "random"
    assert plugin.pytest_report_header(config) == "blazen: --blazen-seed=7"
    given = "7"
    assert plugin.pytest_report_header(config) is None


def test_an_unknown_name_is_an_attribute_error():
    import blazen_anyio.testing as kit

    with pytest.raises(AttributeError, match="nobody"):
        _ = kit.nobody
    assert all(getattr(kit, name) is not None for name in kit.__all__)
    assert dir(kit) == sorted(kit.__all__)
