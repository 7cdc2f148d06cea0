"""A channel that refuses or does not deliver: who is told of it, when, and where its critical alarm
goes, minute by minute."""

from collections import Counter
from contextlib import nullcontext
from dataclasses import dataclass, replace
from datetime import timedelta

import httpx
import pytest

from alerting.adapters.receivers.egress import Egress
from alerting.adapters.receivers.http_channels import WebhookChannel
from alerting.console.serve import HealthMonitor
from alerting.definitions.platform_limits import HealthLimits
from alerting.ports import DeliveryFailed, ReadingRow
from alerting.reporting.sentences import history
from alerting.stores import episodes
from alerting.usecases.definitions.revisions_and_evaluation_plan import apply
from alerting.usecases.evaluation.rounds import evaluate
from alerting.usecases.health.open_faults import open_faults
from alerting.usecases.health.platform_health import check_platform
from alerting.usecases.ingestion.arrived_rows import add_readings
from alerting.usecases.notification.delivery import (
    deliver_due,
    deliver_now,
    retry,
    send_test,
)
from alerting.usecases.notification.routing import ROUTES
from tests.builders import at, oven, too_hot
from tests.helpers.http_receiver import http_receiver
from tests.helpers.mutes import mute_target
from tests.helpers.ovens import ANN
from tests.helpers.stores import real  # noqa: F401 - a fixture
from tests.in_memory_platform import HandClock, Mailbox, memory_platform, platform_on

CALM = HealthLimits(evaluation_late=timedelta(days=9), source_stale=timedelta(days=9))


class Receiver(Mailbox):
    """A channel whose receiver answers as `answer(minute, number of the attempt)` says: None, or
    a fault, which is for ever if it begins with 4 or 55."""

    def __init__(self, name, answer, clock):
        super().__init__(name)
        self._answer = answer
        self._clock = clock
        self.attempts = 0

    def deliver(self, message):
        self.attempts += 1
        minute = (self._clock.now() - at(0)).total_seconds() / 60
        fault = self._answer(minute, self.attempts)
        if fault is not None:
            raise DeliveryFailed(
                f"chat answered {fault}", permanent=fault[:1] == "4" or "55" in fault
            )
        self.messages.append(message)


class Plant:
    """An oven whose critical alarm goes to the channels `notify`; channels with these answers."""

    def __init__(self, stores, answers, notify=("chat",), routes=(), **alarm):
        clock = HandClock()
        self.boxes = [Receiver(name, answer, clock) for name, answer in answers.items()]
        self.platform = replace(platform_on(stores, self.boxes, clock), health_limits=CALM)
        self.platform.assets.store_assets([oven()])
        ROUTES.apply(self.platform, routes, "engineer", at(0))
        hot = too_hot(severity="critical", stale_after="9d", **alarm)
        if notify is not None:
            hot["notify"] = {"channels": [*notify]}
        apply(self.platform, [hot], "engineer", at(0), "test")
        self.told = {}

    def feed(self, minute, value=230.0):
        self.platform.clock.instant = at(minute)
        row = ReadingRow("oven-1", at(minute), {"temperature": value})
        add_readings(self.platform, [row], at(minute))
        evaluate(self.platform, None, at(minute))

    def run(self, minutes):
        """Check and deliver, as console and maintenance do; note when each message came."""
        for minute in minutes:
            self.platform.clock.instant = at(minute)
            deliver_due(self.platform, at(minute))
            check_platform(self.platform, at(minute), asks_registry=False)
            for channel in self.boxes:
                for message in channel.messages:
                    self.told.setdefault((channel.name, message.key), (minute, message))

    def told_of(self, begins):
        """When each channel got its first message with such a subject."""
        found = {}
        for (channel, _), (minute, message) in self.told.items():
            if message.subject.startswith(begins):
                found.setdefault(channel, minute)
        return found

    def channel(self, name):
        return self.platform.channels[name]

    @property
    def open(self):
        return {a.subject: a.reason for a in self.platform.platform_alerts.open()}

    @property
    def doubled(self):
        return [
            (channel.name, key)
            for channel in self.boxes
            for key, number in Counter(m.key for m in channel.messages).items()
            if number > 1
        ]


