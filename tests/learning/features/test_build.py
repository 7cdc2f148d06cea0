"""Features: what was known in a window, the same bit for bit from any slice that covers it."""

import json
from dataclasses import replace
from datetime import timedelta

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alerting.definitions.asset_documents import Asset, EventType, Variable
from alerting.definitions.faults import UserError
from alerting.kinds.classifier.definition import ClassifierDefinition
from alerting.learning.features import point_in_time
from alerting.learning.features.plan import CarryForward, CategorySource, FeaturePlan, NumberSource
from alerting.learning.features.planning import default_windows
from alerting.learning.features.point_in_time import (
    build_features,
    build_features_many,
    grid,
    plan_features,
    point_in_time_view,
)
from alerting.readings.history import History, has_data, to_millis, with_older
from tests.builders import T0
from tests.builders import history as recorded

MINUTE = 60_000
START = to_millis(T0)  # a whole number of 10 minutes
ALL = ("mean", "std", "min", "max", "last", "slope", "missing", "age")


def asset(**variables):
    return Asset(
        name="oven",
        attributes={"model": "b", "age": 7.0},
        variables={n: Variable(**v) for n, v in variables.items()},
    )


def plan(numbers=("x",), windows=(10, 30), **more):
    return FeaturePlan(
        stride_ms=10 * MINUTE,
        windows_ms=tuple(w * MINUTE for w in windows),
        aggregations=more.pop("aggregations", ALL),
        numbers=tuple(NumberSource(n, MINUTE) for n in numbers),
        **more,
    )


def row(plan_, history, minute):
    return build_features(plan_, history, np.array([START + minute * MINUTE])).iloc[0]


def test_a_window_is_open_at_its_beginning_and_closed_at_its_end():
    history = recorded([0, 1, 10], asset(), x=[100.0, 3.0, 5.0])
    got = row(plan(), history, 10)
    assert (got["x.min.10m"], got["x.max.10m"], got["x.mean.10m"]) == (3.0, 5.0, 4.0)
    assert got["x.max.30m"] == 100.0
    lone = recorded([0], asset(), x=[100.0])
    assert (row(plan(), lone, 20)["x.last"], row(plan(), lone, 20)["x.age"]) == (100.0, 20 * 60)
    assert row(plan(), lone, 30)[["x.last", "x.age", "x.max.30m"]].isna().all()


def test_slope_is_per_hour_std_is_of_the_sample_and_a_lag_is_what_was_known_then():
    got = row(plan(), recorded([2, 5, 9], asset(), x=[1.0, 4.0, 8.0]), 10)
    assert got["x.slope.10m"] == pytest.approx(60.0)
    assert got["x.std.10m"] == pytest.approx(np.std([1, 4, 8], ddof=1))
    late = asset(x={"delay": timedelta(minutes=5)})
    lagged = plan(lags_ms=(20 * MINUTE, 40 * MINUTE))
    known = row(lagged, recorded([5, 6, 25], late, x=[1.0, 2.0, 3.0]), 30)
    assert (known["x.lag.20m"], known["x.last"]) == (1.0, 3.0)
    assert np.isnan(known["x.lag.40m"])


def test_a_value_counts_from_the_instant_at_which_it_is_known():
    history = recorded([0, 6], asset(x={"delay": timedelta(minutes=15)}), x=[1.0, 2.0])
    assert row(plan(), history, 20)["x.last"] == 1.0
    assert row(plan(), history, 20)["x.age"] == 5 * 60
    assert row(plan(), history, 30)["x.last"] == 2.0
    assert np.isnan(row(plan(), history, 10)["x.last"])


def of_x(minutes, values, minute=10):
    """The row of a line with these values of x."""
    return row(plan(), recorded(minutes, asset(), x=values), minute)


