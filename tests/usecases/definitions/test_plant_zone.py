"""Clock times without a zone are the plant's, are said with it, and those of before stay."""

from dataclasses import replace
from zoneinfo import ZoneInfo

import pytest

from alerting.definitions.revisions import definition_document
from alerting.usecases.backtest.backtest import written_subject
from alerting.usecases.definitions.next_steps import clock_times
from alerting.usecases.definitions.revisions_and_evaluation_plan import (
    DEFINITION_DOCUMENTS,
    apply,
    plan,
    sync,
)
from alerting.usecases.definitions.scenarios import run_scenarios
from alerting.usecases.document_kinds import DEFINITIONS
from alerting.usecases.notification.routing import ROUTES
from tests.builders import at, oven, too_hot, too_moist
from tests.in_memory_platform import in_memory_platform

WINDOWS = {"windows": [{"from": "22:00", "to": "06:00"}]}
QUIET = too_hot(suppression=WINDOWS)
TEXT = "suppressed: daily 22:00 to 06:00 Europe/Berlin"


@pytest.fixture
def utc():
    platform = in_memory_platform()
    platform.assets.store_assets([oven()])
    return platform


@pytest.fixture
def berlin(utc):
    return replace(utc, zone=ZoneInfo("Europe/Berlin"))


def newest_definition(platform, name="too-hot"):
    return platform.definitions.newest_revision(name).definition


def test_hours_and_cron_without_a_zone_are_the_plants_and_are_said_with_it(berlin):
    by_hour = {"above": {"learned": {"quantile": 0.999, "by": ["hour_of_day"]}}}
    model = too_moist(schedule={"retrain": "0 3 * * 0"})
    apply(berlin, [QUIET, model, too_hot(name="by-hour", **by_hour)], "ada", at(0), "first")
    names = ("too-hot", "too-moist", "by-hour")
    hot, moist, learned = (newest_definition(berlin, name) for name in names)
    assert hot.suppression.timezone == moist.schedule.timezone == "Europe/Berlin"
    assert hot.schedule.timezone == "UTC"  # nothing in it is read by a clock
    assert clock_times(hot) == [TEXT]
    assert clock_times(moist) == ["trained each Sunday at 03:00 Europe/Berlin"]
    assert clock_times(learned)[-1] == "hours of the day: Europe/Berlin"
    assert DEFINITIONS.review(berlin, QUIET).effects.clock_times == (TEXT,)
    assert written_subject(berlin, QUIET).applied


def test_a_zone_that_is_named_counts_and_goes_out_and_in_unchanged(berlin):
    for zone in ("UTC", "Asia/Tokyo"):
        named = too_hot(suppression={**WINDOWS, "timezone": zone})
        apply(berlin, [named, too_moist(schedule={"timezone": zone})], "ada", at(0), "first")
        assert newest_definition(berlin).suppression.timezone == zone
        documents = [
            definition_document(newest_definition(berlin, name))
            for name in ("too-hot", "too-moist")
        ]
        assert [zone in str(document) for document in documents] == [True, True]
        assert [one.action for one in plan(berlin, documents)] == ["unchanged", "unchanged"]
        assert not sync(berlin, at(1)).new


def test_what_was_applied_in_utc_stays_until_it_is_applied_again(utc, berlin):
    apply(utc, [QUIET, too_moist()], "ada", at(0), "first")
    for name in ("too-hot", "too-moist"):  # as code of before stored it: without the zone
        (document,) = utc.definitions.documents([name])
        kept = {key: one for key, one in document.items() if not key.startswith("_")}
        kept.pop("schedule", None)
        kept.get("suppression", {}).pop("timezone", None)
        utc.definitions.store_document(kept)
    assert sync(berlin, at(1)).new == ()
    assert DEFINITION_DOCUMENTS.require_revision(berlin, "too-hot", 1, at(1)) == 1
    assert newest_definition(berlin).suppression.timezone == "UTC"
    (change,) = plan(berlin, [QUIET])
    assert change.changes == {"suppression.timezone": ("UTC", "Europe/Berlin")}
    edited = {**QUIET, "above": 300}
    berlin.definitions.store_document(edited)
    (made,) = sync(berlin, at(2)).new
    assert made.definition.suppression.timezone == "UTC"


def test_a_scenario_tests_hours_by_the_clock_of_the_plant():
    night = {
        "title": "Too hot at 22:30 by the clock of the plant, told at 06:00",
        "start": "2026-01-15T21:30:00Z",
        "every": "10m",
        "readings": {"temperature": ["250 x 60"]},
        "expect": [{"at": "0s", "raised": "medium"}],
        "notified": ["7h30m"],
    }
    document = too_hot(suppression=WINDOWS, **{"for": "0s"})
    (passed,) = run_scenarios(document, [night], "here", ZoneInfo("Europe/Berlin"))
    assert passed.passed, passed.difference
    assert not run_scenarios(document, [night], "here")[0].passed


def test_hours_of_a_route_are_the_plants_too(utc, berlin):
    route = {"name": "night", "channels": ["log"], "quiet": [{"from": "22:00", "to": "06:00"}]}
    utc, berlin = (replace(one, channels={"log": object()}) for one in (utc, berlin))
    ROUTES.apply(utc, [{**route, "name": "before"}], "ada", at(0))
    ROUTES.apply(berlin, [route], "ada", at(0))
    zones = {one["name"]: one["timezone"] for one in berlin.routes.documents()}
    assert zones == {"before": "UTC", "night": "Europe/Berlin"}
    assert ROUTES.review(berlin, route).action == "unchanged"
