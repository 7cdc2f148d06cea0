"""Levers: controllable variables that a model reads, each with the settings to choose from."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from math import ceil, floor, inf, isfinite, log10

from alerting.deferred import np, pd
from alerting.definitions.asset_documents import Asset, Relation, Variable, in_order
from alerting.definitions.fields.learning import LeverLimits
from alerting.learning.features.moving_together import gain_within
from alerting.learning.features.plan import FeaturePlan
from alerting.learning.models.trained import TrainedModel
from alerting.readings.history import Floats, History, Millis, duration_millis, in_range, millis
from alerting.recommendation.variable_text import decimals

DIVISIONS = 40  # of the range of a variable without a step: its settings, and its tolerance
COARSEST = 10  # of the range: a coarser resolution of readings leaves too few settings
RECENT = 100  # readings that show the resolution
MOST_SETTINGS = 200  # of one lever; a finer grid is thinned, and its answer is the best one found
MOST_PARTS = 4
# Effort of changing a variable at all, as a share of its range: it prefers one larger change to two
# small ones.
ANY_CHANGE = 0.08
# Share of a step: closer to the present value a setting is the present one, e.g. 7.4 in 32 bits.
SAME = 1e-3
SLACK = 0.05  # share of the ordinary range by which a feature may lie outside of it
MINUTE_MS = 60_000
MOST_ROWS = 500  # of the time of a ramp, in which all else is held
ROWS_IN_WINDOW = 10  # least number of them in the shortest window of the model


@dataclass(frozen=True)
class Lever:
    """A controllable variable: its present setting and the allowed others, increasing, in the
    resolution of its readings or its step.

    `low`, `high`: the limits of the machine, within which missed settings stay. `span`: the range,
    of which effort is a share. `rate`: largest change in a millisecond; None for a change at once.
    `levels`: levels of a category; its settings are positions in them. `thinned`: the steps would
    allow more settings. `parts`: number of steps in the tolerance, at most `MOST_PARTS`. `relief`:
    the least distance by which one more unit moves the problem variable away from its limit; 0 if
    that is not known. `digits`: decimals by which the present setting is told.
    """

    name: str
    present: float
    settings: tuple[float, ...]
    low: float
    high: float
    tolerance: float
    span: float
    cost: float
    rate: float | None = None
    levels: tuple[str, ...] = ()
    thinned: bool = False
    parts: int = 1
    relief: float = 0.0
    digits: int = 9

    @property
    def misses(self) -> tuple[float, ...]:
        """Return the deviations by which a setting may be missed: the tolerance, and the steps up
        to it."""
        distances = (
            [self.tolerance * k / self.parts for k in range(1, self.parts + 1)]
            if self.tolerance
            else []
        )
        return tuple(sign * distance for distance in distances for sign in (-1, 1))

    def effort(self, value: float) -> float:
        """Return the effort of a setting: its change as a share of the range, plus `ANY_CHANGE`,
        times the cost; 0 for the present setting."""
        share = 1.0 if self.levels else abs(value - self.present) / self.span
        return self.cost * (share + ANY_CHANGE) if value != self.present else 0.0

    def ramp_ms(self, value: float) -> float:
        """Return the milliseconds that it takes to reach a setting."""
        return 0.0 if self.rate is None else abs(value - self.present) / self.rate

    def ramp(self, value: float) -> timedelta | None:
        """Return the time that it takes to reach a setting, in whole seconds; None at once."""
        return (
            None
            if self.rate is None
            else timedelta(seconds=ceil(self.ramp_ms(value) / 1000 - 1e-9))
        )

    def text(self, value: float) -> float | str:
        """Return a setting as people see it: the level of a category, otherwise the number."""
        return self.levels[int(value)] if self.levels else value


def find_levers(
    model: TrainedModel,
    history: History,
    instant: int,
    base: Floats,
    limits: Mapping[str, LeverLimits],
) -> list[Lever]:
    """Return the levers with a known setting and a limit, in the order of the asset.

    A controllable variable counts if the model reads it or a variable that follows it. `base`: the
    feature row of the instant. `limits`: narrower limits of a definition.
    """
    levers = []
    read = set(model.plan.variables)
    for name, declared in history.asset.variables.items():
        variable = narrow(declared, limits.get(name))
        if not variable.controllable or not read & {name, *followers(history.asset, name)}:
            continue
        if variable.type == "category":
            lever = _category_lever(model, name, variable, base)
        else:
            present = present_setting(history, name, instant, model.plan.carry_ms(name))
            readings = history.readings.get(name, pd.Series(dtype=np.float64)).dropna()
            lever = (
                None
                if present is None
                else _number_lever(model, name, variable, present, readings.tail(RECENT))
            )
        if lever is not None:
            levers.append(lever)
    return levers


def narrow(variable: Variable, limits: LeverLimits | None) -> Variable:
    """Return a variable within the narrower limits of a definition."""
    if limits is None:
        return variable
    directions = {d for d in (variable.direction, limits.direction) if d not in (None, "both")}
    changed = {
        "controllable": variable.controllable
        and limits.controllable is not False
        and len(directions) < 2,
        "direction": next(iter(directions), "both"),
        "min": _stricter(max, variable.min, limits.min),
        "max": _stricter(min, variable.max, limits.max),
        "max_change": _stricter(min, variable.max_change, limits.max_change),
        "rate": _stricter(min, variable.rate, limits.rate),
        "values": tuple(v for v in variable.values if not limits.values or v in limits.values),
    }
    replaced = {
        name: getattr(limits, name)
        for name in ("step", "tolerance", "cost")
        if getattr(limits, name) is not None
    }
    return variable.model_copy(update=changed | replaced)


def followers(asset: Asset, name: str) -> tuple[str, ...]:
    """Return the variables that follow a variable, directly or through others, or are computed from
    it."""
    moved = {name, *(relation.variable for relation in following(asset, name))}
    return tuple(sorted(moved.union(asset.computed_of(moved)) - {name}))


def with_companions(asset: Asset, model: TrainedModel, limits: Mapping[str, LeverLimits]) -> Asset:
    """Return the asset with the variables that moved together with a lever so far as its followers.

    Each follows as in normal operation, unless the asset says what it follows, or what the lever
    follows. Nothing follows one of several levers that moved together, nor one whose effect on the
    problem variable past data do not tell although they tell effects; nor what follows the lever
    against its sign on another asset.
    """
    relations = list(asset.relations)
    stated = {relation.variable for relation in relations}
    for group in model.together:
        levers = [name for name in group if _is_number_lever(asset, name, limits)]
        if len(levers) != 1 or (model.effects and not model.effects.relief(levers[0])):
            continue
        relations += [
            Relation(variable=name, kind="equal", of=levers[0], gain=gain)
            for name, values in group.items()
            if name not in stated | with_drivers(asset, levers) and not asset.is_computed(name)
            if model.normal and (gain := gain_within(values, group[levers[0]], model.normal.asset))
        ]
    return asset.model_copy(update={"relations": tuple(relations)})


def _is_number_lever(asset: Asset, name: str, limits: Mapping[str, LeverLimits]) -> bool:
    variable = asset.variables.get(name, Variable())
    return variable.type == "number" and narrow(variable, limits.get(name)).controllable


def following(asset: Asset, *names: str) -> list[Relation]:
    """Return the relations by which variables follow these, each after the relations of its
    drivers."""
    moved = set(names)
    relations = []
    for relation in in_order(asset.relations):
        if moved & set(relation.drivers):
            moved.add(relation.variable)
            relations.append(relation)
    return relations


def with_drivers(asset: Asset, names: Iterable[str]) -> set[str]:
    """Return these variables, their parts, and the variables that they follow, directly or through
    others."""
    variables = set(asset.with_parts(names))
    for relation in reversed(in_order(asset.relations)):
        if relation.variable in variables:
            variables.update(relation.drivers)
    return variables


def present_setting(history: History, name: str, instant: int, longest: int) -> float | None:
    """Return the number in force at an instant, if it became known within `longest` (ms) before."""
    if name not in history.readings:
        return None
    values = in_range(history.asset, name, history.readings[name].to_numpy(np.float64))
    known_at = known_instants(history, name)
    usable = np.flatnonzero(
        np.isfinite(values) & (known_at <= instant) & (known_at > instant - longest)
    )
    return float(values[usable[-1]]) if len(usable) else None


def known_instants(history: History, name: str) -> Millis:
    """Return the instant at which each reading of a variable is known."""
    return millis(pd.DatetimeIndex(history.readings.index)) + duration_millis(history.delay(name))


def usual_step(plan: FeaturePlan) -> int:
    """Return the shortest usual time (ms) between two readings, else the stride."""
    return min([n.sampling_ms for n in plan.numbers if n.sampling_ms] or [plan.stride_ms])


def longest_ramp(plan: FeaturePlan) -> int:
    """Return the longest ramp (ms) during which every window of the model has enough readings."""
    return MOST_ROWS * max(usual_step(plan), plan.windows_ms[0] // ROWS_IN_WINDOW)


def _stricter(
    choose: Callable[[Iterable[float]], float], declared: float | None, narrower: float | None
) -> float | None:
    stated = [limit for limit in (declared, narrower) if limit is not None]
    return choose(stated) if stated else None


def _category_lever(
    model: TrainedModel, name: str, variable: Variable, base: Floats
) -> Lever | None:
    levels = next((c.levels for c in model.plan.categories if c.name == name), ())
    present = float(base[model.plan.columns.index(f"{name}.last")]) if levels else np.nan
    if np.isnan(present):
        return None
    allowed = sorted(float(levels.index(v)) for v in variable.values if v in levels)
    settings = tuple(v for v in allowed if v != present)
    return Lever(name, present, settings, present, present, 0.0, 1.0, variable.cost, levels=levels)


def _number_lever(
    model: TrainedModel, name: str, variable: Variable, present: float, readings: pd.Series
) -> Lever | None:
    """Return the lever of a number; None if neither its document nor the training states a
    limit."""
    up = variable.direction != "down"
    down = variable.direction != "up"
    if variable.type == "boolean":
        switched = 1.0 - present
        allowed = up if switched > present else down
        return Lever(
            name, present, (switched,) if allowed else (), 0.0, 1.0, 0.0, 1.0, variable.cost
        )
    trained_low, trained_high = _trained_range(model, name)
    low = _first_stated(variable.min, variable.low, trained_low)
    high = _first_stated(variable.max, variable.high, trained_high)
    if not (isfinite(low) and isfinite(high)):
        return None
    span = max(high - low, variable.step or 1e-9)
    step = variable.step or span / DIVISIONS
    digits = _resolution(readings, span, step)
    largest = variable.max_change or inf
    slack = SLACK * (trained_high - trained_low) if isfinite(trained_high) else 0.0
    lowest = (
        max(low, present - largest, min(trained_low - slack, present))
        if down
        else max(low, present)
    )
    highest = (
        min(high, present + largest, max(trained_high + slack, present))
        if up
        else min(high, present)
    )
    rate = None if variable.rate is None else variable.rate / MINUTE_MS
    if rate is not None:
        lowest = max(lowest, present - rate * longest_ramp(model.plan))
        highest = min(highest, present + rate * longest_ramp(model.plan))
    anchor = (variable.min or 0.0) if variable.step else round(present, digits)
    settings, thinned = _settings(
        present, lowest, highest, step, anchor, 9 if variable.step else digits
    )
    tolerance = step if variable.tolerance is None else variable.tolerance
    return Lever(
        name,
        present,
        settings,
        low,
        high,
        tolerance,
        span,
        variable.cost,
        rate,
        thinned=thinned,
        parts=min(max(round(tolerance / step), 1), MOST_PARTS),
        relief=0.0 if model.effects is None else model.effects.relief(name),
        digits=digits,
    )


def _resolution(readings: pd.Series, span: float, step: float) -> int:
    """Return the decimals of settings: those of the readings, but not so few that the range has
    less than ten settings, nor more than a tenth of the step needs."""
    least = max(0, ceil(log10(COARSEST / span)))
    return min(max([least, *map(decimals, readings)]), max(least, 1 - floor(log10(step))))


def _settings(
    present: float, low: float, high: float, step: float, anchor: float, digits: int
) -> tuple[tuple[float, ...], bool]:
    """Return the whole steps within [low, high], rounded to these decimals, except the present
    setting, and whether they were thinned."""
    first = ceil((low - anchor) / step - 1e-9)
    last = floor((high - anchor) / step + 1e-9)
    if last < first:
        return (), False
    thinned = last - first + 1 > MOST_SETTINGS
    whole = np.unique(np.round(np.linspace(first, last, min(last - first + 1, MOST_SETTINGS))))
    settings = np.unique(np.round(anchor + step * whole, digits)).tolist()
    same = max(SAME * step, 0.5 / 10**digits)
    allowed = (v for v in settings if low - 1e-9 <= v <= high + 1e-9 and abs(v - present) > same)
    return tuple(allowed), thinned


def _trained_range(model: TrainedModel, name: str) -> tuple[float, float]:
    levels = [
        c.name
        for c in model.plan.layout
        if c.kind == "variable" and c.source == name and c.aggregation in ("last", "mean")
    ]
    bounds = [model.ranges[level] for level in levels if level in model.ranges]
    return (
        (min(low for low, _ in bounds), max(high for _, high in bounds)) if bounds else (-inf, inf)
    )


def _first_stated(*values: float | None) -> float:
    return next(v for v in values if v is not None)
