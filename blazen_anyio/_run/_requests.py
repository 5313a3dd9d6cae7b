"""Requests for input: shown to watchers, answered by a handler or through the handle."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from .._events import InputRequestEvent
from .._exceptions import RequestProblem, StepFailedError, UnknownRequestError
from ._failures import cancelled_from_outside, is_fatal, without_cancellations

if TYPE_CHECKING:
    from ._runner import Runner

__all__ = ["Requests"]


class Requests:
    """The open requests of a run and of its child runs.

    Attributes:
        in_handler: how many the input handler has not answered yet.
    """

    def __init__(self, runner: Runner) -> None:
        self._runner = runner
        self.in_handler = 0

    def open(self) -> list[InputRequestEvent]:
        """The open requests, those of child runs last."""
        return [*self._runner.machine.requests, *self._runner.children.requests()]

    def kept(self) -> list[InputRequestEvent]:
        """The open requests that are in a snapshot of the run as it is."""
        return [*self._runner.machine.requests, *self._runner.children.kept()]

    def closed(self) -> Iterator[tuple[str, RequestProblem]]:
        """The requests that are open no more once the run, a child, has ended; and why."""
        runner = self._runner
        yield from runner.children.closed()
        yield from runner.machine.closed_requests.items()
        for request in runner.machine.requests:
            yield request.request_id, "withdrawn"

    def why_closed(self, request_id: str) -> RequestProblem | None:
        """Why a request of this run or of a child is open no more; ``None`` if there was none."""
        runner = self._runner
        own = runner.machine.closed_requests.get(request_id)
        return own or runner.children.why_closed(request_id)

    def respond(self, request_id: str, response: Any) -> None:
        """Answer a request of this run or of a child run.

        Raises:
            UnknownRequestError: it is not open.
        """
        runner = self._runner
        if runner.children.respond(request_id, response):
            return
        if (why := runner.children.why_closed(request_id)) is not None:
            raise UnknownRequestError(request_id, why)
        self._check_storable(request_id, response)
        self._answer(request_id, response)

    def _check_storable(self, request_id: str, response: Any) -> None:
        if self._runner.scribe is not None:
            self._runner.codec.encode(response, f"the answer to {request_id}")

    def _answer(self, request_id: str, response: Any) -> None:
        runner = self._runner
        runner.machine.respond(request_id, response, runner.clock())
        if runner.watch is not None:
            runner.watch.received(request_id)
        runner.after_input()

    def show(self, request: InputRequestEvent) -> None:
        """Show a request to watchers and give it to the handler, in a task of its own."""
        self._runner.broadcast.publish(request)
        if self._runner.watch is not None:
            self._runner.watch.requested(request)
        if self._runner.options.input_handler is not None:
            self.in_handler += 1
            self._runner.start_task(self._handle(request), "input handler")

    async def _handle(self, request: InputRequestEvent) -> None:
        try:
            await self._ask(request)
        finally:
            self.in_handler -= 1

    async def _ask(self, request: InputRequestEvent) -> None:
        runner = self._runner
        handler = runner.options.input_handler
        assert handler is not None
        try:
            response = handler(request)
            if inspect.isawaitable(response):
                response = await response
            self._check_storable(request.request_id, response)
        except BaseException as error:
            failure = without_cancellations(error)
            if failure is None and cancelled_from_outside():
                runner.stop()  # before the end of this task cancels the others, as it does on trio
                raise
            self._failed(request, failure or error)
            return
        # It may have been answered through the handle, or withdrawn, in the meantime.
        if any(each.request_id == request.request_id for each in runner.machine.requests):
            self._answer(request.request_id, response)

    def _failed(self, request: InputRequestEvent, error: BaseException) -> None:
        failure = error
        if not is_fatal(error):
            failure = StepFailedError("input_handler", request, 1, error)
        self._runner.machine.fail(failure, self._runner.clock())
        self._runner.after_input()
