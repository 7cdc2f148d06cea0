"""The table of what can stop: each row of the page is caused, its fault is raised, and told."""

import re
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from alerting.console.serve import HealthMonitor, read_certificate_end
from alerting.definitions.revisions import question_of
from alerting.ports import (
    ClockDifference,
    DeliveryFailed,
    Disk,
    ModelUnavailable,
    ReadingRow,
    Training,
)
from alerting.stores.database.transactions_and_leases import CONSOLE
from alerting.usecases.access.accounts import BACKUP_MADE
from alerting.usecases.definitions.faults_and_platform_alerts import record_model_faults
from alerting.usecases.definitions.revisions_and_evaluation_plan import apply
from alerting.usecases.evaluation.rounds import evaluate
from alerting.usecases.health.platform_health import check_platform
from alerting.usecases.health.scheduled_tasks import FailedRun, PartAway, SchedulerState
from alerting.usecases.ingestion.arrived_rows import add_readings
from alerting.usecases.notification.delivery import deliver_due
from alerting.usecases.notification.routing import ROUTES
from alerting.usecases.sink_delivery import SINKS
from alerting.usecases.sources.status import SOURCES
from tests.builders import at, oven, too_hot
from tests.helpers.streamed_messages import SOURCE
from tests.humid_line import humid_oven, learned_quickly
from tests.in_memory_platform import Mailbox, in_memory_platform

PAGE = Path(__file__).parents[3] / "docs" / "when-something-is-wrong.md"
DAY = 24 * 60
NOW = 12 * DAY
SCADA = {"name": "scada", "kind": "mqtt", "url": {"env": "BROKER_URL"}}
ROUTE = {"name": "eng", "match": {"tags": ["none"]}, "channels": ["mail"], "platform": True}


class SilentModels:
    def aliases(self, definition):
        raise ModelUnavailable("MLflow does not answer")


class Refusing(Mailbox):
    def deliver(self, message):
        raise DeliveryFailed("403", permanent=True)


def beat_long_ago(platform, part, minutes):
    platform.leases.claim(part, part)
    ago = datetime.now(UTC) - timedelta(minutes=minutes)
    platform.leases._leases.update_one({"_id": part}, {"$set": {"at": ago}})


def source(platform):
    lab = {"name": "lab", "kind": "http", "stale_after": "10m"}
    SOURCES.apply(platform, [lab], "ada", at(NOW - 20))
    return platform


def sink(platform):
    SINKS.apply(platform, [SCADA], "ada", at(NOW - 3 * DAY))
    platform.assets.store_assets([oven()])
    apply(platform, [too_hot()], "ada", at(NOW - 2 * DAY), "test")
    add_readings(platform, [ReadingRow("oven-1", at(NOW - DAY), {"temperature": 230.0})], at(NOW))
    evaluate(platform, None, at(NOW))
    return platform


def route(platform):
    other = {"name": "night", "channels": ["gone"]}
    platform.channels["gone"] = Mailbox("gone")
    ROUTES.apply(platform, [other], "ada", at(0))
    del platform.channels["gone"]
    return platform


def model(platform):
    record_model_faults(platform.platform_alerts, ["m"], {"m": "damaged"}, at(NOW))
    return platform


def training(platform):
    platform.assets.store_assets([humid_oven()])
    apply(platform, [learned_quickly()], "ada", at(0), "test")
    [revision] = platform.definitions.latest_revisions()
    run = (revision.name, question_of(revision), "run", 1, at(NOW - 9), at(NOW), "no rows")
    platform.trainings.begin(Training(*run))
    return platform


def evaluation(platform):
    platform.assets.store_assets([oven()])
    apply(platform, [too_hot()], "ada", at(NOW - 60), "test")
    return platform


def clock(platform):
    platform.assets.store_assets([oven()])
    apply(platform, [too_hot()], "ada", at(NOW - 60), "test")
    evaluate(platform, None, at(NOW + 60))
    evaluate(platform, None, at(NOW))
    return platform


def own_clock(platform):
    return replace(platform, clock_difference=lambda: ClockDifference("b", timedelta(minutes=5)))


def clock_behind(platform):
    return replace(platform, clock_difference=lambda: ClockDifference("b", -timedelta(minutes=5)))


def disk(platform):
    return replace(platform, disks=lambda: [Disk("home", 1 << 30)])


def registry(platform):
    training(platform)
    return replace(platform, models=SilentModels())


def stream_service(platform):
    SOURCES.apply(platform, [SOURCE], "ada", at(NOW - 1))
    return platform


def console(platform):
    beat_long_ago(platform, CONSOLE, 6)
    return platform


