"""What is SQLite's own: bad files, full disks, other connections, one thread, shared commits."""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import pytest
from anyio.abc import TaskGroup

from blazen_anyio import RunLostError, StoreError
from blazen_anyio.stores import Commit, SQLiteStore
from blazen_anyio.stores._database import APPLICATION_ID, SCHEMA_VERSION, Database, explain
from blazen_anyio.testing.store_conformance import ManualClock
from blazen_anyio.testing.store_conformance.base import RUN, begin, claimed, loaded, rows_of, write

from .hasty import HastyStore

pytestmark = pytest.mark.anyio

LARGE = os.urandom(300_000)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "runs.db"


@asynccontextmanager
async def queueing(store: SQLiteStore) -> AsyncGenerator[TaskGroup]:
    """Tasks whose requests queue up until all of them wait."""
    held = threading.Event()
    async with anyio.create_task_group() as tasks:
        worker = store._working()
        tasks.start_soon(partial(worker.ask, lambda runs: held.wait(10), writes=False))
        await wait_until(worker._queue.empty)
        try:
            yield tasks
            await anyio.wait_all_tasks_blocked()
        finally:
            held.set()


async def wait_until(condition: Callable[[], bool]) -> None:
    """Let everybody else go on until something is true."""
    await anyio.wait_all_tasks_blocked()
    while not condition():
        await anyio.sleep(0.001)


def threads() -> list[str]:
    return [thread.name for thread in threading.enumerate() if "blazen_anyio" in thread.name]


class BytesPath(os.PathLike[bytes]):
    def __fspath__(self) -> bytes:
        return b"runs.db"

    def __repr__(self) -> str:
        return "BytesPath()"


class WatchedStore(HastyStore):
    """A store whose statements can be seen, and made to fail.

    Attributes:
        seen: the statements that were executed.
        setup: statements to execute first.
        refuse: raises, or does not, given a statement.
    """

    setup: tuple[str, ...] = ()
    uri: str = ""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.seen: list[str] = []
        self.refuse: Callable[[str], None] = lambda statement: None

    def _connect(self) -> Any:
        if self.uri:
            connection = sqlite3.connect(
                f"file:{self._path}{self.uri}", uri=True, isolation_level=None
            )
        else:
            connection = super()._connect()
        for statement in self.setup:
            connection.execute(statement).close()
        return WatchedConnection(connection, self)


class WatchedConnection:
    def __init__(self, connection: sqlite3.Connection, store: WatchedStore) -> None:
        self._connection = connection
        self._store = store

    def __getattr__(self, name: str) -> Any:
        return getattr(self._connection, name)

    def execute(self, statement: str, parameters: Any = ()) -> Any:
        self._store.seen.append(statement)
        self._store.refuse(statement)
        return self._connection.execute(statement, parameters)


# ---- files ---------------------------------------------------------------------------------------


async def test_a_file_is_made_and_marked_as_ours(path: Path) -> None:
    async with HastyStore(path):
        pass
    connection = sqlite3.connect(path)
    assert connection.execute("PRAGMA application_id").fetchone() == (APPLICATION_ID,)
    assert connection.execute("PRAGMA user_version").fetchone() == (SCHEMA_VERSION,)
    assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    connection.close()


@pytest.mark.parametrize("strict", [True, False])
async def test_tables_are_strict_where_the_library_knows_that(
    path: Path, strict: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite3, "sqlite_version_info", (3, 37, 0) if strict else (3, 36, 9))
    async with HastyStore(path) as store:
        await begin(store, puts=(("a", b"1"),))
    connection = sqlite3.connect(path)
    tables = connection.execute(
        "SELECT sql FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'"
    ).fetchall()
    connection.close()
    assert [("STRICT" in sql) for (sql,) in tables] == [strict] * 3


