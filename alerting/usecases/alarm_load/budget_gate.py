"""The alarm budget gate: a definition's load on each position, before it serves.

A definition that becomes active is first evaluated over recent history. If its load, added to the
present load of its position, breaks the budget, it is refused (or reported, by setting). An
engineer may accept the load with a reason, which the audit log stores.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from alerting.alarm_kpis.load import Alarms, PositionLoad, flood_share
from alerting.definitions.faults import UserError, format_duration
from alerting.definitions.fields.conditions import single_condition
from alerting.definitions.model import Definition, Revision, matching_assets
from alerting.definitions.upkeep import AlarmBudget
from alerting.definitions.wording.language import joined, translatable
from alerting.episodes.extract import Alarm
from alerting.ports import BacktestPorts, Definitions, PlatformAlerts
from alerting.usecases.alarm_load.expected_load import (
    DAY,
    LEAST_HISTORY,
    ExpectedLoad,
    LoadEstimate,
    expected_load,
    position_by_asset,
)
from alerting.usecases.definitions.platform_alerts import LOAD
from alerting.usecases.definitions.versions import first_instant
from alerting.usecases.documents import DocumentReview

_MOST_YOUNG = (
    20  # definitions in service for less than a day whose load is not known from experience
)
_CHECKED_AT_ONCE = 20  # definitions edited in the database, in one round of upkeep
_NO_LOAD = {
    "title",
    "owner",
    "tags",
    "guidance",
    "learning",
    "features",
    "periods",
    "promotion",
    "recommendation",
    "feedback",
}


@dataclass(frozen=True)
class LoadForecast:
    """One definition's expected load on each position; `notes`: what is unknown, and why.

    `remedies`: if it breaks the budget, changes that would bring it within, tried on the readings
    of one asset.
    """

    definition: str
    loads: tuple[PositionLoad, ...]
    over: timedelta | None
    notes: tuple[str, ...]
    breaks: bool
    remedies: tuple[str, ...] = ()

    @property
    def messages(self) -> tuple[str, ...]:
        """Return one sentence for each position, then the notes, then the remedies."""
        over = (
            translatable(" (over {duration})", duration=format_duration(self.over))
            if self.over
            else ""
        )
        helps = (translatable("it would fit with {remedy}", remedy=one) for one in self.remedies)
        return (*(joined("", load.message, over) for load in self.loads), *self.notes, *helps)


def forecasts(
    platform: BacktestPorts, plans: Sequence[DocumentReview[Definition]], now: datetime
) -> list[LoadForecast]:
    """Forecast the load of a plan's definitions, one on top of the other; empty if off."""
    if platform.budget.mode == "off":
        return []
    gated = [plan.read for plan in plans if plan.read and _changes_load(platform.definitions, plan)]
    if not gated:
        return []
    revisions = {r.name: r for r in platform.definitions.latest_revisions()}
    before, others = _load_now(platform, revisions, {d.name for d in gated}, now)
    found = []
    for definition in gated:
        expected = expected_load(platform, definition, now)
        forecast = _forecast(
            platform.budget,
            definition.name,
            expected,
            others,
            before.get(definition.name, {}),
            now,
        )
        found.append(replace(forecast, remedies=_remedies(platform, definition, forecast, now)))
        others = _sum(others, expected.alarms)
    return found


def require_within_budget(
    budget: AlarmBudget, broken: Sequence[LoadForecast], accepted: str
) -> None:
    """Raise UserError if forecasts break the budget, which refuses that, and nothing is
    `accepted`."""
    if not broken or budget.mode != "refuse" or accepted.strip():
        return
    lines = [f"{f.definition}: {message}" for f in broken for message in f.messages]
    raise UserError(
        "\n".join(
            [
                "the alarm budget is exceeded, and no definition was applied:",
                *(f"  - {line}" for line in lines),
                "Show the alerts that it would raise with `alerting backtest`; then widen its "
                "limits, add `for:`, a clear limit or suppression; or accept the load with a "
                "reason (`alerting apply --accept-load REASON`)",
            ]
        )
    )


def check_edited(platform: BacktestPorts, as_of: datetime) -> list[str]:
    """Check definitions edited in the database, once a revision; return those over budget.

    It is too late to refuse them, so a platform alert is opened; for those within the budget it is
    resolved at once, as a record.
    """
    if platform.budget.mode == "off":
        return []
    latest = platform.definitions.latest_revisions()
    _resolve_old(platform.platform_alerts, latest, as_of)
    edited = [r for r in latest if r.author == "database" and r.definition.state == "active"]
    checked = platform.platform_alerts.subjects(LOAD) if edited else set()
    unknown = [r for r in edited if _subject(r) not in checked][:_CHECKED_AT_ONCE]
    reviews = [DocumentReview(r.name, "new", read=r.definition) for r in unknown]
    made = forecasts(platform, reviews, as_of)
    for revision, forecast in zip(unknown, made, strict=True):
        platform.platform_alerts.report(
            LOAD, _subject(revision), "; ".join(forecast.messages), as_of
        )
        if not forecast.breaks:
            platform.platform_alerts.resolve(LOAD, _subject(revision), as_of)
    return [forecast.definition for forecast in made if forecast.breaks]


