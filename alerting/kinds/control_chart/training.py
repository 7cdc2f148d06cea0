"""Phase I of a control chart: limits estimated from a normal period, and compared with those in
service on unseen time."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from alerting.definitions.faults import UserError
from alerting.detection.categories import Labels, category_values
from alerting.detection.control_charts.chart import Chart, ChartState, Point
from alerting.detection.control_charts.phase_one import LEAST_POINTS, estimate
from alerting.detection.control_charts.run_length import (
    cusum_run_length,
    ewma_run_length,
    limit_for,
    rules_width,
    shewhart_run_length,
    spread_limits,
)
from alerting.detection.control_charts.short_runs import ShortRuns, estimate_short_runs
from alerting.detection.suppression import is_covered
from alerting.kinds.control_chart.definition import LEAST_RUN_LENGTH, ControlChartDefinition
from alerting.kinds.control_chart.model import ControlChartModel, FittedChart, to_files
from alerting.kinds.normal.training import (
    LEAST_ALLOWED,
    MOST_IN_ALARM,
    compared_rows,
    is_too_many,
    newest_instants,
    no_readings,
    normal_time,
)
from alerting.kinds.protocol.training import (
    Comparison,
    Estimated,
    Estimation,
    LearningData,
    NormalTime,
    TrainingSource,
)
from alerting.learning.selection.decision_table import Objection, decide
from alerting.readings.cleaning import present
from alerting.readings.history import History, Millis, duration_millis, millis, to_millis

_WEEK = timedelta(days=7)
_TITLES = (
    "signals on unseen time",
    "false alarms allowed there",
    "unseen points in alarm",
    "unseen points",
)
_MOVED = 1.0  # standard deviations of a reading by which a level has moved
_GAP = 10  # usual intervals
_SMOOTHING = 0.1
_SHIFT = 1.0


class Series(NamedTuple):
    """Readings of one asset: instants (ms), increasing, values, and with `by` the category of each,
    None where not known."""

    at: Millis
    values: npt.NDArray[np.float64]
    categories: Labels | None = None

    def charted(self, runs: ShortRuns | None) -> "Series":
        """Return the readings as they are charted: those of several categories in units of their
        own."""
        if runs is None or self.categories is None:
            return self
        return Series(self.at, runs.all_charted(self.values, self.categories.tolist()))


class ControlChartTraining:
    """Limits of control charts."""

    in_pieces = False

    def period(self, definition: ControlChartDefinition, source: TrainingSource) -> NormalTime:
        last = max(newest_instants(definition, source, definition.variable), default=None)
        if last is None:
            raise no_readings(definition, source, definition.variable)
        spans = (source.readings.span(asset.name) for asset in source.assets)
        return normal_time(definition, min(span[0] for span in spans if span is not None), last)

    def estimate(
        self, definition: ControlChartDefinition, revision: int, family: str, data: LearningData
    ) -> Estimated:
        charts = dict[str, FittedChart]()
        notes = list[str]()
        without = list[str]()
        for history in data.whole_histories:
            asset = history.asset.name
            fitted = _fit(
                definition,
                _readings(definition, history, data, data.period.start, data.period.cutoff),
            )
            if fitted is None:
                without.append(asset)
                continue
            charts[asset] = fitted
            notes += fitted.describe(asset)
        if not charts:
            raise UserError(
                f"{definition.name}: {', '.join(without)}: fewer than {LEAST_POINTS} usable "
                f"readings of {definition.variable} "
                f"from {data.period.start:%Y-%m-%d %H:%M} to {data.period.cutoff:%Y-%m-%d %H:%M} "
                f"UTC, or they do not vary; "
                "choose another normal period, or import readings"
            )
        notes += [
            f"{name}: too few readings, or they do not vary; it has no limits" for name in without
        ]
        model = ControlChartModel(family, revision, data.period.cutoff, charts)
        used = sum(fitted.used for fitted in charts.values())
        left_out = {
            "out of control": sum(
                stretch.readings for fitted in charts.values() for stretch in fitted.left_out
            ),
            "far from the others": sum(fitted.outliers for fitted in charts.values()),
        }
        params: dict[str, Any] = {
            "chart": family,
            "average_run_length": max(f.run_length for f in charts.values()),
        }
        metrics = {f"limit {name}": fitted.chart.limit for name, fitted in charts.items()}
        return Estimated(model, used, left_out, tuple(notes), params, metrics)

    def compare(
        self,
        definition: ControlChartDefinition,
        data: LearningData,
        candidates: Mapping[str, ControlChartModel],
        champion: ControlChartModel | None,
    ) -> Comparison:
        [(family, challenger)] = candidates.items()
        moved = {} if champion is None else dict(_moved(challenger, champion))
        all_moved = bool(moved) and len(moved) == len(challenger.by_asset)
        watched = {} if champion is None else champion.by_asset
        lost = sorted(watched.keys() - challenger.by_asset.keys())
        kept = {
            name: watched[name] for name in (*(() if all_moved else moved), *lost)
        }  # the others need not wait for a person
        estimated = challenger.only(challenger.by_asset.keys() - kept.keys())
        challenger = replace(challenger, by_asset={**challenger.by_asset, **kept})
        new = _count_signals(definition, estimated, data)
        compared = [*compared_rows(_TITLES, _texts(new), None)]
        if champion is not None:
            both = estimated.by_asset.keys() & watched.keys()
            texts = [
                _texts(_count_signals(definition, one.only(both), data))
                for one in (estimated, champion)
            ]
            compared = [*compared_rows(_TITLES, *texts)]
        evidence = {
            "compared": compared,
            "points": new.points,
            "signals": new.signals,
            "expected": new.expected,
        }
        metrics = {
            "unseen points": float(new.points),
            "false alarms": float(new.signals),
            "false alarms allowed": new.expected,
        }
        objections: dict[Objection, bool] = {
            "same_estimate": champion is not None and champion.hash == challenger.hash,
            "moved": all_moved,
            "lasting_signals": new.in_alarm > MOST_IN_ALARM,
            "too_many_signals": new.is_too_many,
            "too_few_points": champion is not None and not new.is_enough,
            "too_few_points_of_first": not new.is_enough,
        }
        found = new.describe()
        stays = "".join(
            f"{text}, so its limits stay; with `normal` {{from, to}} the new level counts. "
            for text in moved.values()
        )
        facts = {
            "subject": "limits are",
            "moved": "; ".join(moved.values()),
            "new": "newly estimated",
            "found": found,
            "stays": stays,
            "in_alarm": new.in_alarm,
            "most_in_alarm": MOST_IN_ALARM,
        }
        few = (
            f" {', '.join(lost)}: too few readings for new limits, or they do not vary, so the "
            "limits in service stay."
        )
        decision = decide(objections, facts, stays + found, evidence, few if lost else "")
        return Comparison(family, decision, metrics, challenger if kept else None)

    save = staticmethod(to_files)


def _readings(
    definition: ControlChartDefinition,
    history: History,
    data: LearningData,
    start: datetime,
    end: datetime,
) -> Series:
    """Return the possible values in (start, end], without those of suppressed times."""
    if definition.variable not in history.readings:
        return Series(np.empty(0, np.int64), np.empty(0))
    at = millis(pd.DatetimeIndex(history.readings.index))
    values = history.readings[definition.variable].to_numpy(np.float64)
    used = present(history, definition.variable) & (at > to_millis(start)) & (at <= to_millis(end))
    used &= ~is_covered(data.suppressed.get(history.asset.name, ()), at)
    if definition.by is None:
        return Series(at[used], values[used])
    category = category_values(history.asset, definition.by, [history.readings])
    return Series(at[used], values[used], category.in_force(at[used]))


def _fit(definition: ControlChartDefinition, series: Series) -> FittedChart | None:
    runs = None
    if definition.by is not None and series.categories is not None:
        runs = estimate_short_runs(definition.by, series.values, series.categories.tolist())
        if runs is None:
            return None
        levels = runs.levels
        known = np.array([category in levels for category in series.categories], np.bool_)
        series = Series(series.at[known], series.values[known], series.categories[known]).charted(
            runs
        )
    at, values, _ = series
    if len(at) < LEAST_POINTS:
        return None
    interval = max(1, int(np.median(np.diff(at))))
    gap = (
        _GAP * interval
        if definition.stale_after is None
        else duration_millis(definition.stale_after)
    )
    found = estimate(at, values, gap, definition.autocorrelation == "residuals")
    if found is None:
        return None
    size = definition.subgroup or 1
    wanted = definition.average_run_length
    if wanted is None:
        wanted = max(duration_millis(_WEEK) / (interval * size), LEAST_RUN_LENGTH)
    chart = Chart(
        definition.chart,
        found.centre,
        found.sigma,
        0.0,
        found.coefficients,
        definition.rule_names,
        _SMOOTHING if definition.smoothing is None else definition.smoothing,
        (_SHIFT if definition.shift is None else definition.shift) / 2,
        size,
    )
    return FittedChart(
        _with_limits(definition, chart, wanted, found.used // size),
        interval,
        wanted,
        found.deviation,
        found.used,
        found.outliers,
        found.left_out,
        runs,
    )


def _with_limits(
    definition: ControlChartDefinition, chart: Chart, wanted: float, points: int
) -> Chart:
    """Return the chart with the limits of a run length. With an S chart each of the two has twice
    the run length."""
    of_each = wanted if chart.subgroup == 1 else 2 * wanted
    points = max(points, 2)
    if chart.kind == "ewma":
        limit = limit_for(
            lambda h, shift, spread: ewma_run_length(h, chart.smoothing, shift, spread),
            of_each,
            points,
        )
    elif chart.kind == "cusum":
        limit = limit_for(
            lambda h, shift, spread: cusum_run_length(h, chart.allowance, shift, spread),
            of_each,
            points,
        )
    else:
        limit = _width(definition, chart, of_each, points)
    spread = None
    if chart.subgroup > 1:
        z = limit_for(shewhart_run_length, of_each, points)
        spread = spread_limits(chart.subgroup, z)
    return Chart(**{**vars(chart), "limit": limit, "spread": spread})


def _width(definition: ControlChartDefinition, chart: Chart, wanted: float, points: int) -> float:
    try:
        return rules_width(chart.rules, wanted, points)
    except ValueError as longest:
        half = float(str(longest)) / (1 if chart.subgroup == 1 else 2)
        raise UserError(
            f"{definition.name}: the rules without a limit alone signal after {half:.0f} points on "
            f"average, so an "
            f"average_run_length of {wanted / (1 if chart.subgroup == 1 else 2):.0f} is "
            f"impossible; choose fewer rules "
            "(western_electric_4, nelson_2, nelson_3, nelson_4 and nelson_7 have no limit), or a "
            "smaller average_run_length"
        ) from longest


class _Signals(NamedTuple):
    """Signals on unseen time: how often they began, over how many points, and how many false ones
    are allowed on average.

    `lasting`: points from the first to the last of each.
    """

    signals: int
    points: int
    expected: float
    lasting: int

    @property
    def is_enough(self) -> bool:
        return self.expected >= LEAST_ALLOWED

    def describe(self) -> str:
        """Return the count in a sentence, or how many points it needs."""
        if not self.points:
            return "There is no unseen time yet on which its false alarms could be counted."
        if not self.is_enough and not self.is_too_many:
            needed = math.ceil(LEAST_ALLOWED * self.points / self.expected)
            return (
                f"There are too few unseen points to count false alarms ({self.points}; about "
                f"{needed} needed)."
            )
        return (
            f"On {self.points} unseen points its signals number {self.signals}; its run length "
            f"allows {self.expected:.2g}."
        )

    @property
    def in_alarm(self) -> float:
        return self.lasting / self.points if self.points else 0.0

    @property
    def is_too_many(self) -> bool:
        return is_too_many(self.signals, self.expected, self.in_alarm)


def _count_signals(
    definition: ControlChartDefinition, model: ControlChartModel, data: LearningData
) -> _Signals:
    """Count the signals on the unseen readings as live evaluation would: one that returns within
    the off-delay is the same."""
    signals = 0
    points = 0
    expected = 0.0
    lasting = 0
    start = max(data.period.unseen_from or data.period.cutoff, model.training_cutoff)
    for history in data.whole_histories:
        fitted = model.by_asset.get(history.asset.name)
        if fitted is None:
            continue
        charted = [
            *_charted(
                definition,
                fitted,
                _readings(definition, history, data, start, data.period.end).charted(fitted.runs),
            )
        ]
        clear_for = duration_millis(
            fitted.clear_for if definition.clear_for is None else definition.clear_for
        )
        last = None
        since = 0
        for point in charted:
            since += 1
            if point.signals:
                begins = last is None or point.at - last > clear_for
                signals += begins
                lasting += 1 if begins else since
                last = point.at
                since = 0
        points += len(charted)
        expected += len(charted) / fitted.run_length
    return _Signals(signals, points, expected, lasting)


def _charted(
    definition: ControlChartDefinition, fitted: FittedChart, series: Series
) -> Iterator[Point]:
    state = ChartState()
    before = None
    gap = duration_millis(
        fitted.stale_after if definition.stale_after is None else definition.stale_after
    )
    for t, value in zip(series.at.tolist(), series.values.tolist(), strict=True):
        if before is not None and t - before > gap:
            state.break_off()
        before = t
        point = state.add(fitted.chart, t, value)
        if point is not None:
            yield point


def _moved(challenger: ControlChartModel, champion: ControlChartModel) -> Iterator[tuple[str, str]]:
    """Yield the assets whose level has moved, each with a sentence."""
    for name, new in sorted(challenger.by_asset.items()):
        old = champion.by_asset.get(name)
        if old is None:
            continue
        for of, before, after, deviation in _levels(old, new):
            by = (after - before) / deviation
            if math.fabs(by) > _MOVED:
                yield (
                    name,
                    f"On {name} the level{of} has moved from {before:.6g} to {after:.6g}, by "
                    f"{by:+.2g} standard deviations of a "
                    "reading",
                )
                break


def _levels(old: FittedChart, new: FittedChart) -> Iterator[tuple[str, float, float, float]]:
    """Yield the levels that two charts have in common: of what, before, after, and the standard
    deviation of a reading before."""
    if old.runs is None or new.runs is None:
        yield "", old.chart.centre, new.chart.centre, old.deviation
        return
    for category, level in old.runs.levels.items():
        if category in new.runs.levels:
            yield (
                f" of {old.runs.by} {category}",
                level.centre,
                new.runs.levels[category].centre,
                level.deviation,
            )


def _texts(one: _Signals) -> tuple[str, ...]:
    return str(one.signals), f"{one.expected:.2g}", f"{one.in_alarm:.1%}", str(one.points)


TRAINING: Estimation[ControlChartDefinition] = ControlChartTraining()