@pytest.mark.parametrize("content", [b"not a database at all" * 100, b"x"])
async def test_a_file_that_is_no_database_is_left_alone(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    with pytest.raises(StoreError, match="no SQLite database"):
        async with HastyStore(path):
            pass
    assert path.read_bytes() == content
    assert threads() == []


@pytest.mark.parametrize(
    "statement", ["CREATE TABLE t (x)", "PRAGMA user_version = 7", "PRAGMA application_id = 7"]
)
async def test_another_programs_database_is_left_alone(path: Path, statement: str) -> None:
    connection = sqlite3.connect(path)
    connection.execute(statement)
    connection.commit()
    connection.close()
    before = path.read_bytes()
    with pytest.raises(StoreError, match="another program"):
        async with HastyStore(path):
            pass
    assert path.read_bytes() == before


async def test_a_newer_schema_is_refused_by_both_versions(path: Path) -> None:
    async with HastyStore(path) as store:
        await begin(store)
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA user_version = 99")
    connection.close()
    with pytest.raises(StoreError, match=rf"version 99.* {SCHEMA_VERSION}; upgrade"):
        async with HastyStore(path):
            pass


async def test_a_directory_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match=r"nowhere/runs\.db.*directory exists"):
        async with SQLiteStore(tmp_path / "nowhere" / "runs.db"):
            pass
    assert threads() == []


@pytest.mark.parametrize("bad", [":memory:", ""])
def test_a_database_without_a_file_is_refused(bad: str) -> None:
    with pytest.raises(ValueError, match="MemoryStore"):
        SQLiteStore(bad)


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"path": 7}, TypeError),
        ({"path": b"runs.db"}, TypeError),
        ({"path": BytesPath()}, TypeError),
        ({"synchronous": "OFF"}, ValueError),
        ({"journal_mode": "MEMORY"}, ValueError),
        ({"lease": 0}, ValueError),
        ({"lease": "30"}, TypeError),
        ({"keep": -1}, ValueError),
        ({"busy_timeout": float("nan")}, ValueError),
    ],
    ids=str,
)
def test_a_wrong_option_is_refused(options: dict[str, Any], error: type[Exception]) -> None:
    with pytest.raises(error):
        SQLiteStore(**{"path": "runs.db", **options})


async def test_a_path_is_meant_as_of_where_the_store_was_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    store = SQLiteStore("runs.db")
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    async with store:
        await begin(store)
    assert os.listdir(tmp_path / "elsewhere") == []
    assert (tmp_path / "runs.db").exists()


async def test_two_names_of_one_file_have_the_same_owners(path: Path, tmp_path: Path) -> None:
    link = tmp_path / "link.db"
    async with HastyStore(path) as store:
        link.symlink_to(path)
        async with HastyStore(link) as other:
            await begin(store)
            with pytest.raises(StoreError, match="being executed"):
                await other.claim(RUN)


@pytest.mark.parametrize("replaced", [False, True], ids=["removed", "replaced"])
async def test_a_file_that_is_gone_takes_no_commits(path: Path, replaced: bool) -> None:
    async with HastyStore(path) as store:
        await begin(store)
        path.rename(f"{path}.away")
        if replaced:
            path.touch()
        with pytest.raises(StoreError, match="removed or replaced"):
            await store.commit([write(2)])
        with pytest.raises(StoreError, match="removed or replaced"):
            await store.load(RUN)
        os.replace(f"{path}.away", path)
        await store.commit([write(2)])


@pytest.mark.parametrize("mode", ["WAL", "DELETE"])
async def test_the_journal_mode_can_be_changed(path: Path, mode: Any) -> None:
    for each in (mode, "WAL", "DELETE", mode):
        async with HastyStore(path, journal_mode=each) as store:
            await store.create("workflow", write(1))
    connection = sqlite3.connect(path)
    assert connection.execute("PRAGMA journal_mode").fetchone() == (mode.lower(),)
    connection.close()


async def test_a_journal_mode_that_does_not_work_is_named(path: Path) -> None:
    class WithoutSharedMemory(WatchedStore):
        uri = "?vfs=unix-none"

    with pytest.raises(StoreError, match=r"journal_mode='WAL', only with 'DELETE'"):
        async with WithoutSharedMemory(path):
            pass


