"""Categories in force at instants, by which readings are grouped: a recipe, a product, a mode; and
the hour of the day."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, NamedTuple, TypeAlias
from zoneinfo import ZoneInfo

from alerting.deferred import np, npt, pd
from alerting.definitions.assets import Asset
from alerting.definitions.fields.conditions import HOUR_OF_DAY
from alerting.readings.history import Millis, duration_millis, millis

Labels: TypeAlias = "npt.NDArray[np.object_]"
BoolArray: TypeAlias = "npt.NDArray[np.bool_]"
LONGEST = timedelta(days=90)
"""Time for which the value of a category is carried forward, unless the asset's document says
so."""


class Windows(NamedTuple):
    """Windows by category: the value in force at the end of each, None where it is not known, and
    whether it changed inside."""

    values: Labels
    changes: BoolArray


@dataclass(frozen=True)
class CategoryValues:
    """Values of a category at instants (ms), increasing. Each holds until the next one, for
    `longest` ms at most."""

    at: Millis
    values: Labels
    longest: int

    def in_force(self, ts: Millis) -> Labels:
        """Return the value in force at each instant, None where it is not known."""
        found = np.full(len(ts), None, object)
        if len(self.at):
            last = np.searchsorted(self.at, ts, side="right") - 1
            known = (last >= 0) & (ts - self.at[np.maximum(last, 0)] <= self.longest)
            found[known] = self.values[last[known]]
        return found

    def over_windows(
        self, ends: Millis, length: int, among: Collection[str] | None = None
    ) -> Windows:
        """Return the values over the windows (end - length, end]. `among`: the values that count;
        others are as not known."""
        expiries = (
            self.at[np.append(np.diff(self.at) > self.longest, True)[: len(self.at)]]
            + self.longest
            + 1
        )
        instants = np.unique(np.concatenate([self.at, expiries]))

        def values_at(ts: Millis) -> Labels:
            found = self.in_force(ts)
            if among is not None:
                found[[value not in among for value in found.tolist()]] = None
            return found

        values = values_at(instants)
        changed = instants[
            values != np.concatenate([np.full(1, None, object), values[:-1]])[: len(values)]
        ]
        inside = np.searchsorted(changed, ends, side="right") - np.searchsorted(
            changed, ends - length, side="right"
        )
        return Windows(values_at(ends), inside > 0)


def longest_hold(asset: Asset, name: str) -> timedelta:
    """Return how long a value of a category holds, if there is no other one."""
    declared = asset.variables.get(name)
    return (declared.carry_forward if declared else None) or LONGEST


def label_of(value: Any) -> str:
    """Return the text of one value: of one that is true or false `true` or `false`."""
    return value if isinstance(value, str) else str(bool(value)).lower()


def category_values(asset: Asset, name: str, frames: Sequence[pd.DataFrame]) -> CategoryValues:
    """Return the values of a category, or of a variable that is true or false, of frames of
    readings in the order of time."""
    columns = [frame[name].dropna() for frame in frames if name in frame]
    at = np.concatenate(
        [millis(pd.DatetimeIndex(one.index)) for one in columns] or [np.empty(0, np.int64)]
    )
    values = [label_of(value) for one in columns for value in one.tolist()]
    order = np.unique(at, return_index=True)[1] if len(at) else np.empty(0, np.int64)
    return CategoryValues(
        at[order], np.array(values, object)[order], duration_millis(longest_hold(asset, name))
    )


def labels_at(
    names: Sequence[str], categories: Mapping[str, CategoryValues], zone: str, ts: Millis
) -> list[Labels]:
    """Return for each name its value at each instant as text, None where it is not known; hours in
    the time zone, 0 to 23."""
    found = []
    for name in names:
        if name == HOUR_OF_DAY:
            hours = (
                pd.DatetimeIndex(ts.astype("datetime64[ms]"))
                .tz_localize("UTC")
                .tz_convert(ZoneInfo(zone))
                .hour
            )
            found.append(np.array([str(hour) for hour in hours], object))
        else:
            found.append(categories[name].in_force(ts))
    return found
