"""The alarm budget gate: a definition's load on each position, before it serves.

A definition that becomes active is first evaluated over recent history. If its load, added to the
present load of its position, breaks the budget, it is refused (or reported, by setting). An
engineer may accept the load with a reason, which the audit log stores.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from alerting.definitions.alert_definition import (
    Condition,
    Definition,
    ModelDefinition,
    Revision,
    TrainedDefinition,
    matching_assets,
)
from alerting.definitions.asset_documents import Asset, AssetTree
from alerting.definitions.faults import UserError, format_duration
from alerting.definitions.fields.condition_fields import single_condition
from alerting.definitions.platform_limits import AlarmBudget
from alerting.definitions.revisions import next_revision, question_after
from alerting.definitions.wording.language import Styled, joined, translatable, with_command
from alerting.detection.suppressed_intervals import SuppressedInterval
from alerting.detection.threshold import lookback
from alerting.episodes.episode import Alarm
from alerting.episodes.lifecycle import ConditionState, Step
from alerting.kinds.protocol import VersionInterval
from alerting.kinds.registry import kind_of
from alerting.operators.alarm_load import (
    Alarms,
    PositionLoad,
    flood_share,
    notification_instants,
    quieten,
    time_in_alarm,
)
from alerting.ports import (
    BacktestPorts,
    Definitions,
    ModelUnavailable,
    PlatformAlerts,
    WantedHistory,
)
from alerting.usecases.backtest.sandbox import Sandbox
from alerting.usecases.definitions.faults_and_platform_alerts import LOAD
from alerting.usecases.definitions.versions import champion_at, first_instant
from alerting.usecases.document_life import DocumentReview
from alerting.usecases.episodes.mutes_and_suppression import suppressed_intervals_by_asset
from alerting.usecases.evaluation.target import evaluate_parts
from alerting.usecases.model_registry import ModelCache

DAY = timedelta(days=1)
LEAST_HISTORY = DAY  # less history than this is not enough for an estimate
_MOST_READINGS = 500_000  # of all sampled assets together: a few seconds of reading
_MOST_ASSETS = 10  # sampled per position
_LONGER = 0.05  # share of all time by which a remedy may lengthen the time in alarm
_NO_READINGS = translatable("there are no readings")


@dataclass(frozen=True)
class ExpectedLoad:
    """Alarms by position, and the length of the past time they cover; `notes`: unknown parts, with
    the reason."""

    alarms: Mapping[str, Alarms]
    over: timedelta | None
    notes: tuple[str, ...]


def expected_load(platform: BacktestPorts, definition: Definition, now: datetime) -> ExpectedLoad:
    """Return the alarms of the days before `now`, by position."""
    with_parents = platform.assets.find_matching(definition.assets)
    model_version = None
    targets = matching_assets(definition, with_parents)
    if isinstance(definition, ModelDefinition):
        question = question_after(definition, platform.definitions.newest_revision(definition.name))
        model_version = champion_at(
            platform.decisions.for_definition(definition.name), now, question
        )
        if model_version is None:
            return ExpectedLoad({}, None, (_no_champion(definition, len(targets)),))
    positions = position_by_asset(with_parents)
    by_position = defaultdict[str, list[Asset]](list)
    for asset in targets:
        by_position[positions[asset.name]].append(asset)
    estimate = LoadEstimate(platform, definition, model_version, now)
    alarms = dict[str, Alarms]()
    lengths = list[timedelta]()
    notes = list[str]()
    for position, assets in sorted(by_position.items()):
        try:
            expected, over = estimate.for_position(assets)
        except ModelUnavailable as unavailable:
            return ExpectedLoad(
                {},
                None,
                (
                    translatable(
                        "number of alarms unknown: the champion cannot be read: {reason}",
                        reason=str(unavailable),
                    ),
                ),
            )
        if over is None:
            notes.append(
                translatable(
                    "number of alarms at position {position} unknown: {reason}",
                    position=position,
                    reason=estimate.why_not,
                )
            )
        else:
            alarms[position] = expected
            lengths.append(over)
    return ExpectedLoad(alarms, max(lengths, default=None), tuple(notes))


def position_by_asset(assets: Sequence[Asset]) -> dict[str, str]:
    """Return the position of each asset by name; `assets` must contain the assets above them."""
    tree = AssetTree(assets)
    return {asset.name: tree.position(asset) for asset in assets}


def _no_champion(definition: ModelDefinition, assets: int) -> str:
    """Return the note that the load is unknown until a training, with the limit of false alarms."""
    most = (
        definition.operating_point.most_false_alarms
        if isinstance(definition, TrainedDefinition)
        else None
    )
    if not most:
        return translatable("number of alarms unknown until trained")
    if assets <= 1:
        return translatable(
            "number of alarms unknown until trained; at most {number} false alarms a week are "
            "allowed",
            number=Styled(most, ".3g"),
        )
    return translatable(
        "number of alarms unknown until trained; at most {number} false alarms a week on all "
        "{assets} assets together ({each} on each) are allowed",
        number=Styled(most * assets, ".3g"),
        assets=assets,
        each=Styled(most, ".3g"),
    )


class LoadEstimate:
    """Evaluates the days before `now` in a few seconds. `why_not`: the reason if there is no
    estimate."""

    def __init__(
        self,
        platform: BacktestPorts,
        definition: Definition,
        model_version: int | None,
        now: datetime,
    ) -> None:
        self._platform = platform
        self._definition = definition
        self._now = now
        self._past = PastSteps(platform, definition, model_version, now)
        self._until = now
        self._suppressed: dict[tuple[str, datetime, datetime], list[SuppressedInterval]] = {}
        self.why_not = _NO_READINGS

    def for_position(self, assets: Sequence[Asset]) -> tuple[Alarms, timedelta | None]:
        """Return the alarms of these assets, estimated from a sample; None if readings are too few
        even in earlier days."""
        spans = [
            span
            for a in assets
            if (span := self._platform.readings.span(a.name, self._now)) is not None
        ]
        self._until = min(max((last for _, last in spans), default=self._now), self._now)
        start, number = self._affordable(assets)
        sample = assets[:: max(1, -(-len(assets) // number))][:number]
        notified = list[datetime]()
        observed = timedelta(0)
        for asset in sample:
            begin, end = self._interval(asset, start)
            if end > begin:
                instants = self._notification_instants(
                    self._past.steps(asset, begin, end), asset, begin, end
                )
                notified += [at + (self._now - self._until) for at in instants]
                observed += end - begin
        if observed < LEAST_HISTORY:
            if self.why_not == _NO_READINGS and spans:
                least = format_duration(LEAST_HISTORY)
                few = {"duration": format_duration(observed), "least": least}
                self.why_not = (
                    translatable(
                        "there are readings of {duration} of all assets together only, at least "
                        "{least} are needed",
                        **few,
                    )
                    if len(sample) > 1
                    else translatable(
                        "there are readings of {duration} only, at least {least} are needed", **few
                    )
                )
            return Alarms(), None
        over = observed / len(sample)
        per_day = len(notified) * len(assets) / len(sample) / max(over / DAY, 1.0)
        at = tuple(notified) * round(len(assets) / len(sample))
        return Alarms({self._definition.name: per_day}, at), over

    def remedies(self, definition: Condition, asset: Asset, headroom: float) -> tuple[str, ...]:
        """Return changes after which at most `headroom` of an asset's alarms are notified.

        The changes keep the time in alarm about the same, because an alarm that never ends is
        notified once and does not help.
        """
        start, end = self._interval(asset, self._affordable([asset])[0])
        history = self._platform.readings.load(
            WantedHistory(asset, start - lookback(definition, asset), end, [definition.variable])
        )
        steps = self._past.steps(asset, start, end)
        most = headroom * len(self._notification_instants(steps, asset, start, end))
        longest = time_in_alarm(steps, end) + _LONGER * (end - start)

        def fits(after: list[Step]) -> bool:
            return (
                time_in_alarm(after, end) <= longest
                and len(self._notification_instants(after, asset, start, end)) <= most
            )

        return tuple(
            proposal.message for proposal in quieten(definition, history, start, end, fits)
        )

    def _affordable(self, assets: Sequence[Asset]) -> tuple[datetime, int]:
        """Return the instant at which evaluation starts, and the number of assets, by the density
        of readings."""
        days = self._platform.budget.days
        span = self._platform.readings.span(assets[0].name, self._now)
        if span is None:
            return self._until - days * DAY, _MOST_ASSETS
        last = min(span[1], self._until)
        variable = kind_of(self._definition).inputs(self._definition, assets[0]).variable
        last_hour = self._platform.readings.load(
            WantedHistory(
                assets[0], last - timedelta(hours=1), last, None if variable is None else [variable]
            )
        )
        a_day = max(24 * len(last_hour.readings), 1)
        days = max(1, min(days, _MOST_READINGS // a_day))
        return self._until - days * DAY, max(1, min(_MOST_ASSETS, _MOST_READINGS // (a_day * days)))

    def _interval(self, asset: Asset, start: datetime) -> tuple[datetime, datetime]:
        """Return the interval with readings that this definition may evaluate, or empty."""
        span = self._platform.readings.span(asset.name, self._now)
        if span is None:
            return start, start
        begin = max(start, span[0])
        cutoff = self._past.training_cutoff()
        if cutoff is not None and cutoff > begin:
            self.why_not = translatable(
                "the champion has learned from times up to {until}", until=cutoff
            )
            begin = cutoff
        return begin, min(span[1], self._until)

    def _notification_instants(
        self, steps: Sequence[Step], asset: Asset, start: datetime, end: datetime
    ) -> list[datetime]:
        """Return when raises are notified: never while suppressed by design."""
        suppression = self._definition.suppression
        key = (asset.name, start, end)
        if key not in self._suppressed:
            self._suppressed[key] = suppressed_intervals_by_asset(
                self._platform, self._definition, [asset], start, end
            ).get(asset.name, [])
        return notification_instants(
            steps, self._suppressed[key], suppression.still_notify if suppression else (), end
        )


class PastSteps:
    """Evaluates past times by one version (None: a threshold); writes nothing live."""

    def __init__(
        self,
        platform: BacktestPorts,
        definition: Definition,
        model_version: int | None,
        at: datetime,
    ) -> None:
        self._models = ModelCache(platform)
        self._model_version = model_version
        self._revision = next_revision(definition, None, "gate", at, "not applied")
        self._sandbox = Sandbox(platform, self._revision)

    def training_cutoff(self) -> datetime | None:
        """Return the model's training cutoff, if any. Raises ModelUnavailable if unread."""
        if self._model_version is None:
            return None
        return self._models.get(self._revision.definition, self._model_version).training_cutoff

    def steps(self, asset: Asset, start: datetime, end: datetime) -> list[Step]:
        """Return the steps that this version would have made on an asset in (start, end]."""
        interval = VersionInterval(start, end, self._revision, self._model_version)
        state = ConditionState(watermark=start)
        view = self._sandbox.live_view(end)
        evaluated = evaluate_parts(view, self._models, asset, state, [interval], named=True)
        return [step for step, _ in evaluated.steps]


