"""Records that were altered, swapped, cut, removed or put back are found; secrets do not show."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable
from typing import Any

import anyio
import attrs
import pytest

from blazen_anyio import (
    Context,
    InputRequestEvent,
    InputRequiredError,
    InputResponseEvent,
    SnapshotError,
    StartEvent,
    StepFailedError,
    StopEvent,
    StoreError,
    Workflow,
    secret,
    step,
)
from blazen_anyio._store import Head, Row
from blazen_anyio.stores import MemoryStore, Seal

from .kit import Boom, Go, Log, Work, hops, settle
from .stores import contents, image_of

pytestmark = pytest.mark.anyio


@step
async def _begin(ev: Go, ctx: Context) -> Work:
    ctx.state["a/b>c"] = 1
    ctx.state["odd \ud800"] = [2]
    return Work(ev.n)


@step
async def _work(ev: Work, ctx: Context) -> StopEvent:
    await anyio.sleep(5)
    return StopEvent(result=[ev.n, ctx.state["a/b>c"], ctx.state["odd \ud800"]])


slow = Workflow("slow", [_begin, _work])


async def half_done(store: MemoryStore, run_id: str = "run", n: int = 3) -> None:
    with anyio.move_on_after(1):
        await slow.run(Go(n), run_id=run_id, store=store)


def rows(store: MemoryStore, run_id: str = "run") -> dict[str, Row]:
    return store._data.runs[run_id].rows


def _flip(store: MemoryStore) -> str:
    key, row = next(iter(rows(store).items()))
    body = row.body[:-1] + bytes([row.body[-1] ^ 1])
    rows(store)[key] = attrs.evolve(row, body=body)
    return key


def _cut(store: MemoryStore) -> str:
    key, row = next(iter(rows(store).items()))
    rows(store)[key] = attrs.evolve(row, body=row.body[:-1])
    return key


def _empty(store: MemoryStore) -> str:
    key, row = next(iter(rows(store).items()))
    rows(store)[key] = attrs.evolve(row, body=b"")
    return key


def _swap(store: MemoryStore) -> str:
    first, second = list(rows(store).items())[:2]
    rows(store)[first[0]] = attrs.evolve(first[1], body=second[1].body)
    rows(store)[second[0]] = attrs.evolve(second[1], body=first[1].body)
    return first[0]


def _from_another_run(store: MemoryStore) -> str:
    key = "state/a/b>c"
    rows(store)[key] = rows(store, "other")[key]
    return key


def _renumber(store: MemoryStore) -> str:
    key, row = next(iter(rows(store).items()))
    rows(store)[key] = attrs.evolve(row, sequence=row.sequence + 1)
    return key


def _remove(store: MemoryStore) -> str:
    del rows(store)["state/a/b>c"]
    return "one is missing"


def _alter_head(store: MemoryStore) -> str:
    kept = store._data.runs["run"]
    kept.run = attrs.evolve(kept.run, head=kept.run.head[:-1] + b"?")
    return "'head'"


def _no_head(store: MemoryStore) -> str:
    kept = store._data.runs["run"]
    kept.run = attrs.evolve(kept.run, head=b"")
    return "'head'"


def _another_sequence(store: MemoryStore) -> str:
    kept = store._data.runs["run"]
    kept.run = attrs.evolve(kept.run, sequence=kept.run.sequence + 1)
    return "'head'"


DAMAGES = [
    _flip,
    _cut,
    _empty,
    _swap,
    _from_another_run,
    _renumber,
    _remove,
    _alter_head,
    _no_head,
    _another_sequence,
]


@pytest.mark.parametrize("damage", DAMAGES, ids=lambda damage: damage.__name__[1:])
async def test_a_damaged_run_is_refused_and_the_damage_is_named(
    damage: Callable[[MemoryStore], str],
) -> None:
    async with MemoryStore(seal=Seal(key=b"key")) as store:
        await half_done(store)
        await half_done(store, "other")
        named = damage(store)
        before = contents(store)
        for way in (
            lambda: slow.resume_from(store, "run"),
            lambda: slow.start(Go(), run_id="run", store=store),
        ):
            with pytest.raises(StoreError) as caught:
                async with way():
                    raise AssertionError
            assert "run 'run'" in str(caught.value)
            assert named in str(caught.value)
        misfits = await slow.check(store)
        assert [misfit.run.run_id for misfit in misfits] == ["run"]
        assert isinstance(misfits[0].error, StoreError)
        assert contents(store) == before
        found = {each.run_id: each for each in await slow.recover(store)}
        assert isinstance(found["run"].error, StoreError)
        assert found["other"].result == [3, 1, [2]]


async def test_a_record_put_back_from_an_earlier_time_is_found() -> None:
    images: list[MemoryStore] = []

    @step
    async def begin(ev: Go, ctx: Context) -> Work:
        ctx.state["balance"] = 100
        return Work()

    @step
    async def work(ev: Work, ctx: Context) -> StopEvent | Work:
        if ev.n == 0:
            await anyio.sleep(1)
            ctx.state["balance"] = 0
            return Work(1)
        await anyio.sleep(5)
        return StopEvent(result=ctx.state["balance"])

    workflow = Workflow("w", [begin, work])
    async with MemoryStore() as store:
        with anyio.move_on_after(3):
            async with workflow.start(Go(), run_id="run", store=store):
                await settle()
                images.append(image_of(store))
                await anyio.sleep(10)
        rows(store)["state/balance"] = rows(images[0])["state/balance"]
        with pytest.raises(StoreError, match="is missing, or was put back from an earlier time"):
            async with workflow.resume_from(store, "run"):
                raise AssertionError


async def test_a_record_with_a_key_that_no_release_writes_is_refused_and_changes_nothing() -> None:
    async with MemoryStore() as store:
        await half_done(store)
        own = store.seal.for_run("run")
        kept = store._data.runs["run"]
        body = own.close("nonsense/1", kept.run.sequence, "{}")
        head = Head.read(own.open("head", kept.run.sequence, kept.run.head))
        weights = own.total(head.weights + own.weight(body))
        text = Head(head.run, weights).write()
        kept.run = attrs.evolve(kept.run, head=own.close("head", kept.run.sequence, text))
        rows(store)["nonsense/1"] = Row(key="nonsense/1", sequence=kept.run.sequence, body=body)
        before = contents(store)
        with pytest.raises(SnapshotError, match="unknown key 'nonsense/1'"):
            async with slow.resume_from(store, "run"):
                raise AssertionError
        assert contents(store) == before


@pytest.mark.parametrize("text", ["[]", "{", "{}", '{"run":[],"weights":"1"}', '{"run":{}}'])
async def test_a_well_sealed_head_of_another_form_is_refused(text: str) -> None:
    """Without a key anybody can make a seal."""
    async with MemoryStore() as store:
        await half_done(store)
        kept = store._data.runs["run"]
        own = store.seal.for_run("run")
        kept.run = attrs.evolve(kept.run, head=own.close("head", kept.run.sequence, text))
        with pytest.raises(StoreError, match="run 'run'"):
            async with slow.resume_from(store, "run"):
                raise AssertionError


@pytest.mark.parametrize("text", ["[]", "{", "1", '{"delivery":{}}'])
async def test_a_well_sealed_row_of_another_form_is_refused(text: str) -> None:
    async with MemoryStore() as store:
        await half_done(store)
        for key in ("events/4", "children/1.0"):
            image = image_of(store)
            kept = image._data.runs["run"]
            own = store.seal.for_run("run")
            sequence = kept.run.sequence
            head = Head.read(own.open("head", sequence, kept.run.head))
            body = own.close(key, sequence, text)
            before = own.weight(kept.rows[key].body) if key in kept.rows else 0
            kept.rows[key] = Row(key=key, sequence=sequence, body=body)
            changed = Head(head.run, own.total(head.weights - before + own.weight(body))).write()
            kept.run = attrs.evolve(kept.run, head=own.close("head", sequence, changed))
            async with image:
                with pytest.raises((StoreError, SnapshotError)):
                    async with slow.resume_from(image, "run"):
                        raise AssertionError


@pytest.mark.parametrize("status", ["running", "failed", "completed"])
async def test_a_status_that_is_not_the_runs_is_found(status: Any) -> None:
    async with MemoryStore() as store:
        await half_done(store)
        await hops.run(n=1, run_id="done", store=store)
        for run_id, workflow in (("run", slow), ("done", hops)):
            kept = store._data.runs[run_id]
            if (kept.run.status == "completed") == (status == "completed"):
                continue
            kept.run = attrs.evolve(kept.run, status=status)
            with pytest.raises(StoreError, match=f"run '{run_id}'"):
                async with workflow.resume_from(store, run_id):
                    raise AssertionError


@pytest.mark.parametrize(("first", "second"), [(b"key", b"another"), (b"key", None), (None, "key")])
async def test_another_key_opens_nothing(first: Any, second: Any) -> None:
    async with MemoryStore(seal=Seal(key=first)) as store:
        await half_done(store)
        image = image_of(store)
    image.seal = Seal(key=second)
    async with image:
        with pytest.raises(StoreError, match="or has another key"):
            async with slow.resume_from(image, "run"):
                raise AssertionError


def test_an_empty_key_is_refused_and_none_is_shown() -> None:
    with pytest.raises(ValueError, match="the key of a seal is empty"):
        Seal(key=b"")
    assert "hunter2" not in repr(Seal(key="hunter2"))


async def test_an_altered_entry_of_the_log_is_found_and_named() -> None:
    async with MemoryStore(keep_log=True) as store:
        await half_done(store)
        log = store._data.runs["run"].log
        good = dict(log)
        for damage in (
            lambda: log.update({1: log[1][:-1] + b"?"}),
            lambda: log.update({1: log[2], 2: log[1]}),
        ):
            damage()
            with pytest.raises(StoreError, match="run 'run': record 'log'"):
                await store.history("run")
            with pytest.raises(StoreError, match="run 'run': record 'log'"):
                async with slow.fork(store, "run", at=2):
                    raise AssertionError
            log.update(good)
        del log[1]
        with pytest.raises(StoreError, match="no log up to commit 2"):
            async with slow.fork(store, "run", at=2):
                raise AssertionError


async def test_an_entry_of_the_log_of_another_form_is_refused() -> None:
    async with MemoryStore(keep_log=True) as store:
        await half_done(store)
        own = store.seal.for_run("run")
        for text in ("[]", "{", '{"facts":[1]}'):
            store._data.runs["run"].log[1] = own.close("log", 1, text)
            with pytest.raises(StoreError, match="not as this release writes it"):
                await store.history("run")


# ---- ciphers -------------------------------------------------------------------------------------


class Shifting:
    """A cipher that hides nothing from anybody who looks twice."""

    def encrypt(self, data: bytes, context: bytes) -> bytes:
        mark = hashlib.sha256(context).digest()[:4]
        return mark + bytes(byte ^ 0x55 for byte in data)

    def decrypt(self, data: bytes, context: bytes) -> bytes:
        if data[:4] != hashlib.sha256(context).digest()[:4]:
            raise ValueError("wrong context")
        return bytes(byte ^ 0x55 for byte in data[4:])


async def test_a_cipher_hides_what_is_stored_and_the_run_goes_on() -> None:
    async with MemoryStore(seal=Seal(cipher=Shifting()), keep_log=True) as store:
        await half_done(store)
        kept = store._data.runs["run"]
        bodies = [row.body for row in kept.rows.values()] + [*kept.log.values(), kept.run.head]
        assert not any(b"durable.Work" in body or b"slow" in body for body in bodies)
        assert await slow.run(Go(), run_id="run", store=store) == [3, 1, [2]]
        assert len(await store.history("run")) > 3


async def test_what_can_not_be_decrypted_is_named() -> None:
    class Broken(Shifting):
        def decrypt(self, data: bytes, context: bytes) -> bytes:
            raise Boom

    async with MemoryStore(seal=Seal(cipher=Shifting())) as store:
        await half_done(store)
        store.seal = Seal(cipher=Broken())
        with pytest.raises(StoreError, match="record 'head' can't be decrypted") as caught:
            async with slow.resume_from(store, "run"):
                raise AssertionError
        assert isinstance(caught.value.__cause__, Boom)


async def test_a_cipher_that_fails_fails_the_run_as_a_store_does() -> None:
    class Failing(Shifting):
        calls = 0

        def encrypt(self, data: bytes, context: bytes) -> bytes:
            self.calls += 1
            if self.calls > 6:
                raise Boom
            return super().encrypt(data, context)

    async with MemoryStore(seal=Seal(cipher=Failing())) as store:
        with pytest.raises(StoreError, match="the store failed with Boom") as caught:
            await slow.run(Go(3), run_id="run", store=store)
        assert isinstance(caught.value.__cause__, Boom)
        store.seal = Seal(cipher=Shifting())
        assert await slow.run(Go(), run_id="run", store=store) == [3, 1, [2]]


async def test_with_a_cipher_the_note_of_a_run_tells_no_question() -> None:
    @step
    async def ask(ev: Go) -> InputRequestEvent:
        return InputRequestEvent("your password?")

    @step
    async def take(ev: InputResponseEvent) -> StopEvent:
        raise AssertionError

    workflow = Workflow("w", [ask, take])
    async with MemoryStore(seal=Seal(cipher=Shifting())) as store:
        with pytest.raises(InputRequiredError):
            await workflow.run(Go(), run_id="run", store=store)
        run = await store.load("run")
        assert run is not None
        assert run.note == "waits for 1 answer(s)"


# ---- limits --------------------------------------------------------------------------------------


async def test_a_record_that_is_too_large_fails_the_run_and_is_named() -> None:
    @step
    async def begin(ev: Go, ctx: Context) -> Work:
        ctx.state["big"] = "x" * ev.n
        return Work()

    @step
    async def work(ev: Work) -> StopEvent:
        return StopEvent(result="done")

    workflow = Workflow("w", [begin, work])
    async with MemoryStore(seal=Seal(max_size=2000)) as store:
        assert await workflow.run(Go(1000), store=store) == "done"
        with pytest.raises(StoreError, match=r"record 'state/big' has 3,\d\d\d bytes") as caught:
            await workflow.run(Go(3000), run_id="run", store=store)
        assert "raise max_size=" in str(caught.value)
        store.seal = Seal()
        assert await workflow.run(Go(), run_id="run", store=store) == "done"


async def test_a_first_event_that_is_too_large_begins_nothing() -> None:
    @step
    async def begin(ev: StartEvent) -> StopEvent:
        raise AssertionError

    async with MemoryStore(seal=Seal(max_size=2000)) as store:
        with pytest.raises(StoreError, match="may have 2,000"):
            await Workflow("w", [begin]).run(text="x" * 3000, store=store)
        assert contents(store) == {}


# ---- secrets -------------------------------------------------------------------------------------


class Login(StartEvent, event_type="durable.Login"):
    user: str
    password: str = secret()
    token: str = attrs.field(default="t0ken", metadata={"secret": True})


async def test_a_secret_shows_in_no_repr_error_note_fact_or_log_line(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    log = Log()

    @step
    async def enter(login: Login) -> StopEvent:
        assert (login.password, login.token) == ("hunter2", "t0ken")
        log(repr(login))
        raise Boom

    workflow = Workflow("w", [enter])
    async with MemoryStore(keep_log=True) as store:
        with pytest.raises(StepFailedError) as caught:
            await workflow.run(Login("ada", "hunter2"), run_id="run", store=store)
        run = await store.load("run")
        assert run is not None
        history = await store.history("run")
        shown = [str(caught.value), repr(caught.value), repr(run), run.note, repr(history)]
        shown += [caplog.text, log.lines[0], repr(rows(store))]
        assert "user='ada'" in log.lines[0] and "***" in log.lines[0]
        for text in shown:
            assert "hunter2" not in text
            assert "t0ken" not in text
