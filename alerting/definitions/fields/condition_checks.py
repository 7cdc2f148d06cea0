"""Find faults of conditions: across the fields of one condition, among several conditions, and
beside the known assets."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from fnmatch import fnmatchcase
from itertools import pairwise
from typing import Any

from alerting.definitions.alert_definition import Band, FromAttribute, LevelLimits
from alerting.definitions.asset_documents import Asset, EventType, VariableType, value_faults
from alerting.definitions.faults import Fault, MissingField, format_duration, name_hint, shown
from alerting.definitions.fields.condition_fields import (
    DEFAULTS,
    HOUR_OF_DAY,
    Condition,
    Conditions,
    LearnedLimit,
)
from alerting.definitions.fields.problem import Problem
from alerting.definitions.threshold_limits import (
    Level,
    learned_limits,
    level_delays,
    level_limits,
    levels_on,
    unknown_limits,
)
from alerting.definitions.wording.language import join_with_and

MIDDLE = 0.5


def faults_across_fields(definition: Condition) -> Iterable[Fault]:
    """Return the faults across the fields of a condition."""
    if not definition.variable and definition.event is None:
        yield MissingField(
            "variable",
            hint="write variable: and a limit, or several conditions under any: or all:",
        )
        return
    yield from _count_faults(definition)
    yield from _condition_faults(definition)
    for name in ("outside", "inside", "clear_inside", "clear_outside"):
        band = getattr(definition, name)
        if band is not None and _is_disordered(band.low, band.high, strictly=True):
            yield Fault(
                f"{name}.low",
                f"{band.low!s} must be less than high {band.high!s}",
            )
    yield from _limit_faults("", definition)
    yield from _clear_band_faults(definition)
    for severity, limits in level_limits(definition):
        yield from _limit_faults(f"levels.{severity}.", limits)
        if limits.above is None and limits.below is None:
            yield Fault(
                f"levels.{severity}",
                "a limit is missing",
                "add above: or below:",
            )
    yield from _nesting_faults(definition)
    yield from _learned_faults(definition)
    yield from _time_faults(definition)
    if definition.at_least and definition.at_least.readings > definition.at_least.of:
        yield Fault(
            "at_least.readings",
            f"{definition.at_least.readings} of {definition.at_least.of} readings is impossible",
        )


def _count_faults(definition: Condition) -> Iterable[Fault]:
    within = definition.count_within
    if within is None:
        if definition.event is not None:
            yield MissingField("count_within", hint="events are counted in a time, for example 1h")
        return
    if not timedelta(0) < within <= timedelta(days=31):
        yield Fault("count_within", "must be longer than 0s and at most 31d")
    yield from (
        Fault(name, "is for values, and count_within for their number", f"remove {name}")
        for name in ("rate_per", "counter", "rolls_over_at", "at_least", "frozen_after")
        if getattr(definition, name) is not None
    )
    if isinstance(definition.equals, bool | str):
        yield Fault("equals", "a number in a time is no text and not true or false", "use above:")
    yield from (
        Fault(path, "a number in a time has no learned limit", "write a number")
        for path, _ in learned_limits(definition)
    )


def _condition_faults(definition: Condition) -> Iterable[Fault]:
    single = definition.above is not None or definition.below is not None
    stated = ["above or below"] if single else []
    stated += [
        name
        for name in ("outside", "inside", "equals", "levels")
        if getattr(definition, name) is not None
    ]
    if not stated:
        yield Fault("above", "a limit is missing", "add above: or below:")
    if len(stated) > 1:
        yield Fault(
            stated[-1],
            f"cannot stand beside {join_with_and(*stated[:-1])}",
            "one condition per definition; see levels",
        )
    if definition.levels is not None and not level_limits(definition):
        yield Fault(
            "levels",
            "has no level",
            "write for example levels: {medium: {above: 215}, critical: {above: 230}}",
        )


def _limit_faults(prefix: str, limits: Condition | LevelLimits) -> Iterable[Fault]:
    band = getattr(limits, "outside", None)
    above, below = (band.high, band.low) if band else (limits.above, limits.below)
    if not band and isinstance(above, float) and isinstance(below, float):
        yield from order_faults(f"{prefix}below", above, below)
    if limits.clear_above_at is not None and (
        above is None or _is_disordered(limits.clear_above_at, above)
    ):
        yield Fault(
            f"{prefix}clear_above_at",
            "must not be greater than above, which must be given",
        )
    if limits.clear_below_at is not None and (
        below is None or _is_disordered(below, limits.clear_below_at)
    ):
        yield Fault(
            f"{prefix}clear_below_at",
            "must not be less than below, which must be given",
        )


def _clear_band_faults(definition: Condition) -> Iterable[Fault]:
    inner = definition.clear_inside
    outer = definition.outside
    if inner is not None and outer is None:
        yield Fault(
            "clear_inside",
            "goes with outside",
            "after above and below it is clear_above_at and clear_below_at",
        )
    elif inner is not None and (
        definition.clear_above_at is not None or definition.clear_below_at is not None
    ):
        yield Fault(
            "clear_inside",
            "repeats clear_above_at and clear_below_at",
            "remove one of them",
        )
    elif (
        inner is not None
        and outer is not None
        and (_is_disordered(outer.low, inner.low) or _is_disordered(inner.high, outer.high))
    ):
        yield Fault("clear_inside", "must lie within the band of outside")
    if definition.clear_outside is not None:
        yield from _clear_outside_faults(definition, definition.clear_outside)


def _clear_outside_faults(definition: Condition, band: Band) -> Iterable[Fault]:
    equals = definition.equals
    if definition.inside is None and (equals is None or isinstance(equals, bool | str)):
        yield Fault(
            "clear_outside",
            "goes with inside, or with equals and a number",
            "after other limits see clear_above_at",
        )
    inner = definition.inside or (
        Band(low=equals, high=equals) if isinstance(equals, float | FromAttribute) else None
    )
    if inner is not None and (
        _is_disordered(band.low, inner.low) or _is_disordered(inner.high, band.high)
    ):
        yield Fault(
            "clear_outside",
            "must contain what triggers",
            "between the two limits the state does not change",
        )


def _is_disordered(
    low: float | FromAttribute | LearnedLimit | None,
    high: float | FromAttribute | LearnedLimit | None,
    strictly: bool = False,
) -> bool:
    """Return whether numbers are in the wrong order; not for learned, assets' or no limits."""
    if not isinstance(low, int | float) or not isinstance(high, int | float):
        return False
    return low > high or (strictly and low == high)


