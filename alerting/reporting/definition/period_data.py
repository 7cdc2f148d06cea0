"""The input of a report. Times without a known value count neither as evaluated nor as in alarm."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from itertools import compress
from operator import attrgetter
from typing import Literal

import numpy as np

from alerting.deferred import pd
from alerting.definitions.alert_definition import Definition, TrainedDefinition
from alerting.definitions.asset_documents import Asset
from alerting.definitions.fields.names_and_times import Interval, find_gaps, length, merge
from alerting.definitions.wording.language import (
    Styled,
    joined,
    measured,
    template,
    templates,
    translatable,
)
from alerting.episodes.episode import Episode, Outcome
from alerting.episodes.lifecycle import ReportedMiss
from alerting.episodes.mode_shares import ModeAlarm, ModeMetrics, count_modes, probable_mode
from alerting.episodes.prediction_rule import CountedEpisode, PredictedEpisode, count_episodes
from alerting.episodes.touched_production import TouchedProduction
from alerting.learning.data.row_labels import label_modes
from alerting.learning.features.point_in_time import point_in_time_view
from alerting.learning.predicted_and_measured import LEAST_SAMPLES, GradedValues, ServedValues
from alerting.learning.score_metrics import (
    OpenAlarm,
    ProblemIntervals,
    announces,
    lead_of_first,
    occurred_after,
    problem_intervals,
)
from alerting.readings.history import History, duration_millis, to_millis
from alerting.reporting.definition.decision_reason import DecisionMade
from alerting.reporting.estimates import Cases
from alerting.reporting.variable_charts import NO_MOVING_LEVELS, LevelsInForce

LEAST_BEFORE = 0.1
"""Share of a period's evaluated time from which on the period before is compared with it."""


@dataclass(frozen=True)
class ModelInService:
    """A model in service during the period, from `since` until `until` (None: still).

    `reason`: as it was recorded, in English; `summary`: for people, in every language.
    `importance`: of its most important variables, the mean size of their shares in a score; empty
    if it was not measured.
    """

    version: int
    since: datetime
    until: datetime | None
    provisional: bool
    run_id: str | None
    reason: str
    importance: Mapping[str, float] = field(default_factory=dict)
    summary: str = ""


