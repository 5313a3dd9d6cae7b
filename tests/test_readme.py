"""Every example of the README runs as it is written, on both backends."""

from __future__ import annotations

import re
from pathlib import Path

import anyio
import pytest

README = Path(__file__).parent.parent.joinpath("README.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    """The fenced blocks of a language, each padded so that line numbers are those of the README."""
    pattern = re.compile(rf"^```{language}\n(.*?)^```$", re.MULTILINE | re.DOTALL)
    return [
        "\n" * README.count("\n", 0, match.start(1)) + match.group(1)
        for match in pattern.finditer(README)
    ]


def place(block: str) -> str:
    return f"line {len(block) - len(block.lstrip()) + 1}"


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
@pytest.mark.parametrize("block", blocks("python"), ids=place)
def test_a_python_example_runs(block: str, backend: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """``anyio.run(main)`` of the example runs on the backend; asserts in it hold."""
    run = anyio.run
    mains: list[str] = []

    def run_on_backend(function, *arguments: object, **options: object) -> object:
        if "backend" not in options:  # else it is ``run_sync`` that has been told which
            mains.append(function.__name__)
        return run(function, *arguments, **{"backend": backend, **options})

    monkeypatch.setattr(anyio, "run", run_on_backend)
    exec(compile(block, "README.md", "exec"), {"__name__": "readme"})
    assert mains == (["main"] if "anyio.run(main)" in block else [])


def test_there_are_two_commands() -> None:
    """The continuous integration runs them as they are written: an installation, and the tests."""
    assert [block.strip().count("\n") for block in blocks("sh")] == [0, 0]
    assert "nox -s tests" in blocks("sh")[-1]
