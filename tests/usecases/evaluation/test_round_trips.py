"""Commands that a tick sends to a real server: over plan, evaluation of one shard, and delivery;
openings are not counted."""

from dataclasses import replace
from datetime import timedelta

import pytest

from alerting.adapters.memory.platform import memory_platform
from alerting.adapters.mongo.demo.clock import MongoClock
from alerting.adapters.mongo.mongo import open_stores
from alerting.ports import ReadingRow
from alerting.usecases.definitions.sync import apply
from alerting.usecases.evaluation.evaluate import evaluate_shard, plan_round
from alerting.usecases.ingestion.arrivals import add_readings
from alerting.usecases.notification.deliver import deliver_now
from tests.builders import at, oven, too_hot
from tests.helpers.commands import record_commands
from tests.in_memory_platform import Mailbox, MemoryModels

pytestmark = pytest.mark.server
CADENCE = timedelta(minutes=1)
HOT = range(3, 6)
MOST_QUIET = 10
MOST_RAISING = 30


class ReadClock:
    """A clock that only the test moves, and that asks the database as the clock of tasks does."""

    def __init__(self, database):
        self.instant = at(0)
        self._stored = MongoClock(database)

    def now(self):
        self._stored.now()
        return self.instant


@pytest.fixture
def plant(real_server, monkeypatch):
    """A platform with one threshold definition on one oven, whose clients record their commands."""
    record = record_commands(monkeypatch)
    with open_stores(real_server, "round-trips", prepare=True) as stores:
        mailbox = Mailbox("mail")
        platform = stores.platform(
            MemoryModels(), {"mail": mailbox}, ReadClock(stores.database), memory_platform
        )
        platform = replace(platform, latency=timedelta(0))
        platform.assets.store_assets([oven()])
        apply(platform, [too_hot(**{"for": "0s"})], "engineer", at(0), "test")
        rows = [
            ReadingRow("oven-1", at(m), {"temperature": 230.0 if m in HOT else 200.0})
            for m in range(12)
        ]
        add_readings(platform, rows, at(0))
        yield platform, record, mailbox
        stores.database.client.drop_database("round-trips")


def tick(platform, record, minute):
    """Run what the tasks of one tick run; return its commands."""
    platform.clock.instant = at(minute)
    record.clear()
    as_of = platform.clock.now()
    planned = plan_round(platform, CADENCE, 2, as_of)
    assert len(planned.shards) == 1
    for shard in planned.shards:
        evaluate_shard(
            platform, CADENCE, shard, 2, as_of, planned.source_hash, planned.late.has_requests
        )
    deliver_now(platform, platform.clock.now())
    return list(record.commands)


def test_a_tick_costs_few_round_trips(plant):
    platform, record, mailbox = plant
    ticks = {minute: tick(platform, record, minute) for minute in range(1, 10)}
    assert [message.subject.split(":")[0] for message in mailbox.messages] == ["MEDIUM", "Over"]
    for minute in (2, 4, 5, 8, 9):
        assert len(ticks[minute]) <= MOST_QUIET, ticks[minute]
    for minute in (min(HOT), max(HOT) + 1):
        assert len(ticks[minute]) <= MOST_RAISING, ticks[minute]
