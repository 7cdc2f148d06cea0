"""The task of a predict job, and what starts and removes jobs."""

import os
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING

from airflow.sdk import get_current_context, task
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException
from alerting_tasks import PREDICT, background_platform, say

from alerting.settings.environment import read_settings

if TYPE_CHECKING:
    from alerting.adapters.platform import Platform

DAG_ID = "predict"
_now = partial(datetime.now, UTC)  # files of this machine are kept by real time
_MOST_RUNS = 100  # of a job; a second is needed only after an outage of the database


@task(execution_timeout=timedelta(hours=7), **PREDICT)
def score_job() -> dict[str, int]:
    """Score the readings of the job that the id of the run names."""
    from alerting.adapters.mongo.mongo import is_outage
    from alerting.usecases.scoring.jobs import run_job
    from alerting.wiring import predict_files

    id = get_current_context()["run_id"].partition("-")[0]
    with background_platform() as platform:
        files = predict_files(read_settings(os.environ))
        job = run_job(platform, platform.predict_jobs, files, id, _now, is_outage)
    if job.result is None:
        if job.state == "failed":
            raise AirflowFailException(job.fault)
        raise AirflowSkipException(f"predict job {id} is {job.state}")
    say(f"{job.result.scores} scores of {job.result.rows} rows of {job.definition}")
    return {"rows": job.result.rows, "scores": job.result.scores}


def jobs_to_start(platform: "Platform") -> list[dict[str, str]]:
    """Return DAG and run id of predict jobs to run that have no run, oldest first."""
    from alerting.usecases.scoring.jobs import unfinished

    ti = get_current_context()["ti"]
    found = []
    for job in unfinished(platform.predict_jobs):
        runs = [f"{job.id}-{number}" for number in range(1, _MOST_RUNS + 1)]
        if ti.get_dr_count(DAG_ID, run_ids=runs, states=["queued", "running"]):
            continue
        ended = ti.get_dr_count(DAG_ID, run_ids=runs)
        found += [
            {"trigger_dag_id": DAG_ID, "trigger_run_id": run} for run in runs[ended : ended + 1]
        ]
    return found


def clean_jobs(platform: "Platform") -> None:
    """Remove predict jobs and their files that are too old."""
    from alerting.usecases.scoring.jobs import clean
    from alerting.wiring import predict_files

    files = predict_files(read_settings(os.environ))
    clean(platform.predict_jobs, files, _now(), platform.retention.predictions)
