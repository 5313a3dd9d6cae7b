"""Sort support tickets, with a flaky service and a human for what is urgent.

Run it with ``python -m blazen_anyio.examples.triage``. The workflow shows a *resource* (the
service, opened once), a *retry* (it is often too busy), an *error step* (which files what can't be
classified) and a *human decision*. Ctrl-C while it waits for you puts the run down in a file;
``--resume`` takes it up again, with nothing classified twice.
"""

from __future__ import annotations

import argparse
import shlex
import signal
import sys
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Annotated

import anyio
from anyio.lowlevel import checkpoint

from blazen_anyio import (
    Context,
    Event,
    EventStream,
    InputRequestEvent,
    Resource,
    Retry,
    Run,
    RunEndedError,
    RunSuspendedError,
    Snapshot,
    SnapshotError,
    StartEvent,
    StepFailed,
    StopEvent,
    Workflow,
    step,
)

from ._terminal import Lines, backend_name, print_text
from ._tickets import (
    SAMPLE,
    Filed,
    Kind,
    Ticket,
    classify,
    parse_tickets,
    refusals_for,
    render,
)

__all__ = ["Inbox", "Report", "Service", "main", "open_service", "triage"]

EXIT_NO_TICKETS = 1
EXIT_USAGE = 2
EXIT_NO_ANSWER = 3
EXIT_INTERRUPTED = 130

CHOICES = {"n": "now", "t": "today", "q": "queue"}


# ---- the workflow ------------------------------------------------------------------------------
#
# Each event type has a name of its own: under ``python -m`` this module is called ``__main__``, and
# a snapshot should not depend on that.


class Inbox(StartEvent, event_type="triage.Inbox"):
    """Starts with what has come in."""

    tickets: tuple[Ticket, ...]


class Urgent(Event, event_type="triage.Urgent"):
    """A ticket about which a human decides."""

    ticket: Ticket
    team: str
    tries: int


class Report(StopEvent, event_type="triage.Report"):
    """Where the tickets have gone, in the order in which they came."""

    filed: tuple[Filed, ...]


class BusyError(Exception):
    """The service has no time now; ask again."""


class Service:
    """A service that classifies, when it is not too busy: a stand-in for one behind a network."""

    async def classify(self, ticket: Ticket, attempt: int) -> Kind:
        """Classify a ticket; some of them not at the first attempt.

        Raises:
            BusyError: ask again.
            UnclearTicketError: asking again would not help.
        """
        await checkpoint()
        if attempt <= refusals_for(ticket):
            raise BusyError
        return classify(ticket)


@asynccontextmanager
async def open_service() -> AsyncGenerator[Service, None]:
    """Open the service: the engine does it once for each run, and closes it at the end."""
    await checkpoint()
    yield Service()


@step
async def sort(inbox: Inbox) -> list[Ticket]:
    """Fan out to one event for each ticket."""
    return list(inbox.tickets)


@step(max_concurrency=4, retry=Retry(max_attempts=3, initial=0.01, on=BusyError))
async def ask_service(
    ticket: Ticket, ctx: Context, service: Annotated[Service, Resource(open_service)]
) -> Filed | Urgent:
    """Ask what a ticket is about; the retries are the engine's business."""
    kind = await service.classify(ticket, ctx.attempt)
    if kind.urgent:
        return Urgent(ticket, kind.team, ctx.attempt)
    return Filed(ticket, kind.team, "queue", ctx.attempt)


@step(for_steps=["ask_service"])
async def file_unclear(failure: StepFailed) -> Filed:
    """File what the service can't classify, for whatever reason."""
    assert isinstance(failure.event, Ticket)
    return Filed(failure.event, "nobody", "unclear", failure.attempts)


@step
async def decide(urgent: Urgent, ctx: Context) -> Filed:
    """Let a human decide, and wait for it without holding anything up."""
    question = f"{urgent.ticket.id} ({urgent.team}): {urgent.ticket.subject}"
    when = await ctx.request_input(question, {"choices": list(CHOICES.values())})
    return Filed(urgent.ticket, urgent.team, when, urgent.tries)


@step
async def report(filed: list[Filed]) -> Report:
    """Fires once, when every ticket has gone somewhere, in the order of the inbox."""
    return Report(filed=tuple(filed))


def triage() -> Workflow[Report]:
    """Build the workflow."""
    return Workflow("triage", [sort, ask_service, file_unclear, decide, report], stop=Report)


# ---- a run of it at the terminal ---------------------------------------------------------------


class Human:
    """Asks at the terminal.

    Attributes:
        gone: there is no more input.
    """

    def __init__(self, lines: Lines) -> None:
        self._lines = lines
        self.gone = False

    async def decide(self, request: InputRequestEvent) -> str | None:
        """Ask until there is a usable answer; ``None`` if nobody answers any more."""
        while True:
            print_text(f"{request.prompt}\n  [n]ow, [t]oday or [q]ueue?", sys.stderr)
            line = await self._lines.next()
            if line is None:
                self.gone = True
                return None
            if choice := CHOICES.get(line[:1].lower()):
                return choice


