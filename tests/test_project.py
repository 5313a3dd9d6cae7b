"""The project keeps its own rules: layering, licence, types, and no trace of where it was made."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from importlib import metadata
from pathlib import Path

import blazen_anyio

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
PACKAGE = ROOT / "blazen_anyio"
SOURCES = sorted(PACKAGE.rglob("*.py"))


def run_python(code: str) -> str:
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout.strip()


def test_every_public_name_is_there_once_and_in_order() -> None:
    names = blazen_anyio.__all__
    assert len(set(names)) == len(names)
    for name in names:
        assert getattr(blazen_anyio, name) is not None


def test_every_public_object_has_a_docstring() -> None:
    undocumented = [
        name
        for name in blazen_anyio.__all__
        if callable(getattr(blazen_anyio, name)) and not getattr(blazen_anyio, name).__doc__
    ]
    assert undocumented == []


def test_the_import_brings_in_neither_a_backend_nor_an_extra() -> None:
    """Starting is quick, and what is optional stays optional."""
    unwanted = "trio uvloop orjson hypothesis rich cyclopts opentelemetry pickle"
    code = (
        "import blazen_anyio, sys\n"
        f"print(*[name for name in {unwanted.split()!r} if name in sys.modules])"
    )
    allowed = run_python(
        "import anyio, anyio.lowlevel, anyio.to_thread, attrs, sys\n"
        f"print(*[name for name in {unwanted.split()!r} if name in sys.modules])"
    ).split()
    assert set(run_python(code).split()) <= set(allowed)


def test_every_module_says_what_rule_governs_it() -> None:
    without = [path for path in SOURCES if not path.read_text(encoding="utf-8").startswith('"""')]
    assert without == []


def test_no_module_holds_unfinished_work() -> None:
    unfinished = re.compile(r"\b(?:TODO|FIXME|XXX|NotImplementedError|for now)\b")
    found = {str(path): unfinished.findall(path.read_text(encoding="utf-8")) for path in SOURCES}
    assert {path: words for path, words in found.items() if words} == {}


def test_types_are_part_of_the_distribution() -> None:
    assert (PACKAGE / "py.typed").exists()
    assert "Typing :: Typed" in PROJECT["project"]["classifiers"]


def test_the_installed_version_is_the_projects() -> None:
    assert metadata.version("blazen-anyio") == PROJECT["project"]["version"]


def test_the_changelog_tells_of_this_version() -> None:
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert f"## {PROJECT['project']['version']}" in changelog


def test_an_extra_is_tested_against_the_bounds_that_users_get() -> None:
    """What the tests install is what the extras promise."""
    extras = PROJECT["project"]["optional-dependencies"]
    tested = PROJECT["dependency-groups"]["test"]
    for extra in extras:
        assert set(extras[extra]) <= set(tested)
