"""A web service whose orders are runs: started, watched, answered and recovered over HTTP.

Run it with ``python -m blazen_anyio.examples.starlette_app --store orders.db`` (Hypercorn, on
asyncio or trio), then::

    curl -d '{"items": ["tea", "bread"]}' localhost:8000/orders
    curl -N localhost:8000/orders/RUN/events
    curl -d '{"request_id": "...", "answer": "yes"}' localhost:8000/orders/RUN/answers

What it shows:

* Runs live in the application's task group (the lifespan's), not in a request: a client that goes
  away leaves its run alone, and comes back with ``Last-Event-ID`` for what it has missed.
* What is acknowledged is stored: an order, an answer. On shutdown the runs are put down within a
  grace time; at start-up all that had not ended goes on.
"""

from __future__ import annotations

import argparse
import importlib
import json
import secrets
import signal
import sys
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, cast

import anyio
from hypercorn.config import Config
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from blazen_anyio import RunEndedError, Store, UnknownRequestError
from blazen_anyio.stores import SQLiteStore

from ._orders import Live, Order, Orders
from ._terminal import backend_name

__all__ = ["application", "main"]

# ---- over HTTP ---------------------------------------------------------------------------------

_DIGITS = 10  # of the number of an event: nobody watches for so long


class EventLines(AsyncIterator[str]):
    """What a run shows as server-sent events, from a place on.

    An iterator and no generator: a client may go away at any moment, and nothing has to be closed.

    Args:
        live: the run.
        life: names this process in the ids of events, which begin anew with it.
        last: the id of the last event that the client has got.
    """

    def __init__(self, live: Live, life: str, last: str = "") -> None:
        self._live = live
        self._life = life
        before, _, number = last.partition("-")
        known = before == life and number.isdecimal() and len(number) < _DIGITS
        self._next = int(number) + 1 if known else 0

    async def __anext__(self) -> str:
        live = self._live
        while self._next >= len(live.shown):
            if live.ended:
                raise StopAsyncIteration
            await live.changed.wait()
        number, self._next = self._next, self._next + 1
        return f"id: {self._life}-{number}\ndata: {json.dumps(live.shown[number])}\n\n"


def _orders(request: Request) -> Orders:
    return cast("Orders", request.state.orders)


async def _live(request: Request) -> Live:
    live = await _orders(request).get(request.path_params["run_id"])
    if live is None:
        raise HTTPException(404, "no such run here")
    return live


async def _object(request: Request) -> dict[str, Any]:
    try:
        data: Any = await request.json()
    except (ValueError, RecursionError):
        data = None
    if not isinstance(data, dict):
        raise HTTPException(400, "send a JSON object")
    return cast("dict[str, Any]", data)


def _are_texts(items: list[object]) -> bool:
    return all(isinstance(item, str) for item in items)


async def begin_order(request: Request) -> Response:
    """``POST /orders`` begins an order."""
    body = await _object(request)
    items, seconds = body.get("items"), body.get("seconds", 0)
    if not isinstance(items, list) or not _are_texts(cast("list[object]", items)):
        raise HTTPException(400, "items: a list of texts")
    if not isinstance(seconds, (int, float)) or not 0 <= seconds <= 60:
        raise HTTPException(400, "seconds: a number from 0 to 60")
    order = Order(tuple(cast("list[str]", items)), float(seconds))
    return JSONResponse({"run_id": await _orders(request).begin(order)}, 202)


async def show_order(request: Request) -> Response:
    """``GET /orders/RUN`` tells how an order is doing."""
    status = await _orders(request).status(request.path_params["run_id"])
    if status is None:
        raise HTTPException(404, "no such run")
    return JSONResponse(status)


async def stream_order(request: Request) -> Response:
    """``GET /orders/RUN/events`` streams what an order shows, until it ends."""
    live, last = await _live(request), request.headers.get("last-event-id", "")
    lines = EventLines(live, request.state.life, last)
    return StreamingResponse(
        lines, media_type="text/event-stream", headers={"cache-control": "no-store"}
    )


async def answer_order(request: Request) -> Response:
    """``POST /orders/RUN/answers`` answers a question; it is stored when this returns."""
    run, body = (await _live(request)).run, await _object(request)
    request_id, answer = body.get("request_id"), body.get("answer")
    if not isinstance(request_id, str) or not isinstance(answer, str):
        raise HTTPException(400, "request_id, answer: texts")
    try:
        run.respond_to_input(request_id, answer)
        await run.flush()
    except UnknownRequestError as error:
        raise HTTPException(404 if error.reason == "unknown" else 409, str(error)) from error
    except RunEndedError as error:
        raise HTTPException(409, str(error)) from error
    return Response(status_code=202)


def application(store: Store) -> Starlette:
    """Make the application.

    Args:
        store: keeps the runs; the application opens and closes it.
    """

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncGenerator[Mapping[str, object]]:
        async with store, anyio.create_task_group() as group:
            orders = Orders(store, group)
            await orders.recover()
            yield {"orders": orders, "life": secrets.token_hex(4)}
            await orders.put_down()

    return Starlette(
        routes=[
            Route("/orders", begin_order, methods=["POST"]),
            Route("/orders/{run_id}", show_order),
            Route("/orders/{run_id}/events", stream_order),
            Route("/orders/{run_id}/answers", answer_order, methods=["POST"]),
        ],
        lifespan=lifespan,
    )


# ---- the server --------------------------------------------------------------------------------


async def _interrupted() -> None:
    with anyio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
        await anext(aiter(signals))


async def serve(path: str, bind: str, backend: str) -> None:
    """Serve until Ctrl-C or SIGTERM."""
    config = Config()
    config.bind = [bind]
    config.graceful_timeout = 1.0
    server: Any = importlib.import_module(f"hypercorn.{backend}")
    app = application(SQLiteStore(path))
    await server.serve(app, config, shutdown_trigger=_interrupted)


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve orders."""
    parser = argparse.ArgumentParser(
        prog="python -m blazen_anyio.examples.starlette_app", description="Serve orders over HTTP."
    )
    parser.add_argument("--store", metavar="FILE", default="orders.db", help="where runs are kept")
    parser.add_argument("--bind", metavar="HOST:PORT", default="127.0.0.1:8000")
    parser.add_argument("--backend", type=backend_name, default="asyncio", help="asyncio or trio")
    options = parser.parse_args(arguments)
    anyio.run(serve, options.store, options.bind, options.backend, backend=options.backend)
    return 0


if __name__ == "__main__":
    sys.exit(main())