async def test_what_is_durable_when_is_set_for_the_connection(path: Path) -> None:
    """In mode DELETE the removal of the journal is the commit, and has to be synced as well."""
    expected = {("WAL", "FULL"): 2, ("WAL", "NORMAL"): 1, ("DELETE", "FULL"): 3}
    for (mode, synchronous), level in expected.items():
        store = SQLiteStore(path, journal_mode=mode, synchronous=synchronous)
        async with store:
            found: list[int] = []
            work = lambda runs: runs._database.execute("PRAGMA synchronous").fetchone()  # noqa: E731
            found.append((await store._working().ask(work, writes=False))[0])
        assert found == [level]


# ---- faults --------------------------------------------------------------------------------------


async def test_a_full_disk_is_named_and_the_run_goes_on_when_there_is_room(path: Path) -> None:
    store = WatchedStore(path)
    async with store:
        await begin(store, puts=(("a", b"1"),))
        await limit_pages(store, 60)
        with pytest.raises(StoreError, match=r"runs\.db: the disk is full") as caught:
            await store.commit([write(2, puts=(("a", LARGE),))])
        assert isinstance(caught.value.__cause__, sqlite3.Error)
        assert await rows_of(store) == {"a": (1, b"1")}
        await store.release(RUN, 1)
        assert (await claimed(store)).run.sequence == 1
        await limit_pages(store, 10_000)
        await store.commit([write(2, epoch=2, puts=(("a", LARGE),))])
        assert await rows_of(store) == {"a": (2, LARGE)}


async def limit_pages(store: SQLiteStore, pages: int) -> None:
    await store._working().ask(
        lambda runs: runs._database.execute(f"PRAGMA max_page_count = {pages}").fetchone(),
        writes=False,
    )


async def test_a_full_disk_fails_only_what_does_not_fit(path: Path) -> None:
    """Though all of it was to be one transaction."""
    failed: list[str] = []
    async with HastyStore(path) as store:
        for number in range(8):
            await begin(store, f"run-{number}")
        await limit_pages(store, 60)

        async def commit(number: int) -> None:
            run_id = f"run-{number}"
            body = LARGE if number == 3 else b"small"
            try:
                await store.commit([write(2, run_id=run_id, puts=(("a", body),))])
            except StoreError:
                failed.append(run_id)

        async with queueing(store) as tasks:
            for number in range(8):
                tasks.start_soon(commit, number)
        assert failed == ["run-3"]
        for number in range(8):
            assert (await loaded(store, f"run-{number}")).sequence == (1 if number == 3 else 2)


async def test_a_read_only_file_can_be_looked_at(path: Path) -> None:
    class ReadOnly(WatchedStore):
        uri = "?mode=ro"

    async with HastyStore(path) as keeper:
        await begin(keeper, puts=(("a", b"1"),))
        await keeper.release(RUN, 1)
        async with ReadOnly(path) as store:
            assert await rows_of(store) == {"a": (1, b"1")}
            for call in (store.claim(RUN), store.create("workflow", write(1, run_id="new"))):
                with pytest.raises(StoreError, match="read-only; make the file"):
                    await call
            assert len(await store.list()) == 1
        assert (await claimed(keeper)).run.epoch == 2


