"""The alarms that a definition without a model would have raised in the past, by the functions that
evaluate live. Nothing is stored."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from alerting.definitions.assets import Asset
from alerting.definitions.model import SEVERITIES, Revision, Severity, matching_assets
from alerting.detection.suppression import SuppressedInterval
from alerting.episodes.episode import Episode
from alerting.episodes.lifecycle import ConditionState
from alerting.kinds.protocol.evaluation import TargetEvaluation, VersionInterval
from alerting.kinds.registry import kind_of
from alerting.ports import BacktestPorts
from alerting.reporting.page.backtest import Load, operator_load
from alerting.usecases.episodes.suppression import never_notified
from alerting.usecases.evaluation.compose import new_episodes
from alerting.usecases.evaluation.target import evaluate_parts
from alerting.usecases.registry.registration import ModelCache

STEP = timedelta(days=1)
"""Time that is evaluated at once."""


@dataclass
class PastAlarm:
    """An alarm that would have been raised; `closed_at` is None while it is open at the end."""

    asset: str
    raised_at: datetime
    severity: Severity
    severity_peak: Severity
    closed_at: datetime | None = None


@dataclass(frozen=True)
class FoundAlarms:
    """Alarms of one revision, by asset in the order of time.

    `evaluated`: by asset with any known value, the instant up to which there is one.
    """

    revision: Revision
    start: datetime
    alarms: tuple[PastAlarm, ...]
    evaluated: dict[str, datetime]
    targets: tuple[Asset, ...]
    evaluations: dict[str, Sequence[TargetEvaluation]]

    def newest_episodes(self, count: int) -> tuple[Episode, ...]:
        """Return the newest episodes with their reasons, newest first."""
        newest = sorted(self.alarms, key=lambda one: (one.raised_at, one.asset))[-count:]
        found: list[Episode] = []
        for asset in self.targets:
            chosen = {one.raised_at for one in newest if one.asset == asset.name}
            if chosen:
                whole = _joined(self.evaluations[asset.name], chosen)
                found += new_episodes(
                    whole, self.revision, asset, detected_at=None, backfilled=False
                ).values()
        return tuple(sorted(found, key=lambda e: (e.raised_at, e.id), reverse=True))

    def load(
        self, suppressed: dict[str, list[SuppressedInterval]], end: datetime, flood_above: int
    ) -> Load | None:
        """Return the load on operators of the alarms that would have been notified; None without
        any known value."""
        if not self.evaluated:
            return None
        suppression = self.revision.definition.suppression
        notified = [
            one
            for one in self.alarms
            if one.raised_at < end
            and not (
                suppression and never_notified(suppression, suppressed.get(one.asset, ()), one, end)
            )
        ]
        last = max(self.evaluated.values())
        spans = [(one.raised_at, min(one.closed_at or last, last)) for one in notified]
        return operator_load(spans, self.start, last, flood_above)


def find_past_alarms(
    platform: BacktestPorts,
    revision: Revision,
    start: datetime,
    end: datetime,
    require_time: Callable[[], None],
) -> FoundAlarms:
    """Return the alarms of a revision without a model that is in service since `start`, evaluated
    up to `end` less the latency. `require_time` is called often; it raises to end the work."""
    definition = revision.definition
    targets = matching_assets(definition, platform.assets.find_matching(definition.assets))
    alarms: list[PastAlarm] = []
    evaluated: dict[str, datetime] = {}
    evaluations: dict[str, Sequence[TargetEvaluation]] = {}
    for asset in targets:
        last = end - definition.latency(asset, platform.latency)
        found = _evaluate(platform, revision, asset, start, last, require_time)
        evaluations[asset.name] = found
        alarms += [one for one in _alarms(asset, found) if one.raised_at < end]
        known = _known_until(platform, revision, asset, start, last, found)
        if known is not None:
            evaluated[asset.name] = known
    return FoundAlarms(revision, start, tuple(alarms), evaluated, tuple(targets), evaluations)


def _evaluate(
    platform: BacktestPorts,
    revision: Revision,
    asset: Asset,
    start: datetime,
    end: datetime,
    require_time: Callable[[], None],
) -> list[TargetEvaluation]:
    models = ModelCache(platform)
    state = ConditionState(watermark=start)
    found: list[TargetEvaluation] = []
    while state.watermark < end:
        require_time()
        until = min(state.watermark + STEP, end)
        part = VersionInterval(state.watermark, until, revision, None)
        found.append(evaluate_parts(platform, models, asset, state, [part]))
        state = found[-1].state
    return found


def _alarms(asset: Asset, evaluations: Sequence[TargetEvaluation]) -> list[PastAlarm]:
    found: dict[datetime, PastAlarm] = {}
    for evaluation in evaluations:
        for step, part in evaluation.steps:
            if step.kind == "raised" and part.revision is not None:
                severity = step.severity or part.revision.definition.severity
                found[step.raised_at] = PastAlarm(asset.name, step.raised_at, severity, severity)
                continue
            alarm = found[step.raised_at]
            if step.kind == "severity" and step.severity is not None:
                alarm.severity = step.severity
                alarm.severity_peak = max(alarm.severity_peak, step.severity, key=SEVERITIES.index)
            elif step.kind == "closed":
                alarm.closed_at = step.at
    return list(found.values())


def _known_until(
    platform: BacktestPorts,
    revision: Revision,
    asset: Asset,
    start: datetime,
    end: datetime,
    evaluations: Sequence[TargetEvaluation],
) -> datetime | None:
    """Return the instant up to which a value is known, None if none is."""
    if not evaluations:
        return None
    if evaluations[-1].unknown is None:
        return end
    definition = revision.definition
    kind = kind_of(definition)
    since = start - kind.inputs(definition, asset).lookback
    names = sorted(definition.variables_evaluated(asset))
    history = platform.readings.load(asset, since, end, names, events_since=start)
    gaps = kind.data_gaps(definition, history, start, end)
    last = gaps[-1][0] if gaps and gaps[-1][1] == end else end
    return last if last > start else None


def _joined(evaluations: Sequence[TargetEvaluation], raised: set[datetime]) -> TargetEvaluation:
    """Return one evaluation with the steps of some episodes."""
    joined = TargetEvaluation(evaluations[-1].state)
    for one in evaluations:
        joined.steps.extend(pair for pair in one.steps if pair[0].raised_at in raised)
        joined.raises.update({at: known for at, known in one.raises.items() if at in raised})
        joined.changes.update(one.changes)
    return joined
