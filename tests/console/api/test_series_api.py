"""Assets, variables, series, events and episodes over the REST API."""

import pytest

from alerting.definitions.asset_documents import EventType, Variable
from alerting.ports import EventRow, ReadingRow
from alerting.usecases import trend_samples, trend_series
from alerting.usecases.ingestion.arrived_rows import add_events, add_readings
from tests.builders import at, oven
from tests.helpers.console.api import VIEWER, episode, expect_problem, read

URL = "/api/v1"
DAY = 1440


def add(platform, rows):
    add_readings(platform, [ReadingRow("oven-1", ts, *parts) for ts, *parts in rows], at(0))


def unix(minute):
    return at(minute).timestamp()


def ask(client, *variables, start=0, end=60, **query):
    given = {"asset": "oven-1", "variable": variables, "start": at(start), "end": at(end)}
    return client.get(f"{URL}/series", params=given | query, headers=VIEWER)


def one(client, variable="temperature", **query):
    answer = ask(client, variable, **query)
    assert answer.status_code == 200, answer.text
    return answer.json()["series"][0]


@pytest.fixture
def line(platform):
    """An oven with a sample every minute of a day, of which it is now the end."""
    platform.assets.store_assets(
        [oven(temperature=Variable(title="Zone 2", unit="°C", low=0, high=300))]
    )
    platform.clock.instant = at(DAY)
    add(platform, [(at(m), {"temperature": 200.0 + m % 7, "moisture": 4.0}) for m in range(DAY)])
    return platform


def test_few_readings_are_given_as_they_are(client, line):
    found = one(client, start=10, end=13)
    values = [203.0, 204.0, 205.0]
    expected = {
        "source": "readings",
        "title": "Zone 2",
        "unit": "°C",
        "count": 3,
        "t": [unix(10), unix(11), unix(12)],
        **dict.fromkeys(("low", "high", "mean"), values),
        "gaps": [],
        "bad": [],
    }
    assert found | expected == found


def test_many_readings_become_few_points_and_every_extreme_stays(client, line, monkeypatch):
    monkeypatch.setattr(trend_series, "AS_THEY_ARE", 100)
    add(line, [(at(700.5), {"temperature": 290.0}), (at(900.5), {"temperature": 110.0})])
    found = one(client, end=DAY, points=50)
    assert 45 <= len(found["t"]) <= 52
    assert (max(found["high"]), min(found["low"])) == (290.0, 110.0)
    assert found["count"] == DAY + 2
    middle = found["high"].index(290.0)
    assert found["low"][middle] < found["mean"][middle] < 290.0
    assert found["t"][middle] <= unix(700.5) < found["t"][middle + 1]


def test_missing_and_bad_data_are_never_numbers(client, line):
    later = DAY + 100
    line.clock.instant = at(later + 60)
    good = [(at(later + m), {"temperature": 210.0}) for m in range(60)]
    bad = (at(later + 30.5), {}, {"temperature": "bad"})
    add(line, [*good, bad, (at(later + 40), {"temperature": 900.0})])
    found = one(client, start=DAY - 10, end=later + 120)
    assert found["gaps"] == [[unix(DAY - 1), unix(later)]]
    spans = [(later + 30.5, later + 31), (later + 40, later + 41)]
    assert found["bad"] == [[unix(start), unix(end)] for start, end in spans]
    at_stamp = dict(zip(found["t"], found["mean"], strict=True))
    assert [at_stamp[unix(start)] for start, _ in spans] == [None, None]
    assert {m for t, m in at_stamp.items() if unix(DAY - 1) < t < unix(later)} == {None}


def test_a_span_without_readings_is_one_gap_as_far_as_now(client, line):
    found = one(client, start=DAY - 1, end=DAY + 60)
    assert found["gaps"] == []
    found = one(client, start=-60, end=-30)
    assert (found["t"][1:], found["gaps"]) == ([], [[unix(-60), unix(-30)]])
    assert found["mean"] == [None]


def test_a_computed_variable_has_a_series(client, line):
    computed = {"kind": "ratio", "of": "temperature", "by": "moisture"}
    asset = oven(temperature=Variable(), dryness=Variable.model_validate({"computed": computed}))
    line.assets.store_assets([asset])
    assert one(client, "dryness", end=2)["mean"] == [50.0, 50.25]


