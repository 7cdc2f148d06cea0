"""Faults of the platform reach a mailbox, each once, and their ends as well: nobody has to look."""

from contextlib import contextmanager, nullcontext
from dataclasses import replace
from datetime import timedelta

import pytest

from alerting.adapters.mongo.mongo import DatabaseDown
from alerting.console.serve import HealthMonitor
from alerting.ports import Disk, ModelUnavailable
from alerting.usecases.data_upkeep import maintain
from alerting.usecases.definitions.revisions_and_evaluation_plan import apply
from alerting.usecases.evaluation.rounds import evaluate
from alerting.usecases.health.scheduled_tasks import FailedRun, PartAway, SchedulerState
from alerting.usecases.ingestion.arrived_rows import add_readings
from alerting.usecases.notification.delivery import deliver_due
from alerting.usecases.notification.routing import ROUTES
from tests.builders import at
from tests.humid_line import DAY, humid_oven, learned_quickly, line
from tests.in_memory_platform import Mailbox, in_memory_platform

NOW = 12 * DAY
ROUTE = {
    "name": "engineers",
    "match": {"tags": ["none"]},
    "channels": ["engineers"],
    "platform": True,
}


class SilentModels:
    def aliases(self, definition):
        raise ModelUnavailable("MLflow does not answer")


@pytest.fixture
def platform():
    made = in_memory_platform(Mailbox("engineers"))
    made.assets.store_assets([humid_oven()])
    ROUTES.apply(made, [ROUTE], "engineer", at(0))
    made.clock.instant = at(NOW)
    return made


def subjects(platform):
    return [message.subject for message in platform.channels["engineers"].messages]


def news(platform, minute):
    """The subjects that come in two rounds of maintenance; the second one adds nothing."""
    before = len(subjects(platform))
    for later in (minute, minute + 2):
        platform.clock.instant = at(later)
        maintain(platform, at(later))
        deliver_due(platform, at(later))
    return sorted(subjects(platform)[before:])


def test_stopped_readings_late_evaluation_a_full_disk_and_a_silent_registry_are_announced(platform):
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
    found = news(ill, NOW + 120)
    assert found == [
        "Platform: disk filling: home",
        "Platform: evaluation late: evaluate__1m",
        "Platform: registry away: MLflow",
        "Platform: source stale: humid-oven",
    ]
    assert {a.kind for a in platform.platform_alerts.open()} == {
        subject.split(": ")[1] for subject in found
    }
    add_readings(platform, [replace(row, ts=at(NOW + 129))], at(NOW + 129))
    platform.clock.instant = at(NOW + 130)
    evaluate(platform, None, at(NOW + 130))
    assert news(platform, NOW + 131) == [
        subject.replace("Platform", "Over: platform") for subject in found
    ]


def test_what_airflow_does_not_run_is_announced_by_the_console_and_the_maintenance_ends_none_of_it(
    platform,
):
    state = SchedulerState(None, ["evaluate__1m"], [FailedRun("retain", "KeyError: 'x'", "log")])
    suspects = []

    def ask(dags):
        suspects.append(dags)
        return state

    monitor = HealthMonitor(lambda: nullcontext(platform), lambda: at(NOW), ask_scheduler=ask)

    def checked(minute):
        platform.clock.instant = at(minute)
        monitor.check()
        return sorted(subjects(platform))

    stopped = [
        "Platform: schedule paused: evaluate__1m",
        "Platform: scheduled task failed: retain",
    ]
    assert checked(NOW) == stopped, "also while the maintenance, which delivers, is paused"
    assert news(platform, NOW + 1) == []
    state = SchedulerState(PartAway("API", at(NOW)), None, None)
    stopped.append("Platform: scheduler away: Airflow")
    assert checked(NOW + 5) == stopped, "what is not known stays as it was"
    assert suspects == [set(), {"retain"}]
    state = SchedulerState()
    assert checked(NOW + 6) == stopped
    over = [subject.replace("Platform", "Over: platform") for subject in stopped]
    assert news(platform, NOW + 7) == over


def test_an_outage_of_the_database_is_announced_by_the_console_and_recorded_when_it_is_over(
    platform,
):
    outage = range(NOW, NOW + 6)
    now = NOW - 1

    @contextmanager
    def opened():
        if now in outage:
            raise DatabaseDown("the database does not answer")
        yield platform

    monitor = HealthMonitor(opened, lambda: at(now))
    heard = []
    for now in (*range(NOW - 1, NOW + 7), NOW + 6):
        platform.clock.instant = at(now)
        monitor.check()
        heard.append(len(subjects(platform)))
    assert heard == [0, 0, 0, 1, 1, 1, 1, 2, 2]  # a restart is shorter, and causes no message
    assert subjects(platform) == [
        "Platform: database away: MongoDB",
        "Over: platform: database away: MongoDB",
    ]
    [alert] = platform.platform_alerts.resolved_since(at(NOW))
    assert alert.resolved_at - alert.opened_at == timedelta(minutes=6)
