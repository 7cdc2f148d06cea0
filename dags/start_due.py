"""Starts due work: trainings of questions without one, and predict jobs, whose files are scored
here, too: a run for each job, one at a time."""

import os
from datetime import timedelta
from typing import TYPE_CHECKING

from airflow.providers.standard.operators.trigger_dagrun import TriggerDagRunOperator
from airflow.sdk import dag, get_current_context, task
from airflow.sdk.exceptions import AirflowFailException, AirflowRuntimeError
from alerting_tasks import (
    DAG_OPTIONS,
    PREDICT,
    TASK_OPTIONS,
    background_platform,
    opened_platform,
    say,
)

from alerting.settings.environment import read_settings

if TYPE_CHECKING:
    from alerting.ports import Platform
    from alerting.usecases.training.due import DueTraining

STARTED_AT_ONCE = 20  # trainings that one round starts; each costs a task


@task
def find_due() -> list[dict[str, str]]:
    """Return DAG and run id of the trainings and predict jobs to start now. A definition whose DAG
    does not exist yet waits for the next round."""
    from alerting.local.supervisor import may_run
    from alerting.usecases.training.due import end_dead_trainings, find_due_trainings

    due_runs: list[dict[str, str]] = []
    with opened_platform() as platform:
        jobs = jobs_to_start()
        end_dead_trainings(platform, may_run)
        _end_lost_trainings(platform)
        for due in find_due_trainings(platform, platform.clock.now()):
            if len(due_runs) < STARTED_AT_ONCE and _may_start(platform, due):
                due_runs.append(
                    {"trigger_dag_id": f"train__{due.definition}", "trigger_run_id": due.run}
                )
    return jobs + due_runs


def _end_lost_trainings(platform: "Platform") -> None:
    """Record the end of trainings that Airflow carried out, and of which no run goes on here."""
    from alerting.usecases.training.due import end_run, ended_in_airflow, unfinished_trainings

    ti = get_current_context()["ti"]
    for training in unfinished_trainings(platform, in_airflow=True):
        dag_id = f"train__{training.definition}"
        if not ti.get_dr_count(dag_id, run_ids=[training.run], states=["queued", "running"]):
            reason = ended_in_airflow(training.run, "over")
            end_run(platform, training.definition, training.run, reason)


def _may_start(platform: "Platform", due: "DueTraining") -> bool:
    """Return whether the DAG exists without such a run; one without a record has failed."""
    from alerting.usecases.training.due import end_run, ended_in_airflow

    ti = get_current_context()["ti"]
    dag_id = f"train__{due.definition}"
    try:
        ti.get_dag(dag_id)
    except AirflowRuntimeError as missing:
        say(f"{due.definition} waits for its DAG: {missing}")
        return False
    if due.abandoned and ti.get_dr_count(
        dag_id, run_ids=[due.abandoned], states=["queued", "running"]
    ):
        return False  # it only waits for slots
    if not ti.get_dr_count(dag_id, run_ids=[due.run]):
        return True
    state = ti.get_dagrun_state(dag_id, due.run)
    if state in ("success", "failed"):
        end_run(platform, due.definition, due.run, ended_in_airflow(due.run, state))
    return False


DAG_ID = "predict"
_LOST = "its worker ended without scores; Airflow's log has the details"


def jobs_to_start() -> list[dict[str, str]]:
    """Return DAG and run id of predict jobs without a run, oldest first; a job whose run ended
    without it has failed."""
    from alerting.wiring import predict_files

    ti = get_current_context()["ti"]
    files = predict_files(read_settings(os.environ))
    waiting = []
    for job in reversed(files.jobs()):
        if job.state not in ("waiting", "running"):
            continue
        if not ti.get_dr_count(DAG_ID, run_ids=[job.id]):
            waiting.append({"trigger_dag_id": DAG_ID, "trigger_run_id": job.id})
        elif ti.get_dr_count(DAG_ID, run_ids=[job.id], states=["failed", "success"]):
            files.fail(job.id, _LOST)
    return waiting


@dag(
    schedule=timedelta(minutes=2),
    tags=["train", "predict"],
    description="Starts trainings of new, changed and failed questions, and predict jobs",
    doc_md="Starts what is due: trainings of questions without one, and predict jobs.",
    dagrun_timeout=timedelta(minutes=30),
    default_args=TASK_OPTIONS,
    **DAG_OPTIONS,
)
def start_due() -> None:
    start = TriggerDagRunOperator.partial(
        task_id="start",
        doc_md="Starts one run, unless it was started before.",
        logical_date=None,
        skip_when_already_exists=True,
        openlineage_inject_parent_info=False,
        map_index_template="{{ task.trigger_dag_id }}",
    )
    start.expand_kwargs(find_due())


start_due()


@task(execution_timeout=timedelta(hours=6), **PREDICT)
def score_job() -> dict[str, int]:
    """Score the readings of the job that the id of the run names."""
    from alerting.adapters.mongo.mongo import is_outage
    from alerting.wiring import predict_files

    context = get_current_context()
    ti = context["ti"]
    files = predict_files(read_settings(os.environ))
    with background_platform() as platform:
        is_last = ti.try_number > ti.max_tries
        job = files.run(platform, context["run_id"], is_outage, is_last)
    if job.result is None:
        raise AirflowFailException(job.fault)
    say(f"{job.result.scores} scores of {job.result.rows} rows of {job.definition}")
    return {"rows": job.result.rows, "scores": job.result.scores}


@dag(
    schedule=None,
    tags=["predict"],
    description="Scores files of readings that were sent to the API",
    doc_md="Scores the file of a predict job: a run for each job, one at a time.",
    dagrun_timeout=timedelta(days=1),
    default_args=TASK_OPTIONS,
    **DAG_OPTIONS | {"params": {}},
)
def predict() -> None:
    score_job()


predict()