@dataclass(frozen=True)
class Material:
    """The input of a report.

    `episodes`: those raised in [start - longest window, end); the episodes before `start` only show
    which problems were announced. `problems`: DataFrame as `counted_problems` makes it with a
    column `asset`, known at `as_of`. `scores`: DataFrame `asset`, `ts`, `score`, `threshold`,
    `model_version`, `label` (1, 0, NaN while it cannot be known), and `persistence` (the last known
    value, signed so that higher is riskier; NaN without), `twin` (the score of the twin in shadow;
    NaN without, or no such column). Empty for definitions without a model. `evaluated`: per asset
    the interval [from, to) of the period in which the alert was evaluated; `gaps`: sorted intervals
    within it without any known value. `predicts`: see `detection.problems`. `not_notified`:
    episodes raised in the period without any notification, because they began and ended while the
    alert was suppressed by design; no metric counts them. `in_maintenance`: episodes raised in
    maintenance, which no metric counts either. `unscored`: ids of those of whose time no scores are
    stored: no rate counts them, as `evaluated_time` does not count that time. `decisions`:
    promotion decisions up to `end`, oldest first. `histories`: readings by asset, from before
    `start` up to `as_of`. `withdrawn`: episodes of the period that late readings refuted.
    `previous`: the same of the period before, None if it is not compared. `misses`: reported by
    operators, oldest first; those that the data do not show are among the problems too.
    `verification`: how the model did by the values that came. `moving_levels`: of an asset in
    (start, end], the limits that change by themselves, by variable. `values`: those that a forecast
    said of the period, by asset, beside the samples. `blocks`: the production that the episodes
    raised in the period blocked, as known at `as_of`.
    """

    definition: Definition
    revision: int
    start: datetime
    end: datetime
    as_of: datetime
    episodes: Sequence[Episode]
    problems: pd.DataFrame
    scores: pd.DataFrame
    models: Sequence[ModelInService]
    evaluated: Mapping[str, tuple[datetime, datetime]]
    predicts: Literal["onset", "state"] = "onset"
    not_notified: int = 0
    in_maintenance: int = 0
    unscored: Collection[str] = ()
    gaps: Mapping[str, Sequence[Interval]] = field(default_factory=dict)
    misses: Sequence[ReportedMiss] = ()
    decisions: Sequence[DecisionMade] = ()
    histories: Mapping[str, History] = field(default_factory=dict)
    withdrawn: int = 0
    previous: Material | None = None
    verification: str = ""
    values: Mapping[str, ServedValues] = field(default_factory=dict)
    blocks: Sequence[TouchedProduction] = ()
    moving_levels: Callable[[Asset, datetime, datetime], LevelsInForce] = lambda *_: (
        NO_MOVING_LEVELS
    )

    @property
    def raised(self) -> list[Episode]:
        """Return the episodes raised in the period, oldest first."""
        return sorted(
            (e for e in self.episodes if self.start <= e.raised_at < self.end),
            key=lambda e: (e.raised_at, e.id),
        )

    @property
    def asset_titles(self) -> dict[str, str]:
        """Return the titles of assets that have one; with the name where several have the same."""
        assets = [history.asset for history in self.histories.values()]
        times = Counter(asset.title for asset in assets)
        return {
            asset.name: asset.title if times[asset.title] == 1 else f"{asset.title} ({asset.name})"
            for asset in assets
            if asset.title
        }

    @property
    def evaluated_times(self) -> dict[str, timedelta]:
        """Return, by asset, the time during which a value was known."""
        return {
            asset: length(self._without_gaps(asset, *interval))
            for asset, interval in self.evaluated.items()
        }

    @property
    def evaluated_time(self) -> timedelta:
        """Return the time during which a value was known, all assets together."""
        return sum(self.evaluated_times.values(), timedelta(0))

    @property
    def comparable_previous(self) -> Material | None:
        """Return the previous period if it was evaluated long enough compared with this one,
        because metrics of a few minutes are not those of a period."""
        before = self.previous
        if before is None or not before.evaluated:
            return None
        return before if before.evaluated_time >= LEAST_BEFORE * self.evaluated_time else None

    def in_alarm(self, episode: Episode) -> tuple[Interval, ...]:
        """Return the parts of an episode in which the alert was evaluated and a value was known."""
        if episode.asset not in self.evaluated:
            return ()
        start, end = self.evaluated[episode.asset]
        return tuple(
            self._without_gaps(
                episode.asset, max(episode.raised_at, start), min(ended_at(episode) or end, end)
            )
        )

    def _without_gaps(self, asset: str, start: datetime, end: datetime) -> list[Interval]:
        return find_gaps(merge(self.gaps.get(asset, ()), start, end), start, end)


def ended_at(episode: Episode) -> datetime | None:
    """Return the end of an episode: of its prediction, of itself, or of its window; None while it
    has no end."""
    return episode.ended_at or episode.valid_until


def as_counted(
    definition: Definition, episodes: Sequence[Episode]
) -> list[tuple[Episode, CountedEpisode]]:
    """Return the episodes of one asset in the order of time, each as metrics count it."""
    ordered = sorted(episodes, key=lambda e: (e.raised_at, e.id))
    if not isinstance(definition, TrainedDefinition):
        return [(e, CountedEpisode(to_millis(e.raised_at), _end_ms(e))) for e in ordered]
    window = definition.gap + definition.horizon
    ids = {e.id for e in ordered}
    predicted = [
        PredictedEpisode(
            to_millis(e.raised_at),
            _end_ms(e),
            to_millis(max(e.raised_at, (e.valid_until or e.raised_at + window) - window)),
            e.continues in ids,
        )
        for e in ordered
    ]
    return [*zip(ordered, count_episodes(predicted, *gap_and_horizon(definition)), strict=True)]


def _end_ms(episode: Episode) -> int:
    return to_millis(max(ended_at(episode) or episode.raised_at, episode.raised_at))


def outcome_of(episode: Episode) -> Outcome:
    """Return the outcome of an episode, undetermined where none is recorded."""
    return episode.outcome_record.outcome if episode.outcome_record else "undetermined"


