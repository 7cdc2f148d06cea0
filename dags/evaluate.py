"""One evaluation DAG per cadence: definitions in a few shards, then notifications."""

from datetime import timedelta

from airflow.sdk import dag
from alerting_tasks import DAG_OPTIONS, TASK_OPTIONS, cadences
from alerting_tasks.evaluation import evaluate, notify, plan

from alerting.definitions.durations import parse_duration


def build(every: str) -> None:
    """Build the DAG of one cadence; it goes before training where both wait for a slot."""

    @dag(
        dag_id=f"evaluate__{every}",
        schedule=parse_duration(every),
        tags=["evaluate"],
        description=f"Evaluates definitions every {every} and sends notifications",
        doc_md=(
            f"Evaluates the active definitions with cadence {every}, then delivers notifications."
        ),
        default_args=TASK_OPTIONS
        | {
            "retries": 2,
            "retry_delay": timedelta(seconds=5),
            "priority_weight": 10,
            "weight_rule": "absolute",
        },
        dagrun_timeout=timedelta(hours=1),
        **DAG_OPTIONS
        # a tick that is late or tried again does not hold up the next one
        | {"max_active_runs": 3},
    )
    def evaluation() -> None:
        planned = plan(every)
        notify(planned, evaluate.expand_kwargs(planned))

    evaluation()


for every in cadences():
    build(every)