def test_missing_values_are_missing_and_never_zero():
    got = of_x([1, 2], [np.nan, np.nan])
    assert got.drop(["x.missing.10m", "x.missing.30m"]).isna().all()
    assert got["x.missing.10m"] == got["x.missing.30m"] == 1.0
    half = of_x(range(1, 11), [1.0, np.nan] * 5)
    assert (half["x.missing.10m"], half["x.mean.10m"]) == (0.5, 1.0)
    assert of_x(np.arange(2, 22) / 2, [1.0] * 20)["x.missing.10m"] == 0.0
    assert np.isnan(row(plan(("y",)), recorded([1], asset(), x=[1.0]), 10)["y.mean.10m"])
    assert of_x([3], [1.0])[["x.std.10m", "x.slope.10m"]].isna().all()
    assert of_x([1, 2], [1.0, np.inf])["x.mean.10m"] == 1.0
    zero = of_x([1, 2], [0.0, -0.0])[["x.min.10m", "x.max.10m", "x.last"]]
    assert not np.signbit(zero.to_numpy(np.float64)).any()
    constant = of_x(range(1, 31), [0.1] * 30, 30)
    assert (constant["x.std.30m"], constant["x.slope.30m"], constant["x.mean.30m"]) == (0, 0, 0.1)


def test_large_values_keep_their_small_noise():
    noise = np.random.default_rng(1).normal(0, 1e-3, 30)
    values = 1e9 + noise
    got = row(plan(), recorded(range(1, 31), asset(), x=values), 30)
    exact = (values - 1e9).astype(np.longdouble)
    # one step of float64 at 1e9 is 1e-7
    assert got["x.std.30m"] == pytest.approx(float(exact.std(ddof=1)), rel=1e-4)
    assert got["x.slope.30m"] == pytest.approx(
        float(np.polyfit(np.arange(30) / 60, values - 1e9, 1)[0]), rel=1e-3
    )


def test_events_are_counted_by_window_and_their_recency_has_no_limit():
    happened = [("stop", 0, 0), ("error", 15, 15), ("stop", 20, 20), ("error", 31, 31)]
    history = recorded([1], asset(), happened, x=[1.0])
    got = row(plan(events=("stop", "error", "never")), history, 30)
    assert (got["event/stop.count.10m"], got["event/stop.count.30m"]) == (0.0, 1.0)
    assert (got["event/error.count.30m"], got["event/stop.recency"]) == (1.0, 10 * 60)
    assert np.isnan(got["event/never.recency"])
    assert row(plan(events=("stop",)), history, 20)["event/stop.recency"] == 0.0
    assert row(plan(events=("stop",)), history, 600)["event/stop.recency"] == 580 * 60


def test_a_category_is_its_last_known_level_and_an_unseen_level_is_missing():
    recipes = np.array(["rye", None, "spelt"], dtype=object)
    with_recipe = plan(numbers=(), categories=(CategorySource("recipe", ("oat", "rye")),))
    at = START + np.array([0, 10, 20, 60]) * MINUTE
    history = recorded([1, 3, 15], asset(), recipe=recipes)
    got = build_features(with_recipe, history, at)["recipe.last"]
    assert list(got.cat.categories) == ["oat", "rye"]
    assert [None if pd.isna(v) else v for v in got] == [None, "rye", None, None]


def test_columns_lead_back_to_their_source_and_attributes_are_numbers_or_categories():
    whole = plan(
        events=("stop",),
        categories=(CategorySource("recipe", ("rye",)),),
        number_attributes=("age",),
        category_attributes=(CategorySource("model", ("a", "b")),),
    )
    sources = {"x.mean.10m": "x", "event/stop.recency": "stop", "recipe.last": "recipe"}
    sources |= {"attribute/age": "age", "attribute/model": "model"}
    assert {column: whole.source_of(column) for column in sources} == sources
    rows = build_features(whole, History(asset()), np.array([START]))
    assert tuple(rows.columns) == whole.columns
    assert rows[["attribute/age", "attribute/model"]].iloc[0].tolist() == [7.0, "b"]
    nothing = build_features(whole, History(asset()), np.empty(0, np.int64))
    assert nothing.shape == (0, len(whole.columns))


