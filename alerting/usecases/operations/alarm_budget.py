"""The alarm budget gate: what a definition would ask of the people at a position, found out before it is in service.

A definition that becomes active is first judged over recent history. Where its load, added to what its position has to answer
already, breaks the budget, it is refused (or said, by setting); who knows better says why, and that is kept in the audit.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from alerting.alarm_kpis.chatter import quieten
from alerting.alarm_kpis.load import Alarms, PositionLoad, flood_share, replay, time_in_alarm, told_instants
from alerting.definitions.assets import Asset, position_of
from alerting.definitions.durations import format_duration
from alerting.definitions.faults import UserError
from alerting.definitions.matching import matching_assets
from alerting.definitions.model import Definition, Revision, ThresholdDefinition
from alerting.definitions.revisions import Plan, next_revision
from alerting.detection.suppression import Span
from alerting.detection.threshold import lookback
from alerting.episodes.extract import Alarm
from alerting.episodes.lifecycle import ConditionState, Step
from alerting.ports import Document, ModelUnavailable, Platform
from alerting.usecases.definitions import sync
from alerting.usecases.definitions.versions import VersionInterval, champion_at, first_instant
from alerting.usecases.episodes.suppression import spans_by_asset
from alerting.usecases.evaluation.evaluate_target import ModelCache, judge_classifier

LOAD = "alarm load"
_DAY = timedelta(days=1)
_LEAST = timedelta(days=1)  # less history than this says nothing
_MOST_READINGS = 500_000  # of all sampled assets together: a few seconds of reading
_MOST_ASSETS = 10  # sampled per position
_MOST_YOUNG = 20  # definitions in service for less than a day whose load is not known from experience
_LONGER = 0.05  # share of all time by which a remedy may lengthen the time in alarm
_CHECKED_AT_ONCE = 20  # definitions edited in the database, in one round of upkeep
_NO_LOAD = {"title", "owner", "tags", "guidance", "learning", "features", "periods", "promotion", "recommendation", "feedback"}


@dataclass(frozen=True)
class Forecast:
    """What one definition would ask of each position, over how much of the past; `notes`: what cannot be known, and why.

    `remedies`: where it breaks the budget, changes that would bring it within, tried on the readings of one asset.
    """

    definition: str
    loads: tuple[PositionLoad, ...]
    over: timedelta | None
    notes: tuple[str, ...]
    breaks: bool
    remedies: tuple[str, ...] = ()

    @property
    def words(self) -> tuple[str, ...]:
        """One sentence for each position, then the notes, then what would help."""
        over = f" (judged over {format_duration(self.over)})" if self.over else ""
        helps = (f"it would fit with {remedy}" for remedy in self.remedies)
        return (*(f"{load.words}{over}" for load in self.loads), *self.notes, *helps)


@dataclass(frozen=True)
class _Expected:
    """Alarms by position, over how much of the past, and what could not be known."""

    alarms: Mapping[str, Alarms]
    over: timedelta | None
    notes: tuple[str, ...]


def forecasts(platform: Platform, plans: Sequence[Plan], now: datetime) -> list[Forecast]:
    """What the definitions of a plan that become active, or change while active, would ask for, each beside those before it.

    Empty when the gate is off.
    """
    gated = [plan.definition for plan in plans if _matters(plan)]
    if platform.budget.mode == "off" or not gated:
        return []
    revisions = {r.name: r for r in platform.definitions.latest()}
    before, beside = _load_now(platform, revisions, {d.name for d in gated}, now)
    found = []
    for definition in gated:
        expected = _expected(platform, definition, now)
        forecast = _forecast(platform, definition.name, expected, beside, before.get(definition.name, {}), now)
        found.append(replace(forecast, remedies=_remedies(platform, definition, forecast, now)))
        beside = _together(beside, expected.alarms)
    return found


def apply_within_budget(
    platform: Platform,
    documents: Sequence[Document],
    foreseen: Sequence[Forecast],
    author: str,
    at: datetime,
    reason: str,
    accepted: str = "",
) -> list[Plan]:
    """Apply documents whose load was foreseen. Raises UserError where it breaks the budget, unless somebody says why it may."""
    broken = [forecast for forecast in foreseen if forecast.breaks]
    if broken and platform.budget.mode == "refuse" and not accepted.strip():
        raise UserError(_refusal(broken))
    plans = sync.apply(platform, documents, author, at, reason)
    for forecast in broken:
        why = accepted.strip() or "the gate only warns (ALERTING_ALARM_GATE=warn)"
        platform.audit.add(author, "alarm load accepted", forecast.definition, at, after=list(forecast.words), why=why)
    return plans


def check_edited(platform: Platform, as_of: datetime) -> list[str]:
    """Hold what was made active straight in the database against the budget, once per revision: too late to refuse, so a
    platform alert says it. A record that is resolved at once remembers what is within the budget. Returns those that break it.
    """
    if platform.budget.mode == "off":
        return []
    latest = platform.definitions.latest()
    _resolve_old(platform, latest, as_of)
    edited = [r for r in latest if r.author == "database" and r.definition.state == "active"]
    unknown = [r for r in edited if not platform.platform_alerts.of(_subject(r))]
    return [r.name for r in unknown[:_CHECKED_AT_ONCE] if _check(platform, r, as_of)]


def _check(platform: Platform, revision: Revision, as_of: datetime) -> bool:
    plan = Plan(revision.name, "create", revision.definition, {})
    [forecast] = forecasts(platform, [plan], as_of)
    words = "; ".join(forecast.words)
    platform.platform_alerts.report(LOAD, _subject(revision), words, as_of)
    if not forecast.breaks:
        platform.platform_alerts.resolve(LOAD, _subject(revision), as_of)
    return forecast.breaks


def _resolve_old(platform: Platform, latest: Sequence[Revision], as_of: datetime) -> None:
    """An alert ends with the revision that it is about."""
    current = {_subject(r) for r in latest if r.definition.state == "active"}
    for alert in platform.platform_alerts.open():
        if alert.kind == LOAD and alert.subject not in current:
            platform.platform_alerts.resolve(LOAD, alert.subject, as_of)


def _subject(revision: Revision) -> str:
    return f"{revision.name} revision {revision.number}"


def _matters(plan: Plan) -> bool:
    """Whether a change can change how many alarms people get."""
    changed = {field.split(".")[0] for field in plan.changes}
    irrelevant = plan.action == "change" and changed <= _NO_LOAD
    return plan.definition.state == "active" and plan.action != "unchanged" and not irrelevant


def _refusal(broken: Sequence[Forecast]) -> str:
    lines = [f"{f.definition}: {words}" for f in broken for words in f.words]
    return "\n".join(
        [
            "the alarm budget does not allow it; nothing was applied:",
            *(f"  - {line}" for line in lines),
            "See what it would raise with `alerting backtest`; then widen its limits, add `for:`, a clear limit or suppression; "
            "or apply it all the same: --accept-load REASON",
        ]
    )


# --- what there is now --------------------------------------------------------------------------------------------------


def _load_now(
    platform: Platform, revisions: Mapping[str, Revision], changing: Iterable[str], now: datetime
) -> tuple[dict[str, dict[str, Alarms]], dict[str, Alarms]]:
    """Alarms by position of the definitions that are about to change, by name; and of all others that are in service."""
    start = now - platform.budget.days * _DAY
    told = defaultdict(list)
    for episode in platform.episodes.alarms(start, now):
        if _told(episode) and episode.definition in revisions:
            told[episode.definition].append(episode)
    positions = _positions(platform)
    names = set(changing)
    active = {name: r for name, r in revisions.items() if r.definition.state == "active"}
    young = [r for name, r in active.items() if name not in names and now - r.at < _LEAST][:_MOST_YOUNG]
    known = {
        name: _experienced(platform, name, told[name], positions, start, now)
        for name in active
        if name in told and name not in {r.name for r in young}
    }
    beside: dict[str, Alarms] = {}
    for name, alarms in known.items():
        beside = beside if name in names else _together(beside, alarms)
    for revision in young:
        beside = _together(beside, _expected(platform, revision.definition, now).alarms)
    return {name: alarms for name, alarms in known.items() if name in names}, beside


def _told(episode: Alarm) -> bool:
    return not (episode.backfilled or episode.withdrawn or episode.silent)


def _experienced(
    platform: Platform, name: str, told: Sequence[Alarm], positions: Mapping[str, str], start: datetime, now: datetime
) -> dict[str, Alarms]:
    """What a definition has really raised, by position, a day of its service."""
    began = first_instant(platform.definitions.revisions(name)) or start
    days = max((now - max(began, start)) / _DAY, 1.0)
    at: dict[str, list[datetime]] = defaultdict(list)
    for episode in told:
        at[positions.get(episode.asset, episode.asset)].append(episode.raised_at)
    return {position: Alarms(len(instants) / days, tuple(instants)) for position, instants in at.items()}


def _positions(platform: Platform) -> dict[str, str]:
    assets = platform.assets.all()
    return {a.name: position_of(a, assets) for a in assets}


def _together(one: Mapping[str, Alarms], other: Mapping[str, Alarms]) -> dict[str, Alarms]:
    return {p: one.get(p, Alarms()).plus(other.get(p, Alarms())) for p in {*one, *other}}


def _forecast(
    platform: Platform,
    name: str,
    expected: _Expected,
    beside: Mapping[str, Alarms],
    before: Mapping[str, Alarms],
    now: datetime,
) -> Forecast:
    budget = platform.budget
    start = now - budget.days * _DAY
    loads = []
    for position, alarms in sorted(expected.alarms.items()):
        there = beside.get(position, Alarms())
        floods_now, floods = (flood_share(a.at, start, now, budget.flood_above) for a in (there, there.plus(alarms)))
        already = before.get(position, Alarms()).per_day
        loads.append(PositionLoad(position, alarms.per_day, there.per_day, budget.of(position), floods, floods_now, already))
    breaks = any(load.breaks(budget.most_floods) for load in loads)
    return Forecast(name, tuple(loads), expected.over, expected.notes, breaks)


def _remedies(platform: Platform, definition: Definition, forecast: Forecast, now: datetime) -> tuple[str, ...]:
    """What would bring a threshold within the budget of the position that it breaks: tried on its first asset there."""
    broken = next((load for load in forecast.loads if load.breaks(platform.budget.most_floods)), None)
    if broken is None or not isinstance(definition, ThresholdDefinition) or broken.now >= broken.budget:
        return ()
    positions = _positions(platform)
    watched = matching_assets(definition, platform.assets.all())
    asset = next(a for a in watched if positions[a.name] == broken.position)
    room = min((broken.budget - broken.now) / broken.expected, 1.0)
    return _Judge(platform, definition, None, now).quieter(definition, asset, room)


# --- what is to be expected ---------------------------------------------------------------------------------------------


def _expected(platform: Platform, definition: Definition, now: datetime) -> _Expected:
    """What a definition would have told of in the days before `now`, by position."""
    model = None
    if not isinstance(definition, ThresholdDefinition):
        model = champion_at(platform.decisions.of(definition.name), now)
        if model is None:
            return _Expected({}, None, (_no_champion(definition),))
    watched, positions = matching_assets(definition, platform.assets.all()), _positions(platform)
    by_position: dict[str, list[Asset]] = defaultdict(list)
    for asset in watched:
        by_position[positions[asset.name]].append(asset)
    judge = _Judge(platform, definition, model, now)
    alarms, spans, notes = {}, [], []
    for position, assets in sorted(by_position.items()):
        try:
            found, over = judge.position(assets)
        except ModelUnavailable as unavailable:
            return _Expected({}, None, (f"its load cannot be known: the champion cannot be read: {unavailable}",))
        if over is None:
            notes.append(f"its load at position {position} cannot be known: {judge.why_not}")
        else:
            alarms[position] = found
            spans.append(over)
    return _Expected(alarms, max(spans, default=None), tuple(notes))


def _no_champion(definition: Definition) -> str:
    most = None if isinstance(definition, ThresholdDefinition) else definition.operating_point.most_false_alarms
    bound = f"; its operating point allows at most {most:g} false alarms a week and asset" if most else ""
    return f"its load cannot be known before it has a champion{bound}"


class _Judge:
    """Judges the days before `now` by one definition, on as many assets as can be read in a few seconds."""

    def __init__(self, platform: Platform, definition: Definition, model: int | None, now: datetime) -> None:
        self._platform, self._definition, self._model, self._now = platform, definition, model, now
        self._models = ModelCache(platform)
        self._until = now
        self._silence: dict[tuple[str, datetime, datetime], list[Span]] = {}
        self.why_not = "there are no readings"

    def position(self, assets: Sequence[Asset]) -> tuple[Alarms, timedelta | None]:
        """Alarms of all these assets together, from a sample of them; None where too little was seen to say anything.

        Where readings end before now, the days before their end are judged, and counted as if they were the last ones.
        """
        spans = [span for a in assets if (span := self._platform.readings.span(a.name)) is not None]
        self._until = min(max((last for _, last in spans), default=self._now), self._now)
        start, number = self._affordable(assets)
        sample = assets[:: max(1, -(-len(assets) // number))][:number]
        told, seen = [], timedelta(0)
        for asset in sample:
            begin, end = self._seen(asset, start)
            if end - begin > timedelta(0):
                told += [at + (self._now - self._until) for at in self._told(asset, begin, end)]
                seen += end - begin
        if seen < _LEAST:
            if self.why_not == "there are no readings" and seen:
                self.why_not = (
                    f"there are readings of {format_duration(seen)} only, at least {format_duration(_LEAST)} are needed"
                )
            return Alarms(), None
        per_day = len(told) * len(assets) * _DAY / seen
        at = tuple(told) * round(len(assets) / len(sample))
        return Alarms(per_day, at), seen / len(sample)

    def quieter(self, definition: ThresholdDefinition, asset: Asset, room: float) -> tuple[str, ...]:
        """Changes with which at most this share of the alarms of an asset would be told, and it is not in alarm for much longer:
        an alarm that never ends is told once, and helps nobody."""
        start, end = self._seen(asset, self._affordable([asset])[0])
        history = self._platform.readings.load(asset, start - lookback(definition), end, [definition.variable])
        steps = replay(definition, history, start, end)
        told, longest = len(self._instants(steps, asset, start, end)), time_in_alarm(steps, end) + _LONGER * (end - start)

        def fits(after: list[Step]) -> bool:
            return len(self._instants(after, asset, start, end)) <= room * told and time_in_alarm(after, end) <= longest

        return tuple(proposal.words for proposal in quieten(definition, history, start, end, fits))

    def _affordable(self, assets: Sequence[Asset]) -> tuple[datetime, int]:
        """From when on to judge, and how many assets: by how dense the readings of the first one are."""
        days = self._platform.budget.days
        span = self._platform.readings.span(assets[0].name)
        if span is None:
            return self._until - days * _DAY, _MOST_ASSETS
        last = min(span[1], self._until)
        an_hour = self._platform.readings.load(assets[0], last - timedelta(hours=1), last, self._variables())
        a_day = max(24 * len(an_hour.readings), 1)
        days = max(1, min(days, _MOST_READINGS // a_day))
        return self._until - days * _DAY, max(1, min(_MOST_ASSETS, _MOST_READINGS // (a_day * days)))

    def _variables(self) -> list[str] | None:
        return [self._definition.variable] if isinstance(self._definition, ThresholdDefinition) else None

    def _seen(self, asset: Asset, start: datetime) -> tuple[datetime, datetime]:
        """The stretch with readings that this definition may judge."""
        span = self._platform.readings.span(asset.name)
        if span is None:
            return start, start
        begin = max(start, span[0])
        if self._model is not None:
            training_cutoff = self._models.get(self._definition.name, self._model).training_cutoff
            if training_cutoff > begin:
                begin = training_cutoff
                self.why_not = f"the champion has learned from times up to {training_cutoff.isoformat()}"
        return begin, min(span[1], self._until)

    def _told(self, asset: Asset, start: datetime, end: datetime) -> list[datetime]:
        return self._instants(self._steps(asset, start, end), asset, start, end)

    def _instants(self, steps: Sequence[Step], asset: Asset, start: datetime, end: datetime) -> list[datetime]:
        suppression = self._definition.suppression
        if (asset.name, start, end) not in self._silence:
            spans = spans_by_asset(self._platform, self._definition, [asset], start, end)
            self._silence[asset.name, start, end] = spans.get(asset.name, [])
        silence = self._silence[asset.name, start, end]
        return told_instants(steps, silence, suppression.still_tell if suppression else (), end)

    def _steps(self, asset: Asset, start: datetime, end: datetime) -> list[Step]:
        definition = self._definition
        if isinstance(definition, ThresholdDefinition):
            history = self._platform.readings.load(asset, start - lookback(definition), end, [definition.variable])
            return replay(definition, history, start, end)
        revision = next_revision(definition, None, "gate", start, "not applied")
        part = VersionInterval(start, end, revision, self._model)
        judged = judge_classifier(self._platform, self._models, asset, ConditionState(watermark=start), [part], named=True)
        return [step for step, _ in judged.steps]
