"""Training runs and registered models in MLflow: one experiment and one registered model per definition.

Works against a tracking server and against a database (`sqlite:///...`) alike. Models are kept as plain files and come back as
bytes: no loader of MLflow is used, and nothing that a file says is run.
"""

import json
import logging
import os
import platform
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.metadata import version as installed
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from alerting.definitions.faults import UserError
from alerting.ports import Files, ModelUnavailable, RunState
from alerting.readings.history import from_millis

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import LoggedModel

T = TypeVar("T")
CHALLENGER = "challenger"
REQUIREMENTS = "requirements.txt"
LOADER = "alerting.adapters.mlflow.served_model"  # by which MLflow itself reads a model; named, not imported: it needs seconds
_PACKAGES = ("numpy", "pandas", "scikit-learn", "skops", "lightgbm")
_PARENT_RUN = "mlflow.parentRunId"
_VERSIONS_OF_MODEL = "mlflow.modelVersions"  # by which its pages link a model of a run to the registered version
_KIND_OF_EXPERIMENT = {"mlflow.experimentKind": "custom_model_development"}  # by which its pages show runs and models
_LONGEST_DIGEST = 36
_SQLITE = "sqlite:///"
_REACHABLE_FOR_S = 5.0
MOST_FILES = 100  # of one version, with folders
MOST_BYTES = 1 << 30
# What MLflow reads from the environment. Its own patience with a missing server is minutes; ours is seconds, because evaluation
# then says "unknown" and goes on.
_ENVIRONMENT = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",  # standard output belongs to the command
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",
    "MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR": "1",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "30",
}


class RegistryUnavailable(ModelUnavailable, UserError):
    """MLflow did not answer, or not as asked: evaluation says unknown, a command ends with this message."""


