"""A dead owner is noticed at once on its host, a live one never taken for dead."""

from __future__ import annotations

import errno
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from blazen_anyio import RunBusyError, StoreError
from blazen_anyio.stores import _owners
from blazen_anyio.stores._owners import Owners
from blazen_anyio.testing.store_conformance.base import RUN, begin, claimed, write

from .hasty import HastyStore
from .processes import line_of, process

EXECUTE = """
    async with SQLiteStore(path, lease=3600) as store:
        change = Commit(run_id="run-1", epoch=1, sequence=1, head=b"")
        say(await store.create("workflow", change))
        await anyio.sleep_forever()
"""


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return tmp_path / "runs.db-owners"


@pytest.fixture
def owners(directory: Path) -> Iterator[Owners]:
    owners = Owners(directory)
    yield owners
    owners.leave()


@pytest.mark.anyio
async def test_a_process_that_lives_keeps_its_runs(tmp_path: Path) -> None:
    path = tmp_path / "runs.db"
    with process(EXECUTE, path) as running:
        assert line_of(running) == "True"
        async with HastyStore(path) as store:
            with pytest.raises(RunBusyError, match=f"-{running.pid}-"):
                await store.claim(RUN)


@pytest.mark.anyio
async def test_a_process_that_was_killed_is_noticed_at_once(tmp_path: Path) -> None:
    """Whatever its lease says."""
    path = tmp_path / "runs.db"
    with process(EXECUTE, path) as running:
        assert line_of(running) == "True"
        running.send_signal(signal.SIGKILL)
        running.wait()
        async with HastyStore(path) as store:
            claim = await claimed(store)
            assert (claim.run.epoch, claim.abandoned) == (2, True)
            assert len(os.listdir(f"{path}-owners")) == 1


@pytest.mark.anyio
async def test_a_process_that_was_stopped_loses_its_runs_with_its_lease(tmp_path: Path) -> None:
    path = tmp_path / "runs.db"
    now = [1e9]
    with process(EXECUTE, path) as running:
        assert line_of(running) == "True"
        running.send_signal(signal.SIGSTOP)
        async with HastyStore(path, clock=lambda: now[0]) as store:
            with pytest.raises(RunBusyError):
                await store.claim(RUN)
            run = await store.load(RUN)
            assert run is not None
            assert run.expires is not None
            now[0] = run.expires
            assert (await claimed(store)).abandoned is True


@pytest.mark.anyio
@pytest.mark.skipif(not hasattr(os, "fork"), reason="the system has no fork")
async def test_a_forked_child_does_not_keep_a_dead_parent_alive(tmp_path: Path) -> None:
    """And the child can't use what its parent has opened."""
    path = tmp_path / "runs.db"
    body = """
        async with SQLiteStore(path, lease=3600) as store:
            change = Commit(run_id="run-1", epoch=1, sequence=1, head=b"")
            await store.create("workflow", change)
            read, write = os.pipe()
            child = os.fork()
            if child:
                os.read(read, 1)
                say(child)
                await anyio.sleep_forever()
            try:
                await store.load("run-1")
            except StoreError as error:
                say(error)
            os.write(write, b".")
            import time
            time.sleep(600)
    """
    with process(body, path) as running:
        assert "forked" in line_of(running)
        child = int(line_of(running))
        try:
            async with HastyStore(path) as store:
                with pytest.raises(RunBusyError):
                    await store.claim(RUN)
                running.send_signal(signal.SIGKILL)
                running.wait()
                os.kill(child, 0)
                assert (await claimed(store)).abandoned is True
        finally:
            os.kill(child, signal.SIGKILL)


def test_an_owner_lives_as_long_as_it_has_its_lock(directory: Path, owners: Owners) -> None:
    other = Owners(directory)
    other.enter()
    owners.enter()
    assert owners.lives(other.name) is True
    assert other.lives(owners.name) is True
    other.leave()
    assert owners.lives(other.name) is False


def test_two_who_look_for_a_dead_owner_do_not_take_each_other_for_it(
    directory: Path, owners: Owners
) -> None:
    fcntl = pytest.importorskip("fcntl")
    directory.mkdir(exist_ok=True)
    dead = directory / Owners(directory).name
    dead.touch()
    with dead.open() as looked_at:
        fcntl.flock(looked_at, fcntl.LOCK_SH)  # another process is looking, too
        assert owners.lives(dead.name) is False


