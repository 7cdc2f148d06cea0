"""The tasks of a training DAG, and the DAG arguments of its definition."""

from datetime import timedelta
from typing import Any

from airflow.sdk import CronTriggerTimetable, Param, task
from airflow.sdk.exceptions import AirflowFailException
from alerting_tasks import DAG_OPTIONS, TASK_OPTIONS, opened_platform, read_instant, run_as_of, say, say_where

from alerting.definitions.durations import format_duration
from alerting.definitions.model import Problem, TrainedDefinition
from alerting.reporting.decision_text import candidate_line, decision_lines, side_by_side

APPROVAL: dict[str, Any] = {
    "doc_md": "Asks a person whether the challenger goes into service. Approve needs no reason, Reject does.",
    "subject": "{{ ti.xcom_pull(task_ids='compare')['reason'] }}",
    "body": "{{ ti.xcom_pull(task_ids='compare')['metrics'] }}",
    "options": ["Approve", "Reject"],
    "defaults": "Reject",
    "params": {"reason": Param(None, type=["null", "string"], description="Reason of a rejection; stored with the decision.")},
    "response_timeout": timedelta(days=6),  # an unanswered question must not delay the next weekly training
}


@task
def dataset(name: str) -> str:
    """Build the dataset under the newest revision and return the id of the MLflow run that stores it."""
    from alerting.usecases.training.train import prepare

    with opened_platform() as platform:
        run_id = prepare(platform, name, read_instant(run_as_of(platform)), say)
        say_where(platform, run_id)
        return run_id


@task(map_index_template="{{ task.op_kwargs['family'] }}", doc_md="Searches one family of models on the dataset.")
def candidate(mlflow_run: str, family: str) -> dict[str, Any]:
    """Search one model family; return its summary."""
    from alerting.usecases.training.train import fit

    with opened_platform() as platform:
        summary = fit(platform, mlflow_run, family)
        say(candidate_line(summary))
        return summary.model_dump(mode="json")


@task
def compare(mlflow_run: str) -> dict[str, Any]:
    """Register the challenger and decide on its promotion; the decision is a proposal until `promote`."""
    from alerting.usecases.training.compare import compare_run

    with opened_platform() as platform:
        proposal = compare_run(platform, mlflow_run)
        for line in decision_lines(proposal):
            say(line)
        say_where(platform, mlflow_run)
    return proposal.model_dump(mode="json", include={"verdict", "promote", "reason"}) | {"metrics": side_by_side(proposal)}


@task.branch
def ask(decision: dict[str, Any]) -> str:
    """Select the approval task if the decision offers a challenger for promotion; only then does a person have to answer."""
    return "approve" if decision["promote"] else "promote"


@task(trigger_rule="none_failed")
def promote(mlflow_run: str, answer: dict[str, Any] | None = None) -> dict[str, Any]:
    """Carry out the decision, or retain the champion if the person chose that."""
    from alerting.usecases.training.promote import promote_run

    with opened_platform() as platform:
        decided = promote_run(platform, mlflow_run, **answer_of(answer))
        say(decision_lines(decided)[-1])
        say_where(platform, mlflow_run)
    return decided.model_dump(mode="json")


def training_options(definition: TrainedDefinition, revision: int) -> dict[str, Any]:
    """Return the arguments of a definition's training DAG; the revision in its text causes a new DAG version."""
    cron, zone = definition.schedule.retrain, definition.schedule.timezone
    text = f"""# {definition.title or definition.name}

Predicts {describe(definition.problem)}, {format_duration(definition.horizon)} ahead, for {", ".join(definition.assets)}.

Revision **{revision}** · severity {definition.severity} · promotion {definition.promotion.mode}
"""
    return DAG_OPTIONS | {
        "schedule": CronTriggerTimetable(cron, timezone=zone, run_immediately=timedelta(0)) if cron else None,
        "tags": sorted({"train", definition.severity, *(tag[:100] for tag in definition.tags)}),
        "doc_md": text,
        "description": f"Trains, compares and promotes the model of {definition.title or definition.name}",
        "max_active_tasks": 2,  # training never takes every slot from evaluation
        "default_args": TASK_OPTIONS | {"owner": definition.owner},
    }


def candidate_timeout(definition: TrainedDefinition) -> timedelta:
    """Return the time after which Airflow stops the search of a family; a trial begun within the time budget may exceed it."""
    return timedelta(hours=1) + 4 * definition.learning.time_budget


def describe(problem: Problem) -> str:
    """Return the description of a problem, e.g. `moisture above 4.5 for 5m`."""
    if problem.event:
        return f"event {problem.event}"
    limits = [f"{side} {limit:g}" for side, limit in (("above", problem.above), ("below", problem.below)) if limit is not None]
    hold = f" for {format_duration(problem.hold)}" if problem.hold else ""
    return f"{problem.variable} {' or '.join(limits)}{hold}"


def answer_of(answer: dict[str, Any] | None) -> dict[str, str]:
    """Return the answer of a person as arguments of promote_run; empty if no answer was needed."""
    if answer is None:
        return {}
    person = (answer["responded_by_user"] or {}).get("name")
    if answer["chosen_options"] == ["Approve"]:
        return {"approved_by": person or "a person without a name"}
    if person is None:
        return {
            "approved_by": "platform",
            "rejected_reason": f"no answer within {format_duration(APPROVAL['response_timeout'])}",
        }
    reason = str((answer["params_input"] or {}).get("reason") or "").strip()
    if not reason:
        raise AirflowFailException(
            f"{person} rejected without a reason, which the decision needs: clear the task `approve` and answer again. "
            "Until then the champion stays."
        )
    return {"approved_by": person, "rejected_reason": reason}
