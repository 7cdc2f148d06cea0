"""Deliveries where two notifiers, slow receivers and dead ones meet: each is a scenario of its
own."""

from dataclasses import replace
from datetime import timedelta

from alerting.definitions.platform_limits import Retention
from alerting.ports import DeliveryFailed, Swept
from alerting.usecases.data_upkeep import retain
from alerting.usecases.evaluation.rounds import evaluate
from alerting.usecases.notification.delivery import CLAIM, SILENT_AFTER, deliver_due
from tests.builders import at
from tests.helpers.notifications import notifications_of
from tests.helpers.ovens import feed, oven_platform, run
from tests.in_memory_platform import Mailbox

LEVELS = {"medium": {"above": 215}, "critical": {"above": 240}}


def evaluate_values(platform, minute):
    platform.clock.instant = at(minute)
    evaluate(platform, None, at(minute))


class Slow(Mailbox):
    """A channel that takes its time: another notifier comes along at an instant while the first
    delivery is going on."""

    def __init__(self, name, instant, stores, fails=False):
        super().__init__(name)
        self.instant = instant
        self.fails = fails
        self.busy = False
        self.platform = oven_platform(self, on=stores)
        feed(self.platform, 1, 230.0)
        evaluate_values(self.platform, 1)

    def deliver(self, message):
        if not self.busy:
            self.busy = True
            deliver_due(self.platform, self.instant)
            if self.fails:
                raise DeliveryFailed("no answer in time")
        super().deliver(message)


def test_a_late_failure_does_not_undo_what_another_notifier_has_delivered_meanwhile(stores):
    slow = Slow("mail", at(1) + CLAIM, stores, fails=True)
    deliver_due(slow.platform, at(1))
    [notice] = notifications_of(slow.platform)
    assert (notice.status, notice.attempts) == ("sent", 2)
    for minute in range(4, 60):
        deliver_due(slow.platform, at(minute))
    assert len(slow.messages) == 1


def test_an_attempt_late_in_a_long_round_is_claimed_from_then_on(stores):
    slow = Slow("mail", at(11) + timedelta(seconds=30), stores)
    slow.platform.clock.instant = at(11)  # the round began ten minutes ago
    deliver_due(slow.platform, at(1))
    assert len(slow.messages) == 1


def test_a_dead_receiver_does_not_hold_up_the_others():
    class Dead(Mailbox):
        tried = 0

        def deliver(self, message):
            self.tried += 1
            raise DeliveryFailed("no answer in time")

    mail = Mailbox("mail")
    dead = Dead("dead")
    platform = oven_platform(mail, dead, count=150)
    feed(platform, 1, 230.0, count=150)
    evaluate_values(platform, 1)
    postponed = deliver_due(platform, at(1)).postponed
    assert (len(mail.messages), dead.tried) == (150, SILENT_AFTER)
    assert postponed == 150 - SILENT_AFTER
    healthy = Mailbox("dead")
    again = replace(platform, channels={"mail": mail, "dead": healthy})
    for minute in (2, 3, 4):
        deliver_due(again, at(minute))
    assert (len(mail.messages), len(healthy.messages)) == (150, 150)


def test_an_alert_that_was_critical_before_anybody_looked_is_told_as_it_peaked():
    for last, meanwhile in ((230.0, "critical → medium"), (200.0, "over since")):
        mail = Mailbox("mail")
        platform = oven_platform(mail, above=None, levels=LEVELS)
        for minute, value in ((1, 230.0), (2, 250.0), (3, last)):
            feed(platform, minute, value)
        run(platform, 3)
        [message] = mail.messages
        assert message.subject == "CRITICAL: too-hot on oven-1"
        assert message.payload["severity"] == "critical"
        assert f"Meanwhile: {meanwhile}" in message.text


def test_finished_notifications_are_forgotten_after_their_time_and_alert_is_still_open_gets_end(
    stores,
):
    mail = Mailbox("mail")
    platform = oven_platform(mail, count=2, on=stores)
    platform = replace(platform, retention=Retention(notifications=timedelta(days=14)))
    platform.platform_alerts.report("odd", "oven-1", "it is odd", at(0))
    feed(platform, 0, 200.0)
    feed(platform, 1, 230.0, count=2)
    evaluate_values(platform, 1)
    feed(platform, 3, 200.0)
    run(platform, 3)
    later = 60 * 24 * 15
    assert Swept("notifications", 2, None) in retain(platform, at(later))
    assert [n.channel for n in notifications_of(platform)] == ["mail"]
    feed(platform, 1000, 200.0, count=2)
    run(platform, later)
    assert mail.messages[-1].subject == "Over: too-hot on oven-2"
    assert len(mail.messages) == 4
