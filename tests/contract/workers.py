"""This side of the other processes, one for each backend."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterable
from types import TracebackType
from typing import Any

__all__ = ["Worker", "Workers"]

PATIENCE = 30
"""Seconds in which a worker whose input has ended has to end, too."""


class Worker:
    """A process that takes examples up from their snapshots; see ``contract.worker``."""

    def __init__(self, backend: str) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-W", "error", "-m", "contract.worker", backend],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        )

    def ask(self, example: str, snapshots: list[str]) -> None:
        """Ask for the outcomes of an example, from each of its snapshots."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps({"example": example, "snapshots": snapshots}) + "\n")
        self._process.stdin.flush()

    def answer(self) -> Any:
        """Wait for what was asked for: a list, or a text that tells what went wrong."""
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        assert line, f"the worker has ended with {self._process.wait()}"
        return json.loads(line)

    def end(self) -> None:
        """Wait for the end of the process, and see to it if it does not come."""
        with self._process as process:
            assert process.stdin is not None
            process.stdin.close()
            try:
                process.wait(PATIENCE)
            finally:
                process.kill()  # nothing, if it has ended


class Workers:
    """A worker for each backend. A context manager: no process is left behind."""

    def __init__(self, backends: Iterable[str]) -> None:
        self._workers = {backend: Worker(backend) for backend in backends}

    def __enter__(self) -> Workers:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for worker in self._workers.values():
            worker.end()

    def outcomes(self, example: str, snapshots: list[str]) -> dict[str, Any]:
        """Take an example up from its snapshots on each backend, all at the same time."""
        for worker in self._workers.values():
            worker.ask(example, snapshots)
        return {backend: worker.answer() for backend, worker in self._workers.items()}