def test_a_plan_survives_json_and_one_that_holds_nothing_is_written_as_before():
    whole = plan(
        events=("stop",),
        categories=(CategorySource("recipe", ("rye",)),),
        number_attributes=("age",),
        delay_ms=5,
    )
    held = replace(whole, carried_forward=(CarryForward("recipe", 5 * MINUTE),))
    plans = [whole, held]
    stored = [json.dumps(one.to_document()) for one in plans]
    assert [FeaturePlan.from_document(json.loads(one)) for one in stored] == plans
    assert "carried_forward" not in stored[0]


def test_instants_that_do_not_increase_are_refused():
    with pytest.raises(ValueError, match="increase"):
        build_features(plan(), History(asset()), np.array([START, START]))


def test_the_grid_is_open_at_its_beginning_and_closed_at_its_end():
    instants = grid(START, START + 20 * MINUTE, 10 * MINUTE)
    assert instants.tolist() == [START + 10 * MINUTE, START + 20 * MINUTE]


# ---- the same from any slice

values = st.one_of(
    st.floats(-1e6, 1e6, allow_subnormal=False),
    st.sampled_from([np.nan, 0.0, -0.0, 1e9, 1e9 + 1e-3]),
)


@st.composite
def histories(draw):
    def many(values, size):
        return draw(st.lists(values, min_size=size, max_size=size))

    minutes = draw(st.sets(st.integers(-400, 400), min_size=1, max_size=60).map(sorted))
    size = len(minutes)
    offsets = many(st.integers(0, MINUTE - 1), size)
    columns = {name: many(values, size) for name in ("x", "y")}
    columns["c"] = np.array(many(st.sampled_from(["a", "b", None]), size), object)
    delay = timedelta(minutes=draw(st.sampled_from([0, 1, 17, 90])))
    stops = [("stop", m, m) for m in draw(st.sets(st.integers(-400, 400), max_size=5))]
    of = asset(y={"delay": delay}, c={"type": "category", "delay": delay})
    instants = [m + offset / MINUTE for m, offset in zip(minutes, offsets, strict=True)]
    return recorded(instants, of, stops, **columns)


@st.composite
def plans(draw):
    windows = sorted(draw(st.sets(st.sampled_from([5, 10, 30, 70, 180]), min_size=1, max_size=3)))
    spans = {name: draw(st.sampled_from([None, 3, 45, 200, 500])) for name in ("y", "c")}
    return plan(
        ("x", "y"),
        windows,
        events=("stop",),
        categories=(CategorySource("c", ("a", "b")),),
        delay_ms=90 * MINUTE,
        lags_ms=draw(st.sampled_from([(), (40 * MINUTE,)])),
        carried_forward=tuple(
            CarryForward(name, span * MINUTE) for name, span in spans.items() if span
        ),
    )


def newest_before(history, plan_, start):
    """Return the rows that the store adds to a slice after `start`: the newest value of each
    variable carried forward longer."""
    before = History(
        history.asset, history.readings[history.readings.index.as_unit("ms").asi8 <= start]
    )
    found = {n: before.readings[n][has_data(before, n)].iloc[-1:] for n in plan_.carried_longer}
    return pd.DataFrame(found)


def bits(rows):
    return [
        rows[c].cat.codes.tolist() if rows[c].dtype == "category" else rows[c].to_numpy().tobytes()
        for c in rows
    ]


@settings(max_examples=40, deadline=None)
@given(histories(), plans(), st.integers(-20, 40))
def test_a_row_is_the_same_bit_for_bit_from_a_batch_and_from_a_slice(history, plan_, step):
    at = START + np.arange(-20, 41) * 10 * MINUTE
    instant = at[step + 20]
    ts = history.readings.index.as_unit("ms").asi8
    start = instant - plan_.lookback // timedelta(milliseconds=1)
    sliced = History(
        history.asset, history.readings[(ts > start) & (ts <= instant)], history.events
    )
    sliced = with_older(sliced, newest_before(history, plan_, start))
    whole = build_features(plan_, history, at).iloc[[step + 20]]
    assert bits(whole) == bits(build_features(plan_, sliced, at[[step + 20]]))


