"""The task that waits until a person has decided on a model, in Airflow, in the console or by
command."""

from datetime import timedelta
from typing import Any

from airflow.providers.standard.operators.hitl import HITLOperator
from airflow.sdk import Param, timezone
from airflow.sdk.exceptions import TaskAwaitingInput
from alerting_tasks import opened_platform

LONGEST_WAIT = timedelta(days=6)  # an unanswered question must not delay the next weekly training
_FIRST_LOOK = timedelta(minutes=1)
_LAST_LOOK = timedelta(minutes=30)
_SHARE = 10  # of the time waited so far: a question of an hour is looked at every 6 minutes


class Approval(HITLOperator):
    """Ask a person in Airflow whether the challenger goes into service, and look every few minutes
    whether one has decided elsewhere; then the task ends with that.

    `mlflow_run`: of the training. Airflow ends a wait that nobody answers with `defaults`, without
    a person: such an end is only a time to look, until `LONGEST_WAIT`.
    """

    template_fields = (*HITLOperator.template_fields, "mlflow_run")

    def __init__(self, *, mlflow_run: Any, **options: Any) -> None:
        reason = Param(
            None,
            type=["null", "string"],
            description="Reason of a rejection; stored with the decision.",
        )
        own = {
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
        super().__init__(**options | own)
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
        self.response_timeout = min(max(waited / _SHARE, _FIRST_LOOK), _LAST_LOOK)
        try:
            super().execute(context)
        except TaskAwaitingInput as parked:
            parked.kwargs = {"since": since}
            raise

    def _is_decided(self) -> bool:
        """Return whether the proposal has a decision; False while that cannot be read, because the
        next look comes soon, and retries are few."""
        from alerting.usecases.training.runs import is_decided

        try:
            with opened_platform() as platform:
                return is_decided(platform, self.mlflow_run)
        except Exception as fault:  # of database or registry
            self.log.warning("whether there is a decision cannot be read: %s", fault)
            return False
