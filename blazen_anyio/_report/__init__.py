"""Reports: a run as one self-contained page that opens in any browser, offline.

Facts become invocations (``timeline``), these are summed up (``summary``) and written as plain data
(``document``) with the places of the graph's nodes (``layout``); ``page`` puts the data, the style
and the script of ``assets`` into one file.
"""

from __future__ import annotations

from .report import Report, report, stored_report

__all__ = ["Report", "report", "stored_report"]
