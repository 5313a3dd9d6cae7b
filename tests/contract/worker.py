"""The other process: takes examples up from their snapshots. ``python -m contract.worker trio``.

It reads lines of JSON, ``{"example": name, "snapshots": [text, ...]}``, and answers each with one,
a list of outcomes; or with a string, the traceback of what went wrong. It ends with its input.
"""

from __future__ import annotations

import json
import sys
import traceback

import anyio

from .examples import EXAMPLES
from .performing import go_on, on_virtual_time


def main(backend: str) -> None:
    """Answer line by line."""
    for line in sys.stdin:
        asked = json.loads(line)
        answer: object
        try:
            example = EXAMPLES[asked["example"]]
            answer = anyio.run(go_on, example, asked["snapshots"], **on_virtual_time(backend))
        except Exception:
            answer = traceback.format_exc()
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main(sys.argv[1])
