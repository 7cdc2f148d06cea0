"""The report on the whole plant: all definitions of a period side by side."""

from datetime import datetime
from typing import Any

from alerting.ports import ReportContent, ReportHead, ReportPorts
from alerting.reporting.life.page import ReportLife
from alerting.reporting.life.periods import Period
from alerting.reporting.templates import render
from alerting.usecases.reports.make import ComposedReport

_COUNTED = ("problems", "announced in time", "episodes", "right", "avoided", "false alarms", "undetermined")


def compose_plant(platform: ReportPorts, period: Period, as_of: datetime, life: ReportLife) -> ComposedReport:
    """Return the report on the plant, as known at `as_of`: definitions with something to say, most false alarms first."""
    heads = [head for name, head in platform.reports.of_period(period.name).items() if name is not None and head.as_of <= as_of]
    spoken = sorted((h for h in heads if h.revision), key=_rank)
    totals = {name: str(sum(_count(head, name) for head in spoken)) for name in _COUNTED}
    figures = {"definitions with a report": str(len(spoken)), **totals}
    rows = [
        {"definition": h.definition, "sentence": h.headline, **{name: h.key_metrics.get(name, "") for name in _COUNTED}}
        for h in spoken
    ]
    sentences = tuple(_sentences(spoken, totals))
    metrics: dict[str, Any] = {"start": period.start, "end": period.end, "as_of": as_of, "figures": figures, "definitions": rows}
    page = render("life/plant.html", period=period, as_of=as_of, sentences=sentences, rows=rows, counted=_COUNTED, life=life)
    tables = {"definitions": {"columns": list(rows[0]) if rows else [], "rows": [list(row.values()) for row in rows]}}
    return ComposedReport(None, "cannot_tell", sentences, figures, ReportContent(metrics, page, tables))


def _sentences(spoken: list[ReportHead], totals: dict[str, str]) -> list[str]:
    if not spoken:
        return ["Nothing to report: no episode, problem, promotion, answer or gap."]
    worst = spoken[0]
    first = f"{totals['announced in time']} of {totals['problems']} problems were announced in time."
    second = f"{totals['false alarms']} false alarms in {totals['episodes']} episodes of {len(spoken)} definitions."
    third = f"Most false alarms: {worst.definition} ({worst.key_metrics.get('false alarms', '0')})."
    return [first, second, *([third] if _count(worst, "false alarms") else [])]


def _rank(head: ReportHead) -> tuple[int, int, str]:
    return -_count(head, "false alarms"), -_count(head, "episodes"), head.definition or ""


def _count(head: ReportHead, figure: str) -> int:
    text = head.key_metrics.get(figure, "0")
    return int(text) if text.isdigit() else 0
