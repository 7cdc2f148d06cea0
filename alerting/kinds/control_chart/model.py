"""The model of a control chart: the fitted chart of each asset with its account of phase I, stored
as one file of plain numbers; the state of a chart from reading to reading; and phase I, which
estimates centre line, deviation and autoregressive model from a period that was mostly in control.

The same readings give the same bits, at whatever instants an evaluation begins and ends.

Intervals out of control are found by circular binary segmentation of block means and left out of
phase I (A. B. Olshen, E. S. Venkatraman, R. Lucito and M. Wigler, Biostatistics 5 (2004) 557-572),
as are single points beyond the limits. All of them are returned, so that a person can look at them.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field
from datetime import timedelta
from itertools import pairwise
from typing import Any, Literal, NamedTuple

import numpy as np

from alerting.definitions.wording.language import (
    Interval,
    Styled,
    count_in_english,
    in_english,
    spoken_duration,
    template,
    translatable,
)
from alerting.kinds.control_chart.definition import MOST_POINTS, RULES, RuleName, violated
from alerting.kinds.normal_operation import NormalModel, read_header
from alerting.ports import Files
from alerting.readings.history import BoolArray, Floats, Millis, from_millis

ChartKind = Literal["shewhart", "ewma", "cusum"]
# signals that are no rule of a Shewhart chart
SPREAD = "spread"
LIMIT = "limit"
# standard deviations from the centre line at which a value counts: a code of a fault must not stay
# in an EWMA
FARTHEST = 1e6


class ControlLimits(NamedTuple):
    """Lower control limit, centre line and upper control limit, in the unit of the charted
    statistic."""

    lower: float
    centre: float
    upper: float


@dataclass(frozen=True)
class Chart:
    """A chart with its parameters.

    `centre`: mean of the readings. `sigma`: standard deviation of a reading, or, with
    `coefficients`, of the residual that an autoregressive model with these coefficients leaves.
    `limit`: for a Shewhart chart the width of its zones (limits at ±3 widths), for an EWMA the
    limit in its asymptotic standard deviations, for a CUSUM its decision interval h. `subgroup`:
    readings per point. `spread`: lowest and highest standard deviation within a subgroup, in units
    of `sigma`.
    """

    kind: ChartKind
    centre: float
    sigma: float
    limit: float
    coefficients: tuple[float, ...] = ()
    rules: tuple[RuleName, ...] = ()
    smoothing: float = 0.1
    allowance: float = 0.5
    subgroup: int = 1
    spread: tuple[float, float] | None = None

    @property
    def unit(self) -> float:
        """Return the standard deviation of a point."""
        return self.sigma / math.sqrt(self.subgroup)

    @property
    def base(self) -> float:
        """Return the centre line: that of the readings, or 0 for residuals."""
        return 0.0 if self.coefficients else self.centre

    @property
    def statistic(self) -> str:
        """Return the name of the charted statistic."""
        value = "residual" if self.coefficients else "value"
        single = value if self.subgroup == 1 else f"mean {value} of {self.subgroup}"
        return {
            "shewhart": single,
            "ewma": f"EWMA of the {single}",
            "cusum": f"CUSUM of the {single}",
        }[self.kind]

    @property
    def limits(self) -> ControlLimits:
        """Return the limits of the charted statistic."""
        if self.kind == "cusum":
            return ControlLimits(-self.limit, 0.0, self.limit)
        if self.kind == "ewma":
            half = self.limit * math.sqrt(self.smoothing / (2 - self.smoothing)) * self.unit
        else:
            half = 3 * self.limit * self.unit
        return ControlLimits(self.base - half, self.base, self.base + half)


class Point(NamedTuple):
    """A charted point: its instant (ms), statistic, and the signals with the instants (ms) of the
    points that gave each."""

    at: int
    statistic: float
    signals: dict[str, tuple[int, ...]]
    spread: float | None = None


@dataclass
class ChartState:
    """State of a chart between two readings.

    `past`: the last deviations from the centre that the autoregressive model needs, the newest
    last. `group`: deviations in the incomplete subgroup. `up`, `down`: the EWMA, or the two sides
    of the CUSUM. `recent`: the last points as instant (ms) and standardised value.
    """

    past: list[float] = field(default_factory=list)
    group: list[float] = field(default_factory=list)
    up: float = 0.0
    down: float = 0.0
    recent: list[tuple[int, float]] = field(default_factory=list)

    def to_numbers(self) -> tuple[float, ...]:
        """Return the state as plain numbers."""
        flat = [number for point in self.recent for number in point]
        counts = len(self.past), len(self.group), len(self.recent)
        return (*map(float, counts), self.up, self.down, *self.past, *self.group, *map(float, flat))

    @staticmethod
    def from_numbers(numbers: Iterable[float]) -> ChartState:
        """Return the state that `to_numbers` wrote."""
        remaining: Iterator[float] = iter(numbers)
        past = int(next(remaining))
        group = int(next(remaining))
        recent = int(next(remaining))
        up = next(remaining)
        down = next(remaining)
        return ChartState(
            [next(remaining) for _ in range(past)],
            [next(remaining) for _ in range(group)],
            up,
            down,
            [(int(next(remaining)), next(remaining)) for _ in range(recent)],
        )

    def break_off(self) -> None:
        """Reset what a gap interrupts: past deviations, an incomplete subgroup, and runs of
        points."""
        self.past = []
        self.group = []
        self.recent = []

    def add(self, chart: Chart, at: int, value: float) -> Point | None:
        """Chart a reading and return its point; None if too few readings precede it, or its
        subgroup is incomplete."""
        farthest = FARTHEST * chart.sigma
        deviation = min(max(value - chart.centre, -farthest), farthest)
        past = self.past
        order = len(chart.coefficients)
        if order:
            self.past = [*past, deviation][-order:]
            if len(past) < order:
                return None
            deviation -= sum(
                c * earlier for c, earlier in zip(chart.coefficients, reversed(past), strict=True)
            )
        self.group.append(deviation)
        if len(self.group) < chart.subgroup:
            return None
        group = self.group
        self.group = []
        return self._chart(chart, at, group)

    def _chart(self, chart: Chart, at: int, group: list[float]) -> Point:
        mean = sum(group) / len(group)
        z = mean / chart.unit
        signals: dict[str, tuple[int, ...]] = {}
        if chart.kind == "shewhart":
            statistic = chart.base + mean
            self.recent = [*self.recent, (at, z)][-MOST_POINTS:]
            for name in violated(chart.rules, [value for _, value in self.recent], chart.limit):
                signals[name] = tuple(t for t, _ in self.recent[-RULES[name].points :])
        elif chart.kind == "ewma":
            self.up = (1 - chart.smoothing) * self.up + chart.smoothing * z
            statistic = chart.base + self.up * chart.unit
        else:
            most = 2 * chart.limit  # a long shift must not hide its end
            self.up = min(max(0.0, self.up + z - chart.allowance), most)
            self.down = min(max(0.0, self.down - z - chart.allowance), most)
            statistic = self.up if self.up >= self.down else -self.down
        limits = chart.limits
        if chart.kind != "shewhart" and not limits.lower <= statistic <= limits.upper:
            signals[LIMIT] = (at,)
        deviation = None
        if chart.spread is not None:
            deviation = math.sqrt(sum((value - mean) ** 2 for value in group) / (len(group) - 1))
            low, high = chart.spread
            if not low * chart.sigma <= deviation <= high * chart.sigma:
                signals[SPREAD] = (at,)
        return Point(at, statistic, signals, deviation)


FILE = "control_chart.json"
_MOST_LEFT_OUT = 20
_SHOWN = 5
_WARM_UP = 100  # points


@dataclass(frozen=True)
class FittedChart:
    """The chart of one asset. `interval_ms`: usual time between two readings. `run_length`: average
    run length in control, in points.

    From phase I: `used`: number of readings used; `outliers`: number of single readings left out;
    `left_out`: intervals out of control; `deviation`: standard deviation of the used readings.
    """

    chart: Chart
    interval_ms: int
    run_length: float
    deviation: float
    used: int
    outliers: int
    left_out: tuple[LeftOut, ...]

    @property
    def stale_after(self) -> timedelta:
        """Return the default time after which a reading is stale: ten usual intervals."""
        return timedelta(milliseconds=10 * self.interval_ms)

    @property
    def clear_for(self) -> timedelta:
        """Return the default off-delay: ten usual intervals of points."""
        return timedelta(milliseconds=10 * self.interval_ms * self.chart.subgroup)

    @property
    def warm_up(self) -> timedelta:
        """Return how long before its first evaluated reading a new chart begins: a hundred
        points."""
        return timedelta(milliseconds=_WARM_UP * self.interval_ms * self.chart.subgroup)

    def describe(self, asset: str) -> Iterable[str]:
        """Yield sentences on phase I and on the limits."""
        chart = self.chart
        limits = self.chart.limits
        yield (
            f"{asset}: {chart.statistic}, centre line {limits.centre:.6g}, limits "
            f"{limits.lower:.6g} and {limits.upper:.6g}, "
            f"standard deviation {chart.sigma:.4g}, from {self.used:,} readings"
        )
        if chart.coefficients:
            coefficients = ", ".join(f"{c:.3g}" for c in chart.coefficients)
            order = len(chart.coefficients)
            before = "one before it" if order == 1 else f"{order} before it"
            yield (
                f"{asset}: a reading depends on the {before}: residuals are charted (AR "
                f"coefficients {coefficients})"
            )
        often = spoken_duration(
            timedelta(milliseconds=self.run_length * self.interval_ms * chart.subgroup)
        )
        yield (
            f"{asset}: at most one false alarm in {self.run_length:,.0f} points on average "
            f"({often}), all rules together"
        )
        if self.outliers:
            yield count_in_english(
                "{asset}: {number} single reading far from the others is left out",
                "{asset}: {number} single readings far from the others are left out",
                self.outliers,
                asset=asset,
            )
        for stretch in self.left_out[:_SHOWN]:
            yield in_english(
                "{asset}: out of control, left out: {times}, mean {mean} of {readings} readings",
                asset=asset,
                times=Interval(from_millis(stretch.start), from_millis(stretch.end)),
                mean=Styled(stretch.mean, ".6g"),
                readings=stretch.readings,
            )
        if len(self.left_out) > _SHOWN:
            yield f"{asset}: {len(self.left_out) - _SHOWN} more stretches are left out"


@dataclass(frozen=True)
class ControlChartModel(NormalModel[FittedChart]):
    """The charts by asset."""

    @property
    def hash(self) -> str:
        """Return the hash of all numbers that decide a signal."""
        charts = {
            asset: (asdict(fitted.chart), fitted.interval_ms)
            for asset, fitted in sorted(self.by_asset.items())
        }
        settings = [self.family, f"{self.training_cutoff.isoformat()}{self.spacing_text}", charts]
        return hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()


def to_files(model: ControlChartModel) -> Files:
    """Return the files of a model, by name."""
    charts = {
        asset: {**asdict(fitted), "left_out": [list(s) for s in fitted.left_out[:_MOST_LEFT_OUT]]}
        for asset, fitted in sorted(model.by_asset.items())
    }
    return {FILE: json.dumps({**model.header, "charts": charts}, sort_keys=True, indent=1).encode()}


def from_files(files: Files) -> ControlChartModel:
    """Return the model in these files."""
    document: dict[str, Any] = json.loads(files[FILE])
    charts = {asset: _fitted(of_asset) for asset, of_asset in document["charts"].items()}
    return ControlChartModel(**read_header(document), by_asset=charts)


def _fitted(document: dict[str, Any]) -> FittedChart:
    of_chart = document.pop("chart")
    spread = of_chart.pop("spread")
    chart = Chart(
        **of_chart
        | {
            "coefficients": tuple(of_chart["coefficients"]),
            "rules": tuple(of_chart["rules"]),
            "spread": None if spread is None else tuple(spread),
        }
    )
    left_out = tuple(LeftOut(*stretch) for stretch in document["left_out"])
    return FittedChart(chart=chart, **document | {"left_out": left_out})


LEAST_POINTS = 30
MOST_ORDER = 5
_BLOCKS = 240
_LEAST_BLOCKS = 8
_PENALTY = 3.0  # times the logarithm of the number of blocks, in variances of a block mean
_FAR = 1.0  # standard deviations from the usual level from which a stretch is out of control
_BEYOND = 3.5  # standard deviations from which a single point is left out
_ROUNDS = 10
_MAD = 1.4826
# The Bayesian information criterion must fall by this for an autoregressive model of higher order.
_LEAST_GAIN = 10.0


class LeftOut(NamedTuple):
    """An interval of readings that was left out: first and last instant (ms), number of readings,
    mean."""

    start: int
    end: int
    readings: int
    mean: float


@dataclass(frozen=True)
class PhaseOne:
    """Estimates of phase I. `deviation`: standard deviation of the `used` readings; `outliers`:
    number of single readings left out."""

    centre: float
    sigma: float
    coefficients: tuple[float, ...]
    deviation: float
    used: int
    outliers: int
    left_out: tuple[LeftOut, ...]


def _describe_few(inside: BoolArray, readings: int) -> str:
    text = template(
        "{in_control} of its {readings} usable readings are in control, {least} are needed"
    )
    if inside.all():
        text = template("it has {readings} usable readings, {least} are needed")
    return translatable(text, in_control=int(inside.sum()), readings=readings, least=LEAST_POINTS)


def estimate(at: Millis, values: Floats, gap: int, residuals: bool) -> PhaseOne | str:
    """Estimate centre line, sigma and (if `residuals`) autoregression from in-control readings at
    instants (ms) (SPC phase I); a text why that is not possible.

    `gap`: distance (ms) from which on a reading does not follow the previous one. `residuals`: fit
    an autoregressive model, of the order up to 5 with the least Bayesian information criterion.
    """
    left_out = _find_out_of_control(at, values)
    keep = np.ones(len(at), np.bool_)
    for stretch in left_out:
        keep[(at >= stretch.start) & (at <= stretch.end)] = False
    if keep.sum() < LEAST_POINTS:
        return _describe_few(keep, len(at))
    centre = float(np.median(values[keep]))
    coefficients = _autoregression(at, values - centre, keep, gap) if residuals else ()
    deviations, whole = _residuals(at, values - centre, coefficients, keep, gap)
    inside = whole
    offset = 0.0
    sigma = robust_deviation(deviations[whole])
    for _ in range(_ROUNDS):
        if sigma <= 0 or inside.sum() < LEAST_POINTS:
            break
        within = whole & (np.abs(deviations - offset) <= _BEYOND * sigma)
        offset = float(deviations[within].mean())
        sigma = float(deviations[within].std(ddof=1))
        if (within == inside).all():
            break
        inside = within
    if sigma <= 0:
        return translatable(
            "its {readings} usable readings do not vary (they are {value})",
            readings=len(at),
            value=f"{centre:.6g}",
        )
    if inside.sum() < LEAST_POINTS:
        return _describe_few(inside, len(at))
    centre += offset / (1 - sum(coefficients))
    return PhaseOne(
        centre,
        sigma,
        coefficients,
        float(values[inside].std(ddof=1)),
        int(inside.sum()),
        int(whole.sum() - inside.sum()),
        left_out,
    )


def robust_deviation(values: Floats) -> float:
    """Return the standard deviation estimated from the median absolute deviation; the plain
    standard deviation if half of all values are equal. It has the unit of the values."""
    if not len(values):
        return 0.0
    robust = _MAD * float(np.median(np.abs(values - np.median(values))))
    return robust or float(values.std(ddof=1))


def _find_out_of_control(at: Millis, values: Floats) -> tuple[LeftOut, ...]:
    """Return the intervals whose mean lies more than one standard deviation from the usual level,
    oldest first."""
    size = max(1, len(values) // _BLOCKS)
    number = len(values) // size
    if number < _LEAST_BLOCKS:
        return ()
    edges = np.append(np.arange(number) * size, len(values))
    means = np.add.reduceat(values, edges[:-1]) / np.diff(edges)
    noise = _MAD * float(np.median(np.abs(np.diff(means)))) / math.sqrt(2)
    if noise <= 0:
        return ()
    cuts = [0, *_change_points(means, _PENALTY * math.log(number) * noise**2), number]
    parts = [(edges[a], edges[b]) for a, b in pairwise(cuts)]
    levels = np.array([np.median(values[a:b]) for a, b in parts])
    sigma = robust_deviation(
        np.concatenate([values[a:b] - level for (a, b), level in zip(parts, levels, strict=True)])
    )
    lengths = np.array([b - a for a, b in parts])
    order = np.argsort(levels, kind="stable")
    usual = levels[order][int(np.searchsorted(np.cumsum(lengths[order]), lengths.sum() / 2))]
    stretches: list[LeftOut] = []
    far = np.abs(levels - usual) > _FAR * sigma
    first = 0
    for number, (a, b) in enumerate(parts):
        first = first if number and far[number - 1] else int(a)
        if far[number] and (number + 1 == len(parts) or not far[number + 1]):
            stretches.append(
                LeftOut(
                    int(at[first]), int(at[b - 1]), int(b) - first, float(values[first:b].mean())
                )
            )
    return tuple(stretches)


def _change_points(means: Floats, penalty: float) -> list[int]:
    """Return the positions at which the mean of a series changes, by circular binary segmentation.

    It splits off the part, at an end or in the middle, that lowers the sum of squares most, as long
    as the sum falls by at least the penalty.
    """
    sums = np.concatenate(([0.0], np.cumsum(means)))
    changes = set[int]()
    open_parts = [(0, len(means))]
    while open_parts:
        a, b = open_parts.pop()
        if b - a < 2:
            continue
        at = np.arange(a, b + 1)
        length = (at[None, :] - at[:, None]).astype(np.float64)
        inner = sums[at][None, :] - sums[at][:, None]
        whole = float(b - a)
        total = sums[b] - sums[a]
        possible = (length > 0) & (length < whole)
        length = np.where(possible, length, 1.0)
        gain = np.where(
            possible,
            inner**2 / length
            + (total - inner) ** 2 / (whole - length + ~possible)
            - total**2 / whole,
            0.0,
        )
        first, last = divmod(int(np.argmax(gain)), len(at))
        if gain[first, last] > penalty:
            cuts = [a, *(cut for cut in (a + first, a + last) if a < cut < b), b]
            changes.update(cuts[1:-1])
            open_parts += list(pairwise(cuts))
    return sorted(changes)


def _lagged(
    at: Millis, deviations: Floats, keep: BoolArray, gap: int, order: int
) -> tuple[Floats, BoolArray]:
    """Return the `order` deviations before each reading, newest first, and a mask of the readings
    that follow all of these without a gap."""
    lags = np.zeros((len(at), order))
    whole = keep.copy()
    follows = np.concatenate(([False], (np.diff(at) <= gap) & keep[1:] & keep[:-1]))
    for lag in range(1, order + 1):
        lags[lag:, lag - 1] = deviations[:-lag]
        whole[:lag] = False
        whole[lag:] &= follows[1 : len(at) - lag + 1]
    return lags, whole


def _autoregression(at: Millis, deviations: Floats, keep: BoolArray, gap: int) -> tuple[float, ...]:
    """Return the coefficients of the autoregressive model with the least information criterion;
    none for white noise.

    All orders are fitted by least squares on the same readings, without those far from their
    neighbours' level.
    """
    near = np.abs(deviations) <= 2 * _BEYOND * robust_deviation(deviations[keep])
    lags, rows = _lagged(at, deviations, keep & near, gap, MOST_ORDER)
    if rows.sum() < 10 * MOST_ORDER + LEAST_POINTS:
        return ()
    y = deviations[rows]
    x = lags[rows]
    number = int(rows.sum())
    fitted: tuple[float, ...] = ()
    best = number * math.log(float(np.mean((y - y.mean()) ** 2)) or 1e-300)
    for order in range(1, MOST_ORDER + 1):
        design = np.column_stack((x[:, :order], np.ones(number)))
        solution = np.linalg.lstsq(design, y, rcond=None)[0]
        criterion = number * math.log(
            float(np.mean((y - design @ solution) ** 2)) or 1e-300
        ) + order * math.log(number)
        if criterion < best - _LEAST_GAIN and sum(solution[:-1]) < 1:
            best = criterion
            fitted = tuple(float(c) for c in solution[:-1])
    return fitted


def _residuals(
    at: Millis, deviations: Floats, coefficients: tuple[float, ...], keep: BoolArray, gap: int
) -> tuple[Floats, BoolArray]:
    """Return the residuals of all readings, and a mask of the readings that have all needed
    readings before them."""
    if not coefficients:
        return deviations, keep
    lags, whole = _lagged(at, deviations, keep, gap, len(coefficients))
    return deviations - lags @ np.array(coefficients), whole
