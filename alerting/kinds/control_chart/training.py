"""Phase I of a control chart: limits of a normal period, and their comparison on unseen time."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from math import ceil
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from alerting.deferred import pd
from alerting.definitions.faults import TrainingRefused
from alerting.definitions.wording.language import translatable
from alerting.detection.control_charts.chart import Chart, ChartState, Point
from alerting.detection.control_charts.limits import limit_of, spread_limits
from alerting.detection.control_charts.phase_one import LEAST_POINTS, estimate
from alerting.detection.problems import problem_intervals
from alerting.detection.suppression import is_covered
from alerting.kinds.control_chart.definition import LEAST_RUN_LENGTH, ControlChartDefinition
from alerting.kinds.control_chart.model import ControlChartModel, FittedChart, to_files
from alerting.kinds.normal.training import (
    LEAST_ALLOWED,
    MOST_IN_ALARM,
    FoundProblems,
    compared_rows,
    count_found,
    is_too_many,
    normal_time,
    propose_end,
    times_of_readings,
)
from alerting.kinds.protocol.training import (
    Comparison,
    Estimated,
    Estimation,
    LearningData,
    NormalTime,
    TrainingSource,
)
from alerting.learning.metrics.confidence import poisson_interval
from alerting.learning.selection.decision_table import Objection, decide
from alerting.readings.history import History, Millis, duration_millis, has_data, millis, to_millis

_WEEK = timedelta(days=7)
_TITLES = (
    "signals on unseen time",
    "false alarms allowed there",
    "unseen points in alarm",
    "unseen points",
)
_GAP = 10  # usual intervals
_SMOOTHING = 0.1
_SHIFT = 1.0
_MOVED = 1.0  # standard deviations of a reading by which a level has moved


class ChartSeries(NamedTuple):
    """Readings of one asset by instant (ms)."""

    at: Millis
    values: npt.NDArray[np.float64]


class ControlChartTraining:
    """Limits of control charts."""

    in_pieces = False

    def period(self, definition: ControlChartDefinition, source: TrainingSource) -> NormalTime:
        return normal_time(definition, *times_of_readings(definition, source, definition.variable))

    def estimate(
        self, definition: ControlChartDefinition, revision: int, family: str, data: LearningData
    ) -> Estimated:
        period = data.period
        fitted = {
            history.asset.name: _fit(
                definition, chart_series(definition, history, data, period.start, period.cutoff)
            )
            for history in data.whole_histories
        }
        charts = {name: one for name, one in fitted.items() if one is not None}
        without = [name for name, one in fitted.items() if one is None]
        if not charts:
            raise TrainingRefused(
                definition.name,
                translatable(
                    "{names}: fewer than {least} usable readings of {variable} from {start} to "
                    "{end} UTC, or they do not vary; choose another normal period, or import "
                    "readings",
                    names=", ".join(without),
                    least=LEAST_POINTS,
                    variable=definition.variable,
                    start=f"{period.start:%Y-%m-%d %H:%M}",
                    end=f"{period.cutoff:%Y-%m-%d %H:%M}",
                ),
            )
        notes = [note for name, one in charts.items() for note in one.describe(name)]
        notes += [
            f"{name}: too few readings, or they do not vary; it has no limits" for name in without
        ]
        left_out = {
            "out of control": sum(
                stretch.readings for one in charts.values() for stretch in one.left_out
            ),
            "far from the others": sum(one.outliers for one in charts.values()),
        }
        longest = max(one.run_length for one in charts.values())
        return Estimated(
            ControlChartModel(family, revision, period.cutoff, charts),
            sum(one.used for one in charts.values()),
            left_out,
            tuple(notes),
            {"chart": family, "average_run_length": longest},
            {f"limit {name}": one.chart.limit for name, one in charts.items()},
        )

    def compare(
        self,
        definition: ControlChartDefinition,
        data: LearningData,
        candidates: Mapping[str, ControlChartModel],
        champion: ControlChartModel | None,
    ) -> Comparison:
        [(family, challenger)] = candidates.items()
        watched = {} if champion is None else champion.by_asset
        moved = dict(moved_assets(challenger.by_asset, watched))
        all_moved = bool(moved) and len(moved) == len(challenger.by_asset)
        lost = sorted(watched.keys() - challenger.by_asset.keys())
        stay = lost if all_moved else [*moved, *lost]  # so that the others wait for no person
        kept = {name: watched[name] for name in stay}
        estimated = challenger.select_assets(challenger.by_asset.keys() - kept.keys())
        challenger = replace(challenger, by_asset={**challenger.by_asset, **kept})
        new = _count_signals(definition, estimated, data)
        counted = [new]
        if champion is not None:
            both = estimated.by_asset.keys() & watched.keys()
            models = (estimated.select_assets(both), champion.select_assets(both))
            counted = [_count_signals(definition, one, data) for one in models]
        evidence = {
            "compared": [*compared_rows(_TITLES, *map(_texts, counted))],
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
        stays = "".join(
            f"{text}, so its limits stay; with `normal` {{from, to}} the new level counts. "
            for text in moved.values()
        )
        seen = None if champion is None else champion.training_cutoff
        short = not (new.is_enough or new.is_too_many)
        longer = propose_end(data.period, new.expected, seen) if short else ""
        facts = {
            "subject": "limits are",
            "moved": "; ".join(moved.values()),
            "new": "newly estimated",
            "found": f"{new.describe()}{longer}",
            "stays": stays,
            "in_alarm": new.in_alarm,
            "most_in_alarm": MOST_IN_ALARM,
        }
        few = (
            f" {', '.join(lost)}: too few readings for new limits, or they do not vary, so the "
            "limits in service stay."
        )
        decision = decide(objections, facts, stays + new.describe(), evidence, few if lost else "")
        return Comparison(family, decision, metrics, challenger if kept else None)

    save = staticmethod(to_files)


def chart_series(
    definition: ControlChartDefinition,
    history: History,
    data: LearningData,
    start: datetime,
    end: datetime,
) -> ChartSeries:
    """Return the possible values in (start, end], without those of suppressed times."""
    if definition.variable not in history.readings:
        return ChartSeries(np.empty(0, np.int64), np.empty(0))
    at = millis(pd.DatetimeIndex(history.readings.index))
    values = history.readings[definition.variable].to_numpy(np.float64)
    used = has_data(history, definition.variable) & (at > to_millis(start)) & (at <= to_millis(end))
    used &= ~is_covered(data.suppressed.get(history.asset.name, ()), at)
    return ChartSeries(at[used], values[used])


def _fit(definition: ControlChartDefinition, series: ChartSeries) -> FittedChart | None:
    at, values = series
    if len(at) < LEAST_POINTS:
        return None
    interval = max(1, int(np.median(np.diff(at))))
    gap = duration_millis(definition.stale_time(timedelta(milliseconds=_GAP * interval)))
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
        _with_limits(chart, wanted),
        interval,
        wanted,
        found.deviation,
        found.used,
        found.outliers,
        found.left_out,
    )


def _with_limits(chart: Chart, wanted: float) -> Chart:
    """Return the chart with the limits of a run length, of two charts each with twice of it."""
    if chart.subgroup == 1:
        return replace(chart, limit=limit_of(chart, wanted))
    spread = spread_limits(chart.subgroup, 2 * wanted)
    return replace(chart, limit=limit_of(chart, 2 * wanted), spread=spread)


def _count_signals(
    definition: ControlChartDefinition, model: ControlChartModel, data: LearningData
) -> Signals:
    """Count signals on unseen readings; one that returns within the off-delay is the same, also
    after a pause without a point: only clear points end an alarm."""
    found = Signals(0, 0, 0.0, 0)
    start = max(data.period.unseen_from or data.period.cutoff, model.training_cutoff)
    for history in data.whole_histories:
        fitted = model.by_asset.get(history.asset.name)
        if fitted is None:
            continue
        series = chart_series(definition, history, data, start, data.period.end)
        charted = [*charted_points(definition, fitted, series)]
        clear_for = duration_millis(definition.off_delay(fitted.clear_for))
        rank = np.flatnonzero([bool(point.signals) for point in charted])
        at = np.array([point.at for point in charted], np.int64)
        goes_on = at[rank[1:]] - at[rank[:-1] + 1] <= clear_for  # since the point after a signal
        signals = len(rank) - int(goes_on.sum())
        found = Signals(
            found.signals + signals,
            found.points + len(charted),
            found.expected + len(charted) / fitted.run_length,
            found.lasting + signals + int(np.diff(rank)[goes_on].sum()),
            _found(definition, history, charted, start, data.period.end, found.found),
        )
    return found


def _found(
    definition: ControlChartDefinition,
    history: History,
    charted: Sequence[Point],
    start: datetime,
    end: datetime,
    before: FoundProblems,
) -> FoundProblems:
    """Add the problems of one asset in (start, end] to those `before`."""
    every = problem_intervals(definition.problem, history) if definition.problem else []
    inside = [(a, b) for a, b in every if to_millis(start) < a <= to_millis(end)]
    alarms = np.array([point.at for point in charted if point.signals], np.int64)
    around = duration_millis(definition.for_assets([history.asset]).window.until)
    own = count_found(inside, alarms, around)
    return FoundProblems(
        before.problems + own.problems,
        before.found + own.found,
        before.announced + own.announced,
        before.waited_s + own.waited_s,
    )


def charted_points(
    definition: ControlChartDefinition, fitted: FittedChart, series: ChartSeries
) -> Iterator[Point]:
    """Yield the points of readings, begun anew after each gap."""
    state = ChartState()
    before = None
    gap = duration_millis(definition.stale_time(fitted.stale_after))
    for t, value in zip(series.at.tolist(), series.values.tolist(), strict=True):
        if before is not None and t - before > gap:
            state.break_off()
        before = t
        point = state.add(fitted.chart, t, value)
        if point is not None:
            yield point


def moved_assets(
    new: Mapping[str, FittedChart], old: Mapping[str, FittedChart]
) -> Iterator[tuple[str, str]]:
    """Yield the assets whose level has moved from one estimate to the next, with a sentence."""
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


def _texts(one: Signals) -> tuple[str, ...]:
    return str(one.signals), f"{one.expected:.2g}", f"{one.in_alarm:.1%}", str(one.points)


TRAINING: Estimation[ControlChartDefinition] = ControlChartTraining()


class Signals(NamedTuple):
    """Signals that began on unseen points. `expected`: false ones that are allowed on average.

    `lasting`: points from the first to the last of each. `found`: problems there.
    """

    signals: int
    points: int
    expected: float
    lasting: int
    found: FoundProblems = FoundProblems(0, 0, 0, 0.0)

    @property
    def is_enough(self) -> bool:
        return self.expected >= LEAST_ALLOWED

    def describe(self) -> str:
        """Return the count in a sentence, or how many points it needs."""
        if not self.points:
            return "There is no unseen time yet on which its false alarms could be counted."
        problems = f" {self.found.describe()}." if self.found.problems else ""
        if not self.is_enough and not self.is_too_many:
            needed = ceil(LEAST_ALLOWED * self.points / self.expected)
            few = f"{self.points}; about {needed} needed"
            return f"There are too few unseen points to count false alarms ({few}).{problems}"
        low, high = poisson_interval(self.signals)
        signals = "1 signal" if self.signals == 1 else f"{self.signals} signals"
        return (
            f"{self._verdict}: {signals} on {self.points} unseen points (95 % "
            f"interval {low:.2g} to {high:.2g}), where its run length allows {self.expected:.2g}."
            f"{problems}"
        )

    @property
    def _verdict(self) -> str:
        if self.in_alarm > MOST_IN_ALARM:
            return "Its signals last too long"
        return "It signals too often" if self.is_too_many else "Its false alarms are as allowed"

    @property
    def in_alarm(self) -> float:
        return self.lasting / self.points if self.points else 0.0

    @property
    def is_too_many(self) -> bool:
        return is_too_many(self.signals, self.expected, self.in_alarm)
