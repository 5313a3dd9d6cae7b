"""What the commands have to know of a workflow, beyond what its users do."""

from __future__ import annotations

from typing import Any

from .._codec import Codec
from .._events import Event
from .._workflow import Workflow

__all__ = ["answers_requests", "codec_of", "events_of", "start_of"]


def codec_of(workflow: Workflow[Any]) -> Codec:
    """What knows the classes of a workflow."""
    return workflow._launcher.codec


def events_of(workflow: Workflow[Any]) -> tuple[type[Event], ...]:
    """The event classes of a workflow."""
    return workflow.graph.events


def start_of(workflow: Workflow[Any]) -> type[Event]:
    """The class of the event that fields start a workflow with.

    Raises:
        TypeError: there are several.
    """
    return workflow._launcher.start_type()


def answers_requests(workflow: Workflow[Any]) -> bool:
    """Whether a workflow has an input handler of its own."""
    return workflow._launcher.options.input_handler is not None
