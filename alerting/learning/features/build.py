"""Feature rows for a model: the point-in-time view of an asset, column by column.

A value is known at ts + delay; a window of length w at t covers the known times (t - w, t]. The
last value of a variable is carried forward until the next one is known, at most as long as the plan
says. A row depends only on its windows and on values carried forward (events' recency: on nothing
after t). So it is the same, bit for bit, from a year of readings and from a slice that just covers
`plan.lookback` and begins with the newest earlier value of each variable in `plan.carried_longer`.
A value outside the engineering range of its variable is missing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeAlias

from alerting.deferred import np, npt, pd
from alerting.definitions.assets import Asset
from alerting.learning.features.moments import Floats
from alerting.learning.features.number_columns import fill_numbers
from alerting.learning.features.plan import CategorySource, FeaturePlan
from alerting.learning.features.planning import plan_features
from alerting.learning.features.samples import AssetReadings, newest_sample, take
from alerting.readings.cleaning import engineering_range
from alerting.readings.history import (
    History,
    Millis,
    column_index,
    duration_millis,
    event_delays,
    millis,
)

__all__ = [
    "FeaturePlan",
    "build_features",
    "build_features_many",
    "build_features_of_assets",
    "declares_numbers_alike",
    "grid",
    "plan_features",
]

AT_ONCE = 1_000_000  # values of what-ifs that are computed together
Codes: TypeAlias = "npt.NDArray[np.integer]"


def grid(start_ms: int, end_ms: int, stride_ms: int) -> Millis:
    """Return the instants t with start < t <= end that are whole strides since 1970."""
    return np.arange(start_ms // stride_ms + 1, end_ms // stride_ms + 1, dtype=np.int64) * stride_ms


def build_features(plan: FeaturePlan, history: History, at: Millis) -> pd.DataFrame:
    """Return a row per instant, columns as in the plan; missing is NaN.

    `at` increases. On the plan's stride grid it is fastest, and each other phase of the grid costs
    one more pass: a caller may score a model in service at the stride of a newer revision. Units:
    those of the readings; slope per hour, age and recency in seconds, missing a share from 0 to 1,
    count a number of events.
    """
    if np.any(np.diff(at) <= 0):
        raise ValueError("instants of features must increase")
    phases = at % plan.bucket_ms
    if (phases != phases[:1]).any():
        passes = [
            build_features(plan, history, at[phases == p]).set_axis(np.flatnonzero(phases == p))
            for p in np.unique(phases)
        ]
        return pd.concat(passes).sort_index().set_axis(pd.RangeIndex(len(at)))
    readings = AssetReadings(history)
    floats = np.empty((len(at), len(plan.columns) - len(plan.levels)), order="F")
    fill_numbers(plan, readings, at, floats)
    return _with_other_columns(plan, readings, at, floats)


def build_features_of_assets(
    plan: FeaturePlan, histories: Sequence[History], at: Millis
) -> list[pd.DataFrame]:
    """Return what `build_features` returns for each of several assets at one instant.

    Their numbers are computed together, which takes a fifth of the time. The assets declare the
    numbers alike (`declares_numbers_alike`), and no value is carried forward for longer than the
    longest window.
    """
    assets = [AssetReadings(history) for history in histories]
    floats = np.empty((len(assets), len(plan.columns) - len(plan.levels)))
    joined, instants = _join(plan, assets, int(at[0]))
    fill_numbers(plan, AssetReadings(joined), instants, floats)
    return [
        _with_other_columns(plan, readings, at, row[None, :])
        for readings, row in zip(assets, floats, strict=True)
    ]


def declares_numbers_alike(plan: FeaturePlan, asset: Asset, other: Asset) -> bool:
    """Return whether two assets have the same types, delays and ranges of a plan's numbers."""

    def declared(of: Asset, name: str) -> tuple[object, ...]:
        kind = of.variables[name].type if name in of.variables else None
        return kind, of.delay(name), engineering_range(of, name)

    return all(declared(asset, one.name) == declared(other, one.name) for one in plan.numbers)