def well(minute, attempt):
    return None


def always(fault):
    return lambda minute, attempt: fault


def until(end, fault):
    return lambda minute, attempt: fault if minute < end else None


def by_turns(fault):
    return lambda minute, attempt: None if attempt % 2 else fault


@dataclass
class Kind:
    """`chat`: how its receiver answers. `fault`: when mail is told of it; `alarm`: when it gets the
    critical alarm; `over`: when it is told that chat delivers again."""

    chat: object
    fault: int | None = None
    alarm: int | None = None
    over: int | None = None


FED = {1: True, 11: False, 21: True, 31: False, 61: True, 71: False}  # alarms, and their ends
ROUNDS = [1, 2, 3, 11, 15, 16, 17, 18, 21, 22, 23, 26, 31, 32, 33, 61, 62, 63, 68, 71, 72, 79]
KINDS = {
    "refused for ever": Kind(always("403"), 2, 2),
    "refused for 25 minutes": Kind(until(25, "403"), 2, 2, over=62),
    "no answer, ever": Kind(always("nothing in time"), 17, 16),
    "500 for an hour, then well": Kind(until(61, "500"), 17, 16, over=62),
    "500 for ten minutes, then well": Kind(until(11, "500")),
    "half of the messages are refused": Kind(by_turns("403"), 15),
    "half of the attempts end in 503": Kind(by_turns("503")),
}


@pytest.mark.parametrize("name", KINDS)
def test_no_channel_fails_silently_and_no_critical_alarm_is_lost_or_doubled(real, name):  # noqa: F811
    kind = KINDS[name]
    plant = Plant(real, {"chat": kind.chat, "mail": well, "log": well})
    for minute, hot in FED.items():
        plant.feed(minute, 230.0 if hot else 190.0)
        plant.run(m for m in ROUNDS if minute <= m < minute + 10)
    fault = plant.told_of("Platform: channel failing: channel chat")
    assert fault.get("mail") == kind.fault
    alarms = plant.told_of("CRITICAL")
    assert alarms.get("mail") == kind.alarm
    assert plant.doubled == []
    reached = {m.payload["episode"] for _, m in plant.told.values() if "episode" in m.payload}
    assert {e.id for e in plant.platform.episodes.find()} == reached
    if kind.over or kind.fault is None:
        assert (plant.open, plant.told_of("Over: platform").get("mail")) == ({}, kind.over)
    else:
        assert "alerting try chat" in plant.open["channel chat"]
        off = open_faults(plant.platform)
        assert off.since is not None and off.message.channel == "mail"


def told(plant, channel):
    """The subjects that a channel got."""
    messages = plant.channel(channel).messages
    return sorted(message.subject.partition(" on ")[0] for message in messages)


def plant_in_memory(answers, **changes):
    return Plant(memory_platform(), answers, **changes)


HOT = "CRITICAL: too-hot"
CHAT_FAILS = "Platform: channel failing: channel chat"
CHAT_OVER = "Over: platform: channel failing: channel chat"


def test_an_alarm_that_one_of_two_channels_delivers_goes_nowhere_else_and_the_fault_is_told():
    plant = plant_in_memory(
        {"chat": always("403"), "mail": well, "pager": well, "log": well}, notify=["chat", "mail"]
    )
    plant.feed(1)
    plant.run([1, 2, 3])
    assert (told(plant, "mail"), told(plant, "pager")) == ([HOT, CHAT_FAILS], [CHAT_FAILS])


def test_without_another_channel_that_delivers_the_fault_stands_on_the_first_page():
    plant = plant_in_memory({"chat": always("403"), "log": always("the disk is full")})
    plant.feed(1)
    plant.run(range(1, 20))
    assert {*plant.open} == {"channel chat", "channel log"}
    off = open_faults(plant.platform)
    assert (len(off.grave), off.message) == (2, None)


