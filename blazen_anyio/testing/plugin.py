"""The pytest plugin: fixtures for simulations, and failures that tell how to repeat them.

It is loaded in every pytest session of an environment that has the package, so it imports nothing
of the kit before a fixture is used. It holds no state between tests: what a test has simulated is
kept with the test's own item, and so it works with tests in any number of processes.

Fixtures:
    blazen_seed: what to draw from; a test that asks for it runs ``--blazen-runs`` times, each with
        a seed of its own from ``--blazen-seed`` on.
    blazen_runs: how many runs an exploration is to make at most.
    blazen_backend: ``"asyncio"`` or ``"trio"``, as ``--blazen-backend`` says.
    simulate, explore: the functions of these names, with the seed, the number of runs and the
        backend filled in.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Generator
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from ._exploring import Exploration
    from ._transcript import Transcript

__all__: list[str] = []

_SIMULATED: pytest.StashKey[list[Transcript]] = pytest.StashKey()
_SEED: pytest.StashKey[int] = pytest.StashKey()
_MOST_LINES = 60


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options."""
    group = parser.getgroup("blazen", "simulated workflows")
    group.addoption(
        "--blazen-seed",
        metavar="N",
        default="0",
        help="the first seed of simulations, or 'random' (default: 0)",
    )
    group.addoption(
        "--blazen-runs",
        metavar="N",
        type=int,
        default=None,
        help="how often a test that asks for blazen_seed runs (default: 1), and how many runs an "
        "exploration makes at most (default: 1000)",
    )
    group.addoption(
        "--blazen-backend",
        choices=("asyncio", "trio", "both"),
        default="asyncio",
        help="the backend of simulations (default: asyncio)",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Settle the seed, once for all processes of a session."""
    given = str(config.getoption("--blazen-seed"))
    workers_own: dict[str, Any] = getattr(config, "workerinput", {})
    if "blazen_seed" in workers_own:
        config.stash[_SEED] = workers_own["blazen_seed"]
    elif given == "random":
        config.stash[_SEED] = random.SystemRandom().randrange(2**32)
    else:
        try:
            config.stash[_SEED] = int(given)
        except ValueError:
            raise pytest.UsageError(
                f"--blazen-seed takes a whole number or 'random', not {given!r}"
            ) from None
    runs = config.getoption("--blazen-runs")
    if runs is not None and runs < 1:
        raise pytest.UsageError(f"--blazen-runs takes a whole number from 1, not {runs}")


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """Give a worker of pytest-xdist the seed of the session."""
    node.workerinput["blazen_seed"] = node.config.stash[_SEED]


def pytest_report_header(config: pytest.Config) -> str | None:
    """Tell a seed that was drawn."""
    if config.getoption("--blazen-seed") != "random":
        return None
    return f"blazen: --blazen-seed={config.stash[_SEED]}"


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run a test for each seed and each backend."""
    if "blazen_seed" in metafunc.fixturenames:
        first = metafunc.config.stash[_SEED]
        seeds = range(first, first + (metafunc.config.getoption("--blazen-runs") or 1))
        metafunc.parametrize("blazen_seed", seeds, ids=lambda seed: f"seed{seed}")
    if "blazen_backend" in metafunc.fixturenames:
        chosen = str(metafunc.config.getoption("--blazen-backend"))
        backends = ("asyncio", "trio") if chosen == "both" else (chosen,)
        metafunc.parametrize("blazen_backend", backends)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Show the simulations of a test that fails."""
    report = yield
    simulated = item.stash.get(_SIMULATED, None)
    if report.failed and simulated:
        report.sections.append(("blazen simulation", _told(simulated)))
    return report


def _told(simulated: list[Transcript]) -> str:
    """The last simulation, and how to repeat it."""
    from ._diagram import draw

    last = simulated[-1]
    count = f"the last of {len(simulated)} simulations" if len(simulated) > 1 else "the simulation"
    lines = last.to_text().splitlines()
    if len(lines) > _MOST_LINES:
        lines[1 : len(lines) - _MOST_LINES] = ["  ..."]
    return "\n".join(
        [
            f"{count} of this test: seed={last.seed}, schedule={dict(last.schedule)!r}",
            "",
            draw(last.turns),
            "",
            *lines,
        ]
    )


# ---- fixtures --------------------------------------------------------------------------------


@pytest.fixture
def blazen_runs(request: pytest.FixtureRequest) -> int:
    """How many runs an exploration is to make at most."""
    runs: int | None = request.config.getoption("--blazen-runs")
    return 1000 if runs is None else runs


@pytest.fixture
def simulate(
    request: pytest.FixtureRequest, blazen_seed: int, blazen_backend: Any
) -> Callable[..., Transcript]:
    """``simulate`` with the seed and the backend filled in; a failing test shows what it did."""
    from ._simulation import simulate as simulate_once

    node: pytest.Item = request.node
    simulated: list[Transcript] = node.stash.setdefault(_SIMULATED, [])

    def simulate(*arguments: Any, **options: Any) -> Transcript:
        options = {"seed": blazen_seed, "backend": blazen_backend, **options}
        transcript = simulate_once(*arguments, **options)
        simulated.append(transcript)
        return transcript

    return simulate


@pytest.fixture
def explore(
    request: pytest.FixtureRequest, blazen_runs: int, blazen_backend: Any
) -> Callable[..., Exploration]:
    """``explore`` with the seed, the number of runs and the backend filled in."""
    from ._exploring import explore as explore_orders

    seed = request.config.stash[_SEED]

    def explore(*arguments: Any, **options: Any) -> Exploration:
        options = {"seed": seed, "max_runs": blazen_runs, "backend": blazen_backend, **options}
        return explore_orders(*arguments, **options)

    return explore
