"""Assets, variables, series, events and episodes over the REST API."""

import pytest

from alerting.definitions.assets import EventType, Variable
from alerting.ports import EventRow, ReadingRow
from alerting.usecases.ingestion.arrivals import add_events, add_readings
from alerting.usecases.trends import samples, series
from tests.builders import at, oven
from tests.helpers.console.api import VIEWER, episode, expect_problem

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
    assert found["source"] == "readings"
    assert (found["title"], found["unit"], found["count"]) == ("Zone 2", "°C", 3)
    assert found["t"] == [unix(10), unix(11), unix(12)]
    assert found["low"] == found["high"] == found["mean"] == [203.0, 204.0, 205.0]
    assert (found["gaps"], found["bad"]) == ([], [])


def test_many_readings_become_few_points_and_every_extreme_stays(client, line, monkeypatch):
    monkeypatch.setattr(series, "AS_THEY_ARE", 100)
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
    add(line, [(at(later + m), {"temperature": 210.0}) for m in range(60)])
    add(line, [(at(later + 30.5), {}, {"temperature": "bad"})])
    add(line, [(at(later + 40), {"temperature": 900.0})])
    found = one(client, start=DAY - 10, end=later + 120)
    assert found["gaps"] == [[unix(DAY - 1), unix(later)]]
    assert found["bad"] == [
        [unix(later + 30.5), unix(later + 31)],
        [unix(later + 40), unix(later + 41)],
    ]
    at_stamp = dict(zip(found["t"], found["mean"], strict=True))
    assert at_stamp[unix(later + 30.5)] is None
    assert at_stamp[unix(later + 40)] is None
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
    monkeypatch.setattr(series, "MOST_READINGS", 60)
    monkeypatch.setattr(samples, "_FIRST", 10 * 60_000)
    answer = ask(client, "temperature", end=DAY).json()
    ((first, last),) = answer["unread"]
    assert first == unix(0)
    shown = [t for t in answer["series"][0]["t"] if t >= last]
    assert unix(DAY - 100) < shown[0] < unix(DAY - 9)
    assert answer["series"][0]["gaps"] == []


@pytest.mark.parametrize(
    ("query", "status", "sentence"),
    [
        ({"asset": "oven-9"}, 404, "there is no asset 'oven-9'"),
        ({"variable": ["temprature"]}, 404, "did you mean temperature?"),
        ({"variable": ["recipe"]}, 422, "is a category"),
        ({"end": 0}, 422, "must lie after start"),
        ({"end": 4000 * DAY}, 422, "ask for a shorter span"),
        ({"points": 4001}, 422, "points"),
        ({"variable": ["temperature"] * 13}, 422, "variable"),
    ],
)
def test_a_wrong_question_is_refused_with_its_fault(client, line, query, status, sentence):
    line.assets.store_assets([oven(recipe=Variable(type="category"))])
    answer = ask(client, *query.pop("variable", ["temperature"]), **query)
    assert sentence in expect_problem(answer, status)


def test_assets_are_listed_with_their_newest_reading(client, line):
    (found,) = client.get(f"{URL}/assets", headers=VIEWER).json()
    assert (found["name"], found["variables"]) == ("oven-1", len(oven().variables))
    assert found["last_reading"] == at(DAY - 1).isoformat().replace("+00:00", "Z")


def variables(client, **query):
    answer = client.get(f"{URL}/assets/oven-1/variables", params=query, headers=VIEWER)
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_a_variable_shows_its_last_value_its_coverage_and_what_uses_it(client, line):
    line.assets.store_assets([oven(on=Variable(type="boolean"), recipe=Variable(type="category"))])
    add(line, [(at(DAY - 1), {"on": True, "recipe": "rye"})])
    line.clock.instant = at(DAY + 359)
    page = variables(client)
    by_name = {item["name"]: item for item in page["items"]}
    hot = by_name["temperature"]
    assert hot["last_value"] == 200.0 + (DAY - 1) % 7
    assert hot["last_at"].startswith("2026-01-05T23:59")
    assert hot["coverage"] == pytest.approx(0.75, abs=0.01)
    assert (hot["good"], hot["bad"]) == (DAY - 360, 0)
    assert hot["definitions"] == ["too-hot", "too-moist"]
    assert by_name["moisture"]["definitions"] == ["too-moist"]
    assert by_name["on"]["last_value"] is True
    assert by_name["recipe"]["last_value"] == "rye"


def test_events_of_the_asset_and_of_its_line_and_episodes_are_bands(client, line):
    parent = oven().model_copy(update={"name": "line-1", "variables": {}})
    below = oven().model_copy(update={"parent": "line-1"})
    line.assets.store_assets([parent, below])
    line.assets.put_event_types([EventType(name="stop", duration="lasting")])
    line.assets.put_event_types([EventType(name="fault", title="Störung", duration="instant")])
    rows = [("line-1", "stop", 0, 20), ("oven-1", "fault", 25, 25), ("oven-1", "stop", 50, None)]
    rows += [("oven-1", "stop", -30, -20)]
    add_events(
        line,
        [EventRow(a, t, at(s), None if e is None else at(e), "test") for a, t, s, e in rows],
        at(DAY),
    )
    for made in (episode(8), episode(12), episode(70)):
        line.episodes.insert(made)
    query = {"asset": "oven-1", "start": at(15), "end": at(60)}
    found = client.get(f"{URL}/events", params=query, headers=VIEWER).json()
    shown = [(e["asset"], e["type"], e["title"], e["end"] is None) for e in found["events"]]
    assert shown == [
        ("line-1", "stop", "stop", False),
        ("oven-1", "fault", "Störung", False),
        ("oven-1", "stop", "stop", True),
    ]
    assert [band["title"] for band in found["episodes"]] == ["Oven too hot"]
    assert found["episodes"][0]["raised_at"].startswith("2026-01-05T00:12")
    assert not found["cut"]