async def run_triage(start: Inbox | Snapshot, human: Human | None) -> Report:
    """Run, or go on, to the end.

    Args:
        start: the tickets, or a snapshot of an earlier run.
        human: decides; without one, everything urgent goes out at once.

    Raises:
        RunSuspendedError: the human was interrupted, or did not answer.
        SnapshotError: the snapshot is of something else.
    """
    workflow = triage()
    async with (
        workflow.resume(start) if isinstance(start, Snapshot) else workflow.start(start) as run,
        run.stream_events(overflow="block") as requests,  # a human may take long
    ):
        async with anyio.create_task_group() as group:
            with anyio.CancelScope() as asking:
                group.start_soon(_suspend_when_interrupted, run, asking)
                await _answer(requests, run, human)
            if not asking.cancelled_caught:
                group.cancel_scope.cancel()  # nothing is left to interrupt
        return await run.result()


async def _answer(requests: EventStream, run: Run[Report], human: Human | None) -> None:
    """Answer what is asked until the run ends; put it down if nobody answers."""
    async for request in requests:
        assert isinstance(request, InputRequestEvent)
        decision = "now" if human is None else await human.decide(request)
        if decision is None:
            await run.suspend()
            return
        run.respond_to_input(request.request_id, decision)


async def _suspend_when_interrupted(run: Run[Report], asking: anyio.CancelScope) -> None:
    """Stop asking and put the run down; steps that are running may finish, if they are quick."""
    if sys.platform == "win32":  # pragma: no cover
        return  # no such signals there; Ctrl-C ends the program, and the run with it
    with anyio.open_signal_receiver(signal.SIGINT) as interrupts:
        await anext(aiter(interrupts))
        asking.cancel()
        with suppress(RunEndedError):
            await run.suspend(grace=1)


# ---- the command -------------------------------------------------------------------------------


def main(arguments: Sequence[str] | None = None) -> int:
    """Sort tickets and print where they have gone.

    Returns:
        0, or 1 if there is no ticket, 2 if the arguments or the input are no good, 3 if nobody
        answered and 130 if it was interrupted; in the last two cases the run is in a file.
    """
    options = _parse_arguments(arguments)
    try:
        start = _read(options)
    except (OSError, ValueError) as error:
        return _complain(f"{options.resume or options.file}: {error}", EXIT_USAGE)
    if isinstance(start, Inbox) and not start.tickets:
        return _complain(f"{options.file}: no tickets", EXIT_NO_TICKETS)
    human = None if options.yes else Human(Lines(sys.stdin.fileno()))
    try:
        result = anyio.run(run_triage, start, human, backend=options.backend)
    except RunSuspendedError as suspended:
        code = EXIT_NO_ANSWER if human is not None and human.gone else EXIT_INTERRUPTED
        path = options.snapshot or options.resume or "triage.json"
        return _put_down(suspended.snapshot, path, code)
    except SnapshotError as error:
        return _complain(f"{options.resume}: {error}", EXIT_USAGE)
    print_text(render(result.filed))
    return 0


def _parse_arguments(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m blazen_anyio.examples.triage",
        description="Sort support tickets; you decide about the urgent ones.",
    )
    source = parser.add_mutually_exclusive_group()
    source.add_argument(
        "file",
        metavar="FILE",
        nargs="?",
        help="tickets as JSON lines with id, subject and text; - for standard input; by default a "
        "few made-up ones",
    )
    source.add_argument("--resume", metavar="FILE", help="take a run up again that was put down")
    parser.add_argument("--backend", type=backend_name, default="asyncio", help="asyncio or trio")
    parser.add_argument(
        "--yes", action="store_true", help="ask nobody: what is urgent goes out at once"
    )
    parser.add_argument(
        "--snapshot",
        metavar="FILE",
        help="where to put the run down if it waits for you (triage.json, or where it was)",
    )
    return parser.parse_args(arguments)


def _read(options: argparse.Namespace) -> Inbox | Snapshot:
    """Read what to start with.

    Raises:
        OSError: it can't be read.
        ValueError: it is no text, no tickets, or no snapshot.
    """
    if options.resume is not None:
        return Snapshot.from_bytes(Path(options.resume).read_bytes())
    if options.file is None:
        text = SAMPLE
    elif options.file == "-":
        text = sys.stdin.buffer.read().decode()
    else:
        text = Path(options.file).read_text(encoding="utf-8")
    return Inbox(tickets=parse_tickets(text))


def _put_down(snapshot: Snapshot, path: str, code: int) -> int:
    try:
        Path(path).write_bytes(snapshot.to_bytes())
    except OSError as error:
        print_text(snapshot.to_json())
        return _complain(f"{error}; printed the run instead: keep it in a file", code)
    waiting = len(snapshot.requests)
    return _complain(
        f"put down with {waiting} open question{'' if waiting == 1 else 's'}; go on with\n"
        f"  python -m blazen_anyio.examples.triage --resume {shlex.quote(path)}",
        code,
    )


def _complain(text: str, code: int) -> int:
    print_text(f"triage: {text}", sys.stderr)
    return code


if __name__ == "__main__":
    sys.exit(main())