def test_the_route_for_faults_is_told_unless_its_channel_is_the_one_that_fails():
    asked = {"name": "engineers", "match": {"tags": ["none"]}, "platform": True}
    answers = {"chat": always("403"), "mail": well, "pager": well, "log": well}
    plant = plant_in_memory(answers, routes=[asked | {"channels": ["pager"]}])
    plant.feed(1)
    plant.run([1, 2, 3])
    assert (told(plant, "mail"), told(plant, "pager")) == ([HOT], [HOT, CHAT_FAILS])
    plant = plant_in_memory(answers, routes=[asked | {"channels": ["chat"]}])
    plant.feed(1)
    plant.run([1, 2, 3])
    assert told(plant, "mail") == told(plant, "pager") == [HOT, CHAT_FAILS]


def test_another_fault_reaches_people_when_the_channel_of_its_route_fails():
    asked = {"name": "engineers", "match": {"tags": ["none"]}, "platform": True}
    plant = plant_in_memory(
        {"chat": always("403"), "mail": well, "log": well},
        routes=[asked | {"channels": ["chat"]}],
        notify=["mail"],
    )
    alerts = plant.platform.platform_alerts
    alerts.report("model miscalibrated", "early", "no row", at(1))
    plant.run([1, 2, 3])
    assert told(plant, "mail") == [CHAT_FAILS, "Platform: model miscalibrated: early"]
    alerts.resolve("model miscalibrated", "early", at(3))
    plant.run([4])
    assert told(plant, "mail")[0] == "Over: platform: model miscalibrated: early"


def test_a_fault_that_people_know_is_not_told_again_when_its_channel_fails_later():
    asked = {"name": "engineers", "match": {"tags": ["none"]}, "platform": True}
    plant = plant_in_memory(
        {"chat": lambda minute, _: None if minute < 5 else "403", "mail": well, "log": well},
        routes=[asked | {"channels": ["chat"]}],
    )
    plant.platform.platform_alerts.report("model miscalibrated", "early", "no row", at(1))
    plant.run([1, 2])
    plant.feed(6)
    plant.run([6, 7, 8])
    assert told(plant, "mail") == [HOT, CHAT_FAILS]


def test_messages_that_wait_for_a_channel_whose_settings_are_gone_are_told_for_a_day():
    plant = plant_in_memory({"chat": always("500"), "mail": well, "log": well})
    plant.feed(1)
    plant.run([1, 2])
    del plant.platform.channels["chat"]
    plant.run([3, 4])
    assert told(plant, "mail") == [HOT, CHAT_FAILS]
    assert "channel 'chat' is not configured" in plant.open["channel chat"]
    plant.run([4 + 24 * 60])
    assert plant.open == {}


def test_letters_that_are_sent_again_end_the_fault_only_when_they_are_delivered():
    plant = plant_in_memory({"chat": until(30, "403"), "mail": well, "log": well})
    plant.feed(1)
    plant.run([1, 2])
    for minute in (10, 40):
        plant.platform.clock.instant = at(minute)
        retry(plant.platform, "all", "ann", at(minute))
        check_platform(plant.platform, at(minute), asks_registry=False)
        assert {*plant.open} == {"channel chat"}
        plant.run([minute])
    assert plant.open == {}
    assert told(plant, "chat") == [HOT]


def test_a_channel_that_refuses_and_accepts_by_turns_is_told_once():
    plant = plant_in_memory({"chat": by_turns("403"), "mail": well, "log": well})
    for minute in range(1, 30):
        plant.feed(minute, 230.0 if minute % 2 else 190.0)
        plant.run([minute])
    assert [m for m in told(plant, "mail") if m != HOT] == [CHAT_FAILS]
    plant.run([60])
    assert plant.open == {}


def test_a_test_message_that_arrives_ends_the_fault():
    plant = plant_in_memory({"chat": until(30, "403"), "mail": well, "log": well})
    plant.feed(1)
    plant.run([1, 2])
    plant.platform.clock.instant = at(31)
    assert send_test(plant.platform, "chat", "ann", at(31)) == {"chat": "sent"}
    plant.run([31, 32])
    assert plant.open == {}
    assert told(plant, "mail") == [HOT, CHAT_OVER, CHAT_FAILS]