async def test_a_locked_database_is_waited_for_and_then_named(path: Path) -> None:
    async with HastyStore(path, busy_timeout=0.05) as store:
        await begin(store)
        other = sqlite3.connect(path, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        failed = list[str]()

        async def commit() -> None:
            try:
                await store.commit([write(2)])
            except StoreError as error:
                failed.append(str(error))

        async with queueing(store) as tasks:
            for _ in range(3):
                tasks.start_soon(commit)
        assert len(failed) == 3
        assert all("busy_timeout" in text for text in failed)
        assert (await loaded(store)).sequence == 1
        other.execute("COMMIT")
        other.close()
        await store.commit([write(2)])


async def test_a_damaged_page_is_named_and_other_runs_are_read(path: Path) -> None:
    async with HastyStore(path) as store:
        for number in range(3):
            await begin(store, f"run-{number}", puts=(("a", bytes([number]) * 200_000),))
            await store.release(f"run-{number}", 1)
    content = bytearray(path.read_bytes())
    root = page_of_rows(path)
    content[root : root + 100] = b"\xff" * 100
    path.write_bytes(content)
    async with HastyStore(path) as store:
        with pytest.raises(StoreError, match=r"runs\.db: it is damaged"):
            await store.read("run-1")
        assert (await loaded(store, "run-0")).sequence == 1


def page_of_rows(path: Path) -> int:
    connection = sqlite3.connect(path)
    (root,) = connection.execute(
        "SELECT rootpage FROM sqlite_master WHERE name = 'rows'"
    ).fetchone()
    (size,) = connection.execute("PRAGMA page_size").fetchone()
    connection.close()
    return int((root - 1) * size)


async def test_text_that_nobody_has_written_is_damage(path: Path) -> None:
    async with HastyStore(path) as store:
        await begin(store, puts=(("a", b"1"),))
        connection = sqlite3.connect(path)
        connection.execute("UPDATE rows SET key = char(0) || '!'")
        connection.commit()
        connection.close()
        with pytest.raises(StoreError, match="damaged"):
            await store.read(RUN)


async def test_a_commit_that_fails_fails_for_all_that_was_in_it(path: Path) -> None:
    store = WatchedStore(path)
    async with store:
        for number in range(4):
            await begin(store, f"run-{number}")

        def refuse(statement: str) -> None:
            if statement == "COMMIT" and "BEGIN IMMEDIATE" in store.seen:
                raise sqlite3.OperationalError("no")

        store.refuse = refuse
        store.seen.clear()
        failed: list[str] = []

        async def commit(number: int) -> None:
            try:
                await store.commit([write(2, run_id=f"run-{number}")])
            except StoreError:
                failed.append(f"run-{number}")

        async with queueing(store) as tasks:
            for number in range(4):
                tasks.start_soon(commit, number)
        assert len(failed) == 4
        store.refuse = lambda statement: None
        for number in range(4):
            assert (await loaded(store, f"run-{number}")).sequence == 1


async def test_a_claim_that_was_not_durable_is_none(path: Path) -> None:
    store = WatchedStore(path)
    async with store:
        await begin(store)
        await store.release(RUN, 1)
        fail_once(store, "COMMIT")
        with pytest.raises(StoreError):
            await store.claim(RUN)
        assert (await claimed(store)).run.epoch == 2


async def test_what_could_not_be_given_back_can_be_claimed_again(path: Path) -> None:
    store = WatchedStore(path)
    async with store:
        await begin(store)
        fail_once(store, "BEGIN IMMEDIATE")
        with pytest.raises(StoreError):
            await store.release(RUN, 1)
        claim = await claimed(store)
        assert (claim.run.epoch, claim.abandoned) == (2, True)


async def test_a_new_connection_never_makes_a_new_file(path: Path) -> None:
    store = WatchedStore(path)
    async with store:
        await begin(store)

        def refuse(statement: str) -> None:
            if statement in ("COMMIT", "ROLLBACK"):
                raise sqlite3.OperationalError("no")

        store.refuse = refuse
        with pytest.raises(StoreError):
            await store.commit([write(2)])
        store.refuse = lambda statement: None
        path.rename(f"{path}.away")
        with pytest.raises(StoreError, match="removed or replaced"):
            await store.commit([write(2)])
        assert not path.exists()


class FailsToClose(HastyStore):
    def _connect(self) -> Any:
        return CloseFails(super()._connect())


class CloseFails:
    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def __getattr__(self, name: str) -> Any:
        return getattr(self._connection, name)

    def close(self) -> None:
        self._connection.close()
        raise sqlite3.OperationalError("no")


async def test_a_store_that_can_not_be_closed_says_so(path: Path) -> None:
    with pytest.raises(StoreError, match="no"):
        async with FailsToClose(path) as store:
            await begin(store)
    assert threads() == []


async def test_an_error_in_the_block_comes_before_one_on_closing(path: Path) -> None:
    with pytest.raises(ZeroDivisionError) as caught:
        async with FailsToClose(path) as store:
            await begin(store)
            raise ZeroDivisionError
    assert "could not be closed" in caught.value.__notes__[0]


async def test_a_transaction_that_can_not_be_undone_costs_the_connection_only(path: Path) -> None:
    store = WatchedStore(path)
    async with store:
        await begin(store)

        def refuse(statement: str) -> None:
            if statement in ("COMMIT", "ROLLBACK"):
                raise sqlite3.OperationalError("no")

        store.refuse = refuse
        with pytest.raises(StoreError):
            await store.commit([write(2)])
        store.refuse = lambda statement: None
        await store.commit([write(2)])
        assert (await loaded(store)).sequence == 2


def fail_once(store: WatchedStore, statement: str) -> None:
    def refuse(each: str) -> None:
        if each == statement:
            store.refuse = lambda each: None
            raise sqlite3.OperationalError("no")

    store.refuse = refuse


def test_only_what_sqlite_and_the_system_say_is_explained() -> None:
    error = ZeroDivisionError("x")
    assert explain(error, "runs.db") is error
    explained = explain(OSError("no"), "runs.db")
    assert isinstance(explained, StoreError)
    assert explained.__cause__ is not None
    assert str(explained) == "runs.db: (no). Nothing has changed; runs can be resumed"


async def test_who_opens_a_new_file_second_finds_it_made(path: Path) -> None:
    """Though it was empty a moment ago."""
    store = HastyStore(path)
    second = WatchedStore(path)

    def be_quicker(statement: str) -> None:
        if statement == "BEGIN IMMEDIATE":
            second.refuse = lambda statement: None
            Database(store._settings).close()

    second.refuse = be_quicker
    async with second:
        await begin(second)
    async with store:
        assert (await loaded(store)).sequence == 1


# ---- the thread ----------------------------------------------------------------------------------


async def test_the_thread_lives_as_long_as_the_block(path: Path) -> None:
    store = HastyStore(path)
    assert threads() == []
    async with store:
        assert threads() == ["blazen_anyio store runs.db"]
        with pytest.raises(StoreError, match="open already"):
            await store.__aenter__()
    assert threads() == []


async def test_the_same_store_can_be_opened_again(path: Path) -> None:
    store = HastyStore(path)
    async with store:
        await begin(store)
    async with store:
        assert (await claimed(store)).abandoned is True


async def test_opening_can_be_cancelled(path: Path) -> None:
    store = HastyStore(path)
    with anyio.CancelScope() as scope:
        scope.cancel()
        async with store:
            pytest.fail("the block was entered")
    assert threads() == []
    async with store:
        assert await store.list() == []


@pytest.mark.parametrize("call", ["create what is there", "claim nothing", "claim what is busy"])
async def test_a_caller_that_goes_away_with_nothing_leaves_nothing(path: Path, call: str) -> None:
    async with HastyStore(path) as store:
        await begin(store)
        calls: dict[str, Callable[[], Awaitable[object]]] = {
            "create what is there": lambda: store.create("workflow", write(1)),
            "claim nothing": lambda: store.claim("nothing"),
            "claim what is busy": lambda: store.claim(RUN),
        }
        with anyio.CancelScope() as scope:
            scope.cancel()
            await calls[call]()
        await store.commit([write(2)])
        assert (await loaded(store)).epoch == 1


async def test_a_claim_is_given_back_if_its_caller_goes_away(path: Path) -> None:
    async with HastyStore(path) as store, HastyStore(path) as other:
        await begin(store)
        await store.release(RUN, 1)
        with anyio.CancelScope() as scope:
            scope.cancel()
            await store.claim(RUN)
        assert (await loaded(store)).epoch == 2
        assert (await claimed(other)).run.epoch == 3


async def test_a_caller_that_goes_away_while_the_store_closes_does_no_harm(path: Path) -> None:
    store = HastyStore(path)
    async with store:
        worker = store._working()
        held = threading.Event()
        worker._put(lambda runs: held.wait(10), writes=False)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(begin, store)
            await anyio.wait_all_tasks_blocked()
            worker._closed = True
            tasks.cancel_scope.cancel()
        held.set()
    with pytest.raises(StoreError, match="have to end before"):
        await worker.ask(lambda runs: None, writes=False)


async def test_a_store_is_of_no_use_after_a_fork(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with HastyStore(path) as store:
        with monkeypatch.context() as patch:
            patch.setattr(os, "getpid", lambda: -1)
            with pytest.raises(StoreError, match="forked"):
                await store.list()
        assert await store.list() == []


async def test_what_is_queued_when_the_store_closes_is_done(path: Path) -> None:
    store = HastyStore(path)
    async with anyio.create_task_group() as tasks, store:
        held = threading.Event()
        store._working()._put(lambda runs: held.wait(10), writes=False)
        for number in range(20):
            tasks.start_soon(begin, store, f"run-{number}")
        await anyio.wait_all_tasks_blocked()

        async def go_on() -> None:
            await wait_until(lambda: store._worker is None)
            held.set()

        tasks.start_soon(go_on)
    async with store:
        assert len(await store.list()) == 20


async def test_commits_that_wait_share_a_transaction(path: Path) -> None:
    store = WatchedStore(path)
    async with store:
        for number in range(50):
            await begin(store, f"run-{number}")
        store.seen.clear()
        async with queueing(store) as tasks:
            for number in range(50):
                tasks.start_soon(store.commit, [write(2, run_id=f"run-{number}")])
        assert store.seen.count("BEGIN IMMEDIATE") == 1
        assert store.seen.count("COMMIT") == 2  # and one of the request that held them up


async def test_who_is_refused_shares_a_transaction_and_no_fate(path: Path) -> None:
    store = WatchedStore(path)
    lost: list[str] = []
    async with store:
        for number in range(50):
            await begin(store, f"run-{number}")
        store.seen.clear()

        async def commit(number: int) -> None:
            try:
                change = write(2 + number % 2, run_id=f"run-{number}", puts=(("a", b"2"),))
                await store.commit([change])
            except RunLostError as error:
                lost.append(error.run_id)

        async with queueing(store) as tasks:
            for number in range(50):
                tasks.start_soon(commit, number)
        assert store.seen.count("BEGIN IMMEDIATE") == 1
        assert "ROLLBACK" not in store.seen
        assert len(lost) == 25
        assert len(await rows_of(store, "run-0")) == 1
        assert len(await rows_of(store, "run-1")) == 0


async def test_a_large_commit_leaves_the_event_loop_alone(
    path: Path, watch_loop: Callable[[], AbstractAsyncContextManager[Any]]
) -> None:
    puts = tuple((f"row/{number}", b"x" * 50) for number in range(40_000))
    async with HastyStore(path) as store:
        await begin(store)
        async with watch_loop() as watch:
            await store.commit([write(2, puts=puts)])
            found = await store.read(RUN)
    assert found is not None
    assert len(found[1]) == 40_000
    assert watch.longest_block < 0.01


async def test_a_mistake_in_the_store_reaches_the_caller_and_the_thread_goes_on(
    path: Path,
) -> None:
    async with HastyStore(path) as store:

        def fail(runs: object) -> None:
            raise ZeroDivisionError

        for writes in (True, False):
            with pytest.raises(ZeroDivisionError):
                await store._working().ask(fail, writes=writes)
        assert await store.list() == []


def test_an_event_loop_that_dies_does_not_hang_the_thread(path: Path) -> None:
    """Nor does a commit that was queued by then get lost."""

    async def die() -> None:
        store = HastyStore(path)
        await store.__aenter__()
        await begin(store)
        worker = store._working()
        slow = threading.Event()
        worker._put(lambda runs: slow.wait(10), writes=False)
        worker._put(lambda runs: runs.release(RUN, 1), writes=True)
        kept.append((worker, slow))

    kept: list[Any] = []
    anyio.run(die)
    worker, slow = kept[0]
    slow.set()
    worker._queue.put(worker._last)
    worker._thread.join(10)
    assert not worker._thread.is_alive()


# ---- what is kept --------------------------------------------------------------------------------


async def test_completed_runs_are_kept_as_long_as_asked(path: Path) -> None:
    clock = ManualClock()
    async with HastyStore(path, keep=100, clock=clock) as store:
        await begin(store, "old", status="completed", puts=(("result", b"1"),))
        await begin(store, "failed", status="failed")
        clock.advance(101)
        await begin(store, "new")
        await store.commit([write(2, run_id="new", status="completed")])
        assert {run.run_id for run in await store.list()} == {"failed", "new"}
        assert await rows_of(store, "new") == {}


async def test_completed_runs_are_not_kept_at_all(path: Path) -> None:
    async with HastyStore(path, keep=0) as store:
        for number in range(3):
            await begin(store, f"run-{number}")
            await store.commit([write(2, run_id=f"run-{number}", status="completed")])
        assert await store.list() == []


async def test_completed_runs_are_looked_for_now_and_then(path: Path) -> None:
    clock = ManualClock()
    store = WatchedStore(path, keep=100, clock=clock)
    async with store:
        for number in range(12):
            await begin(store, f"run-{number}")
        store.seen.clear()
        for number in range(12):
            clock.advance(2)
            await store.commit([write(2, run_id=f"run-{number}", status="completed")])
        assert sum("status = 'completed' AND" in each for each in store.seen) == 3


async def test_many_runs_are_pruned_some_at_a_time(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("blazen_anyio.stores._runs._CHUNK", 3)
    store = WatchedStore(path)
    async with store:
        for number in range(10):
            await begin(store, f"run-{number}", status="completed")
        await begin(store, "alive")
        store.seen.clear()
        assert await store.prune(older_than=0) == 10
        assert store.seen.count("COMMIT") == 4
        assert [run.run_id for run in await store.list()] == ["alive"]


async def test_a_finished_run_leaves_no_rows_in_the_file(path: Path) -> None:
    async with HastyStore(path) as store:
        await begin(store, puts=(("a", b"1"),), entry=b"1")
        await store.commit([write(2, status="completed", clears=True)])
        assert await store.delete(RUN)
    connection = sqlite3.connect(path)
    for table in ("runs", "rows", "log"):
        assert connection.execute(f"SELECT count(*) FROM {table}").fetchone() == (0,)
    connection.close()


async def test_a_commit_costs_what_it_changes(path: Path) -> None:
    """Neither the age of a run nor the size of its queue adds a statement."""
    store = WatchedStore(path)
    async with store:
        await begin(store, puts=tuple((f"row/{n}", b"1") for n in range(2000)))
        store.seen.clear()
        await store.commit([write(2, puts=(("row/7", b"2"),))])
        first = list(store.seen)
        for sequence in range(3, 100):
            await store.commit([write(sequence, puts=(("row/7", b"2"),))])
        store.seen.clear()
        await store.commit([write(100, puts=(("row/7", b"2"),))])
        assert store.seen == first
        assert len(first) == 3  # and the rows, all at once


async def test_a_late_commit_finds_no_other_run_in_the_place_of_its_own(path: Path) -> None:
    """It goes by the number of a row that its store remembers, and its lease is over."""
    clock = ManualClock()
    async with (
        HastyStore(path, lease=30, clock=clock) as store,
        HastyStore(path, lease=30, clock=clock) as other,
    ):
        first = Commit(run_id="r", epoch=1, sequence=1, head=b"r")
        assert await store.create("w", first)
        clock.advance(60)
        assert await other.delete("r")
        assert await other.create("w", Commit(run_id="q", epoch=1, sequence=1, head=b"q"))
        await other.release("q", 1)
        with pytest.raises(RunLostError):
            await store.commit([Commit(run_id="r", epoch=1, sequence=2, head=b"late")])
        found = await other.load("q")
        assert found is not None and found.head == b"q"
