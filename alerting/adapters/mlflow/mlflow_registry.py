"""Training runs and registered models in MLflow: one experiment and one registered model per
definition; and the connection to MLflow: its variables, the check that it answers, and its errors.

It works with a tracking server and with a database (`sqlite:///...`) alike.
"""

import json
import logging
import os
import tempfile
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from functools import lru_cache
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import unquote, urlsplit

from alerting.adapters.mlflow.model_description import (
    ENVIRONMENTS,
    describe_model,
    environment_files,
)
from alerting.deferred import load
from alerting.definitions.faults import UserError, first_line
from alerting.ports import MOST_MODEL_BYTES, Files, ModelUnavailable, RunState, Swept
from alerting.readings.history import from_millis, to_millis

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import LoggedModel

PARENT_RUN = "mlflow.parentRunId"
_RUNS_OF_VERSION = ("training_run", "search_run", "refreshed_by")
MOST_FILES = 100  # of one version, with folders
MOST_BYTES = MOST_MODEL_BYTES


T = TypeVar("T")
# tag by which its pages show runs and models
_KIND_OF_EXPERIMENT = {"mlflow.experimentKind": "custom_model_development"}
_NOTE = "mlflow.note.content"  # tag that its pages show as the description
_OWN_NOTE = "alerting.description"  # tag with the description that the platform wrote last
# part of the page of a run with the metrics; the page alone opens on parameters and tags
_METRICS_TAB = "model-metrics"
_OF_MODELS = "?workflowType=machine_learning"  # else MLflow may show language models
_LONGEST_DIGEST = 36  # characters that MLflow stores


