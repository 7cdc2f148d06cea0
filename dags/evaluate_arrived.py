"""Evaluation, besides the cadences, of what a source has just delivered."""

from collections.abc import Sequence
from datetime import timedelta

from airflow.sdk import AssetAny, dag
from alerting_tasks import DAG_OPTIONS, TASK_OPTIONS, arriving_sources, source_asset
from alerting_tasks.evaluation import evaluate_arrived, notify, plan_arrived


def build(sources: Sequence[str]) -> None:
    """Build the DAG, which runs after new rows of any of these sources."""

    @dag(
        dag_id="evaluate__arrived",
        schedule=AssetAny(*map(source_asset, sources)) if sources else None,
        tags=["evaluate"],
        description="Evaluates the definitions that read a source when it has delivered new rows",
        doc_md=__doc__,
        default_args=TASK_OPTIONS
        | {
            "retries": 2,
            "retry_delay": timedelta(seconds=5),
            "priority_weight": 10,
            "weight_rule": "absolute",
        },
        dagrun_timeout=timedelta(hours=1),
        **DAG_OPTIONS,
    )
    def evaluation() -> None:
        planned = plan_arrived()
        notify(planned, evaluate_arrived.expand_kwargs(planned))

    evaluation()


if (names := arriving_sources()) is not None:
    build(names)
