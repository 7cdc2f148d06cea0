"""The data quality report: each oddity is found, with its figure and its consequence; a sound line
has none."""

from dataclasses import replace
from datetime import timedelta
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest

from alerting.definitions.asset_documents import Variable
from alerting.definitions.faults import UserError
from alerting.learning.data.dataset import build_dataset
from alerting.learning.data.leak_suspects import leak_suspects
from alerting.learning.features.point_in_time import build_features
from tests import small_models
from tests.builders import with_quality

pytestmark = pytest.mark.models

HOURS = 120


def built_from(history, **changes):
    until = small_models.as_of(history)
    return build_dataset(small_models.definition(**changes), 1, [history], until)


def oddities(history, **changes):
    """Findings by kind and variable."""
    return {(f.kind, f.variable): f for f in built_from(history, **changes).findings}


def with_column(history, name, values, **facts):
    variables = {**history.asset.variables, name: Variable(**facts)}
    asset = history.asset.model_copy(update={"variables": variables})
    return replace(history, asset=asset, readings=history.readings.assign(**{name: values}))


def with_moisture(line, **facts):
    """The line with other facts on its moisture."""
    variables = {**line.asset.variables, "moisture": Variable(**facts)}
    return replace(line, asset=line.asset.model_copy(update={"variables": variables}))


def noise(n, seed=7):
    return np.random.default_rng(seed).normal(50, 1, n)


LINE = small_models.line(HOURS)
SAMPLES = len(LINE.readings)
IN_TRAINING = 0.6 * SAMPLES


def held(first, last, seed, digits=15):
    """Noise that keeps one value for some samples."""
    values = np.round(noise(SAMPLES, seed), digits)
    values[first:last] = values[first]
    return values


