"""The data quality report: each oddity is found, with its figure and its consequence; a sound line
has none."""

from dataclasses import replace
from datetime import timedelta
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest

from alerting.definitions.assets import Asset, EventType, Variable
from alerting.definitions.faults import UserError
from alerting.learning.data.dataset import build_dataset, leak_suspects
from alerting.learning.data.quality import find_level_change
from alerting.learning.features.build import build_features
from alerting.readings.history import History, millis
from tests import small_models
from tests.builders import with_quality
from tests.helpers.learning.dataset import START, built, definition

pytestmark = pytest.mark.models

HOURS = 120


def oddities(history, **changes):
    """Findings of the kinds that these tests are about, by kind and variable."""
    dataset = build_dataset(
        small_models.definition(**changes), 1, [history], small_models.as_of(history)
    )
    return {(f.kind, f.variable): f for f in dataset.findings}


def with_column(history, name, values, **facts):
    asset = history.asset.model_copy(
        update={"variables": {**history.asset.variables, name: Variable(**facts)}}
    )
    return replace(history, asset=asset, readings=history.readings.assign(**{name: values}))


def noise(n, seed=7):
    return np.random.default_rng(seed).normal(50, 1, n)


def test_a_sound_line_has_no_oddity_but_its_known_cause():
    found = oddities(small_models.line(200))
    assert {kind for kind, _ in found} <= {"leak_suspect"}


def test_a_stuck_sensor_is_told_of_with_the_share_of_its_values_and_kept():
    line = small_models.line(HOURS)
    values = noise(len(line.readings))
    values[200:300] = values[200]
    found = oddities(with_column(line, "flow", values))["flat", "flow"]
    assert found.value == pytest.approx(100 / (0.6 * len(values)), rel=0.01)
    assert found.consequence == "kept"
    assert "repeats one value 100 times in a row" in found.message


