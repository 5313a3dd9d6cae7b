"""Starting is cheap: little is imported, and a workflow is built quickly."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

import pytest

import blazen_anyio
from blazen_anyio import Event, StartEvent, StopEvent, Workflow, step

ROOT = Path(__file__).parent.parent

DEPENDENCIES = "import anyio, anyio.lowlevel, attrs"

NOT_NEEDED = [
    "aiosqlite",
    "anyio.from_thread",
    "anyio.to_thread",
    "apsw",
    "asyncio",
    "asyncio.base_events",
    "base64",
    "blazen_anyio._blocking",
    "blazen_anyio._cli",
    "blazen_anyio._codec.codec",
    "blazen_anyio._codec.copying",
    "blazen_anyio._codec.packing",
    "blazen_anyio._codec.reading",
    "blazen_anyio._codec.scalars",
    "blazen_anyio._codec.writing",
    "blazen_anyio._drawing",
    "blazen_anyio._durable",
    "blazen_anyio._observer",
    "blazen_anyio._report",
    "blazen_anyio._run._drafting",
    "blazen_anyio._run._lease",
    "blazen_anyio._run._recovery",
    "blazen_anyio._run._scribe",
    "blazen_anyio._run._shelf",
    "blazen_anyio._run._watch",
    "blazen_anyio._snapshot",
    "blazen_anyio._stages",
    "blazen_anyio._store",
    "blazen_anyio.examples",
    "blazen_anyio.stores",
    "blazen_anyio.telemetry",
    "blazen_anyio.testing",
    "cattrs",
    "concurrent.futures.thread",
    "cryptography",
    "cyclopts",
    "datetime",
    "decimal",
    "hashlib",
    "hmac",
    "html",
    "hypothesis",
    "importlib.resources",
    "json",
    "jsonschema",
    "opentelemetry",
    "orjson",
    "pdb",
    "pickle",
    "pydantic",
    "pytest",
    "random",
    "rich",
    "sqlite3",
    "ssl",
    "structlog",
    "subprocess",
    "tempfile",
    "trio",
    "unittest",
    "uuid",
    "uvloop",
    "xml",
    "zoneinfo",
]


def run_python(code: str, *options: str, environment: dict[str, str] | None = None) -> str:
    done = subprocess.run(
        [sys.executable, *options, "-c", code],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout.strip()


def imported(code: str) -> set[str]:
    """Which of what is not needed a program imports."""
    looked = f"import sys; print(*[name for name in {NOT_NEEDED!r} if name in sys.modules])"
    return set(run_python(f"{code}\n{looked}").split())


def test_the_import_brings_in_nothing_that_few_programs_use() -> None:
    """Neither backend, no store, no command line, no report; nothing but what anyio brings."""
    assert imported("import blazen_anyio") <= imported(DEPENDENCIES)


RUN = """
import anyio
from blazen_anyio import StartEvent, StopEvent, Workflow, step

@step
async def answer(event: StartEvent) -> StopEvent:
    return StopEvent(result=42)

assert anyio.run(Workflow("w", [answer]).run, backend={backend!r}) == 42
"""

BACKEND = """
import anyio, anyio.lowlevel, attrs
anyio.run(anyio.lowlevel.checkpoint, backend={backend!r})
"""


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_a_run_imports_the_backend_that_it_runs_on_and_no_more(backend: str) -> None:
    assert imported(RUN.format(backend=backend)) <= imported(BACKEND.format(backend=backend))


def test_what_is_imported_when_it_is_used_is_there() -> None:
    with pytest.raises(AttributeError, match="module 'blazen_anyio' has no attribute 'nothing'"):
        _ = blazen_anyio.nothing
    told = run_python("from blazen_anyio import pipeline, report; print(pipeline.__module__)")
    assert told == "blazen_anyio._stages"
    told = run_python(
        "import blazen_anyio; print(set(blazen_anyio.__all__) <= set(dir(blazen_anyio)))"
    )
    assert told == "True"


MEASURED = """
import time
started = time.process_time()
{code}
print(time.process_time() - started)
"""

BASE = "import anyio, attrs, cattrs"

MOST_TIMES = 1.6
"""What our modules may take to import, in times of what anyio, attrs and cattrs take.

A stop against regressions: the aim is 60 ms where those take 45, and it was 1.2 when last measured.
"""


def test_the_import_costs_little_beside_that_of_the_dependencies(tmp_path: Path) -> None:
    """In processor time, which other processes hardly change, and from compiled files."""
    environment = dict(os.environ, PYTHONPYCACHEPREFIX=str(tmp_path))
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    environment.pop("COVERAGE_PROCESS_CONFIG", None)  # what is traced costs more than it does
    environment.pop("COVERAGE_PROCESS_START", None)

    def cost(code: str) -> float:
        return float(run_python(MEASURED.format(code=code), environment=environment))

    # Each pair within a moment, so that both are slowed alike; the first pair compiles.
    pairs = [(cost(f"{BASE}\nimport blazen_anyio"), cost(BASE)) for _ in range(5)]
    assert statistics.median(ours / theirs for ours, theirs in pairs[1:]) - 1 <= MOST_TIMES


class Begin(StartEvent):
    """Starts the long workflow."""


KINDS = [
    type(f"Event{number}", (Event,), {"__annotations__": {"number": int}}) for number in range(49)
]


def make_step(number: int):
    accepted = KINDS[number - 1] if number else Begin
    emitted = KINDS[number] if number < 49 else StopEvent

    async def handle(event):
        """Is never called."""

    handle.__annotations__ = {"event": accepted, "return": emitted}
    return step(name=f"step {number}")(handle)


def test_a_workflow_of_fifty_steps_is_built_quickly() -> None:
    """In ten milliseconds on a machine of today; here in processor time, and three times that."""
    steps = [make_step(number) for number in range(50)]
    costs: list[float] = []
    for _ in range(5):
        started = time.process_time()
        workflow = Workflow("fifty", steps)
        costs.append(time.process_time() - started)
    assert len(workflow.graph.nodes) >= 50
    assert min(costs) < 0.03
