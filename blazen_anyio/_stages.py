"""Stages: workflows that run one after another or side by side, as a workflow.

``pipeline`` only *builds* a workflow: a step for each stage, a fan-out and a gather for stages side
by side. All that a workflow can do (snapshots, requests, streams, limits, time-outs) comes with it.
The shape follows Blazen's pipelines.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from types import GenericAlias, new_class
from typing import Any, cast

import attrs

from ._context import Context
from ._events import Event, StartEvent, StopEvent
from ._exceptions import DefinitionError
from ._numbers import check_count
from ._steps import StepFunction, step
from ._workflow import Workflow

__all__ = ["Parallel", "Results", "Stage", "pipeline"]

Results = Mapping[str, Any]
"""The results so far: the pipeline's start event as ``"start"``, then each stage's by name."""


def _check_callable(instance: object, attribute: attrs.Attribute[Any], value: object) -> None:
    if value is not None and not callable(value):
        raise TypeError(
            f"Stage({attribute.name}=...) takes a function of the results, not {value!r}"
        )


def _check_max_runs(instance: object, attribute: attrs.Attribute[int], value: object) -> None:
    check_count("Stage(max_runs=...)", value)


@attrs.frozen
class Stage:
    """One workflow in a pipeline.

    Args:
        name: names its step and its result.
        workflow: what runs.
        input: makes its start event of the results so far; by default, the pipeline's own start
            event, or for a stage with a result before it a ``StartEvent`` whose data are the
            results.
        when: whether it runs; skipped, it has no result.
        again: whether it runs once more, asked after each run, with the latest result among the
            results.
        max_runs: how often it may run; with ``again`` at its bound the pipeline goes on.

    Raises:
        TypeError: ``workflow`` is none, ``input``, ``when`` or ``again`` no function, or
            ``max_runs`` no whole number.
        ValueError: ``max_runs`` is less than 1.
    """

    name: str
    workflow: Workflow[Any] = attrs.field(validator=attrs.validators.instance_of(Workflow))
    input: Callable[[Results], Event] | None = attrs.field(
        default=None, kw_only=True, validator=_check_callable
    )
    when: Callable[[Results], bool] | None = attrs.field(
        default=None, kw_only=True, validator=_check_callable
    )
    again: Callable[[Results], bool] | None = attrs.field(
        default=None, kw_only=True, validator=_check_callable
    )
    max_runs: int = attrs.field(default=10, kw_only=True, validator=_check_max_runs)

    def is_skipped(self, results: Results) -> bool:
        """Whether it does not run at all."""
        return self.when is not None and not self.when(results)

    async def run(self, results: Results, ctx: Context) -> Any:
        """Run its workflow, as often as it says, inside the step of ``ctx``."""
        runs = 0
        while True:
            result = await ctx.run_workflow(self.workflow, self._starts_with(results))
            runs += 1
            results = {**results, self.name: result}
            if self.again is None or runs == self.max_runs or not self.again(results):
                return result

    def _starts_with(self, results: Results) -> Event:
        if self.input is not None:
            return self.input(results)
        if len(results) == 1:
            start: Event = results["start"]
            return start
        return StartEvent(data=dict(results))


def _check_stages(instance: Parallel, attribute: attrs.Attribute[Any], value: object) -> None:
    stages = cast("Sequence[object]", value) if isinstance(value, Sequence) else (value,)
    for each in stages:
        if not isinstance(each, Stage):
            raise TypeError(f"Parallel {instance.name!r} takes Stage objects, not {each!r}")


@attrs.frozen
class Parallel:
    """Stages that run side by side. Its result is a mapping of theirs, by name.

    Args:
        name: names its result.
        stages: what runs; none sees a result of the others.
        max_concurrency: how many at a time; ``None`` for all.

    Raises:
        TypeError: ``stages`` holds something else.
    """

    name: str
    stages: Sequence[Stage] = attrs.field(validator=_check_stages)
    max_concurrency: int | None = attrs.field(default=None, kw_only=True)


class _Reached(Event):
    """The results so far, on their way to the next stage."""

    results: Mapping[str, Any]


class _Ran(Event):
    """The result of one stage among several side by side."""

    place: int
    ran: bool
    result: Any
    results: Mapping[str, Any]


class _Branch(Event):
    """The results so far, on their way to one of several stages side by side."""

    results: Mapping[str, Any]
    place: int


def pipeline(
    name: str,
    stages: Sequence[Stage | Parallel],
    *,
    timeout: float | None = None,
    max_concurrency: int | None = None,
    types: Sequence[type] = (),
) -> Workflow[dict[str, Any]]:
    """Build a workflow that runs stages one after another.

    Its start event, a ``StartEvent`` with the keyword arguments of ``run`` as data, is what the
    first stage starts with; ``run`` returns the results as a dictionary, by stage.

    Args:
        name: the workflow's.
        stages: in their order.
        timeout: seconds a run may be active.
        max_concurrency: how many stages may run at once.
        types: classes that results may hold, as for :class:`Workflow`; those of the stages' stop
            events are known. A stage that gets results of others lists their classes itself.

    Raises:
        DefinitionError: no stage, or two with one name.

    Example::

        publish = pipeline("publish", [Stage("draft", drafting), Stage("check", checking)])
        results = await publish.run(topic="tides")
    """
    _check(name, stages)
    builder = _Builder(name, len(stages))
    steps: list[StepFunction[..., Any]] = [builder.first()]
    for place, stage in enumerate(stages):
        steps += builder.steps_of(place, stage)
    known = dict.fromkeys((*types, *_results_of(stages)))
    return Workflow(
        name, steps, timeout=timeout, max_concurrency=max_concurrency, types=tuple(known)
    )


def _results_of(stages: Sequence[Stage | Parallel]) -> Iterator[type]:
    """The classes of results that the pipeline passes on, and so has to write down."""
    for stage in stages:
        if isinstance(stage, Parallel):
            yield from _results_of(stage.stages)
        elif stage.workflow.graph.stop is not StopEvent:
            yield stage.workflow.graph.stop


def _check(name: str, stages: Sequence[Stage | Parallel]) -> None:
    problems = [] if stages else ["it has no stages"]
    for stage in stages:
        if not isinstance(stage, (Stage, Parallel)):
            raise TypeError(f"pipeline {name!r} takes Stage and Parallel objects, not {stage!r}")
    seen = {"start"}
    for stage in stages:
        inner = stage.stages if isinstance(stage, Parallel) else ()
        if isinstance(stage, Parallel) and not inner:
            problems.append(f"parallel stage {stage.name!r} has no stages in it")
        for each in (stage, *inner):
            if each.name in seen:
                problems.append(f"two stages are called {each.name!r} ('start' is taken)")
            seen.add(each.name)
    if problems:
        raise DefinitionError(f"pipeline {name!r}", problems)


class _Builder:
    """Makes the steps of a pipeline, each place with event classes of its own."""

    def __init__(self, name: str, count: int) -> None:
        self._name = name
        self._reached = [self._event_class(_Reached, f"stage {place}") for place in range(count)]

    def _event_class(self, base: type[Event], what: str) -> type[Any]:
        event_type = f"blazen::pipeline/{self._name}/{what}"
        namespace = {"__module__": __name__}
        return new_class(
            base.__name__, (base,), {"event_type": event_type}, lambda body: body.update(namespace)
        )

    def first(self) -> StepFunction[..., Any]:
        """The step that takes the start event."""
        reached = self._reached[0]

        async def begin(event: StartEvent) -> Event:
            result: Event = reached({"start": event})
            return result

        return _step(begin, "start", StartEvent, reached)

    def _next(self, place: int, results: Results) -> Event:
        if place + 1 == len(self._reached):
            return StopEvent(
                result={key: value for key, value in results.items() if key != "start"}
            )
        event: Event = self._reached[place + 1](results)
        return event

    def _next_class(self, place: int) -> type[Event]:
        return StopEvent if place + 1 == len(self._reached) else self._reached[place + 1]

    def steps_of(self, place: int, stage: Stage | Parallel) -> list[StepFunction[..., Any]]:
        """The steps of the stage at a place."""
        if isinstance(stage, Stage):
            return [self._alone(place, stage)]
        return self._side_by_side(place, stage)

    def _alone(self, place: int, stage: Stage) -> StepFunction[..., Any]:
        async def run(event: _Reached, ctx: Context) -> Event:
            if stage.is_skipped(event.results):
                return self._next(place, event.results)
            result = await stage.run(event.results, ctx)
            return self._next(place, {**event.results, stage.name: result})

        return _step(run, stage.name, self._reached[place], self._next_class(place))

    def _side_by_side(self, place: int, parallel: Parallel) -> list[StepFunction[..., Any]]:
        reached = self._reached[place]
        branch = self._event_class(_Branch, f"branch of {place}")
        ran = self._event_class(_Ran, f"result in {place}")
        stages = parallel.stages

        async def split(event: _Reached) -> list[Event]:
            return [branch(event.results, number) for number in range(len(stages))]

        async def run(event: _Branch, ctx: Context) -> Event:
            stage = stages[event.place]
            runs = not stage.is_skipped(event.results)
            result = await stage.run(event.results, ctx) if runs else None
            done: Event = ran(event.place, runs, result, event.results)
            return done

        async def join(parts: list[_Ran]) -> Event:
            inner = {stages[each.place].name: each.result for each in parts if each.ran}
            return self._next(place, {**parts[0].results, parallel.name: inner})

        limit = parallel.max_concurrency
        return [
            _step(split, f"{parallel.name}: split", reached, _list_of(branch)),
            _step(run, f"{parallel.name}: run", branch, ran, max_concurrency=limit),
            _step(join, parallel.name, _list_of(ran), self._next_class(place)),
        ]


def _list_of(kind: type[Event]) -> object:
    """The annotation ``list[kind]``, of a class that is only known now."""
    return GenericAlias(list, (kind,))


def _step(
    fn: Callable[..., Awaitable[Any]],
    name: str,
    accepts: object,
    emits: object,
    max_concurrency: int | None = None,
) -> StepFunction[..., Any]:
    """Make a step of a function whose event types are only known now."""
    first, *context = fn.__code__.co_varnames[: fn.__code__.co_argcount]
    fn.__annotations__ = {first: accepts, "return": emits}
    for parameter in context:
        fn.__annotations__[parameter] = Context
    made: StepFunction[..., Any] = step(name=name, max_concurrency=max_concurrency)(fn)
    return made
