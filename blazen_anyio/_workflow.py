"""Workflows: the public definition, and the ways to run it."""

from __future__ import annotations

import logging
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from types import TracebackType
from typing import Any, Generic, Literal, TypeVar, cast, overload

import anyio
import attrs

from ._codec import Codec
from ._context import Context
from ._events import Event, StartEvent, StopEvent
from ._exceptions import DefinitionError, NoHandlerError, SnapshotError, UnknownRequestError
from ._graph import Graph, build
from ._machine import Child, Machine
from ._numbers import check_count
from ._retry import Retry
from ._run import Body, Hosts, InputHandler, Run, Runner, RunOptions, outcome_of
from ._run_ids import checked_run_id
from ._snapshot import Snapshot
from ._steps import StepFunction, step

__all__ = ["Workflow"]

logger = logging.getLogger("blazen_anyio")

Replacements = Mapping[Callable[..., object], object]
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
    ) -> None:
        self._graph = build(
            name,
            steps,
            problems=_problems_of_runs(input_handler, lanes, history),
            stop=StopEvent if stop is None else stop,
            timeout=timeout,
            max_concurrency=max_concurrency,
            retry=retry,
            external=external,
            on_unhandled=on_unhandled,
            max_recoveries=max_recoveries,
            types=types,
        )
        self._bodies = tuple(Body.of(step, lanes=lanes) for step in self._graph.steps)
        self._options = RunOptions(input_handler=input_handler, history=history)
        self._codec = Codec(self._graph.events, types)
        self._hosts: Hosts | None = None

    def __repr__(self) -> str:
        return f"<Workflow {self.name!r}, {len(self._bodies)} steps>"

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
        input_handler: InputHandler | None = None,
        resources: Replacements | None = None,
        **fields: Any,
    ) -> R:
        """Run to the end and return the result.

        Args:
            event: what starts the run. Without it, the keyword arguments fill the one start event
                type that the workflow accepts, or else ``StartEvent.data``.
            run_id: a name of one's own for the run; by default a UUIDv7.
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
            WorkflowError: see the error tree.
        """
        first = self._first_event(event, fields)
        runner = self._runner(checked_run_id(run_id), first, input_handler, resources)
        runner.machine.close(runner.clock())
        await runner.drive()
        return cast("R", outcome_of(runner))

    def start(
        self,
        event: Event | None = None,
        /,
        *,
        run_id: str | None = None,
        input_handler: InputHandler | None = None,
        resources: Replacements | None = None,
        **fields: Any,
    ) -> Run[R]:
        """Make a run to be entered with ``async with``; see :class:`Run`. Arguments as in `run`.

        Raises:
            TypeError: ``event`` and ``fields`` do not fit.
            NoHandlerError: no step accepts ``event``.
        """
        first = self._first_event(event, fields)
        id = checked_run_id(run_id)
        return Run(id, partial(self._runner, id, first, input_handler, resources))

    def resume(
        self,
        snapshot: Snapshot,
        *,
        responses: Mapping[str, Any] | None = None,
        renames: Mapping[str, str] | None = None,
        input_handler: InputHandler | None = None,
        resources: Replacements | None = None,
    ) -> Run[R]:
        """Go on from a snapshot, with the same run id; like :meth:`start`.

        Args:
            snapshot: of a run of this workflow.
            responses: answers to the snapshot's open requests, by ``request_id``.
            renames: old to new names of steps, event types, other classes, enums and workflows,
                those of child runs too.
            input_handler: instead of the workflow's.
            resources: as in :meth:`run`.

        Raises:
            TypeError: ``snapshot`` is none; text is read with ``Snapshot.from_json``.
            SnapshotError: on entering: the snapshot does not fit this workflow; every unknown step
                and type is listed.
            UnknownRequestError: on entering: a response to a request that is not open.
        """
        self._check_snapshot(snapshot)
        resumed = partial(
            self._resumed, snapshot, responses or {}, renames or {}, input_handler, resources
        )
        return Run(snapshot.run_id, resumed)

    async def __aenter__(self) -> Workflow[R]:
        """Begin to share resources of scope ``"workflow"`` between runs."""
        if self._hosts is not None:
            raise RuntimeError(f"workflow {self.name!r} has been entered already")
        self._hosts = Hosts("workflow", self._graph.openers, {})
        await self._hosts.__aenter__()
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Close the shared resources, after the runs that use them have ended."""
        hosts, self._hosts = self._hosts, None
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
        return self._first_event(event, {})

    def make_child(self, parent: Runner, record: Child, event: Event) -> Runner:
        """Make the runner of a child run; see ``ctx.run_workflow``.

        Args:
            parent: the run around it.
            record: the child as the parent knows it, perhaps from a snapshot.
            event: what starts it, if it starts.

        Raises:
            SnapshotError: it comes from a snapshot that does not fit this workflow.
        """
        replacements = parent.replacements
        run_id = f"{parent.machine.run_id}/{record.delivery}.{record.number}"
        handler = self._options.input_handler or parent.options.input_handler
        if record.saved is not None:
            snapshot = Snapshot.from_data(record.saved)
            renames = parent.children.renames
            runner = self._restored(snapshot, renames, handler, replacements, parent)
            runner.machine.go_on(runner.clock())
            return runner
        return self._runner(run_id, event, handler, replacements, parent)

    # ---- inside --------------------------------------------------------------------------------

    def _runner(
        self,
        run_id: str,
        event: Event,
        input_handler: InputHandler | None,
        resources: Replacements | None,
        parent: Runner | None = None,
    ) -> Runner:
        machine = Machine(self._graph.plan, run_id)
        runner = self._make_runner(machine, input_handler, resources, parent)
        machine.start(event, runner.clock())
        return runner

    def _resumed(
        self,
        snapshot: Snapshot,
        responses: Mapping[str, Any],
        renames: Mapping[str, str],
        input_handler: InputHandler | None,
        resources: Replacements | None,
    ) -> Runner:
        known = {request.request_id for request in snapshot.requests}
        for request_id in responses:
            if request_id not in known:
                raise UnknownRequestError(request_id, "unknown")
        runner = self._restored(snapshot, renames, input_handler, resources, None)
        for request in snapshot.requests:
            if request.request_id in responses:
                runner.requests.respond(request.request_id, responses[request.request_id])
        runner.machine.go_on(runner.clock())
        return runner

    def _restored(
        self,
        snapshot: Snapshot,
        renames: Mapping[str, str],
        input_handler: InputHandler | None,
        resources: Replacements | None,
        parent: Runner | None,
    ) -> Runner:
        if renames.get(snapshot.workflow, snapshot.workflow) != self.name:
            raise SnapshotError(
                f"it is of workflow {snapshot.workflow!r}, not of {self.name!r}; if the workflow "
                "was renamed, pass renames={old: new}",
                "$.workflow",
            )
        now = anyio.current_time()
        tables = snapshot.tables(
            self._codec,
            offset=time.time() - now,
            renames=renames,
            steps=[body.name for body in self._bodies],
        )
        machine = Machine.restore(self._graph.plan, snapshot.run_id, tables, now)
        runner = self._make_runner(machine, input_handler, resources, parent)
        runner.children.renames = renames
        return runner

    def _make_runner(
        self,
        machine: Machine,
        input_handler: InputHandler | None,
        resources: Replacements | None,
        parent: Runner | None,
    ) -> Runner:
        options = self._options
        if input_handler is not None:
            options = attrs.evolve(options, input_handler=input_handler)
        if parent is not None:
            options = attrs.evolve(options, history=0)  # nobody could read it
        return Runner(
            machine,
            steps=self._bodies,
            codec=self._codec,
            options=options,
            hosts=self._run_hosts(resources or {}, parent),
            replacements=resources or {},
            parent=parent,
        )

    def _run_hosts(self, replacements: Replacements, parent: Runner | None) -> Hosts | None:
        """Where the resources of one run live; none if its steps use none."""
        openers = self._graph.openers
        unknown = [each for each in replacements if each not in openers]
        # A step with a context may run a child that has such a resource.
        has_children = any(step.parameters.context is not None for step in self._graph.steps)
        if unknown and not has_children and parent is None:
            raise TypeError(
                f"resources= of workflow {self.name!r} names what opens none of its resources: "
                f"{unknown[0]!r}"
            )
        if not openers:
            return None
        hosts = Hosts("run", openers, replacements, self._hosts)
        used = (each for step in self._graph.steps for each in step.parameters.resources.values())
        if homeless := hosts.homeless(used):
            raise DefinitionError(
                f"workflow {self.name!r}",
                [
                    f"resource {name} has scope 'workflow'; run the workflow inside "
                    "`async with workflow:`, which closes it in the end"
                    for name in homeless
                ],
            )
        return hosts

    def _check_snapshot(self, snapshot: object) -> None:
        if not isinstance(snapshot, Snapshot):
            raise TypeError(
                f"workflow {self.name!r} resumes from a Snapshot, not from "
                f"{type(snapshot).__qualname__}; read text with Snapshot.from_json"
            )

    def _first_event(self, event: Event | None, fields: Mapping[str, Any]) -> Event:
        """The event that starts a run, made of what ``run`` was given."""
        if event is None:
            event = self._start_event(fields)
        elif fields:
            raise TypeError(
                f"workflow {self.name!r}: give an event or its fields, not both "
                f"({', '.join(fields)})"
            )
        if not isinstance(event, Event):
            raise TypeError(
                f"workflow {self.name!r} starts with an event, not {type(event).__qualname__}; "
                "pass the fields of the start event as keyword arguments"
            )
        if not self._graph.plan.accepts(event):
            raise NoHandlerError(event, None)
        return event

    def _start_event(self, fields: Mapping[str, Any]) -> Event:
        kind = self._start_type()
        if kind is StartEvent:
            return StartEvent(data=dict(fields))
        names = [field.alias for field in attrs.fields(cast("Any", kind))]
        if hidden := [name for name in names if name in _OPTIONS]:
            raise TypeError(
                f"workflow {self.name!r} starts with {kind.__qualname__}, whose field "
                f"{hidden[0]!r} is an option of run; pass the event itself"
            )
        try:
            return kind(**fields)
        except TypeError as error:
            known = ", ".join(names)
            raise TypeError(
                f"workflow {self.name!r} starts with {kind.__qualname__}({known}): {error}"
            ) from error

    def _start_type(self) -> type[Event]:
        """The type that keyword arguments fill: the one start event, else the one first event."""
        starts = [kind for kind in self._graph.starts if isinstance(kind, type)]
        typed = [kind for kind in starts if issubclass(kind, StartEvent)] or starts
        if len(typed) == 1:
            return typed[0]
        if StartEvent in typed or not typed:
            return StartEvent
        names = ", ".join(kind.__qualname__ for kind in typed)
        raise TypeError(f"workflow {self.name!r} starts with one of {names}; pass one of them")


_OPTIONS = frozenset({"run_id", "input_handler", "resources"})


def _problems_of_runs(input_handler: object, lanes: object, history: object) -> list[str]:
    """Check the options that only runs use."""
    problems: list[str] = []
    if input_handler is not None and not callable(input_handler):
        problems.append(f"input_handler= takes a function of the request, not {input_handler!r}")
    if not isinstance(lanes, bool):
        problems.append(f"lanes= is True or False, not {lanes!r}")
    if history is not None:
        try:
            check_count("history=", history, least=0)
        except (TypeError, ValueError) as error:
            problems.append(f"{error}, or None for all")
    return problems
