"""A command-line script around a workflow, with cyclopts.

Run it with ``python -m blazen_anyio.examples.cyclopts_script FILE...``: it prints the digest of
each file, read in worker threads, and which files are the same. The script is synchronous; the
workflow has an event loop for as long as it runs. Ctrl-C cancels it and leaves nothing running.
"""

from __future__ import annotations

import hashlib
import sys
from pathlib import Path
from typing import Literal

from cyclopts import App

from blazen_anyio import Event, StartEvent, StepFailed, StopEvent, Workflow, step

__all__ = ["app", "digests"]


class Files(StartEvent, event_type="digests.Files"):
    """The files to read."""

    paths: tuple[str, ...]


class File(Event, event_type="digests.File"):
    """One of the files."""

    path: str


class Digest(Event, event_type="digests.Digest"):
    """The digest of a file, or why there is none."""

    path: str
    digest: str
    problem: str = ""


class Digests(StopEvent, event_type="digests.Digests"):
    """All digests, in the order of the files."""

    all: tuple[Digest, ...]


@step
async def each(files: Files) -> list[File]:
    """Fan out to one event for each file."""
    return [File(path) for path in files.paths]


@step(max_concurrency=4)
def read(file: File) -> Digest:
    """Read a file, in a worker thread."""
    with Path(file.path).open("rb") as content:
        return Digest(file.path, hashlib.file_digest(content, "sha256").hexdigest())


@step(for_steps=["read"])
async def unreadable(failure: StepFailed) -> Digest:
    """A file that can't be read is reported, and ends nothing."""
    assert isinstance(failure.event, File)
    return Digest(failure.event.path, "", failure.message)


@step
async def gather(found: list[Digest]) -> Digests:
    """Fires once, when all files have been read."""
    return Digests(all=tuple(found))


digests = Workflow("digests", [each, read, unreadable, gather], stop=Digests)

app = App(name="digests", help="Print the SHA-256 of each file, and which files are the same.")


@app.default
def main(*files: Path, backend: Literal["asyncio", "trio"] = "asyncio") -> int:
    """Print the SHA-256 of each file, and which files are the same.

    Args:
        files: The files to read.
        backend: The kind of event loop.

    Returns:
        0, or 1 if a file could not be read.
    """
    found = digests.run_sync(Files(tuple(map(str, files))), backend=backend).all
    first: dict[str, str] = {}
    for digest in found:
        if digest.problem:
            print(f"{digest.path}: {digest.problem}", file=sys.stderr)
            continue
        same = first.setdefault(digest.digest, digest.path)
        note = "" if same == digest.path else f"  the same as {same}"
        print(f"{digest.digest}  {digest.path}{note}")
    return int(any(digest.problem for digest in found))


if __name__ == "__main__":
    app()
