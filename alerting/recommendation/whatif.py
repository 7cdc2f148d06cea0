"""A search over settings of controllable variables that would have brought the model's risk under the threshold.

It is a what-if of the model, not of the line: only the variable itself changes, not the variables that it would have moved.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import combinations, product
from math import ceil, floor, inf, isfinite

import numpy as np
import numpy.typing as npt
import pandas as pd

from alerting.definitions.assets import Variable
from alerting.definitions.wording.spoken import spoken_share
from alerting.episodes.episode import Change, RecommendationResult
from alerting.learning.data.point_in_time import point_in_time_view
from alerting.learning.features.build import build_features_many
from alerting.learning.models.trained import TrainedModel
from alerting.readings.history import History, Millis, duration_millis, millis, to_millis
from alerting.recommendation.messages import describe_setting, risk_step, unit

Floats = npt.NDArray[np.float64]
COARSE, FINE = 9, 5  # settings tried per variable: over its whole range, then towards the present setting
BEAM = 20  # combinations of two or more changes that are extended by one more
MOST_COMBINATIONS = 20_000
MARGIN = 0.5  # of the threshold: the next disturbance undoes a setting that barely suffices
SLACK = 0.05  # share of the ordinary range by which a feature may lie outside of it


@dataclass(frozen=True)
class Lever:
    """A controllable variable: its present setting, and the lowest and highest setting to try.

    The range respects the variable's limits, and stays near the values seen in training. It may be empty.
    `step`: distance of allowed settings, counted from `anchor`; None for any. `span`: the reference length of effort.
    """

    name: str
    present: float
    low: float
    high: float
    step: float | None
    anchor: float
    span: float
    cost: float

    def settings(self, low: float, high: float, most: int) -> list[float]:
        """Return at most `most` allowed settings, evenly over [low, high], without the present one; none if low > high."""
        if low > high:
            return []
        if self.step is None:
            found = np.linspace(low, high, most)
        else:
            first, last = ceil((low - self.anchor) / self.step - 1e-9), floor((high - self.anchor) / self.step + 1e-9)
            if last < first:
                return []
            found = self.anchor + self.step * np.unique(np.round(np.linspace(first, last, most)))
        return [v for v in np.round(found, 9).tolist() if abs(v - self.present) > 1e-9 * max(1.0, self.span)]

    def effort(self, value: float) -> float:
        """Return the effort of a setting: the share of the whole range, times the variable's cost."""
        return self.cost * abs(value - self.present) / self.span


@dataclass(frozen=True)
class Option:
    """One lever at one setting, with the model's columns that follow from it."""

    lever: Lever
    value: float
    features: Floats

    @property
    def effort(self) -> float:
        """Return the effort of this setting."""
        return self.lever.effort(self.value)


Combination = tuple[Option, ...]


@dataclass(frozen=True)
class Tried:
    """Combinations of settings with the risk of each."""

    combinations: Sequence[Combination]
    risk: Floats

    def cheapest_under(self, threshold: float) -> Combination | None:
        """Return the combination with the least effort under the threshold; of equals fewest changes, then lowest risk."""
        under = [int(i) for i in np.flatnonzero(self.risk < threshold)]
        if not under:
            return None
        best = min(under, key=lambda i: (round(_effort(self.combinations[i]), 9), len(self.combinations[i]), self.risk[i]))
        return self.combinations[best]

    def lowest(self) -> Combination:
        """Return the combination with the lowest risk; of equals the one with the least effort."""
        best = min(range(len(self.risk)), key=lambda i: (self.risk[i], _effort(self.combinations[i])))
        return self.combinations[best]


def recommend(model: TrainedModel, history: History, at: datetime, max_changes: int) -> RecommendationResult:
    """Find the smallest change of at most `max_changes` variables that would have brought the risk under the threshold.

    The target is a risk under half of it (`MARGIN`), because the next disturbance undoes a change that barely suffices; if no
    change reaches that, the smallest change under the threshold is returned. The search sets each variable to its new value over
    the last interval (the horizon, or the shortest window if that is longer) before `at`, and computes every feature again.
    Settings respect the variable's min, max, step and max_change, and features stay near the values seen in training. Where no
    change suffices, the greatest reduction is returned with `helps` False. `history` needs readings back to
    `model.plan.lookback` before `at`, and the newest earlier one of each variable that is carried forward longer.
    """
    instant = to_millis(at)
    view = point_in_time_view(history, instant, instant - duration_millis(model.plan.farthest))
    search = _Search(model, view, instant, whatif_interval(model))
    if search.risk_before < model.threshold:
        message = (
            f"No change is needed: the risk is {spoken_share(search.risk_before)} (alarm at {spoken_share(model.threshold)})."
        )
        return RecommendationResult((), search.risk_before, search.risk_before, helps=False, message=message)
    found = levers(model, view, instant)
    if not found:
        message = "No advice: the model uses no variable that operators can set and whose present setting is known."
        return RecommendationResult((), search.risk_before, search.risk_before, helps=False, message=message)
    options = search.options([(lever, v) for lever in found for v in lever.settings(lever.low, lever.high, COARSE)])
    tried = search.combine(options, max_changes)
    if not tried.combinations:
        message = "No advice: every permitted setting is far from the training data of the model."
        return RecommendationResult((), search.risk_before, search.risk_before, helps=False, message=message)
    for limit in (MARGIN * model.threshold, model.threshold):
        cheapest = tried.cheapest_under(limit)
        if cheapest is not None:
            return search.result(search.refine(cheapest, limit), helps=True)
    return search.result(tried.lowest(), helps=False)


