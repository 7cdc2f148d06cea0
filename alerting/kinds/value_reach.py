"""Whether values allow an alarm to begin and to end at all: those that an asset declares to be
possible, and those that have come.

Limits divide the values of a variable into parts, so one value of each part stands for all.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import reduce
from itertools import chain, groupby
from operator import attrgetter
from typing import Any

from alerting.deferred import np, npt
from alerting.definitions.alert_definition import Condition
from alerting.definitions.asset_documents import Asset
from alerting.definitions.faults import close_names, format_duration
from alerting.definitions.fields.condition_fields import Combination, Conditions
from alerting.definitions.threshold_limits import learned_limits, levels_on, unknown_limits
from alerting.definitions.wording.language import join_with_and, join_with_or, spoken_number
from alerting.detection.threshold import limit_masks
from alerting.readings.variable_series import Flags

Values = Mapping[str, "npt.NDArray[Any]"]
"""Values by variable: numbers, or texts."""
LEAST_SEEN = 3
_MOST_NAMED = 5


def describe_impossible(definition: Conditions, asset: Asset) -> Iterator[str]:
    """Yield a sentence if no value that is possible on an asset can begin an alarm, or end one, and
    what to write instead."""
    tree = definition.combination or definition
    begins, ends = _blocked(tree, asset, _possible_values(tree, asset))
    if begins and definition.no_data != "alert":
        yield (
            f"no possible value of {_named(begins, asset)} meets its conditions, so no alarm "
            "comes; write other limits"
        )
    elif ends:
        yield f"no possible value of {_named(ends, asset)} ends an alarm; write other limits"


def describe_impossible_so_far(
    definition: Conditions, asset: Asset, arrived: Values
) -> Iterator[str]:
    """Yield a sentence on each text that has never come, and one if none of the values that have
    come ends an alarm, with what to write instead."""
    tree = definition.combination or definition
    for leaf in _leaves(tree):
        texts = sorted({*arrived.get(leaf.variable, ())} if isinstance(leaf.equals, str) else ())
        if texts and leaf.equals not in texts:
            close = close_names(str(leaf.equals), texts)
            hint = f"did you mean {join_with_or(*close)}?" if close else "write one of these"
            yield (
                f"{leaf.variable} has never been {leaf.equals}, only "
                f"{join_with_and(*texts[:_MOST_NAMED])}, so no alarm has come; {hint}"
            )
    enough = {name: values for name, values in arrived.items() if len(values) >= LEAST_SEEN}
    _, ends = _blocked(tree, asset, enough)
    for name in dict.fromkeys(ends):
        values = enough[name]
        stale = format_duration(definition.stale_after)
        yield (
            f"{name} has only been {_range(values)} in its last {len(values):,} values, which does "
            f"not end an alarm; write no_data: clear, and {stale} (stale_after) of silence end it, "
            "or other limits"
        )


def variables_of(definition: Conditions) -> set[str]:
    """Return the variables of the conditions of a definition."""
    return {leaf.variable for leaf in _leaves(definition.combination or definition)}


def is_always_met(condition: Condition, asset: Asset, values: npt.NDArray[Any]) -> bool:
    """Return whether each of the values that have come meets a condition; False for few."""
    _, ends = _blocked(condition, asset, {condition.variable: values})
    return len(values) >= LEAST_SEEN and bool(ends)


def _leaves(tree: Condition | Combination) -> Sequence[Condition]:
    return [*tree.leaves()] if isinstance(tree, Combination) else [tree]


def _blocked(
    tree: Condition | Combination, asset: Asset, values: Values
) -> tuple[list[str], list[str]]:
    """Return the variables none of whose values lets conditions hold, and those none of whose
    values lets them end; nothing if they can. Conditions on rates, numbers in a time, learned or
    unknown limits, and variables without values can do both."""
    if not isinstance(tree, Combination):
        met, over = _masks(tree, asset, values)
        can_end = bool(over.any()) or tree.no_data == "clear"
        return [] if met.any() else [tree.variable], [] if can_end else [tree.variable]
    of_members = [_blocked(member, asset, values) for member in tree.members]
    begins = [begin for begin, _ in of_members]
    ends = [end for _, end in of_members]
    together = [] if any(begins if tree.how == "all" else ends) else _apart(tree, asset, values)
    if tree.how == "all":
        return [*chain(*begins), *together], [*chain(*ends)] if all(ends) else []
    return [*chain(*begins)] if all(begins) else [], [*chain(*ends), *together]


def _apart(tree: Combination, asset: Asset, values: Values) -> list[str]:
    """Return the variables of whose values none lets all their conditions hold (of `all`), or end
    (of `any`), at once."""
    alone = [member for member in tree.members if isinstance(member, Condition)]
    apart = list[str]()
    variable_of = attrgetter("variable")
    for name, conditions in groupby(sorted(alone, key=variable_of), variable_of):
        masks = [_masks(condition, asset, values) for condition in conditions]
        can = [met | ~over if tree.how == "all" else over | ~met for met, over in masks]
        apart += [] if reduce(np.logical_and, can).any() else [name]
    return apart


def _masks(condition: Condition, asset: Asset, values: Values) -> tuple[Flags, Flags]:
    """Return which values meet a condition, and which end it."""
    either = np.ones(1, np.bool_)
    moves = condition.rate_per or condition.count_within or learned_limits(condition)
    if moves or condition.variable not in values or unknown_limits(condition, asset):
        return either, either
    return limit_masks(levels_on(condition, asset), values[condition.variable])


def _possible_values(tree: Condition | Combination, asset: Asset) -> dict[str, npt.NDArray[Any]]:
    """Return a value of each part into which the limits divide the range of a number."""
    by_variable = dict[str, npt.NDArray[Any]]()
    for name in {leaf.variable for leaf in _leaves(tree)}:
        leaves = [leaf for leaf in _leaves(tree) if leaf.variable == name]
        variable = asset.variables.get(name)
        if variable is None or any(unknown_limits(leaf, asset) for leaf in leaves):
            continue
        levels = [level for leaf in leaves for level in levels_on(leaf, asset)]
        if variable.type == "category":
            texts = [level.equals for level in levels if isinstance(level.equals, str)]
            by_variable[name] = np.array([*texts, "\0"], object)
        elif variable.type == "number":
            limits = np.array([limit for level in levels for limit in level.numbers], np.float64)
            ignored = all(leaf.no_data == "ignore" for leaf in leaves)
            low = -np.inf if variable.low is None or ignored else variable.low
            high = np.inf if variable.high is None or ignored else variable.high
            near = [np.nextafter(limits, end) for end in (-np.inf, np.inf)]
            values = np.concatenate((limits, *near, [low, high]))
            by_variable[name] = values[(values >= low) & (values <= high)]
    return by_variable


def _named(names: Sequence[str], asset: Asset) -> str:
    return join_with_and(*dict.fromkeys(_with_range(name, asset) for name in names))


def _with_range(name: str, asset: Asset) -> str:
    variable = asset.variables[name]
    bounds = [("low", variable.low), ("high", variable.high)]
    stated = [f"{word} {spoken_number(bound)}" for word, bound in bounds if bound is not None]
    return f"{name} ({', '.join(stated)}: a value beyond counts as missing)" if stated else name


def _range(values: npt.NDArray[Any]) -> str:
    if values.dtype == object:
        return join_with_and(*sorted({*values})[:_MOST_NAMED])
    ends = dict.fromkeys(map(spoken_number, (float(values.min()), float(values.max()))))
    return " to ".join(ends)