def counted_outcomes(m: Material, without: Collection[str] = ()) -> Counter[Outcome]:
    """Return how often each outcome counts: a chain of episodes is one hit, and an alarm without
    its problem is one false alarm for each prediction window that it began. `without`: ids of
    episodes that do not count."""
    counts: Counter[Outcome] = Counter()
    for asset in {e.asset for e in m.episodes}:
        has_hit = False
        for episode, counted in as_counted(
            m.definition, [e for e in m.episodes if e.asset == asset]
        ):
            has_hit = has_hit and counted.continues
            outcome = outcome_of(episode)
            is_inside = m.start <= episode.raised_at < m.end and episode.id not in without
            if outcome == "false_alarm":
                counts[outcome] += counted.false_alarms * is_inside
            elif outcome != "hit" or not has_hit:
                counts[outcome] += is_inside
            has_hit = has_hit or outcome == "hit"
    return counts


CASES_PROBLEMS = Cases(
    templates("{number} problem", "{number} problems"),
    templates("{count} of {number} problem", "{count} of {number} problems"),
    template("no problems"),
)
CASES_ANNOUNCED = Cases(
    templates("{number} announced problem", "{number} announced problems"),
    templates("{count} of {number} announced problem", "{count} of {number} announced problems"),
    template("no announced problems"),
)
CASES_FOUND_LASTING = Cases(
    templates(
        "{number} problem found while it lasted", "{number} problems found while they lasted"
    ),
    templates(
        "{count} of {number} problem found while it lasted",
        "{count} of {number} problems found while they lasted",
    ),
    template("no problems found while they lasted"),
)


@dataclass(frozen=True)
class ReportedProblem:
    """A problem of the period. `lead_s`: seconds from the detection to its start; of a detector 0
    or less for a problem that was found while it lasted."""

    asset: str
    start: datetime
    end: datetime | None
    episode: str | None
    lead_s: float | None


def find_problems(
    m: Material,
) -> tuple[tuple[ReportedProblem, ...], int, tuple[ReportedProblem, ...]]:
    """Return the period's problems with their episodes, and those without a possible warning.

    Problems without a possible warning are counted if nothing was evaluated before them, and listed
    if they began in the recovery of another problem.
    """
    problems: list[ReportedProblem] = []
    in_recovery: list[ReportedProblem] = []
    unevaluated = 0
    for asset, on_asset in m.problems.sort_values("start", kind="stable").groupby(
        "asset", sort=True
    ):
        spans = problem_intervals(on_asset, onset=m.predicts == "onset")
        warned = (
            _find_alarms(m, on_asset, str(asset))
            if is_detector(m.definition)
            else _find_warnings(m, str(asset), spans)
        )
        for i, (start, end) in enumerate(on_asset[["start", "end"]].itertuples(index=False)):
            begin = start.to_pydatetime()
            if not m.start <= begin < m.end:
                continue
            episode = warned.get(i)
            ended = None if pd.isna(end) else end.to_pydatetime()
            lead = None if m.definition.is_of_unit else _lead(m, begin, episode)
            reported = ReportedProblem(
                str(asset), begin, ended, episode.id if episode else None, lead
            )
            if not spans.counted[i]:
                in_recovery.append(replace(reported, episode=None, lead_s=None))
            elif not _warnable(m, str(asset), begin, ended):
                unevaluated += 1
            else:
                problems.append(reported)
    by_start = attrgetter("start", "asset")
    return (
        tuple(sorted(problems, key=by_start)),
        unevaluated,
        tuple(sorted(in_recovery, key=by_start)),
    )


def is_detector(definition: Definition) -> bool:
    """Return whether alarms of a definition do not predict: a problem also counts as found if an
    alarm comes while it lasts."""
    is_predictor = isinstance(definition, TrainedDefinition) or definition.is_of_unit
    return definition.problem is not None and not is_predictor