def whatif_interval(model: TrainedModel) -> timedelta:
    """Return the length of the interval before the instant in which a changed setting applies."""
    return max(model.horizon, timedelta(milliseconds=model.plan.windows_ms[0]))


def levers(model: TrainedModel, history: History, instant: int) -> list[Lever]:
    """Return controllable numbers and booleans that the model uses and whose present setting is known."""
    found = []
    for number in model.plan.numbers:
        variable = history.asset.variables.get(number.name)
        if variable is None or not variable.controllable or number.name not in history.readings:
            continue
        present = _present(history, number.name, instant, model.plan.carry_ms(number.name))
        if present is not None and (lever := _lever(model, number.name, variable, present)) is not None:
            found.append(lever)
    return found


def _present(history: History, name: str, instant: int, longest: int) -> float | None:
    values, known_at = history.readings[name].to_numpy(np.float64), _known_instants(history, name)
    usable = np.flatnonzero(~np.isnan(values) & (known_at <= instant) & (known_at > instant - longest))
    return float(values[usable[-1]]) if len(usable) else None


def _known_instants(history: History, name: str) -> Millis:
    return millis(pd.DatetimeIndex(history.readings.index)) + duration_millis(history.delay(name))


def _lever(model: TrainedModel, name: str, variable: Variable, present: float) -> Lever | None:
    """Return the lever of a variable; None without any limit: none of its own, and never seen in training."""
    if variable.type == "boolean":
        return Lever(name, present, 0.0, 1.0, 1.0, 0.0, 1.0, variable.cost)
    trained_low, trained_high = _trained_range(model, name)
    low = _first_given(variable.min, variable.low, trained_low)
    high = _first_given(variable.max, variable.high, trained_high)
    if not (isfinite(low) and isfinite(high)):
        return None
    largest_change, slack = variable.max_change or inf, SLACK * (trained_high - trained_low)
    return Lever(
        name=name,
        present=present,
        low=max(low, present - largest_change, min(trained_low - slack, present)),
        high=min(high, present + largest_change, max(trained_high + slack, present)),
        step=variable.step,
        anchor=variable.min if variable.min is not None else 0.0,
        span=max(high - low, variable.step or 1e-9),
        cost=variable.cost,
    )


def _trained_range(model: TrainedModel, name: str) -> tuple[float, float]:
    """Return the lowest and highest level of a variable in training."""
    levels = [
        c.name for c in model.plan.layout if c.kind == "variable" and c.source == name and c.aggregation in ("last", "mean")
    ]
    bounds = [model.ranges[level] for level in levels if level in model.ranges]
    return (min(low for low, _ in bounds), max(high for _, high in bounds)) if bounds else (-inf, inf)


def _columns_of(model: TrainedModel, name: str) -> list[int]:
    """Return the positions of the columns computed from a variable."""
    return [i for i, column in enumerate(model.plan.layout) if column.kind == "variable" and column.source == name]


def _first_given(*values: float | None) -> float:
    return next(v for v in values if v is not None)


def _effort(combination: Combination) -> float:
    return sum(option.effort for option in combination)