def _nesting_faults(definition: Condition) -> Iterable[Fault]:
    delays = level_delays(definition)
    for (less, inner), (more, outer) in pairwise(level_limits(definition)):
        is_longer = delays[more] > delays[less]
        for side, order in (("above", "greater"), ("below", "less")):
            before = getattr(inner, side)
            after = getattr(outer, side)
            low, high = (before, after) if side == "above" else (after, before)
            if _is_disordered(low, high, strictly=not is_longer):
                yield Fault(
                    f"levels.{more}.{side}",
                    f"{after!s} must be {order} than that of {less}, {before!s}",
                    "" if low != high else "the same limit needs a longer `for` there",
                )


def _learned_faults(definition: Condition) -> Iterable[Fault]:
    for path, learned in learned_limits(definition):
        is_low = path.endswith("below")
        if (learned.quantile > MIDDLE) == is_low:
            yield Fault(
                f"{path}.learned.quantile",
                (
                    f"{learned.quantile:g} is the share of readings below the limit; most readings "
                    "would be beyond it"
                ),
                f"write quantile: {round(1 - learned.quantile, 12):g}",
            )
        if learned.over < timedelta(days=1):
            yield Fault(
                f"{path}.learned.over",
                "is too short",
                "the shortest is 1d",
            )
        if len(set(learned.by)) < len(learned.by):
            yield Fault(f"{path}.learned.by", "names a group twice")
        if definition.variable in learned.by:
            yield Fault(
                f"{path}.learned.by",
                f"{shown(definition.variable)} is the variable itself",
                "name a category, or hour_of_day",
            )
        if definition.rate_per is not None:
            yield Fault(
                "rate_per",
                "goes with limits that are numbers; learned limits are for values",
                "remove rate_per",
            )


def _time_faults(definition: Condition) -> Iterable[Fault]:
    ignore = definition.no_data == "ignore"
    if definition.stale_after <= timedelta(0):
        yield Fault("stale_after", "must be longer than 0s")
    if definition.rate_per is not None:
        if definition.rate_per <= timedelta(0):
            yield Fault("rate_per", "must be longer than 0s")
        if definition.equals is not None:
            yield Fault(
                "rate_per",
                "a rate needs limits; equals applies to values",
                "use inside: for a small band of rates",
            )
        if ignore:
            yield Fault(
                "rate_per",
                "needs regular readings",
                "remove no_data: ignore",
            )
    elif definition.counter:
        yield Fault("counter", "a counter is read as a rate", "add rate_per:")
    if definition.rolls_over_at is not None and not definition.counter:
        yield Fault("rolls_over_at", "goes with counter: true")
    if definition.frozen_after is not None:
        if ignore:
            yield Fault(
                "frozen_after",
                "changes nothing with no_data: ignore",
                "remove one of them",
            )
        if definition.frozen_after <= max(
            level_delays(definition).values(), default=definition.hold
        ):
            yield Fault(
                "frozen_after",
                "must be longer than `for`",
                "a constant value would count as frozen before it raises an episode",
            )