@settings(max_examples=40, deadline=None)
@given(histories(), plans(), st.integers(-20, 40))
def test_what_becomes_known_later_changes_nothing(history, plan_, step):
    instant = START + step * 10 * MINUTE
    at = np.arange(START - 200 * MINUTE, instant + 1, 10 * MINUTE)
    assert bits(build_features(plan_, history, at)) == bits(
        build_features(plan_, point_in_time_view(history, instant), at)
    )


def test_a_long_history_worked_on_in_parts_gives_the_same_as_its_pieces():
    minutes = np.arange(40_000)
    history = recorded(minutes, asset(), x=np.sin(minutes / 50.0) + minutes * 1e-4)
    short = FeaturePlan(MINUTE, (5 * MINUTE, 60 * MINUTE), ALL, (NumberSource("x", MINUTE),))
    at = START + np.arange(100, 40_000) * MINUTE
    whole = build_features(short, history, at)
    for first in (16_000, 16_300, 39_000):
        assert bits(whole.iloc[first : first + 200]) == bits(
            build_features(short, history, at[first : first + 200])
        )


# ---- large tables


def statistics(minutes, values, minute, window):
    """The statistics of the samples of one window, each from its definition."""
    inside = (minutes > minute - window) & (minutes <= minute) & np.isfinite(values)
    x = values[inside].astype(np.longdouble)
    hours = minutes[inside].astype(np.longdouble) / 60
    found = dict.fromkeys(("mean", "std", "min", "max", "slope"), np.nan)
    if len(x):
        found |= {"mean": x.mean(), "min": x.min(), "max": x.max()}
    if len(x) > 1:
        apart = hours - hours.mean()
        found |= {"std": x.std(ddof=1), "slope": (apart * (x - x.mean())).sum() / (apart**2).sum()}
    return {name: float(value) for name, value in found.items()}


@pytest.mark.parametrize("stride", [1, 10])
@pytest.mark.parametrize("every", [1, 7])
def test_a_large_table_has_the_statistics_of_its_samples_and_the_bits_of_each_row_alone(
    monkeypatch, every, stride
):
    random = np.random.default_rng(5)
    minutes = np.flatnonzero(random.random(9_000) < 0.9)
    minutes = minutes[(minutes < 3_000) | (minutes > 4_500)]  # longer than any window
    values = random.normal(1e3, 1.0, (2, len(minutes)))
    values[:, random.random(len(minutes)) < 0.1] = np.nan
    values[1, 2_000:2_300] = 5.0
    values[0, 100:2_000:50] = np.inf
    numbers = (NumberSource("x", MINUTE), NumberSource("y", None))
    spans = [span * stride for span in (1, 7, 60, 1_300 if stride == 1 else 130)]
    windows = tuple(span * MINUTE for span in spans)
    wide = FeaturePlan(stride * MINUTE, windows, ALL, numbers, lags_ms=(30 * MINUTE,))
    at = np.concatenate([np.arange(50, 2_500, every), np.arange(5_500, 8_990, every)])
    at = at[at % stride == 0]
    history = recorded(minutes, asset(), x=values[0], y=values[1])
    whole = build_features(wide, history, START + at * MINUTE)
    monkeypatch.setattr(point_in_time, "LARGE", 0)  # threads work on the numbers
    monkeypatch.setattr(point_in_time, "ROWS_AT_ONCE", 300)
    monkeypatch.setattr(point_in_time, "WINDOWS_AT_ONCE", 1)
    assert bits(build_features(wide, history, START + at * MINUTE)) == bits(whole)
    labels = [column.split(".")[-1] for column in wide.columns if column.startswith("x.mean")]
    for position in random.integers(0, len(at), 12):
        alone = build_features(wide, history, START + at[[position]] * MINUTE)
        assert bits(alone) == bits(whole.iloc[[position]])
        row = alone.iloc[0]
        for name, of_name in zip("xy", values, strict=True):
            for span, label in zip(spans, labels, strict=True):
                expected = statistics(minutes, of_name, at[position], span)
                found = {key: row[f"{name}.{key}.{label}"] for key in expected}
                assert found == pytest.approx(expected, rel=1e-9, abs=1e-9, nan_ok=True)


