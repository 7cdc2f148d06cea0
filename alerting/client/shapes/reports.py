"""Bodies and answers about reports. Made by `python -m tools.client`."""

from typing import Any, NotRequired, TypedDict

from alerting.client.values import Instant

MissBody = TypedDict(
    "MissBody",
    {
        "definition": str,
        "asset": str,
        "at": Instant,
        "comment": NotRequired[str],
    },
)
"""A problem without an alert: "you should have told me"."""

MissView = TypedDict(
    "MissView",
    {
        "id": str,
        "definition": str,
        "asset": str,
        "missed_at": str,
        "comment": str,
        "actor": str,
        "at": str,
    },
)
"""A reported miss. `missed_at`: when the problem happened; `at`: when it was reported."""

ReportDifference = TypedDict(
    "ReportDifference",
    {
        "metric": str,
        "before": str,
        "after": str,
        "why": str,
    },
)
"""A figure that differs from the revision before, and why."""

ReportDetail = TypedDict(
    "ReportDetail",
    {
        "id": str,
        "definition": str | None,
        "period": str | None,
        "revision": int,
        "unseen": bool,
        "start": str,
        "end": str,
        "at": str,
        "trust": str,
        "headline": str,
        "sentences": list[str],
        "key_metrics": dict[str, str],
        "differences": list[ReportDifference],
        "url": str,
        "metrics": dict[str, Any],
        "tables": list[str],
    },
)
"""A report with all its metrics, and the names of its tables."""

ReportSummary = TypedDict(
    "ReportSummary",
    {
        "id": str,
        "definition": str | None,
        "period": str | None,
        "revision": int,
        "unseen": bool,
        "start": str,
        "end": str,
        "at": str,
        "trust": str,
        "headline": str,
        "sentences": list[str],
        "key_metrics": dict[str, str],
        "differences": list[ReportDifference],
        "url": str,
    },
)
"""One revision of a performance report; `definition` is null for the plant's, `url` is its
page. `period`: its calendar period, null for an interval that a person chose; `at`: the
instant of its point-in-time view."""

TableView = TypedDict(
    "TableView",
    {
        "name": str,
        "columns": list[str],
        "rows": list[dict[str, Any]],
    },
)
"""A table of a report: one object for each row, by column."""
