"""One training DAG per active classifier definition: dataset → candidates → compare → [approve] → promote."""

from airflow.providers.standard.operators.hitl import HITLOperator
from airflow.sdk import dag
from alerting_tasks import dag_snapshot, is_wanted
from alerting_tasks.training import APPROVAL, ask, candidate, candidate_timeout, compare, dataset, promote, training_options

from alerting.definitions.model import TrainedDefinition


def build(dag_id: str, definition: TrainedDefinition, revision: int) -> None:
    """Build the DAG of one definition; only its id, text and schedule come from the definition."""

    @dag(dag_id=dag_id, **training_options(definition, revision))
    def training() -> None:
        mlflow_run = dataset(definition.name)
        search = candidate.override(execution_timeout=candidate_timeout(definition)).partial(mlflow_run=mlflow_run)
        candidates = search.expand(family=sorted(definition.families))
        decision = compare(mlflow_run)
        candidates >> decision
        if definition.promotion.mode == "automatic":
            decision >> promote(mlflow_run)
        else:
            approve = HITLOperator(task_id="approve", **APPROVAL)
            asked, promoted = ask(decision), promote(mlflow_run, approve.output)
            asked >> approve >> promoted
            asked >> promoted

    training()


for row in dag_snapshot().trained:
    if is_wanted(dag_id := f"train__{row.definition.name}"):
        build(dag_id, row.definition, row.revision)
