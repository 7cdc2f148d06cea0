"""One evaluation DAG per cadence and plant: definitions in a few shards, then notifications.

Each plant has runs of its own, so that a slow or failed one delays no other.
"""

from datetime import timedelta

from airflow.sdk import dag
from alerting_tasks import DAG_OPTIONS, TASK_OPTIONS, ticks
from alerting_tasks.evaluation import SLOTS, evaluate, notify, plan

from alerting.adapters.airflow.dag_snapshot import Tick
from alerting.definitions.durations import parse_duration
from alerting.definitions.shards import tasks_of_plant


def build(tick: Tick, tasks: int) -> None:
    """Build the DAG of one cadence and plant, with so many tasks at once; it goes before training
    where both wait for a slot."""
    where = f" in the plant {tick.plant}" if tick.plant else ""

    @dag(
        dag_id=tick.dag,
        schedule=parse_duration(tick.every),
        tags=["evaluate", tick.plant] if tick.plant else ["evaluate"],
        description=f"Evaluates definitions every {tick.every}{where} and sends notifications",
        doc_md=(
            f"Evaluates the active definitions with cadence {tick.every}{where}, then delivers "
            "notifications."
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
        planned = plan(tick.every, tick.plant)
        # a late tick does not evaluate the same shards beside the next one
        shards = evaluate.override(max_active_tis_per_dag=tasks).expand_kwargs(planned)
        notify(planned, shards)

    evaluation()


_found = ticks()
for _one in _found:
    build(_one, tasks_of_plant(SLOTS, len({tick.plant for tick in _found})))
