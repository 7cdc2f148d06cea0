"""Estimate a definition's alarms a day lately, by position, from a sample of assets."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from alerting.alarm_kpis.load import Alarms, notification_instants, time_in_alarm
from alerting.alarm_kpis.other_limits import quieten
from alerting.definitions.assets import Asset, AssetTree
from alerting.definitions.faults import format_duration
from alerting.definitions.model import (
    Condition,
    Definition,
    ModelDefinition,
    TrainedDefinition,
    matching_assets,
)
from alerting.definitions.revisions import next_revision, question_after
from alerting.definitions.wording.language import Styled, translatable
from alerting.detection.suppression import SuppressedInterval
from alerting.detection.threshold import lookback
from alerting.episodes.lifecycle import ConditionState, Step
from alerting.kinds.protocol.evaluation import VersionInterval
from alerting.kinds.registry import kind_of
from alerting.ports import BacktestPorts, ModelUnavailable
from alerting.usecases.backtest.sandbox import Sandbox
from alerting.usecases.definitions.versions import champion_at
from alerting.usecases.episodes.suppression import suppressed_intervals_by_asset
from alerting.usecases.evaluation.target import evaluate_parts
from alerting.usecases.registry.registration import ModelCache

DAY = timedelta(days=1)
LEAST_HISTORY = DAY  # less history than this is not enough for an estimate
_MOST_READINGS = 500_000  # of all sampled assets together: a few seconds of reading
_MOST_ASSETS = 10  # sampled per position
_LONGER = 0.05  # share of all time by which a remedy may lengthen the time in alarm
_NO_READINGS = translatable("there are no readings")


@dataclass(frozen=True)
class ExpectedLoad:
    """Alarms by position, over how much of the past; `notes`: what is unknown, and why."""

    alarms: Mapping[str, Alarms]
    over: timedelta | None
    notes: tuple[str, ...]


def expected_load(platform: BacktestPorts, definition: Definition, now: datetime) -> ExpectedLoad:
    """Return the alarms of the days before `now`, by position."""
    found = platform.assets.find_matching(definition.assets)
    model_version = None
    targets = matching_assets(definition, found)
    if isinstance(definition, ModelDefinition):
        question = question_after(definition, platform.definitions.newest_revision(definition.name))
        model_version = champion_at(
            platform.decisions.for_definition(definition.name), now, question
        )
        if model_version is None:
            return ExpectedLoad({}, None, (_no_champion(definition, len(targets)),))
    positions = position_by_asset(found)
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
    """Return the position of each asset by name; those above them must be among them."""
    tree = AssetTree(assets)
    return {asset.name: tree.position(asset) for asset in assets}


def _no_champion(definition: ModelDefinition, assets: int) -> str:
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
    """Evaluates the days before `now` in a few seconds. `why_not`: no estimate, if so."""

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
        """Return these assets' alarms from a sample, also of earlier days; None if too few."""
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
            if self.why_not == _NO_READINGS and observed:
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
        return Alarms(
            len(notified) * len(assets) * DAY / observed,
            tuple(notified) * round(len(assets) / len(sample)),
        ), observed / len(sample)

    def remedies(self, definition: Condition, asset: Asset, headroom: float) -> tuple[str, ...]:
        """Return changes after which at most `headroom` of an asset's alarms are notified.

        The changes keep the time in alarm about the same, because an alarm that never ends is
        notified once and does not help.
        """
        start, end = self._interval(asset, self._affordable([asset])[0])
        history = self._platform.readings.load(
            asset, start - lookback(definition), end, [definition.variable]
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
        """Return where evaluation starts, and of how many assets, by density of readings."""
        days = self._platform.budget.days
        span = self._platform.readings.span(assets[0].name, self._now)
        if span is None:
            return self._until - days * DAY, _MOST_ASSETS
        last = min(span[1], self._until)
        variable = kind_of(self._definition).inputs(self._definition, assets[0]).variable
        last_hour = self._platform.readings.load(
            assets[0], last - timedelta(hours=1), last, None if variable is None else [variable]
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
                "the champion has learned from times up to {until}", until=cutoff.isoformat()
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
        """Return the steps that it would have made on an asset in (start, end]."""
        interval = VersionInterval(start, end, self._revision, self._model_version)
        state = ConditionState(watermark=start)
        view = self._sandbox.live_view(end)
        evaluated = evaluate_parts(view, self._models, asset, state, [interval], named=True)
        return [step for step, _ in evaluated.steps]
