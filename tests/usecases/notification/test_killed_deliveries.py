"""Deliveries that are killed, or frozen while another one delivers, between any two of their
database commands."""

from collections import Counter
from collections.abc import Iterator
from functools import partial

import pytest

from alerting.adapters.mongo.mongo import MongoStores
from alerting.ports import DeliveryFailed, ReadingRow
from alerting.usecases.definitions.revisions_and_evaluation_plan import apply
from alerting.usecases.evaluation.rounds import evaluate
from alerting.usecases.ingestion.arrived_rows import add_readings
from alerting.usecases.notification.delivery import deliver_due
from alerting.usecases.notification.routing import ROUTES
from tests.builders import at, oven, too_hot
from tests.helpers.killed_processes import (
    Commands,
    before_each_command,
    copy_of,
    killing,
    prepared_stores,
    process,
    restore,
)
from tests.in_memory_platform import HandClock, Mailbox, platform_on

DATABASE = "deliveries"
CROWD = {"name": "all", "channels": ["mail"], "flood": {"more_than": 2, "within": "10m"}}
DUE = 11


@pytest.fixture(scope="module")
def stores(real_mongod) -> Iterator[MongoStores]:
    with prepared_stores(real_mongod, DATABASE) as opened:
        yield opened


class Refusing(Mailbox):
    """A channel that refuses everything."""

    def deliver(self, message):
        raise DeliveryFailed("refused", permanent=True)


class Plant:
    """An oven with five alerts: two were sent and are over, three wait for a flood summary. A
    critical one was refused by its channel, and goes to all others."""

    def __init__(self, uri: str, stores: MongoStores) -> None:
        self.uri = uri
        self.stores = stores
        self.mail = Mailbox("mail")
        self.channels = [self.mail, Refusing("refuses")]
        restore(stores.database, {})
        platform = self.platform = platform_on(stores, self.channels, HandClock())
        platform.assets.store_assets([oven()])
        ROUTES.apply(platform, [CROWD], "engineer", at(0))
        definitions = [too_hot(name=f"too-hot-{i}", stale_after="1d") for i in range(5)]
        refused = {"severity": "critical", "notify": {"channels": ["refuses"]}}
        definitions.append(too_hot(name="refused", stale_after="1d", **refused))
        apply(platform, definitions, "engineer", at(0), "test")
        for minute, value in ((1, 230.0), (DUE, 200.0)):
            add_readings(
                platform, [ReadingRow("oven-1", at(minute), {"temperature": value})], at(minute)
            )
            evaluate(platform, None, at(minute))
            if minute < DUE:
                deliver_due(platform, at(minute))
        self._documents = copy_of(stores.database)

    def begin_again(self) -> None:
        restore(self.stores.database, self._documents)
        self.mail.messages.clear()

    def disturbed(self, commands: Commands) -> None:
        """One delivery of a process of its own."""
        with process(self.uri, DATABASE, commands) as own:
            deliver_due(platform_on(own, self.channels, HandClock(at(DUE))), at(DUE))

    def deliver(self, minute: int) -> None:
        self.platform.clock.instant = at(minute)
        deliver_due(self.platform, at(minute))

    def deliver_all(self) -> None:
        """Deliver minute by minute until nothing waits: claims of dead processes end, and the
        server ends their transactions."""
        for minute in range(DUE, DUE + 60):
            self.deliver(minute)
            if not self.platform.notifications.waiting():
                return

    def received(self) -> Counter[str]:
        return Counter(message.key for message in self.mail.messages)


def expected(plant: Plant) -> set[str]:
    plant.begin_again()
    plant.deliver(DUE)
    keys = plant.received()
    assert set(keys.values()) == {1}
    assert sorted(m.subject.split(":")[0] for m in plant.mail.messages) == [
        "+3 more on oven-1",
        "CRITICAL",
        "Over",
        "Over",
    ]
    return set(keys)


def test_killed_before_any_command_it_loses_nothing_and_repeats_only_under_the_same_key(
    real_mongod, stores
):
    plant = Plant(real_mongod.uri, stores)
    keys = expected(plant)
    for command in before_each_command(plant.begin_again, plant.disturbed, killing):
        plant.deliver_all()
        assert set(plant.received()) == keys, f"killed before {command}"
        assert plant.platform.notifications.waiting() == [], f"killed before {command}"


def test_frozen_before_any_command_while_another_delivers_nothing_is_sent_twice(
    real_mongod, stores
):
    plant = Plant(real_mongod.uri, stores)
    keys = expected(plant)
    another = partial(plant.deliver, DUE)
    for command in before_each_command(plant.begin_again, plant.disturbed, lambda _: another):
        plant.deliver_all()
        assert plant.received() == dict.fromkeys(keys, 1), f"frozen before {command}"
        assert plant.platform.notifications.waiting() == [], f"frozen before {command}"
