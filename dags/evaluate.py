"""One evaluation DAG per cadence: definitions in a few shards, then notifications."""

from datetime import timedelta

from airflow.sdk import dag
from alerting_tasks import DAG_OPTIONS, TASK_OPTIONS, cadences
from alerting_tasks.evaluation_tasks import SLOTS, evaluate, notify, plan

from alerting.definitions.alert_definition import evaluation_dag
from alerting.definitions.faults import parse_duration


def build(every: str) -> None:
    """Build the DAG of one cadence; it goes before training where both wait for a slot."""

    @dag(
        dag_id=evaluation_dag(every),
        schedule=parse_duration(every),
        tags=["evaluate"],
        description=f"Evaluates definitions every {every} and sends notifications",
        doc_md=f"Evaluates the active definitions of cadence {every}, then delivers notifications.",
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
        # a late tick does not evaluate the same shards beside the next one
        shards = evaluate.override(max_active_tis_per_dag=SLOTS).expand_kwargs(planned)
        notify(planned, shards)

    evaluation()


for _every in cadences():
    build(_every)
