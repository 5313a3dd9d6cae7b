"""Cases: a commit is made whole and in order, or not at all."""

from __future__ import annotations

import random
from typing import Any

import pytest

from ..._exceptions import RunBusyError, RunLostError
from ..._store import Commit, Store, StoredStatus
from .base import RUN, Cases, ManualClock, begin, claimed, loaded, rows_of, write

__all__ = ["CommittingCases"]

KEYS = [
    "",
    "a",
    "events/17",
    "12.0>events/3",
    "state/läuft 日本語 🦊",
    "state/a\0b",
    "\0",
    "state/\ud800",
    'state/it\'s "quoted"',
    "%_*?",
    " state/ ",
    "state/line\nbreak",
    "state/" + "x" * 5000,
]
BODIES = {
    "empty": b"",
    "zeros": bytes(100),
    "all": bytes(range(256)),
    "text": b"text",
    "number": b"17",
    "no text": b"\xff\xfe\xc3\x28",
    "page": random.Random(1).randbytes(4096),
    "large": random.Random(2).randbytes(1_000_003),
}
STATUSES: list[StoredStatus] = ["suspended", "completed", "failed", "cancelled"]


class CommittingCases(Cases):
    """Changes of runs."""

    async def test_a_commit_moves_the_run_on(self, store: Store, clock: ManualClock) -> None:
        await begin(store)
        before = await loaded(store)
        clock.advance(7)
        await store.commit([write(2, head=b"new")])
        after = await loaded(store)
        assert (after.sequence, after.head, after.epoch) == (2, b"new", 1)
        assert (after.created, after.owner, after.status) == (
            before.created,
            before.owner,
            "running",
        )
        if self.uses_clock:
            assert after.updated == clock()

    async def test_rows_are_written_changed_and_removed(self, store: Store) -> None:
        await begin(store, puts=(("keep", b"1"), ("change", b"1"), ("remove", b"1")))
        change = write(2, puts=(("change", b"2"), ("add", b"2")), removes=("remove",))
        await store.commit([change])
        assert await rows_of(store) == {
            "keep": (1, b"1"),
            "change": (2, b"2"),
            "add": (2, b"2"),
        }

    async def test_removing_what_is_not_there_does_no_harm(self, store: Store) -> None:
        await begin(store, puts=(("a", b"1"),))
        await store.commit([write(2, removes=("b", "A"))])
        assert await rows_of(store) == {"a": (1, b"1")}

    async def test_a_row_that_was_removed_can_come_back(self, store: Store) -> None:
        await begin(store, puts=(("a", b"1"),))
        await store.commit([write(2, removes=("a",))])
        await store.commit([write(3, puts=(("a", b"3"),))])
        assert await rows_of(store) == {"a": (3, b"3")}

    async def test_clearing_leaves_what_comes_with_it(self, store: Store) -> None:
        await begin(store, puts=tuple((f"row {n}", b"1") for n in range(50)))
        await store.commit([write(2, clears=True, puts=(("result", b"2"),))])
        assert await rows_of(store) == {"result": (2, b"2")}

    async def test_clearing_one_run_leaves_the_others(self, store: Store) -> None:
        await begin(store, "one", puts=(("a", b"1"),))
        await begin(store, "two", puts=(("a", b"1"),))
        await store.commit([write(2, run_id="one", clears=True)])
        assert await rows_of(store, "one") == {}
        assert await rows_of(store, "two") == {"a": (1, b"1")}

    @pytest.mark.parametrize("key", KEYS, ids=lambda key: ascii(key[:20]))
    async def test_any_text_is_a_key(self, store: Store, key: str) -> None:
        await begin(store, puts=((key, b"1"), ("bystander", b"1")))
        await store.commit([write(2, puts=((key, b"2"),))])
        assert await rows_of(store) == {key: (2, b"2"), "bystander": (1, b"1")}
        await store.commit([write(3, removes=(key,))])
        assert await rows_of(store) == {"bystander": (1, b"1")}

    async def test_keys_that_are_nearly_alike_differ(self, store: Store) -> None:
        alike = ["a", "A", "a ", " a", "a\0", "1", "01", "1.0", "\u00e9", "e\u0301", "a%", "a_"]
        await begin(store, puts=tuple((key, key.encode()) for key in alike))
        assert await rows_of(store) == {key: (1, key.encode()) for key in alike}

    @pytest.mark.parametrize("body", BODIES.values(), ids=list(BODIES))
    async def test_any_bytes_come_back(self, store: Store, body: bytes) -> None:
        await begin(store)
        await store.commit([write(2, head=body, puts=(("a", body),), entry=body)])
        assert await rows_of(store) == {"a": (2, body)}
        assert (await loaded(store)).head == body
        assert [row.body for row in await store.entries(RUN)] == [body]

    async def test_a_large_change_is_made(self, store: Store) -> None:
        rows = {f"row/{n}": b"%d" % n * 20 for n in range(3000)}
        await begin(store)
        await store.commit([write(2, puts=tuple(rows.items()))])
        assert await rows_of(store) == {key: (2, body) for key, body in rows.items()}
        await store.commit([write(3, removes=tuple(rows))])
        assert await rows_of(store) == {}

    async def test_a_long_run_is_kept(self, store: Store) -> None:
        await begin(store)
        for sequence in range(2, 302):
            puts = ((f"row/{sequence % 7}", b"%d" % sequence),)
            await store.commit([write(sequence, puts=puts)])
        assert (await loaded(store)).sequence == 301
        assert await rows_of(store) == {f"row/{n % 7}": (n, b"%d" % n) for n in range(295, 302)}

    async def test_several_commits_go_together(self, store: Store) -> None:
        await begin(store, puts=(("a", b"1"), ("b", b"1"), ("c", b"1")))
        await store.commit(
            [
                write(2, puts=(("a", b"2"), ("d", b"2")), removes=("b",), entry=b"2"),
                write(3, puts=(("b", b"3"),), removes=("c", "d"), entry=b"3"),
                write(4, puts=(("e", b"4"),), entry=b"4"),
            ]
        )
        assert await rows_of(store) == {"a": (2, b"2"), "b": (3, b"3"), "e": (4, b"4")}
        run = await loaded(store)
        assert (run.sequence, run.head) == (4, b"head 4")
        assert [(row.sequence, row.body) for row in await store.entries(RUN)] == [
            (2, b"2"),
            (3, b"3"),
            (4, b"4"),
        ]

    async def test_clearing_among_several_commits_takes_what_came_before(
        self, store: Store
    ) -> None:
        await begin(store, puts=(("a", b"1"),))
        await store.commit(
            [
                write(2, puts=(("b", b"2"),)),
                write(3, clears=True, puts=(("c", b"3"),)),
                write(4, puts=(("d", b"4"),)),
            ]
        )
        assert await rows_of(store) == {"c": (3, b"3"), "d": (4, b"4")}

    async def test_no_commits_are_no_change(self, store: Store) -> None:
        await begin(store)
        before = await store.read(RUN)
        await store.commit([])
        assert await store.read(RUN) == before

    @pytest.mark.parametrize("status", STATUSES)
    async def test_an_end_gives_the_run_back(
        self, store: Store, other: Store, status: StoredStatus
    ) -> None:
        await begin(store)
        await store.commit([write(2, status=status, note="why")])
        run = await loaded(store)
        assert (run.status, run.note, run.owner, run.expires) == (status, "why", None, None)
        assert (await claimed(other)).abandoned is False

    async def test_a_run_that_goes_on_keeps_its_owner(self, store: Store, other: Store) -> None:
        await begin(store)
        await store.commit([write(2, status="running", note="on its way")])
        run = await loaded(store)
        assert (run.status, run.note) == ("running", "on its way")
        with pytest.raises(RunBusyError):
            await other.claim(RUN)
        await store.commit([write(3)])

    async def test_without_a_status_status_and_note_stay(self, store: Store) -> None:
        await begin(store, status="running", note="on its way")
        await store.commit([write(2, note="not this")])
        run = await loaded(store)
        assert (run.status, run.note) == ("running", "on its way")

    @pytest.mark.parametrize("note", ["", "日本語 🦊", "line\nbreak", "\ud800", "x" * 3000])
    async def test_any_text_is_a_note(self, store: Store, note: str) -> None:
        await begin(store)
        await store.commit([write(2, status="failed", note=note)])
        assert (await loaded(store)).note == note

    async def test_the_last_status_of_several_commits_counts(self, store: Store) -> None:
        await begin(store)
        await store.commit(
            [write(2, status="running", note="on its way"), write(3, status="failed", note="why")]
        )
        run = await loaded(store)
        assert (run.status, run.note, run.owner) == ("failed", "why", None)

    async def test_what_ends_among_several_commits_is_given_back(self, store: Store) -> None:
        """The engine has facts to log after the end."""
        await begin(store)
        await store.commit([write(2, status="completed"), write(3, entry=b"3")])
        run = await loaded(store)
        assert (run.status, run.sequence, run.owner) == ("completed", 3, None)

    async def test_who_has_given_back_may_add_to_the_end_unless_another_came(
        self, store: Store, other: Store
    ) -> None:
        await begin(store)
        await store.commit([write(2, status="failed", note="why")])
        await store.commit([write(3, entry=b"3")])
        run = await loaded(store)
        assert (run.sequence, run.owner, run.status) == (3, None, "failed")
        await claimed(other)
        with pytest.raises(RunLostError):
            await store.commit([write(4)])

    @pytest.mark.parametrize(
        "wrong",
        [
            {"epoch": 0, "sequence": 2},
            {"epoch": 2, "sequence": 2},
            {"sequence": 0},
            {"sequence": 1},
            {"sequence": 3},
            {"run_id": "nothing", "sequence": 2},
            {"run_id": RUN.upper(), "sequence": 2},
        ],
        ids=str,
    )
    async def test_what_is_out_of_order_changes_nothing(
        self, store: Store, wrong: dict[str, Any]
    ) -> None:
        await begin(store, puts=(("a", b"1"),), entry=b"1")
        before = await store.read(RUN)
        change = write(**wrong, puts=(("a", b"2"), ("b", b"2")), clears=True, entry=b"2")
        with pytest.raises(RunLostError) as caught:
            await store.commit([change])
        assert caught.value.run_id == change.run_id
        assert await store.read(RUN) == before
        assert len(await store.entries(RUN)) == 1

    async def test_several_commits_out_of_order_change_nothing(self, store: Store) -> None:
        await begin(store, puts=(("a", b"1"),))
        before = await store.read(RUN)
        with pytest.raises(RunLostError):
            await store.commit([write(3, puts=(("a", b"3"),)), write(4, removes=("a",))])
        assert await store.read(RUN) == before

    async def test_a_run_that_is_gone_is_lost(self, store: Store) -> None:
        await begin(store)
        await store.release(RUN, 1)
        assert await store.delete(RUN) is True
        with pytest.raises(RunLostError):
            await store.commit([write(2)])
        assert await store.load(RUN) is None

    async def test_the_same_commit_does_not_count_twice(self, store: Store) -> None:
        await begin(store)
        change: Commit = write(2, puts=(("a", b"2"),))
        await store.commit([change])
        with pytest.raises(RunLostError):
            await store.commit([change])
        assert (await loaded(store)).sequence == 2
