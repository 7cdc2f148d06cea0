"""Events of Airflow's assets follow what is stored in a real database: at least once, together, and
only for assets that a DAG of somebody else listens to."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from threading import Event, Thread

import httpx
import pymongo
import pytest
from airflow.sdk import Asset

from alerting.airflow_provider import asset_events
from alerting.airflow_provider.asset_events import MOST_NAMED, AssetEvents
from alerting.local.airflow_client import AirflowClient
from alerting.ports import Delivered
from alerting.stores.database.documents import DECISIONS, EPISODES, REPORTS
from alerting.stores.database.transactions_and_leases import LEASES
from alerting.stores.deliveries_and_changes import SourceDeliveries
from tests.builders import at

HANG_S = 60.0
ALARM = "alerting://a.b-1/alarm"
CHAMPION = "alerting://a.b-1/champion"
REPORT = "alerting://a.b-1/report"
ROWS = "source__lab"


class Airflow:
    """The parts of Airflow's API that events need. `listening`: DAGs by the asset's URI."""

    def __init__(self):
        self.listening = {}
        self.events = []
        self.is_away = False
        self.refused = ""

    def answer(self, request):
        if self.is_away:
            return httpx.Response(503)
        if request.method == "POST":
            sent = httpx.Response(200, content=request.content).json()
            if list(self.listening)[sent["asset_id"]] == self.refused:
                return httpx.Response(500)
            self.events.append((list(self.listening)[sent["asset_id"]], sent["extra"]))
            return httpx.Response(200, json={})
        assert request.url.path == "/api/v2/assets"
        prefix = request.url.params["uri_prefix_pattern"]
        found = [
            {"id": id, "uri": uri, "scheduled_dags": [{"dag_id": dag} for dag in dags]}
            for id, (uri, dags) in enumerate(self.listening.items())
            if uri.startswith(prefix)
        ]
        start = int(request.url.params["offset"])
        return httpx.Response(200, json={"assets": found[start:][: asset_events._PAGE]})

    def events_of(self, uri):
        return [extra for name, extra in self.events if name == uri]

    def alarms(self):
        return [alarm["episode"] for extra in self.events_of(ALARM) for alarm in extra["alarms"]]


@pytest.fixture
def airflow():
    return Airflow()


@pytest.fixture
def database(real_server):
    with pymongo.MongoClient(real_server, tz_aware=True) as client:
        client.drop_database("asset_events")
        yield client["asset_events"]


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(asset_events, "_GATHER_S", 0.05)
    monkeypatch.setattr(asset_events, "_LOOK_S", 0.1)


@contextmanager
def following(database, airflow, holder="one") -> Iterator[AssetEvents]:
    """Follow the database in a thread, as the DAG processor does."""
    client = AirflowClient("http://airflow", "p", patience_s=0.01)
    client._http = httpx.Client(
        base_url="http://airflow", transport=httpx.MockTransport(airflow.answer)
    )
    follower = AssetEvents(database, client, holder)
    ended = Event()
    thread = Thread(target=follower.follow, args=(ended.is_set,), daemon=True)
    thread.start()
    try:
        yield follower
    finally:
        ended.set()
        thread.join(HANG_S)
        database[LEASES].update_one({"holder": holder}, {"$unset": {"at": ""}})  # as after 15 s
    assert not thread.is_alive()


def until(happened, what):
    deadline = time.monotonic() + HANG_S
    while not happened():
        assert time.monotonic() < deadline, f"waited {HANG_S} s for {what}"
        time.sleep(0.02)


def until_open(database):
    until(lambda: (database[LEASES].find_one() or {}).get("position") is not None, "an open stream")


def raise_alarms(database, *ids, **fields):
    alarm = {"definition": "a.b-1", "asset": "oven-1", "severity": "high", "revision": 2}
    alarm |= {"raised_at": at(5), "model_version": 3, "backfilled": False, "inputs": {"x": 1}}
    with database.client.start_session() as session, session.start_transaction():
        for id in ids:
            database[EPISODES].insert_one({"_id": id} | alarm | fields, session=session)


def test_airflow_takes_the_names_as_they_are():
    assert [Asset(uri).uri for uri in (ALARM, CHAMPION, ROWS)] == [ALARM, CHAMPION, ROWS]
    assert Asset("alerting://A_b/report").uri == "alerting://A_b/report"


def test_alarms_champions_and_reports_are_events_with_ids_and_what_is_past_is_none(
    database, airflow
):
    airflow.listening = {ALARM: ["order"], CHAMPION: ["copy"], REPORT: ["print"]}
    raise_alarms(database, "before")
    with following(database, airflow):
        until_open(database)
        raise_alarms(database, "e1", "e2")
        raise_alarms(database, "past", backfilled=True)
        raise_alarms(database, "other", definition="a.b-2")
        decision = {"definition": "a.b-1", "challenger_version": 4, "revision": 2}
        database[DECISIONS].insert_many(
            [decision | {"promoted": promoted} for promoted in (True, False)]
        )
        week = {"definition": "a.b-1", "start": at(0), "end": at(60), "period": "2026-W02"}
        report = week | {"_id": "a.b-1:2026-W02", "empty": False}
        database[REPORTS].insert_many([report, week | {"_id": "nothing", "empty": True}])
        until(lambda: airflow.events_of(REPORT), "the report")
    extras = airflow.events_of(ALARM)
    assert sum(extra["count"] for extra in extras) == 2
    assert extras[0]["alarms"][0] == {
        "episode": "e1",
        "asset": "oven-1",
        "severity": "high",
        "revision": 2,
        "raised_at": at(5).isoformat(),
        "model_version": 3,
    }
    assert airflow.alarms() == ["e1", "e2"]
    assert airflow.events_of(CHAMPION) == [
        {"champions": [{"model_version": 4, "revision": 2}], "count": 1}
    ]
    assert [one["report"] for one in airflow.events_of(REPORT)[0]["reports"]] == ["a.b-1:2026-W02"]


def test_a_flood_is_one_event_that_names_some(database, airflow):
    airflow.listening = {ALARM: ["order"]}
    with following(database, airflow):
        until_open(database)
        raise_alarms(database, *(f"e{n}" for n in range(MOST_NAMED + 10)))
        until(lambda: sum(extra["count"] for extra in airflow.events_of(ALARM)) == 60, "the flood")
    assert len(airflow.events) < 5


def test_nothing_is_lost_while_airflow_is_away_or_after_the_process_was_killed(database, airflow):
    airflow.listening = {ALARM: ["order"]}
    with following(database, airflow):
        until_open(database)
        airflow.is_away = True
        raise_alarms(database, "e1")
        time.sleep(0.3)
    raise_alarms(database, "e2")
    airflow.is_away = False
    with following(database, airflow, "two"):
        until(lambda: "e2" in airflow.alarms(), "the second alarm")
    assert airflow.alarms() == ["e1", "e2"]


def test_an_event_that_airflow_refuses_waits_and_the_others_are_not_added_again(database, airflow):
    airflow.listening = {ALARM: ["order"], REPORT: ["print"]}
    with following(database, airflow) as follower:
        until_open(database)
        airflow.refused = ALARM
        raise_alarms(database, "e1")
        report = {"_id": "r1", "definition": "a.b-1", "start": at(0), "end": at(60)}
        database[REPORTS].insert_one(report | {"period": "2026-W02", "empty": False})
        until(lambda: airflow.events_of(REPORT), "the report")
        time.sleep(0.5)
        raise_alarms(database, *(f"f{n}" for n in range(MOST_NAMED)))
        until(lambda: follower.counts[ALARM] == 1 + MOST_NAMED, "the flood")
        airflow.refused = ""
        until(airflow.alarms, "the alarms")
    assert len(airflow.events_of(REPORT)) == 1
    (extra,) = airflow.events_of(ALARM)
    assert (extra["count"], len(extra["alarms"])) == (1 + MOST_NAMED, MOST_NAMED)
    assert extra["alarms"][0]["episode"] == "e1"


def test_one_process_of_several_emits(database, airflow):
    airflow.listening = {ALARM: ["order"]}
    with following(database, airflow):
        until_open(database)
        with following(database, airflow, "two"):
            raise_alarms(database, "e1")
            until(airflow.alarms, "the alarm")
            time.sleep(0.5)
    assert airflow.alarms() == ["e1"]


def test_a_dag_that_begins_to_listen_gets_what_comes_from_then_on(database, airflow):
    airflow.listening = {ALARM: ["order"]}
    with following(database, airflow):
        until_open(database)
        airflow.listening = {}
        until(lambda: database[LEASES].find_one()["position"] is None, "nobody to listen")
        raise_alarms(database, "unheard")
        airflow.listening = {ALARM: ["order"]}
        until_open(database)
        raise_alarms(database, "heard")
        until(airflow.alarms, "the alarm")
    assert airflow.alarms() == ["heard"]


def test_rows_of_the_service_or_the_api_are_an_event_at_most_once_a_minute(
    database, airflow, monkeypatch
):
    airflow.listening = {ROWS: ["own", "evaluate__arrived"], "source__b": ["evaluate__arrived"]}
    airflow.listening["source__files"] = ["own"]
    deliveries = SourceDeliveries(database)
    with following(database, airflow) as follower:
        until_open(database)
        deliveries.note_polled("files", "scheduler", at(0))
        for minute in range(5):
            for name in ("lab", "b", "files"):
                deliveries.record(name, Delivered(at(minute), 2, 0, newest=at(minute)))
        deliveries.record("lab", Delivered(at(9), 0, 1, why="no time"))
        until(lambda: airflow.events_of(ROWS), "the event of the rows")
        deliveries.record("lab", Delivered(at(10), 1, 0, newest=at(10)))
        time.sleep(0.5)
        assert airflow.events == [(ROWS, {})]
        follower.emitted_at[ROWS] -= timedelta(minutes=1).total_seconds()
        until(lambda: len(airflow.events) == 2, "the event of what came later")
    assert [name for name, _ in airflow.events] == [ROWS, ROWS]
