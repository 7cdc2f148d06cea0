"""A stream service without a source is known to commands before it reads anything."""

from threading import Event, Thread

import pytest

from alerting.adapters.mongo.mongo import open_stores
from alerting.cli.documents import wait_for_brokers
from alerting.settings.environment import Settings
from alerting.stores.documents import ARRIVALS
from alerting.stores.leases import STREAM
from alerting.stream.wait import _Arrivals, await_source
from tests.builders import at


@pytest.fixture
def stores(real_server):
    with open_stores(real_server, "stream-waits", prepare=True) as opened:
        yield opened


@pytest.fixture
def waiting(stores, real_server, tmp_path):
    """A service that waits for its first source, as `alerting up` runs one."""
    settings = Settings(home=tmp_path, mongodb_uri=real_server, database="stream-waits")
    stopped = Event()
    alive = tmp_path / "alive"
    thread = Thread(target=await_source, args=(settings, alive, stopped, "here"))
    thread.start()
    while thread.is_alive() and not alive.exists():
        stopped.wait(0.1)
    yield stores
    stopped.set()
    thread.join()
    assert stores.leases.find(STREAM) is None, "a service that ends is forgotten"


def test_rows_that_are_stored_between_two_questions_are_heard_of(stores, monkeypatch):
    monkeypatch.setattr("alerting.stream.wait.READ_AGAIN_S", 1.5)
    arrivals = _Arrivals(stores.database)
    never = Event()
    before = arrivals.has_any(never)
    stores.database[ARRIVALS].insert_one({"_id": "between"})
    assert (before, arrivals.has_any(never), arrivals.has_any(never)) == (False, True, False)


def test_a_service_that_waits_for_its_first_source_counts_as_running(waiting, monkeypatch, capsys):
    assert waiting.leases.find(STREAM).holder == "here"
    monkeypatch.setattr("alerting.cli.documents._SERVICE_WITHIN_S", 0.1)
    monkeypatch.setattr("alerting.cli.documents._SUBSCRIBED_WITHIN_S", 0.8)
    wait_for_brokers(waiting, ["line-3"], at(0))
    said = capsys.readouterr().out
    assert "no stream service runs" not in said
    assert "the stream service has not subscribed yet" in said
