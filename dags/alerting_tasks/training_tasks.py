"""The tasks of a training DAG, and the DAG arguments of its definition; among them the task that
waits until a person has decided on a model, in Airflow, in the console or by command."""

from datetime import timedelta
from typing import Any

from airflow.providers.standard.operators.hitl import HITLOperator
from airflow.sdk import CronTriggerTimetable, Param, get_current_context, task, timezone
from airflow.sdk.exceptions import (
    AirflowFailException,
    AirflowSkipException,
    TaskAwaitingInput,
)
from alerting_tasks import (
    BACKGROUND,
    DAG_OPTIONS,
    SHORT,
    TASK_OPTIONS,
    background_platform,
    opened_platform,
    read_instant,
    run_as_of,
    say,
    say_where,
)

from alerting.definitions.alert_definition import ModelDefinition, TrainedDefinition
from alerting.definitions.faults import format_duration
from alerting.definitions.fields.learning import BASELINES, CLOCK_TO_CPU
from alerting.reporting.definition.decision_text import result_line, side_by_side


@task
def dataset(name: str) -> str:
    """Build the dataset of the newest revision; return the id of its MLflow run."""
    from alerting.usecases.training.due import NotDue
    from alerting.usecases.training.training_steps import prepare

    with background_platform() as platform:
        try:
            as_of = read_instant(run_as_of(platform))
            run_id = prepare(platform, name, as_of, get_current_context()["run_id"])
        except NotDue as changed:
            raise AirflowSkipException(str(changed)) from changed
        say_where(platform, run_id)
        return run_id


@task(
    map_index_template="{{ task.op_kwargs['family'] }}",
    doc_md="Searches one family of models on the dataset.",
)
def candidate(mlflow_run: str, family: str) -> dict[str, Any] | None:
    """Search one model family; return its summary, None if every trial failed. Skipped if the run
    was started for others."""
    from alerting.usecases.training.training_steps import fit

    params = get_current_context()["params"]
    if family not in (*BASELINES, *params["families"]):
        raise AirflowSkipException(f"this run was started without {family}")
    search = (
        {
            "trials": params["trials"],
            "time_budget": timedelta(minutes=params["time_budget_minutes"]),
        }
        if "trials" in params
        else {}
    )
    with background_platform() as platform:
        summary = fit(platform, mlflow_run, family, search=search)
        return None if summary is None else summary.model_dump(mode="json")


@task(trigger_rule="none_failed_min_one_success")  # families of other runs are skipped
def compare(mlflow_run: str) -> dict[str, Any]:
    """Register the challenger, and propose or refuse its promotion, until `promote`."""
    from alerting.usecases.training.compare import compare_run

    searched = (*BASELINES, *get_current_context()["params"]["families"])
    with background_platform() as platform:
        proposal = compare_run(platform, mlflow_run, families=searched)
        say(result_line(proposal))
        say_where(platform, mlflow_run)
    return proposal.model_dump(mode="json", include={"verdict", "promote", "reason"}) | {
        "metrics": side_by_side(proposal)
    }


@task.branch
def ask(decision: dict[str, Any]) -> str:
    """Select the approval task only if a challenger is offered for promotion."""
    return "approve" if decision["promote"] else "promote"


@task(trigger_rule="none_failed")
def promote(mlflow_run: str, answer: dict[str, Any] | None = None) -> dict[str, Any]:
    """Carry out the decision, or retain the champion if the person chose that."""
    from alerting.usecases.training.promote import promote_run

    with background_platform() as platform:
        decided = promote_run(platform, mlflow_run, **answer_of(answer))
        say(result_line(decided))
        say_where(platform, mlflow_run)
    return decided.model_dump(mode="json")


@task(
    trigger_rule="one_failed",
    doc_md="Records that the training failed, so that it is tried again.",
    **SHORT,
)
def record_failure(name: str) -> None:
    """Record the failed tasks of the run as the reason, unless the step has recorded its own."""
    from alerting.usecases.training.due import end_run, failed_in_airflow

    context = get_current_context()
    dag_id = context["dag"].dag_id
    run = context["run_id"]
    states = context["ti"].get_task_states(dag_id, run_ids=[run])[run]
    failed = sorted(task_id for task_id, state in states.items() if state == "failed")
    with opened_platform() as platform:
        end_run(platform, name, run, failed_in_airflow(failed, run, dag_id))


def search_params(definition: ModelDefinition) -> dict[str, Param]:
    """Return the parameters by which one run searches less or longer than its definition says."""
    names = [family for family in definition.families if family not in BASELINES]
    params = {
        "families": Param(
            names,
            type="array",
            items={"type": "string", "enum": names},
            examples=names,
            minItems=1,
            uniqueItems=True,
            description="The families that this run searches, beside what repeats values.",
        )
    }
    if isinstance(definition, TrainedDefinition):
        minutes = definition.learning.time_budget / timedelta(minutes=1)
        params["trials"] = Param(
            definition.learning.trials,
            type="integer",
            minimum=1,
            maximum=1000,
            description="Parameter sets that this run tries per family.",
        )
        params["time_budget_minutes"] = Param(
            minutes,
            type="number",
            exclusiveMinimum=0,
            maximum=minutes + 10,  # which ends before the timeout of its task
            description=(
                "Ceiling of the search per family in CPU minutes, "
                f"{CLOCK_TO_CPU} times as long by the clock."
            ),
        )
    return params


