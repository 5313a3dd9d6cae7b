"""Actors by themselves, with no event loop: what happens when they are closed or abandoned."""

from __future__ import annotations

import types

import pytest

from blazen_anyio.testing._actors import Abandoned, Actor, perform


class Hand:
    """Gives every turn at once, at a trap of its own."""

    broken = False

    def park(self, actor):
        yield "parked"

    def is_late(self, actor):
        return False

    def sleeps_on(self, actor):
        return False

    def enter(self, actor):
        actor.turns += 1

    def leave(self, actor, ended, over):
        self.left = (ended, over)


@types.coroutine
def trap():
    return (yield "trap")


def performing(body):
    hand, actor = Hand(), Actor((0, "", 1, ()), "a#1", "a")
    running = perform(hand, actor, body)
    return hand, actor, running


def test_an_actor_that_is_closed_while_it_is_parked_closes_its_body():
    closed = []

    async def body():
        try:
            await trap()
            await trap()
        finally:
            closed.append(1)

    _, _, running = performing(body())
    assert [running.send(None), running.send(None), running.send("value")] == [
        "parked",
        "trap",
        "parked",
    ]
    running.close()
    assert closed == [1]


def test_an_actor_that_is_closed_while_it_is_suspended_closes_its_body():
    closed = []

    async def body():
        try:
            await trap()
        finally:
            closed.append(1)

    _, _, running = performing(body())
    running.send(None)
    running.send(None)
    running.close()
    assert closed == [1]


def test_an_actor_that_will_not_end_is_given_up():
    async def body():
        while True:
            try:
                await trap()
            except Exception:
                continue

    hand, actor, running = performing(body())
    running.send(None)
    hand.broken = True
    actor.turns = actor.chances = 1
    running.send(None)
    with pytest.raises(Abandoned):
        for _ in range(10):
            running.send(None)
    assert hand.left == (None, True)


def test_an_actor_that_has_not_begun_never_begins():
    begun = []

    async def body():
        begun.append(1)

    hand, _, running = performing(body())
    running.send(None)
    hand.broken = True
    with pytest.raises(Abandoned):
        running.send(None)
    assert begun == []
