"""The task that waits for a person: it ends with the answer in Airflow, with a decision elsewhere,
or after six days."""

import os
import sys
import tempfile
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace

import pytest

os.environ.setdefault("AIRFLOW_HOME", tempfile.mkdtemp(prefix="airflow-"))
sys.path.append(str(Path(__file__).parents[2] / "dags"))

pytest.importorskip("airflow.sdk")

from airflow.providers.standard.operators import hitl
from airflow.sdk.exceptions import TaskAwaitingInput
from alerting_tasks import training_tasks
from alerting_tasks.training_tasks import answer_of

from alerting.adapters.mongo.mongo import DatabaseDown
from alerting.usecases.definitions.revisions_and_evaluation_plan import apply
from alerting.usecases.training.training_requests import answer_waiting
from tests.builders import at, oven, too_moist
from tests.helpers.learning.waiting import add_waiting
from tests.in_memory_platform import in_memory_platform

NAME = "too-moist"
NOBODY = {"chosen_options": ["Reject"], "params_input": {"reason": None}, "responded_by_user": None}
SAM = {"id": "1", "name": "sam"}


@pytest.fixture
def platform(monkeypatch):
    made = in_memory_platform()
    made.assets.store_assets([oven()])
    apply(made, [too_moist()], "engineer", at(0), "test")

    @contextmanager
    def opened(*_, **__):
        yield made

    monkeypatch.setattr(training_tasks, "opened_platform", opened)
    monkeypatch.setattr(hitl, "upsert_hitl_detail", lambda **_: None)
    return made


CONTEXT = {"task_instance": SimpleNamespace(id="ti")}


@pytest.fixture
def task(platform):
    return training_tasks.Approval(task_id="approve", mlflow_run=add_waiting(platform, NAME))


def parked(call, *arguments, **options):
    with pytest.raises(TaskAwaitingInput) as found:
        call(*arguments, **options)
    return found.value


def answered(**changes):
    return {**NOBODY, "responded_at": datetime.now(UTC), "timedout": False, **changes}


def test_a_decision_elsewhere_ends_the_wait_at_the_next_look(task, platform):
    asked = parked(task.execute, CONTEXT)
    assert asked.timeout == timedelta(minutes=1)
    again = parked(task.execute_complete, CONTEXT, answered(), **asked.kwargs)
    assert again.kwargs == asked.kwargs
    answer_waiting(platform, NAME, "ann")
    assert task.execute_complete(CONTEXT, answered(), **again.kwargs) is None
    assert answer_of(None) == {}
    assert task.execute(CONTEXT) is None  # cleared afterwards


def test_a_database_that_is_away_ends_no_wait(task, monkeypatch):
    @contextmanager
    def away(*_, **__):
        raise DatabaseDown("away")
        yield

    monkeypatch.setattr(training_tasks, "opened_platform", away)
    asked = parked(task.execute, CONTEXT)
    again = parked(task.execute_complete, CONTEXT, answered(), **asked.kwargs)
    assert again.kwargs == asked.kwargs


def test_an_answer_in_airflow_is_returned_with_its_person_and_nobody_in_six_days_is_a_rejection(
    task,
):
    asked = parked(task.execute, CONTEXT)
    answer = answered(chosen_options=["Approve"], responded_by_user=SAM)
    found = task.execute_complete(CONTEXT, answer, **asked.kwargs)
    assert answer_of(dict(found)) == {"approved_by": "sam"}
    late = task.execute_complete(CONTEXT, answered(), since=hours_ago(6 * 24 + 0.1))
    rejected = {"approved_by": "platform", "rejected_reason": "no answer within 6d"}
    assert answer_of(dict(late)) == rejected


def hours_ago(hours):
    return (datetime.now(UTC) - timedelta(hours=hours)).isoformat()


def test_it_looks_less_often_the_longer_it_waits(task):
    looks = {0.2: 1.2, 1: 6, 30: 30}
    minutes = {}
    for hours in looks:
        wait = parked(task.execute_complete, CONTEXT, answered(), since=hours_ago(hours))
        minutes[hours] = wait.timeout.total_seconds() / 60
    assert minutes == pytest.approx(looks, rel=0.1)
