"""Faults of the platform reach a mailbox, each once, and their ends as well: nobody has to look."""

import email
import email.policy
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from datetime import timedelta

import pytest
from aiosmtpd.controller import Controller

from alerting.adapters.channels.egress import Egress
from alerting.adapters.channels.email import EmailChannel
from alerting.adapters.mongo.mongo import DatabaseDown
from alerting.console.monitor import HealthMonitor
from alerting.definitions.wording.language import language
from alerting.ports import Disk, ModelUnavailable
from alerting.settings.delivery import Smtp
from alerting.usecases.definitions.sync import apply
from alerting.usecases.ingestion.arrivals import add_readings
from alerting.usecases.notification.deliver import deliver_due
from alerting.usecases.notification.messages import content_message
from alerting.usecases.notification.platform_alerts import platform_notifications
from alerting.usecases.notification.routes import apply_routes, read_routes
from alerting.usecases.training.promote import promote_run
from alerting.usecases.training.train import train
from alerting.usecases.upkeep.maintain import maintain
from tests.builders import at
from tests.humid_line import DAY, NAME, humid_oven, learned_quickly, line
from tests.in_memory_platform import in_memory_platform
from tests.support import free_port

pytestmark = pytest.mark.models

NOW = 12 * DAY
ROUTE = {
    "name": "engineers",
    "match": {"tags": ["none"]},
    "channels": ["engineers"],
    "platform": True,
}


class Inbox:
    """The subjects that the mail server took."""

    def __init__(self):
        self.subjects = []

    async def handle_DATA(self, server, session, envelope):
        self.subjects.append(
            str(email.message_from_bytes(envelope.content, policy=email.policy.default)["Subject"])
        )
        return "250 OK"


@pytest.fixture
def inbox():
    box = Inbox()
    server = Controller(box, hostname="127.0.0.1", port=free_port())
    server.start()
    box.smtp = Smtp("127.0.0.1", server.port, "none", "alerting@plant.example")
    yield box
    server.stop()


@pytest.fixture
def platform(inbox):
    channel = EmailChannel(
        "engineers", "engineers@plant.example", inbox.smtp, Egress(["127.0.0.1"])
    )
    made = in_memory_platform(channel)
    made.assets.store_assets([humid_oven()])
    apply_routes(made, [ROUTE], "engineer", at(0))
    made.clock.instant = at(NOW)
    return made


def news(platform, inbox, minute, kind=""):
    """The subjects on a kind of fault that come in two rounds of maintenance; the second one adds
    nothing."""
    before = len(inbox.subjects)
    for later in (minute, minute + 2):
        platform.clock.instant = at(later)
        maintain(platform, at(later))
        deliver_due(platform, at(later))
    return [subject for subject in inbox.subjects[before:] if kind in subject]


def test_a_waiting_approval_is_announced_until_it_is_answered(platform, inbox):
    apply(platform, [learned_quickly(promotion={"mode": "approval"})], "engineer", at(0), "test")
    add_readings(platform, line(days=5), at(5 * DAY))
    proposal = train(platform, NAME, at(5 * DAY))
    assert proposal.waiting
    assert news(platform, inbox, NOW + 1, "approval waiting") == [
        f"Platform: approval waiting: {NAME}"
    ]
    promote_run(platform, proposal.run_id, approved_by="ann")
    assert news(platform, inbox, NOW + 5, "approval waiting") == [
        f"Over: platform: approval waiting: {NAME}"
    ]


def test_stopped_readings_late_evaluation_a_full_disk_and_a_silent_registry_are_announced(
    platform, inbox
):
    wet = {
        "name": "wet",
        "kind": "threshold",
        "assets": ["humid-oven"],
        "variable": "humidity",
        "above": 50,
    }
    apply(platform, [learned_quickly(), wet], "engineer", at(NOW), "test")
    row = line(days=1)[0]
    add_readings(platform, [replace(row, ts=at(NOW))], at(NOW))
    disks = [Disk("home", 1 << 30)]
    ill = replace(platform, disks=lambda: disks, models=SilentModels())
    found = news(ill, inbox, NOW + 120)
    assert sorted(found) == [
        "Platform: disk filling: home",
        "Platform: evaluation late: evaluate__1m",
        "Platform: registry away: MLflow",
        "Platform: source stale: humid-oven",
    ]
    assert {a.kind for a in platform.platform_alerts.open()} == {
        subject.split(": ")[1] for subject in found
    }
    add_readings(platform, [replace(row, ts=at(NOW + 129))], at(NOW + 129))
    from alerting.usecases.evaluation.evaluate import evaluate

    platform.clock.instant = at(NOW + 130)
    evaluate(platform, None, at(NOW + 130))
    assert sorted(news(platform, inbox, NOW + 131)) == [
        subject.replace("Platform", "Over: platform") for subject in sorted(found)
    ]


class SilentModels:
    def alias(self, definition, alias):
        raise ModelUnavailable("MLflow does not answer")


def test_the_console_leaves_the_registry_and_its_alert_to_the_maintenance(platform):
    apply(platform, [learned_quickly()], "engineer", at(0), "test")

    class RecordingModels:
        asked = 0

        def alias(self, definition, alias):
            self.asked += 1
            raise ModelUnavailable("MLflow does not answer")

    def open_kinds():
        return {alert.kind for alert in platform.platform_alerts.open()}

    models = RecordingModels()
    ill = replace(platform, models=models)
    monitor = HealthMonitor(lambda: nullcontext(ill), lambda: at(NOW))
    monitor.check()
    assert (models.asked, "registry away" in open_kinds()) == (0, False)
    maintain(ill, at(NOW))
    assert (models.asked, "registry away" in open_kinds()) == (1, True)
    monitor.check()
    assert (models.asked, "registry away" in open_kinds()) == (1, True)


def test_an_outage_of_the_database_is_announced_by_the_console_and_recorded_when_it_is_over(
    platform, inbox
):
    away = [False]
    real = [at(NOW)]

    @contextmanager
    def opened():
        if away[0]:
            raise DatabaseDown("the database does not answer")
        yield platform

    monitor = HealthMonitor(opened, lambda: real[0])
    monitor.check()
    away[0] = True
    for minute in range(6):  # a restart is shorter, and causes no message
        real[0] = at(NOW + minute)
        monitor.check()
        assert len(inbox.subjects) == (minute >= 2)
    away[0] = False
    platform.clock.instant = at(NOW + 6)
    monitor.check()
    monitor.check()
    assert inbox.subjects == [
        "Platform: database away: MongoDB",
        "Over: platform: database away: MongoDB",
    ]
    [alert] = platform.platform_alerts.resolved_since(at(NOW))
    assert alert.resolved_at - alert.opened_at == timedelta(minutes=6)


def test_a_message_about_the_platform_is_in_one_language_and_leads_to_its_page(platform, inbox):
    apply_routes(platform, [{**ROUTE, "language": "de"}], "engineer", at(0))
    platform.platform_alerts.report("source stale", "source gateway", "no row", at(0))
    [sent] = platform_notifications(platform, read_routes(platform.routes)[0], at(1))
    said = content_message(sent, at(1), language=language("de"))
    assert said.text.splitlines()[1].startswith("Since Mon 5 Jan ")
    assert said.payload["page"] == "/platform"
