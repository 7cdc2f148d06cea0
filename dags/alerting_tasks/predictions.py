"""The task of a predict job, and what starts and removes jobs."""

import os
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from airflow.sdk import get_current_context, task
from airflow.sdk.exceptions import AirflowFailException
from alerting_tasks import PREDICT, background_platform, say

from alerting.settings.environment import read_settings

if TYPE_CHECKING:
    from alerting.ports import Platform

DAG_ID = "predict"
_LOST = "its worker ended without scores; Airflow's log has the details"


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


def jobs_to_start() -> list[dict[str, str]]:
    """Return DAG and run id of predict jobs without a run, oldest first; a job whose run ended
    without it has failed."""
    from alerting.wiring import predict_files

    ti = get_current_context()["ti"]
    files = predict_files(read_settings(os.environ))
    found = []
    for job in reversed(files.jobs()):
        if job.state not in ("waiting", "running"):
            continue
        if not ti.get_dr_count(DAG_ID, run_ids=[job.id]):
            found.append({"trigger_dag_id": DAG_ID, "trigger_run_id": job.id})
        elif ti.get_dr_count(DAG_ID, run_ids=[job.id], states=["failed", "success"]):
            files.fail(job.id, _LOST)
    return found


def clean_jobs(platform: "Platform") -> None:
    """Remove predict jobs and their files that are too old."""
    from alerting.wiring import predict_files

    files = predict_files(read_settings(os.environ))
    files.clean(datetime.now(UTC), platform.retention.predictions)
