"""Alarms that nothing begins or ends, and notifications that never come: said at the check, the
change, in a preview and a backtest, and of a scenario that fails."""

from time import monotonic

import pytest

from alerting.definitions.asset_documents import Asset, EventType, Variable
from alerting.ports import EventRow, ReadingRow, silent
from alerting.usecases.backtest.backtest import written_subject
from alerting.usecases.backtest.preview import SeriesCache, preview
from alerting.usecases.definitions.faults_and_platform_alerts import warnings_of
from alerting.usecases.definitions.revisions_and_evaluation_plan import check
from alerting.usecases.definitions.scenarios import run_scenarios
from alerting.usecases.document_kinds import DEFINITIONS
from alerting.usecases.ingestion.arrived_rows import add_events, add_readings
from tests.builders import at
from tests.in_memory_platform import in_memory_platform

DAY = 24 * 60
END = at(10 * DAY)
PULSE = {
    "name": "animal",
    "kind": "threshold",
    "assets": ["camera-1"],
    "variable": "animal",
    "equals": 1,
}
NEVER = (
    "animal has only been 1 in its last 40 values, which does not end an alarm; write no_data: "
    "clear, and 10m (stale_after) of silence end it, or other limits"
)


@pytest.fixture(scope="module")
def camera():
    """A platform with a pulse each six hours, a line that is always on, one that was off once long
    ago, and stops that never end."""
    platform = in_memory_platform()
    names = {
        "animal": Variable(),
        "line": Variable(type="category"),
        "other": Variable(type="category"),
        "temp": Variable(high=100),
    }
    platform.assets.store_assets(
        [Asset(name="camera-1", variables=names), Asset(name="camera-2", variables=names)]
    )
    platform.assets.put_event_types(
        [EventType(name="stop", duration="lasting"), EventType(name="pause", duration="lasting")]
    )
    rows = [
        ReadingRow(
            "camera-1",
            at(m),
            {"line": "on", "other": "off" if m < 60 else "on", "temp": float(m % 7)}
            | ({"animal": 1.0} if m % 360 == 0 else {}),
        )
        for m in range(0, 10 * DAY, 10)
    ]
    add_readings(platform, rows, END)
    events = [
        *(EventRow("camera-1", "stop", at(day * DAY), None, "test") for day in (1, 2)),
        EventRow("camera-1", "pause", at(DAY), at(2 * DAY), "test"),
        EventRow("camera-1", "pause", at(9 * DAY), None, "test"),
    ]
    add_events(platform, events, END)
    platform.clock.instant = END
    return platform


def warned(platform, **changes):
    document = {key: one for key, one in {**PULSE, **changes}.items() if one is not None}
    (definition,) = check(platform, [document])
    return warnings_of(platform, definition)


def test_a_pulse_that_never_ends_is_said_wherever_it_is_tried(camera):
    assert warned(camera) == [NEVER]
    assert warned(camera, no_data="ignore") == [NEVER]
    assert warned(camera, no_data="clear") == []
    assert list(DEFINITIONS.review(camera, PULSE).effects.warnings) == [NEVER]
    subject = written_subject(camera, PULSE)
    made = preview(camera, subject, at(0), END, silent, lambda: None, SeriesCache(monotonic))
    assert made.warnings == (NEVER,)
    scenario = {"title": "Over", "readings": {"animal": [1, "null x 5", 1, 1, "null x 30"]}}
    over = {**scenario, "expect": [{"at": "0s", "raised": "medium"}, {"at": "17m", "closed": True}]}
    (result,) = run_scenarios(PULSE, [over], "here")
    assert "write no_data: clear" in result.notes[0]
    opened = {**scenario, "expect": [{"at": "0s", "raised": "medium"}]}
    (result,) = run_scenarios(PULSE, [opened], "here")
    assert (result.passed, result.notes) == (True, ())


def test_a_value_of_long_ago_that_ends_it_is_found(camera):
    assert warned(camera, variable="other", equals="on", no_data="ignore") == []
    (found,) = warned(camera, variable="line", equals="on", no_data="ignore")
    assert "line has only been on in its last 1,440 values" in found
    (found,) = warned(camera, variable="other", equals="of", no_data="ignore")
    assert found.endswith("so no alarm has come; did you mean off?")


def test_what_is_not_possible_is_said_without_readings_too(camera):
    hot = {"variable": "temp", "equals": None, "above": 100, "assets": ["camera-*"]}
    one, two = warned(camera, **hot)
    assert one.startswith("camera-1: no possible value of temp (high 100: a value beyond counts")
    assert two.startswith("camera-2: no possible value of temp")


CALENDAR = [{"from": "00:00", "to": "00:00"}]
NIGHT = [{"from": "22:00", "to": "06:00"}]
ALWAYS = "so nothing is ever sent; write the times in which alarms are not wanted"
SUPPRESSIONS = [
    ({"windows": CALENDAR}, f"suppression.windows leave no time of the week, {ALWAYS}"),
    ({"windows": [*NIGHT, {"from": "06:00", "to": "22:00"}]}, "suppression.windows leave no time"),
    ({"windows": NIGHT}, ""),
    (
        {"when": {"variable": "line", "equals": "on"}},
        f"suppression.when.0: line has never been otherwise, {ALWAYS}",
    ),
    ({"when": {"variable": "other", "equals": "on"}}, ""),
    ({"when": {"event": "stop"}}, f"suppression.when.0: no event stop has ever ended, {ALWAYS}"),
    ({"when": {"event": "pause"}}, ""),
]


@pytest.mark.parametrize(("suppression", "sentence"), SUPPRESSIONS)
def test_a_suppression_that_is_always_true_is_said(camera, suppression, sentence):
    found = warned(camera, no_data="clear", suppression=suppression)
    assert len(found) == bool(sentence), found
    assert not sentence or found[0].startswith(sentence)
