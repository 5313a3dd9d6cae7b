"""Facts for tests, in the words of the machine."""

from __future__ import annotations

from typing import Any

from blazen_anyio import HistoryFact

__all__ = ["Story"]


class Story:
    """Tells facts, one a second unless it is told otherwise."""

    def __init__(self, path: tuple[str, ...] = ()) -> None:
        self.facts: list[HistoryFact] = []
        self.path = path
        self.now = 0.0

    def tell(self, kind: str, **about: Any) -> Story:
        self.facts.append(HistoryFact(kind, self.now, path=self.path, **about))
        self.now += 1
        return self

    def routed(self, event_type: str = "Work", cause: int | None = 0) -> Story:
        return self.tell("event_routed", event_type=event_type, cause=cause)

    def step(self, kind: str, number: int = 1, step: str = "work", **about: Any) -> Story:
        about = {"event_type": "Work", "attempt": 1, "cause": 0, **about}
        return self.tell(f"step_{kind}", step=step, invocation=number, **about)

    def inside(self, path: tuple[str, ...]) -> Story:
        """What is told from now on happens in a child run."""
        self.path = path
        return self