def _join(plan: FeaturePlan, assets: Sequence[AssetReadings], at: int) -> tuple[History, Millis]:
    """Return the readings that the numbers of each asset see at an instant, one asset after the
    other, too far apart to see each other, with the instants."""
    names = tuple(number.name for number in plan.numbers)
    first = assets[0].history
    delay = max((duration_millis(first.delay(name)) for name in names), default=0)
    span = plan.reach_ms + max(delay, plan.delay_ms)
    shift = np.arange(len(assets)) * (span // plan.bucket_ms + 1) * plan.bucket_ms
    rows = [readings.rows_known(0, at - span, at) for readings in assets]
    ts = [one.ts[some] + apart for one, some, apart in zip(assets, rows, shift, strict=True)]
    values = [one.matrix(names, some) for one, some in zip(assets, rows, strict=True)]
    index = pd.DatetimeIndex(np.concatenate(ts).astype("M8[ms]"), tz="UTC", name="ts")
    frame = pd.DataFrame(np.concatenate(values, axis=1).T, index, column_index(names), copy=False)
    return History(first.asset, frame), at + shift


def _with_other_columns(
    plan: FeaturePlan, readings: AssetReadings, at: Millis, floats: Floats
) -> pd.DataFrame:
    """Return rows of which the columns of numbers are filled in, with all others."""
    history = readings.history
    _fill_events(plan, history, at, floats)
    for position, column in enumerate(plan.layout[: floats.shape[1]]):
        if column.kind == "attribute":
            value = history.asset.attributes.get(column.source)
            floats[:, position] = value if isinstance(value, (int, float)) else np.nan
    return _frame(plan, floats, _categories(plan, readings, at))


def build_features_many(
    plan: FeaturePlan, history: History, at: int | Millis, changes: Sequence[Mapping[str, Floats]]
) -> pd.DataFrame:
    """Return a row per what-if: the history with other values of some number variables.

    Each change maps variables to new values, one per row of `history.readings`. Only their columns
    are computed again, those of all what-ifs of the same variables together, which makes thousands
    of them cheap; each row equals that of `build_features` on the changed history. The instants lie
    whole buckets of the plan apart.
    """
    instants = np.broadcast_to(np.asarray(at, np.int64), (len(changes),))
    distinct, which = np.unique(instants, return_inverse=True)
    before = build_features(plan, history, distinct)
    floats = before[list(plan.columns[: len(before.columns) - len(plan.levels)])].to_numpy()[which]
    by_names: dict[frozenset[str], list[int]] = {}
    for i, change in enumerate(changes):
        by_names.setdefault(frozenset(set(change) & set(plan.number_blocks)), []).append(i)
    most = max(1, AT_ONCE // max(1, len(history.readings)))
    for names, members in by_names.items():
        for first in range(0, len(members) if names else 0, most):
            some = members[first : first + most]
            tiled, seen = _tile(
                plan,
                history,
                instants[some],
                {n: [changes[i][n] for i in some] for n in sorted(names)},
            )
            part = floats[some]
            fill_numbers(plan, AssetReadings(tiled), seen, part, names)
            floats[some] = part
    codes = {name: before[name].cat.codes.to_numpy()[which] for name in plan.levels}
    return _frame(plan, floats, codes)


def _tile(
    plan: FeaturePlan, history: History, at: Millis, values: Mapping[str, Sequence[Floats]]
) -> tuple[History, Millis]:
    """Return the what-ifs one after another, too far apart to see each other, with instants."""
    ts = millis(pd.DatetimeIndex(history.readings.index))
    carry = max((plan.carry_ms(name) for name in values), default=0)
    delay = max((duration_millis(history.delay(name)) for name in values), default=0)
    first, last = (int(ts[0]), int(ts[-1])) if len(ts) else (0, 0)
    seen = last - int(at.min()) + plan.reach_ms + carry + 2 * delay
    apart = (
        max(seen, last - first, int(at.max() - at.min())) // plan.bucket_ms + 1
    ) * plan.bucket_ms
    shift = np.arange(len(at), dtype=np.int64) * apart
    index = pd.DatetimeIndex(
        (ts[None, :] + shift[:, None]).ravel().astype("M8[ms]"), tz="UTC", name="ts"
    )
    columns = {
        name: np.concatenate([np.asarray(v, np.float64) for v in each])
        for name, each in values.items()
    }
    return History(history.asset, pd.DataFrame(columns, index=index)), at + shift


def _fill_events(plan: FeaturePlan, history: History, at: Millis, out: Floats) -> None:
    if not plan.events:
        return
    types = history.events["type"].to_numpy()
    starts = millis(history.events["start"]) + event_delays(history)
    # one type has one delay, so they stay sorted
    before = {event: starts[types == event] for event in plan.events}
    for position, column in enumerate(plan.layout):
        if column.kind != "event":
            continue
        begins = before[column.source]
        until = np.searchsorted(begins, at, side="right")
        if column.window_ms:
            out[:, position] = until - np.searchsorted(begins, at - column.window_ms, side="right")
        else:
            out[:, position] = (at - take(begins.astype(np.float64), until - 1)) / 1000.0


def _categories(plan: FeaturePlan, readings: AssetReadings, at: Millis) -> dict[str, Codes]:
    attributes = readings.history.asset.attributes
    codes = {f"{c.name}.last": _last_code(plan, readings, c, at) for c in plan.categories}
    for attribute in plan.category_attributes:
        level = str(attributes[attribute.name]) if attribute.name in attributes else None
        code = attribute.levels.index(level) if level in attribute.levels else -1
        codes[f"attribute/{attribute.name}"] = np.full(len(at), code)
    return codes


def _last_code(
    plan: FeaturePlan, readings: AssetReadings, category: CategorySource, at: Millis
) -> Codes:
    if category.name not in readings.history.readings or not len(at):
        return np.full(len(at), -1, np.int64)
    delay = duration_millis(readings.history.delay(category.name))
    carry = plan.carry_ms(category.name)
    rows = readings.rows_known(delay, int(at[0]) - carry, int(at[-1]))
    values = readings.history.readings[category.name].iloc[rows]
    there = values.notna().to_numpy()
    chosen = newest_sample((readings.ts[rows] + delay)[there], at, carry)
    codes = pd.Index(category.levels).get_indexer(pd.Index(values[there].astype(str)))
    return np.append(codes, -1)[chosen]


def _frame(plan: FeaturePlan, floats: Floats, codes: Mapping[str, Codes]) -> pd.DataFrame:
    columns = column_index(plan.columns[: floats.shape[1]])
    frame = pd.DataFrame(floats, columns=columns, copy=False)
    for name, levels in plan.levels.items():
        frame[name] = pd.Categorical.from_codes(
            codes[name], categories=pd.Index(levels, dtype=object)
        )
    return frame
