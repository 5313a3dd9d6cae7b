"""Every example of the README runs as it is written, on both backends."""

from __future__ import annotations

import re
from ast import PyCF_ALLOW_TOP_LEVEL_AWAIT
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


def test_the_picture_of_a_failure_is_what_its_example_prints(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Where the reader keeps the example in a file of its own."""
    (block,) = (block for block in blocks("python") if "explore(" in block)
    exec(compile(block.lstrip(), "shop.py", "exec"), {"__name__": "shop"})
    assert capsys.readouterr().out in [text.lstrip() for text in blocks("text")]


@pytest.mark.parametrize("block", blocks("python no-run"), ids=place)
def test_what_can_not_run_here_is_python_at_least(block: str) -> None:
    """Other engines' code, and a store of the reader's."""
    compile(block, "README.md", "exec", flags=PyCF_ALLOW_TOP_LEVEL_AWAIT)


def test_the_other_engines_stand_beside_ours() -> None:
    section = README.partition("## Coming from another engine")[2].partition("\n## ")[0]
    assert section.count("```python\n") == 1
    theirs = re.findall(r"^\*\*(.+?)\*\*(?:(?!```).)*^```python no-run$", section, re.M | re.S)
    assert theirs == ["Blazen", "llama-index-workflows", "LangGraph"]


def test_links_within_the_page_lead_somewhere() -> None:
    headings = re.findall(r"^#+ (.+)$", README, re.MULTILINE)
    places = {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}
    assert set(re.findall(r"\]\(#([^)]+)\)", README)) <= places


def test_there_are_two_commands() -> None:
    """The continuous integration runs them as they are written: an installation, and the tests."""
    assert [block.strip().count("\n") for block in blocks("sh")] == [0, 0]
    assert "nox -s tests" in blocks("sh")[-1]