class MlflowModels:
    """Port `Models`. Every method raises RegistryUnavailable when MLflow cannot be reached or refuses."""

    shown = True

    def __init__(self, uri: str, artifacts: Path | None = None, timeout: float = 3.0) -> None:
        """`artifacts`: folder for the artifacts of new experiments, which must then be the same for every process, with a server
        or without; None leaves the place to the server, which takes artifacts in and hands them out. `timeout`: seconds to wait
        for a sign of life of the server.
        """
        self._uri = uri
        self._artifacts = artifacts
        self._timeout = timeout
        self._client: MlflowClient | None = None
        self._reachable_until = 0.0

    def start_run(self, definition: str, name: str, tags: Mapping[str, str], parent: str | None = None) -> str:
        """Open a run in the definition's experiment (a child of `parent`) and return its id."""
        lineage = {} if parent is None else {_PARENT_RUN: parent}
        with self._asking() as client:
            run = client.create_run(self._experiment(client, definition), run_name=name, tags={**tags, **lineage})
            return str(run.info.run_id)

    def find_runs(self, parent: str) -> list[tuple[str, dict[str, str]]]:
        """Ids and tags of the children of a run, oldest first."""
        with self._asking() as client:
            experiment = client.get_run(parent).info.experiment_id
            runs = _pages(
                lambda token: client.search_runs(
                    [experiment], f"tags.`{_PARENT_RUN}` = '{parent}'", order_by=["attributes.start_time ASC"], page_token=token
                )
            )
            return [(run.info.run_id, dict(run.data.tags)) for run in runs]

    def open_runs(self, definition: str) -> list[RunState]:
        """Trainings of a definition that are not finished, newest first."""
        with self._asking() as client:
            experiment = client.get_experiment_by_name(definition)
            if experiment is None:
                return []
            running = client.search_runs(
                [experiment.experiment_id], "attributes.status = 'RUNNING'", order_by=["attributes.start_time DESC"]
            )
            return [_run_state(run) for run in running if _PARENT_RUN not in run.data.tags]

    def searches(self, run_id: str) -> list[RunState]:
        """The children of a training run, oldest first."""
        with self._asking() as client:
            experiment = client.get_run(run_id).info.experiment_id
            below = f"tags.`{_PARENT_RUN}` = '{run_id}'"
            return [_run_state(r) for r in client.search_runs([experiment], below, order_by=["attributes.start_time ASC"])]

    def tags(self, run_id: str) -> dict[str, str]:
        """Tags of a run."""
        with self._asking() as client:
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
        """Add to a run. Parameters, once logged, cannot change; metrics and tags are replaced, files of the same name too."""
        with self._asking() as client:
            _log_values(client, run_id, params or {}, metrics or {}, tags or {})
            if files:
                with _as_folder(files) as local:
                    client.log_artifacts(run_id, str(local), folder or None)

    def log_dataset(self, run_id: str, name: str, profile: Mapping[str, Any], inputs: Mapping[str, str]) -> None:
        """Say what a run learns from, where MLflow shows datasets; the same again changes nothing."""
        from mlflow.entities import Dataset, DatasetInput

        columns = [{"name": column, "type": type_, "required": False} for column, type_ in inputs.items()]
        dataset = Dataset(
            name,
            str(profile["hash"])[:_LONGEST_DIGEST],
            "alerting",
            json.dumps({"artifacts": "dataset", "hash": profile["hash"]}),
            schema=json.dumps({"mlflow_colspec": columns}),
            profile=json.dumps(profile),
        )
        with self._asking() as client:
            client.log_inputs(run_id, [DatasetInput(dataset)])

    def files(self, run_id: str, folder: str) -> dict[str, bytes]:
        """The files in a folder of a run by name; none if there is no such folder."""
        with self._asking() as client, tempfile.TemporaryDirectory() as local:
            if not client.list_artifacts(run_id, folder):
                return {}
            return _read_folder(Path(client.download_artifacts(run_id, folder, local)))

    def page(self, run_id: str) -> str | None:
        """Where people see a run; None for a registry without pages."""
        if not self._uri.startswith(("http://", "https://")):
            return None
        with self._asking() as client:
            experiment = client.get_run(run_id).info.experiment_id
        return f"{_public(self._uri).rstrip('/')}/#/experiments/{experiment}/runs/{run_id}"

    def finish(self, run_id: str, failed: bool = False) -> None:
        """Close a run."""
        with self._asking() as client:
            client.set_terminated(run_id, "FAILED" if failed else "FINISHED")

    def register(
        self, definition: str, run_id: str, files: Files, tags: Mapping[str, str], inputs: Mapping[str, str] | None = None
    ) -> int:
        """Register model files as the next version (alias challenger); the same run registers once.

        `inputs`: type of each input column (`double` or `string`), for the signature that MLflow shows.
        """
        with self._asking() as client:
            _ensure_registered(client, definition)
            known = client.search_model_versions(f"name = '{definition}' and run_id = '{run_id}'")
            if known:
                number = int(known[0].version)
            else:
                model = _log_model(client, definition, run_id, files, inputs or {})
                made = client.create_model_version(
                    definition,
                    model.artifact_location,
                    run_id,
                    tags=dict(tags),
                    description=tags.get("figures"),
                    model_id=model.model_id,
                    await_creation_for=None,
                )
                number = int(made.version)
                link = json.dumps([{"name": definition, "version": number}])
                client.set_logged_model_tags(model.model_id, {_VERSIONS_OF_MODEL: link})
            client.set_registered_model_alias(definition, CHALLENGER, str(number))
            return number

    def model_files(self, definition: str, version: int) -> dict[str, bytes]:
        """The files of a version as they were registered."""
        from mlflow.artifacts import download_artifacts
        from mlflow.models.model import MLMODEL_FILE_NAME

        with self._asking() as client, tempfile.TemporaryDirectory() as local:
            place = client.get_model_version_download_uri(definition, str(version))
            _check_size(self._listed(place), definition, version)
            folder = download_artifacts(artifact_uri=place, dst_path=local, tracking_uri=self._uri, registry_uri=self._uri)
            _check_size(_sizes(Path(folder)), definition, version)
            files = _read_folder(Path(folder))
            return {name: data for name, data in files.items() if name not in (MLMODEL_FILE_NAME, REQUIREMENTS)}

    def _listed(self, place: str) -> Iterator[int]:
        """The size of each file and folder under an address, before any of them is fetched."""
        from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

        kept = get_artifact_repository(place, tracking_uri=self._uri, registry_uri=self._uri)
        folders: list[str | None] = [None]
        while folders:
            for found in kept.list_artifacts(folders.pop()):
                if found.is_dir:
                    folders.append(found.path)
                yield int(found.file_size or 0)

    def version_tags(self, definition: str, version: int) -> dict[str, str]:
        """Tags of a version."""
        with self._asking() as client:
            return dict(client.get_model_version(definition, str(version)).tags)

    def versions(self, definition: str) -> list[int]:
        """Numbers of all versions, oldest first."""
        with self._asking() as client:
            found = _pages(lambda token: client.search_model_versions(f"name = '{definition}'", page_token=token))
            return sorted(int(version.version) for version in found)

    def alias(self, definition: str, alias: str) -> int | None:
        """The version that bears this alias."""
        with self._asking() as client:
            number = _aliases(client, definition).get(alias)
            return None if number is None else int(number)

    def set_alias(self, definition: str, alias: str, version: int | None) -> None:
        """Move an alias, or with None take it away."""
        with self._asking() as client:
            if version is not None:
                client.set_registered_model_alias(definition, alias, str(version))
            elif alias in _aliases(client, definition):
                client.delete_registered_model_alias(definition, alias)

    @contextmanager
    def _asking(self) -> "Iterator[MlflowClient]":
        """The client, if MLflow gives a sign of life; what goes wrong with it is told in one sentence."""
        self._require_sign_of_life()
        _prepare_mlflow()
        from mlflow.exceptions import MlflowException
        from sqlalchemy.exc import SQLAlchemyError

        try:
            yield self._connected()
        except (MlflowException, SQLAlchemyError, OSError) as error:
            raise RegistryUnavailable(f"MLflow at {_public(self._uri)}: {str(error).splitlines()[0]}") from error

    def _connected(self) -> "MlflowClient":
        from mlflow import MlflowClient

        if self._client is None:
            self._client = MlflowClient(tracking_uri=self._uri, registry_uri=self._uri)
        return self._client

    def _require_sign_of_life(self) -> None:
        import httpx

        if self._uri.startswith(_SQLITE):
            Path(self._uri.removeprefix(_SQLITE)).parent.mkdir(parents=True, exist_ok=True)
        if not self._uri.startswith(("http://", "https://")) or time.monotonic() < self._reachable_until:
            return
        try:
            httpx.get(f"{self._uri.rstrip('/')}/health", timeout=self._timeout)
        except httpx.TransportError as error:
            raise RegistryUnavailable(
                f"MLflow at {_public(self._uri)} does not answer: start it with `alerting up`, or set ALERTING_MLFLOW_URI "
                f"to a running server ({error})"
            ) from error
        self._reachable_until = time.monotonic() + _REACHABLE_FOR_S

    def _experiment(self, client: "MlflowClient", definition: str) -> str:
        """Id of the definition's experiment, made or taken out of the bin when needed."""
        from mlflow.exceptions import MlflowException

        place = None if self._artifacts is None else (self._artifacts.absolute() / definition).as_uri()
        found = client.get_experiment_by_name(definition)
        if found is None:
            try:
                return str(client.create_experiment(definition, artifact_location=place, tags=_KIND_OF_EXPERIMENT))
            except MlflowException as error:
                if error.error_code != "RESOURCE_ALREADY_EXISTS":
                    raise
                found = client.get_experiment_by_name(definition)
        if found.lifecycle_stage == "deleted":
            client.restore_experiment(found.experiment_id)
        return str(found.experiment_id)


