"""Rows of other processes are learned of within a fraction of a second on a server without change
streams, too: a standalone mongod."""

import subprocess
import threading
import time
from dataclasses import replace

import pymongo
import pytest

from alerting.adapters.embedded.embedded_mongod import find_mongod
from alerting.adapters.memory.platform import memory_platform
from alerting.adapters.mongo.documents import Document
from alerting.adapters.mongo.readings.arrivals import MongoArrivals
from alerting.ports import ReadingRow
from alerting.ports.late import LatePart
from alerting.usecases.ingestion.arrivals import add_readings
from tests.builders import at, oven
from tests.helpers.receivers import wait_until
from tests.support import free_port, require_real_server

pytestmark = pytest.mark.server
HANG_S = 120.0


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """Address of a mongod that is no member of a replica set."""
    require_real_server()
    port = free_port()
    folder = tmp_path_factory.mktemp("standalone")
    command = [str(find_mongod()), "--dbpath", str(folder), "--port", str(port)]
    command += ["--bind_ip", "127.0.0.1", "--nounixsocket", "--logpath", str(folder / "log")]
    process = subprocess.Popen(command)
    yield f"mongodb://127.0.0.1:{port}/?directConnection=true"
    process.kill()
    process.wait(HANG_S)


@pytest.fixture
def database(server):
    with pymongo.MongoClient[Document](server, tz_aware=True) as client:
        yield client["standalone"]
        client.drop_database("standalone")


class Writer:
    """A process that writes rows beside the service, with its arrival records in the database."""

    def __init__(self, database):
        self.plant = replace(memory_platform(), arrivals=MongoArrivals(database))
        self.plant.assets.store_assets([oven()])

    def write(self, *minutes):
        rows = [ReadingRow("oven-1", at(minute), {"temperature": 200.0}) for minute in minutes]
        add_readings(self.plant, rows, at(max(minutes)))


def part(first, last, rows):
    return LatePart("oven-1", at(first), at(last), rows, ("temperature",))


@pytest.fixture
def followed(database):
    """Parts that a service has learned of which follows the records in a thread, and when."""
    service = MongoArrivals(database)
    service.extend_evaluated_until(at(10))
    stopped = threading.Event()
    learned = []
    is_open = threading.Event()

    def follow():
        for parts in service.written_by_others(stopped.is_set):
            is_open.set()
            learned.extend((one, time.monotonic()) for one in parts)

    thread = threading.Thread(target=follow)
    thread.start()
    assert is_open.wait(HANG_S)
    yield service, learned
    stopped.set()
    thread.join(HANG_S)
    assert "asked_at" not in database["evaluated_until"].find_one()


def test_rows_are_learned_of_once_whether_late_or_not_and_own_ones_never(
    database, followed, record_property
):
    service, learned = followed
    writer = Writer(database)
    writer.write(20)
    written = time.monotonic()
    wait_until(lambda: learned)
    record_property("learned_after_s", round(learned[0][1] - written, 2))
    assert [one for one, _ in learned] == [part(20, 20, 1)]
    writer.write(4, 22)
    wait_until(lambda: len(learned) == 2)
    assert learned[1][0] == part(4, 22, 2), "also the row that is not late"
    own = replace(memory_platform(), arrivals=service)
    own.assets.store_assets([oven()])
    add_readings(own, [ReadingRow("oven-1", at(30), {"temperature": 1.0})], at(30))
    for minute in range(31, 41):
        writer.write(minute)
    wait_until(lambda: len(learned) == 12)
    assert [one for one, _ in learned[2:]] == [part(m, m, 1) for m in range(31, 41)]