# definitions in service for less than a day whose load is not known from experience
_MOST_YOUNG = 20
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
    """One definition's expected load on each position. `notes`: unknown parts, with the reason.
    `remedies`: changes, tried on the readings of one asset, that would bring a load beyond the
    budget within it."""

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
        helps = (
            translatable("it would fit with {remedy}", remedy=remedy) for remedy in self.remedies
        )
        return (*(joined("", load.message, over) for load in self.loads), *self.notes, *helps)


def forecasts(
    platform: BacktestPorts, plans: Sequence[DocumentReview[Definition]], now: datetime
) -> list[LoadForecast]:
    """Forecast the load of a plan's definitions, each added to the load of those before it; empty
    if the gate is off."""
    if platform.budget.mode == "off":
        return []
    gated = [plan.read for plan in plans if plan.read and _changes_load(platform.definitions, plan)]
    if not gated:
        return []
    revisions = {r.name: r for r in platform.definitions.latest_revisions()}
    before, others = _load_now(platform, revisions, {d.name for d in gated}, now)
    load_forecasts = []
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
        remedies = _remedies(platform, definition, forecast, now)
        load_forecasts.append(replace(forecast, remedies=remedies))
        others = _add_alarms(others, expected.alarms)
    return load_forecasts


def require_within_budget(
    budget: AlarmBudget, broken: Sequence[LoadForecast], accepted: str
) -> None:
    """Raise UserError if forecasts break a budget that refuses excess, and no reason to accept it
    is given (`accepted`)."""
    if not broken or budget.mode != "refuse" or accepted.strip():
        return
    text = joined(
        "\n",
        "the alarm budget is exceeded, and no definition was applied:",
        *(joined("", f"  - {f.definition}: ", text) for f in broken for text in f.messages),
        "Look at the alerts that it would raise; then widen its limits, add `for:`, a clear "
        "limit or suppression; or do so for those that use the budget; or accept the load with "
        "a reason",
    )
    raise UserError(with_command(text, "alerting apply --accept-load REASON FILE"))


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
            LOAD, _subject(revision), joined("; ", *forecast.messages), as_of
        )
        if not forecast.breaks:
            platform.platform_alerts.resolve(LOAD, _subject(revision), as_of)
    return [forecast.definition for forecast in made if forecast.breaks]


