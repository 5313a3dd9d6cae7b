"""Who takes part: the engine, what one writes by hand, and other engines.

Other engines live each in a virtual environment of its own; see :mod:`.environments`.
"""

from __future__ import annotations

from collections.abc import Sequence

import attrs

__all__ = ["BACKENDS", "CONTENDERS", "OURS", "PEERS", "Contender", "find_contender"]

BACKENDS = ("asyncio", "trio")


@attrs.frozen
class Contender:
    """One that takes part.

    Attributes:
        name: for people.
        module: of its workloads, in this package.
        packages: what its environment needs; empty for what runs in this one.
        backends: the backends that it runs on.
    """

    name: str
    module: str
    packages: Sequence[str] = ()
    backends: Sequence[str] = BACKENDS

    @property
    def directory(self) -> str:
        """The name of its environment's directory."""
        return self.module.rpartition(".")[2]


OURS = (
    Contender("engine", "engine"),
    Contender("engine, no history", "unrecorded"),
    Contender("L2", "l2"),
    Contender("L2 nowait", "l2_nowait"),
    Contender("lanes", "lanes"),
    Contender("floor", "floor"),
    Contender("cattrs json", "cattrs_json"),
    Contender("raw sqlite3", "raw_sqlite"),
)

_ASYNCIO = ("asyncio",)

PEERS = (
    Contender("blazen", "peers.blazen_rust", ["blazen"], _ASYNCIO),
    Contender("pydantic-graph", "peers.pydantic_graphs", ["pydantic-graph", "trio"]),
    Contender(
        "langgraph",
        "peers.lang_graph",
        ["langgraph", "langgraph-checkpoint-sqlite"],
        _ASYNCIO,
    ),
    Contender("llama-index", "peers.llama_index", ["llama-index-workflows"], _ASYNCIO),
    Contender("burr", "peers.apache_burr", ["apache-burr[aiosqlite,tracking]", "anyio", "trio"]),
    Contender("dbos", "peers.dbos_engine", ["dbos"], _ASYNCIO),
    Contender("agent-framework", "peers.agent_framework_core", ["agent-framework-core"], _ASYNCIO),
)

CONTENDERS = (*OURS, *PEERS)


def find_contender(name: str) -> Contender:
    """Look one up by its name."""
    return next(contender for contender in CONTENDERS if contender.name == name)