def _lead(m: Material, start: datetime, episode: Episode | None) -> float | None:
    """Return the seconds from the detection to the start of a problem; None without an episode. An
    alarm that had been open for longer than it can announce was there at the start: 0."""
    if episode is None:
        return None
    lead = start - (episode.raised_at if episode.backfilled else episode.detected_at)
    if is_detector(m.definition) and start > _announces_until(m, episode):
        lead = min(lead, timedelta(0))
    return lead.total_seconds()


def _announces_until(m: Material, episode: Episode) -> datetime:
    return episode.valid_until or episode.raised_at + m.definition.window.until


def _find_alarms(m: Material, on_asset: pd.DataFrame, asset: str) -> dict[int, Episode]:
    """Return the first episode of a detector that found each problem, as its training does."""
    episodes = sorted(
        (e for e in m.episodes if e.asset == asset), key=lambda e: (e.raised_at, e.id)
    )
    alarms = [
        OpenAlarm(
            to_millis(max(e.raised_at, e.detected_at) if e.late_data_status else e.raised_at),
            to_millis(e.ended_at or m.as_of),
            to_millis(_announces_until(m, e)),
        )
        for e in episodes
    ]
    first: dict[int, Episode] = {}
    ends = on_asset["end"].fillna(pd.Timestamp(m.as_of))
    for i, (start, end) in enumerate(zip(on_asset["start"], ends, strict=True)):
        lead = lead_of_first(to_millis(start), to_millis(end), alarms)
        if lead is not None:
            first[i] = episodes[lead[0]]
    return first


def _find_warnings(m: Material, asset: str, spans: ProblemIntervals) -> dict[int, Episode]:
    """Return the first episode that announced each problem in time, as `event_metrics` does."""
    gap, horizon = gap_and_horizon(m.definition)
    first: dict[int, Episode] = {}
    for episode, counted in as_counted(m.definition, [e for e in m.episodes if e.asset == asset]):
        raised = counted.raised
        _, which = occurred_after(raised, spans, gap, horizon, counted.last_high)
        known_from = to_millis(episode.detected_at) if episode.late_data_status else raised
        if which is not None and announces(max(raised, known_from), int(spans.start[which]), gap):
            first.setdefault(which, episode)
    return first


def _warnable(m: Material, asset: str, start: datetime, end: datetime | None) -> bool:
    """Return whether an instant in [start - gap - horizon, start - gap), of a detector up to the
    end, was evaluated; for a model with scores, whether it has a score there, as in a training."""
    evaluated = m.evaluated.get(asset)
    latest = start - m.definition.window.after
    first = latest - m.definition.window.length
    if is_detector(m.definition):
        latest = max(end or m.end, latest)
    if evaluated is None or evaluated[0] >= latest or first >= evaluated[1]:
        return False
    scored = m.scores["ts"][m.scores["asset"] == asset]
    is_outside = first < m.start  # the scores are those of the period
    return is_outside or scored.empty or bool(((scored >= first) & (scored < latest)).any())


def gap_and_horizon(definition: Definition) -> tuple[int, int]:
    """Return gap and horizon (ms) as `event_metrics` takes them."""
    return duration_millis(definition.window.after), duration_millis(definition.window.length)


def compute_modes(m: Material, problems: Sequence[ReportedProblem]) -> tuple[ModeMetrics, ...]:
    """Return how often alarms with an outcome named each mode of the definition rightly; nothing
    without modes."""
    definition = m.definition
    if not isinstance(definition, TrainedDefinition) or not definition.mode_problems:
        return ()
    modes = definition.mode_problems
    alarms = [
        ModeAlarm(probable_mode(e.modes), e.outcome_record.modes if outcome == "hit" else None)
        for e in m.raised
        if e.outcome_record and (outcome := outcome_of(e)) != "undetermined"
    ]
    came: dict[ReportedProblem, tuple[str, ...]] = {}
    for asset, history in m.histories.items():
        of_asset = [p for p in problems if p.asset == asset]
        view = point_in_time_view(history, to_millis(m.as_of))
        start = np.array([to_millis(p.start) for p in of_asset], np.int64)
        end = np.array([to_millis(p.end or m.as_of) for p in of_asset], np.int64)
        shown = label_modes(
            modes, definition.is_of_unit, m.predicts, view, start - 1, np.maximum(start, end)
        )
        came |= {p: tuple(compress(modes, row)) for p, row in zip(of_asset, shown, strict=True)}
    missed = [came[p] for p in problems if p.episode is None]
    return count_modes(modes, alarms, [*came.values()], missed)


