"""Scores the file of a predict job: a run for each job, one at a time."""

from datetime import timedelta

from airflow.sdk import dag
from alerting_tasks import DAG_OPTIONS, TASK_OPTIONS
from alerting_tasks.predictions import score_job


@dag(
    schedule=None,
    tags=["predict"],
    description="Scores files of readings that were sent to the API",
    doc_md=__doc__,
    dagrun_timeout=timedelta(days=1),
    default_args=TASK_OPTIONS,
    **DAG_OPTIONS | {"params": {}},
)
def predict() -> None:
    score_job()


predict()
