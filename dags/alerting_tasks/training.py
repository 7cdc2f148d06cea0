"""The tasks of a training DAG, and what its definition makes of the DAG's arguments."""

from datetime import timedelta
from typing import Any

from airflow.sdk import CronTriggerTimetable, Param, task
from alerting_tasks import DAG_OPTIONS, TASK_OPTIONS, opened_platform, read_instant, run_as_of

from alerting.definitions.durations import format_duration
from alerting.definitions.model import ClassifierDefinition, Problem

APPROVAL: dict[str, Any] = {
    "subject": "{{ ti.xcom_pull(task_ids='compare')['reason'] }}",
    "body": "{{ ti.xcom_pull(task_ids='compare')['figures'] }}",
    "options": ["Approve", "Reject"],
    "defaults": "Reject",
    "params": {"reason": Param("", type="string", description="Kept with the decision.")},
    "response_timeout": timedelta(days=6),  # an unanswered question must not hold up the next weekly training
}
FIGURES = {
    "ap": "average precision",
    "roc_auc": "ROC-AUC",
    "brier": "Brier score",
    "event_recall": "share of problems found",
    "false_alarms_per_week": "false alarms a week and asset",
    "episode_precision": "precision over episodes",
    "time_in_alarm": "share of time in alarm",
    "median_lead_time": "median lead time in seconds",
}


@task
def dataset(name: str) -> str:
    """Build the dataset under the newest revision and return the id of the MLflow run that keeps it."""
    from alerting.pipelines.train import prepare

    with opened_platform() as platform:
        return prepare(platform, name, read_instant(run_as_of(platform)))


@task(map_index_template="{{ task.op_kwargs['family'] }}")
def candidate(mlflow_run: str, family: str) -> dict[str, Any]:
    """Search one model family; returns its summary."""
    from alerting.pipelines.train import fit

    with opened_platform() as platform:
        return fit(platform, mlflow_run, family)


@task
def compare(mlflow_run: str) -> dict[str, Any]:
    """Register the challenger and decide on its promotion; the decision is a proposal until `promote`."""
    from alerting.pipelines.train import compare_run

    with opened_platform() as platform:
        proposal = compare_run(platform, mlflow_run)
    return {key: proposal[key] for key in ("verdict", "promote", "reason")} | {"figures": side_by_side(proposal)}


@task.branch
def ask(decision: dict[str, Any]) -> str:
    """A person is asked only about a challenger that may be promoted."""
    return "approve" if decision["promote"] else "promote"


@task(trigger_rule="none_failed")
def promote(mlflow_run: str, answer: dict[str, Any] | None = None) -> dict[str, Any]:
    """Carry the decision out, or keep the champion as the person said."""
    from alerting.pipelines.train import promote_run

    with opened_platform() as platform:
        return promote_run(platform, mlflow_run, **answer_of(answer))


def training_options(definition: ClassifierDefinition, revision: int) -> dict[str, Any]:
    """The arguments of a definition's training DAG; the revision in its text is what makes a new DAG version."""
    cron, zone = definition.schedule.retrain, definition.schedule.timezone
    text = f"""# {definition.title or definition.name}

Predicts {describe(definition.problem)}, {format_duration(definition.horizon)} ahead, for {", ".join(definition.assets)}.

Revision **{revision}** · severity {definition.severity} · promotion {definition.promotion.mode}
"""
    return DAG_OPTIONS | {
        "schedule": CronTriggerTimetable(cron, timezone=zone, run_immediately=timedelta(0)) if cron else None,
        "tags": sorted({"train", definition.severity, *(tag[:100] for tag in definition.tags)}),
        "doc_md": text,
        "max_active_tasks": 2,  # training never takes every slot from evaluation
        "default_args": TASK_OPTIONS | {"owner": definition.owner},
    }


def describe(problem: Problem) -> str:
    """The problem in words, e.g. `moisture above 4.5 for 5m`."""
    if problem.event:
        return f"event {problem.event}"
    limits = [f"{side} {limit:g}" for side, limit in (("above", problem.above), ("below", problem.below)) if limit is not None]
    hold = f" for {format_duration(problem.hold)}" if problem.hold else ""
    return f"{problem.variable} {' or '.join(limits)}{hold}"


def side_by_side(proposal: dict[str, Any]) -> str:
    """Champion and challenger as a Markdown table: on their common unseen window; the challenger's test period without one."""
    evidence = proposal["evidence"]
    measured = {
        model: evidence["rows"][model] | evidence["at_threshold"][model] if "rows" in evidence else {}
        for model in ("champion", "challenger")
    }
    challenger = measured["challenger"] or proposal["test"]
    lines = [
        f"| {title} | {_figure(measured['champion'].get(key))} | {_figure(challenger.get(key))} |"
        for key, title in FIGURES.items()
    ]
    versions = (
        f"| | champion {proposal['champion_version'] or '(none)'} | challenger {proposal['challenger_version'] or '(none)'} |"
    )
    return "\n".join([versions, "| --- | ---: | ---: |", *lines])


def _figure(value: float | None) -> str:
    return "-" if value is None else f"{value:.3g}"


def answer_of(answer: dict[str, Any] | None) -> dict[str, str]:
    """What a person answered, as arguments of promote_run; nothing when nobody had to be asked."""
    if answer is None:
        return {}
    user = (answer["responded_by_user"] or {}).get("name") or "nobody in time"
    if answer["chosen_options"] == ["Approve"]:
        return {"approved_by": user}
    return {"approved_by": user, "rejected_reason": (answer["params_input"] or {}).get("reason") or "no reason given"}
