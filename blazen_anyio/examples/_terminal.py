"""What the examples need of a terminal: arguments, text in any encoding, a human's answers."""

from __future__ import annotations

import argparse
import importlib.util
import os
import sys
import threading
from contextlib import suppress
from typing import TextIO

import anyio
from anyio import RunFinishedError, from_thread
from anyio.lowlevel import current_token

__all__ = ["Lines", "backend_name", "print_text"]

_CHUNK = 2**16
_LONGEST_LINE = 2**20


def backend_name(text: str) -> str:
    """Check an argument that names a backend which is installed."""
    if text not in ("asyncio", "trio"):
        raise argparse.ArgumentTypeError(f"asyncio or trio, not {text!r}")
    if importlib.util.find_spec(text) is None:
        raise argparse.ArgumentTypeError(f"{text} is not installed; try: pip install {text}")
    return text


def print_text(text: str, file: TextIO | None = None) -> None:
    """Print, to standard output by default, whatever the terminal's encoding."""
    target = sys.stdout if file is None else file
    encoding = target.encoding or "ascii"
    print(text.encode(encoding, "backslashreplace").decode(encoding), file=target, flush=True)


class Lines:
    """Reads lines of text from a file descriptor without blocking the event loop.

    Nothing can end a thread that waits for input. So it is a thread of our own, which a cancelled
    read leaves behind: the program may end all the same.
    """

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._unread = b""
        self._ended = False

    async def next(self) -> str | None:
        """Wait for the next line; ``None`` at the end of the input, or if a line has no end."""
        while b"\n" not in self._unread and not self._ended:
            chunk = await self._read()
            self._unread += chunk
            self._ended = not chunk or len(self._unread) > _LONGEST_LINE
        line, found, self._unread = self._unread.partition(b"\n")
        if not line and not found:
            return None
        return line.decode(errors="replace").strip()

    async def _read(self) -> bytes:
        done, chunks, token = anyio.Event(), [b""], current_token()

        def read() -> None:
            with suppress(OSError):
                chunks[0] = os.read(self._descriptor, _CHUNK)
            with suppress(RunFinishedError):
                from_thread.run_sync(done.set, token=token)

        threading.Thread(target=read, name="reads input", daemon=True).start()
        await done.wait()
        return chunks[0]
