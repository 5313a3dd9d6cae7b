"""Rows, log and snapshot say the same after every commit, for all shapes of the sweeps.

The clock of the wall is the event loop's plus a constant, so that times in rows can be compared.
"""

from __future__ import annotations

import json
import types
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest import mock

import anyio
import attrs
import pytest
from sweeps.harness import Case, numbers
from sweeps.scheduling import BACKENDS, Steps, run_with_steps
from sweeps.shape import Shape
from sweeps.shapes import SHAPES

from blazen_anyio._machine.records import Tables
from blazen_anyio._run import Runner
from blazen_anyio._run._book import Book
from blazen_anyio._run._scribe import Scribe
from blazen_anyio._store import Head, content_of, open_rows
from blazen_anyio._store.journal import LogEntry, replay
from blazen_anyio.stores import MemoryStore

from .stores import CopyingStore

TABLES = tuple(attrs.fields_dict(Tables))

shapes = pytest.mark.parametrize(
    ("shape", "backend"),
    [
        pytest.param(shape, backend, id=f"{name}-{backend}")
        for name, shape in SHAPES.items()
        for backend in BACKENDS
    ],
)


def comparable(content: dict[str, Any]) -> dict[str, Any]:
    """The content of a snapshot, without the order of rows and what float arithmetic adds."""
    tables: dict[str, Any] = {name: [_row(row) for row in content[name]] for name in TABLES}
    for rows in tables.values():
        rows.sort(key=lambda row: json.dumps(row, sort_keys=True))
    return {"run_id": content["run_id"], "workflow": content["workflow"], **tables}


def _row(row: dict[str, Any]) -> dict[str, Any]:
    plain = {key: value for key, value in row.items() if key != "active" and value is not None}
    for key in ("due", "first_tried"):
        if key in plain:
            plain[key] = round(plain[key], 3)
    if "saved" in plain:
        plain["saved"] = comparable(plain["saved"])
    return plain


def count(content: dict[str, Any]) -> int:
    """How many rows a content stands for, but for the one about the outermost run."""
    inner = [row["saved"] for row in content["children"] if row.get("saved")]
    return sum(len(content[name]) for name in TABLES) - 1 + sum(count(each) + 1 for each in inner)


def line_of(runner: Runner) -> Iterator[Runner]:
    yield runner
    for child in runner.children:
        yield from line_of(child)


def is_settled(root: Runner) -> bool:
    """Whether all that was committed has been written down, in all runs of the tree."""
    for runner in line_of(root):
        if runner.machine.deltas:
            return False
        ending = runner.machine._ledger.ending
        if runner is not root and ending is not None:
            return False  # its result is in the row of the run around it, which is told soon
    return True


class Checker:
    """Keeps the rows that a book has written, and compares them whenever all is written down."""

    def __init__(self) -> None:
        self.rows: dict[str, str] = {}
        self.compared = 0

    def written(self, change: Any) -> None:
        if change.clears:
            self.rows.clear()
        self.rows.update(change.puts)
        for key in change.removes:
            assert key not in change.puts, "a commit removes what it writes"
            self.rows.pop(key, None)

    def compare(self, scribe: Scribe) -> None:
        root = scribe.root
        if root is None or scribe._error is not None or scribe._large is not None:
            return
        if not is_settled(root):
            return
        if scribe._book.completed:
            assert list(self.rows) == ["result"]
            return
        stored = content_of(root.machine.run_id, scribe._book.run, self.rows)
        live = root.snapshot().to_data()
        assert comparable(stored) == comparable(live)
        assert count(live) == len(self.rows), "rows that belong to nothing"
        self.compared += 1

    @contextmanager
    def watching(self) -> Iterator[None]:
        write, take = Book.write, Scribe.take

        def written(book: Book, change: Any, facts: Any, time: float) -> Any:
            commit = write(book, change, facts, time)
            self.written(change)
            assert set(scribe_keys(book)) == set(self.rows)
            return commit

        def taken(scribe: Scribe, runner: Runner) -> None:
            take(scribe, runner)
            self.compare(scribe)

        with mock.patch.object(Book, "write", written), mock.patch.object(Scribe, "take", taken):
            yield


