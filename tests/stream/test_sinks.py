"""Delivery of sinks from a real database to real receivers: order, outage, the same keys."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from threading import enumerate as enumerate_threads

import pytest

from alerting.adapters.platform import Platform
from alerting.ports import Score
from alerting.stream import sinks as stream_sinks
from alerting.stream.sinks import SinkService
from alerting.usecases.sinks.documents import apply_sinks, change_sink_state, sink_detail
from tests.builders import at, oven
from tests.helpers.episodes import episode
from tests.helpers.proxy import Proxy
from tests.helpers.receivers import RECEIVERS, surroundings, wait_until
from tests.helpers.stores import real  # noqa: F401 - a fixture
from tests.in_memory_platform import HandClock, platform_on

pytestmark = pytest.mark.server

ALL = ["alarms", "acknowledgements", "scores", "forecasts"]


@pytest.fixture(autouse=True)
def _fast(monkeypatch):
    for name, seconds in (("LOOK_S", 0.05), ("NOTE_S", 0.05), ("FIRST_WAIT_S", 0.05)):
        monkeypatch.setattr(stream_sinks, name, seconds)
    monkeypatch.setattr(stream_sinks, "LONGEST_WAIT_S", 0.2)


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


@contextmanager
def service(plant, url, process="one") -> Iterator[SinkService]:
    made = SinkService(plant, surroundings(url), process, lambda: ["one"])
    made.start()
    try:
        yield made
    finally:
        made.close()


def document(receiver, **more):
    return {
        "name": "mes",
        "kind": receiver.kind,
        "url": {"env": "RECEIVER_URL"},
        "sends": ALL,
        **more,
    }


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
    apply_sinks(plant, [document(receiver, **more)], "ada", at(0))
    return wait_until(lambda: plant.sink_deliveries.progress("mes").position)


def test_an_alarm_and_values_go_out_in_order_and_once(plant, receiver):
    with service(plant, receiver.address(receiver.port)):
        apply(plant, receiver)
        one = store(plant, raised(1))
        plant.scores.add("moist", "oven-1", [Score(at(m), m / 10, 0.7, 3) for m in range(4)])
        close(plant, one, 5)
        wait_until(lambda: len(receiver.contents()) == 6)
        wait_until(lambda: plant.sink_deliveries.progress("mes").sent == 6)
    alarms = [c for c in receiver.contents() if c["sends"] == "alarms"]
    assert [(c["transition"], c["state"]) for c in alarms] == [
        ("raised", "happening"),
        ("closed", "over"),
    ]
    scores = [(c["ts"], c["score"]) for c in receiver.contents() if c["sends"] == "scores"]
    assert scores == sorted(scores)
    assert alarms[0]["key"] == f"mes:{one.id}:1"
    assert len(set(receiver.keys())) == 6


def test_a_new_sink_gets_what_is_happening_but_nothing_that_ended_or_was_scored_before(
    plant, receiver
):
    now = datetime.now(UTC)
    yesterday = (now - at(0)) // timedelta(minutes=1) - 18 * 60
    happening = store(plant, raised(yesterday, asset="oven-2"))
    close(plant, store(plant, raised(yesterday)), yesterday + 5)
    plant.scores.add("moist", "oven-1", [Score(at(yesterday), 0.5, 0.7, 3)])
    with service(plant, receiver.address(receiver.port)):
        apply(plant, receiver)
        new = store(plant, raised(yesterday + 10, asset="oven-3"))
        wait_until(lambda: f"mes:{new.id}:1" in set(receiver.keys()))
    assert set(receiver.keys()) == {f"mes:{happening.id}:1", f"mes:{new.id}:1"}


def test_a_receiver_that_is_away_gets_everything_afterwards_in_order(plant, receiver):
    proxy = Proxy(receiver.port)
    proxy.join()
    with service(plant, receiver.address(proxy.port)):
        apply(plant, receiver)
        one = store(plant, raised(1))
        wait_until(receiver.contents)
        proxy.cut()
        close(plant, one, 2)
        plant.scores.add("moist", "oven-1", [Score(at(m), 0.5, 0.7, 3) for m in range(30)])
        fault = wait_until(lambda: plant.sink_deliveries.progress("mes").fault)
        assert len(set(receiver.keys())) == 1, fault
        proxy.join()
        wait_until(lambda: len(set(receiver.keys())) == 32)
        wait_until(lambda: plant.sink_deliveries.progress("mes").fault is None)
    first = list(dict.fromkeys(receiver.keys()))
    assert [key for key in first if one.id in key] == [f"mes:{one.id}:1", f"mes:{one.id}:2"]
    scores = [key for key in first if key.startswith("mes:moist:")]
    assert (len(scores), scores) == (30, sorted(scores))


def changes_before_the_first_success(plant, minute):
    """Store an alarm that ends, one that goes on, and scores. Return the last parts of their
    keys."""
    ended = store(plant, raised(minute))
    close(plant, ended, minute + 1)
    goes_on = store(plant, raised(minute + 2, asset=f"oven-2{minute}"))
    scores = [Score(at(minute + m), 0.5, 0.7, 3) for m in range(3)]
    plant.scores.add("moist", "oven-1", scores)
    stamps = [f"{one.ts:%Y-%m-%dT%H:%M:%S}.000Z" for one in scores]
    return {
        f"mes:{ended.id}:1",
        f"mes:{ended.id}:2",
        f"mes:{goes_on.id}:1",
        *(f"mes:moist:oven-1:{stamp}" for stamp in stamps),
    }


def test_a_sink_that_is_applied_while_nothing_delivers_loses_nothing(plant, receiver):
    apply_sinks(plant, [document(receiver)], "ada", at(0))
    expected = changes_before_the_first_success(plant, 1)
    for _ in range(2):  # the first process ends before its receiver answers
        with service(plant, "http://127.0.0.1:9"):
            wait_until(lambda: plant.sink_deliveries.progress("mes").fault)
    expected |= changes_before_the_first_success(plant, 20)
    with service(plant, receiver.address(receiver.port)):
        wait_until(lambda: expected <= set(receiver.keys()))


@pytest.mark.parametrize("state", ["active", "paused"])
def test_a_sink_written_to_the_database_begins_when_it_is_first_read(plant, tmp_path, state):
    with RECEIVERS["webhook"](tmp_path) as receiver:
        written = {**document(receiver), "state": state}
        plant.episodes._episodes.database["sinks"].insert_one(dict(written))
        with service(plant, "http://127.0.0.1:9"):
            wait_until(lambda: plant.sink_deliveries.progress("mes").position)
            expected = changes_before_the_first_success(plant, 1)
        apply_sinks(plant, [written | {"state": "active"}], "ada", at(9))
        with service(plant, receiver.address(receiver.port)):
            wait_until(lambda: expected <= set(receiver.keys()))
        receiver.close()


def test_a_sink_that_selects_more_gets_what_is_open_of_it_at_once(plant, tmp_path):
    with RECEIVERS["webhook"](tmp_path) as receiver:
        only = {"match": {"definitions": ["moist"]}}
        with service(plant, receiver.address(receiver.port)):
            apply(plant, receiver, **only)
            is_open = store(plant, raised(1))
            wait_until(lambda: plant.sink_deliveries.progress("mes").until)
            apply_sinks(plant, [document(receiver)], "ada", at(2))
            wait_until(receiver.keys)
        assert receiver.keys() == [f"mes:{is_open.id}:1"]
        receiver.close()


def test_a_process_that_died_before_it_noted_sends_the_same_keys_again(plant, receiver):
    with service(plant, receiver.address(receiver.port)):
        apply(plant, receiver)
        before = plant.sink_deliveries.progress("mes")
        store(plant, raised(1))
        wait_until(lambda: plant.sink_deliveries.progress("mes").sent)
    # as if it had died after the receiver got the message
    database = plant.episodes._episodes.database
    database["sink_progress"].update_one({"_id": "mes"}, {"$set": {"position": before.position}})
    database["sink_alarms"].delete_many({})
    with service(plant, receiver.address(receiver.port)):
        wait_until(lambda: plant.sink_deliveries.progress("mes").sent == 2)
    assert receiver.keys() == [receiver.keys()[0]] * (1 if receiver.drops else 2)


def test_a_refused_message_is_a_dead_letter_and_others_go_on(plant, receiver):
    with service(plant, receiver.address(receiver.port)):
        apply(plant, receiver)
        receiver.refuse()
        store(plant, raised(1, asset="oven-1", title="poison" * 1000))
        store(plant, raised(2, asset="oven-2"))
        wait_until(lambda: plant.sink_deliveries.progress("mes").sent == 1)
        (letter,) = sink_detail(plant, "mes", at(9)).letters
        assert letter.message.content["title"].startswith("poison")
        assert letter.reason
        if receiver.kind == "mqtt":
            return  # its largest packet stays
        receiver.accept()
        assert plant.sink_deliveries.retry_letters("mes") == 1
        wait_until(lambda: plant.sink_deliveries.count_letters("mes") == 0)
    assert letter.id in {content["key"] for content in receiver.contents()}


def test_a_paused_sink_keeps_its_place_and_old_values_give_way_to_alarms(plant, receiver):
    with service(plant, receiver.address(receiver.port)):
        apply(plant, receiver, values_wait="1s")
        change_sink_state(plant, "mes", "paused", None, "ada", at(1))
        wait_until(lambda: not service_works())
        one = store(plant, raised(1))
        plant.scores.add("moist", "oven-1", [Score(at(m), 0.5, 0.7, 3) for m in range(5)])
        wait_until(lambda: is_older(plant, timedelta(seconds=1.5)))
        change_sink_state(plant, "mes", "active", None, "ada", at(2))
        wait_until(lambda: plant.sink_deliveries.progress("mes").left_out == 5)
    assert receiver.keys() == [f"mes:{one.id}:1"]


def test_a_sink_whose_position_is_lost_is_caught_up_from_what_is_stored(plant, receiver):
    with service(plant, receiver.address(receiver.port)):
        apply(plant, receiver)
        one = store(plant, raised(1))
        wait_until(lambda: plant.sink_deliveries.progress("mes").sent == 1)
    missed = store(plant, raised(2, asset="oven-3"))
    plant.scores.add("moist", "oven-1", [Score(at(m), 0.5, 0.7, 3) for m in range(5)])
    database = plant.episodes._episodes.database
    plant.clock.instant += timedelta(minutes=5)  # as long as the sink was away
    # a young server keeps its whole oplog: no position of it is lost, so this one is none
    lost = {"$set": {"position": "8200000001"}}
    database["sink_progress"].update_one({"_id": "mes"}, lost)
    with service(plant, receiver.address(receiver.port)):
        wait_until(lambda: plant.sink_deliveries.progress("mes").sent >= 7)
        last = store(plant, raised(3, asset="oven-2"))
        wait_until(lambda: f"mes:{last.id}:1" in set(receiver.keys()))
    keys = receiver.keys()
    assert len(keys) == len(set(keys)) == 8
    for sent in (one, missed):  # neither is sent twice
        assert [key for key in keys if sent.id in key] == [f"mes:{sent.id}:1"]


def service_works():
    return any(thread.name == "sink mes" for thread in enumerate_threads())


def is_older(plant, age):
    """Return whether the newest score was stored that long ago."""
    found = plant.scores._scores.find_one(sort=[("_id", -1)])
    return datetime.now(UTC) - found["_id"].generation_time > age + timedelta(seconds=1)
