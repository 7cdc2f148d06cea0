"""Conversion of values from the unit that a file or a source states into the unit that their
variable is declared in, by the tables of pint."""

import re
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from functools import cache, lru_cache
from types import NoneType
from typing import Any, NamedTuple

from alerting.definitions.asset_documents import Asset, Variable, variable_name
from alerting.readings.foreign_columns import (
    TITLE_LENGTH,
    Units,
    derive_name,
    is_known_unit,
    normalize_unit,
    split_title,
)

# What pint reads otherwise, or not at all
_AS_PINT = {
    "U/min": "rpm",
    "lpm": "l/min",
    "gpm": "gallon/min",
    "cfm": "ft**3/min",
    "Torr": "torr",
    "kmh": "km/h",
    "1": "dimensionless",
}
# `C` may be degrees or coulombs, `l/m` per minute; `kt` is a knot to pint, `rH` a henry, `Nm³` may
# be normal cubic metres; decibels are no multiples
_UNCLEAR = re.compile(
    r"^S$|[lL]/m$|(?<![A-Za-z°])(?:[CFT]|[dckm]?(?:dB|pH|[rR]H|rh)|[ck]t|cd|Nm[23²³]|[sN]lpm|scfm)"
    r"(?![A-Za-z])"
)
_ROTATION = re.compile(r"\b(rpm|U)\b")  # pint counts a turn in radians
_POWER = re.compile(r"(?<=[A-Za-z])\^?(-?[123])(?![A-Za-z])")
_TORQUE = re.compile(r"^(k?)Nm(?![A-Za-z])")
_HUMIDITY = re.compile(r"%\s?(?:rH|RH|rh|r\.F\.)")


class Conversion(NamedTuple):
    """How values in one unit become values in another: times `times`, divided by `per`, plus
    `offset`. A thousandth is a division: 1,234 g are 1.234 kg to the last digit."""

    written: str
    declared: str
    times: float
    per: float
    offset: float

    def convert(self, value: Any) -> Any:
        """Return a value, or an array of values, in the other unit."""
        return value * self.times / self.per + self.offset

    def revert(self, value: Any) -> Any:
        """Return values of the other unit in the one that is converted."""
        return (value - self.offset) * self.per / self.times


class OtherQuantity(NamedTuple):
    """Two known units of different quantities, as °C and kg: none becomes the other."""

    written: str
    declared: str


class UnknownUnit(NamedTuple):
    """Two different units of which one is not known: they may mean the same."""

    written: str
    declared: str


UnitRelation = Conversion | OtherQuantity | UnknownUnit


def relate_units(written: str | None, declared: str | None) -> UnitRelation | None:
    """Return how values in one unit become values in another; None if both are the same, or one is
    not stated."""
    if not written or not declared:
        return None
    units = [_HUMIDITY.sub("%", normalize_unit(unit)) for unit in (written, declared)]
    return _relate(*units) if units[0] != units[1] else None


@lru_cache(10_000)
def _relate(written: str, declared: str) -> UnitRelation | None:
    units = (written, declared)
    turns = [bool(_ROTATION.search(unit)) for unit in units]
    if (
        not all(map(is_known_unit, units))
        or any(map(_UNCLEAR.search, units))
        or turns[0] != turns[1]
    ):
        return UnknownUnit(written, declared)
    import pint  # noqa: PLC0415 - takes half a second; few files state another unit

    registry = _registry()
    try:
        source, target = (registry.Unit(_as_pint(unit)) for unit in units)
        zero, million = (registry.Quantity(x, source).to(target).magnitude for x in (0.0, 1e6))
        times, offset = (float(f"{number:.12g}") for number in ((million - zero) / 1e6, zero))
        per = float(f"{1 / times:.12g}")
        is_part = per == round(per)
    except pint.DimensionalityError:  # `m` may be minutes
        return (UnknownUnit if "m" in units else OtherQuantity)(written, declared)
    except (pint.PintError, ArithmeticError, TypeError, ValueError):
        return UnknownUnit(written, declared)
    if (times, offset) == (1.0, 0.0):
        return None
    return Conversion(written, declared, 1.0 if is_part else times, per if is_part else 1.0, offset)


@cache
def _registry() -> Any:
    import pint  # noqa: PLC0415

    return pint.UnitRegistry()


def _as_pint(unit: str) -> str:
    plain = _TORQUE.sub(r"\1N*m", unit.replace("Ohm", "ohm"))
    return _AS_PINT.get(unit) or _POWER.sub(r"**\1", plain)


def title_unit(title: str) -> str | None:
    """Return the unit in a title, None without one; a title of before is not split again."""
    return _unit_of_short(title) if len(title) <= TITLE_LENGTH else None


@lru_cache(10_000)
def _unit_of_short(title: str) -> str | None:
    return split_title(title).unit


def relations_of(
    units: Mapping[str, str | None], variables: Mapping[str, Variable]
) -> dict[str, UnitRelation]:
    """Return, by variable, how stated units relate to the declared ones, where they differ."""
    related = (
        (name, relate_units(unit, variables[name].unit))
        for name, unit in units.items()
        if name in variables and variables[name].type == "number"
    )
    return {name: relation for name, relation in related if relation is not None}


def column_names(
    titles: Iterable[str], units: Units, taken: Collection[str] = ()
) -> dict[str, str]:
    """Return each title's variable, as `column_name`. `taken`: names of other columns."""
    derived = {title: derive_name(title) for title in titles}
    counts = Counter([*derived.values(), *taken])
    return {
        title: column_name(title, units, is_shared=counts[name] > 1)
        for title, name in derived.items()
    }


def column_name(title: str, units: Units, *, is_shared: bool) -> str:
    """Return the name of the variable of a title.

    The unit stays in the name where the shorter name is shared with another title, is that of a
    variable in a unit into which it cannot be converted, or where there is a variable of the longer
    name.
    """
    name = derive_name(title)
    longer = variable_name(title)
    unit = split_title(title).unit
    if longer in units:
        return longer
    if name in units:
        is_same = unit in units[name] or (
            not is_shared
            and all(isinstance(relate_units(unit, u), Conversion | NoneType) for u in units[name])
        )
        return name if is_same else longer
    return longer if is_shared else name


def units_by_name(assets: Iterable[Asset]) -> dict[str, set[str | None]]:
    """Return the units of all variables of assets by name."""
    units: dict[str, set[str | None]] = {}
    for asset in assets:
        for name, variable in asset.variables.items():
            units.setdefault(name, set()).add(variable.unit)
    return units


def describe_relations(relations: Mapping[str, UnitRelation]) -> Iterator[str]:
    """Yield for each variable that its values are converted, or a question about its units."""
    for name, relation in relations.items():
        if isinstance(relation, Conversion):
            yield f"{name}: values are converted from {relation.written} into {relation.declared}"
        else:
            yield (
                f"{name}: the values are in {relation.written}, the variable in "
                f"{relation.declared}: the same unit? They are stored as they are; correct one of "
                "both otherwise"
            )