def faults_on_assets(
    definition: Condition, targets: Sequence[Asset], event_types: Sequence[EventType] = ()
) -> Iterable[Fault]:
    """Return the faults of the evaluated variable, of the counted events, and of the limits on each
    matched asset."""
    name = definition.variable
    types = {n: v.type for asset in targets for n, v in asset.variables.items()}
    if definition.event is not None:
        yield from _event_faults(definition.event, event_types)
    if definition.count_within is not None and (not name or name in types):
        pass  # values of any type change
    elif definition.equals is None or name not in types:
        yield from variable_faults("variable", name, types)
    elif not isinstance(definition.equals, FromAttribute):
        yield from value_faults("equals", definition.equals, name, types[name])
    for asset in targets:
        yield from _limits_on_asset_faults(definition, asset)
    for path, learned in learned_limits(definition):
        for group in learned.by:
            if group != HOUR_OF_DAY:
                yield from category_faults(f"{path}.learned.by", group, targets, HOUR_OF_DAY)


def _event_faults(pattern: str, event_types: Sequence[EventType]) -> Iterable[Fault]:
    meant = [kind for kind in event_types if fnmatchcase(kind.name, pattern)]
    if not meant:
        hint = name_hint(pattern, [kind.name for kind in event_types], "known event types")
        yield Fault("event", f"no event type is called {shown(pattern)}", hint)
    for kind in meant:
        if kind.delay:
            late = format_duration(kind.delay)
            yield Fault("event", f"{shown(kind.name)} is known {late} after its start, too late")


def _limits_on_asset_faults(definition: Condition, asset: Asset) -> Iterable[Fault]:
    variable = asset.variables.get(definition.variable)
    missing = unknown_limits(definition, asset)
    yield from missing
    if not missing:
        yield from _resolved_faults(levels_on(definition, asset), asset)
    if (
        variable
        and variable.sampling
        and definition.no_data != "ignore"
        and definition.stale_after < variable.sampling
    ):
        short = format_duration(definition.stale_after)
        yield Fault(
            "stale_after",
            (
                f"{short} is shorter than the sampling of {shown(definition.variable)} on "
                f"{shown(asset.name)}, {format_duration(variable.sampling)}"
            ),
            "lengthen it; otherwise no condition holds from one reading to the next",
        )


def _resolved_faults(levels: Sequence[Level], asset: Asset) -> Iterable[Fault]:
    """Return faults of limits that are in the wrong order on one asset.

    Plain numbers in the wrong order have been refused before.
    """
    for level in levels:
        ordered = (
            (level.below, level.clear_below_at),
            (level.clear_above_at, level.above),
            (level.below, level.above),
        )
        if any(
            low is not None and high is not None and low > high
            for low, high in (*ordered, *_bands(level))
        ):
            yield Fault(
                "assets",
                (
                    f"the limits stated by asset {shown(asset.name)} are in the wrong order: "
                    f"{_numbers(level)}"
                ),
            )


def _bands(level: Level) -> Iterable[tuple[float | None, float | None]]:
    """Return pairs of numbers whose first must not be greater than the second."""
    inner = (level.equals, level.equals) if isinstance(level.equals, float) else level.inside
    if inner is not None:
        yield inner
    if inner is not None and level.leave is not None:
        yield level.leave[0], inner[0]
        yield inner[1], level.leave[1]


def _numbers(level: Level) -> str:
    names = ("below", "clear_below_at", "clear_above_at", "above", "inside", "equals", "leave")
    return ", ".join(
        f"{name} {getattr(level, name)}" for name in names if getattr(level, name) is not None
    )


_OF_ONE = (
    "variable",
    "event",
    "count_within",
    "above",
    "below",
    "clear_above_at",
    "clear_below_at",
    "outside",
    "inside",
    "equals",
    "clear_inside",
    "clear_outside",
    "levels",
    "rate_per",
    "counter",
    "rolls_over_at",
    "at_least",
    "frozen_after",
)


def combination_faults(definition: Conditions) -> Iterable[Fault]:
    """Return the faults across the fields of a definition with conditions of several variables."""
    yield from _faults("", definition, _OF_ONE, definition)


def combined_problem_faults(problem: Problem) -> Iterable[Fault]:
    """Return the faults across the fields of a problem with conditions of several variables."""
    yield from _faults(
        "problem.", problem, ("variable", "above", "below", "equals", "event"), DEFAULTS
    )


