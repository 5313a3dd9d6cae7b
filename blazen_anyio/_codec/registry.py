"""The classes that data may name: what the codec was given, and what their fields name.

Data can't add to them: a name that is not here is an error, never an import.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from typing import Any

from .. import _events
from .._events import Event
from .._exceptions import DefinitionError
from .classes import EnumPlan, ObjectPlan, plan_of
from .faults import Unstorable

__all__ = ["Registry"]

_ALWAYS_KNOWN = {Event, list, tuple, dict, set, frozenset}

_BUILT_IN = tuple(
    found
    for found in vars(_events).values()
    if isinstance(found, type) and issubclass(found, Event) and found is not Event
)


class Registry:
    """Plans by class and by name.

    Attributes:
        plans: for writing, by class.
        events: for reading, by ``event_type``.
        objects: for reading attrs classes and dataclasses, by module and qualified name.
        enums: for reading enums, likewise.
    """

    def __init__(self, given: Iterable[Any]) -> None:
        self.plans: dict[type[Any], ObjectPlan | EnumPlan] = {}
        self.events: dict[str, ObjectPlan] = {}
        self.objects: dict[str, ObjectPlan] = {}
        self.enums: dict[str, EnumPlan] = {}
        self._strangers: dict[type[Any], ObjectPlan] = {}
        problems = self._collect([*_BUILT_IN, *given])
        if problems:
            raise DefinitionError("what snapshots may hold", problems)

    def _collect(self, given: list[Any]) -> list[str]:
        problems: list[str] = []
        waiting = deque((cls, True) for cls in given)
        while waiting:
            cls, is_given = waiting.popleft()
            plan = plan_of(cls) if isinstance(cls, type) and cls not in self.plans else None
            if plan is not None:
                problems += self._add(plan)
                mentions = () if isinstance(plan, EnumPlan) else plan.mentions
                waiting.extend((mentioned, False) for mentioned in mentions)
            elif is_given and not self._is_known(cls):
                problems.append(
                    f"{cls!r} can't be restored; name attrs classes, dataclasses and enums"
                )
        return problems

    def _is_known(self, cls: Any) -> bool:
        if not isinstance(cls, type):
            return False
        return cls in self.plans or cls in _ALWAYS_KNOWN or _is_scalar(cls)

    def _add(self, plan: ObjectPlan | EnumPlan) -> list[str]:
        self.plans[plan.cls] = plan
        table: dict[str, Any] = (
            self.enums
            if isinstance(plan, EnumPlan)
            else self.events
            if plan.is_event
            else self.objects
        )
        other = table.setdefault(plan.name, plan)
        if other is plan:
            return []
        return [f"{plan.cls!r} and {other.cls!r} are both called {plan.name!r}; rename one"]

    def plan_of_event(self, cls: type[Any]) -> ObjectPlan:
        """Find how to write an event, also one of a class that the codec was not given.

        A step may send what its annotations do not name. Writing it down loses nothing; reading it
        takes a codec that knows the class.
        """
        plan = self.plans.get(cls) or self._strangers.get(cls)
        if plan is None:
            plan = plan_of(cls)
            if not isinstance(plan, ObjectPlan):
                raise Unstorable(cls)
            self._strangers[cls] = plan
        assert isinstance(plan, ObjectPlan)  # no event class is an enum
        return plan


def _is_scalar(cls: type[Any]) -> bool:
    from .scalars import ATOMS, SCALARS  # nobody else pays for their imports

    return cls in ATOMS or cls in SCALARS
