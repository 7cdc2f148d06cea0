"""Starts what is due: trainings of questions without one, and predict jobs."""

from datetime import timedelta

from airflow.providers.standard.operators.trigger_dagrun import TriggerDagRunOperator
from airflow.sdk import dag
from alerting_tasks import DAG_OPTIONS, TASK_OPTIONS
from alerting_tasks.training import find_due


@dag(
    schedule=timedelta(minutes=2),
    tags=["train", "predict"],
    description="Starts trainings of new, changed and failed questions, and predict jobs",
    doc_md=__doc__,
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
