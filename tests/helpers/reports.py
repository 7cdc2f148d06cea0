"""Stored reports as a base for test cases."""

from dataclasses import replace

from alerting.ports import ReportContent, ReportHead
from tests.builders import at

HEAD = ReportHead(
    "too-hot:2026-W02",
    "too-hot",
    at(0),
    at(7 * 1440),
    at(7 * 1440 + 1),
    "2026-W02",
    sentences=("Trust it.",),
)


def head(definition="too-hot", period="2026-W02", **changes):
    """Return the head of a report on a week."""
    id = ":".join([*([definition] if definition else []), period or "by-hand"])
    return replace(
        HEAD,
        **{"id": id, "definition": definition, "period": period, **changes},
    )


def store_report(stores, page="<!DOCTYPE html><p>page</p>", metrics=None, tables=None, **changes):
    """Store a report and return its id."""
    stored = head(**changes)
    stores.reports.store_report(stored, ReportContent(metrics or {}, page, tables or {}))
    return stored.id
