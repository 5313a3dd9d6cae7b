"""Pictures: the graph of a workflow, and the report on a run, as files for other programs."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Literal

import attrs

from .errors import DONE, FAILED, CommandError
from .loading import load_store, load_workflow
from .terminal import Terminal

__all__ = ["Draw", "PictureFormat", "Report"]

PictureFormat = Literal["mermaid", "dot", "svg"]


@attrs.frozen(kw_only=True)
class Draw:
    """Draw the graph of a workflow."""

    workflow: str
    format: PictureFormat
    output: str | None

    async def __call__(self, terminal: Terminal) -> int:
        """Perform the command."""
        graph = load_workflow(self.workflow).graph
        if self.format == "mermaid":
            picture = graph.to_mermaid()
        else:
            picture = graph.to_dot()
            if self.format == "svg":
                picture = _drawn(picture)
        if self.output is None:
            terminal.result(picture)
        else:
            _write(self.output, picture)
        return DONE


@attrs.frozen(kw_only=True)
class Report:
    """Write a report on a stored run."""

    run_id: str
    store: str
    workflow: str | None
    output: str

    async def __call__(self, terminal: Terminal) -> int:
        """Perform the command."""
        from .._report import stored_report  # no other command should wait for it

        workflow = None if self.workflow is None else load_workflow(self.workflow)
        async with load_store(self.store) as store:
            page = (await stored_report(store, self.run_id, workflow)).to_html()
        _write(self.output, page)
        return DONE


def _write(path: str, text: str) -> None:
    try:
        Path(path).write_text(text, encoding="utf-8")
    except OSError as error:
        raise CommandError(f"{path}: {error.strerror}", code=FAILED) from error


def _drawn(dot: str) -> str:
    program = shutil.which("dot")
    if program is None:
        raise CommandError(
            "svg is drawn by Graphviz, whose program dot is not installed",
            "install Graphviz, or take --format mermaid or --format dot",
        )
    done = subprocess.run(
        [program, "-Tsvg"], input=dot, capture_output=True, encoding="utf-8", check=False
    )
    if done.returncode != 0:
        raise CommandError(f"dot failed: {done.stderr.strip()}", code=FAILED)
    return done.stdout
