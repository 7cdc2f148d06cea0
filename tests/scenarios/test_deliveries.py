"""Deliveries where two notifiers, slow receivers and dead ones meet: each is a scenario of its
own."""

from dataclasses import replace
from datetime import timedelta

import pytest

from alerting.definitions.upkeep import Retention
from alerting.ports import DeliveryFailed, ReadingRow
from alerting.ports.sweeps import Swept
from alerting.usecases.definitions.sync import apply
from alerting.usecases.evaluation.evaluate import evaluate
from alerting.usecases.ingestion.arrivals import add_readings
from alerting.usecases.notification.deliver import CLAIM, SILENT_AFTER, deliver_due
from alerting.usecases.upkeep.retention import retain
from tests.builders import at, oven, too_hot
from tests.helpers.notifications import notifications_of
from tests.in_memory_platform import HandClock, Mailbox, platform_on

LEVELS = {"medium": {"above": 215}, "critical": {"above": 240}}


def plant(on, *channels, assets=1, **changes):
    platform = platform_on(on, channels, HandClock())
    platform.assets.store_assets(
        [oven().model_copy(update={"name": f"oven-{i}"}) for i in range(1, assets + 1)]
    )
    apply(
        platform,
        [too_hot(assets=["oven-*"], stale_after="1d", **changes)],
        "engineer",
        at(0),
        "test",
    )
    return platform


def read(platform, value, minute, assets=1):
    rows = [
        ReadingRow(f"oven-{i}", at(minute), {"temperature": value}) for i in range(1, assets + 1)
    ]
    add_readings(platform, rows, at(minute))


def evaluate_values(platform, minute):
    platform.clock.instant = at(minute)
    evaluate(platform, None, at(minute))


class Slow(Mailbox):
    """A channel that takes its time: another notifier comes along at these instants while the first
    delivery is going on."""

    def __init__(self, name, instants, fails=False):
        super().__init__(name)
        self.instants = instants
        self.fails = fails
        self.busy = False

    def deliver(self, message):
        if not self.busy:
            self.busy = True
            for instant in self.instants:
                deliver_due(self.platform, instant)
            if self.fails:
                raise DeliveryFailed("no answer in time")
        super().deliver(message)


def test_a_late_failure_does_not_undo_what_another_notifier_has_delivered_meanwhile(stores):
    slow = Slow("mail", [at(1) + CLAIM], fails=True)
    slow.platform = plant(stores, slow)
    read(slow.platform, 230.0, 1)
    evaluate_values(slow.platform, 1)
    deliver_due(slow.platform, at(1))
    [notice] = notifications_of(slow.platform)
    assert (notice.status, notice.attempts) == ("sent", 2)
    for minute in range(4, 60):
        deliver_due(slow.platform, at(minute))
    assert len(slow.messages) == 1


def test_an_attempt_late_in_a_long_round_is_claimed_from_then_on(stores):
    slow = Slow("mail", [at(11) + timedelta(seconds=30)])
    slow.platform = plant(stores, slow)
    read(slow.platform, 230.0, 1)
    evaluate_values(slow.platform, 1)
    slow.platform.clock.instant = at(11)  # the round began ten minutes ago
    deliver_due(slow.platform, at(1))
    assert len(slow.messages) == 1


def test_a_dead_receiver_does_not_hold_up_the_others(stores):
    class Dead(Mailbox):
        tried = 0

        def deliver(self, message):
            self.tried += 1
            raise DeliveryFailed("no answer in time")

    mail = Mailbox("mail")
    dead = Dead("dead")
    platform = plant(stores, mail, dead, assets=150)
    read(platform, 230.0, 1, assets=150)
    evaluate_values(platform, 1)
    counts = deliver_due(platform, at(1))
    assert (len(mail.messages), dead.tried, counts.postponed) == (
        150,
        SILENT_AFTER,
        150 - SILENT_AFTER,
    )
    healthy = Mailbox("dead")
    again = replace(platform, channels={"mail": mail, "dead": healthy})
    for minute in (2, 3, 4):
        deliver_due(again, at(minute))
    assert len(healthy.messages) == 150
    assert len(mail.messages) == 150


@pytest.mark.parametrize("over", [False, True])
def test_an_alert_that_was_critical_before_anybody_looked_is_told_as_it_peaked(stores, over):
    mail = Mailbox("mail")
    platform = plant(stores, mail, above=None, levels=LEVELS)
    for minute, value in ((1, 230.0), (2, 250.0), (3, 200.0 if over else 230.0)):
        read(platform, value, minute)
    evaluate_values(platform, 3)
    deliver_due(platform, at(3))
    [told] = mail.messages
    assert told.subject == "CRITICAL: too-hot on oven-1"
    assert told.payload["severity"] == "critical"
    assert ("Meanwhile: over since" if over else "Meanwhile: critical → medium") in told.text


def test_finished_notifications_are_forgotten_after_their_time_and_alert_is_still_open_gets_end(
    stores,
):
    mail = Mailbox("mail")
    platform = replace(
        plant(stores, mail, assets=2), retention=Retention(notifications=timedelta(days=14))
    )
    platform.platform_alerts.report("odd", "oven-1", "it is odd", at(0))
    read(platform, 230.0, 1, assets=2)
    evaluate_values(platform, 1)
    add_readings(platform, [ReadingRow("oven-2", at(3), {"temperature": 200.0})], at(3))
    evaluate_values(platform, 3)
    deliver_due(platform, at(3))
    later = 60 * 24 * 15
    assert Swept("notifications", 2, None) in retain(platform, at(later))
    assert [n.channel for n in notifications_of(platform)] == ["mail"]
    add_readings(platform, [ReadingRow("oven-1", at(1000), {"temperature": 200.0})], at(1000))
    evaluate_values(platform, later)
    deliver_due(platform, at(later))
    assert mail.messages[-1].subject == "Over: too-hot on oven-1"
    assert len(mail.messages) == 4
