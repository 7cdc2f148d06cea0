"""One training DAG per active definition with a model: dataset → candidates → compare → [approve] →
promote.

Airflow reads sixteen copies of this file, `train_00.py` to `train_15.py`, each with the definitions
of one shard.
"""

from pathlib import Path

from airflow.sdk import dag
from alerting_tasks import trained_definitions
from alerting_tasks.training_tasks import (
    Approval,
    ask,
    candidate,
    candidate_timeout,
    compare,
    dataset,
    promote,
    record_failure,
    training_options,
)

from alerting.definitions.alert_definition import ModelDefinition
from alerting.definitions.fields.learning import longest_first


def build(definition: ModelDefinition, revision: int) -> None:
    """Build the DAG of one definition; only its id, text and schedule come from the definition."""

    @dag(dag_id=f"train__{definition.name}", **training_options(definition, revision))
    def training() -> None:
        mlflow_run = dataset(definition.name)
        search = candidate.override(execution_timeout=candidate_timeout(definition)).partial(
            mlflow_run=mlflow_run
        )
        candidates = search.expand(family=longest_first(definition.families))
        decision = compare(mlflow_run)
        candidates >> decision
        [mlflow_run, candidates, decision] >> record_failure(definition.name)
        if definition.promotion.mode == "automatic":
            decision >> promote(mlflow_run)
        else:
            approve = Approval(task_id="approve", mlflow_run=mlflow_run)
            question = ask(decision)
            promoted = promote(mlflow_run, approve.output)
            question >> approve >> promoted
            question >> promoted

    training()


for row in trained_definitions(Path(__file__).stem):
    build(row.definition, row.revision)
