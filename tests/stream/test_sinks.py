"""Delivery of sinks from a real database to real receivers: order, outage, the same keys."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from alerting.ports import Platform, ReadingRow, Score, TargetScores
from alerting.stream import threads as stream_sinks
from alerting.stream.threads import SinkService
from alerting.usecases.definitions.revisions_and_evaluation_plan import apply as apply_definitions
from alerting.usecases.ingestion.arrived_rows import add_readings
from alerting.usecases.sink_delivery import SINKS
from tests.builders import at, oven, too_hot
from tests.helpers.episodes import episode
from tests.helpers.proxy import Proxy
from tests.helpers.receivers import RECEIVERS, looking, surroundings, wait_until
from tests.helpers.stores import real  # noqa: F401 - a fixture
from tests.in_memory_platform import HandClock, platform_on

ALL = ["alarms", "acknowledgements", "scores", "forecasts", "readings"]


@pytest.fixture(autouse=True)
def _fast(monkeypatch):
    for name in ("NOTE_S", "FIRST_WAIT_S", "LONGEST_WAIT_S"):
        monkeypatch.setattr(stream_sinks, name, 0.05)


@pytest.fixture
def plant(real) -> Platform:  # noqa: F811 - a fixture
    made = platform_on(real, (), HandClock())
    made.assets.store_assets([oven()])
    return made


@pytest.fixture(scope="module", params=list(RECEIVERS))
def server(request, tmp_path_factory):
    """Return a receiver that all tests share."""
    with RECEIVERS[request.param](tmp_path_factory.mktemp(request.param)) as made:
        yield made
        made.close()


@pytest.fixture
def receiver(server):
    yield server
    server.reset()


@pytest.fixture
def web(tmp_path):
    """Return a receiver of the cheapest kind."""
    with RECEIVERS["webhook"](tmp_path) as made:
        yield made
        made.close()


@contextmanager
def service(plant, url) -> Iterator[SinkService]:
    made = SinkService(plant, surroundings(url))
    with looking(made.update_sinks):
        yield made
    made.close()


def document(receiver, **more):
    url = {"env": "RECEIVER_URL"}
    return {"name": "mes", "kind": receiver.kind, "url": url, "sends": ALL, **more}


def raised(minute, **more):
    return episode(minute, **more).with_transition("raised", at(minute), "too hot")


def store(plant, one):
    """Store an episode or its next version."""
    with plant.unit_of_work.begin() as unit:
        plant.episodes.write([one], unit)
    return one


def close(plant, one, minute):
    done = replace(one, condition="closed", closed_at=at(minute), version=one.version + 1)
    return store(plant, done.with_transition("closed", at(minute), "cool again"))


def apply(plant, receiver, **more):
    SINKS.apply(plant, [document(receiver, **more)], "ada", at(0))
    return wait_until(lambda: progress(plant).position)


def progress(plant):
    return plant.sink_deliveries.progress("mes")


def scores(minutes):
    return [Score(at(minute), 0.5, 0.7, 3) for minute in minutes]


def test_a_receiver_that_was_away_gets_everything_afterwards_in_order_and_once(plant, receiver):
    proxy = Proxy(receiver.port)
    proxy.join()
    with service(plant, receiver.address(proxy.port)):
        apply(plant, receiver)
        one = store(plant, raised(1))
        wait_until(receiver.contents)
        proxy.cut()
        close(plant, one, 2)
        plant.scores.add_many([TargetScores("moist", "oven-1", scores(range(30)))])
        fault = wait_until(lambda: progress(plant).fault)
        assert len(set(receiver.keys())) == 1, fault
        proxy.join()
        wait_until(lambda: len(set(receiver.keys())) == 32)
        wait_until(lambda: progress(plant).fault is None)
        wait_until(lambda: progress(plant).sent == 32)
    alarms = [c for c in receiver.contents() if c["sends"] == "alarms"]
    told = dict.fromkeys((c["key"], c["transition"], c["state"]) for c in alarms)
    assert [*told] == [
        (f"mes:{one.id}:1", "raised", "happening"),
        (f"mes:{one.id}:2", "closed", "over"),
    ]
    first = [key for key in dict.fromkeys(receiver.keys()) if key.startswith("mes:moist:")]
    assert (len(first), first) == (30, sorted(first))


def test_a_new_sink_gets_what_is_happening_but_nothing_that_ended_or_was_scored_before(plant, web):
    yesterday = (datetime.now(UTC) - at(0)) // timedelta(minutes=1) - 18 * 60
    happening = store(plant, raised(yesterday, asset="oven-2"))
    close(plant, store(plant, raised(yesterday)), yesterday + 5)
    plant.scores.add_many([TargetScores("moist", "oven-1", scores([yesterday]))])
    with service(plant, web.address(web.port)):
        apply(plant, web)
        new = store(plant, raised(yesterday + 10, asset="oven-3"))
        wait_until(lambda: f"mes:{new.id}:1" in set(web.keys()))
    assert set(web.keys()) == {f"mes:{happening.id}:1", f"mes:{new.id}:1"}


def changes_before_the_first_success(plant, minute):
    """Store an alarm that ends, one that goes on, and scores. Return the last parts of their
    keys."""
    ended = store(plant, raised(minute))
    close(plant, ended, minute + 1)
    goes_on = store(plant, raised(minute + 2, asset=f"oven-2{minute}"))
    found = scores(range(minute, minute + 3))
    plant.scores.add_many([TargetScores("moist", "oven-1", found)])
    stamps = [f"{one.ts:%Y-%m-%dT%H:%M:%S}.000Z" for one in found]
    return {
        f"mes:{ended.id}:1",
        f"mes:{ended.id}:2",
        f"mes:{goes_on.id}:1",
        *(f"mes:moist:oven-1:{stamp}" for stamp in stamps),
    }


@pytest.mark.parametrize("by", ["command", "database", "database, paused"])
def test_a_sink_begins_when_it_is_applied_or_first_read_and_loses_nothing(plant, web, by):
    if by == "command":
        SINKS.apply(plant, [document(web)], "ada", at(0))
    else:
        written = {**document(web), "state": "paused" if "paused" in by else "active"}
        plant.episodes.episodes.database["sinks"].insert_one(written)
    expected = changes_before_the_first_success(plant, 1) if by == "command" else set()
    for _ in range(2):  # the first process ends before its receiver answers
        with service(plant, "http://127.0.0.1:9"):
            wait_until(
                lambda: progress(plant).fault if by == "command" else progress(plant).position
            )
    expected |= changes_before_the_first_success(plant, 20)
    SINKS.apply(plant, [document(web)], "ada", at(9))
    with service(plant, web.address(web.port)):
        wait_until(lambda: expected <= set(web.keys()))


def test_a_process_that_died_before_it_noted_sends_the_same_keys_again(plant, receiver):
    with service(plant, receiver.address(receiver.port)):
        apply(plant, receiver)
        before = progress(plant)
        store(plant, raised(1))
        wait_until(lambda: progress(plant).sent)
    # as if it had died after the receiver got the message
    database = plant.episodes.episodes.database
    database["sink_progress"].update_one({"_id": "mes"}, {"$set": {"position": before.position}})
    database["sink_alarms"].delete_many({})
    with service(plant, receiver.address(receiver.port)):
        wait_until(lambda: progress(plant).sent == 2)
    assert receiver.keys() == [receiver.keys()[0]] * (1 if receiver.drops else 2)


def test_a_refused_message_is_a_dead_letter_and_others_go_on(plant, receiver):
    with service(plant, receiver.address(receiver.port)):
        apply(plant, receiver)
        receiver.refuse()
        store(plant, raised(1, asset="oven-1", title="poison" * 1000))
        store(plant, raised(2, asset="oven-2"))
        wait_until(lambda: progress(plant).sent == 1)
        (letter,) = plant.sink_deliveries.letters("mes", 9)
        assert letter.message.content["title"].startswith("poison")
        assert letter.reason
        if receiver.kind == "mqtt":
            return  # its largest packet stays
        receiver.accept()
        assert plant.sink_deliveries.retry_letters("mes") == 1
        wait_until(lambda: plant.sink_deliveries.count_letters("mes") == 0)
    assert letter.id in {content["key"] for content in receiver.contents()}


def test_a_sink_whose_position_is_lost_is_caught_up_from_what_is_stored(plant, web):
    with service(plant, web.address(web.port)):
        apply(plant, web)
        one = store(plant, raised(1))
        wait_until(lambda: progress(plant).sent == 1)
    missed = store(plant, raised(2, asset="oven-3"))
    plant.scores.add_many([TargetScores("moist", "oven-1", scores(range(5)))])
    plant.clock.instant += timedelta(minutes=5)  # as long as the sink was away
    # a young server keeps its whole oplog: no position of it is lost, so this one is none
    lost = {"$set": {"position": "8200000001"}}
    plant.episodes.episodes.database["sink_progress"].update_one({"_id": "mes"}, lost)
    with service(plant, web.address(web.port)):
        wait_until(lambda: progress(plant).sent >= 7)
        last = store(plant, raised(3, asset="oven-2"))
        wait_until(lambda: f"mes:{last.id}:1" in set(web.keys()))
    keys = web.keys()
    assert len(keys) == len(set(keys)) == 8
    for sent in (one, missed):  # neither is sent twice
        assert [key for key in keys if sent.id in key] == [f"mes:{sent.id}:1"]


def test_readings_go_out_as_they_are_stored_with_their_limits_and_history_does_not(plant, receiver):
    apply_definitions(plant, [too_hot(above=215)], "ada", at(0), "test")
    with service(plant, receiver.address(receiver.port)):
        apply(plant, receiver, sends=["readings"])
        add_readings(plant, [ReadingRow("oven-1", at(0), {"temperature": 1.0})], at(9000))
        add_readings(plant, [ReadingRow("oven-1", at(1), {"temperature": 219.5})], at(1))
        add_readings(plant, [ReadingRow("oven-1", at(1), {"moisture": 4.0})], at(2))
        wait_until(lambda: progress(plant).sent == 2)
    if receiver.kind == "sql":
        found = {c["variable"]: (c["value"], c["high_limit"]) for c in receiver.contents()}
        assert found == {"temperature": (219.5, 215.0), "moisture": (4.0, None)}
        return
    first, second = receiver.contents()
    assert first["limits"] == {"temperature": {"low": None, "high": 215.0}}
    assert second["values"] == {"temperature": 219.5, "moisture": 4.0}
    assert first["key"] != second["key"]


def test_a_reading_that_turns_out_bad_goes_out_without_its_value(plant, web):
    with service(plant, web.address(web.port)):
        apply(plant, web, sends=["readings"])
        add_readings(plant, [ReadingRow("oven-1", at(1), {"temperature": 219.5})], at(1))
        add_readings(plant, [ReadingRow("oven-1", at(1), {}, {"temperature": "bad"})], at(2))
        wait_until(lambda: progress(plant).sent == 2)
    assert [c["values"] for c in web.contents()] == [{"temperature": 219.5}, {"temperature": None}]


def test_of_missed_readings_the_newest_are_read_one_by_one(plant):
    now = datetime.now(UTC)  # the database dates their ids
    for minute in range(4):
        add_readings(plant, [ReadingRow("oven-1", at(minute), {"temperature": 1.0})], at(minute))
    missed = plant.sink_feed.missed(None, ["readings"], values_since=now, most=3)
    assert [one.ts for one in missed] == [at(1), at(2), at(3)]
    assert len([*plant.sink_feed.missed(None, ["readings"], values_since=now, most=9)]) == 4


def test_readings_that_were_missed_are_read_from_what_is_stored(plant, web):
    with service(plant, web.address(web.port)):
        apply(plant, web, sends=["readings"])
    now = plant.clock.now()
    add_readings(plant, [ReadingRow("oven-1", now, {"temperature": 219.5})], now)
    plant.clock.instant += timedelta(minutes=5)
    lost = {"$set": {"position": "8200000001"}}
    plant.episodes.episodes.database["sink_progress"].update_one({"_id": "mes"}, lost)
    with service(plant, web.address(web.port)):
        wait_until(lambda: progress(plant).sent == 1)
    assert [c["values"] for c in web.contents()] == [{"temperature": 219.5}]
