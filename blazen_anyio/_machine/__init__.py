"""The machine: decides everything that happens in a run, without I/O. See :mod:`.machine`."""

from .facts import Fact, FactKind, RawFact, Sink, both
from .live import Child, Delivery, Effect, Record
from .machine import Machine
from .outcome import Cancel, Offer, Order, Outcome, Outputs, Show, emitted
from .plan import Mode, Plan, Route, StepPlan
from .records import ROOT, Delta, Tables
from .tables import unknown_steps

__all__ = [
    "ROOT",
    "Cancel",
    "Child",
    "Delivery",
    "Delta",
    "Effect",
    "Fact",
    "FactKind",
    "Machine",
    "Mode",
    "Offer",
    "Order",
    "Outcome",
    "Outputs",
    "Plan",
    "RawFact",
    "Record",
    "Route",
    "Show",
    "Sink",
    "StepPlan",
    "Tables",
    "both",
    "emitted",
    "unknown_steps",
]
