"""The machine: decides everything that happens in a run, without I/O. See :mod:`.machine`."""

from .facts import Fact, FactKind, RawFact, Sink, both
from .live import Child, Delivery, Effect, Record
from .machine import Machine
from .outcome import Cancel, Offer, Order, Outcome, Outputs, Show, emitted
from .plan import Mode, Plan, Route, StepPlan
from .records import ROOT, Delta, Tables
from .sheets import Sheet, Sheets, in_rows

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
    "Sheet",
    "Sheets",
    "Show",
    "Sink",
    "StepPlan",
    "Tables",
    "both",
    "emitted",
    "in_rows",
]
