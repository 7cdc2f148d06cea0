"""Metrics of a performance report: how an alert did over a period, each with its uncertainty."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from alerting.definitions.alert_definition import TrainedDefinition
from alerting.definitions.fields.names_and_times import Interval, length
from alerting.definitions.wording.language import (
    Styled,
    translatable,
)
from alerting.episodes.episode import OUTCOMES, Episode, Outcome, Verdict
from alerting.episodes.lifecycle import RULES, consensus, undetermined_reason
from alerting.episodes.mode_shares import ModeMetrics
from alerting.episodes.touched_production import TouchedProduction
from alerting.reporting.definition.decision_reason import DecisionMade
from alerting.reporting.definition.operators_and_money import (
    CountedCosts,
    Driver,
    Money,
    VerdictMetrics,
    compute_money,
    drivers,
    verdict_metrics,
)
from alerting.reporting.definition.period_data import (
    CASES_ANNOUNCED,
    CASES_FOUND_LASTING,
    CASES_PROBLEMS,
    Material,
    ModelInService,
    ReportedProblem,
    ValueMetrics,
    compute_modes,
    compute_values,
    counted_outcomes,
    ended_at,
    find_problems,
    gap_and_horizon,
    is_detector,
    outcome_of,
)
from alerting.reporting.estimates import (
    CASES_COUNTED,
    CASES_FALSE_ALARMS,
    CASES_WITH_OUTCOME,
    CASES_WITHOUT_AVOIDED,
    Estimate,
    RowMetrics,
    compute_row_metrics,
    median,
    nothing,
    rate_per_week,
    share,
)


@dataclass(frozen=True)
class AssetData:
    """Data of one asset.

    `evaluated_s`: evaluated seconds of the period in which a value was known; `not_evaluated_s`:
    seconds of the period before the first and after the last evaluated instant. `gaps`: intervals
    without any known value in between; `gaps_s`: all of them together, `longest_gap_s`: the
    longest.
    """

    asset: str
    evaluated_s: float
    not_evaluated_s: float
    gaps: int
    gaps_s: float
    longest_gap_s: float


@dataclass(frozen=True)
class DataMetrics:
    """Data and evaluation of the period. `found_late`: episodes found only in readings that came
    late; `refuted`: episodes that late readings refuted."""

    assets: tuple[AssetData, ...]
    found_late: int
    refuted: int

    @property
    def blind_share(self) -> float:
        """Return the share of the time of all assets in which no alarm could come."""
        blind = sum(asset.not_evaluated_s + asset.gaps_s for asset in self.assets)
        whole = blind + sum(asset.evaluated_s for asset in self.assets)
        return blind / whole if whole else 0.0

    @property
    def longest_gap(self) -> AssetData | None:
        """Return the asset with the longest gap; None without any."""
        longest = max(self.assets, key=lambda asset: asset.longest_gap_s, default=None)
        return longest if longest is not None and longest.gaps else None


def _asset_data(m: Material, asset: str) -> AssetData:
    evaluated = m.evaluated.get(asset)
    gaps = m.gaps.get(asset, ())
    whole = evaluated[1] - evaluated[0] if evaluated else timedelta(0)
    missing = length(gaps)
    return AssetData(
        asset=asset,
        evaluated_s=(whole - missing).total_seconds(),
        not_evaluated_s=(m.end - m.start - whole).total_seconds(),
        gaps=len(gaps),
        gaps_s=missing.total_seconds(),
        longest_gap_s=max((b - a for a, b in gaps), default=timedelta(0)).total_seconds(),
    )


_WEEK_S = 7 * 86_400


@dataclass(frozen=True)
class CameTrue:
    """A metric as it was measured at the promotion, and its value in the period."""

    metric: str
    at_promotion: float
    now: Estimate
    low: float | None = None
    high: float | None = None

    @property
    def is_worse(self) -> bool:
        """Return whether the 95 % interval of the period lies on the worse side of the promotion's
        interval, or value."""
        now = self.now
        if now.certain_value is None or now.low is None or now.high is None:
            return False
        if self.metric == "false_alarms_per_week":
            return now.low > (self.at_promotion if self.high is None else self.high)
        return now.high < (self.at_promotion if self.low is None else self.low)


@dataclass(frozen=True)
class ModelMetrics:
    """The model over the period. `verification`: by the values that came; empty if unknown."""

    decisions: tuple[DecisionMade, ...]
    came_true: tuple[CameTrue, ...]
    verification: str = ""


def compute_model(m: Material, metrics: ReportMetrics) -> ModelMetrics:
    """Return the metrics of the model over the period."""
    serving = next((d for d in reversed(m.decisions) if d.promoted), None)
    now = {
        "event_recall": metrics.event_recall,
        "episode_precision": metrics.precision.with_avoided,
        "false_alarms_per_week": metrics.false_alarms,
    }
    compared = [name for name in now if serving and serving.expected.get(name) is not None]
    return ModelMetrics(
        decisions=tuple(d for d in m.decisions if m.start <= d.at < m.end),
        came_true=tuple(
            CameTrue(
                name,
                serving.expected[name],
                now[name],
                *serving.expected_intervals.get(name, (None, None)),
            )
            for name in compared
            if serving
        ),
        verification=m.verification,
    )


@dataclass(frozen=True)
class ReportedEpisode:
    """One episode of the period. `in_alarm`: its parts in which a value was known."""

    id: str
    asset: str
    raised_at: datetime
    ended_at: datetime | None
    value: float | None
    threshold: float | None
    outcome: Outcome
    reason: str
    too_late: bool
    verdict: Verdict | None
    comment: str
    backfilled: bool
    evidence: str
    in_alarm: tuple[Interval, ...] = ()


@dataclass(frozen=True)
class Precision:
    """Share of right episodes, once without avoided ones, and once with avoided ones counted as
    right."""

    without_avoided: Estimate
    with_avoided: Estimate


@dataclass(frozen=True)
class ReportMetrics:
    """All metrics of a report. Instants are UTC, lead times seconds, shares between 0 and 1.

    `outcomes`: number of alarms by outcome; `counted`: numbers by outcome as shares and rates count
    them (see `counted_outcomes`). `previous`: of the period before, without its episodes and
    problems. `unscored`: number of alarms that no rate counts, because no scores of their time are
    stored.
    """

    definition: str
    title: str
    kind: str
    trained: bool
    revision: int
    horizon_s: float | None
    gap_s: float | None
    start: datetime
    end: datetime
    as_of: datetime
    rules: tuple[int, ...]
    models: tuple[ModelInService, ...]
    evaluated: dict[str, tuple[datetime, datetime]]
    outcomes: dict[str, int]
    counted: dict[str, int]
    too_late: int
    backfilled: int
    not_notified: int
    in_maintenance: int
    undetermined: dict[str, int]
    event_recall: Estimate
    precision: Precision
    false_alarms: Estimate
    false_alarm_budget: float | None
    time_in_alarm: Estimate
    lead_time: Estimate
    delay: Estimate
    problems: tuple[ReportedProblem, ...]
    problems_unevaluated: int
    problems_in_recovery: tuple[ReportedProblem, ...]
    episodes: tuple[ReportedEpisode, ...]
    verdicts: VerdictMetrics
    rows: RowMetrics | None
    evaluated_s: float = 0.0
    money: Money | None = None
    drivers: tuple[Driver, ...] = ()
    model: ModelMetrics | None = None
    data: DataMetrics | None = None
    previous: ReportMetrics | None = None
    values: ValueMetrics | None = None
    has_alarm: bool = True
    unscored: int = 0
    blocks: tuple[TouchedProduction, ...] = ()
    modes: tuple[ModeMetrics, ...] = ()
    asset_titles: dict[str, str] = field(default_factory=dict)

    def asset_title(self, asset: str) -> str:
        """Return the title of an asset for people; its name without one."""
        return self.asset_titles.get(asset, asset)

    @property
    def missed(self) -> tuple[ReportedProblem, ...]:
        """Return the problems that no episode announced in time."""
        return tuple(p for p in self.problems if p.episode is None)

    @property
    def worst_false_alarms(self) -> tuple[ReportedEpisode, ...]:
        """Return at most ten false alarms, those furthest beyond their threshold first."""
        return tuple(
            sorted(
                [e for e in self.episodes if e.outcome == "false_alarm"],
                key=lambda e: (
                    beyond_threshold(e.value, e.threshold),
                    (e.ended_at or e.raised_at) - e.raised_at,
                ),
                reverse=True,
            )[:10]
        )

    @property
    def is_detector(self) -> bool:
        """Return whether a problem that was found while it lasted counts as found."""
        return not self.trained and bool(self.horizon_s)

    @property
    def announced(self) -> tuple[ReportedProblem, ...]:
        """Return the problems that an episode announced; of a detector not those found while they
        lasted."""
        detected = [p for p in self.problems if p.episode is not None]
        return tuple(p for p in detected if not self.is_detector or (p.lead_s or 0) > 0)

    @property
    def lead_times(self) -> tuple[float, ...]:
        """Return the seconds from detection to each announced problem; negative after its start."""
        return tuple(p.lead_s for p in self.announced if p.lead_s is not None)

    @property
    def delays(self) -> tuple[float, ...]:
        """Return the seconds from the start of each problem that a detector found while it lasted
        to the detection."""
        leads = [p.lead_s for p in self.problems if p.lead_s is not None]
        return tuple(abs(lead) for lead in leads if lead <= 0 and self.is_detector)

    @property
    def announced_late(self) -> int:
        """Return how many problems the readings showed in time, and an evaluation only later."""
        return 0 if self.is_detector else sum(lead <= (self.gap_s or 0) for lead in self.lead_times)


def compute_metrics(m: Material) -> ReportMetrics:
    """Compute the metrics over [start, end). Pure: the same material gives the same numbers.

    `learning.score_metrics`, which also evaluates candidates, gives the problem that an episode
    announced and the row metrics. Precision and false alarms come from the determined outcomes,
    which include operators' feedback.
    """
    before = m.comparable_previous
    metrics = _outcome_metrics(m)
    earlier = _outcome_metrics(before) if before is not None else None
    trained = m.definition if isinstance(m.definition, TrainedDefinition) else None
    return replace(
        metrics,
        rows=compute_row_metrics(m.scores, *gap_and_horizon(trained), trained.learning.seed)
        if trained and m.definition.has_alarm
        else None,
        money=_money(m, metrics, earlier),
        drivers=drivers(m.raised, before.raised if before and earlier else None),
        model=compute_model(m, metrics) if trained else None,
        data=DataMetrics(
            assets=tuple(_asset_data(m, asset) for asset in sorted({*m.histories, *m.evaluated})),
            found_late=sum(e.late_data_status == "found_late" for e in m.raised),
            refuted=m.withdrawn,
        ),
        previous=replace(
            earlier,
            money=_money(before, earlier, None),
            episodes=(),
            problems=(),
            problems_in_recovery=(),
        )
        if before is not None and earlier is not None
        else None,
    )


def _outcome_metrics(m: Material) -> ReportMetrics:
    raised = m.raised
    counts = Counter(outcome_of(e) for e in raised)
    counted = counted_outcomes(m)
    trained = m.definition if isinstance(m.definition, TrainedDefinition) else None
    problems, unevaluated, in_recovery = find_problems(m)
    detects = is_detector(m.definition)
    missed = sum(p.episode is None for p in problems)
    leads = [p.lead_s for p in problems if p.lead_s is not None]
    weeks = m.evaluated_time.total_seconds() / _WEEK_S
    hits = counted["hit"]
    avoided = counted["avoided"]
    wrong = counted["false_alarm"]
    has_problem = m.definition.problem is not None and m.definition.has_alarm
    decided = counts["hit"] + counts["avoided"] + counts["false_alarm"]
    cases = CASES_WITH_OUTCOME if decided == hits + avoided + wrong else CASES_COUNTED
    return ReportMetrics(
        definition=m.definition.name,
        title=m.definition.title or m.definition.name,
        kind=m.definition.kind,
        trained=trained is not None,
        revision=m.revision,
        horizon_s=m.definition.horizon.total_seconds() if has_problem else None,
        gap_s=m.definition.gap.total_seconds() if has_problem else None,
        start=m.start,
        end=m.end,
        as_of=m.as_of,
        rules=tuple(
            sorted({e.outcome_record.rules for e in raised if e.outcome_record} or {RULES})
        ),
        models=tuple(m.models),
        evaluated=dict(m.evaluated),
        asset_titles=m.asset_titles,
        outcomes={outcome: counts[outcome] for outcome in OUTCOMES},
        counted={outcome: counted[outcome] for outcome in OUTCOMES},
        too_late=sum(e.outcome_record.too_late for e in raised if e.outcome_record),
        backfilled=sum(e.backfilled for e in raised),
        not_notified=m.not_notified,
        in_maintenance=m.in_maintenance,
        unscored=len(m.unscored),
        undetermined=dict(
            Counter(_reason(e, m) for e in raised if outcome_of(e) == "undetermined").most_common()
        ),
        event_recall=share(len(problems) - missed, len(problems), CASES_PROBLEMS)
        if m.definition.problem is not None
        else nothing("%", translatable("the definition has no problem that data can confirm")),
        precision=Precision(
            _with_doubt(share(hits, hits + wrong, CASES_WITHOUT_AVOIDED), counted),
            _with_doubt(share(hits + avoided, hits + avoided + wrong, cases), counted),
        ),
        false_alarms=_false_alarms(counted_outcomes(m, m.unscored), weeks),
        modes=compute_modes(m, problems),
        false_alarm_budget=trained.operating_point.most_false_alarms if trained else None,
        time_in_alarm=_time_in_alarm(m),
        lead_time=median([s for s in leads if s > 0 or not detects], "s", CASES_ANNOUNCED),
        delay=median([-s for s in leads if s <= 0 and detects], "s", CASES_FOUND_LASTING),
        problems=problems,
        problems_unevaluated=unevaluated,
        problems_in_recovery=in_recovery,
        episodes=tuple(_report_episode(e, m) for e in raised),
        verdicts=verdict_metrics(raised),
        rows=None,
        evaluated_s=weeks * _WEEK_S,
        values=compute_values(m.values),
        blocks=tuple(m.blocks),
        has_alarm=m.definition.has_alarm,
    )


def _money(m: Material, metrics: ReportMetrics, earlier: ReportMetrics | None) -> Money | None:
    """Return the sums of the period; None without costs, and if no alert was sent.

    Alerts that were all found in past data can have avoided nothing. `earlier`: gives durations of
    problems.
    """
    if m.raised and all(e.backfilled for e in m.raised):
        return None
    undetermined = [e for e in m.raised if outcome_of(e) == "undetermined"]
    counted = CountedCosts(
        missed=[(p.start, p.end) for p in metrics.problems if p not in metrics.announced],
        announced=[(p.start, p.end) for p in metrics.announced],
        false_alarms=metrics.outcomes["false_alarm"],
        avoided=metrics.outcomes["avoided"],
        undetermined=len(undetermined),
        undetermined_acted=sum(any(f.acted for f in e.feedback) for e in undetermined),
        interventions=metrics.verdicts.acted,
        earlier_minutes=[(p.end - p.start).total_seconds() / 60 for p in earlier.problems if p.end]
        if earlier
        else (),
    )
    return compute_money(m.definition.costs, counted, min(m.as_of, m.end))


def _reason(episode: Episode, m: Material) -> str:
    """Return why an episode has its outcome; all episodes that wait for a time have the same
    reason."""
    record = episode.outcome_record
    if record is None or record.known_at is not None:
        return undetermined_reason(m.definition.problem is not None)
    return record.reason


def _time_in_alarm(m: Material) -> Estimate:
    """Compute the time in alarm. It is exact, not a sample, so it has no interval."""
    evaluated_s = m.evaluated_time.total_seconds()
    if not evaluated_s:
        return nothing("%", translatable("no time was evaluated"))
    inside = sum(length(m.in_alarm(episode)).total_seconds() for episode in m.episodes)
    hours = {"inside": Styled(inside / 3600, ".1f"), "whole": Styled(evaluated_s / 3600, ".1f")}
    return Estimate(
        inside / evaluated_s,
        None,
        None,
        "%",
        translatable("{inside} of {whole} asset-hours", **hours),
    )


def _false_alarms(counts: Mapping[Outcome, int], weeks: float) -> Estimate:
    """Return false alarms per evaluated week; without a determined episode, as undetermined ones
    may be false, no number."""
    false = counts["false_alarm"]
    undetermined = counts["undetermined"]
    rate = rate_per_week(false, weeks, CASES_FALSE_ALARMS)
    if 0 < undetermined == sum(counts.values()):
        return nothing(rate.unit, _undetermined(counts))
    if rate.value is not None and 2 * undetermined > sum(counts.values()):
        rate = replace(
            rate, high=rate_per_week(false + undetermined, weeks, CASES_FALSE_ALARMS).high
        )
    return _with_doubt(rate, counts)


def _with_doubt(estimate: Estimate, counts: Mapping[Outcome, int]) -> Estimate:
    """Add a doubt where most outcomes are undetermined: the others are no fair sample."""
    is_fair = estimate.certain_value is None or 2 * counts["undetermined"] <= sum(counts.values())
    return estimate if is_fair else replace(estimate, doubt=_undetermined(counts))


def _undetermined(counts: Mapping[Outcome, int]) -> str:
    return translatable(
        "{undetermined} of {total} alarms are undetermined",
        undetermined=counts["undetermined"],
        total=sum(counts.values()),
    )


def _report_episode(e: Episode, m: Material) -> ReportedEpisode:
    return ReportedEpisode(
        id=e.id,
        asset=e.asset,
        raised_at=e.raised_at,
        ended_at=ended_at(e),
        value=e.evaluation.value,
        threshold=e.evaluation.threshold,
        outcome=outcome_of(e),
        reason=_reason(e, m),
        too_late=bool(e.outcome_record and e.outcome_record.too_late),
        verdict=consensus(e.feedback)[0],
        comment="; ".join(f.comment for f in e.feedback if f.comment),
        backfilled=e.backfilled,
        evidence=e.contributions[0].message if e.contributions else e.current.reason,
        in_alarm=m.in_alarm(e),
    )


def beyond_threshold(value: float | None, threshold: float | None) -> float:
    """Return how far a value lies from its threshold; 0 where one of them is not known."""
    return abs(value - threshold) if value is not None and threshold is not None else 0.0