def channel(platform):
    document = too_hot(notify={"channels": ["chat"]})
    platform.channels["chat"] = Refusing("chat")
    platform.assets.store_assets([oven()])
    apply(platform, [document], "ada", at(NOW - 60), "test")
    add_readings(platform, [ReadingRow("oven-1", at(NOW - 1), {"temperature": 230.0})], at(NOW))
    evaluate(platform, None, at(NOW))
    deliver_due(platform, at(NOW))
    return platform


def asked(**state):
    return lambda platform: (platform, SchedulerState(**state))


def backup(platform):
    for day in (5, 4):
        platform.audit.add("ada", BACKUP_MADE, "/mnt/x", at(NOW - day * DAY))
    return platform


CASES = {
    "source": (source, "source stale"),
    "sink": (sink, "sink behind"),
    "route": (route, "channel unknown"),
    "model": (model, "champion unreadable"),
    "training": (training, "training failed"),
    "evaluation": (evaluation, "evaluation late"),
    "clock": (clock, "clock wrong"),
    "disk": (disk, "disk filling"),
    "registry": (registry, "registry away"),
    "scheduler": (asked(away=PartAway("scheduler", at(NOW - 6))), "scheduler away"),
    "nightly job": (asked(failed=[FailedRun("retain", "no", "/log")]), "scheduled task failed"),
    "paused schedule": (asked(paused=["evaluate__1m"]), "schedule paused"),
    "channel": (channel, "channel failing"),
    "stream service": (stream_service, "part stopped"),
    "console": (console, "part stopped"),
    "backup": (backup, "backup overdue"),
}
"""By the row of the page: what causes it, and the kind of its fault."""
OF_THIS_MACHINE = {
    "own clock": (own_clock, "clock wrong"),
    "own clock behind": (clock_behind, "clock wrong"),
}
OF_THEIR_OWN = {"database": "database away", "certificate": "certificate ends", "all at once": None}
"""Rows with a test of their own below, or in tests/usecases/notification."""


@pytest.fixture
def platform():
    made = in_memory_platform(Mailbox("mail"))
    made.clock.instant = at(NOW)
    ROUTES.apply(made, [ROUTE], "ada", at(0))
    return made


def rows():
    table = PAGE.read_text().split("## What stops, and who hears of it")[1].split("\n## ")[0]
    found = re.findall(r"^\| ([a-z ]+) \| ([^|]+) \|", table, re.M)
    return {name: kind.strip().strip("`") for name, kind in found if name != "stops"}


def test_each_row_of_the_page_has_a_case_and_each_case_a_row():
    kinds = {name: kind for name, (_, kind) in CASES.items()} | OF_THEIR_OWN
    assert {name: kind if kinds[name] else None for name, kind in rows().items()} == kinds


@pytest.mark.parametrize("name", [*CASES, "own clock", "own clock behind"])
def test_what_stops_is_told(platform, name):
    cause, kind = (CASES | OF_THIS_MACHINE)[name]
    stopped = cause(platform)
    stopped, state = stopped if isinstance(stopped, tuple) else (stopped, None)
    check_platform(stopped, at(NOW), ask_scheduler=state and (lambda _: state))
    assert kind in {alert.kind for alert in platform.platform_alerts.open()}
    deliver_due(platform, at(NOW))
    assert any(
        m.subject.startswith(f"Platform: {kind}: ") for m in platform.channels["mail"].messages
    )


def test_the_console_looks_for_parts_only_once_they_have_had_time_to_start(platform):
    stream_service(platform)

    @contextmanager
    def opened():
        yield platform

    monitor = HealthMonitor(opened, lambda: at(NOW), certificate=lambda: at(NOW + 13 * DAY))
    found = []
    for _ in range(11):
        monitor.check()
        found.append({a.kind for a in platform.platform_alerts.open()})
    assert found == [{"certificate ends"}] * 10 + [{"certificate ends", "part stopped"}]
    subjects = {m.subject for m in platform.channels["mail"].messages}
    assert subjects == {
        "Platform: certificate ends: console",
        "Platform: part stopped: stream service",
    }


def test_a_stopped_part_that_starts_again_ends_its_fault(platform):
    check_platform(console(platform), at(NOW))
    assert [a.subject for a in platform.platform_alerts.open()] == ["console"]
    check_platform(platform, at(NOW + 1), asks_registry=False)
    check_platform(platform, at(NOW + 2))
    assert platform.platform_alerts.open() == []


@pytest.mark.parametrize("content", [None, "no certificate"])
def test_a_certificate_that_cannot_be_read_keeps_no_message_back(platform, tmp_path, content):
    pem = tmp_path / "cert.pem"
    if content:
        pem.write_text(content)
    stream_service(platform)

    @contextmanager
    def opened():
        yield platform

    monitor = HealthMonitor(
        opened, lambda: at(NOW), certificate=lambda: read_certificate_end(pem, None)
    )
    for _ in range(11):
        monitor.check()
    assert [m.subject for m in platform.channels["mail"].messages] == [
        "Platform: part stopped: stream service"
    ]
