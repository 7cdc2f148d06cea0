"""Warnings from the spacing of the stored readings: at the check, at the change, in a preview, and
of a scenario."""

from datetime import timedelta
from time import monotonic

import pytest

from alerting.definitions.asset_documents import Asset, EventType, Variable
from alerting.ports import ReadingRow, silent
from alerting.usecases.backtest.backtest import written_subject
from alerting.usecases.backtest.preview import SeriesCache, preview
from alerting.usecases.definitions.faults_and_platform_alerts import warnings_of
from alerting.usecases.definitions.revisions_and_evaluation_plan import check
from alerting.usecases.definitions.scenarios import run_scenarios
from alerting.usecases.document_kinds import DEFINITIONS
from alerting.usecases.ingestion.arrived_rows import add_readings
from tests.builders import at, oven, too_moist
from tests.in_memory_platform import in_memory_platform

DAYS = 4
END = at(DAYS * 24 * 60)
HOT = {
    "name": "hourly-hot",
    "kind": "threshold",
    "assets": ["hour-1"],
    "variable": "temp",
    "above": 100,
    "for": "30m",
}
LEFT_OUT = {"variable": None, "above": None, "for": None}
NEVER = (
    "temp comes every 1h, longer than stale_after 10m: `for: 30m` can never be fulfilled; write "
    "stale_after: 2h"
)


@pytest.fixture
def hourly():
    """A platform whose temp comes every hour, fast every minute, and lab once a day."""
    platform = in_memory_platform()
    names = {name: Variable() for name in ("temp", "fast", "lab")}
    platform.assets.store_assets([Asset(name="hour-1", variables=names)])
    rows = [
        ReadingRow(
            "hour-1",
            at(minute),
            {"fast": 1.0}
            | ({"temp": 150.0 if minute > 5000 else 60.0} if minute % 60 == 0 else {})
            | ({"lab": 7.0} if minute % 1440 == 0 else {}),
        )
        for minute in range(DAYS * 24 * 60)
    ]
    add_readings(platform, rows, at(0))
    platform.clock.instant = END
    return platform


def warned(platform, **changes):
    document = {key: one for key, one in {**HOT, **changes}.items() if one is not None}
    (definition,) = check(platform, [document])
    return warnings_of(platform, definition)


def test_a_planned_replacement_that_no_event_type_names_is_said():
    platform = in_memory_platform()
    platform.assets.store_assets([oven()])
    platform.assets.put_event_types([EventType(name="failure-bearing", duration="instant")])
    life = too_moist(problem={"event": "failure-*"}, remaining_life=True, horizon="8h")
    said = "replaced_by: no event type is called 'replaced-*' (known event types: failure-bearing)"
    assert said not in warned(platform, **LEFT_OUT, **life)
    assert said in warned(platform, **LEFT_OUT, **life, replaced_by="replaced-*")
    platform.assets.put_event_types([EventType(name="replaced-bearing", duration="instant")])
    assert "replaced_by" not in str(warned(platform, **LEFT_OUT, **life, replaced_by="replaced-*"))


def test_an_alert_that_can_never_be_raised_is_said_wherever_it_is_tried(hourly):
    assert warned(hourly) == [NEVER]
    assert warned(hourly, stale_after="2h") == []
    assert list(DEFINITIONS.review(hourly, HOT).effects.warnings) == [NEVER]
    subject = written_subject(hourly, HOT)
    made = preview(hourly, subject, at(0), END, silent, lambda: None, SeriesCache(monotonic))
    assert (made.episodes, made.warnings) == (0, (NEVER,))
    scenario = {"title": "Hot", "every": "1h", "readings": {"temp": ["150 x 8"]}, "expect": []}
    (result,) = run_scenarios(HOT, [scenario], "here")
    assert result.notes == (NEVER,)


def test_variables_of_other_spacing_are_known_by_their_own_readings(hourly):
    assert warned(hourly, variable="fast") == []
    both = [{"variable": "fast", "above": 0}, {"variable": "lab", "below": 8}]
    (found,) = warned(hourly, variable=None, above=None, all=both)
    assert "lab comes every 1d, longer than stale_after 10m: `for: 30m`" in found
    assert found.endswith("write stale_after: 2d")
    hourly.assets.store_assets([Asset(name="hour-2", variables={"temp": Variable()})])
    assert warned(hourly, assets=["hour-*"]) == [f"hour-1: {NEVER}"]


def test_a_chart_an_anomaly_and_a_problem_say_it_too(hourly):
    chart = {"kind": "control_chart", "above": None, "for": None, "stale_after": "10m"}
    (found,) = warned(hourly, **chart)
    assert "`clear_for: 10h` can never be fulfilled, so no alarm ends" in found
    assert warned(hourly, **{**chart, "stale_after": None}) == []
    anomaly = {"kind": "anomaly", "variable": None, "above": None, "for": None}
    (found,) = warned(hourly, **anomaly, include=["temp", "lab"], windows=["10m"])
    assert "windows of 10m hold no value of them" in found
    assert found.endswith("write windows: [10h]")
    out = "left out: lab, every 1d (more seldom than once in 5 windows of "
    assert warned(hourly, **anomaly, windows=["2h"]) == [f"{out}2h)"]
    assert warned(hourly, **anomaly, windows=["5h"]) == []
    assert warned(hourly, **anomaly, include=["temp"]) == []
    [used] = warned(hourly, **anomaly, include=["lab", "fast"], windows=["10m", "1d"])
    assert used.startswith("used because include names it: lab, every 1d (more seldom than once")
    [left_out] = warned(hourly, **anomaly, include=["l*", "fast"], windows=["10m", "1d"])
    assert left_out == f"{out}10m)"
    late = [
        ReadingRow("hour-1", at(60 * n) + timedelta(minutes=30), {"half": 1.0}) for n in range(90)
    ]
    names = {name: Variable() for name in ("temp", "half")}
    hourly.assets.store_assets([Asset(name="hour-1", variables=names)])
    add_readings(hourly, late, at(0))
    both = [{"variable": "temp", "above": 1}, {"variable": "half", "above": 0}]
    learned = {"kind": "classifier", "variable": None, "above": None, "for": None}
    found = warned(hourly, **learned, problem={"all": both}, horizon="6h")
    assert any("never known at the same time" in one for one in found)