def combination_faults_on(
    written: Conditions | Problem, targets: Sequence[Asset], path: str = ""
) -> Iterable[Fault]:
    """Return the faults of each condition on matched assets. `path`: of the conditions in the
    document."""
    for prefix, condition in _conditions(
        path, written, written if isinstance(written, Conditions) else DEFAULTS
    ):
        yield from (
            fault if fault.path == "assets" else replace(fault, path=prefix + fault.path)
            for fault in faults_on_assets(condition, targets)
        )


def _faults(
    path: str, written: Conditions | Problem, of_one: Sequence[str], shared: Condition
) -> Iterable[Fault]:
    how = "all" if written.any is None else "any"
    for name in of_one:
        if name in written.model_fields_set and getattr(written, name) not in (None, ""):
            yield Fault(
                f"{path}{name}",
                f"cannot stand beside {how}",
                f"write it in a condition of {how}, or remove {how}",
            )
    yield from _list_faults(path, written)
    for prefix, condition in _conditions(path, written, shared):
        if not condition.variable:
            yield MissingField(
                f"{prefix}variable", hint="write variable: and a limit, or any: or all:"
            )
        else:
            yield from (
                replace(fault, path=prefix + fault.path)
                for fault in faults_across_fields(condition)
            )


def _list_faults(path: str, group: Any) -> Iterable[Fault]:
    lists = {how: members for how in ("any", "all") if (members := getattr(group, how)) is not None}
    if len(lists) > 1:
        yield Fault(
            f"{path}all",
            "cannot stand beside any",
            "write one of them within the other",
        )
    for how, members in lists.items():
        if len(members) < 2:
            yield Fault(
                f"{path}{how}",
                "needs at least two conditions",
                "write a single one with variable: and its limit",
            )
        for i, member in enumerate(members):
            if getattr(member, "any", None) is not None or getattr(member, "all", None) is not None:
                inner = f"{path}{how}.{i}."
                stated = [
                    n
                    for n in type(member).model_fields
                    if n not in ("any", "all") and getattr(member, n) is not None
                ]
                yield from (
                    Fault(
                        f"{inner}{name}",
                        "cannot stand beside any or all",
                        "write another condition",
                    )
                    for name in stated
                )
                yield from _list_faults(inner, member)


def _conditions(path: str, written: Any, shared: Condition) -> Iterator[tuple[str, Condition]]:
    nested = [
        (how, i, member)
        for how in ("any", "all")
        for i, member in enumerate(getattr(written, how, None) or ())
    ]
    for how, i, member in nested:
        inner = f"{path}{how}.{i}."
        yield from list(_conditions(inner, member, shared)) or [
            (inner, member.condition(member.variable or "", shared))
        ]


def order_faults(path: str, above: float | None, below: float | None) -> Iterable[Fault]:
    """Return the fault of a lower limit that is not below the upper one."""
    if above is not None and below is not None and below >= above:
        yield Fault(
            path,
            f"below {below!s} must be less than above {above!s}",
            "the good range lies between them",
        )


def variable_faults(
    path: str,
    name: str,
    types: Mapping[str, VariableType],
    equals: bool | float | str | None = None,
) -> Iterable[Fault]:
    """Return the faults of a variable with a numeric limit, or with the value that it must have.

    `types`: the types of the variables of all matched assets.
    """
    if name not in types:
        yield Fault(
            path,
            f"none of the matched assets has a variable {shown(name)}",
            name_hint(name, types, "known variables"),
        )
    elif equals is not None:
        yield from value_faults(path, equals, name, types[name], "after equals: write")
    elif types[name] == "category":
        yield Fault(
            path,
            f"{shown(name)} is a category; a limit needs a number",
            "write equals: and its text",
        )


def category_faults(
    path: str, name: str, targets: Sequence[Asset], *others: str
) -> Iterable[Fault]:
    """Return faults of a variable that groups readings. `others`: what else may be named."""
    types = {n: v.type for asset in targets for n, v in asset.variables.items()}
    choices = f"name a category, or {', '.join(others)}" if others else "name a category"
    if name not in types:
        yield Fault(
            path,
            f"none of the matched assets has a variable {shown(name)}",
            name_hint(name, [*types, *others], "known variables"),
        )
    elif types[name] == "number":
        yield Fault(
            path,
            f"{shown(name)} is a number; a group needs a category",
            choices,
        )
    elif any(asset.delay(name) for asset in targets):
        yield Fault(
            path,
            f"{shown(name)} has a delay: it is not known at the instant that it groups",
            "name another variable",
        )