def scribe_keys(book: Book) -> Iterator[str]:
    return book.shelf.keys()


@contextmanager
def one_clock() -> Iterator[None]:
    clock = types.SimpleNamespace(time=lambda: 1e9 + anyio.current_time())
    with mock.patch("blazen_anyio._run._options.time", clock):
        yield


async def run_shape(case: Case, store: MemoryStore) -> None:
    case.kit.reset()
    async with store:
        run = case.workflow.start(run_id="run", store=store)
        with one_clock():
            assert await case.host(run) == case.shape.result


@shapes
def test_rows_and_snapshot_agree_after_every_commit(shape: Shape, backend: str) -> None:
    checker = Checker()

    async def main(steps: Steps) -> None:
        with checker.watching():
            await run_shape(Case.of(shape), MemoryStore())

    run_with_steps(backend, main)
    assert checker.compared > 3


@shapes
def test_rows_and_snapshot_agree_after_a_crash_too(shape: Shape, backend: str) -> None:
    store = CopyingStore()
    run_with_steps(backend, lambda steps: run_shape(Case.of(shape), store))

    async def main(steps: Steps) -> None:
        for number in numbers(len(store.images), 2, (shape.name, backend)):
            if number >= len(store.images):
                break
            case, image, checker = Case.of(shape), store.images[number - 1], Checker()
            rows = [*image._data.runs["run"].rows.values()]
            _, texts = open_rows(image.seal, image._data.runs["run"].run, rows)
            checker.rows.update(texts)
            with one_clock(), checker.watching():
                async with image:
                    assert await case.host(case.workflow.resume_from(image, "run")) == shape.result

    run_with_steps(backend, main)


@shapes
def test_the_log_replayed_gives_the_rows_after_every_commit(shape: Shape, backend: str) -> None:
    store = CopyingStore(keep_log=True)
    run_with_steps(backend, lambda steps: run_shape(Case.of(shape), store))
    seal = store.seal.for_run("run")
    entries: list[LogEntry] = []
    for number, image in enumerate(store.images, 1):
        kept = image._data.runs["run"]
        assert list(kept.log) == list(range(1, number + 1))
        entries.append(LogEntry.read(seal.open("log", number, kept.log[number])))
        head, texts = open_rows(image.seal, kept.run, [*kept.rows.values()])
        replayed_head, replayed = replay(entries)
        assert Head.read(replayed_head) == head
        assert replayed == texts


@shapes
def test_a_fork_at_any_commit_comes_to_the_same_result(shape: Shape, backend: str) -> None:
    store = CopyingStore(keep_log=True)
    run_with_steps(backend, lambda steps: run_shape(Case.of(shape), store))
    last = max(number for number, image in enumerate(store.images, 1) if _goes_on(image))

    async def main(steps: Steps) -> None:
        with one_clock():
            async with store:
                for number in numbers(last, 2, (shape.name, backend)):
                    if number > last:
                        break
                    case = Case.of(shape)
                    case.kit.reset()
                    run = case.workflow.fork(store, "run", at=number, new_run_id=f"fork-{number}")
                    assert await case.host(run) == shape.result

    run_with_steps(backend, main)


def _goes_on(image: MemoryStore) -> bool:
    return image._data.runs["run"].run.status != "completed"


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_commit_costs_what_it_changes_however_old_and_large_the_run_is(backend: str) -> None:
    store = CopyingStore()
    run_with_steps(backend, lambda steps: _hop(store))
    hops = store.rows[8:-4]
    assert len(hops) > 150
    assert max(hops) <= 5, "an event and its delivery come, and others go"
    bytes_of = [len(image._data.runs["run"].run.head) for image in store.images[8:-4]]
    assert max(bytes_of) - min(bytes_of) < 12, "numbers grow by digits, and nothing else does"


async def _hop(store: CopyingStore) -> None:
    from .kit import hops

    async with store:
        await hops.run(n=200, run_id="run", store=store)
