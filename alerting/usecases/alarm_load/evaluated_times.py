"""The times in which targets were evaluated, so that alarm metrics leave out the days before."""

from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime, timedelta
from fnmatch import fnmatchcase

from alerting.alarm_kpis.intervals import Interval, merge
from alerting.definitions.matching import AssetIndex
from alerting.definitions.model import ModelDefinition, Revision
from alerting.ports import Decisions, Definitions, MaterialPorts, PastEvaluations
from alerting.readings.instants import NO_TIME, from_millis
from alerting.usecases.definitions.versions import live_from

_CATCHING_UP = timedelta(days=1)


def evaluated_times(
    platform: MaterialPorts,
    start: datetime,
    end: datetime,
    assets: str | None = None,
    past: bool = False,
) -> dict[str, list[Interval]]:
    """Return, by asset, the times of [start, end) in which a target was evaluated.

    Live evaluation of a target begins when its definition is first in service, for a model with its
    first promotion, and ends at its watermark; one that is less than a day behind `end` will catch
    up and counts as complete. `past`: with evaluations of past times. `assets`: only those that
    match this name or pattern (None: all). An evaluation without a result, because readings are
    missing, counts.
    """
    revisions = platform.definitions.latest_revisions()
    times = [
        *_live(platform, revisions, end),
        *(_past(platform.past_evaluations, revisions, start, end) if past else ()),
    ]
    found: dict[str, list[Interval]] = defaultdict(list)
    for asset, interval in times:
        if assets is None or fnmatchcase(asset, assets):
            found[asset].append(interval)
    merged = {asset: merge(intervals, start, end) for asset, intervals in found.items()}
    return {asset: intervals for asset, intervals in merged.items() if intervals}


def _live(
    platform: MaterialPorts, revisions: Sequence[Revision], end: datetime
) -> list[tuple[str, Interval]]:
    began = _began(platform.definitions, platform.decisions, revisions)
    assets = AssetIndex(platform.assets.all())
    targets = [
        (r.name, asset.name)
        for r in revisions
        if r.name in began
        for asset in assets.find_matching(r.definition.assets)
    ]
    times = []
    for (name, asset), watermark in zip(targets, platform.states.watermarks(targets), strict=True):
        if watermark != NO_TIME:
            until = from_millis(watermark)
            times.append(
                (asset, (began[name], max(until, end) if end - until < _CATCHING_UP else until))
            )
    return [(asset, (since, until)) for asset, (since, until) in times if since < until]


def _began(
    definitions: Definitions, decisions: Decisions, revisions: Sequence[Revision]
) -> dict[str, datetime]:
    """Return when live evaluation of each definition began, if it was in service."""
    histories = definitions.histories({r.name for r in revisions if r.number > 1})
    made = decisions.histories(
        [r.name for r in revisions if isinstance(r.definition, ModelDefinition)]
    )
    found = {}
    for revision in revisions:
        since = live_from(histories.get(revision.name, [revision]), made.get(revision.name, []))
        if since is not None:
            found[revision.name] = since
    return found


def _past(
    past: PastEvaluations, revisions: Sequence[Revision], start: datetime, end: datetime
) -> list[tuple[str, Interval]]:
    """Return the past times evaluated while a revision and a model were in force."""
    without_model = {r.name for r in revisions if not isinstance(r.definition, ModelDefinition)}
    return [
        (e.asset, (e.start, e.end))
        for e in past.for_interval(start, end)
        if e.revision is not None and (e.model_version is not None or e.definition in without_model)
    ]
