"""Performance reports as tables of periods, of all definitions or one, with reported misses."""

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from alerting.definitions.alert_definition import Revision, matching_assets
from alerting.definitions.faults import NotFound
from alerting.definitions.wording.language import template, translatable
from alerting.ports import Platform, ReportHead
from alerting.reporting.definition.period_data import is_detector


class PeriodTable(NamedTuple):
    """Reports on periods of one length: a row per definition."""

    title: str
    periods: tuple[str, ...]
    rows: tuple[tuple[str | None, dict[str, ReportHead]], ...]


def definition_titles(revisions: Iterable[Revision]) -> dict[str | None, str]:
    """Return the titles of definitions by name."""
    return {revision.name: revision.definition.title or revision.name for revision in revisions}


def report_values(platform: Platform, definition: str = "") -> dict[str, Any]:
    """Return the reports and misses of a definition, or the newest of all, for a page. Raises
    NotFound for an unknown definition."""
    revision = platform.definitions.newest_revision(definition) if definition else None
    if definition and revision is None:
        raise NotFound(translatable("there is no definition “{name}”", name=definition))
    stored = (
        platform.reports.for_definition(definition)
        if definition
        else platform.reports.newest_reports(500)
    )
    heads = [head for head in stored if not head.empty]
    misses = platform.misses.for_interval(definition=definition or None, limit=20)
    named = {head.definition for head in heads} | {miss.definition for miss in misses}
    latest = platform.definitions.latest_revisions(names=[name for name in named if name])
    assets = matching_assets(revision.definition, platform.assets.all()) if revision else []
    return {
        "tables": period_tables([head for head in heads if head.period], None if definition else 4),
        "others": [head for head in heads if not head.period],
        "definition": definition,
        "titles": definition_titles(latest),
        "finding": {
            revision.name
            for revision in latest
            if is_detector(revision.definition) or revision.definition.is_of_unit
        },
        "miss_assets": [asset.name for asset in assets],
        "misses": misses,
        "typed": dict.fromkeys(("asset", "at", "comment", "refusal"), ""),
    }


def period_tables(heads: Sequence[ReportHead], most: int | None) -> list[PeriodTable]:
    """Return reports on weeks, months, quarters as tables: the newest `most` of each."""
    tables = []
    for title, mark in (
        (template("Weeks"), "-W"),
        (template("Months"), ""),
        (template("Quarters"), "-Q"),
    ):
        marked = [h for h in heads if h.period and _mark(h.period) == mark]
        periods = tuple(sorted({h.period for h in marked if h.period}, reverse=True)[:most])
        names = sorted(
            {h.definition for h in marked if h.period in periods},
            key=lambda name: (name is not None, name or ""),
        )
        rows = tuple(
            (
                name,
                {
                    head.period or "": head
                    for head in sorted(marked, key=lambda head: head.as_of)
                    if head.definition == name
                },
            )
            for name in names
        )
        if periods:
            tables.append(PeriodTable(title, periods, rows))
    return tables


def _mark(period: str) -> str:
    return next((mark for mark in ("-W", "-Q") if mark in period), "")
