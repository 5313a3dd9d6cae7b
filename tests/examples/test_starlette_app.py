"""The web service under Hypercorn, on both backends, with a real client over real sockets."""

from __future__ import annotations

import json
import os
import re
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import pytest

pytest.importorskip("starlette", reason="starlette is not installed; see the extra 'examples'")
pytest.importorskip("hypercorn", reason="hypercorn is not installed; see the extra 'examples'")
pytest.importorskip("httpx", reason="httpx is not installed; see the extra 'examples'")

import httpx
import hypercorn.asyncio
import hypercorn.trio
from hypercorn.config import Config

from blazen_anyio.examples import _orders, starlette_app
from blazen_anyio.examples._orders import Orders
from blazen_anyio.stores import SQLiteStore

pytestmark = pytest.mark.anyio

CHEAP, EXPENSIVE = ["tea", "bread"], ["a great deal of tea", "bread"]
TOTAL = 8


@pytest.fixture(autouse=True)
def quick_to_put_down(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_orders, "GRACE", 0.05)


@asynccontextmanager
async def running(store: SQLiteStore) -> AsyncIterator[Orders]:
    """The orders of an application, without a server."""
    async with anyio.create_task_group() as group:
        orders = Orders(store, group)
        await orders.recover()
        yield orders
        await orders.put_down()


@asynccontextmanager
async def serving(path: Path, backend: str) -> AsyncIterator[httpx.AsyncClient]:
    """A server process's worth of the service, shut down as by SIGTERM on leaving."""
    shutdown, listener, config = anyio.Event(), socket.socket(), Config()
    listener.bind(("127.0.0.1", 0))
    listener.listen(200)
    base_url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    config.bind = [f"fd://{listener.detach()}"]  # the server closes it
    config.graceful_timeout = 0.05
    config.accesslog = config.errorlog = None
    module = hypercorn.trio if backend == "trio" else hypercorn.asyncio
    app = starlette_app.application(SQLiteStore(path, synchronous="NORMAL"))
    limits = httpx.Limits(max_connections=None)
    async with (
        anyio.create_task_group() as group,
        httpx.AsyncClient(base_url=base_url, limits=limits, timeout=20, trust_env=False) as client,
    ):
        group.start_soon(partial(module.serve, app, config, shutdown_trigger=shutdown.wait))
        try:
            yield client
        finally:
            shutdown.set()


async def begin(client: httpx.AsyncClient, items: list[str], seconds: float = 0) -> str:
    response = await client.post("/orders", json={"items": items, "seconds": seconds})
    assert response.status_code == 202
    run_id: str = response.json()["run_id"]
    return run_id


async def watch(
    client: httpx.AsyncClient, run_id: str, last: str = ""
) -> tuple[list[dict[str, Any]], str]:
    """Read events until the stream ends; also the last id."""
    response = await client.get(
        f"/orders/{run_id}/events", headers={"last-event-id": last} if last else {}
    )
    assert response.headers["content-type"].startswith("text/event-stream")
    return events_in(response.text)


async def glance(
    client: httpx.AsyncClient, run_id: str, most: int, last: str = ""
) -> tuple[list[dict[str, Any]], str]:
    """Read some events, and drop the connection in the middle of the stream."""
    request = f"GET /orders/{run_id}/events HTTP/1.1\r\nhost: test\r\nlast-event-id: {last}\r\n\r\n"
    text = ""
    port = client.base_url.port
    assert port is not None
    async with await anyio.connect_tcp("127.0.0.1", port) as stream:
        await stream.send(request.encode())
        while text.count("data: ") < most or not text.endswith("\n"):
            text += (await stream.receive()).decode()
    events, _ = events_in(text)
    ids = [line.removeprefix("id: ") for line in text.splitlines() if line.startswith("id: ")]
    return events[:most], ids[most - 1]


def events_in(text: str) -> tuple[list[dict[str, Any]], str]:
    lines = text.splitlines()
    ids = [line.removeprefix("id: ") for line in lines if line.startswith("id: ")]
    data = [line.removeprefix("data: ") for line in lines if line.startswith("data: ")]
    return list(map(json.loads, data)), ids[-1]


async def answer(client: httpx.AsyncClient, run_id: str, request_id: str, text: str) -> int:
    body = {"request_id": request_id, "answer": text}
    return (await client.post(f"/orders/{run_id}/answers", json=body)).status_code


async def statuses(path: Path) -> dict[str, int]:
    """How many runs of each status the store has."""
    found: dict[str, int] = {}
    async with SQLiteStore(path) as store:
        for run in await store.list():
            found[run.status] = found.get(run.status, 0) + 1
    return found


