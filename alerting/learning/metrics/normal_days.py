"""Normal values of the days of a training, by variable: the other half of `day_drift`.

The level of a day is the median of its hourly means, and the spread of the level from day to day is
what chance does (prediction interval of a new observation, Hahn & Meeker 1991). Days that follow
each other are alike, so n of them are worth fewer for their mean and for their variance (Bayley &
Hammersley 1946), with the correlation from one day to the next free of its bias (Marriott & Pope
1954).

Each variable has two aspects, as in regression control charts (Mandel 1969; Hawkins 1991): its
*level*, less what set-points and categories explain of it in the training, so that a recipe that
the training knows is no drift, also on the day of a change; and its *relation*, less what the other
measured variables explain too. Levels that lie apart in the training without a learned cause are
regimes, and each hour counts from the nearest.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal, NamedTuple, TypeAlias

from alerting.deferred import np, npt
from alerting.definitions.wording.language import template

Floats: TypeAlias = "npt.NDArray[np.float64]"
Bools: TypeAlias = "npt.NDArray[np.bool_]"
Aspect = Literal["level", "relation"]

DAY = 24
"""Hours of the window that is told of."""
LEAST_DAYS = 10
"""Independent days of the training from which on a variable can be told of."""
FEW_DAYS = template("too few days in the training")
SLOW = template("it changes too slowly for so short a training")
_LEAST_SHIFT: Mapping[Aspect, float] = {"level": 0.5, "relation": 0.25}  # of the scale below
_LEAST_SHARE = 0.5  # of the usual hours of a day
_MOST_PREDICTORS = 20
_HOURS_A_PREDICTOR = 20  # of the training: with fewer, predictors explain nothing
_COMPLETE = 0.8  # share of hours with both of two variables
_TRIMMINGS = 2
_TRIMMED = 0.9
_REGIMES = 4
_APART = 5.0  # standard deviations of a day within its regime
_DAYS_OF_REGIME = 3


class HourTable(NamedTuple):
    """Numbers by hour, all arrays of one length; NaN where an hour has none.

    `values`: means of measured variables. `settings`: of what people set: set-points, shares of
    categories. `in_training`: the hours that the model learned from.
    """

    values: Mapping[str, Floats]
    settings: Mapping[str, Floats]
    in_training: Bools


@dataclass(frozen=True)
class Regression:
    """The part of a variable that predictors explain: `slopes` by predictor, from their means."""

    names: tuple[str, ...]
    means: Floats
    slopes: Floats

    def explained(self, series: Mapping[str, Floats], length: int) -> Floats:
        if not self.names:
            return np.zeros(length)
        return (np.column_stack([series[name] for name in self.names]) - self.means) @ self.slopes


@dataclass(frozen=True)
class NormalDay:
    """What is normal for one aspect of a variable at one time of day.

    `centres`: of its regimes; `centre`: mean of the days, from their regime; `spread`, `freedom`:
    of a new day, with degrees of freedom; `scale`: least shift that matters; `least`: hours that a
    day needs. `doubt`: why nothing can be told.
    """

    variable: str
    aspect: Aspect
    regression: Regression
    centres: Floats
    centre: float = 0.0
    spread: float = 0.0
    freedom: float = 1.0
    scale: float = 0.0
    least: float = 1.0
    doubt: str = ""

    def off(self, table: HourTable, series: Mapping[str, Floats]) -> Floats:
        """Return how far each hour is off what was to be expected."""
        hours = table.values[self.variable]
        off = hours - self.regression.explained(series, len(hours))
        if self.doubt:
            return off
        return off - _nearest(off, self.centres) - self.centre


class NormalDays(NamedTuple):
    """What is normal in the training, for windows that end at one hour of the day."""

    levels: tuple[NormalDay, ...]
    relations: tuple[NormalDay, ...]


def learn_days(table: HourTable, end: int) -> NormalDays:
    """Return what is normal in the training for days that end at the same time as index `end`."""
    series = carry_settings(table)
    learned = table.in_training
    settings = {name: series[name] for name in table.settings}
    by_people = _varying(settings, learned)[:_MOST_PREDICTORS]
    levels = []
    relations = []
    for name in table.values:
        levels.append(_learn(name, "level", _regress(name, by_people, series, learned), table, end))
        partners = _partners(name, table)
        regression = _regress(name, [*by_people, *partners], series, learned)
        if partners and regression.names:
            relations.append(_learn(name, "relation", regression, table, end))
    return NormalDays(tuple(levels), tuple(relations))


def _learn(
    name: str, aspect: Aspect, regression: Regression, table: HourTable, end: int
) -> NormalDay:
    hours = table.values[name]
    series = carry_settings(table)
    off = hours - regression.explained(series, len(hours))
    none = NormalDay(name, aspect, regression, np.zeros(1))
    days = _days(table.in_training, end)
    present = [int(np.isfinite(off[e - DAY : e]).sum()) for e in days]
    usual = float(np.median([n for n in present if n])) if any(present) else 0.0
    least = max(_LEAST_SHARE * usual, 1.0)
    days = [e for e, n in zip(days, present, strict=True) if n >= least]
    if len(days) < LEAST_DAYS:
        return replace(none, doubt=FEW_DAYS)
    centres = _regimes(_medians(off, days))
    off = off - _nearest(off, centres)
    levels = _medians(off, days)
    inside = (off if aspect == "level" else hours)[table.in_training]
    size = float(np.nanstd(inside))
    floor = 1e-6 * max(float(np.nanmax(np.abs(hours[table.in_training]))), 1e-6)
    chance = _chance(levels)
    if chance is None:
        return replace(none, doubt=SLOW)
    spread, freedom = chance
    return NormalDay(
        name,
        aspect,
        regression,
        centres,
        float(levels.mean()),
        max(spread, 1e-4 * size, floor),
        freedom,
        max(_LEAST_SHIFT[aspect] * size, floor),
        least,
    )


def _days(learned: Bools, end: int) -> list[int]:
    """Return the ends of the days that lie in the training, at the same time of day as `end`; the
    day may have gaps."""
    ends = np.arange(end % DAY, min(end, len(learned)) + 1, DAY)
    return [int(e) for e in ends if e >= DAY and learned[e - DAY : e].sum() >= DAY / 2]


def _medians(off: Floats, ends: Sequence[int]) -> Floats:
    return np.array([float(np.nanmedian(off[e - DAY : e])) for e in ends])


def _chance(levels: Floats) -> tuple[float, float] | None:
    """Return the spread of a new day and its degrees of freedom; None of days too alike."""
    n = len(levels)
    off = levels - levels.mean()
    squares = float((off**2).sum())
    alike = float((off[1:] * off[:-1]).sum()) / squares if squares > 0 else 0.0
    alike = float(np.clip(alike + (1 + 4 * alike) / n, 0.0, 0.95))
    of_mean = n * (1 - alike) / (1 + alike)
    of_variance = n * (1 - alike**2) / (1 + alike**2)
    if of_mean <= 1 or of_variance < LEAST_DAYS / 2:
        return None
    variance = squares / n / (1 - 1 / of_mean)
    return float(np.sqrt(variance * (1 + 1 / of_mean))), of_variance - 1


def _regimes(levels: Floats) -> Floats:
    """Return the centres of the levels that lie apart: of most lines one."""
    groups = [np.sort(levels)]
    while len(groups) < _REGIMES:
        gaps = [_gap(group) for group in groups]
        widest = int(np.argmax([gap for gap, _ in gaps]))
        gap, at = gaps[widest]
        if gap < _APART:
            break
        group = groups.pop(widest)
        groups += [group[:at], group[at:]]
    return np.array([float(np.median(group)) for group in groups])


def _gap(group: Floats) -> tuple[float, int]:
    """Return the widest gap of sorted levels, in standard deviations within both of its sides, and
    the index after it."""
    best = (0.0, 0)
    for at in range(_DAYS_OF_REGIME, len(group) - _DAYS_OF_REGIME + 1):
        low = group[:at]
        high = group[at:]
        inside = float(((low - low.mean()) ** 2).sum() + ((high - high.mean()) ** 2).sum())
        apart = float(high[0] - low[-1])
        gap = apart / max(float(np.sqrt(inside / max(len(group) - 2, 1))), 1e-12)
        best = max(best, (gap if apart > 0 else 0.0, at))
    return best


def _nearest(off: Floats, centres: Floats) -> Floats:
    """Return the centre that is nearest to each hour."""
    if len(centres) == 1:
        return np.full(len(off), centres[0])
    return np.asarray(centres[np.abs(np.nan_to_num(off)[:, None] - centres).argmin(axis=1)])


def carry_settings(table: HourTable) -> dict[str, Floats]:
    """Return all series by name; a missing hour of a setting is as the one before."""
    found = dict(table.values)
    for name, hours in table.settings.items():
        index = np.where(np.isfinite(hours), np.arange(len(hours)), 0)
        found[name] = hours[np.maximum.accumulate(index)]
    return found


def _varying(series: Mapping[str, Floats], learned: Bools) -> list[str]:
    """Return the names of what differs in the training."""
    found = []
    for name in sorted(series):
        inside = series[name][learned]
        inside = inside[np.isfinite(inside)]
        if len(inside) and float(inside.std()) > 1e-9 * max(float(np.abs(inside).max()), 1.0):
            found.append(name)
    return found


def _partners(name: str, table: HourTable) -> list[str]:
    """Return the other variables that go with one in the training, at most twenty."""
    learned = table.in_training
    own = table.values[name][learned]
    others = _varying({n: hours for n, hours in table.values.items() if n != name}, learned)
    likeness = {other: _likeness(own, table.values[other][learned]) for other in others}
    best = sorted(others, key=lambda other: (-likeness[other], other))
    return [other for other in best if likeness[other] > 0][:_MOST_PREDICTORS]


def _likeness(first: Floats, second: Floats) -> float:
    """Return the absolute correlation; 0 where more than a fifth of the hours lacks one of both."""
    both = np.isfinite(first) & np.isfinite(second)
    if both.sum() < _COMPLETE * max(int(np.isfinite(first).sum()), 1):
        return 0.0
    one = first[both] - first[both].mean()
    two = second[both] - second[both].mean()
    scale = float(np.sqrt((one**2).sum() * (two**2).sum()))
    return abs(float((one * two).sum())) / scale if scale > 0 else 0.0


def _regress(
    name: str, predictors: Iterable[str], series: Mapping[str, Floats], learned: Bools
) -> Regression:
    """Return what predictors explain of a variable in the training: least squares, twice without
    the tenth that fits worst (least trimmed squares, Rousseeuw 1984); nothing of too few hours."""
    names = tuple(predictors)
    none = Regression((), np.empty(0), np.empty(0))
    if not names:
        return none
    columns = np.column_stack([series[one] for one in names])
    rows = np.flatnonzero(learned & np.isfinite(series[name]) & np.isfinite(columns).all(axis=1))
    if len(rows) < _HOURS_A_PREDICTOR * (len(names) + 1):
        return none
    inside = columns[rows]
    means = inside.mean(axis=0)
    widths = np.maximum(inside.std(axis=0), 1e-12)
    design = np.column_stack([np.ones(len(rows)), (inside - means) / widths])
    hours = series[name][rows]
    kept = np.ones(len(rows), np.bool_)
    for _ in range(1 + _TRIMMINGS):
        weights, *_ = np.linalg.lstsq(design[kept], hours[kept], rcond=1e-6)
        off = np.abs(hours - design @ weights)
        kept = off <= np.quantile(off, _TRIMMED)
    return Regression(names, means, weights[1:] / widths)
