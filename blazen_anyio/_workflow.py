"""Workflows: the public definition, and the ways to run it."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from functools import partial
from types import TracebackType
from typing import TYPE_CHECKING, Any, Generic, Literal, TypeVar, cast, overload

from ._codec import Registry
from ._context import Context
from ._events import Event, StopEvent
from ._graph import Graph, build
from ._launch import Changes, Given, Launcher, Migration, Replacements
from ._machine import Child
from ._numbers import check_count
from ._retry import Retry
from ._run import (
    Body,
    Durability,
    Hosts,
    InputHandler,
    Run,
    Runner,
    RunOptions,
    check_durability,
    outcome_of,
)
from ._run_ids import checked_run_id
from ._steps import StepFunction, step

if TYPE_CHECKING:
    from ._durable import StoredMisfit, StoredRuns
    from ._observer import Observer
    from ._run._recovery import RecoveredRun
    from ._snapshot import Snapshot
    from ._store import Store

__all__ = ["Workflow"]

logger = logging.getLogger("blazen_anyio")

R = TypeVar("R")
S = TypeVar("S", bound=StopEvent)
A = TypeVar("A", bound=Event)
D = TypeVar("D", bound=Event)


class Workflow(Generic[R]):
    """A set of steps that events travel between, checked when it is made.

    Args:
        name: names it in errors, snapshots and drawings.
        steps: functions decorated with ``@step``, bound methods too; their order is the order in
            which the acceptors of one event run.
        stop: the class of the stop event. The workflow is then a ``Workflow[stop]`` and ``run``
            returns an instance; without it ``run`` returns ``StopEvent.result``.
        timeout: seconds a run may be active; paused time, and time in which it only waits for a
            human, do not count. ``None`` for no limit.
        max_concurrency: how many steps of one run may run at once; ``None`` for no limit.
        retry: the policy of the steps that have none of their own.
        external: classes of events that ``run.send_event`` brings; a run that may receive some
            idles while its handle is open instead of stalling.
        on_unhandled: ``"error"`` fails the run over an event that nobody accepts, ``"ignore"``
            drops the event.
        input_handler: answers requests for input, each in a task of its own.
        types: classes (attrs, dataclasses, enums) that state and fields annotated ``Any`` may hold.
        lanes: ``False`` gives each attempt a task of its own, for libraries that key by task.
        history: how many facts a run keeps; 0 for none, ``None`` for all.
        max_recoveries: how many failures in one line of causes error steps may handle.
        max_deliveries: how often an event may be handed to a step in processes that died, before
            it counts as failed with an :class:`AttemptLostError`; ``None`` for no limit.
        observers: are told what runs and their child runs do; see :class:`Observer`.

    Raises:
        DefinitionError: with every problem that was found.

    Example::

        class Ask(StartEvent):
            name: str

        class Answer(StopEvent):
            text: str

        @step
        async def greet(ev: Ask) -> Answer:
            return Answer(text=f"Hello, {ev.name}!")

        greeting = Workflow("greeting", [greet], stop=Answer)
        answer = await greeting.run(name="Ada")
    """

    @overload
    def __init__(
        self: Workflow[S],
        name: str,
        steps: Sequence[StepFunction[..., Any]],
        *,
        stop: type[S],
        timeout: float | None = None,
        max_concurrency: int | None = None,
        retry: Retry | None = None,
        external: Sequence[type[Event]] = (),
        on_unhandled: Literal["error", "ignore"] = "error",
        input_handler: InputHandler | None = None,
        types: Sequence[type] = (),
        lanes: bool = True,
        history: int | None = 1000,
        max_recoveries: int = 100,
        max_deliveries: int | None = 10,
        observers: Sequence[Observer] = (),
    ) -> None: ...

    @overload
    def __init__(
        self: Workflow[Any],
        name: str,
        steps: Sequence[StepFunction[..., Any]],
        *,
        stop: None = None,
        timeout: float | None = None,
        max_concurrency: int | None = None,
        retry: Retry | None = None,
        external: Sequence[type[Event]] = (),
        on_unhandled: Literal["error", "ignore"] = "error",
        input_handler: InputHandler | None = None,
        types: Sequence[type] = (),
        lanes: bool = True,
        history: int | None = 1000,
        max_recoveries: int = 100,
        max_deliveries: int | None = 10,
        observers: Sequence[Observer] = (),
    ) -> None: ...

    def __init__(
        self,
        name: str,
        steps: Sequence[StepFunction[..., Any]],
        *,
        stop: type[StopEvent] | None = None,
        timeout: float | None = None,
        max_concurrency: int | None = None,
        retry: Retry | None = None,
        external: Sequence[type[Event]] = (),
        on_unhandled: Literal["error", "ignore"] = "error",
        input_handler: InputHandler | None = None,
        types: Sequence[type] = (),
        lanes: bool = True,
        history: int | None = 1000,
        max_recoveries: int = 100,
        max_deliveries: int | None = 10,
        observers: Sequence[Observer] = (),
    ) -> None:
        self._graph = build(
            name,
            steps,
            problems=_problems_of_runs(input_handler, lanes, history, observers),
            stop=StopEvent if stop is None else stop,
            timeout=timeout,
            max_concurrency=max_concurrency,
            retry=retry,
            external=external,
            on_unhandled=on_unhandled,
            max_recoveries=max_recoveries,
            max_deliveries=max_deliveries,
            types=types,
        )
        self._launcher = Launcher(
            graph=self._graph,
            bodies=tuple(Body.of(step, lanes=lanes) for step in self._graph.steps),
            registry=Registry([*self._graph.events, *types]),
            options=RunOptions(
                input_handler=input_handler, history=history, observers=tuple(observers)
            ),
        )

    def __repr__(self) -> str:
        return f"<Workflow {self.name!r}, {len(self._graph.steps)} steps>"

    @property
    def name(self) -> str:
        """The workflow's name."""
        return self._graph.name

    @property
    def graph(self) -> Graph:
        """The steps and the events between them, as data; it can draw itself."""
        return self._graph

    # ---- running -------------------------------------------------------------------------------

    async def run(
        self,
        event: Event | None = None,
        /,
        *,
        run_id: str | None = None,
        store: Store | None = None,
        durability: Durability = "sync",
        input_handler: InputHandler | None = None,
        resources: Replacements | None = None,
        **fields: Any,
    ) -> R:
        """Run to the end and return the result.

        With a store, a run of this id that is there already is not begun again: if it has completed
        its result is returned; otherwise it goes on from where it was.

        Args:
            event: what starts the run. Without it, the keyword arguments fill the one start event
                type that the workflow accepts, or else ``StartEvent.data``.
            run_id: a name of one's own for the run; by default a UUIDv7.
            store: keeps the run, so that it survives a crash; see :class:`Store`.
            durability: ``"sync"`` acts on what a step emitted when it is stored; ``"async"`` at
                once, and stores it soon.
            input_handler: instead of the workflow's.
            resources: what to use instead, by the opener of a resource: a value, or a ``Resource``
                with another opener. For tests.
            fields: see ``event``.

        Raises:
            TypeError: ``event`` and ``fields`` do not fit; nothing has run.
            NoHandlerError: no step accepts ``event``; nothing has run.
            StepFailedError: a step failed, raised from its own exception.
            InputRequiredError: a human has to answer and there is no ``input_handler``.
            RunSuspendedError: the run idles for events from outside, which nobody can send.
            RunBusyError: the store has the run, and somebody executes it.
            StoreError: the store failed; the run can be resumed.
            WorkflowError: see the error tree.
        """
        first = self._launcher.first_event(event, fields)
        stored = self._stored_or_not(store, durability)
        given = Given(input_handler=input_handler, resources=resources or {})
        runner = await self._begin(checked_run_id(run_id), first, stored, given)
        runner.machine.close(runner.clock())
        await runner.drive()
        try:
            return cast("R", outcome_of(runner))
        finally:
            runner.dissolve()

    def run_sync(
        self,
        event: Event | None = None,
        /,
        *,
        run_id: str | None = None,
        store: Store | None = None,
        durability: Durability = "sync",
        input_handler: InputHandler | None = None,
        resources: Replacements | None = None,
        backend: Literal["asyncio", "trio"] = "asyncio",
        **fields: Any,
    ) -> R:
        """Run to the end from plain synchronous code; the other arguments are those of `run`.

        It has an event loop of its own: in this thread; or, if one is running here already (in a
        notebook, or in a function that async code has called), in a fresh thread, and the loop
        here stands still until the run has ended. Ctrl-C cancels the run and is raised when it has
        cleaned up. A store is opened for the run and closed after it; so are the resources of scope
        ``"workflow"``.

        Args:
            event, run_id, store, durability, input_handler, resources, fields: as in :meth:`run`;
                a store that is open already can't be used here.
            backend: the kind of event loop.

        Raises:
            LookupError: the backend is not installed.
            KeyboardInterrupt: Ctrl-C.
            WorkflowError: and the rest, as in :meth:`run`.

        Example::

            answer = greeting.run_sync(name="Ada")
        """
        first = self._launcher.first_event(event, fields)

        async def run() -> R:
            async with AsyncExitStack() as stack:
                if store is not None:
                    await stack.enter_async_context(store)
                if self._launcher.shares_resources:
                    await stack.enter_async_context(self)
                return await self.run(
                    first,
                    run_id=run_id,
                    store=store,
                    durability=durability,
                    input_handler=input_handler,
                    resources=resources,
                )

        from ._blocking import run_blocking  # nobody else pays for its imports

        return run_blocking(run, backend)

    def start(
        self,
        event: Event | None = None,
        /,
        *,
        run_id: str | None = None,
        store: Store | None = None,
        durability: Durability = "sync",
        input_handler: InputHandler | None = None,
        resources: Replacements | None = None,
        **fields: Any,
    ) -> Run[R]:
        """Make a run to be entered with ``async with``; see :class:`Run`. Arguments as in `run`.

        Raises:
            TypeError: ``event`` and ``fields`` do not fit.
            NoHandlerError: no step accepts ``event``.
        """
        first = self._launcher.first_event(event, fields)
        stored = self._stored_or_not(store, durability)
        given = Given(input_handler=input_handler, resources=resources or {})
        id = checked_run_id(run_id)
        return Run(id, partial(self._begin, id, first, stored, given))

    def resume(
        self,
        snapshot: Snapshot,
        *,
        responses: Mapping[str, Any] | None = None,
        renames: Mapping[str, str] | None = None,
        store: Store | None = None,
        durability: Durability = "sync",
        input_handler: InputHandler | None = None,
        resources: Replacements | None = None,
    ) -> Run[R]:
        """Go on from a snapshot, with the same run id; like :meth:`start`.

        Args:
            snapshot: of a run of this workflow.
            responses: answers to the snapshot's open requests, by ``request_id``.
            renames: old to new names of steps, event types, other classes, enums and workflows,
                those of child runs too.
            store: keeps the run from now on; it must not have one of this id.
            durability: as in :meth:`run`.
            input_handler: instead of the workflow's.
            resources: as in :meth:`run`.

        Raises:
            TypeError: ``snapshot`` is none; text is read with ``Snapshot.from_json``.
            SnapshotError: on entering: the snapshot does not fit this workflow; every unknown step
                and type is listed.
            UnknownRequestError: on entering: a response to a request that is not open.
            StoreError: on entering: the store has a run of this id, or failed.
        """
        self._check_snapshot(snapshot)
        changes = Changes(renames=renames or {}, responses=responses or {})
        stored = self._stored_or_not(store, durability, changes)
        given = Given(input_handler=input_handler, resources=resources or {})
        return Run(snapshot.run_id, partial(self._resume, snapshot, changes, stored, given))

    # ---- stored runs ---------------------------------------------------------------------------

    def resume_from(
        self,
        store: Store,
        run_id: str,
        *,
        responses: Mapping[str, Any] | None = None,
        renames: Mapping[str, str] | None = None,
        migrate: Migration | None = None,
        durability: Durability = "sync",
        input_handler: InputHandler | None = None,
        resources: Replacements | None = None,
    ) -> Run[R]:
        """Go on with a stored run that nobody executes; like :meth:`start`.

        One that has failed, or was cancelled, goes on from what it had not handled. One that has
        completed gives its result.

        Args:
            store: keeps the run.
            run_id: its id.
            responses: answers to its open requests, by ``request_id``.
            renames: as in :meth:`resume`. The names in the store are new ones from then on, those
                of a child run when it goes on.
            migrate: gets the run as plain data, as a snapshot writes it, and returns it as it
                should be.
            durability, input_handler, resources: as in :meth:`run`.

        Raises:
            SnapshotError: on entering: the run does not fit this workflow; nothing has changed in
                the store.
            RunBusyError: on entering: somebody executes it.
            UnknownRequestError: on entering: a response to a request that is not open.
            StoreError: on entering: there is no such run, a record was altered, or the store
                failed.
        """
        changes = Changes(renames=renames or {}, migrate=migrate, responses=responses or {})
        stored = self._stored(store, durability, changes)
        given = Given(input_handler=input_handler, resources=resources or {})
        id = checked_run_id(run_id)
        return Run(id, partial(stored.take_up, id, given))

    async def recover(
        self,
        store: Store,
        *,
        max_runs: int = 10,
        renames: Mapping[str, str] | None = None,
        migrate: Migration | None = None,
        durability: Durability = "sync",
        input_handler: InputHandler | None = None,
        resources: Replacements | None = None,
    ) -> list[RecoveredRun[R]]:
        """Take up all unfinished runs of this workflow and run them to their ends.

        Those that failed or were cancelled are finished; :meth:`resume_from` takes one up all the
        same. What somebody executes is left alone. One run's failure is no other's.

        Args:
            store: keeps the runs.
            max_runs: how many run at a time.
            renames, migrate: as in :meth:`resume_from`.
            durability, input_handler, resources: as in :meth:`run`.

        Returns:
            How each has ended, the oldest first.

        Raises:
            StoreError: the store could not be searched.
        """
        from ._run._recovery import run_each  # nobody else pays for its imports

        check_count("max_runs", max_runs)
        changes = Changes(renames=renames or {}, migrate=migrate, only_unfinished=True)
        stored = self._stored(store, durability, changes)
        given = Given(input_handler=input_handler, resources=resources or {})
        runs = [run.run_id for run in await stored.unfinished()]
        return await run_each(runs, lambda run_id: stored.take_up(run_id, given), max_runs)

    def fork(
        self,
        store: Store,
        run_id: str,
        *,
        at: int,
        new_run_id: str | None = None,
        renames: Mapping[str, str] | None = None,
        migrate: Migration | None = None,
        durability: Durability = "sync",
        input_handler: InputHandler | None = None,
        resources: Replacements | None = None,
    ) -> Run[R]:
        """Begin a new stored run with what another was after one of its commits.

        Args:
            store: keeps the run, and a log of it (``keep_log=True``).
            run_id: of the run to begin from; it is not touched.
            at: the sequence of the commit; see ``store.history(run_id)``.
            new_run_id: of the new run; by default a UUIDv7.
            renames, migrate: as in :meth:`resume_from`.
            durability, input_handler, resources: as in :meth:`run`.

        Raises:
            StoreError: on entering: there is no log up to there, the run had completed by then, or
                the store failed.
            SnapshotError: on entering: what the run was does not fit this workflow.
        """
        changes = Changes(renames=renames or {}, migrate=migrate)
        stored = self._stored(store, durability, changes)
        given = Given(input_handler=input_handler, resources=resources or {})
        check_count("at=", at)
        source, id = checked_run_id(run_id), checked_run_id(new_run_id)
        return Run(id, partial(stored.fork, source, at, id, given))

    async def send_to(self, store: Store, run_id: str, event: Event) -> None:
        """Give an event from outside to a stored run that nobody executes; it is not executed.

        The event is in the store when this returns. The run handles it when it is resumed.

        Args:
            store: keeps the run.
            run_id: its id.
            event: as for ``run.send_event``.

        Raises:
            NoHandlerError: no step accepts it.
            UnknownRequestError: it answers a request that is not open.
            WorkflowFullError: a step that accepts it has ``max_pending`` deliveries waiting.
            StateValueError: it can't be stored.
            RunBusyError: somebody executes the run, and only who does can give it an event.
            RunEndedError: the run has ended.
            StoreError: there is no such run, a record was altered, or the store failed.
        """
        if not isinstance(event, Event):
            raise TypeError(f"send_to takes an event, not {type(event).__qualname__}")
        stored = self._stored(store, changes=Changes(only_unfinished=True))
        await stored.apply(checked_run_id(run_id), lambda runner: runner.send_from_outside(event))

    async def respond_to(self, store: Store, run_id: str, request_id: str, response: Any) -> None:
        """Answer a request of a stored run that nobody executes; it is not executed.

        The answer is in the store when this returns. The run goes on with it when it is resumed.

        Args:
            store: keeps the run.
            run_id: its id.
            request_id: of one of its open requests.
            response: as for ``run.respond_to_input``.

        Raises:
            UnknownRequestError: no such request is open; ``reason`` says why.
            StateValueError: the answer can't be stored.
            RunBusyError: somebody executes the run, and only who does can answer.
            RunEndedError: the run has ended.
            StoreError: there is no such run, a record was altered, or the store failed.
        """
        changes = Changes(responses={request_id: response}, only_unfinished=True)
        stored = self._stored(store, changes=changes)
        await stored.apply(checked_run_id(run_id), lambda runner: None)

    async def check(
        self,
        store: Store,
        *,
        renames: Mapping[str, str] | None = None,
        migrate: Migration | None = None,
    ) -> list[StoredMisfit]:
        """Find the stored runs of this workflow that would not resume, before a deployment.

        Args:
            store: keeps the runs.
            renames, migrate: as :meth:`resume_from` will get them.

        Returns:
            Those that could go on and would not, each with the reason.

        Raises:
            StoreError: the store failed.
        """
        changes = Changes(renames=renames or {}, migrate=migrate)
        return await self._stored(store, changes=changes).misfits()

    async def __aenter__(self) -> Workflow[R]:
        """Begin to share resources of scope ``"workflow"`` between runs."""
        if self._launcher.hosts is not None:
            raise RuntimeError(f"workflow {self.name!r} has been entered already")
        self._launcher.hosts = Hosts("workflow", self._graph.openers, {})
        await self._launcher.hosts.__aenter__()
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Close the shared resources, after the runs that use them have ended."""
        hosts, self._launcher.hosts = self._launcher.hosts, None
        assert hosts is not None
        try:
            await hosts.__aexit__(exc_type, exc, traceback)
        finally:
            for error in hosts.errors:
                logger.error("workflow %s: a resource failed", self.name, exc_info=error)

    def as_step(
        self,
        *,
        accepts: type[A],
        emits: type[D],
        result: Callable[[R], D],
        start: Callable[[A], Event] | None = None,
        name: str | None = None,
        max_concurrency: int | None = None,
        timeout: float | None = None,
        retry: Retry | None = None,
    ) -> StepFunction[[A, Context], Awaitable[D]]:
        """Make a step that runs this workflow as a child.

        Args:
            accepts: the event type that the step takes.
            emits: the event type that it returns.
            result: makes that event of the child's result.
            start: makes the child's first event of what the step has got; by default that itself.
            name: of the step; by default the workflow's.
            max_concurrency, timeout, retry: as for ``@step``.

        Example::

            score = scoring.as_step(
                accepts=Essay, emits=Scored, result=lambda points: Scored(points)
            )
        """

        async def run_child(ev: A, ctx: Context) -> D:
            return result(await ctx.run_workflow(self, ev if start is None else start(ev)))

        run_child.__annotations__ = {"ev": accepts, "ctx": Context, "return": emits}
        decorate = step(
            name=name or self.name,
            emits=[emits],
            max_concurrency=max_concurrency,
            timeout=timeout,
            retry=retry,
        )
        return decorate(run_child)

    # ---- inside other workflows ----------------------------------------------------------------

    def first_event(self, event: Event | None) -> Event:
        """The event that starts a child run; see ``ctx.run_workflow``.

        Raises:
            TypeError: ``event`` is no event.
            NoHandlerError: no step accepts it.
        """
        return self._launcher.first_event(event, {})

    def make_child(self, parent: Runner, record: Child, event: Event) -> Runner:
        """Make the runner of a child run; see :meth:`Launcher.child`."""
        return self._launcher.child(parent, record, event)

    def read_result(self, data: Any, renames: Mapping[str, str]) -> StopEvent:
        """Read the stop event of a run of this workflow, as it was written down.

        Raises:
            SnapshotError: it is not one, or of a class that is not known.
        """
        return self._launcher.stop_event(data, renames)

    # ---- inside --------------------------------------------------------------------------------

    async def _begin(
        self, run_id: str, event: Event, stored: StoredRuns | None, given: Given
    ) -> Runner:
        if stored is None:
            return self._launcher.begin(run_id, event, given)
        return await stored.begin(run_id, event, given)

    async def _resume(
        self, snapshot: Snapshot, changes: Changes, stored: StoredRuns | None, given: Given
    ) -> Runner:
        if stored is None:
            return self._launcher.resume(snapshot, changes, given)
        return await stored.adopt(snapshot, given)

    def _stored(
        self, store: Store, durability: Durability = "sync", changes: Changes | None = None
    ) -> StoredRuns:
        from ._durable import StoredRuns  # nobody else pays for its imports

        check_durability(durability)
        return StoredRuns(self._launcher, store, durability, changes)

    def _stored_or_not(
        self, store: Store | None, durability: Durability, changes: Changes | None = None
    ) -> StoredRuns | None:
        if store is not None:
            return self._stored(store, durability, changes)
        check_durability(durability)
        return None

    def _check_snapshot(self, snapshot: object) -> None:
        from ._snapshot import Snapshot  # nobody else pays for its imports

        if not isinstance(snapshot, Snapshot):
            raise TypeError(
                f"workflow {self.name!r} resumes from a Snapshot, not from "
                f"{type(snapshot).__qualname__}; read text with Snapshot.from_json"
            )


def _problems_of_runs(
    input_handler: object, lanes: object, history: object, observers: Sequence[object]
) -> list[str]:
    """Check the options that only runs use."""
    problems: list[str] = []
    if input_handler is not None and not callable(input_handler):
        problems.append(f"input_handler= takes a function of the request, not {input_handler!r}")
    if not isinstance(lanes, bool):
        problems.append(f"lanes= is True or False, not {lanes!r}")
    if observers:
        problems += _problems_of_observers(observers)
    if history is not None:
        try:
            check_count("history=", history, least=0)
        except (TypeError, ValueError) as error:
            problems.append(f"{error}, or None for all")
    return problems


def _problems_of_observers(observers: Sequence[object]) -> list[str]:
    from ._observer import Observer  # nobody else pays for its imports

    return [
        f"observers= takes instances of Observer, not {observer!r}"
        for observer in observers
        if not isinstance(observer, Observer)
    ]