def test_a_forked_child_lets_go_of_the_file(directory: Path, owners: Owners) -> None:
    """What happens in the child, done here; the parent's lock is its own opening of the file."""
    other = Owners(directory)
    other.enter()
    _owners._forget_all()
    assert owners.lives(other.name) is False
    other.leave()


def test_the_last_one_to_leave_leaves_nothing(directory: Path, owners: Owners) -> None:
    other = Owners(directory)
    for each in (owners, other):
        each.enter()
        each.enter()
    assert sorted(os.listdir(directory)) == sorted([owners.name, other.name])
    owners.leave()
    assert os.listdir(directory) == [other.name]
    other.leave()
    other.leave()
    assert not directory.exists()


def test_who_enters_removes_the_locks_of_the_dead(directory: Path, owners: Owners) -> None:
    directory.mkdir()
    dead = owners.name[:-16] + "0" * 16
    (directory / dead).touch()
    (directory / "notes.txt").touch()
    elsewhere = "elsewhere-17-" + "0" * 16
    (directory / elsewhere).touch()
    owners.enter()
    assert set(os.listdir(directory)) == {owners.name, "notes.txt", elsewhere}


def test_who_is_on_another_host_is_not_judged(directory: Path, owners: Owners) -> None:
    assert owners.lives("elsewhere-17-" + "0" * 16) is True


@pytest.mark.parametrize("name", ["", "../runs.db", "x/../../y-1-" + "0" * 16, "-1-", "a\0b"])
def test_no_owner_in_the_database_leads_elsewhere(
    directory: Path, owners: Owners, name: str
) -> None:
    """Another's record decides neither what is opened nor what is removed."""
    owners.enter()
    target = directory.parent / "runs.db"
    target.touch()
    assert owners.lives(name) is True
    assert target.exists()


def test_a_lock_that_may_not_be_looked_at_is_held(
    directory: Path, owners: Owners, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = Owners(directory)
    other.enter()

    def refuse(path: object, flags: int) -> int:
        raise PermissionError(errno.EACCES, "no")

    with monkeypatch.context() as patch:
        patch.setattr(_owners.os, "open", refuse)
        assert owners.lives(other.name) is True
    other.leave()


def test_a_file_that_was_removed_before_it_was_locked_is_made_again(
    directory: Path, owners: Owners, monkeypatch: pytest.MonkeyPatch
) -> None:
    lock, removed = _owners._try_lock, list[int]()

    def remove_first(file: int) -> bool:
        if len(removed) < 3:
            removed.append(file)
            (directory / owners.name).unlink()
            directory.rmdir()
        return lock(file)

    monkeypatch.setattr(_owners, "_try_lock", remove_first)
    owners.enter()
    assert len(removed) == 3
    assert (directory / owners.name).exists()


def test_a_directory_that_vanishes_again_and_again_is_given_up(
    directory: Path, owners: Owners, monkeypatch: pytest.MonkeyPatch
) -> None:
    def vanish(path: object, *arguments: object) -> int:
        raise FileNotFoundError(errno.ENOENT, "gone")

    monkeypatch.setattr(_owners.os, "open", vanish)
    with pytest.raises(StoreError, match="again and again"):
        owners.enter()


def test_a_host_without_a_name_has_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_owners.socket, "gethostname", lambda: "")
    assert _owners._host() == "localhost"
    monkeypatch.setattr(_owners.socket, "gethostname", lambda: "my host/ü")
    assert _owners._host() == "my-host--"


@pytest.mark.anyio
async def test_a_store_that_executes_nothing_has_no_lock(tmp_path: Path) -> None:
    """A directory that can't be written to is no hindrance to who only looks."""
    async with HastyStore(tmp_path / "runs.db") as store:
        await store.list()
        assert not (tmp_path / "runs.db-owners").exists()
        await begin(store)
        assert (tmp_path / "runs.db-owners").exists()
        await store.commit([write(2)])
    assert [path.name for path in tmp_path.iterdir()] == ["runs.db"]