async def test_an_order_is_begun_watched_and_ends(tmp_path: Path, anyio_backend: str) -> None:
    path = tmp_path / "orders.db"
    async with serving(path, anyio_backend) as client:
        run_id = await begin(client, CHEAP)
        events, _ = await watch(client, run_id)
        assert sorted(event["name"] for event in events[:-1]) == ["bread", "tea"]
        assert events[-1] == {"type": "invoice", "total": TOTAL, "accepted": True}
        status = await client.get(f"/orders/{run_id}")
        assert status.json() == {"run_id": run_id, "status": "completed", "note": ""}
        again, _ = await watch(client, run_id)
        assert again == events
    assert await statuses(path) == {"completed": 1}


async def test_a_human_answers_over_http(tmp_path: Path, anyio_backend: str) -> None:
    async with serving(tmp_path / "orders.db", anyio_backend) as client:
        run_id = await begin(client, EXPENSIVE)
        events, last = await glance(client, run_id, 3)
        question = events[-1]
        assert question["type"] == "question"
        status = (await client.get(f"/orders/{run_id}")).json()
        assert status["status"] == "running"
        assert status["requests"] == [
            {"request_id": question["request_id"], "prompt": "24: send it?"}
        ]
        assert await answer(client, run_id, "another", "no") == 404
        assert await answer(client, run_id, question["request_id"], "no") == 202
        rest, _ = await watch(client, run_id, last)
        assert rest == [{"type": "invoice", "total": 24, "accepted": False}]
        assert await answer(client, run_id, question["request_id"], "no") == 409


@pytest.mark.parametrize("answered", [False, True])
async def test_what_a_shutdown_put_down_the_next_process_goes_on_with(
    tmp_path: Path, anyio_backend: str, answered: bool
) -> None:
    """What was acknowledged is not lost, and a question is still open."""
    path = tmp_path / "orders.db"
    async with serving(path, anyio_backend) as client:
        slow = await begin(client, CHEAP, seconds=2.0)
        asking = await begin(client, EXPENSIVE)
        (*_, question), _ = await glance(client, asking, 3)
        if answered:
            await answer(client, asking, question["request_id"], "yes")
            await watch(client, asking)
    found = await statuses(path)
    assert sum(found.values()) == 2
    assert found["suspended"] == (1 if answered else 2)
    async with serving(path, anyio_backend) as client:
        events, _ = await watch(client, slow)
        assert events[-1] == {"type": "invoice", "total": TOTAL, "accepted": True}
        if not answered:
            (again,), _ = await glance(client, asking, 1, "17-other")
            assert again == question
            await answer(client, asking, question["request_id"], "yes")
            events, _ = await watch(client, asking)
            assert events[-1] == {"type": "invoice", "total": 24, "accepted": True}
    assert await statuses(path) == {"completed": 2}


async def test_who_comes_back_after_the_end_gets_the_result_from_the_next_process(
    tmp_path: Path, anyio_backend: str
) -> None:
    """The order has ended while nobody watched, and then the process has."""
    path = tmp_path / "orders.db"
    async with serving(path, anyio_backend) as client:
        run_id = await begin(client, EXPENSIVE)
        (*_, question), last = await glance(client, run_id, 3)
        await answer(client, run_id, question["request_id"], "no")
        await watch(client, run_id)
    async with serving(path, anyio_backend) as client:
        events, _ = await watch(client, run_id, last)
        assert events == [{"type": "invoice", "total": 24, "accepted": False}]
        assert await answer(client, run_id, question["request_id"], "yes") == 409


async def test_the_id_of_an_event_is_that_of_this_process_or_none(
    tmp_path: Path, anyio_backend: str
) -> None:
    async with serving(tmp_path / "orders.db", anyio_backend) as client:
        run_id = await begin(client, CHEAP)
        events, last = await watch(client, run_id)
        life = last.partition("-")[0]
        for other in ("x", "-", f"{life}-", f"{life}--1", f"{life}-{'9' * 5_000}"):
            assert (await watch(client, run_id, other))[0] == events


async def test_clients_that_go_away_leak_no_run_and_lose_no_event(
    tmp_path: Path, anyio_backend: str
) -> None:
    """Under load: each client leaves in the middle, comes back, and has got everything once."""
    path = tmp_path / "orders.db"
    names = [f"item {number}" for number in range(6)]
    got: dict[str, list[dict[str, Any]]] = {}
    begun: list[str] = []

    async def order(client: httpx.AsyncClient, number: int) -> None:
        run_id = await begin(client, names[: 2 + number % 2], seconds=0.02)
        begun.append(run_id)
        first, last = await glance(client, run_id, 1 + number % 2)
        if number % 3 == 0:
            return  # and never comes back
        rest, _ = await watch(client, run_id, last)
        got[run_id] = first + rest

    async with serving(path, anyio_backend) as client:
        async with anyio.create_task_group() as group:
            for number in range(30):
                group.start_soon(order, client, number)
        for run_id in set(begun) - set(got):
            await watch(client, run_id)  # somebody else, to wait for its end
    assert await statuses(path) == {"completed": 30}
    assert len(got) == 20
    for events in got.values():
        *priced, invoice = events
        assert sorted(event["name"] for event in priced) == names[: len(priced)]
        assert invoice["type"] == "invoice"
        assert 2 <= len(priced) <= 3


