"""Graph: from a list of steps to a checked :class:`Plan`, and to a picture.

The steps are read first, one by one; only if all are sound is the workflow checked as a whole,
since a missing step would make every other look wrong. All problems come in one error.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, cast, get_args

import attrs

from ._annotations import is_event
from ._checks import Draft, find_problems, reach, start_kinds
from ._events import (
    DynamicEvent,
    Event,
    InputRequestEvent,
    InputResponseEvent,
    LifecycleEvent,
    StartEvent,
    StepFailed,
    StopEvent,
)
from ._exceptions import DefinitionError
from ._fan_in import bind_gathers
from ._flow import Flow
from ._lineup import Lineup, read_steps
from ._machine.plan import Plan, StepPlan
from ._openers import Opener, read_openers
from ._options import (
    EventKind,
    problem_of_count,
    problem_of_name,
    problem_of_retry,
    problem_of_seconds,
)
from ._retry import Retry
from ._step import Step
from ._steps import StepFunction

if TYPE_CHECKING:
    # Most runs are never drawn.
    from ._drawing import Edge, Node, RunCounts

__all__ = ["Graph", "OnUnhandled", "build"]

OnUnhandled = Literal["error", "ignore"]

_BUILT_IN: tuple[type[Event], ...] = (
    Event,
    StartEvent,
    StopEvent,
    InputRequestEvent,
    InputResponseEvent,
    DynamicEvent,
    StepFailed,
    LifecycleEvent,
)


@attrs.frozen(kw_only=True, eq=False)
class Graph:
    """A checked workflow: what the engine executes, and what can be looked at.

    Attributes:
        name: the workflow's.
        steps: in the order of the workflow's list; the workflow's retry policy is filled in.
        plan: what the machine executes.
        starts: the event types that may start a run; a string names a dynamic type.
        stop: the stop event.
        flow: where events may go, as far as declared.
        events: all event classes that the steps and the workflow name, the built-in ones included.
        openers: what opens the resources of the steps, and what these need themselves.
    """

    name: str
    steps: tuple[Step, ...]
    plan: Plan
    starts: tuple[EventKind, ...]
    stop: type[StopEvent]
    events: tuple[type[Event], ...]
    openers: Mapping[Callable[..., object], Opener] = attrs.field(repr=False)
    flow: Flow = attrs.field(repr=False)

    @property
    def nodes(self) -> tuple[Node, ...]:
        """The steps, and the places where events come from and end."""
        from ._drawing import find_nodes

        return find_nodes(self.flow, self.starts, self.plan.external)

    @property
    def edges(self) -> tuple[Edge, ...]:
        """The ways that events may take, as far as they are declared."""
        from ._drawing import find_edges

        return find_edges(self.flow, self.starts, self.plan.external)

    def as_dict(self) -> dict[str, Any]:
        """Return the graph as plain data, ready for JSON."""
        return {
            "name": self.name,
            "nodes": [attrs.asdict(node) for node in self.nodes],
            "edges": [attrs.asdict(edge) for edge in self.edges],
        }

    def to_mermaid(self, annotations: Mapping[str, str] | RunCounts | None = None) -> str:
        """Draw the graph as a Mermaid flow chart.

        Args:
            annotations: what to write below the name of a step, by that name; or what
                ``run.statistics()`` returns, for the counts of a run and a colour for each state.
        """
        from ._drawing import draw_mermaid

        return draw_mermaid(self.nodes, self.edges, annotations or {})

    def to_dot(self, annotations: Mapping[str, str] | RunCounts | None = None) -> str:
        """Draw the graph for Graphviz.

        Args:
            annotations: as for :meth:`to_mermaid`.
        """
        from ._drawing import draw_dot

        return draw_dot(self.nodes, self.edges, annotations or {})


@attrs.frozen(kw_only=True, eq=False, repr=False)
class _Settings:
    name: str
    stop: type[StopEvent]
    timeout: float | None
    max_concurrency: int | None
    retry: Retry | None
    external: Sequence[type[Event]]
    on_unhandled: OnUnhandled
    max_recoveries: int
    max_deliveries: int | None
    types: Sequence[type]


def build(
    name: str,
    steps: Iterable[StepFunction[..., object]],
    *,
    stop: type[StopEvent] = StopEvent,
    timeout: float | None = None,
    max_concurrency: int | None = None,
    retry: Retry | None = None,
    external: Sequence[type[Event]] = (),
    on_unhandled: OnUnhandled = "error",
    max_recoveries: int = 100,
    max_deliveries: int | None = 10,
    types: Sequence[type] = (),
    problems: Sequence[str] = (),
) -> Graph:
    """Check a workflow and make its plan.

    Args:
        name: the workflow's.
        steps: what ``@step`` made; their order is the order of dispatch.
        stop: the stop event; what the steps emit to end the run is of this class.
        timeout: seconds that a run may be active; by default no limit.
        max_concurrency: how many steps may run at once; by default no limit.
        retry: the policy of the steps that have none.
        external: the event classes that may come from outside while the run idles.
        on_unhandled: what an event that nobody accepts is: ``"error"``, or to ``"ignore"``.
        max_recoveries: how many failures in one line of causes error steps may handle.
        max_deliveries: how often an event may be handed to a step in processes that died.
        types: classes that state and fields may hold; event classes among them are known, too.
        problems: what the caller has found wrong already, to be told with the rest.

    Raises:
        DefinitionError: the workflow can't work as it is; every problem is listed.
    """
    settings = _Settings(
        name=name,
        stop=stop,
        timeout=timeout,
        max_concurrency=max_concurrency,
        retry=retry,
        external=external,
        on_unhandled=on_unhandled,
        max_recoveries=max_recoveries,
        max_deliveries=max_deliveries,
        types=types,
    )
    lineup = read_steps(steps)
    problems = [*_problems_of_settings(settings), *problems, *lineup.problems]
    if not problems:
        draft, problems = _draft(settings, lineup)
        if not problems:
            return _graph(settings, lineup, draft)
    raise DefinitionError(f"workflow {name!r}", list(dict.fromkeys(problems)))


def _problems_of_settings(settings: _Settings) -> list[str]:
    checks = (
        problem_of_name(settings.name),
        problem_of_seconds("timeout", settings.timeout),
        problem_of_count("max_concurrency", settings.max_concurrency),
        problem_of_count("max_recoveries", settings.max_recoveries, optional=False),
        _problem_of_deliveries(settings.max_deliveries),
        problem_of_retry(settings.retry),
        _problem_of_stop(settings.stop),
        _problem_of_classes("external", settings.external, "event classes", is_event),
        _problem_of_classes(
            "types", settings.types, "classes", lambda each: isinstance(each, type)
        ),
        None
        if settings.on_unhandled in get_args(OnUnhandled)
        else f"on_unhandled= is 'error' or 'ignore', not {settings.on_unhandled!r}",
    )
    return [problem for problem in checks if problem is not None]


def _problem_of_stop(stop: object) -> str | None:
    if is_event(stop) and issubclass(stop, StopEvent):
        return None
    return f"stop= takes a subclass of StopEvent, not {stop!r}"


def _problem_of_classes(
    option: str, value: object, what: str, fits: Callable[[object], bool]
) -> str | None:
    if not isinstance(value, (list, tuple, set, frozenset)):
        return f"{option}= takes a list of {what}, not {value!r}"
    for each in cast("Iterable[object]", value):
        if not fits(each):
            return f"{option}= takes {what}, not {each!r}"
    return None


def _draft(settings: _Settings, lineup: Lineup) -> tuple[Draft, list[str]]:
    """Put the steps together and check the whole."""
    for_steps, problems = lineup.failing()
    named, more = lineup.gathered()
    openers, unfit = read_openers(lineup.steps)
    flow = Flow(lineup.steps, settings.stop, for_steps)
    starts = start_kinds(flow)
    external = tuple(dict.fromkeys(settings.external))
    reached = reach(flow, (*starts, *external))
    draft = Draft(
        flow=flow,
        starts=starts,
        external=external,
        ignore_unhandled=settings.on_unhandled == "ignore",
        reached=reached,
        bindings=bind_gathers(flow, named, reached),
        openers=openers,
    )
    problems += [
        *more,
        *_problems_of_event_types(settings, lineup.steps),
        *find_problems(draft),
        *unfit,
    ]
    return draft, problems


def _event_classes(settings: _Settings, steps: Sequence[Step]) -> tuple[type[Event], ...]:
    """Collect the event classes that a workflow names, each once."""
    found: dict[type[Event], None] = dict.fromkeys(_BUILT_IN)
    for step in steps:
        for kinds in (step.accepts, step.emits, step.fans_out or (), step.options.waits):
            found.update(dict.fromkeys(kinds))
    found.update(dict.fromkeys((settings.stop, *settings.external)))
    found.update(dict.fromkeys(each for each in settings.types if is_event(each)))
    return tuple(found)


def _problems_of_event_types(settings: _Settings, steps: Sequence[Step]) -> Iterator[str]:
    by_name: dict[str, type[Event]] = {}
    for kind in _event_classes(settings, steps):
        other = by_name.setdefault(kind.event_type, kind)
        if other is not kind:
            yield (
                f"two event classes, {other.__module__}.{other.__qualname__} and "
                f"{kind.__module__}.{kind.__qualname__}, have one event_type, {kind.event_type!r}; "
                "give one another, as in class Name(Event, event_type=...)"
            )


def _problem_of_deliveries(value: object) -> str | None:
    if value == 1:
        return "max_deliveries= is at least 2; use @step(delivery='at_most_once') for one delivery"
    return problem_of_count("max_deliveries", value)


def _graph(settings: _Settings, lineup: Lineup, draft: Draft) -> Graph:
    for_steps, _ = lineup.failing()
    gathers = draft.bindings.gathers
    plan = Plan(
        name=settings.name,
        steps=tuple(
            _plan_of(index, step, for_steps.get(index), gathers.get(index, ()))
            for index, step in enumerate(lineup.steps)
        ),
        timeout=settings.timeout,
        max_concurrency=settings.max_concurrency,
        external=draft.external,
        ignore_unhandled=draft.ignore_unhandled,
        max_recoveries=settings.max_recoveries,
        max_deliveries=settings.max_deliveries,
    )
    return Graph(
        name=settings.name,
        steps=tuple(_with_retry(step, settings.retry) for step in lineup.steps),
        plan=plan,
        starts=draft.starts,
        stop=settings.stop,
        events=_event_classes(settings, lineup.steps),
        openers=draft.openers,
        flow=draft.flow,
    )


def _with_retry(step: Step, default: Retry | None) -> Step:
    options = step.options
    if default is None or options.retry is not None or options.delivery == "at_most_once":
        return step
    return attrs.evolve(step, options=attrs.evolve(options, retry=default))


def _plan_of(
    index: int, step: Step, for_steps: frozenset[str] | None, gathers: tuple[int, ...]
) -> StepPlan:
    options = step.options
    return StepPlan(
        index=index,
        name=step.name,
        accepts=step.accepts,
        dynamic=step.dynamic,
        mode=step.mode,
        max_concurrency=options.max_concurrency,
        max_pending=options.max_pending,
        timeout=options.timeout,
        for_steps=for_steps,
        waits=tuple(options.waits),
        generates=step.kind == "generator",
        gathers=gathers,
        count=step.gather.count if step.gather else None,
        size=step.batch,
        max_recoveries=options.max_recoveries,
        at_most_once=options.delivery == "at_most_once",
    )
