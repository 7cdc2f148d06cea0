"""A scheduler that does not run, a DAG that somebody paused, and a task that failed for good are
faults that say what does not happen meanwhile."""

import pytest

from alerting.definitions.platform_limits import HealthLimits
from alerting.usecases.health.open_faults import open_faults
from alerting.usecases.health.platform_health import PlatformFacts, platform_conditions
from alerting.usecases.health.scheduled_tasks import FailedRun, PartAway, SchedulerState
from tests.builders import at
from tests.in_memory_platform import in_memory_platform

LOG = "http://localhost:8080/dags/retain/runs/r1/tasks/delete"
ATTRIBUTE = "AttributeError: 'Swept' object has no attribute 'what'"


def faults_of(state, streamed=()):
    facts = PlatformFacts({}, scheduler=state, streamed=streamed)
    return platform_conditions(facts, HealthLimits(), at(0))


def test_a_failed_run_says_why_where_its_log_is_and_what_does_not_happen():
    [fault] = faults_of(SchedulerState(failed=[FailedRun("retain", ATTRIBUTE, LOG)]))
    assert (fault.kind, fault.subject) == ("scheduled task failed", "retain")
    assert fault.reason == (
        f"its last run failed: {ATTRIBUTE}; until one succeeds, old data are not deleted, and "
        f"models in service are not compared with what came; log: {LOG}"
    )


@pytest.mark.parametrize(
    ("dag", "missing"),
    [
        ("evaluate__1m", "none of these alarms can come"),
        ("evaluate__arrived", "new rows of a source are evaluated later"),
        ("ingest__line-1", "its source is not read"),
        ("maintain", "repeats, escalations and digests are not sent"),
        ("report", "no report is made"),
        ("retain", "old data are not deleted"),
        ("start_due", "no training and no predict job begins"),
        ("predict", "predict jobs wait"),
        ("train__too-moist", "this definition is not trained"),
    ],
)
def test_a_paused_dag_of_the_platform_says_what_does_not_happen(dag, missing):
    [fault] = faults_of(SchedulerState(paused=[dag]))
    assert (fault.kind, fault.subject) == ("schedule paused", dag)
    assert missing in fault.reason


def test_paused_dags_of_one_sort_are_one_fault():
    trained = [f"train__{name}" for name in "dcba"]
    [fault] = faults_of(SchedulerState(paused=trained))
    assert fault.subject == "train__*"
    assert fault.reason.startswith("paused in Airflow: train__a, train__b, train__c and 1 more; ")


def test_a_run_without_an_exception_has_a_reason_too():
    [fault] = faults_of(SchedulerState(failed=[FailedRun("retain", None, LOG)]))
    assert "its last run failed: its worker ended, or it took longer than allowed; " in fault.reason


def test_what_is_not_missing_is_no_fault():
    """The DAGs of others, a source that the stream service reads, and failures told elsewhere."""
    own = ["weather", "reporting", "my_train__x"]
    told = ["train__too-moist", "predict"]
    failed = [FailedRun(dag, "E", LOG) for dag in (*own, *told)]
    state = SchedulerState(paused=[*own, "ingest__line-1"], failed=failed)
    assert faults_of(state, streamed=["line-1"]) == []


@pytest.mark.parametrize(
    ("part", "missing"),
    [
        ("API", "Airflow does not answer since 2026-01-05 00:00 UTC: none of its tasks runs"),
        ("scheduler", "no alarm of a cadence can come, and nothing is trained, reported or"),
        ("dag_processor", "a new definition is neither evaluated nor trained"),
    ],
)
def test_a_part_that_is_away_says_since_when_and_what_does_not_happen(part, missing):
    [fault] = faults_of(SchedulerState(PartAway(part, at(0))))
    assert (fault.kind, fault.subject) == ("scheduler away", "Airflow")
    assert missing in fault.reason


@pytest.mark.parametrize(
    ("dag", "off"), [("evaluate__1m", True), ("maintain", True), ("retain", False)]
)
def test_alarms_are_off_only_without_a_dag_that_they_need(dag, off):
    platform = in_memory_platform()
    platform.platform_alerts.report("schedule paused", dag, "paused", at(0))
    assert (open_faults(platform).since is not None) == off