def _run_state(run: Any) -> RunState:
    ended = None if run.info.end_time is None else from_millis(run.info.end_time)
    return RunState(run.info.run_id, dict(run.data.tags), from_millis(run.info.start_time), ended)


def _prepare_mlflow() -> None:
    """What must be set before MLflow is imported; what people have set themselves stays."""
    for name, value in _ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    for noisy in ("alembic", "mlflow.store.db.utils"):  # they tell of every table that a new database gets
        logging.getLogger(noisy).setLevel(logging.WARNING)


def _public(uri: str) -> str:
    """An address without user and password."""
    scheme, _, rest = uri.partition("://")
    return f"{scheme}://{rest.rpartition('@')[2]}"


def _pages(ask: Any) -> list[Any]:
    """All results of a paged search."""
    results: list[Any] = []
    token = None
    while True:
        page = ask(token)
        results.extend(page)
        token = page.token
        if not token:
            return results


def _log_values(
    client: "MlflowClient", run_id: str, params: Mapping[str, Any], metrics: Mapping[str, float], tags: Mapping[str, str]
) -> None:
    """In batches of a hundred, the most that a server takes at once."""
    from mlflow.entities import Metric, Param, RunTag

    now = int(time.time() * 1000)
    for some_params in _hundreds(params):
        client.log_batch(run_id, params=[Param(name, str(value)) for name, value in some_params])
    for some_metrics in _hundreds(metrics):
        client.log_batch(run_id, metrics=[Metric(name, float(value), now, 0) for name, value in some_metrics])
    for some_tags in _hundreds(tags):
        client.log_batch(run_id, tags=[RunTag(name, str(value)) for name, value in some_tags])