class _Search:
    """One instant of one asset, scored repeatedly with other settings."""

    def __init__(self, model: TrainedModel, history: History, instant: int, interval: timedelta) -> None:
        self._model, self._history, self._instant, self._interval = model, history, instant, interval
        self._base = model.estimator.columns.matrix(build_features_many(model.plan, history, instant, [{}]))[0]
        self._columns = {n.name: np.array(_columns_of(model, n.name), np.int64) for n in model.plan.numbers}
        self.risk_before = float(self._risk(self._base[None, :])[0])

    def options(self, wanted: Sequence[tuple[Lever, float]]) -> list[Option]:
        """Return the plausible ones of the wanted settings, each with its features."""
        if not wanted:
            return []
        changes = [{lever.name: self._carried_values(lever.name, value)} for lever, value in wanted]
        matrix = self._model.estimator.columns.matrix(
            build_features_many(self._model.plan, self._history, self._instant, changes)
        )
        made = [Option(lever, v, row[self._columns[lever.name]]) for (lever, v), row in zip(wanted, matrix, strict=True)]
        return [option for option in made if self._plausible(option)]

    def combine(self, options: Sequence[Option], max_changes: int) -> Tried:
        """Score all single changes and pairs; from three on, extend the most promising combinations by one more change."""
        tried = self._try([(option,) for option in options])
        best = tried
        for size in range(2, max_changes + 1):
            best = self._try(list(_combinations_of_two(options) if size == 2 else _extend(best, options)))
            if not best.combinations:
                break
            tried = Tried([*tried.combinations, *best.combinations], np.concatenate([tried.risk, best.risk]))
        return tried

    def refine(self, coarse: Combination, limit: float) -> Combination:
        """Return the least effort between a combination that suffices and the coarse settings before it, itself included."""
        finer = self.options([(o.lever, v) for o in coarse for v in _nearer(o)])
        choices = [[o, *(f for f in finer if f.lever is o.lever)] for o in coarse]
        return self._try(list(product(*choices))).cheapest_under(limit) or coarse

    def result(self, combination: Combination, helps: bool) -> RecommendationResult:
        """Return the recommendation with its messages; without changes if no setting lowers the risk."""
        after = float(self._try([combination]).risk[0])
        asset, before, threshold = self._history.asset, self.risk_before, self._model.threshold
        if not helps and after >= before:
            message = f"No permitted change lowers the risk ({spoken_share(before)}; alarm at {spoken_share(threshold)})."
            return RecommendationResult((), before, before, helps=False, message=message)
        changes = tuple(Change(o.lever.name, o.lever.present, o.value, unit(asset, o.lever.name)) for o in combination)
        step, risk = describe_setting(asset, changes), risk_step(before, after)
        message = f"{step}. {risk}."
        if not helps:
            message = f"No permitted change is enough (alarm at {spoken_share(threshold)}). The largest effect: {message}"
        return RecommendationResult(changes, before, after, helps, message)

    def _carried_values(self, name: str, value: float) -> Floats:
        """Return the variable's values with the setting applied over the interval.

        It replaces the values known in the interval, or the last known value if there are none.
        """
        values = self._history.readings[name].to_numpy(np.float64, copy=True)
        known_at = _known_instants(self._history, name)
        there = ~np.isnan(values) & (known_at <= self._instant)
        recent = there & (known_at > self._instant - duration_millis(self._interval))
        values[recent if recent.any() else np.flatnonzero(there)[-1:]] = value
        return values

    def _plausible(self, option: Option) -> bool:
        """Return whether no feature lies farther outside of its training range than it does now.

        A smaller spread or slope than in training is acceptable.
        """
        for i, now in zip(self._columns[option.lever.name].tolist(), option.features.tolist(), strict=True):
            column = self._model.plan.layout[i]
            bounds = self._model.ranges.get(column.name)
            if bounds is None:
                continue
            low, high = bounds
            if column.aggregation in ("std", "slope"):
                low, high = min(low, -abs(high)), max(high, abs(low))
            slack = SLACK * (high - low)
            if _outside(now, low - slack, high + slack) > _outside(float(self._base[i]), low - slack, high + slack):
                return False
        return True

    def _try(self, tried: Sequence[Combination]) -> Tried:
        matrix = np.repeat(self._base[None, :], len(tried), axis=0)
        for row, combination in zip(matrix, tried, strict=True):
            for option in combination:
                row[self._columns[option.lever.name]] = option.features
        return Tried(tried, self._risk(matrix))

    def _risk(self, matrix: Floats) -> Floats:
        return self._model.calibration.probability(self._model.estimator.margin_of(matrix))


def _outside(value: float, low: float, high: float) -> float:
    """Return the distance of a value outside of a range; 0 inside, and for a missing value."""
    return max(low - value, value - high, 0.0) if value == value else 0.0  # noqa: PLR0124 - NaN


def _combinations_of_two(options: Sequence[Option]) -> Iterator[Combination]:
    """Return all pairs of settings of different levers, at most the first `MOST_COMBINATIONS` of them."""
    combined = ((a, b) for a, b in combinations(options, 2) if a.lever is not b.lever)
    return (combination for combination, _ in zip(combined, range(MOST_COMBINATIONS), strict=False))


def _extend(tried: Tried, options: Sequence[Option]) -> Iterator[Combination]:
    """Return the combinations of lowest risk, each with one more lever."""
    for i in np.argsort(tried.risk, kind="stable")[:BEAM]:
        used = tried.combinations[i]
        yield from ((*used, o) for o in options if all(o.lever is not u.lever for u in used))


def _nearer(option: Option) -> list[float]:
    """Return settings between a coarse one and the coarse one before it, on the way from the present setting."""
    lever = option.lever
    step = (lever.high - lever.low) / (COARSE - 1)
    towards = option.value - np.sign(option.value - lever.present) * min(step, abs(option.value - lever.present))
    low, high = sorted((float(towards), option.value))
    return [v for v in lever.settings(low, high, FINE) if abs(v - option.value) > 1e-9 * max(1.0, lever.span)]
