"""Learned limits: quantiles of past readings by group; a group without a limit takes the limit of a
coarser group.

The number of readings that a quantile needs is that of S. S. Wilks (Determination of sample sizes
for setting tolerance limits, Annals of Mathematical Statistics, 1941): with n independent readings
the greatest lies above the quantile p with probability 1 - p^n. Readings that depend on earlier
readings say less than the same number of independent ones.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import takewhile
from math import ceil, log
from typing import NamedTuple

from alerting.deferred import np, npt, pd
from alerting.definitions.alert_definition import Condition, Severity
from alerting.definitions.fields.condition_fields import HOUR_OF_DAY, Learned
from alerting.definitions.threshold_limits import key_of, learned_sides
from alerting.definitions.wording.language import Styled, joined, template, translatable
from alerting.detection.evaluation_results_and_texts import LimitInForce
from alerting.readings.history import Millis
from alerting.readings.variable_series import CategoryValues, Labels, Numbers, labels_at

Group = tuple[str, ...]
_MISSED = 0.05  # probability that no reading lies beyond the quantile
_WITHIN = template("{name} {value}"), template("{start}:00 to {end}:00")


class GroupLimit(NamedTuple):
    """The limit of one group, and the number of its readings; None if these are too few."""

    readings: int
    limit: float | None


@dataclass(frozen=True)
class LimitTable:
    """One learned limit of one asset by group: () is the group of all readings, (a,) a group by the
    first name in `by`, and so on.

    The readings of (start, end] were used, without suppressed times and problems.
    """

    quantile: float
    by: tuple[str, ...]
    start: datetime
    end: datetime
    groups: Mapping[Group, GroupLimit]

    def answering(self, group: Group) -> Group | None:
        """Return the finest group with a limit: the given group, or else a coarser group that
        contains it; None without any."""
        while True:
            group_limit = self.groups.get(group)
            if group_limit is not None and group_limit.limit is not None:
                return group
            if not group:
                return None
            group = group[:-1]

    def describe(self, group: Group) -> str:
        """Describe how the limit of a group was determined: `quantile 0.999 of 20160 readings,
        recipe A, 14:00 to 15:00`."""
        readings = translatable(
            "quantile {quantile} of {count} readings",
            quantile=Styled(self.quantile, "g"),
            count=self.groups[group].readings,
        )
        return joined(", ", readings, self.name_group(group))

    def name_group(self, group: Group) -> str:
        """Describe a group: `recipe A, 14:00 to 15:00`; empty for the group of all readings."""
        return joined(
            ", ",
            *(_describe_group(name, value) for name, value in zip(self.by, group, strict=False)),
        )


def _describe_group(name: str, value: str) -> str:
    if name == HOUR_OF_DAY:
        return translatable(_WITHIN[1], start=value, end=str((int(value) + 1) % 24))
    return translatable(_WITHIN[0], name=name.replace("_", " "), value=value)


class Moving(NamedTuple):
    """A learned limit at instants: its `values`, NaN where unknown, and for each instant the
    position in `groups` of the group whose limit it is (or -1)."""

    values: Numbers
    position: npt.NDArray[np.int64]
    groups: Sequence[Group]
    table: LimitTable | None

    def describe(self, row: int) -> str | None:
        """Describe how the limit at one of the instants was determined; None if it is unknown."""
        position = int(self.position[row])
        return (
            None
            if self.table is None or position < 0
            else self.table.describe(self.groups[position])
        )


class LearnedSide(NamedTuple):
    """A learned limit for every reading, with its severity and side."""

    severity: Severity
    side: str
    moving: Moving

    def in_force(self, row: int, missing: str) -> LimitInForce:
        """Return the limit for one reading. `missing`: why it is unknown, if it is."""
        described = self.moving.describe(row)
        limit = None if described is None else float(self.moving.values[row])
        return LimitInForce(
            self.severity, self.side, limit, missing if described is None else described
        )


@dataclass(frozen=True)
class LearnedLimits:
    """The learned limits in force on one asset over some interval, by `limits.key_of`.

    `missing`: why a limit is unknown. `cutoff`: the last instant from which they were learned, None
    if none were.
    """

    tables: Mapping[str, LimitTable]
    zone: str
    missing: str
    categories: Mapping[str, CategoryValues] = field(default_factory=dict)
    cutoff: datetime | None = None

    def limit_at(self, variable: str, learned: Learned, ts: Millis) -> Moving:
        """Return a limit for readings taken at `ts` (ms)."""
        table = self.tables.get(key_of(variable, learned))
        if table is None:
            return Moving(np.full(len(ts), np.nan), np.full(len(ts), -1), (), None)
        groups, position = groups_at(labels_at(table.by, self.categories, self.zone, ts), len(ts))
        answering = [table.answering(group) for group in groups]
        limits = [np.nan if group is None else table.groups[group].limit for group in answering]
        is_known = np.array([group is not None for group in answering], np.bool_)[position]
        values = np.array(limits, np.float64)[position]
        return Moving(
            values, np.where(is_known, position, -1), [group or () for group in answering], table
        )


def learned_sides_at(
    definition: Condition, learned: LearnedLimits | None, ts: Millis
) -> list[LearnedSide]:
    """Return each learned limit of a condition for readings taken at `ts` (ms); none without limits
    in force."""
    if learned is None:
        return []
    return [
        LearnedSide(severity, side, learned.limit_at(definition.variable, written, ts))
        for severity, side, written in learned_sides(definition)
    ]


def unknown_rows(sides: Sequence[LearnedSide], count: int) -> npt.NDArray[np.bool_]:
    """Return a mask of `count` readings, with one entry for each: whether a learned limit is
    unknown."""
    unknown = np.zeros(count, np.bool_)
    for side in sides:
        unknown |= np.isnan(side.moving.values)
    return unknown


def least_readings(quantile: float) -> int:
    """Return the number of readings that a quantile needs: so many that one of them lies beyond it
    with a probability of 95 %."""
    return ceil(log(_MISSED) / log(max(quantile, 1 - quantile)))


def groups_at(labels: Sequence[Labels], count: int) -> tuple[list[Group], npt.NDArray[np.int64]]:
    """Return the groups that occur at `count` instants, and for each instant the position of its
    group among them.

    A group has only the values before the first one that is not known.
    """
    if not labels or not count:
        return [()], np.zeros(count, np.int64)
    codes = np.zeros(count, np.int64)
    for column in labels:
        numbers, values = pd.factorize(column)
        codes = codes * (len(values) + 1) + numbers + 1
    _, first, position = np.unique(codes, return_index=True, return_inverse=True)
    return [
        _until_unknown(column[row] for column in labels) for row in first.tolist()
    ], position.astype(np.int64)


def _until_unknown(values: Iterable[str | None]) -> Group:
    return tuple(
        value for value in takewhile(lambda label: label is not None, values) if value is not None
    )


def estimate_limits(
    learned: Learned,
    values: Numbers,
    labels: Sequence[Labels],
    start: datetime,
    end: datetime,
    most_groups: int,
) -> LimitTable:
    """Estimate the quantile of all readings and of each group; it is the value of some reading
    (type 1 of Hyndman and Fan, 1996).

    `labels`: for each name in `by`, a value for each reading. If there are more than `most_groups`
    groups, only the largest have a limit.
    """
    least = least_readings(learned.quantile)
    groups = dict[Group, GroupLimit]()
    finest, position = groups_at(labels, len(values))
    for depth in range(len(learned.by) + 1):
        coarser = {group[:depth] for group in finest if len(group) >= depth}
        numbers = {group: number for number, group in enumerate(sorted(coarser))}
        group_of_row = np.array(
            [numbers.get(group[:depth], -1) if len(group) >= depth else -1 for group in finest],
            np.int64,
        )[position]
        order = np.argsort(group_of_row, kind="stable")
        cuts = np.searchsorted(group_of_row[order], np.arange(len(numbers) + 1))
        for group, number in numbers.items():
            of_group = values[order[cuts[number] : cuts[number + 1]]]
            limit = (
                float(np.quantile(of_group, learned.quantile, method="inverted_cdf"))
                if (len(of_group) >= least)
                else None
            )
            groups[group] = GroupLimit(len(of_group), limit)
    if len(groups) > most_groups:
        largest = sorted(
            groups, key=lambda group: (len(group) > 0, -groups[group].readings, group)
        )[:most_groups]
        groups = {group: groups[group] for group in largest}
    return LimitTable(learned.quantile, learned.by, start, end, groups)
