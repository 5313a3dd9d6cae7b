"""Launching: from a workflow and what a run is given to a runner that is ready to be driven.

The rule: everything that can be wrong with a start or a resume is found here, before a task is
started; and a run begins in the same way whether it is new, resumed, a child or stored.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any, cast

import anyio
import attrs

from ._codec import Registry
from ._events import Event, StartEvent, StopEvent
from ._exceptions import DefinitionError, NoHandlerError, SnapshotError, UnknownRequestError
from ._graph import Graph
from ._machine import Child, Machine, Sheets
from ._run import Body, Hosts, InputHandler, Runner, RunOptions

if TYPE_CHECKING:
    from ._codec import Codec
    from ._observer import Observer
    from ._run._scribe import Scribe
    from ._snapshot import Snapshot

__all__ = ["Changes", "Given", "Launcher", "Migration", "Replacements", "check_names"]

Replacements = Mapping[Callable[..., object], object]
Migration = Callable[[dict[str, Any]], dict[str, Any]]


def check_names(graph: Graph) -> None:
    """See to it that the names under which events are stored mean the same in every process.

    Raises:
        DefinitionError: they do not.
    """
    problems = [
        f"{kind.__qualname__} is stored as {kind.event_type!r}, which another process may not "
        f'know; name it: class {kind.__name__}(..., event_type="app.{kind.__name__}")'
        for kind in graph.events
        if kind.event_type == f"{kind.__module__}.{kind.__qualname__}"
        and (kind.__module__ == "__main__" or "<locals>" in kind.__qualname__)
    ]
    if problems:
        raise DefinitionError(f"workflow {graph.name!r}", problems)


def _is_mapping(instance: object, attribute: attrs.Attribute[Any], value: object) -> None:
    if not isinstance(value, Mapping):
        raise TypeError(f"{attribute.name}= takes a mapping, not {value!r}")


def _is_function(instance: object, attribute: attrs.Attribute[Any], value: object) -> None:
    if value is not None and not callable(value):
        raise TypeError(f"{attribute.name}= takes a function of the run's data, not {value!r}")


@attrs.frozen(kw_only=True, eq=False, repr=False)
class Changes:
    """How a run that goes on is brought to the code of today.

    Attributes:
        renames: old to new names of steps, event types, classes and workflows.
        migrate: gets the run as plain data and returns it as it should be.
        responses: answers to its open requests, by request id.
        only_unfinished: a run that has ended is not to be taken up.
    """

    renames: Mapping[str, str] = attrs.field(factory=dict[str, str], validator=_is_mapping)
    migrate: Migration | None = attrs.field(default=None, validator=_is_function)
    responses: Mapping[str, Any] = attrs.field(factory=dict[str, Any], validator=_is_mapping)
    only_unfinished: bool = False

    @property
    def rewrites(self) -> bool:
        """Whether the rows in a store are other rows from now on."""
        return bool(self.renames) or self.migrate is not None


@attrs.frozen(kw_only=True, eq=False, repr=False)
class Given:
    """What a run is given besides its event.

    Attributes:
        input_handler: instead of the workflow's.
        resources: what to use instead, by the opener of a resource.
        scribe: of a stored run.
        parent: the run around a child run.
        executes: whether steps will run; if not, there is nothing to open or to watch.
    """

    input_handler: InputHandler | None = None
    resources: Replacements = attrs.field(factory=dict[Callable[..., object], object])
    scribe: Scribe | None = None
    parent: Runner | None = None
    executes: bool = True

    @property
    def gated(self) -> bool:
        """Whether nothing a commit emits is acted on before it is durable."""
        return self.scribe is not None and self.scribe.gated


@attrs.define(slots=False, eq=False, repr=False)
class Launcher:
    """Makes the runners of one workflow's runs.

    Attributes:
        graph: the workflow.
        bodies: how to run each step.
        registry: knows the classes of the workflow.
        options: what each run is started with unless it is given others.
        hosts: the resources that runs share, while the workflow is entered.
    """

    graph: Graph
    bodies: tuple[Body, ...]
    registry: Registry
    options: RunOptions
    hosts: Hosts | None = None

    @cached_property
    def codec(self) -> Codec:
        """Copies, writes and reads the values of runs."""
        from ._codec import Codec  # a run that keeps no values does not pay for its imports

        return Codec.of(self.registry)

    @property
    def shares_resources(self) -> bool:
        """Whether the workflow has resources that its runs share."""
        needs = [step.parameters.resources for step in self.graph.steps]
        needs += [opener.needs for opener in self.graph.openers.values()]
        return any(resource.scope == "workflow" for each in needs for resource in each.values())

    # ---- new runs ------------------------------------------------------------------------------

    def begin(self, run_id: str, event: Event, given: Given) -> Runner:
        """Make the runner of a new run.

        Raises:
            StateValueError: the run is stored, and the event can't be.
        """
        stored = given.scribe is not None
        machine = Machine(self.graph.plan, run_id, gated=given.gated, journaled=stored)
        runner = self._runner(machine, given)
        runner.check_storable(event)
        machine.start(event, runner.clock())
        return runner

    def first_event(self, event: Event | None, fields: Mapping[str, Any]) -> Event:
        """The event that starts a run, made of what ``run`` was given.

        Raises:
            TypeError: they do not fit.
            NoHandlerError: no step accepts the event.
        """
        name = self.graph.name
        if event is None:
            event = self._start_event(fields)
        elif fields:
            raise TypeError(
                f"workflow {name!r}: give an event or its fields, not both ({', '.join(fields)})"
            )
        if not isinstance(event, Event):
            raise TypeError(
                f"workflow {name!r} starts with an event, not {type(event).__qualname__}; "
                "pass the fields of the start event as keyword arguments"
            )
        if not self.graph.plan.accepts(event):
            raise NoHandlerError(event, None)
        return event

    def _start_event(self, fields: Mapping[str, Any]) -> Event:
        kind = self.start_type()
        if kind is StartEvent:
            return StartEvent(data=dict(fields))
        names = [field.alias for field in attrs.fields(cast("Any", kind))]
        if hidden := [name for name in names if name in _OPTIONS]:
            raise TypeError(
                f"workflow {self.graph.name!r} starts with {kind.__qualname__}, whose field "
                f"{hidden[0]!r} is an option of run; pass the event itself"
            )
        try:
            return kind(**fields)
        except TypeError as error:
            known = ", ".join(names)
            raise TypeError(
                f"workflow {self.graph.name!r} starts with {kind.__qualname__}({known}): {error}"
            ) from error

    def start_type(self) -> type[Event]:
        """The type that keyword arguments fill: the one start event, else the one first event."""
        starts = [kind for kind in self.graph.starts if isinstance(kind, type)]
        typed = [kind for kind in starts if issubclass(kind, StartEvent)] or starts
        if len(typed) == 1:
            return typed[0]
        if StartEvent in typed or not typed:
            return StartEvent
        names = ", ".join(kind.__qualname__ for kind in typed)
        raise TypeError(f"workflow {self.graph.name!r} starts with one of {names}; pass one")

    # ---- runs that go on -----------------------------------------------------------------------

    def resume(
        self,
        snapshot: Snapshot,
        changes: Changes,
        given: Given,
    ) -> Runner:
        """Make the runner of a run that goes on from a snapshot, with answers to its requests.

        Raises:
            SnapshotError: the snapshot does not fit the workflow.
            UnknownRequestError: a response to a request that is not open.
        """
        known = {request.request_id for request in snapshot.requests}
        for request_id in changes.responses:
            if request_id not in known:
                raise UnknownRequestError(request_id, "unknown")
        runner = self.restore(snapshot, changes.renames, given)
        if given.scribe is not None and given.scribe.rewrites:
            given.scribe.adopt(runner)
        for request in snapshot.requests:
            if request.request_id in changes.responses:
                runner.requests.respond(request.request_id, changes.responses[request.request_id])
        self._go_on(runner)
        return runner

    def restore(self, snapshot: Snapshot, renames: Mapping[str, str], given: Given) -> Runner:
        """Make the runner of a run as a snapshot describes it, and tell it nothing yet.

        Raises:
            SnapshotError: the snapshot does not fit the workflow.
        """
        machine = Machine.restore(
            self.graph.plan,
            snapshot.run_id,
            self.sheets(snapshot, renames),
            anyio.current_time(),
            gated=given.gated,
            journaled=given.scribe is not None,
        )
        runner = self._runner(machine, given)
        runner.children.renames = renames
        return runner

    def sheets(self, snapshot: Snapshot, renames: Mapping[str, str]) -> Sheets:
        """The sheets of a snapshot, for a machine of this workflow.

        Raises:
            SnapshotError: they do not fit the workflow; every unknown step and type is listed.
        """
        name = self.graph.name
        if renames.get(snapshot.workflow, snapshot.workflow) != name:
            raise SnapshotError(
                f"it is of workflow {snapshot.workflow!r}, not of {name!r}; if the workflow "
                "was renamed, pass renames={old: new}",
                "$.workflow",
            )
        return snapshot.sheets(
            self.codec,
            offset=self.options.wall() - anyio.current_time(),
            renames=renames,
            steps=[body.name for body in self.bodies],
        )

    def stop_event(self, data: Any, renames: Mapping[str, str]) -> StopEvent:
        """Read the stop event of a run of this workflow, as it was written down.

        Raises:
            SnapshotError: it is not one, or of a class that is not known.
        """
        event = self.codec.decode_event(data, "$.result", renames)
        if not isinstance(event, StopEvent):
            raise SnapshotError(f"expected a StopEvent, not {type(event).__qualname__}", "$.result")
        return event

    @staticmethod
    def _go_on(runner: Runner) -> None:
        if runner.watch is not None:
            runner.watch.resumed = True
        abandoned = runner.scribe is not None and runner.scribe.abandoned
        runner.machine.go_on(runner.clock(), abandoned=abandoned)

    # ---- runs inside others --------------------------------------------------------------------

    def child(self, parent: Runner, record: Child, event: Event) -> Runner:
        """Make the runner of a child run; see ``ctx.run_workflow``.

        Args:
            parent: the run around it.
            record: the child as the parent knows it, perhaps from a snapshot.
            event: what starts it, if it starts.

        Raises:
            SnapshotError: it comes from a snapshot that does not fit this workflow.
            DefinitionError: it is to be stored, and the names of its events do not last.
        """
        if parent.scribe is not None:
            check_names(self.graph)
        given = Given(
            input_handler=self.options.input_handler or parent.options.input_handler,
            resources=parent.replacements,
            scribe=parent.scribe,
            parent=parent,
        )
        if record.saved is None:
            run_id = f"{parent.machine.run_id}/{record.delivery}.{record.number}"
            runner = self.begin(run_id, event, given)
            runner.shelve(record)
            return runner
        from ._snapshot import Snapshot  # nobody else pays for its imports

        renames = parent.children.renames
        runner = self.restore(Snapshot.from_data(record.saved), renames, given)
        runner.shelve(record)
        if runner.scribe is not None and (renames or not runner.shelf.weights):
            runner.scribe.adopt(runner)
        self._go_on(runner)
        return runner

    # ---- inside --------------------------------------------------------------------------------

    def completed(self, machine: Machine, given: Given) -> Runner:
        """Make the runner of a run that has completed already."""
        return self._runner(machine, attrs.evolve(given, executes=False))

    def _runner(self, machine: Machine, given: Given) -> Runner:
        options, parent = self.options, given.parent
        if not given.executes:
            options = attrs.evolve(options, observers=())
        if given.input_handler is not None:
            options = attrs.evolve(options, input_handler=given.input_handler)
        if parent is not None:
            # Nobody could read the history of a child.
            options = attrs.evolve(
                options,
                history=0,
                random=parent.options.random,
                wall=parent.options.wall,
                conductor=parent.options.conductor,
                observers=_together(parent.options.observers, options.observers),
            )
        return Runner(
            machine,
            steps=self.bodies,
            find_codec=lambda: self.codec,
            options=options,
            hosts=self._run_hosts(given.resources, parent) if given.executes else None,
            replacements=given.resources,
            parent=parent,
            scribe=given.scribe,
        )

    def _run_hosts(self, replacements: Replacements, parent: Runner | None) -> Hosts | None:
        """Where the resources of one run live; none if its steps use none."""
        openers, name = self.graph.openers, self.graph.name
        unknown = [each for each in replacements if each not in openers]
        # A step with a context may run a child that has such a resource.
        has_children = any(step.parameters.context is not None for step in self.graph.steps)
        if unknown and not has_children and parent is None:
            raise TypeError(
                f"resources= of workflow {name!r} names what opens none of its resources: "
                f"{unknown[0]!r}"
            )
        if not openers:
            return None
        hosts = Hosts("run", openers, replacements, self.hosts)
        used = (each for step in self.graph.steps for each in step.parameters.resources.values())
        if homeless := hosts.homeless(used):
            raise DefinitionError(
                f"workflow {name!r}",
                [
                    f"resource {resource} has scope 'workflow'; run the workflow inside "
                    "`async with workflow:`, which closes it in the end"
                    for resource in homeless
                ],
            )
        return hosts


def _together(outer: tuple[Observer, ...], own: tuple[Observer, ...]) -> tuple[Observer, ...]:
    """The observers of a child run: an observer of both is told once."""
    return (*outer, *(each for each in own if all(each is not other for other in outer)))


_OPTIONS = frozenset({"backend", "run_id", "store", "durability", "input_handler", "resources"})
