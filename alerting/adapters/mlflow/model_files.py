"""The files of models in MLflow, logged with a run in the form that MLflow can serve, and fetched
unchanged.

Files are plain and are fetched as bytes: the platform uses no loader of MLflow and runs no code
from a file.
"""

import platform
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from alerting.ports import MOST_MODEL_BYTES, Files, ModelUnavailable

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import LoggedModel

# loader that MLflow itself uses; named, not imported: the import takes seconds
LOADER = "alerting.adapters.mlflow.served_model"
MOST_FILES = 100  # of one version, with folders
MOST_BYTES = MOST_MODEL_BYTES


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

    experiment = client.get_run(run_id).info.experiment_id
    # a model of a run may not have a dot in its name, a registered one may
    name = definition.replace(".", "_")
    model = client.create_logged_model(experiment, name=name, source_run_id=run_id, model_type=kind)
    with write_folder(files) as local:
        _describe(run_id, model.model_id, sorted(files), inputs, kind).save(
            str(local / MLMODEL_FILE_NAME)
        )
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
    return {name: data for name, data in files.items() if name != MLMODEL_FILE_NAME}


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


def _describe(
    run_id: str, model_id: str, names: Sequence[str], inputs: Mapping[str, str], kind: str
) -> Any:
    from mlflow.models import Model, ModelSignature
    from mlflow.types import ColSpec, Schema

    columns = [ColSpec(type_, name, required=False) for name, type_ in inputs.items()]
    signature = (
        ModelSignature(Schema(columns), Schema([ColSpec("double", "probability")]))
        if columns
        else None
    )
    model = Model(run_id=run_id, model_id=model_id, signature=signature)
    model.add_flavor(
        "python_function", loader_module=LOADER, python_version=platform.python_version()
    )
    return model.add_flavor("alerting", files=list(names), kind=kind)


def _list_sizes(uri: str, address: str) -> Iterator[int]:
    """Yield the size of each file and folder under an address, before any of them is fetched."""
    from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

    artifacts = get_artifact_repository(address, tracking_uri=uri, registry_uri=uri)
    folders: list[str | None] = [None]
    while folders:
        for found in artifacts.list_artifacts(folders.pop()):
            if found.is_dir:
                folders.append(found.path)
            yield int(found.file_size or 0)


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
