"""A fitted control chart, and its state from reading to reading: plain numbers, one reading after
the other.

The same readings give the same bits, at whatever instants an evaluation begins and ends.
"""

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from alerting.detection.control_charts.rules import MOST_POINTS, RULES, RuleName, violated

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
    """A chart with its numbers.

    `centre`: mean of the readings. `sigma`: standard deviation of a reading, with `coefficients` of
    a residual: what an autoregressive model with these coefficients does not expect. `limit`: of a
    Shewhart chart the width of its zones (limits at ±3 widths), of an EWMA in its asymptotic
    standard deviations, of a CUSUM its decision interval h. `subgroup`: readings of a point.
    `spread`: lowest and highest standard deviation within a subgroup, in `sigma`.
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
        """Return the centre line of readings, or of residuals: 0."""
        return 0.0 if self.coefficients else self.centre

    @property
    def statistic(self) -> str:
        """Return what is charted, in words."""
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

    `past`: the last deviations from the centre that its autoregressive model needs, the newest
    last. `group`: deviations of the subgroup that is not complete. `up`, `down`: the EWMA, or the
    two sides of the CUSUM. `recent`: the last points as instant (ms) and standardised value.
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
    def from_numbers(numbers: Iterable[float]) -> "ChartState":
        """Return the state of `to_numbers`."""
        rest: Iterator[float] = iter(numbers)
        past, group, recent = (int(next(rest)) for _ in range(3))
        up = next(rest)
        down = next(rest)
        return ChartState(
            [next(rest) for _ in range(past)],
            [next(rest) for _ in range(group)],
            up,
            down,
            [(int(next(rest)), next(rest)) for _ in range(recent)],
        )

    def break_off(self) -> None:
        """Forget what only follows without a gap: neighbours of readings, an incomplete subgroup,
        and runs of points."""
        self.past = []
        self.group = []
        self.recent = []

    def add(self, chart: Chart, at: int, value: float) -> Point | None:
        """Chart a reading. None while there is no point: too few readings before it, or an
        incomplete subgroup."""
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
            for name in violated(chart.rules, [one for _, one in self.recent], chart.limit):
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
            deviation = math.sqrt(sum((one - mean) ** 2 for one in group) / (len(group) - 1))
            low, high = chart.spread
            if not low * chart.sigma <= deviation <= high * chart.sigma:
                signals[SPREAD] = (at,)
        return Point(at, statistic, signals, deviation)
