"""The command line, ``blazen-anyio`` or ``python -m blazen_anyio``; the extra is ``cli``.

The rule of the package: commands use what any user of the library could use, load code only from
their own arguments, and write to standard output nothing but the result. Everything a person reads
goes to standard error. Importing this package brings in no extra; running a command does.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

__all__ = ["main"]

_EXTRAS = ("cyclopts", "rich")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command.

    Args:
        arguments: of the command line; by default those of the process.

    Returns:
        The exit code: 0 done, 1 failed, 2 usage, 3 suspended or waiting for input, 130 interrupted.
    """
    try:
        from .app import call
    except ModuleNotFoundError as error:
        missing = (error.name or "").partition(".")[0]
        if missing not in _EXTRAS:
            raise
        sys.stderr.write(
            f"blazen-anyio: the command line needs {missing}; "
            "install it with: pip install 'blazen-anyio[cli]'\n"
        )
        return 2
    return call(sys.argv[1:] if arguments is None else list(arguments))
