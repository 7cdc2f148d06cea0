"""The connection to MLflow: its variables, the check that it answers, and its errors."""

import logging
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from alerting.deferred import load
from alerting.definitions.faults import UserError
from alerting.ports import ModelUnavailable

if TYPE_CHECKING:
    from mlflow import MlflowClient

_SQLITE = "sqlite:///"
_SERVER = ("http://", "https://")
# MLflow itself waits minutes for a missing server. The platform waits seconds: evaluation then
# returns "unknown" and continues.
_ENVIRONMENT = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",  # standard output belongs to the command
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",
    "MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR": "1",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "30",
}
_REACHABLE_FOR_S = 5.0


class RegistryUnavailable(ModelUnavailable, UserError):
    """Error: MLflow did not answer as expected. Evaluation is unknown; a command ends."""


class MlflowConnection:
    """Connection to one MLflow, server or database. `timeout`: of a server's first answer."""

    def __init__(self, uri: str, timeout: float) -> None:
        self.uri = uri
        self._timeout = timeout
        self._client: MlflowClient | None = None
        self._reachable_until = 0.0

    @property
    def page_address(self) -> str | None:
        """Return the address of MLflow's pages, without user and password; None for a database."""
        return public_address(self.uri).rstrip("/") if self.uri.startswith(_SERVER) else None

    @contextmanager
    def client(self) -> "Iterator[MlflowClient]":
        """Yield the client. Raises RegistryUnavailable if MLflow does not answer or fails."""
        self.require_sign_of_life()
        self.load_client()
        from mlflow.exceptions import MlflowException
        from sqlalchemy.exc import SQLAlchemyError

        try:
            yield self._connect()
        except (MlflowException, SQLAlchemyError, OSError) as error:
            raise RegistryUnavailable(
                f"MLflow at {public_address(self.uri)}: {str(error).splitlines()[0]}"
            ) from error

    def load_client(self) -> None:
        """Load MLflow's client, which takes seconds the first time."""
        _prepare_mlflow()
        load("mlflow")  # which loads PyArrow

    def _connect(self) -> "MlflowClient":
        from mlflow import MlflowClient

        if self._client is None:
            self._client = MlflowClient(tracking_uri=self.uri, registry_uri=self.uri)
        return self._client

    def require_sign_of_life(self) -> None:
        """Check that a server answers. Raises RegistryUnavailable."""
        import httpx

        if self.uri.startswith(_SQLITE):
            Path(self.uri.removeprefix(_SQLITE)).parent.mkdir(parents=True, exist_ok=True)
        if not self.uri.startswith(_SERVER) or time.monotonic() < self._reachable_until:
            return
        try:
            httpx.get(f"{self.uri.rstrip('/')}/health", timeout=self._timeout)
        except httpx.TransportError as error:
            raise RegistryUnavailable(
                f"MLflow at {public_address(self.uri)} does not answer: start it with `alerting "
                "up`, or set ALERTING_MLFLOW_URI "
                f"to a running server ({error})"
            ) from error
        self._reachable_until = time.monotonic() + _REACHABLE_FOR_S


def search_all(search: Callable[[str | None], Any]) -> list[Any]:
    """Return all results of a paged search. `search`: returns the page of a token."""
    results: list[Any] = []
    token: str | None = None
    while True:
        page = search(token)
        results.extend(page)
        token = page.token
        if not token:
            return results


def public_address(uri: str) -> str:
    """Return an address without user and password."""
    scheme, _, address = uri.partition("://")
    return f"{scheme}://{address.rpartition('@')[2]}"


def _prepare_mlflow() -> None:
    """Set the variables that MLflow reads at its import; existing values stay."""
    for name, value in _ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    for noisy in ("alembic", "mlflow.store.db.utils"):  # they log every table of a new database
        logging.getLogger(noisy).setLevel(logging.WARNING)
