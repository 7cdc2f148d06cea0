"""An alarm of what was taken away: a person ends it with a reason, and nothing old raises it
again; the next reading does."""

import pytest

from alerting.definitions.asset_documents import EventType, Variable
from alerting.definitions.faults import UserError
from alerting.ports import EventRow, ReadingRow
from alerting.usecases.definitions.revisions_and_evaluation_plan import apply
from alerting.usecases.ingestion.arrived_rows import add_events, add_readings
from alerting.usecases.operators import operate
from alerting.usecases.operators.operate import Actor
from tests.builders import at, oven, too_hot
from tests.helpers.late_line import Line, told

EVE = Actor("eve", "operator")
WHY = "the sensor is removed"
MOIST = {"variable": "moisture", "above": 4.5}
# how the condition is written, and what is taken away; the alarm is open since minute 1
STANDING = {
    "a sensor removed, silence is an alarm": ({"stale_after": "1m", "no_data": "alert"}, None),
    "a sensor removed, its last value counts": ({"stale_after": "5m", "no_data": "ignore"}, None),
    "a sensor removed, silence is unknown": ({"stale_after": "5m"}, None),
    "a sensor removed, its limit is for a problem": (
        {"stale_after": "5m", "problem": {"variable": "moisture", "above": 4}, "horizon": "1h"},
        None,
    ),
    "one of several sensors removed": (
        {
            "variable": None, "above": None,
            "any": [{"variable": "temperature", "above": 215, "no_data": "ignore"}, MOIST],
        },
        None,
    ),
    "a variable removed from the asset": (
        {"stale_after": "1m", "no_data": "alert"},
        lambda asset: asset.model_copy(
            update={"variables": {"moisture": asset.variables["moisture"]}}
        ),
    ),
    "a variable that has become a category": (
        {"stale_after": "1m", "no_data": "alert"},
        lambda asset: asset.model_copy(
            update={"variables": asset.variables | {"temperature": Variable(type="category")}}
        ),
    ),
    "a limit that its asset states no longer": (
        {"above": {"attribute": "max"}, "stale_after": "9h", "no_data": "alert"},
        lambda asset: asset.model_copy(update={"attributes": {}}),
    ),
}  # fmt: skip


def standing(fields, stores=None):
    line = Line(stores=stores)
    line.platform.assets.store_assets([oven().model_copy(update={"attributes": {"max": 215.0}})])
    document = {k: v for k, v in too_hot(**fields).items() if v is not None}
    apply(line.platform, [document], "engineer", at(0.5), "test")
    line.feed({1: 230}, 1)
    line.run(2)
    assert [e.condition for e in line.episodes()] == ["open"]
    return line


def end(line, minute):
    (episode,) = [e for e in line.episodes() if e.condition == "open"]
    operate.close(line.platform, episode.id, EVE, at(minute), WHY)


@pytest.mark.parametrize("name", STANDING)
def test_a_person_ends_what_readings_no_longer_end(name):
    fields, change = STANDING[name]
    line = standing(fields)
    with pytest.raises(UserError, match="once no reading has come for a while"):
        end(line, 2)
    if change is not None:
        line.platform.assets.store_assets([change(line.platform.assets.get("oven-1"))])
    for minute in range(10, 70, 10):
        line.run(minute)
    end(line, 60)
    (episode,) = line.episodes()
    assert (episode.condition, episode.closed_at) == ("closed", at(60))
    assert episode.outcome_record is None or episode.outcome_record.outcome == "undetermined"
    last = episode.transitions[-1]
    assert (last.kind, last.actor, last.reason) == ("closed", "eve", WHY)
    [audited] = [e for e in line.platform.audit.entries if e["what"] == "close"]
    assert (audited["actor"], audited["why"]) == ("eve", WHY)
    for minute in range(61, 300, 7):
        line.run(minute)
    assert len(line.episodes()) == 1
    assert told(line).count("closed") == 1
    line.platform.assets.store_assets([oven().model_copy(update={"attributes": {"max": 215.0}})])
    add_readings(line.platform, [ReadingRow("oven-1", at(300), {"temperature": 240.0})], at(300))
    line.run(301)
    assert [e.condition for e in line.episodes()] == ["closed", "open"]


def test_readings_that_come_late_after_the_end_keep_no_alarm_silent(stores):
    line = standing({"stale_after": "1m", "no_data": "alert"}, stores)
    line.run(60)
    end(line, 60)
    line.run(61)
    line.feed({40: 230}, 62)
    line.run(62)
    line.feed({63: 240}, 63)
    line.run(64)
    assert [e.condition for e in line.episodes()] == ["closed", "open"]


COUNTS = {
    "many events": ({"count_within": "2h", "above": 2}, (1, 2, 3), [201, 202, 203]),
    "no event": ({"count_within": "10m", "below": 1}, (), [201]),
}


@pytest.mark.parametrize("name", COUNTS)
def test_a_number_of_events_that_a_person_ended_is_not_known_until_the_next_event(name):
    fields, events, later = COUNTS[name]
    line = Line()
    line.platform.assets.put_event_types([EventType(name="jam", duration="instant")])
    jams = {"name": "jams", "kind": "threshold", "assets": ["oven-1"], "event": "jam", **fields}
    apply(line.platform, [jams], "engineer", at(0), "counts")

    def happen(minutes):
        rows = [EventRow("oven-1", "jam", at(m), None, "test") for m in minutes]
        add_events(line.platform, rows, at(max(minutes, default=0) + 0.5))

    happen(events)
    line.run(4)
    line.run(16)
    if events:
        with pytest.raises(UserError, match="once no reading has come for a while"):
            end(line, 16.5)  # 15 min after the newest event is later
    for minute in range(20, 60, 10):
        line.run(minute)
    end(line, 50)
    for minute in range(51, 200, 7):
        line.run(minute)
    assert [e.condition for e in line.episodes()] == ["closed"]
    happen(later)
    line.run(204)
    line.run(215)
    assert [e.condition for e in line.episodes()] == ["closed", "open"]


@pytest.mark.parametrize(
    "fields",
    [{"stale_after": "1m", "no_data": "alert"}, {"stale_after": "1m", "no_data": "ignore"}],
)
def test_a_reading_of_before_the_end_that_comes_late_raises_nothing(fields):
    line = standing(fields)
    line.run(60)
    end(line, 60)
    line.run(61)
    line.feed({40: 230}, 62)
    for minute in range(62, 120, 7):
        line.run(minute)
    assert [e.condition for e in line.episodes()] == ["closed"]
    line.feed({121: 240}, 121)
    line.run(122)
    assert [e.condition for e in line.episodes()] == ["closed", "open"]


def test_late_readings_of_before_the_end_keep_what_came_after_it_no_longer_than_a_round_silent():
    line = standing({"stale_after": "1m", "no_data": "ignore"})
    line.run(60)
    end(line, 60)
    line.feed({63: 240}, 63)
    line.run(64)
    line.feed({40: 230}, 65)
    line.run(66)
    line.run(67)
    assert [e.condition for e in line.episodes() if not e.withdrawn] == ["closed", "open"]
    line.feed({70: 200}, 70)
    line.run(71)
    line.run(90)
    assert {e.condition for e in line.episodes()} == {"closed"}