def _hundreds(values: Mapping[str, T]) -> Iterator[list[tuple[str, T]]]:
    items = iter(values.items())
    while batch := list(islice(items, 100)):
        yield batch


def _ensure_registered(client: "MlflowClient", definition: str) -> None:
    from mlflow.exceptions import MlflowException

    try:
        client.create_registered_model(definition)
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise


def _aliases(client: "MlflowClient", definition: str) -> dict[str, str]:
    from mlflow.exceptions import MlflowException

    try:
        return dict(client.get_registered_model(definition).aliases)
    except MlflowException as error:
        if error.error_code != "RESOURCE_DOES_NOT_EXIST":
            raise
        return {}


def _log_model(client: "MlflowClient", definition: str, run_id: str, files: Files, inputs: Mapping[str, str]) -> "LoggedModel":
    """Keep model files as a model of the run, with the description by which MLflow's pages know it as one."""
    from mlflow.entities import LoggedModelOutput
    from mlflow.models.model import MLMODEL_FILE_NAME

    experiment = client.get_run(run_id).info.experiment_id
    name = definition.replace(".", "_")  # a model of a run may not have a dot in its name, a registered one may
    model = client.create_logged_model(experiment, name=name, source_run_id=run_id, model_type="classifier")
    requirements = "".join(f"{package}=={installed(package)}\n" for package in _PACKAGES)
    with _as_folder({**files, REQUIREMENTS: requirements.encode()}) as local:
        _description(run_id, model.model_id, sorted(files), inputs).save(str(local / MLMODEL_FILE_NAME))
        client.log_model_artifacts(model.model_id, str(local))
    client.finalize_logged_model(model.model_id, "READY")
    client.log_outputs(run_id, [LoggedModelOutput(model.model_id, 0)])
    return model


def _description(run_id: str, model_id: str, names: Sequence[str], inputs: Mapping[str, str]) -> Any:
    from mlflow.models import Model, ModelSignature
    from mlflow.types import ColSpec, Schema

    columns = [ColSpec(type_, name, required=False) for name, type_ in inputs.items()]
    signature = ModelSignature(Schema(columns), Schema([ColSpec("double", "probability")])) if columns else None
    model = Model(run_id=run_id, model_id=model_id, signature=signature)
    model.add_flavor("python_function", loader_module=LOADER, python_version=platform.python_version())
    return model.add_flavor("alerting", files=list(names), requirements=REQUIREMENTS)


@contextmanager
def _as_folder(files: Files) -> Iterator[Path]:
    """Files on disk, for as long as MLflow copies them."""
    with tempfile.TemporaryDirectory() as folder:
        for name, data in files.items():
            path = Path(folder) / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
        yield Path(folder)


def _sizes(folder: Path) -> Iterator[int]:
    return (path.lstat().st_size for path in folder.rglob("*"))


def _check_size(sizes: Iterable[int], definition: str, version: int) -> None:
    """Raises ModelUnavailable for more files or bytes than any model of ours has; reads no further than that."""
    files = whole = 0
    for size in sizes:
        files, whole = files + 1, whole + size
        if files > MOST_FILES or whole > MOST_BYTES:
            raise ModelUnavailable(
                f"version {version} of {definition!r} has more than {MOST_FILES} files or {MOST_BYTES >> 20} MiB in the "
                "registry, as no model of this platform has; it was not read"
            )


def _read_folder(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}
