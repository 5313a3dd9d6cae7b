"""Development sessions. ``nox -s tests`` is all a newcomer needs; ``nox -l`` lists the rest.

Every session installs into a virtual environment of its own and needs nothing but an interpreter.
"""

from __future__ import annotations

import os
from pathlib import Path

import nox

nox.needs_version = ">=2025.5"
nox.options.default_venv_backend = "virtualenv"
nox.options.error_on_external_run = True
nox.options.error_on_missing_interpreters = False
nox.options.sessions = ["lint", "typing", "tests"]

PROJECT = nox.project.load_toml("pyproject.toml")
PYTHONS = ["3.11", "3.12", "3.13", "3.14"]


def install(session: nox.Session, group: str) -> None:
    """Install the package as a user would, and a dependency group.

    The group is read here, not with ``pip install --group``: an older interpreter's pip has no such
    option.
    """
    session.install(".", *nox.project.dependency_groups(PROJECT, group))


@nox.session
def lint(session: nox.Session) -> None:
    """Check style, formatting and the layering."""
    install(session, "lint")
    session.run("ruff", "check", ".")
    session.run("ruff", "format", "--check", ".")
    session.run("lint-imports", "--no-logo", "--no-cache")


@nox.session
def typing(session: nox.Session) -> None:
    """Check the types with mypy and pyright, both strict."""
    install(session, "typing")
    session.run("mypy")
    session.run("pyright")


@nox.session
def tests(session: nox.Session) -> None:
    """Run the tests on the current interpreter, on all cores."""
    install(session, "test")
    session.run("pytest", "-n", "auto", *session.posargs)


@nox.session(python=PYTHONS)
def tests_all(session: nox.Session) -> None:
    """Run the tests on every supported interpreter that is there."""
    install(session, "test")
    session.run("pytest", "-n", "auto", *session.posargs)


@nox.session
def coverage(session: nox.Session) -> None:
    """Run the tests and ask for every line and branch."""
    install(session, "coverage")
    session.run("coverage", "erase")
    session.run("coverage", "run", "-m", "pytest", "-n", "auto", *session.posargs)
    session.run("coverage", "combine")
    session.run("coverage", "report")


@nox.session
def kill(session: nox.Session) -> None:
    """Kill durable runs 1,000 times, on all cores; ``BLAZEN_SEED`` says where to begin."""
    install(session, "test")
    environment = {"BLAZEN_KILLS": os.environ.get("BLAZEN_KILLS", "1000")}
    session.run(
        "pytest", "-n", "auto", "tests/durable/test_kill.py", *session.posargs, env=environment
    )


@nox.session
def faults(session: nox.Session) -> None:
    """Fail every call of SQLite and of the disk, and cut the power at 1,000 points; minutes."""
    install(session, "test")
    session.run(
        "pytest",
        "-n",
        "auto",
        "tests/stores",
        "tests/durable/test_faulty_sqlite.py",
        *session.posargs,
        env={"BLAZEN_FAULTS": "all"},
    )


@nox.session
def bench(session: nox.Session) -> None:
    """Measure the engine against the hand-written loop and the floor; takes minutes."""
    install(session, "bench")
    session.run("python", "-m", "benchmarks.run", *session.posargs)


@nox.session
def bench_peers(session: nox.Session) -> None:
    """Measure other engines, too, each in an environment of its own; takes half an hour.

    A peer that does not install or run here is left out, and the tables say why.
    """
    install(session, "bench")
    environments = str(Path(session.create_tmp()).resolve() / "peers")
    session.run("python", "-m", "benchmarks.environments", environments)
    session.run("python", "-m", "benchmarks.run", "--peers", environments, *session.posargs)


@nox.session
def guard(session: nox.Session) -> None:
    """Fail where the engine became slower than it was, against the hand-written loop."""
    install(session, "bench")
    session.run("python", "-m", "benchmarks.guard", *session.posargs)


@nox.session
def fuzz(session: nox.Session) -> None:
    """Read 100,000 mutated snapshots."""
    install(session, "test")
    environment = {"BLAZEN_FUZZ": os.environ.get("BLAZEN_FUZZ", "100000")}
    session.run("pytest", "tests/test_snapshot_fuzz.py", *session.posargs, env=environment)


@nox.session
def simulations(session: nox.Session) -> None:
    """Simulate 10,000 random workflows, and sweep more of them for cancellations and crashes."""
    install(session, "test")
    environment = {"BLAZEN_SIMULATIONS": os.environ.get("BLAZEN_SIMULATIONS", "10000")}
    session.run("pytest", "-n", "auto", "tests/kit", *session.posargs, env=environment)