class MlflowModels:
    """Ports `TrainingRuns`, `Models`. Methods raise RegistryUnavailable if MLflow is away."""

    shown = True

    def __init__(self, uri: str, artifacts: Path | None = None, timeout: float = 3.0) -> None:
        """Connect to an MLflow.

        `artifacts`: folder for the artifacts of new experiments, the same for every process, with a
        server or without; None leaves the choice to the server, which then stores and serves
        artifacts. `timeout`: seconds to wait for the first answer of the server.
        """
        self._connection = MlflowConnection(uri, timeout)
        self._artifacts = artifacts
        self.require_sign_of_life = self._connection.require_sign_of_life
        self.load_client = self._connection.load_client

    def start_run(
        self, definition: str, name: str, tags: Mapping[str, str], parent: str | None = None
    ) -> str:
        """Open a run in the definition's experiment (a child of `parent`) and return its id."""
        lineage = {} if parent is None else {PARENT_RUN: parent}
        with self._connection.client() as client:
            run = client.create_run(
                self._experiment(client, definition), run_name=name, tags={**tags, **lineage}
            )
            return str(run.info.run_id)

    def describe(self, definition: str, text: str, main_metric: str) -> None:
        with self._connection.client() as client:
            experiment = client.get_experiment(self._experiment(client, definition))
            shown = {  # its pages draw this metric first
                "mlflow.experiment.primaryMetric.name": main_metric,
                "mlflow.experiment.primaryMetric.greaterIsBetter": "true",
            }
            if experiment.tags.get(_NOTE) in (None, "", experiment.tags.get(_OWN_NOTE)):
                shown |= {_NOTE: text, _OWN_NOTE: text}
            for key, value in shown.items():
                if experiment.tags.get(key) != value:
                    client.set_experiment_tag(experiment.experiment_id, key, value)

    def open_runs(self, definition: str) -> list[RunState]:
        with self._connection.client() as client:
            experiment = client.get_experiment_by_name(definition)
            if experiment is None:
                return []
            running = client.search_runs(
                [experiment.experiment_id],
                "attributes.status = 'RUNNING'",
                order_by=["attributes.start_time DESC"],
            )
            return [_run_state(run) for run in running if PARENT_RUN not in run.data.tags]

    def searches(self, run_id: str) -> list[RunState]:
        with self._connection.client() as client:
            experiment = _stored_at(client, run_id).experiment_id
            below = f"tags.`{PARENT_RUN}` = '{run_id}'"
            order = ["attributes.start_time ASC"]
            runs = search_all(
                lambda token: client.search_runs(
                    [experiment], below, order_by=order, page_token=token
                )
            )
            return [_run_state(run) for run in runs]

    def tags(self, run_id: str) -> dict[str, str]:
        with self._connection.client() as client:
            return dict(client.get_run(run_id).data.tags)

    def log(
        self,
        run_id: str,
        params: Mapping[str, Any] | None = None,
        metrics: Mapping[str, float] | None = None,
        tags: Mapping[str, str] | None = None,
        files: Files | None = None,
        folder: str = "",
    ) -> None:
        """Add to a run. Parameters cannot change; metrics, tags and files are replaced."""
        with self._connection.client() as client:
            _log_values(client, run_id, params or {}, metrics or {}, tags or {})
            if files:
                with write_folder(files) as local:
                    client.log_artifacts(run_id, str(local), folder or None)

    def log_dataset(
        self, run_id: str, name: str, profile: Mapping[str, Any], inputs: Mapping[str, str]
    ) -> None:
        from mlflow.entities import Dataset, DatasetInput

        columns = [
            {"name": column, "type": type_, "required": False} for column, type_ in inputs.items()
        ]
        dataset = Dataset(
            name,
            str(profile["hash"])[:_LONGEST_DIGEST],
            "alerting",
            json.dumps({"artifacts": "dataset", "hash": profile["hash"]}),
            schema=json.dumps({"mlflow_colspec": columns}),
            profile=json.dumps(profile),
        )
        with self._connection.client() as client:
            client.log_inputs(run_id, [DatasetInput(dataset)])

    def files(self, run_id: str, folder: str) -> dict[str, bytes]:
        """Return the files in a folder of a run by name; empty without run or folder."""
        with (
            self._connection.client() as client,
            tempfile.TemporaryDirectory() as local,
            _passing("RESOURCE_DOES_NOT_EXIST"),
        ):
            place = _artifacts(_stored_at(client, run_id).artifact_uri, self._connection.uri)
            if place.list_artifacts(folder):
                return read_folder(Path(place.download_artifacts(folder, local)))
        return {}

    def page(self, run_id: str) -> str | None:
        pages = self._connection.page_address
        if pages is None:
            return None
        with self._connection.client() as client:
            experiment = _stored_at(client, run_id).experiment_id
        return f"{pages}/#/experiments/{experiment}/runs/{run_id}/{_METRICS_TAB}"

    def runs_page(self, definition: str) -> str | None:
        pages = self._connection.page_address
        with self._connection.client() as client:
            made = client.get_experiment_by_name(definition) if pages else None
        return made and f"{pages}/#/experiments/{made.experiment_id}/runs{_OF_MODELS}"

    def finish(self, run_id: str, failed: bool = False) -> None:
        with self._connection.client() as client:
            client.set_terminated(run_id, "FAILED" if failed else "FINISHED")

    def register(
        self,
        definition: str,
        run_id: str,
        files: Files,
        tags: Mapping[str, str],
        inputs: Mapping[str, str] | None = None,
    ) -> int:
        """Register model files as the next version (alias challenger); the same run registers once.

        `inputs`: type of each input column (`double` or `string`), for the signature that MLflow
        shows.
        """
        with self._connection.client() as client:
            with _passing("RESOURCE_ALREADY_EXISTS"):
                client.create_registered_model(definition)
            existing = client.search_model_versions(
                f"name = '{definition}' and run_id = '{run_id}'"
            )
            if existing:
                number = int(existing[0].version)
            else:
                model = log_model(
                    client, definition, run_id, files, inputs or {}, tags.get("kind", "model")
                )
                made = client.create_model_version(
                    definition,
                    model.artifact_location,
                    run_id,
                    tags=dict(tags),
                    description=tags.get("metrics_text"),
                    model_id=model.model_id,
                    await_creation_for=None,
                )
                number = int(made.version)
                link = json.dumps([{"name": definition, "version": number}])
                client.set_logged_model_tags(model.model_id, {"mlflow.modelVersions": link})
            client.set_registered_model_alias(definition, "challenger", str(number))
            return number

    def model_files(self, definition: str, version: int) -> dict[str, bytes]:
        """Return a version's files as registered. Raises ModelUnavailable if too large."""
        with self._connection.client() as client:
            return fetch_model_files(client, self._connection.uri, definition, version)

    def version_tags(self, definition: str, version: int) -> dict[str, str]:
        with self._connection.client() as client:
            return dict(client.get_model_version(definition, str(version)).tags)

    def versions(self, definition: str) -> dict[int, dict[str, str]]:
        """Return the tags of all versions by number, oldest first."""
        with self._connection.client() as client:
            registered = search_all(
                lambda token: client.search_model_versions(
                    f"name = '{definition}'", page_token=token
                )
            )
            return dict(
                sorted((int(version.version), dict(version.tags)) for version in registered)
            )

    def aliases(self, definition: str) -> dict[str, int]:
        with self._connection.client() as client, _passing("RESOURCE_DOES_NOT_EXIST"):
            registered = client.get_registered_model(definition)
            return {alias: int(number) for alias, number in registered.aliases.items()}
        return {}

    def set_alias(self, definition: str, alias: str, version: int | None) -> None:
        """Move an alias to a version, or remove it with None."""
        with self._connection.client() as client:
            if version is not None:
                client.set_registered_model_alias(definition, alias, str(version))
            elif alias in self.aliases(definition):
                client.delete_registered_model_alias(definition, alias)

    def forget(
        self, definition: str, keep: Collection[int], before: datetime, *, dry: bool
    ) -> list[Swept]:
        with self._connection.client() as client:
            return forget_models(client, definition, keep, to_millis(before), dry)

    def _experiment(self, client: "MlflowClient", definition: str) -> str:
        """Return the id of the definition's experiment, made or restored if needed."""
        folder = (
            None if self._artifacts is None else (self._artifacts.absolute() / definition).as_uri()
        )
        experiment = client.get_experiment_by_name(definition)
        if experiment is None:
            with _passing("RESOURCE_ALREADY_EXISTS"):
                return str(client.create_experiment(definition, folder, _KIND_OF_EXPERIMENT))
            experiment = client.get_experiment_by_name(definition)
        if experiment.lifecycle_stage == "deleted":
            client.restore_experiment(experiment.experiment_id)
        return str(experiment.experiment_id)


