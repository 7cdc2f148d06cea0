"""Limits of a threshold definition on one asset: numbers as written, or attributes of the asset."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from alerting.definitions.alert_definition import (
    SEVERITIES,
    Band,
    Condition,
    FromAttribute,
    LevelLimits,
    Severity,
)
from alerting.definitions.asset_documents import Asset
from alerting.definitions.faults import Fault, shown
from alerting.definitions.fields.condition_fields import Learned, LearnedLimit


@dataclass(frozen=True)
class Level:
    """Stated limits of one severity on one asset, without learned limits.

    `leave`: the band that the value must leave before `inside` or `equals` is over.
    """

    severity: Severity
    above: float | None = None
    below: float | None = None
    clear_above_at: float | None = None
    clear_below_at: float | None = None
    inside: tuple[float, float] | None = None
    equals: float | str | None = None
    leave: tuple[float, float] | None = None

    @property
    def numbers(self) -> tuple[float, ...]:
        """Return every number that a value is compared with."""
        single = (self.above, self.below, self.clear_above_at, self.clear_below_at, self.equals)
        limits = [*single, *(self.inside or ()), *(self.leave or ())]
        return tuple(limit for limit in limits if isinstance(limit, float))


_SINGLE = ("above", "below", "clear_above_at", "clear_below_at")


def written_limits(definition: Condition) -> Iterator[tuple[str, Any]]:
    """Return every given limit with its path: a number, a text, true or false, or FromAttribute."""
    for name in (*_SINGLE, "equals"):
        if (limit := getattr(definition, name)) is not None:
            yield name, limit
    for name in ("outside", "inside", "clear_inside", "clear_outside"):
        if (band := getattr(definition, name)) is not None:
            yield f"{name}.low", band.low
            yield f"{name}.high", band.high
    for severity, limits in level_limits(definition):
        yield from (
            (f"levels.{severity}.{n}", limit)
            for n in _SINGLE
            if (limit := getattr(limits, n)) is not None
        )


def level_limits(definition: Condition) -> list[tuple[Severity, LevelLimits]]:
    """Return severity and limits of each given level, the least severe first."""
    if definition.levels is None:
        return []
    by_severity = [(s, getattr(definition.levels, s, None)) for s in SEVERITIES]
    return [(s, limits) for s, limits in by_severity if limits is not None]


def unknown_limits(definition: Condition, asset: Asset) -> list[Fault]:
    """Return a fault for every limit that this asset should state but does not."""
    unknown: list[Fault] = []
    for path, limit in written_limits(definition):
        if isinstance(limit, FromAttribute):
            value = asset.attributes.get(limit.attribute)
            if value is None:
                unknown.append(
                    Fault(
                        path,
                        f"asset {shown(asset.name)} has no attribute {shown(limit.attribute)}",
                        f"known attributes: {', '.join(sorted(asset.attributes)) or 'none'}",
                    )
                )
            elif path != "equals" and (
                isinstance(value, bool) or not isinstance(value, int | float)
            ):
                unknown.append(
                    Fault(
                        path,
                        f"attribute {shown(limit.attribute)} of asset {shown(asset.name)} is "
                        f"{shown(value)}; a limit needs a number",
                    )
                )
    return unknown


def learned_limits(definition: Condition) -> list[tuple[str, Learned]]:
    """Return path and description of every learned limit of a condition of one variable."""
    sides: list[tuple[str, Any]] = [("above", definition.above), ("below", definition.below)]
    for severity, limits in level_limits(definition):
        sides += [
            (f"levels.{severity}.above", limits.above),
            (f"levels.{severity}.below", limits.below),
        ]
    return [(path, limit.learned) for path, limit in sides if isinstance(limit, LearnedLimit)]


def learned_sides(definition: Condition) -> list[tuple[Severity, str, Learned]]:
    """Return severity, side and description of every learned limit of a condition of one
    variable."""
    of_levels: list[tuple[Severity, LevelLimits | Condition]] = [*level_limits(definition)] or [
        (definition.severity, definition)
    ]
    sides = [
        (severity, side, getattr(limits, side))
        for severity, limits in of_levels
        for side in ("above", "below")
    ]
    return [
        (severity, side, limit.learned)
        for severity, side, limit in sides
        if isinstance(limit, LearnedLimit)
    ]


def key_of(variable: str, learned: Learned) -> str:
    """Return the key under which a learned limit of a variable is stored."""
    return json.dumps([variable, learned.quantile, learned.over.total_seconds(), *learned.by])


def levels_on(definition: Condition, asset: Asset) -> tuple[Level, ...]:
    """Return the limits on this asset, least severe first; all must be known (see
    `unknown_limits`)."""
    if definition.levels is not None:
        return tuple(
            _level(severity, limits, asset) for severity, limits in level_limits(definition)
        )
    level = _level(definition.severity, definition, asset)
    if definition.outside is not None:
        low, high = _band(definition.outside, asset)
        clear = level.clear_below_at, level.clear_above_at
        if definition.clear_inside is not None:
            clear = _band(definition.clear_inside, asset)
        return (Level(level.severity, high, low, clear_above_at=clear[1], clear_below_at=clear[0]),)
    leave = None if definition.clear_outside is None else _band(definition.clear_outside, asset)
    if definition.inside is not None:
        return (Level(level.severity, inside=_band(definition.inside, asset), leave=leave),)
    if definition.equals is not None:
        return (Level(level.severity, equals=_value(definition.equals, asset), leave=leave),)
    return (level,)


def severities(definition: Condition) -> tuple[Severity, ...]:
    """Return every severity that an episode of this definition can have, the least severe first."""
    if definition.levels is None:
        return (definition.severity,)
    possible = {s for s, _ in level_limits(definition)} | (
        {definition.severity} if definition.no_data == "alert" else set()
    )
    return tuple(s for s in SEVERITIES if s in possible)


def level_delays(definition: Condition) -> dict[Severity, timedelta]:
    """Return the on-delay of each level."""
    return {
        severity: definition.hold if limits.hold is None else limits.hold
        for severity, limits in level_limits(definition)
    }


def _level(severity: Severity, limits: LevelLimits | Condition, asset: Asset) -> Level:
    return Level(
        severity,
        _number(limits.above, asset),
        _number(limits.below, asset),
        _number(limits.clear_above_at, asset),
        _number(limits.clear_below_at, asset),
    )


def _band(band: Band, asset: Asset) -> tuple[float, float]:
    return float(_value(band.low, asset)), float(_value(band.high, asset))


def _number(limit: float | FromAttribute | LearnedLimit | None, asset: Asset) -> float | None:
    return None if limit is None or isinstance(limit, LearnedLimit) else float(_value(limit, asset))


def _value(limit: float | str | FromAttribute, asset: Asset) -> float | str:
    value = asset.attributes[limit.attribute] if isinstance(limit, FromAttribute) else limit
    return value if isinstance(value, str) else float(value)