def checked_subjects(definitions: Definitions) -> list[str]:
    """Return the subjects of the checks of definitions in service, one a revision."""
    return [
        _subject(r)
        for r in definitions.latest_revisions()
        if r.author == "database" and r.definition.state == "active"
    ]


def _resolve_old(alerts: PlatformAlerts, latest: Sequence[Revision], as_of: datetime) -> None:
    """Resolve the alerts on revisions that are not the newest, or not in service."""
    current = {_subject(r) for r in latest if r.definition.state == "active"}
    for alert in alerts.open():
        if alert.kind == LOAD and alert.subject not in current:
            alerts.resolve(LOAD, alert.subject, as_of)


def _subject(revision: Revision) -> str:
    return f"{revision.name} revision {revision.number}"


def _changes_load(definitions: Definitions, review: DocumentReview[Definition]) -> bool:
    """Return whether a change may add alarms; that of a definition in force may concern other
    fields alone."""
    changed = {field.split(".")[0] for field in review.changes}
    irrelevant = (
        review.action == "changed"
        and changed <= _NO_LOAD
        and definitions.newest_revision(review.name) is not None
    )
    is_active = review.read is not None and review.read.state == "active"
    return is_active and review.action != "unchanged" and not irrelevant


# --- present load
# --------------------------------------------------------------------------------------------------


def _load_now(
    platform: BacktestPorts,
    revisions: Mapping[str, Revision],
    changing: Iterable[str],
    now: datetime,
) -> tuple[dict[str, dict[str, Alarms]], dict[str, Alarms]]:
    """Return alarms by position: of each changing definition, and of all others."""
    start = now - platform.budget.days * DAY
    notified = defaultdict(list)
    for episode in platform.episodes.alarms(start, now):
        was_notified = not (episode.backfilled or episode.withdrawn or episode.silent)
        if was_notified and episode.definition in revisions:
            notified[episode.definition].append(episode)
    alarmed = {alarm.asset for alarms in notified.values() for alarm in alarms}
    positions = position_by_asset(platform.assets.find_matching(alarmed))
    names = set(changing)
    active = {name: r for name, r in revisions.items() if r.definition.state == "active"}
    young = [r for name, r in active.items() if name not in names and now - r.at < LEAST_HISTORY][
        :_MOST_YOUNG
    ]
    alarms_by_name = {
        name: _experienced_load(platform.definitions, name, notified[name], positions, start, now)
        for name in active
        if name in notified and name not in {r.name for r in young}
    }
    others: dict[str, Alarms] = {}
    for name, alarms in alarms_by_name.items():
        others = others if name in names else _sum(others, alarms)
    for revision in young:
        others = _sum(others, expected_load(platform, revision.definition, now).alarms)
    return {name: alarms for name, alarms in alarms_by_name.items() if name in names}, others


def _experienced_load(
    definitions: Definitions,
    name: str,
    alarms: Sequence[Alarm],
    positions: Mapping[str, str],
    start: datetime,
    now: datetime,
) -> dict[str, Alarms]:
    """Return the alarms a definition really raised, by position, per day of service."""
    began = first_instant(definitions.revisions(name)) or start
    days = max((now - max(began, start)) / DAY, 1.0)
    at: dict[str, list[datetime]] = defaultdict(list)
    for episode in alarms:
        at[positions.get(episode.asset, episode.asset)].append(episode.raised_at)
    return {
        position: Alarms(len(instants) / days, tuple(instants)) for position, instants in at.items()
    }


def _sum(one: Mapping[str, Alarms], other: Mapping[str, Alarms]) -> dict[str, Alarms]:
    return {p: one.get(p, Alarms()).plus(other.get(p, Alarms())) for p in {*one, *other}}


def _forecast(
    budget: AlarmBudget,
    name: str,
    expected: ExpectedLoad,
    others: Mapping[str, Alarms],
    before: Mapping[str, Alarms],
    now: datetime,
) -> LoadForecast:
    start = now - budget.days * DAY
    loads = []
    for position, alarms in sorted(expected.alarms.items()):
        there = others.get(position, Alarms())
        floods_now, floods = (
            flood_share(a.at, start, now, budget.flood_above) for a in (there, there.plus(alarms))
        )
        loads.append(
            PositionLoad(
                position,
                alarms.per_day,
                there.per_day,
                budget.for_position(position),
                floods,
                floods_now,
                before.get(position, Alarms()).per_day,
            )
        )
    breaks = any(load.breaks(budget.most_floods) for load in loads)
    return LoadForecast(name, tuple(loads), expected.over, expected.notes, breaks)


def _remedies(
    platform: BacktestPorts, definition: Definition, forecast: LoadForecast, now: datetime
) -> tuple[str, ...]:
    """Return changes that bring a threshold within budget, tried on one asset there."""
    broken = next(
        (load for load in forecast.loads if load.breaks(platform.budget.most_floods)), None
    )
    condition = single_condition(definition)
    if broken is None or condition is None or broken.now >= broken.budget:
        return ()
    found = platform.assets.find_matching(definition.assets)
    positions = position_by_asset(found)
    asset = next(
        a for a in matching_assets(definition, found) if positions[a.name] == broken.position
    )
    headroom = min((broken.budget - broken.now) / broken.expected, 1.0)
    return LoadEstimate(platform, definition, None, now).remedies(condition, asset, headroom)