def training_options(definition: ModelDefinition, revision: int) -> dict[str, Any]:
    """Return the arguments of a definition's training DAG; the revision in its text causes a new
    DAG version.

    A later step goes before an earlier step of another training, so that a begun training is
    finished before more begin. All weights stay below the weight of an evaluation.
    """
    cron = definition.retrain_cron
    zone = definition.schedule.timezone
    text = f"""# {definition.title or definition.name}

{definition.training_text}, for {", ".join(definition.assets)}.

Revision **{revision}** · severity {definition.severity} · promotion {definition.promotion.mode}
"""
    return DAG_OPTIONS | {
        "schedule": CronTriggerTimetable(cron, timezone=zone, run_immediately=timedelta(0))
        if cron
        else None,
        "tags": sorted({"train", definition.severity, *(tag[:100] for tag in definition.tags)}),
        "dag_display_name": definition.title or definition.name,
        "doc_md": text,
        "description": (
            f"Trains, compares and promotes the model of {definition.title or definition.name}"
        ),
        "params": DAG_OPTIONS["params"] | search_params(definition),
        # a run that waits for a person's approval does not hold back that of a changed question
        "max_active_runs": 2,
        "max_active_tasks": 2,
        # a run that waits for slots or for a person ends before the next week's
        "dagrun_timeout": timedelta(days=6, hours=12),
        "default_args": TASK_OPTIONS
        | BACKGROUND
        | {
            "owner": definition.owner,
            "execution_timeout": timedelta(hours=3),
            "weight_rule": "upstream",
        },
    }


def candidate_timeout(definition: ModelDefinition) -> timedelta:
    """Return the time after which Airflow stops a family's search, which its last trial exceeds."""
    return timedelta(hours=1) + definition.longest_search


def answer_of(answer: dict[str, Any] | None) -> dict[str, str]:
    """Return the answer of a person as arguments of promote_run; empty if no answer was needed, or
    the person answered elsewhere."""
    if answer is None:
        return {}
    person = (answer["responded_by_user"] or {}).get("name")
    if answer["chosen_options"] == ["Approve"]:
        return {"approved_by": person or "a person without a name"}
    if person is None:
        return {
            "approved_by": "platform",
            "rejected_reason": f"no answer within {format_duration(LONGEST_WAIT)}",
        }
    reason = str((answer["params_input"] or {}).get("reason") or "").strip()
    if not reason:
        raise AirflowFailException(
            f"{person} rejected without a reason, which the decision needs: clear the task "
            "`approve` and answer again. Until then the champion stays."
        )
    return {"approved_by": person, "rejected_reason": reason}


LONGEST_WAIT = timedelta(days=6)  # an unanswered question must not delay the next weekly training
_FIRST_LOOK = timedelta(minutes=1)
_LAST_LOOK = timedelta(minutes=30)
_SHARE_WAITED = 10  # of the time waited so far: a question of an hour is looked at every 6 minutes


class Approval(HITLOperator):
    """Ask a person in Airflow whether the challenger goes into service, and look every few minutes
    whether a person has decided elsewhere; then the task ends with that decision.

    `mlflow_run`: the run of the training. Airflow ends a wait that nobody answers with `defaults`,
    without a person: such an end is only a time to look, until `LONGEST_WAIT`.
    """

    template_fields = (*HITLOperator.template_fields, "mlflow_run")

    def __init__(self, *, mlflow_run: Any, **options: Any) -> None:
        reason = Param(
            None,
            type=["null", "string"],
            description="Reason of a rejection; stored with the decision.",
        )
        fixed = {
            "doc_md": (
                "Asks a person whether the challenger goes into service. Approve needs no reason, "
                "Reject does. Ends within minutes after a decision in the console or by command."
            ),
            "subject": "{{ ti.xcom_pull(task_ids='compare')['reason'] }}",
            "body": "{{ ti.xcom_pull(task_ids='compare')['metrics'] }}",
            "options": ["Approve", "Reject"],
            "defaults": "Reject",
            "params": {"reason": reason},
            "execution_timeout": None,  # a person has the response timeout
            "response_timeout": _FIRST_LOOK,
        }
        super().__init__(**options | fixed)
        self.mlflow_run = mlflow_run

    def execute(self, context: Any) -> Any:
        """Ask, unless somebody has decided before."""
        if self._is_decided():
            return None
        self._ask(context, timezone.utcnow().isoformat())
        return None

    def execute_complete(self, context: Any, event: dict[str, Any], since: str = "") -> Any:
        """Return the answer of a person in Airflow; None if somebody has decided elsewhere, or
        nobody in time. Ask again otherwise."""
        if "error" in event or event.get("responded_by_user"):
            return super().execute_complete(context, event)
        if self._is_decided():
            return None
        waited = timezone.utcnow() - timezone.parse(since)
        if waited >= LONGEST_WAIT:
            return super().execute_complete(context, event)
        self._ask(context, since)
        return None

    def _ask(self, context: Any, since: str) -> None:
        """Park the task until an answer or the next look. Raises TaskAwaitingInput."""
        waited = timezone.utcnow() - timezone.parse(since)
        self.response_timeout = min(max(waited / _SHARE_WAITED, _FIRST_LOOK), _LAST_LOOK)
        try:
            super().execute(context)
        except TaskAwaitingInput as parked:
            parked.kwargs = {"since": since}
            raise

    def _is_decided(self) -> bool:
        """Return whether the proposal has a decision; False while that cannot be read, because the
        next look comes soon, and retries are few."""
        from alerting.usecases.training.training_requests import is_decided

        try:
            with opened_platform() as platform:
                return is_decided(platform, self.mlflow_run)
        except Exception as fault:  # of database or registry
            self.log.warning("whether there is a decision cannot be read: %s", fault)
            return False