@lru_cache(1_000)
def _stored_at(client: "MlflowClient", run_id: str) -> Any:
    """Return where a run is stored, which never changes: `experiment_id` and `artifact_uri`."""
    return client.get_run(run_id).info


def _run_state(run: Any) -> RunState:
    ended = None if run.info.end_time is None else from_millis(run.info.end_time)
    return RunState(run.info.run_id, dict(run.data.tags), from_millis(run.info.start_time), ended)


def _log_values(
    client: "MlflowClient",
    run_id: str,
    params: Mapping[str, Any],
    metrics: Mapping[str, float],
    tags: Mapping[str, str],
) -> None:
    """Log values in batches of a hundred, the most that a server accepts at once; metrics also to
    the model of the run, if it has one."""
    from mlflow.entities import Metric, Param, RunTag

    now = int(time.time() * 1000)
    for some_params in _batches(params):
        client.log_batch(run_id, params=[Param(name, str(value)) for name, value in some_params])
    models = getattr(client.get_run(run_id).outputs, "model_outputs", ()) if metrics else ()
    model = models[0].model_id if models else None
    for some in _batches(metrics):
        client.log_batch(
            run_id, metrics=[Metric(name, float(v), now, 0, model_id=model) for name, v in some]
        )
    for some_tags in _batches(tags):
        client.log_batch(run_id, tags=[RunTag(name, str(value)) for name, value in some_tags])


def _batches(values: Mapping[str, T]) -> Iterator[list[tuple[str, T]]]:
    items = iter(values.items())
    while batch := list(islice(items, 100)):
        yield batch


@contextmanager
def _passing(code: str) -> Iterator[None]:
    """Pass over MLflow's error of this code."""
    from mlflow.exceptions import MlflowException

    try:
        yield
    except MlflowException as error:
        if error.error_code != code:
            raise


def forget_models(
    client: "MlflowClient", definition: str, keep: Collection[int], before: int, dry: bool
) -> list[Swept]:
    """Delete versions and runs before an instant (ms), except `keep` and their trainings."""
    experiment = client.get_experiment_by_name(definition)
    if experiment is None:
        return []
    versions = search_all(
        lambda token: client.search_model_versions(f"name = '{definition}'", page_token=token)
    )
    runs = search_all(
        lambda token: client.search_runs([experiment.experiment_id], page_token=token)
    )
    old = [v for v in versions if int(v.version) not in keep and v.creation_timestamp < before]
    needed = _needed_trainings([v for v in versions if v not in old], runs)
    trainings = {run.info.run_id: run for run in runs}
    unused = [
        run
        for run in runs
        if _training(run) not in needed
        and int(trainings.get(_training(run), run).info.start_time) < before
    ]
    result = [
        Swept("model versions", len(old), None),
        Swept("training runs", len(unused), _bytes_of(unused)),
    ]
    if not dry:
        for version in old:
            client.delete_model_version(definition, version.version)
            if version.model_id:
                client.delete_logged_model(version.model_id)
        searches_first = sorted(unused, key=lambda run: PARENT_RUN not in run.data.tags)
        for run in searches_first:
            client.delete_run(run.info.run_id)
    return result