def test_an_alarm_that_is_muted_goes_to_no_other_channel_before_its_mute_ends():
    plant = plant_in_memory({"chat": always("500"), "mail": well, "log": well})
    plant.feed(1)
    plant.run([1, 2])
    mute_target(plant.platform, "too-hot", "oven-1", ANN, at(3), at(40), "cleaning")
    plant.run([3, 16, 17, 18, 39])
    assert HOT not in told(plant, "mail")
    plant.run([40, 41, 55, 56, 57, 58])
    assert told(plant, "mail").count(HOT) == 1


def test_alarms_that_are_skipped_because_their_channel_is_silent_go_to_the_others_too():
    plant = plant_in_memory({"chat": always("500"), "mail": well, "log": well})
    more = {"severity": "critical", "stale_after": "9d", "notify": {"channels": ["chat"]}}
    documents = [too_hot(name=f"hot-{n}", **more) for n in range(4)]
    apply(plant.platform, documents, "engineer", at(0), "test")
    plant.feed(1)
    plant.run([1, 2, 15])
    assert told(plant, "mail") == []
    plant.run([16])
    assert len(told(plant, "mail")) == 5
    assert plant.doubled == []


def test_more_alarms_than_are_looked_at_once_all_go_to_the_others(real, monkeypatch):  # noqa: F811
    monkeypatch.setattr(episodes, "_MOST_UNDELIVERED", 2)
    plant = Plant(real, {"chat": always("403"), "mail": well, "log": well})
    more = {"severity": "critical", "stale_after": "9d", "notify": {"channels": ["chat"]}}
    documents = [too_hot(name=f"hot-{n}", **more) for n in range(4)]
    apply(plant.platform, documents, "engineer", at(0), "test")
    plant.feed(1)
    plant.run(range(1, 8))
    assert len({m.payload.get("episode") for m in plant.channel("mail").messages} - {None}) == 5
    assert plant.doubled == []


def test_the_console_alone_tells_of_a_channel_and_sends_its_alarm_within_a_minute():
    plant = plant_in_memory({"chat": always("403"), "mail": well, "log": well})
    plant.feed(1)
    deliver_now(plant.platform, at(1))
    HealthMonitor(lambda: nullcontext(plant.platform), plant.platform.clock.now).check()
    assert told(plant, "mail") == [HOT, CHAT_FAILS]


def test_the_message_by_another_channel_says_why_and_the_page_of_the_alarm_which_way_it_went():
    plant = plant_in_memory({"chat": always("403"), "mail": well, "log": well})
    plant.feed(1)
    plant.run([1, 2])
    [message] = [m for m in plant.channel("mail").messages if m.subject.startswith(HOT)]
    why = "no channel of this alarm delivered it (chat)"
    assert f"You receive this because: {why}." in message.text
    [episode] = plant.platform.episodes.find()
    sent = plant.platform.notifications.of_episodes([episode.id])[episode.id]
    rows = [(heading, reason) for _, heading, reason, _ in history(episode, sent)]
    assert ("Notified: mail", why) in rows
    assert any(h == "Message to chat" and "answered 403" in reason for h, reason in rows)


def test_a_web_server_that_refuses_then_hangs_then_answers(real):  # noqa: F811
    with http_receiver() as server:
        plant = Plant(real, {"mail": well, "log": well})
        url = f"http://127.0.0.1:{server.server_port}/s3cret-path"
        short = httpx.Timeout(0.3)
        chat = WebhookChannel("chat", url, egress=Egress(["127.0.0.1"]), timeout=short)
        plant.platform.channels["chat"] = chat
        server.status = 403
        plant.feed(1)
        plant.run([1, 2])
        assert f"http://127.0.0.1:{server.server_port} answered 403" in plant.open["channel chat"]
        assert "s3cret" not in str([*plant.told.values()])
        assert told(plant, "mail") == [HOT, CHAT_FAILS]
        server.status = 200
        server.released.clear()
        plant.feed(10, 190.0)
        plant.feed(11)
        plant.run([11, 12])
        server.released.set()
        plant.run([13, 14])
        assert plant.open == {}
        assert told(plant, "mail") == [HOT, CHAT_OVER, "Over: too-hot", CHAT_FAILS]