def test_what_ifs_equal_the_features_of_the_changed_history():
    x = np.arange(40.0)
    history = recorded(range(40), asset(), x=x, y=x**2, c=np.array(["a"] * 40, dtype=object))
    whole = plan(("x", "y"), categories=(CategorySource("c", ("a",)),))
    changes = [{}, {"x": x + 5}, {"x": np.zeros(40), "y": np.ones(40)}]
    at = START + 30 * MINUTE
    got = build_features_many(whole, history, at, changes)
    alone = [
        build_features(
            whole, History(history.asset, history.readings.assign(**change)), np.array([at])
        )
        for change in changes
    ]
    pd.testing.assert_frame_equal(got, pd.concat(alone, ignore_index=True), check_exact=True)


# ---- the plan


def definition(**more):
    base = {
        "name": "d",
        "kind": "classifier",
        "assets": ["oven"],
        "problem": {"variable": "x", "above": 1},
        "horizon": "30m",
    }
    return ClassifierDefinition.model_validate(base | more)


def spans(*words):
    return [pd.Timedelta(word).to_pytimedelta() for word in words]


def test_default_windows_fit_horizon_and_sampling():
    rows = {
        ("30m", "5m", "1m", "1m"): ["15m", "1h", "3h"],
        ("24h", "1h", "1h"): ["3h", "24h", "72h"],
        ("1h", "1h", "1h"): ["3h", "6h", "24h"],
        ("24h", "4h", "1h"): ["4h", "24h", "72h"],
        ("30m", "5m", "1m", "1m", "8h"): ["15m", "1h", "24h"],
        ("30m", "5m"): ["15m", "1h", "3h"],
    }
    found = {row: default_windows(*spans(*row[:2]), spans(*row[2:])) for row in rows}
    assert found == {row: tuple(spans(*windows)) for row, windows in rows.items()}


def test_a_plan_takes_the_variables_that_have_values_with_their_sampling():
    recipes = np.array(["b", "a", None], dtype=object)
    columns = {"x": [1.0, 2.0, 3.0], "on": [1.0, 0.0, 1.0], "ghost": [np.nan] * 3}
    of = asset(x={}, on={"type": "boolean"}, ghost={}, recipe={"type": "category"})
    history = recorded([0, 5, 10], of, **columns, recipe=recipes)
    got = plan_features(definition(), [history])
    assert got.numbers == (NumberSource("on", 5 * MINUTE), NumberSource("x", 5 * MINUTE))
    assert got.categories == (CategorySource("recipe", ("a", "b")),)


def test_a_plan_keeps_to_include_exclude_and_the_written_features():
    history = recorded(
        [0, 1],
        asset(),
        [("err-1", 0, 0), ("stop", 0, 0)],
        (EventType(name="err-2", duration="lasting"),),
        x=[1.0, 2.0],
        temp_1=[1.0, 2.0],
        temp_2=[1.0, 2.0],
    )
    chosen = definition(
        include=["temp_*"],
        exclude=["*_2"],
        features={
            "windows": ["20m", "5m"],
            "aggregations": ["mean"],
            "events": ["err-*"],
            "attributes": ["model", "age"],
        },
    )
    got = plan_features(chosen, [history])
    assert got.columns == (
        "temp_1.mean.5m",
        "temp_1.mean.20m",
        "event/err-1.count.5m",
        "event/err-1.count.20m",
        "event/err-1.recency",
        "event/err-2.count.5m",
        "event/err-2.count.20m",
        "event/err-2.recency",
        "attribute/age",
        "attribute/model",
    )


def test_what_no_plan_can_be_made_of_is_refused():
    x = recorded([0], asset(), x=[1.0])
    text = recorded([0], Asset(name="b"), x=np.array(["high"], dtype=object))
    with pytest.raises(UserError, match="nothing to learn from"):
        plan_features(definition(include=["z*"]), [x])
    with pytest.raises(UserError, match="no asset has the attribute 'colour'"):
        plan_features(definition(features={"attributes": ["colour"]}), [x])
    with pytest.raises(UserError, match="variable x is a category on b and a number on oven"):
        plan_features(definition(), [x, text])