async def test_what_is_wrong_with_a_request_is_said(tmp_path: Path, anyio_backend: str) -> None:
    async with serving(tmp_path / "orders.db", anyio_backend) as client:

        async def post(path: str, content: str) -> tuple[int, str]:
            response = await client.post(path, content=content)
            return response.status_code, response.text

        assert await post("/orders", "{") == (400, "send a JSON object")
        assert await post("/orders", "[]") == (400, "send a JSON object")
        assert await post("/orders", "[" * 100_000) == (400, "send a JSON object")
        assert await post("/orders", '{"items": [1]}') == (400, "items: a list of texts")
        seconds = '{"items": [], "seconds": "1"}'
        assert await post("/orders", seconds) == (400, "seconds: a number from 0 to 60")
        assert await post("/orders/none/answers", "{}") == (404, "no such run here")
        assert (await client.get("/orders/none")).status_code == 404
        assert (await client.get("/orders/none/events")).status_code == 404
        run_id = await begin(client, CHEAP)
        assert (await post(f"/orders/{run_id}/answers", "{}"))[0] == 400
        await watch(client, run_id)
        body = {"request_id": "r", "answer": "yes"}
        assert (await client.post(f"/orders/{run_id}/answers", json=body)).status_code == 409


@pytest.mark.skipif(os.name != "posix", reason="needs POSIX signals")
async def test_the_command_serves_until_it_is_told_to_end(
    tmp_path: Path, anyio_backend: str
) -> None:
    path = tmp_path / "orders.db"
    command = [sys.executable, "-m", "blazen_anyio.examples.starlette_app", "--store", str(path)]
    command += ["--bind", "127.0.0.1:0", "--backend", anyio_backend]
    async with await anyio.open_process(command, stdout=None) as process:
        assert process.stderr is not None
        log = ""
        while (found := re.search(r"http://127\.0\.0\.1:\d+", log)) is None:
            log += (await process.stderr.receive()).decode()
        async with httpx.AsyncClient(base_url=found[0], timeout=20, trust_env=False) as client:
            run_id = await begin(client, EXPENSIVE)
            await glance(client, run_id, 3)
        process.terminate()
        assert await process.wait() == 0
    assert await statuses(path) == {"suspended": 1}


# ---- the runs by themselves ----------------------------------------------------------------------


async def test_what_somebody_else_executes_is_left_alone(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "orders.db"
    async with SQLiteStore(path) as store, running(store) as orders:
        run_id = await orders.begin(_orders.Order(tuple(EXPENSIVE)))
        async with SQLiteStore(path) as other, running(other) as others:
            assert await others.get(run_id) is None
            status = await others.status(run_id)
            assert status is not None and status["status"] == "running"
    assert "is left as it is" in caplog.text


async def test_a_run_that_fails_is_told_and_logged_and_ends_no_other(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with SQLiteStore(tmp_path / "orders.db") as store, running(store) as orders:
        run_id = await orders.begin(_orders.Order(tuple(EXPENSIVE)))
        live = await orders.get(run_id)
        assert live is not None
        live.run.cancel()
        while not live.ended:
            await live.changed.wait()
        assert live.shown[-1] == {"type": "failed", "error": "RunCancelledError"}
        assert caplog.messages == [f"order {run_id} failed"]
        assert await orders.begin(_orders.Order(("tea",))) != run_id


async def test_an_order_that_can_not_be_stored_is_not_begun(tmp_path: Path) -> None:
    async with SQLiteStore(tmp_path / "orders.db") as store, running(store) as orders:
        with pytest.raises(TypeError, match="Order.items"):
            await orders.begin(_orders.Order((object(),)))  # type: ignore[arg-type]
        assert await orders.begin(_orders.Order(("tea",)))


async def test_the_oldest_that_have_ended_are_forgotten(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_orders, "ENDED_KEPT", 2)
    async with SQLiteStore(tmp_path / "orders.db") as store, running(store) as orders:
        run_ids = []
        for _ in range(4):
            run_ids.append(await orders.begin(_orders.Order(("tea",))))
            live = await orders.get(run_ids[-1])
            assert live is not None
            while not live.ended:
                await live.changed.wait()
        shown = []
        for run_id in reversed(run_ids):  # what was forgotten is told from its result
            live = await orders.get(run_id)
            assert live is not None
            while not live.ended:
                await live.changed.wait()
            shown.append([each["type"] for each in live.shown])
        assert shown == [["priced", "invoice"]] * 2 + [["invoice"]] * 2
        status = await orders.status(run_ids[0])
        assert status is not None and status["status"] == "completed"