def _needed_trainings(versions: Sequence[Any], runs: Sequence[Any]) -> set[str]:
    trainings = {run.info.run_id: _training(run) for run in runs}
    named = {version.run_id for version in versions}
    named |= {
        version.tags[tag] for version in versions for tag in _RUNS_OF_VERSION if tag in version.tags
    }
    return {trainings.get(run, run) for run in named}


def _training(run: Any) -> str:
    return str(run.data.tags.get(PARENT_RUN, run.info.run_id))


def _bytes_of(runs: Sequence[Any]) -> int | None:
    folders = [urlsplit(run.info.artifact_uri) for run in runs]
    if any(folder.scheme not in ("", "file") for folder in folders):
        return None
    files = (file for folder in folders for file in Path(unquote(folder.path)).rglob("*"))
    return sum(file.stat().st_size for file in files if file.is_file())


def log_model(
    client: "MlflowClient",
    definition: str,
    run_id: str,
    files: Files,
    inputs: Mapping[str, str],
    kind: str,
) -> "LoggedModel":
    """Log files as a model of the run, with the description that MLflow's pages need."""
    from mlflow.entities import LoggedModelOutput
    from mlflow.models.model import MLMODEL_FILE_NAME

    experiment = _stored_at(client, run_id).experiment_id
    # a model of a run may not have a dot in its name, a registered one may
    name = definition.replace(".", "_")
    model = client.create_logged_model(experiment, name=name, source_run_id=run_id, model_type=kind)
    with write_folder({**files, **environment_files(files)}) as local:
        described = describe_model(run_id, model.model_id, files, inputs, kind)
        described.save(str(local / MLMODEL_FILE_NAME))
        client.log_model_artifacts(model.model_id, str(local))
    client.finalize_logged_model(model.model_id, "READY")
    client.log_outputs(run_id, [LoggedModelOutput(model.model_id, 0)])
    return model


def fetch_model_files(
    client: "MlflowClient", uri: str, definition: str, version: int
) -> dict[str, bytes]:
    """Return the files of a registered version by name. Raises ModelUnavailable if it exceeds the
    limits of a model.

    `uri`: of MLflow.
    """
    from mlflow.artifacts import download_artifacts
    from mlflow.models.model import MLMODEL_FILE_NAME

    with tempfile.TemporaryDirectory() as local:
        address = client.get_model_version_download_uri(definition, str(version))
        _check_size(_list_sizes(uri, address), definition, version)
        folder = download_artifacts(
            artifact_uri=address, dst_path=local, tracking_uri=uri, registry_uri=uri
        )
        _check_size((path.lstat().st_size for path in Path(folder).rglob("*")), definition, version)
        files = read_folder(Path(folder))
    descriptions = {MLMODEL_FILE_NAME, *ENVIRONMENTS.values()}
    return {name: data for name, data in files.items() if name not in descriptions}


@contextmanager
def write_folder(files: Files) -> Iterator[Path]:
    """Yield a folder with these files for a block."""
    with tempfile.TemporaryDirectory() as folder:
        for name, data in files.items():
            path = Path(folder) / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
        yield Path(folder)


def read_folder(folder: Path) -> dict[str, bytes]:
    """Return the files in a folder by their path in it."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def _list_sizes(uri: str, address: str) -> Iterator[int]:
    """Yield the size of each file and folder under an address, before any of them is fetched."""
    artifacts = _artifacts(address, uri)
    folders: list[str | None] = [None]
    while folders:
        for file in artifacts.list_artifacts(folders.pop()):
            if file.is_dir:
                folders.append(file.path)
            yield int(file.file_size or 0)


def _artifacts(address: str, uri: str) -> Any:
    """Return the repository of the artifacts at an address."""
    from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

    return get_artifact_repository(address, tracking_uri=uri, registry_uri=uri)


def _check_size(sizes: Iterable[int], definition: str, version: int) -> None:
    """Check number and bytes of files, up to the limit. Raises ModelUnavailable beyond it."""
    total = 0
    for files, size in enumerate(sizes, 1):
        total += size
        if files > MOST_FILES or total > MOST_BYTES:
            raise ModelUnavailable(
                f"version {version} of {definition!r} has more than {MOST_FILES} files or "
                f"{MOST_BYTES >> 20} MiB in the "
                "registry, more than a model of this platform has; it was not read"
            )


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
                f"MLflow at {public_address(self.uri)}: {first_line(error)}"
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
