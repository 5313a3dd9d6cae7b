"""Commands in this process, in a directory of their own."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import attrs
import pytest

from blazen_anyio._cli import main

__all__ = ["Told"]


@attrs.frozen
class Told:
    """What a command has said: its exit code, standard output and standard error."""

    code: int
    out: str
    err: str

    @property
    def lines(self) -> list[str]:
        """The lines on standard error."""
        return self.err.splitlines()


@pytest.fixture
def blazen(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> Callable[..., Told]:
    """``blazen("run", "cli.flows:shop")`` runs a command."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("BLAZEN_STORE", raising=False)

    def run(*arguments: str, stdin: str = "") -> Told:
        monkeypatch.setattr("sys.stdin", io.StringIO(stdin))
        capsys.readouterr()
        code = main(arguments)
        out, err = capsys.readouterr()
        return Told(code, out, err)

    return run
