"""The commands: async functions whose signatures are their command lines.

The rule: a command says all that there is to say about it in its signature and docstring, from
which its help is made; it is called with the terminal, and returns its exit code.
"""

from __future__ import annotations

from .drawing import check, graph
from .executing import fork, resume, run
from .looking import history, ls, report, show, watch
from .steering import cancel, respond, rm, send

__all__ = [
    "cancel",
    "check",
    "fork",
    "graph",
    "history",
    "ls",
    "report",
    "respond",
    "resume",
    "rm",
    "run",
    "send",
    "show",
    "watch",
]
