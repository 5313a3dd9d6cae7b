"""The commands about a workflow itself: is it sound, and what does it look like?"""

from __future__ import annotations

import shutil
import subprocess
from typing import Annotated, Literal

from cyclopts import Parameter

from ..._durable import StoredMisfit
from ..arguments import read_pairs, write_text
from ..errors import DONE, FAILED, CommandError
from ..loading import load_store, load_workflow
from ..options import Injected, OptionalStore, Renames, Traceback, WorkflowName
from ..terminal import printable

__all__ = ["check", "graph"]


async def check(
    workflow: WorkflowName,
    /,
    *,
    store: OptionalStore = None,
    rename: Renames | None = None,
    traceback: Traceback = False,
    terminal: Injected,
) -> int:
    """Find problems in the definition of a workflow, and stored runs that would not resume.

    The exit code is 1 if there are any: for use before a deployment.
    """
    loaded = load_workflow(workflow)
    misfits: list[StoredMisfit] = []
    if store is not None:
        renames = read_pairs("--rename", rename or ())
        async with load_store(store) as opened:
            misfits = await loaded.check(opened, renames=renames)
    for misfit in misfits:
        terminal.result(f"{printable(misfit.run.run_id)}: {printable(str(misfit.error))}")
    terminal.say(
        f"{len(misfits)} stored runs would not resume" if misfits else f"{loaded.name}: fine"
    )
    return FAILED if misfits else DONE


async def graph(
    workflow: WorkflowName,
    /,
    *,
    format: Literal["mermaid", "dot", "svg"] = "mermaid",
    output: Annotated[str | None, Parameter(name=["--output", "-o"])] = None,
    traceback: Traceback = False,
    terminal: Injected,
) -> int:
    """Draw the graph of a workflow.

    Args:
        format: What to write; svg needs Graphviz.
        output: A file; by default standard output.
    """
    drawn = load_workflow(workflow).graph
    picture = drawn.to_mermaid() if format == "mermaid" else drawn.to_dot()
    if format == "svg":
        picture = _to_svg(picture)
    if output is None:
        terminal.result(picture)
    else:
        write_text(output, picture)
    return DONE


def _to_svg(dot: str) -> str:
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
