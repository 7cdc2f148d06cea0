"""A notifier that makes the state of a DAG or task a reading, which a definition can watch."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from airflow.sdk import BaseNotifier

from alerting.airflow_provider.hooks import DEFAULT_CONNECTION, AlertingHook


class AlertingNotifier(BaseNotifier):  # type: ignore[misc]  # Airflow has no types here
    """Send a reading of a variable: 1 as `on_failure_callback`, `value=0` as `on_success_callback`.

    So a threshold definition raises an alarm on the failure, with routes, escalation and
    acknowledgement, and ends it with the next success. The token needs the role sender.
    """

    template_fields: Sequence[str] = ("asset", "variable")

    def __init__(
        self,
        *,
        asset: str,
        variable: str,
        value: float = 1.0,
        alerting_conn_id: str = DEFAULT_CONNECTION,
    ) -> None:
        super().__init__()
        self.asset = asset
        self.variable = variable
        self.value = value
        self.alerting_conn_id = alerting_conn_id

    def notify(self, context: Any) -> None:  # noqa: ARG002
        """Send the reading. Raises ValueError for a reading that is refused, and as
        `AlertingHook.call` does."""
        now = datetime.now(UTC).isoformat()
        row = {"ts": now, "asset": self.asset, "values": {self.variable: self.value}}
        answer = AlertingHook(self.alerting_conn_id).call("send_readings", [row])
        if answer["refused"]:
            raise ValueError(answer["lines"][0]["reason"])
