"""The platform's REST API for tasks of any Airflow."""

from typing import Any

from airflow.sdk import BaseHook
from airflow.sdk.exceptions import AirflowFailException

from alerting.client import ApiProblem, Client

DEFAULT_CONNECTION = "alerting_default"
_REFUSED = (400, 401, 403, 404, 413, 422)


class AlertingHook(BaseHook):  # type: ignore[misc]  # Airflow has no types here
    """Hook of a connection of type `alerting`: its host is the address of the console, its password
    a token; its extra may have `verify`, the file of the plant's certificate authority."""

    conn_name_attr = "alerting_conn_id"
    default_conn_name = DEFAULT_CONNECTION
    conn_type = "alerting"
    hook_name = "Alerting platform"

    def __init__(self, alerting_conn_id: str = DEFAULT_CONNECTION) -> None:
        super().__init__()
        self.alerting_conn_id = alerting_conn_id
        self._client: Client | None = None

    def get_conn(self) -> Client:
        """Return the client of the API, the same at each call. Raises AirflowFailException for a
        connection without address or token."""
        if self._client is not None:
            return self._client
        connection = self.get_connection(self.alerting_conn_id)
        host = connection.host or ""
        if "://" not in host and connection.port:
            host = f"{connection.schema or 'http'}://{host}:{connection.port}"
        try:
            if "://" not in host:
                raise ValueError("its host is no address, e.g. https://alerting.plant.example")
            options = {
                k: v for k, v in connection.extra_dejson.items() if k in ("verify", "timeout")
            }
            self._client = Client(host, connection.password or "", **options)
        except (ValueError, OSError) as fault:  # or a certificate that cannot be read
            raise AirflowFailException(f"connection {self.alerting_conn_id}: {fault}") from fault
        return self._client

    def call(self, operation: str, /, *values: Any, **parameters: Any) -> Any:
        """Return the answer of an operation of the API, as `alerting.client` does. A refusal that
        another try cannot change raises AirflowFailException; ApiProblem and ConnectionError are
        left to the retries of the task."""
        try:
            return self.get_conn().call(operation, *values, **parameters)
        except ApiProblem as refusal:
            if refusal.status not in _REFUSED:
                raise
            raise AirflowFailException(str(refusal)) from refusal

    def test_connection(self) -> tuple[bool, str]:
        """Return whether address and token are valid, and a sentence."""
        try:
            definitions = self.call("list_definitions")
        except (AirflowFailException, ApiProblem, ConnectionError) as fault:
            return False, str(fault)
        return True, f"the platform answers; it has {len(definitions)} definitions"