def plateaus():
    """Levels of an oven for five hours each, with ramps between them."""
    levels = np.random.default_rng(5).choice([180.0, 200.0, 220.0, 240.0], SAMPLES // 80 + 2)
    parts = [
        np.append(np.full(60, a), np.linspace(a, b, 20) + noise(20) / 1e3)
        for a, b in pairwise(levels)
    ]
    return np.concatenate(parts)[:SAMPLES]


def hourly():
    """A value an hour, the same for two days."""
    values = np.full(SAMPLES, np.nan)
    values[::12] = noise(SAMPLES // 12)
    values[120:600:12] = 50.0
    return values


def test_a_sound_line_has_no_oddity_but_its_known_cause():
    found = oddities(small_models.line(200))
    assert {kind for kind, _ in found} <= {"leak_suspect"}


def test_what_is_stuck_absent_or_repeated_is_found_and_nothing_that_holds_by_nature():
    planted = {
        "stuck": (held(200, 300, 1), {}),
        "mostly_stuck": (held(100, 700, 2), {}),
        "coarse": (np.repeat(noise(SAMPLES // 25 + 1), 25)[:SAMPLES], {}),
        "plateaus": (plateaus(), {}),
        "line": (held(200, 400, 3, 2), {}),
        "laboratory": (held(200, 400, 4, 2), {"delay": "1h"}),
        "sampled": (held(200, 400, 5, 2), {"sampling": "1h"}),
        "seldom": (hourly(), {}),
        "repeated": (LINE.readings["humidity"], {}),
        "absent": (np.where(np.arange(SAMPLES) // 200 == 2, np.nan, noise(SAMPLES)), {}),
    }
    history = LINE
    for name, (values, facts) in planted.items():
        history = with_column(history, name, values, **facts)
    found = oddities(history)
    shown = {"flat", "gaps", "duplicate"}
    assert {key: f.value for key, f in found.items() if f.kind in shown} == {
        ("flat", "stuck"): pytest.approx(100 / IN_TRAINING, rel=0.01),
        ("flat", "mostly_stuck"): pytest.approx(600 / IN_TRAINING, rel=0.01),
        ("flat", "line"): pytest.approx(200 / IN_TRAINING, rel=0.01),
        ("gaps", "absent"): pytest.approx(201 / IN_TRAINING, rel=0.02),
        ("duplicate", "repeated"): 1,
    }
    assert {f.consequence for f in found.values() if f.kind in shown} == {"kept"}
    assert "repeats one value 100 times in a row" in found["flat", "stuck"].message
    assert "the same values as humidity throughout" in found["duplicate", "repeated"].message


def test_a_silent_asset_has_gaps_and_its_variables_have_none_beside():
    silent = replace(LINE, readings=LINE.readings.drop(LINE.readings.index[100:160]))
    gaps = {name: f.consequence for (kind, name), f in oddities(silent).items() if kind == "gaps"}
    assert gaps == {"oven-1": "left out"}


def test_two_clocks_that_alternate_leave_no_gap():
    late = LINE.readings.iloc[::12].rename(index=lambda t: t + pd.Timedelta("30s"))
    late.index = late.index.as_unit("ms")
    twice = pd.concat([LINE.readings.iloc[::12], late]).sort_index().rename_axis("ts")
    problem = {"variable": "moisture", "above": 4.5}
    asked = {"features": {"windows": ["6h"]}, "horizon": "2h", "problem": problem}
    assert "gaps" not in {kind for kind, _ in oddities(replace(LINE, readings=twice), **asked)}


def assert_as_if_missing(history, flow):
    """The rows are those of a history with this flow."""
    dataset = built_from(history)
    missing = replace(history, readings=history.readings.assign(flow=flow))
    expected = build_features(dataset.plan, missing, dataset.at)
    pd.testing.assert_frame_equal(dataset.rows, expected, check_exact=True)


def test_values_outside_the_engineering_range_are_missing_for_features_and_said():
    values = noise(SAMPLES)
    values[::50] = -999.0
    history = with_column(LINE, "flow", values, low=0, high=100)
    found = oddities(history)["out_of_range", "flow"]
    assert (found.value, found.consequence) == (np.ceil(IN_TRAINING / 50), "left out")
    assert_as_if_missing(history, np.where(values < 0, np.nan, values))


@pytest.mark.filterwarnings("error::RuntimeWarning")
@pytest.mark.parametrize("value", [1e30, -9.9e37, 3.4028235e38, -1.797e308])
def test_numbers_that_nothing_measures_are_missing_for_features_and_said(value):
    values = noise(SAMPLES)
    values[::50] = value
    history = with_column(LINE, "flow", values)
    found = oddities(history)["impossible", "flow"]
    assert (found.value, found.consequence) == (np.ceil(IN_TRAINING / 50), "left out")
    assert found.message.startswith(f"flow has {found.value:.0f} values such as {value:.6g} in the")
    assert_as_if_missing(history, np.where(values == value, np.nan, values))


def test_samples_of_bad_quality_are_missing_and_said_with_their_share_and_uncertain_ones_are_used():
    values = noise(SAMPLES)
    qualities = np.full(SAMPLES, None, object)
    qualities[1::25] = "uncertain"
    qualities[::50] = "bad"
    history = with_quality(with_column(LINE, "flow", values), "flow", qualities.tolist())
    bad = oddities(history)["bad_quality", "flow"]
    assert (bad.value, bad.consequence) == (pytest.approx(1 / 50, rel=0.05), "left out")
    assert_as_if_missing(history, np.where(qualities == "bad", np.nan, values))


def test_samples_of_bad_quality_of_the_problem_make_no_label():
    values = LINE.readings["moisture"].to_numpy()
    bad = with_quality(LINE, "moisture", ["bad" if value > 4.5 else None for value in values])
    words = (
        r"\(moisture above 5; moisture from 3.6\d+ to 4.49\d+\).*moisture has 432 samples of bad"
    )
    with pytest.raises(UserError, match=words):
        oddities(bad)


def test_a_problem_variable_out_of_its_range_still_makes_problems_and_that_is_said():
    history = with_moisture(LINE, high=5.2)
    found = oddities(history)["out_of_range", "moisture"]
    assert "the problem itself is determined with them" in found.message
    assert len(built_from(history).problems) == len(small_models.dataset(HOURS).problems)


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


def around_problems(line, before=6, after=3):
    """Return a mask of the samples of a line around its problems, and the number of each one."""
    over = line.readings["moisture"].to_numpy() > 4.5
    begins = np.flatnonzero(over & ~np.append(False, over[:-1]))
    number = np.full(len(over), -1)
    for k, begin in enumerate(begins):
        number[max(begin - before, 0) : begin + after] = k
    return number >= 0, number


SPARSE = sluggish()
AROUND, NUMBER = around_problems(SPARSE)
LEAKS = {
    "two_causes": np.where(AROUND, np.where(NUMBER % 2, "seal", "bearing"), "ok"),
    "text_for_each": np.where(AROUND, np.char.add("order ", (NUMBER % 90).astype(str)), ""),
    "text_or_none": np.where(AROUND, "ok", None),
    "none_or_text": np.where(AROUND, None, "ok"),
    "number_or_none": np.where(AROUND, noise(len(AROUND)), np.nan),
    "none_or_number": np.where(AROUND, np.nan, noise(len(AROUND))),
    "yes_or_no": AROUND,
}


def with_columns(columns):
    line = SPARSE
    for name, values in columns.items():
        kind = {"b": "boolean", "f": "number"}.get(values.dtype.kind, "category")
        shown = values.astype(object) if kind == "category" else values
        line = with_column(line, name, shown, type=kind)
    return line


def test_what_is_entered_around_a_problem_is_suspect_whatever_its_type():
    found = suspects(with_columns(LEAKS))
    assert set(found) == set(LEAKS)
    assert "two_causes alone nearly knows the label (column " in found["two_causes"].message
    assert "(whether it has a value: average precision 1" in found["text_or_none"].message


def shifts(length):
    return np.arange(len(AROUND)) // length


HONEST = {
    "batch": np.char.add("batch ", shifts(60).astype(str)),
    "shift": np.array(["early", "late", "night"])[shifts(96) % 3],
    "round": np.where(np.arange(len(AROUND)) % 96 == 0, "round done", None),
    "half_of_problems": np.where(AROUND & (NUMBER % 2 == 0), "hot", "cold"),
    "half_of_times": np.where(AROUND | (shifts(15) % 19 == 0), "B", "A"),
}


def test_an_honest_category_is_no_suspect():
    assert suspects(with_columns(HONEST)) == {}


def test_a_copy_of_the_laboratorys_value_without_its_delay_is_flagged():
    line = with_moisture(sluggish(), delay=timedelta(hours=1))
    raw = line.readings["moisture"] * 2 + 1
    found = suspects(with_column(line, "moisture_raw", raw))
    assert "is taken as known earlier" in found["moisture_raw"].message
    assert "moisture_raw" not in suspects(with_column(line, "moisture_raw", raw, delay="1h"))


def test_a_frequent_problem_makes_no_suspects():
    dataset = small_models.dataset(HOURS)
    label = np.ones(len(dataset.label), np.int8)
    label[::100] = 0
    frequent = replace(dataset, label=label, part=np.full(len(label), "train", object))
    definition = small_models.definition()
    assert leak_suspects(definition, dataset.plan, [LINE], dataset.rows, frequent) == []


def test_a_refusal_to_learn_says_what_is_odd_about_the_data():
    never = {"variable": "moisture", "above": 50}
    words = r"no two classes to separate.* Findings on the data: flow is always 4.0"
    with pytest.raises(UserError, match=words):
        built_from(with_column(LINE, "flow", 4.0), problem=never)


@pytest.mark.parametrize("when", ["1970-01-01T02:00:36", "2036-02-07T06:28:16"])
def test_a_stray_instant_changes_nothing_but_a_finding(when):
    at = pd.DatetimeIndex([when], tz="UTC", name="ts").as_unit("ms")
    both = pd.concat([LINE.readings, LINE.readings.iloc[[0]].set_index(at)]).sort_index()
    known = max(small_models.as_of(LINE), at[0].to_pydatetime())
    sound, strayed = (
        build_dataset(small_models.definition(), 1, [one], known)
        for one in (LINE, replace(LINE, readings=both))
    )
    assert (strayed.hash, strayed.part.tolist()) == (sound.hash, sound.part.tolist())
    (found,) = [f for f in strayed.findings if f.kind == "strays"]
    assert (found.variable, found.value, found.consequence) == ("oven-1", 1, "left out")


def test_another_unit_from_some_day_on_is_asked_about():
    line = small_models.line(HOURS)
    since = line.readings.index[int(0.7 * SAMPLES)]
    watts = np.where(line.readings.index < since, noise(SAMPLES), 1000 * noise(SAMPLES))
    (found,) = (f for f in built_from(with_column(line, "load", watts)).findings if f.value == 1000)
    assert (found.kind, found.variable, found.consequence) == ("unit_change", "load", "kept")
    words = f"load of oven-1 is 1,000 times as high from {since:%Y-%m-%d} on (another unit?)"
    assert found.message.startswith(words)
