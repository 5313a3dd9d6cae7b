"""A virtual environment for each peer: ``python -m benchmarks.environments DIRECTORY``.

A peer that does not install here is left out, with what pip said. What is there already is kept.
"""

from __future__ import annotations

import subprocess
import sys
import venv
from pathlib import Path

from .contenders import PEERS, Contender

__all__ = ["make_environment"]

_ALWAYS = ("attrs",)  # of the harness itself


def make_environment(contender: Contender, directory: Path) -> str | None:
    """Make one environment; return what went wrong, if anything did."""
    place = directory / contender.directory
    ready = place / "ready"
    if ready.exists():
        return None
    venv.create(place, with_pip=True, clear=True)
    python = place / "bin" / "python"
    command = [str(python), "-m", "pip", "install", "--quiet"]
    done = subprocess.run(
        [*command, *_ALWAYS, *contender.packages], capture_output=True, text=True, check=False
    )
    if done.returncode:
        python.unlink()
        lines = done.stderr.strip().splitlines()
        return lines[-1] if lines else f"pip ended with {done.returncode}"
    ready.touch()
    return None


def main() -> None:
    """Make them all."""
    directory = Path(sys.argv[1])
    for contender in PEERS:
        problem = make_environment(contender, directory)
        print(f"{contender.name}: {problem or 'installed'}", flush=True)


if __name__ == "__main__":
    main()
