"""Other processes that use a store, to be watched and killed."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

__all__ = ["line_of", "process"]

PRELUDE = """
import os, sys, anyio
from blazen_anyio import StoreError
from blazen_anyio.stores import Commit, SQLiteStore

def say(text):
    print(text, flush=True)

async def main(path):
{body}

anyio.run(main, sys.argv[1])
"""


@contextmanager
def process(body: str, path: Path) -> Iterator[subprocess.Popen[str]]:
    """Run ``body``, the body of an async function of ``path``, in a process of its own.

    Its standard output can be read line by line; it is killed at the end if it is still there.
    """
    code = PRELUDE.format(body=textwrap.indent(textwrap.dedent(body), "    "))
    running = subprocess.Popen(
        [sys.executable, "-c", code, str(path)], stdout=subprocess.PIPE, text=True
    )
    with running:
        try:
            yield running
        finally:
            running.kill()


def line_of(running: subprocess.Popen[str]) -> str:
    """The next line that a process says."""
    assert running.stdout is not None
    return running.stdout.readline().strip()