def checked_subjects(definitions: Definitions) -> list[str]:
    """Return the subjects of the budget checks of definitions in service, one for each revision."""
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
    """Return whether a change may add alarms. A change of a definition in force may concern other
    fields alone."""
    changed = {field.split(".")[0] for field in review.changes}
    irrelevant = (
        review.action == "changed"
        and changed <= _NO_LOAD
        and definitions.newest_revision(review.name) is not None
    )
    is_active = review.read is not None and review.read.state == "active"
    return is_active and review.action != "unchanged" and not irrelevant


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
        others = others if name in names else _add_alarms(others, alarms)
    for revision in young:
        others = _add_alarms(others, expected_load(platform, revision.definition, now).alarms)
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
        position: Alarms({name: len(instants) / days}, tuple(instants))
        for position, instants in at.items()
    }


def _add_alarms(a: Mapping[str, Alarms], b: Mapping[str, Alarms]) -> dict[str, Alarms]:
    return {p: a.get(p, Alarms()).plus(b.get(p, Alarms())) for p in {*a, *b}}


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
        present = others.get(position, Alarms())
        loads.append(
            PositionLoad(
                position,
                alarms.per_day,
                present.per_day,
                budget.for_position(position),
                flood_share(present.plus(alarms).at, start, now, budget.flood_above),
                flood_share(present.at, start, now, budget.flood_above),
                before.get(position, Alarms()).per_day,
                present.by_definition,
            )
        )
    breaks = any(load.breaks(budget.most_floods) for load in loads)
    return LoadForecast(name, tuple(loads), expected.over, expected.notes, breaks)


def _remedies(
    platform: BacktestPorts, definition: Definition, forecast: LoadForecast, now: datetime
) -> tuple[str, ...]:
    """Return changes, tried on one asset there, that bring the load of a threshold within the
    budget."""
    broken = next(
        (load for load in forecast.loads if load.breaks(platform.budget.most_floods)), None
    )
    condition = single_condition(definition)
    if broken is None or condition is None or broken.now >= broken.budget:
        return ()
    assets = platform.assets.find_matching(definition.assets)
    positions = position_by_asset(assets)
    asset = next(
        a for a in matching_assets(definition, assets) if positions[a.name] == broken.position
    )
    headroom = min((broken.budget - broken.now) / broken.expected, 1.0)
    return LoadEstimate(platform, definition, None, now).remedies(condition, asset, headroom)
