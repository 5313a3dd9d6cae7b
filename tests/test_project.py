"""The project keeps its own rules: layering, licence, types, and no trace of where it was made."""

from __future__ import annotations

import inspect
import re
import subprocess
import sys
import tomllib
import typing
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

import blazen_anyio
from blazen_anyio import Workflow

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
    assert names == sorted(names)
    for name in names:
        assert getattr(blazen_anyio, name) is not None


def test_every_public_object_has_a_docstring() -> None:
    """Methods and properties of public classes too, those that they inherit from us included."""
    public: dict[str, object] = {
        name: value
        for name in blazen_anyio.__all__
        if inspect.isclass(value := getattr(blazen_anyio, name)) or inspect.isfunction(value)
    }
    for name, value in list(public.items()):
        if isinstance(value, type):
            public |= {f"{name}.{part}": member for part, member in members_of(value)}
    assert len(public) > 2 * len(blazen_anyio.__all__)
    assert [
        name for name, value in public.items() if not inspect.cleandoc(value.__doc__ or "")
    ] == []


def members_of(kind: type) -> Iterator[tuple[str, object]]:
    """The public methods and properties of a class, and of those of ours that it is made of."""
    for base in kind.__mro__:
        if base.__module__.partition(".")[0] != blazen_anyio.__name__:
            continue
        for name, member in vars(base).items():
            plain = getattr(member, "__func__", member)  # of a class method or static method
            if not name.startswith("_") and (
                inspect.isfunction(plain) or isinstance(plain, property)
            ):
                yield name, plain


def test_lanes_are_on_by_default() -> None:
    """Said to type checkers, too. The engine's tests change the default, so it is asserted here."""
    said = [Workflow.__init__, *typing.get_overloads(Workflow.__init__)]
    assert [inspect.signature(each).parameters["lanes"].default for each in said] == [True] * 3


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
    tested = {each for each in PROJECT["dependency-groups"]["test"] if isinstance(each, str)}
    for extra in extras:
        assert set(extras[extra]) <= tested