def test_readings_are_read_only_as_far_back_as_is_bounded_and_that_is_said(
    client, line, monkeypatch
):
    monkeypatch.setattr(trend_series, "MOST_READINGS", 60)
    monkeypatch.setattr(trend_samples, "_FIRST", 10 * 60_000)
    answer = ask(client, "temperature", end=DAY).json()
    ((first, last),) = answer["unread"]
    assert first == unix(0)
    shown = [t for t in answer["series"][0]["t"] if t >= last]
    assert unix(DAY - 100) < shown[0] < unix(DAY - 9)
    assert answer["series"][0]["gaps"] == []


def test_a_wrong_question_is_refused_with_its_fault(client, line):
    line.assets.store_assets([oven(recipe=Variable(type="category"))])
    refused = [
        ({"asset": "oven-9"}, 404, "there is no asset 'oven-9'"),
        ({"variable": ["temprature"]}, 404, "did you mean temperature?"),
        ({"variable": ["recipe"]}, 422, "is a category"),
        ({"end": at(0)}, 422, "must lie after start"),
        ({"end": at(4000 * DAY)}, 422, "ask for a shorter span"),
        ({"points": 4001}, 422, "points"),
        ({"variable": ["temperature"] * 13}, 422, "variable"),
    ]
    usual = {"asset": "oven-1", "variable": "temperature", "start": at(0), "end": at(60)}
    for query, status, sentence in refused:
        answer = client.get(f"{URL}/series", params=usual | query, headers=VIEWER)
        assert sentence in expect_problem(answer, status)


def test_assets_are_listed_with_their_newest_reading(client, line):
    (found,) = read(client, "assets")
    shown = (found["name"], found["variables"], found["last_reading"])
    assert shown == ("oven-1", len(oven().variables), "2026-01-05T23:59:00Z")


def test_a_variable_shows_its_last_value_its_coverage_and_what_uses_it(client, line):
    line.assets.store_assets([oven(on=Variable(type="boolean"), recipe=Variable(type="category"))])
    add(line, [(at(DAY - 1), {"on": True, "recipe": "rye"})])
    line.clock.instant = at(DAY + 359)
    by_name = {item["name"]: item for item in read(client, "assets/oven-1/variables")["items"]}
    expected = {
        "last_value": 200.0 + (DAY - 1) % 7,
        "last_at": "2026-01-05T23:59:00Z",
        "good": DAY - 360,
        "bad": 0,
        "definitions": ["too-hot", "too-moist"],
    }
    hot = by_name["temperature"]
    assert hot | expected == hot
    assert hot["coverage"] == pytest.approx(0.75, abs=0.01)
    assert by_name["moisture"]["definitions"] == ["too-moist"]
    assert [by_name[name]["last_value"] for name in ("on", "recipe")] == [True, "rye"]


def test_events_of_the_asset_and_of_its_line_and_episodes_are_bands(client, line):
    parent = oven().model_copy(update={"name": "line-1", "variables": {}})
    below = oven().model_copy(update={"parent": "line-1"})
    line.assets.store_assets([parent, below])
    stop = EventType(name="stop", duration="lasting")
    fault = EventType(name="fault", title="Störung", duration="instant")
    line.assets.put_event_types([stop, fault])
    rows = [
        EventRow("line-1", "stop", at(0), at(20), "test"),
        EventRow("oven-1", "fault", at(25), at(25), "test"),
        EventRow("oven-1", "stop", at(50), None, "test"),
        EventRow("oven-1", "stop", at(-30), at(-20), "test"),
    ]
    add_events(line, rows, at(DAY))
    for made in (episode(8), episode(12), episode(70)):
        line.episodes.insert(made)
    found = read(client, "events", asset="oven-1", start=at(15), end=at(60))
    assert [(e["asset"], e["type"], e["title"], e["end"] is None) for e in found["events"]] == [
        ("line-1", "stop", "stop", False),
        ("oven-1", "fault", "Störung", False),
        ("oven-1", "stop", "stop", True),
    ]
    bands = [(band["title"], band["raised_at"]) for band in found["episodes"]]
    assert (bands, found["cut"]) == ([("Oven too hot", "2026-01-05T00:12:00Z")], False)
