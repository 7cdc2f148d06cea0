"""Drift: from stored readings to the alert to the engineer, and on the page of the model."""

import re
from html import unescape

import numpy as np
import pytest

from alerting.definitions.wording.language import language
from alerting.usecases.definitions.faults_and_platform_alerts import DRIFTED
from alerting.usecases.definitions.revisions_and_evaluation_plan import apply
from alerting.usecases.notification.delivery import deliver_due
from alerting.usecases.scoring.models_in_service import (
    check_drift,
    compare_hours,
    compare_texts,
)
from alerting.usecases.time_labels import mark_interval
from tests.builders import too_moist
from tests.helpers.console.episode_page import browser_of
from tests.helpers.drifting_line import (
    BEGAN,
    DAY,
    DAYS,
    NAME,
    NOW,
    TRAINED,
    drifting_line,
    promote,
    readings,
)


def drifted(platform):
    return [alert for alert in platform.platform_alerts.open() if alert.kind == DRIFTED]


def moved_line(*others, **changes):
    return drifting_line(readings(**{"offset": 3.0, **changes}), *others)[0]


def test_a_variable_that_moved_is_told_once_to_the_engineer_and_on_the_page_of_its_model():
    platform, mail = drifting_line(readings(offset=3.0), NAME, "too-wet")
    assert check_drift(platform, NOW)[NAME] == "temperature of oven-1 moved"
    [alert] = drifted(platform)
    assert alert.subject == "oven-1"
    assert re.fullmatch(
        r"temperature \(20\d\.?\d? instead of 19\d\.?\d? to 20\d\.?\d?\) left what "
        "too-moist, too-wet learned from. Look at the sensor; .*",
        alert.reason,
    )
    assert "Prüfen Sie den Sensor" in language("de").translate(alert.reason)
    deliver_due(platform, NOW)
    check_drift(platform, NOW)
    deliver_due(platform, NOW + DAY / 4)
    assert len([m for m in mail.messages if "inputs drifted" in m.subject]) == 1
    browser = browser_of(platform)
    page = unescape(browser.get(f"/models/{NAME}").text)
    assert "Inputs drifted" in page
    assert "left what too-moist, too-wet learned from" in page
    assert "Inputs drifted: oven-1" in browser.get("/platform").text


def test_a_category_that_the_training_never_saw_is_told_and_a_known_one_is_not():
    found = [check_drift(moved_line(offset=0.0, dough=name), NOW)[NAME] for name in ("oat", "rye")]
    assert found == ["dough of oven-1 moved", "nothing moved"]


def known_recipe(day):
    return 30.0 if int(day) % 5 == 3 or day >= DAYS - 0.6 else 0.0


def test_nothing_is_told_of_a_line_as_it_was_and_of_a_recipe_that_the_training_knows():
    for rows in (readings(), readings(recipe=known_recipe)):
        platform, _ = drifting_line(rows)
        assert check_drift(platform, NOW) == {NAME: "nothing moved"}
        assert drifted(platform) == []


def test_the_alert_ends_when_the_drift_is_over_or_the_model_knows_the_change():
    platform = moved_line(until=DAYS - 1)
    found = []
    for now in (NOW - DAY, NOW):
        check_drift(platform, now)
        found.append(len(drifted(platform)))
    later = NOW + 14 * DAY
    platform = moved_line(until=DAYS + 20, days=DAYS + 14)
    for is_known in (False, True):
        if is_known:
            promote(platform, NAME, 2, BEGAN, later - DAY)
        check_drift(platform, later)
        found.append(len(drifted(platform)))
    assert found == [1, 0, 1, 0]


def test_without_values_it_cannot_be_told_what_was_told_stays_and_ends_with_the_definition():
    platform = moved_line()
    check_drift(platform, NOW)
    assert check_drift(platform, NOW + 2 * DAY) == {NAME: "cannot tell of oven-1"}
    assert len(drifted(platform)) == 1
    apply(platform, [too_moist(name="new")], "ada", NOW, "test")
    apply(platform, [too_moist(state="retired")], "ada", NOW, "test")
    assert list(check_drift(platform, NOW)) == ["new"]
    assert drifted(platform) == []


def test_times_that_are_marked_do_not_count():
    platform = moved_line()
    mark = ("oven-1", (), BEGAN, NOW, "not_to_learn_from", "trial of another dough", "ada", NOW)
    mark_interval(platform, platform.audit, *mark)
    assert "cannot tell" in check_drift(platform, NOW)[NAME]
    assert drifted(platform) == []


def hours(days, seed=0):
    """Hours of days whose level differs from day to day."""
    random = np.random.default_rng(seed)
    level = np.repeat(random.normal(100, 1, days), 24)
    return np.repeat(np.arange(days), 24), level + random.normal(0, 0.5, 24 * days)


def test_days_as_those_of_the_training_hardly_ever_count_as_moved_and_a_shift_beyond_them_does():
    day, known = hours(TRAINED)
    found = [compare_hours("t", day, known, hours(1, seed)[1])[1] for seed in range(1, 400)]
    assert sum(found) <= 2
    shifts = (0.5, 6.0, -6.0)
    moved = [bool(compare_hours("t", day, known, np.full(24, 100 + s))[1]) for s in shifts]
    assert moved == [False, True, True]


@pytest.mark.parametrize(("days", "last"), [(6, 24), (TRAINED, 5)])
def test_too_few_hours_tell_nothing(days, last):
    day, known = hours(days)
    assert compare_hours("t", day, known, known[:last]) is None


def test_a_value_of_a_category_that_the_training_never_saw_counts():
    known = ["rye"] * 50 + ["oat"] * 50
    assert not compare_texts("recipe", known, ["oat"] * 20)[1]
    found, moved = compare_texts("recipe", known, ["oat"] * 15 + ["spelt"] * 5)
    assert (found.unseen, moved) == (pytest.approx(0.25), True)
    assert compare_texts("recipe", known, []) is None