LEAST_COVERAGE = 0.85  # of 90 % intervals


@dataclass(frozen=True)
class ValueGrade:
    """How good the values of some assets were: mean absolute error of the median, and of the last
    known value, in the unit of the variable; the share of samples in the 90 % interval, and its
    mean width; the share of their variance that the median explains. None without samples.
    `is_worse`: than the last known value, where there was one; `is_no_better_than_mean`: than that
    of the samples, beyond chance."""

    samples: int
    error: float | None
    last_error: float | None
    coverage: float | None
    width: float | None
    explained: float | None
    is_worse: bool
    is_no_better_than_mean: bool
    is_constant: bool


@dataclass(frozen=True)
class ValueMetrics:
    """The grades of a variable's predicted values, of all assets together and `by_asset`.

    `predicted`: the number of predicted values.
    """

    variable: str
    unit: str | None
    predicted: int
    total: ValueGrade
    by_asset: Mapping[str, ValueGrade]


def compute_values(values: Mapping[str, ServedValues]) -> ValueMetrics | None:
    """Return the grades of a period; None without predicted values."""
    if not values:
        return None
    first = next(iter(values.values()))
    return ValueMetrics(
        variable=first.variable,
        unit=first.unit,
        predicted=sum(len(served.predicted.at) for served in values.values()),
        total=compute_grade(GradedValues.join([served.graded for served in values.values()])),
        by_asset={asset: compute_grade(served.graded) for asset, served in values.items()},
    )


def compute_grade(graded: GradedValues) -> ValueGrade:
    """Return the figures of graded samples."""
    names = ("error", "last_error", "coverage", "width", "explained")
    figures = {name: getattr(graded, name) for name in names}
    return ValueGrade(
        len(graded.at),
        **{name: None if np.isnan(figure) else figure for name, figure in figures.items()},
        is_worse=graded.is_worse_than_last,
        is_no_better_than_mean=graded.is_no_better_than_mean,
        is_constant=graded.is_constant,
    )


def value_trust(values: ValueMetrics | None) -> Literal["yes", "with_care", "no", "cannot_tell"]:
    """Return whether values can be relied on, as `value_rule` states it."""
    grade = None if values is None else values.total
    if grade is None or grade.samples < LEAST_SAMPLES or grade.coverage is None:
        return "cannot_tell"
    if grade.is_constant or grade.is_no_better_than_mean:
        return "no"
    if grade.last_error is not None and (grade.error or 0.0) >= grade.last_error:
        return "no"
    return "yes" if grade.coverage >= LEAST_COVERAGE else "with_care"


def describe_value(values: ValueMetrics | None) -> str:
    """Return how good the values of a period were, in a sentence."""
    if values is None:
        return translatable("No predicted value was served in this period.")
    grade = values.total
    if grade.error is None or grade.coverage is None:
        return translatable(
            "{predicted} values were predicted; no sample has come yet to compare them with.",
            predicted=Styled(values.predicted, ".0f"),
        )
    facts = {
        "error": measured(grade.error, ".3g", values.unit),
        "share": Styled(grade.coverage, "share"),
        "samples": Styled(grade.samples, ".0f"),
        "width": measured(grade.width or 0.0, ".3g", values.unit),
        "explained": Styled(max(grade.explained or 0.0, 0.0), "share"),
    }
    if grade.last_error is None:
        sentence = translatable(
            "The predicted value was off by {error} on average and explained {explained} of the "
            "variance; its 90 % interval, {width} wide, held {share} of {samples} samples.",
            **facts,
        )
    else:
        sentence = translatable(
            "The predicted value was off by {error} on average, the last known value by {last}, "
            "and explained {explained} of the variance; its 90 % interval, {width} wide, held "
            "{share} of {samples} samples.",
            last=measured(grade.last_error, ".3g", values.unit),
            **facts,
        )
    constant = translatable("The predicted value is a constant.")
    return joined(" ", sentence, constant) if grade.is_constant else sentence