def test_a_set_point_and_a_coarse_sensor_are_not_stuck():
    line = small_models.line(HOURS)
    n = len(line.readings)
    steps = np.repeat(noise(n // 25 + 1), 25)[:n]
    found = oddities(with_column(line, "recipe", steps))
    assert ("flat", "recipe") not in found
    assert ("flat", "setpoint") not in found


def test_plateaus_of_a_set_point_with_ramps_between_them_are_not_stuck():
    line = small_models.line(HOURS)
    n = len(line.readings)
    plateau = 60
    ramp = 20
    levels = np.random.default_rng(5).choice(
        [180.0, 200.0, 220.0, 240.0], n // (plateau + ramp) + 2
    )
    parts = [
        np.append(np.full(plateau, a), np.linspace(a, b, ramp) + noise(ramp) / 1e3)
        for a, b in pairwise(levels)
    ]
    assert ("flat", "oven_set") not in oddities(
        with_column(line, "oven_set", np.concatenate(parts)[:n])
    )


def test_a_sensor_that_is_stuck_for_most_of_the_time_is_found():
    line = small_models.line(HOURS)
    values = noise(len(line.readings))
    values[100:700] = values[100]
    assert oddities(with_column(line, "flow", values))["flat", "flow"].value > 0.6


def test_a_laboratorys_values_that_do_not_change_are_not_stuck():
    line = small_models.line(HOURS)
    values = np.round(noise(len(line.readings)), 2)
    values[200:400] = values[200]
    assert ("flat", "lab") in oddities(with_column(line, "lab", values))
    assert ("flat", "lab") not in oddities(with_column(line, "lab", values, delay="1h"))
    assert ("flat", "lab") not in oddities(with_column(line, "lab", values, sampling="1h"))
    rare = np.full(len(values), np.nan)
    rare[::12] = noise(len(rare[::12]))
    rare[12 * 10 : 12 * 50 : 12] = 50.0
    assert ("flat", "lab") not in oddities(with_column(line, "lab", rare))


def test_gaps_of_the_asset_and_of_one_variable_are_told_apart():
    line = small_models.line(HOURS)
    silent = replace(line, readings=line.readings.drop(line.readings.index[100:160]))
    found = oddities(silent)
    assert found["gaps", "oven-1"].consequence == "left out"
    assert ("gaps", "humidity") not in found
    values = noise(len(line.readings))
    values[300:500] = np.nan
    found = oddities(with_column(line, "flow", values))
    assert found["gaps", "flow"].value == pytest.approx(201 / (0.6 * len(values)), rel=0.02)
    assert ("gaps", "oven-1") not in found


def test_two_clocks_that_alternate_leave_no_gap():
    line = small_models.line(HOURS)
    late = line.readings.iloc[::12].rename(index=lambda t: t + pd.Timedelta("30s"))
    late.index = late.index.as_unit("ms")
    hourly = pd.concat([line.readings.iloc[::12], late]).sort_index().rename_axis("ts")
    found = oddities(
        replace(line, readings=hourly),
        features={"windows": ["6h"]},
        horizon="2h",
        problem={"variable": "moisture", "above": 4.5},
    )
    assert not [variable for kind, variable in found if kind == "gaps"]


def test_a_variable_that_repeats_another_is_told_of():
    line = small_models.line(HOURS)
    found = oddities(with_column(line, "humidity_2", line.readings["humidity"]))[
        "duplicate", "humidity_2"
    ]
    assert "the same values as humidity throughout" in found.message


def test_values_outside_the_engineering_range_are_missing_for_features_and_said():
    line = small_models.line(HOURS)
    values = noise(len(line.readings))
    values[::50] = -999.0
    history = with_column(line, "flow", values, low=0, high=100)
    found = oddities(history)["out_of_range", "flow"]
    assert (found.value, found.consequence) == (np.ceil(0.6 * len(values) / 50), "left out")
    dataset = build_dataset(small_models.definition(), 1, [history], small_models.as_of(history))
    assert dataset.rows["flow.last"].min() > 40
    assert dataset.rows["flow.mean.1h"].min() > 40
    blank = replace(
        history, readings=history.readings.assign(flow=np.where(values < 0, np.nan, values))
    )
    pd.testing.assert_frame_equal(
        dataset.rows, build_features(dataset.plan, blank, dataset.at), check_exact=True
    )


def test_samples_of_bad_quality_are_missing_and_said_with_their_share_and_uncertain_ones_are_used():
    line = small_models.line(HOURS)
    values = noise(len(line.readings))
    qualities = [None] * len(line.readings)
    qualities[::50] = ["bad"] * len(qualities[::50])
    qualities[1::25] = ["uncertain"] * len(qualities[1::25])
    blank = np.where(np.array([q == "bad" for q in qualities]), np.nan, values)
    history = with_quality(with_column(line, "flow", values), "flow", qualities)
    found = oddities(history)
    bad = found["bad_quality", "flow"]
    assert (bad.value, bad.consequence) == (pytest.approx(1 / 50, rel=0.05), "left out")
    dataset = build_dataset(small_models.definition(), 1, [history], small_models.as_of(history))
    missing = replace(history, readings=history.readings.assign(flow=blank))
    pd.testing.assert_frame_equal(
        dataset.rows, build_features(dataset.plan, missing, dataset.at), check_exact=True
    )


def test_samples_of_bad_quality_of_the_problem_make_no_label():
    line = small_models.line(HOURS)
    values = line.readings["moisture"].to_numpy()
    bad = with_quality(line, "moisture", ["bad" if value > 4.5 else None for value in values])
    with pytest.raises(
        UserError, match=r"0 problems in all periods.*moisture has 432 samples of bad quality"
    ):
        oddities(bad)


def test_a_problem_variable_out_of_its_range_still_makes_problems_and_that_is_said():
    line = small_models.line(HOURS)
    variables = {**line.asset.variables, "moisture": Variable(high=5.2)}
    history = replace(line, asset=line.asset.model_copy(update={"variables": variables}))
    found = oddities(history)["out_of_range", "moisture"]
    assert "the problem itself is determined with them" in found.message
    assert len(
        build_dataset(small_models.definition(), 1, [history], small_models.as_of(history)).problems
    ) == len(small_models.dataset(HOURS).problems)


# --- leak suspects
# --------------------------------------------------------------------------------------------------


def future(line, minutes):
    """The moisture that will be measured so many minutes later."""
    steps = minutes // 5
    return np.append(line.readings["moisture"].to_numpy()[steps:], np.full(steps, np.nan))


def sluggish(hours=400, seed=3):
    """A line whose moisture nobody can foresee: short excursions at random times."""
    line = small_models.line(hours, seed)
    random = np.random.default_rng(seed)
    moisture = 4.0 + random.normal(0, 0.1, len(line.readings))
    for start in np.flatnonzero(random.random(len(moisture)) < 0.01):
        moisture[start : start + 3] = 6.0
    return replace(line, readings=line.readings.assign(moisture=moisture))


def suspects(history, **changes):
    return {v: f for (kind, v), f in oddities(history, **changes).items() if kind == "leak_suspect"}


def test_a_planted_variable_that_knows_the_future_is_flagged_and_nothing_else():
    line = sluggish()
    soon = (
        pd.Series(line.readings["moisture"].to_numpy()[::-1])
        .rolling(6, min_periods=1)
        .max()
        .to_numpy()[::-1]
    )
    planted = with_column(line, "oracle", np.append(soon[1:], soon[-1]) + noise(len(soon)) * 0.1)
    found = suspects(planted)
    assert set(found) == {"oracle"}
    assert found["oracle"].value > 0.95
    assert "oracle alone nearly knows the label" in found["oracle"].message
    assert suspects(line) == {}


def test_a_copy_of_the_laboratorys_value_without_its_delay_is_flagged():
    line = sluggish()
    variables = {**line.asset.variables, "moisture": Variable(delay=timedelta(hours=1))}
    line = replace(line, asset=line.asset.model_copy(update={"variables": variables}))
    copied = with_column(line, "moisture_raw", line.readings["moisture"] * 2 + 1)
    found = suspects(copied)
    assert "is taken as known earlier" in found["moisture_raw"].message
    delayed = with_column(line, "moisture_raw", line.readings["moisture"] * 2 + 1, delay="1h")
    assert "moisture_raw" not in suspects(delayed)


def test_a_frequent_problem_makes_no_suspects():
    dataset = small_models.dataset(HOURS)
    label = np.ones(len(dataset.label), np.int8)
    label[::100] = 0
    assert (
        leak_suspects(
            small_models.definition(),
            dataset.plan,
            [small_models.line(HOURS)],
            dataset.rows,
            label,
            np.ones(len(label), np.bool_),
        )
        == []
    )


# --- lags
# --------------------------------------------------------------------------------------------------


def test_a_lag_is_the_value_as_it_was_known_then():
    line = small_models.line(HOURS)
    variables = {**line.asset.variables, "humidity": Variable(delay="10m")}
    line = History(line.asset.model_copy(update={"variables": variables}), line.readings)
    dataset = build_dataset(
        small_models.definition(
            features={"stride": "10m", "windows": ["1h"], "lags": ["45m", "2h"]}
        ),
        1,
        [line],
        small_models.as_of(line),
    )
    assert {"humidity.lag.45m", "humidity.lag.2h", "moisture.lag.2h"} <= set(dataset.plan.columns)
    ts = millis(line.readings.index)
    values = line.readings["humidity"].to_numpy()
    for t, got in zip(dataset.at[50:80], dataset.rows["humidity.lag.45m"][50:80], strict=True):
        known = (ts + 600_000 <= t - 45 * 60_000) & ~np.isnan(values)
        assert got == values[np.flatnonzero(known)[-1]]


def test_lags_lengthen_what_is_purged_and_what_is_read():
    line = small_models.line(HOURS)

    def built(**features):
        chosen = small_models.definition(features={"stride": "10m", "windows": ["1h"], **features})
        return build_dataset(chosen, 1, [line], small_models.as_of(line))

    plain = built()
    lagged = built(lags=["2h"])
    assert lagged.purge_ms - plain.purge_ms == 2 * 3_600_000
    assert lagged.plan.lookback - plain.plan.lookback == timedelta(hours=2)
    t = lagged.at[-1]
    slice_ = replace(
        line,
        readings=line.readings[
            millis(line.readings.index) > t - lagged.plan.lookback // timedelta(milliseconds=1)
        ],
    )
    row = build_features(lagged.plan, slice_, np.array([t]))
    pd.testing.assert_frame_equal(
        row, lagged.rows.iloc[-1:].reset_index(drop=True), check_exact=True
    )


def test_a_refusal_to_learn_says_what_is_odd_about_the_data():
    line = small_models.line(HOURS)
    stuck = with_column(line, "flow", 4.0)
    with pytest.raises(
        UserError, match=r"no two classes to separate.* Findings on the data: flow is always 4.0"
    ):
        build_dataset(
            small_models.definition(problem={"variable": "moisture", "above": 50}),
            1,
            [stuck],
            small_models.as_of(stuck),
        )


@pytest.mark.parametrize("when", ["1970-01-01T02:00:36Z", "2000-01-01", "2036-02-07T06:28:16Z"])
def test_a_stray_instant_changes_nothing_but_a_finding(when):
    line = small_models.line(HOURS)
    at = pd.DatetimeIndex([pd.Timestamp(when).tz_localize(None)], tz="UTC").as_unit("ms")
    stray = line.readings.iloc[[0]].set_index(at.rename("ts"))
    both = pd.concat([line.readings, stray]).sort_index()
    known = max(small_models.as_of(line), at[0].to_pydatetime())
    sound, strayed = (
        build_dataset(small_models.definition(), 1, [one], known)
        for one in (line, replace(line, readings=both))
    )
    assert (strayed.hash, strayed.part.tolist()) == (sound.hash, sound.part.tolist())
    (found,) = [f for f in strayed.findings if f.kind == "strays"]
    assert (found.variable, found.value, found.consequence) == ("oven-1", 1, "left out")


@pytest.mark.parametrize(
    ("factor", "said"),
    [(1000, "1,000 times as high"), (0.001, "1,000 times lower"), (3.6, "3.6 times as high")],
)
def test_another_unit_from_some_instant_on_is_found(factor, said):
    line = small_models.line(40 * 24)
    humidity = line.readings["humidity"].copy()
    since = humidity.index[-1] - timedelta(days=10)
    humidity[humidity.index >= since] *= factor
    found = oddities(with_column(line, "humidity", humidity))["level_change", "humidity"]
    assert found.message.startswith(
        f"humidity of oven-1 is {said} from {since:%Y-%m-%d %H:%M} UTC on: another unit?"
    )
    assert found.consequence == "kept"


def changed(name, n=40 * 288):
    """A variable whose level changes as processes do."""
    step = np.arange(n)
    later = step > 0.7 * n
    sound = noise(n)
    return {
        "another level": np.where(later, sound + 500, sound),
        "set": np.where(later, 100.0, 10.0),
        "stopped": np.where(later, np.abs(sound - 50) / 100, sound),
        "switched": np.where(step // 144 % 2, sound, np.abs(sound - 50) / 100),
        "ramp": sound * 10 ** np.clip((step / n - 0.3) * 3, 0, 1),
        "counter": step * 0.5 + sound,
        "twice": np.where(later, 2 * sound, sound),
    }[name]


@pytest.mark.parametrize(
    "name", ["another level", "set", "stopped", "switched", "ramp", "counter", "twice"]
)
def test_an_ordinary_change_of_the_process_is_no_other_unit(name):
    values = changed(name)
    at = np.arange(len(values)) * 300_000 + 1_790_000_000_000
    assert find_level_change(at, values) is None


@pytest.mark.parametrize("name", ["another level", "switched", "twice"])
def test_another_unit_is_found_in_a_history_that_changes_otherwise_too(name):
    values = changed(name)
    values[5 * 288 : 15 * 288] *= 1000
    at = np.arange(len(values)) * 300_000 + 1_790_000_000_000
    since, factor = find_level_change(at, values)
    assert since in (at[5 * 288], at[15 * 288])
    assert max(factor, 1 / factor) == pytest.approx(1000, rel=0.05)


def test_a_history_without_values_has_no_change():
    none = np.empty(0)
    assert find_level_change(none.astype(np.int64), none) is None
    assert find_level_change(np.arange(5) * 86_400_000, np.zeros(5)) is None


def test_a_fleet_that_runs_to_failure_keeps_all_its_positives():
    fleet = []
    random = np.random.default_rng(0)
    types = (EventType(name="failure", duration="instant"),)
    for number in range(100):
        life = 150 + number * 4
        index = pd.date_range(START, periods=life, freq="h", name="ts", unit="ms")
        end = pd.Series([index[-1]])
        failure = pd.DataFrame(
            {"type": pd.Series(["failure"], dtype=object), "start": end, "end": end}
        )
        readings = pd.DataFrame({"x": random.normal(0, 1, life)}, index=index)
        fleet.append(
            History(
                Asset(name=f"oven-{number:03}", variables={"x": Variable()}),
                readings,
                failure,
                types,
            )
        )
    wanted = definition(
        problem={"event": "failure"}, horizon="12h", features={"stride": "1h", "windows": ["3h"]}
    )
    dataset = built(wanted, fleet, START + timedelta(hours=2000))
    assert len(dataset.problems) == 100
    assert dataset.label[dataset.fit].sum() == 100 * 12
    assert dataset.label[dataset.measured].sum() == 100 * 12
    for part in ("train", "validation", "test"):
        measured = dataset.label[dataset.measured & (dataset.part == part)]
        assert measured.sum() >= 12
        assert (measured == 0).any()
