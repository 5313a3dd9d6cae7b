"""Lineup: the steps of a workflow, read one by one, and found by who refers to them."""

from __future__ import annotations

import types
from collections.abc import Iterable, Sequence
from typing import cast

import attrs

from ._annotations import describe
from ._exceptions import DefinitionError
from ._markers import StepReference
from ._step import Step
from ._steps import StepFunction

__all__ = ["Lineup", "read_steps"]


@attrs.define(eq=False, repr=False)
class Lineup:
    """The steps of a workflow.

    Attributes:
        functions: what ``@step`` made, methods bound, in the order of the list.
        steps: the steps behind them, in the same order.
        problems: what is wrong with the list; ``steps`` then lacks what can't be used.
    """

    functions: list[StepFunction[..., object]] = attrs.field(
        factory=list[StepFunction[..., object]]
    )
    steps: list[Step] = attrs.field(factory=list[Step])
    problems: list[str] = attrs.field(factory=list[str])

    def find(self, reference: StepReference) -> list[int]:
        """Find the steps that a name, a step or a method step means."""
        if isinstance(reference, str):
            return [index for index, step in enumerate(self.steps) if step.name == reference]
        function = _as_step(reference)
        if function is None:
            return []
        return [index for index, other in enumerate(self.functions) if function.means(other)]

    def failing(self) -> tuple[dict[int, frozenset[str]], list[str]]:
        """Work out ``for_steps=``: whose failures each error step takes; and what is wrong."""
        found: dict[int, frozenset[str]] = {}
        problems: list[str] = []
        for index, step in enumerate(self.steps):
            if step.options.for_steps is not None:
                what = f"step {step.name!r}: for_steps="
                targets = self._targets(step.options.for_steps, what, problems)
                problems += [
                    f"{what} names {self.steps[target].name!r}, an error step, whose failures end "
                    "the run"
                    for target in targets
                    if self.steps[target].is_handler
                ]
                found[index] = frozenset(self.steps[target].name for target in targets)
        return found, problems

    def gathered(self) -> tuple[dict[int, tuple[int, ...]], list[str]]:
        """Work out ``Gather(of=...)``: which fan-outs each gather names; and what is wrong."""
        found: dict[int, tuple[int, ...]] = {}
        problems: list[str] = []
        for index, step in enumerate(self.steps):
            if step.gather is not None and step.gather.of is not None:
                what = f"gather step {step.name!r}: Gather(of=...)"
                targets = self._targets(step.gather.fan_outs, what, problems)
                problems += [
                    f"{what} names {self.steps[target].name!r}, which does not fan out; it would "
                    "have to return `list[...]`, or yield"
                    for target in targets
                    if self.steps[target].fans_out is None
                ]
                fan_outs = (target for target in targets if self.steps[target].fans_out is not None)
                found[index] = tuple(fan_outs)
        return found, problems

    def _targets(
        self, references: Sequence[StepReference], what: str, problems: list[str]
    ) -> list[int]:
        """Find the steps that ``references`` mean, each once; note those that mean none."""
        found: list[int] = []
        for reference in references:
            indexes = self.find(reference)
            found += indexes
            if not indexes:
                name, guess = _name(reference), self._guess(reference)
                problems.append(f"{what} names {name}, which is no step of the workflow{guess}")
        return list(dict.fromkeys(found))

    def _guess(self, reference: StepReference) -> str:
        if not isinstance(reference, str):
            return ""
        import difflib  # only where something is wrong

        close = difflib.get_close_matches(reference, [step.name for step in self.steps], n=1)
        return f"; did you mean {close[0]!r}?" if close else ""


def read_steps(items: object) -> Lineup:
    """Read the list of steps that a workflow is given."""
    lineup = Lineup()
    if isinstance(items, (str, StepFunction)) or not isinstance(items, Iterable):
        lineup.problems.append(f"takes a list of steps, not {items!r}")
        return lineup
    for item in cast("Iterable[object]", items):
        _read_item(item, lineup)
    if not lineup.steps and not lineup.problems:
        lineup.problems.append("has no steps; list at least one")
    return lineup


def _read_item(item: object, lineup: Lineup) -> None:
    function = _as_step(item)
    if function is None:
        lineup.problems.append(_problem_of_item(item))
    elif function.is_unbound:
        lineup.problems.append(
            f"step {function.name!r} is a method; list it from an instance, as in "
            f"`service.{function.name}`"
        )
    elif function in lineup.functions:
        lineup.problems.append(f"step {function.name!r} is listed twice")
    else:
        _add(function, lineup)


def _add(function: StepFunction[..., object], lineup: Lineup) -> None:
    try:
        step = function.resolve()
    except DefinitionError as error:
        lineup.problems += [f"{error.subject}: {problem}" for problem in error.problems]
        return
    if lineup.find(step.name):
        lineup.problems.append(
            f"two steps are called {step.name!r}; give one another name with @step(name=...)"
        )
    lineup.functions.append(function)
    lineup.steps.append(step)


def _as_step(item: object) -> StepFunction[..., object] | None:
    if isinstance(item, StepFunction):
        return cast("StepFunction[..., object]", item)
    if isinstance(item, types.MethodType):
        # What a classmethod around a step gives from Python 3.13 on.
        inner = _as_step(item.__func__)
        return inner.bind(item.__self__) if inner is not None else None
    return None


def _problem_of_item(item: object) -> str:
    if isinstance(item, (types.FunctionType, types.MethodType)):
        return f"{item.__name__!r} is a plain function; decorate it with @step"
    steps = [name for name, value in vars(type(item)).items() if isinstance(value, StepFunction)]
    if steps:
        return (
            f"lists an object of type {type(item).__qualname__}; list its steps: {', '.join(steps)}"
        )
    return f"{item!r} is no step; list functions that are decorated with @step"


def _name(reference: StepReference) -> str:
    if isinstance(reference, str):
        return repr(reference)
    return repr(getattr(reference, "name", None) or describe(reference))
