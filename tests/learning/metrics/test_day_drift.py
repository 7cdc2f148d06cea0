"""The last day beside the days of the training, on hours."""

import numpy as np
import pytest

from alerting.learning.metrics.day_drift import (
    FEW_VALUES,
    check_day,
    day_levels,
    find_onset,
    new_settings,
)
from alerting.learning.metrics.normal_days import DAY, FEW_DAYS, SLOW, HourTable, learn_days

pytestmark = pytest.mark.fast
TRAINED = 30
DAYS = 40


def hours(seed=0, alike=0.0, days=DAYS):
    """Return a variable by hour, of which the days are alike by this correlation."""
    random = np.random.default_rng(seed)
    levels = random.normal(0, 1, days)
    for day in range(1, days):
        levels[day] = alike * levels[day - 1] + np.sqrt(1 - alike**2) * levels[day]
    return np.repeat(levels, DAY) + random.normal(0, 0.5, days * DAY)


def table(values, settings=None, trained=TRAINED):
    length = len(next(iter(values.values())))
    return HourTable(values, settings or {}, np.arange(length) < trained * DAY)


def moved(found, end=DAYS * DAY):
    return {(one.variable, one.aspect) for one in check(found, end) if one.moved}


def check(found, end=DAYS * DAY):
    return check_day(learn_days(found, end), found, end)


def test_what_is_as_ever_is_not_told():
    alarms = [moved(table({"a": hours(seed)})) for seed in range(300)]
    assert not any(alarms)


def test_a_level_beyond_what_days_differ_by_is_told():
    series = hours()
    series[-DAY:] = 12.0
    (found,) = check(table({"a": series}))
    assert found.moved
    assert found.level == pytest.approx(12.0)
    assert found.shift > found.limit > 3.0


def test_days_that_are_alike_are_worth_fewer():
    free = check(table({"a": hours(1)}))[0].limit
    alike = check(table({"a": hours(1, alike=0.8)}))[0]
    assert alike.doubt == SLOW or alike.limit > free


def test_a_setting_explains_what_follows_it_also_on_the_day_of_its_change():
    recipe = np.where(np.arange(DAYS * DAY) // (3 * DAY) % 2 == 0, 0.0, 50.0)
    recipe[-10:] = 50.0 - recipe[-11]
    follows = hours() + recipe
    assert moved(table({"a": follows}, {"recipe": recipe})) == set()
    off = follows.copy()
    off[-DAY:] += 12.0
    assert moved(table({"a": off}, {"recipe": recipe})) == {("a", "level")}


def test_a_level_that_the_training_knows_without_a_setting_is_a_regime():
    recipe = np.where(np.arange(DAYS * DAY) // (5 * DAY) % 2 == 0, 0.0, 50.0)
    recipe[-DAY:] = np.r_[np.full(10, 0.0), np.full(14, 50.0)]
    assert moved(table({"a": hours() + recipe})) == set()
    assert moved(table({"a": hours() + recipe + 25.0 * (np.arange(len(recipe)) >= 39 * DAY)}))


def test_the_sensor_that_is_off_is_named_and_not_the_variables_that_it_explains():
    common = hours(2)
    random = np.random.default_rng(9)
    values = {
        name: share * common + random.normal(0, 0.2, len(common))
        for name, share in (("a", 1.0), ("b", -0.6), ("c", 2.0))
    }
    values["b"][-DAY:] += 1.0
    assert moved(table(values)) == {("b", "relation")}
    process = {name: v.copy() for name, v in values.items()}
    process["b"][-DAY:] -= 1.0
    for name, share in (("a", 1.0), ("b", -0.6), ("c", 2.0)):
        process[name][-DAY:] += 12 * share
    assert {aspect for _, aspect in moved(table(process))} == {"level"}


def test_too_few_days_or_values_cannot_be_told():
    short = table({"a": hours()}, trained=8)
    assert [one.doubt for one in check(short)] == [FEW_DAYS]
    series = hours()
    series[-DAY:-5] = np.nan
    (found,) = check(table({"a": series}))
    assert (found.doubt, found.moved, found.shift) == (FEW_VALUES, False, 0.0)
    constant = np.zeros(DAYS * DAY)
    assert moved(table({"a": constant})) == set()


def test_it_is_told_since_when_and_whether_slowly():
    series = hours()
    series[-50:] += 15.0
    found = table({"a": series})
    end = DAYS * DAY
    normal = learn_days(found, end)
    (one,) = check_day(normal, found, end)
    onset = find_onset(normal, found, one, end)
    assert (abs(onset.hour - (end - 50)) <= 2, onset.slowly) == (True, False)
    series[-50:] -= 30.0
    series[-30:-26] = np.nan
    (one,) = check_day(normal, found, end)
    assert abs(find_onset(normal, found, one, end).hour - (end - 50)) <= 2, "down, with a gap"
    series[-50:] = hours()[-50:]
    series[-9 * DAY :] += np.linspace(0, 20.0, 9 * DAY)
    (one,) = check_day(normal, found, end)
    assert find_onset(normal, found, one, end).slowly


def test_settings_as_never_before_are_named_the_farthest_first():
    count = DAYS * DAY
    usual = np.arange(count) % 7 * 1.0
    speed = usual.copy()
    speed[-DAY:] = 20.0
    category = np.zeros(count)
    category[-DAY:] = 1.0
    found = table({"a": hours()}, {"usual": usual, "speed": speed, "recipe=C": category})
    assert new_settings(found, count) == ["recipe=C", "speed"]


def test_days_without_an_hour_are_left_out_of_the_picture():
    series = hours()
    series[-2 * DAY : -DAY] = np.nan
    assert [index for index, _ in day_levels(series, DAYS * DAY, 3)] == [
        (DAYS - 2) * DAY,
        DAYS * DAY,
    ]
