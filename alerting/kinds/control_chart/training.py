"""Phase I of a control chart: limits of a normal period, and their comparison on unseen time.

Limits are looked up in tables by the average run length in control. The tables assume independent,
normal points with known level and deviation. EWMA: asymptotic limits, by the integral equation of
S. V. Crowder (Technometrics 29 (1987) 401-407; the published table is that of J. M. Lucas and M. S.
Saccucci, Technometrics 32 (1990)). CUSUM, two-sided: by that of E. S. Page (Biometrika 41 (1954)
100-115; table 9.4 of D. C. Montgomery, Introduction to Statistical Quality Control), the smallest
allowances by D. Siegmund's approximation (1985). Zones: simulated for the first three rules of
Western Electric together. Between the entries limits are linear in the logarithm of the run length.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial
from math import ceil
from typing import Any, ClassVar

import numpy as np
from scipy.stats import chi2, norm

from alerting.deferred import pd
from alerting.definitions.faults import TrainingRefused
from alerting.definitions.wording.language import (
    count_in_english,
    joined,
    spoken_number,
    translatable,
)
from alerting.detection.problem_occurrences import problem_intervals
from alerting.detection.suppressed_intervals import is_covered, touches
from alerting.kinds.control_chart.definition import LEAST_RUN_LENGTH, RULES, ControlChartDefinition
from alerting.kinds.control_chart.kind import ChartRun, find_samples
from alerting.kinds.control_chart.model import (
    Chart,
    ControlChartModel,
    FittedChart,
    estimate,
    to_files,
)
from alerting.kinds.normal_comparison import (
    MOST_IN_ALARM,
    UnseenEvidence,
    align_horizon,
    conclude,
    count_alarms,
    count_unseen,
    propose_more_time,
)
from alerting.kinds.normal_operation import (
    LEAST_ALLOWED,
    describe_unseen,
    measure_spacing,
    normal_time,
    times_of_readings,
)
from alerting.kinds.training_protocol import (
    Comparison,
    Estimated,
    Estimation,
    LearningData,
    NormalTime,
    TrainingSource,
    fit_asset,
    name_reasons,
)
from alerting.learning.score_metrics import poisson_interval
from alerting.readings.history import (
    Floats,
    History,
    Millis,
    duration_millis,
    has_data,
    millis,
    to_millis,
)

_WEEK = timedelta(days=7)
_GAP = 10  # usual intervals
_SMOOTHING = 0.1
_SHIFT = 1.0
_MOVED = 1.0  # standard deviations of a reading by which a level has moved


@dataclass(frozen=True)
class Signals(UnseenEvidence):
    """Evidence on a chart by unseen points; its false alarms are signals that began on them.
    `lasting`: number of points from the first to the last of each signal, added up."""

    titles: ClassVar[tuple[str, ...]] = (
        "signals on unseen time",
        "false alarms allowed there",
        "unseen points in alarm",
        "unseen points",
        "problems found",
    )
    size: ClassVar[str] = "points"
    unseen: int = 0
    lasting: int = 0

    @property
    def texts(self) -> tuple[str, ...]:
        return *super().texts, f"{self.unseen:,}", self.describe_problems()

    def to_document(self) -> dict[str, Any]:
        """Return the counts, with the 95 % interval of the number of signals for statisticians;
        JSON-able."""
        low, high = poisson_interval(self.false_alarms)
        return {
            "points": self.unseen,
            "signals": self.false_alarms,
            "expected": self.allowed,
            "statistics": (
                f"Signals on unseen points: {self.false_alarms}, 95 % interval {low:.2g} to "
                f"{high:.2g} (exact), {self.allowed:.2g} expected by the run length."
            ),
            **super().to_document(),
        }

    def describe(self) -> str:
        """Describe the count in a sentence, or say how many points it needs."""
        if not self.unseen:
            return "There is no unseen time yet."
        points = count_in_english("{number} unseen point", "{number} unseen points", self.unseen)
        problems = f" {self.describe_problems()}." if self.problems else ""
        if not self.is_enough and not self.is_too_many:
            needed = ceil(LEAST_ALLOWED * self.unseen / self.allowed)
            return f"{points}; about {needed:,} needed.{problems}"
        signals = count_in_english("{number} signal", "{number} signals", self.false_alarms)
        allowed = spoken_number(self.allowed, ".2g")
        return f"{signals} on {points}, where its run length allows {allowed}.{problems}"

    def describe_found(self) -> str:
        """Describe signals and problems found, to stand beside those of another version."""
        signals = count_in_english("{number} signal", "{number} signals", self.false_alarms)
        return f"{signals}; {self.describe_problems()}" if self.problems else signals


class ControlChartTraining:
    """Limits of control charts."""

    in_pieces = False

    def period(self, definition: ControlChartDefinition, source: TrainingSource) -> NormalTime:
        first, last = times_of_readings(definition, source, definition.variable)

        def count_allowed(time: timedelta, distance: timedelta) -> float:
            point = distance * (definition.subgroup or 1)
            return time / point / _run_length(definition, point) if point else 0.0

        return normal_time(definition, source, first, last, count_allowed)

    def estimate(
        self, definition: ControlChartDefinition, revision: int, family: str, data: LearningData
    ) -> Estimated:
        period = data.period
        fitted = {
            history.asset.name: _fit(definition, history, data) for history in data.whole_histories
        }
        charts = {name: chart for name, chart in fitted.items() if not isinstance(chart, str)}
        without = {name: why for name, why in fitted.items() if isinstance(why, str)}
        if not charts:
            raise TrainingRefused(
                definition.name,
                translatable(
                    "no limits of {variable} can be learned from {start} to {end}: {reasons}; "
                    "choose another normal period, or import readings",
                    reasons=name_reasons(without),
                    variable=definition.variable,
                    start=period.start,
                    end=period.cutoff,
                ),
            )
        notes = [note for name, chart in charts.items() for note in chart.describe(name)]
        notes += [f"{name}: {why}; it has no limits" for name, why in without.items()]
        notes += describe_unseen(definition, period)
        left_out = {
            "out of control": sum(
                stretch.readings for chart in charts.values() for stretch in chart.left_out
            ),
            "far from the others": sum(chart.outliers for chart in charts.values()),
        }
        longest = max(chart.run_length for chart in charts.values())
        return Estimated(
            ControlChartModel(
                family, revision, period.cutoff, charts, measure_spacing(definition, data)
            ),
            sum(chart.used for chart in charts.values()),
            left_out,
            tuple(notes),
            {"chart": family, "average_run_length": longest},
            {f"limit {name}": chart.chart.limit for name, chart in charts.items()},
        )

    def compare(
        self,
        definition: ControlChartDefinition,
        data: LearningData,
        candidates: Mapping[str, ControlChartModel],
        champion: ControlChartModel | None,
    ) -> Comparison:
        [(family, challenger)] = candidates.items()
        champion = align_horizon(champion, challenger)
        watched = {} if champion is None else champion.by_asset
        moved = dict(moved_assets(challenger.by_asset, watched))
        all_moved = bool(moved) and len(moved) == len(challenger.by_asset)
        lost = sorted(watched.keys() - challenger.by_asset.keys())
        stay = lost if all_moved else [*moved, *lost]  # so that the others wait for no person
        staying = {name: watched[name] for name in stay}
        estimated = challenger.select_assets(challenger.by_asset.keys() - staying.keys())
        challenger = replace(challenger, by_asset={**challenger.by_asset, **staying})
        new = _count_signals(definition, estimated, data)
        counted = [new]
        if champion is not None:
            common = estimated.by_asset.keys() & watched.keys()
            models = (estimated.select_assets(common), champion.select_assets(common))
            counted = [_count_signals(definition, model, data) for model in models]
        beside = "" if champion is None else f"Those in service: {counted[1].describe_found()}."
        so = (
            ""
            if all_moved
            else ", so its limits stay; with `normal` {from, to} the new level counts"
        )
        levels = [f"{text}{so}." for text in moved.values()]
        longer = ""
        if not (new.is_enough or new.is_too_many):
            longer = propose_more_time(definition, data, new, champion)
        reasons = {
            history.asset.name: _fit(definition, history, data)
            for history in data.whole_histories
            if history.asset.name in lost
        }
        few = " ".join(
            f"{name}: {reasons.get(name, 'it has no readings')}; its limits in service stay."
            for name in lost
        )
        return conclude(
            family,
            counted,
            {
                "same_estimate": champion is not None and champion.hash == challenger.hash,
                "moved": all_moved,
                "lasting_signals": new.in_alarm > MOST_IN_ALARM,
                "too_many_signals": new.is_too_many,
                "finds_no_problem": new.problems > 0 and not new.problems_found,
                "too_few_points": not new.is_enough and (champion is not None or not new.unseen),
                "too_few_points_of_first": not new.is_enough,
            },
            {},
            new,
            new.to_document(),
            joined(" ", *levels, new.describe(), beside, longer),
            few,
            challenger if staying else None,
        )

    save = staticmethod(to_files)


def _fit(
    definition: ControlChartDefinition, history: History, data: LearningData
) -> FittedChart | str:
    """Return the chart that phase I gives for the readings of one asset within the engineering
    range, without suppressed times; or why there is none."""
    at = np.empty(0, np.int64)
    values = np.empty(0)
    if definition.variable in history.readings:
        every = millis(pd.DatetimeIndex(history.readings.index))
        used = has_data(history, definition.variable)
        used &= (every > to_millis(data.period.start)) & (every <= to_millis(data.period.cutoff))
        used &= ~is_covered(data.suppressed.get(history.asset.name, ()), every)
        at = every[used]
        values = history.readings[definition.variable].to_numpy(np.float64)[used]
    return fit_asset(history.asset.name, partial(_fit_series, definition, at, values))


def _fit_series(
    definition: ControlChartDefinition, at: Millis, values: Floats
) -> FittedChart | str:
    interval = max(1, int(np.median(np.diff(at)))) if len(at) > 1 else 1
    gap = duration_millis(definition.stale_time(timedelta(milliseconds=_GAP * interval)))
    phase_one = estimate(at, values, gap, definition.autocorrelation == "residuals")
    if isinstance(phase_one, str):
        return phase_one
    size = definition.subgroup or 1
    run_length = _run_length(definition, timedelta(milliseconds=interval * size))
    chart = Chart(
        definition.chart,
        phase_one.centre,
        phase_one.sigma,
        0.0,
        phase_one.coefficients,
        definition.rule_names,
        _SMOOTHING if definition.smoothing is None else definition.smoothing,
        (_SHIFT if definition.shift is None else definition.shift) / 2,
        size,
    )
    if size == 1:
        chart = replace(chart, limit=limit_of(chart, run_length))
    else:  # two charts, of means and of spreads, each with twice the run length
        spread = spread_limits(size, 2 * run_length)
        chart = replace(chart, limit=limit_of(chart, 2 * run_length), spread=spread)
    return FittedChart(
        chart,
        interval,
        run_length,
        phase_one.deviation,
        phase_one.used,
        phase_one.outliers,
        phase_one.left_out,
    )


def _run_length(definition: ControlChartDefinition, point: timedelta) -> float:
    """Return the average run length as written; otherwise a week of points so far apart."""
    stated = definition.average_run_length
    return max(_WEEK / point, LEAST_RUN_LENGTH) if stated is None else stated


def _count_signals(
    definition: ControlChartDefinition, model: ControlChartModel, data: LearningData
) -> Signals:
    """Count the false signals on unseen readings, and the problems found, by the alarms that live
    evaluation raises there."""
    counted = partial(_count_on, data=data, start=max(data.period.cutoff, model.training_cutoff))
    return count_unseen(definition, model, data.whole_histories, counted, Signals())


def _count_on(
    definition: ControlChartDefinition,
    fitted: FittedChart,
    history: History,
    data: LearningData,
    start: datetime,
) -> Signals:
    """Return the signals of one asset. Points within problems, and behind the end of normal
    operation, count neither for nor against the limits."""
    since = to_millis(start - fitted.warm_up)
    until = to_millis(data.period.end)
    every = find_samples(definition, history)
    muted = is_covered(
        data.suppressed.get(history.asset.name, ()), np.array([s.at for s in every], np.int64)
    )
    samples = [
        sample
        for sample, is_muted in zip(every, muted.tolist(), strict=True)
        if since < sample.at <= until and not is_muted
    ]
    run = ChartRun(definition, definition.variable, fitted, 0, to_millis(start), None)
    intervals = run.intervals(samples, to_millis(start) + 1, until + 1)
    problems = problem_intervals(definition.problem, history) if definition.problem else []
    alarms = count_alarms(
        definition, timedelta(0), fitted.clear_for, intervals, problems, start, data.period
    )
    at = np.array([point.at for point in run.points], np.int64)
    normal = (at <= to_millis(data.period.normal_end or data.period.end)) & ~touches(
        problems, at, 0, 0
    )
    signalling = np.array([bool(point.signals) for point in run.points], np.bool_)
    lasting = 0
    for alarm in alarms.false:
        ranks = np.flatnonzero(signalling & normal & (at >= alarm.raised) & (at < alarm.end))
        lasting += int(normal[ranks[0] : ranks[-1] + 1].sum()) if len(ranks) else 0
    points = int(normal.sum())
    allowed = points / fitted.run_length
    return Signals(len(alarms.false), points, allowed, lasting, alarms.problems, alarms.leads_s)


def moved_assets(
    new: Mapping[str, FittedChart], old: Mapping[str, FittedChart]
) -> Iterator[tuple[str, str]]:
    """Yield each asset whose level has moved between two estimates, with a sentence on it."""
    for name in sorted(new.keys() & old.keys()):
        before = old[name].chart.centre
        after = new[name].chart.centre
        by = (after - before) / old[name].deviation
        if abs(by) > _MOVED:
            yield (
                name,
                f"On {name} the level has moved from {before:.6g} to {after:.6g}, by {by:+.2g} "
                "standard deviations of a reading",
            )


TRAINING: Estimation[ControlChartDefinition] = ControlChartTraining()
_LOG_LENGTHS = np.log([20, 100, 370, 1_000, 10_000, 100_000, 1_000_000])
# Limits of a chart of EWMA for these run lengths, by the weight of the newest point.
_EWMA: Mapping[float, Sequence[float]] = {
    0.05: (1.053, 1.879, 2.490, 2.884, 3.627, 4.229, 4.749),
    0.1: (1.334, 2.148, 2.701, 3.059, 3.749, 4.322, 4.824),
    0.2: (1.603, 2.360, 2.859, 3.187, 3.834, 4.384, 4.871),
    0.3: (1.739, 2.453, 2.925, 3.238, 3.866, 4.404, 4.885),
    0.5: (1.874, 2.534, 2.977, 3.277, 3.886, 4.415, 4.891),
    1.0: (1.960, 2.576, 3.000, 3.291, 3.891, 4.417, 4.892),
}
# Limits of a chart of CUSUM for these run lengths, by the allowance k.
_CUSUM: Mapping[float, Sequence[float]] = {
    0.05: (4.56, 10.30, 17.68, 24.94, 45.45, 68.0, 90.9),
    0.125: (3.851, 7.841, 12.083, 15.697, 24.634, 33.80, 43.0),
    0.25: (3.019, 5.597, 8.008, 9.931, 14.492, 19.091, 23.695),
    0.5: (2.032, 3.502, 4.774, 5.757, 8.053, 10.355, 12.657),
    0.75: (1.461, 2.481, 3.339, 3.999, 5.531, 7.066, 8.601),
    1.0: (1.066, 1.874, 2.516, 3.009, 4.160, 5.312, 6.463),
    1.5: (0.472, 1.131, 1.604, 1.942, 2.700, 3.462, 4.232),
}
_ZONES = (0.722, 0.967, 1.138, 1.264, 1.557, 1.832, 2.078)


def limit_of(chart: Chart, run_length: float) -> float:
    """Return the limit of a chart, or the width of its zones, at which it gives one false alarm in
    `run_length` points on average."""
    if chart.kind == "ewma":
        return _interpolated(_EWMA, chart.smoothing, run_length)
    if chart.kind == "cusum":
        return _interpolated(_CUSUM, chart.allowance, run_length)
    if all(RULES[name].points == 1 for name in chart.rules):
        return _point_limit(run_length) / 3
    return float(np.interp(math.log(run_length), _LOG_LENGTHS, _ZONES))


def spread_limits(size: int, run_length: float) -> tuple[float, float]:
    """Return the limits of the standard deviation within a subgroup, in standard deviations of a
    reading (S chart).

    They follow from the chi-squared distribution; each side gives half of the false alarms.
    """
    share = float(norm.cdf(_point_limit(run_length)))
    low = float(chi2.ppf(1 - share, size - 1))
    high = float(chi2.ppf(share, size - 1))
    return math.sqrt(low / (size - 1)), math.sqrt(high / (size - 1))


def _point_limit(run_length: float) -> float:
    return float(norm.isf(0.5 / run_length))


def _interpolated(
    table: Mapping[float, Sequence[float]], parameter: float, run_length: float
) -> float:
    of_rows = [np.interp(math.log(run_length), _LOG_LENGTHS, limits) for limits in table.values()]
    # over the reciprocal, on which limits depend nearly as a line
    return float(np.interp(-1 / parameter, [-1 / row for row in table], of_rows))
