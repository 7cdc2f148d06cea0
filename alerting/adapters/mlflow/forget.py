"""Deletion of old model versions that were never in service, and of the runs that no remaining
version needs.

MLflow marks them as deleted; `mlflow gc` then removes them from its database and their artifacts
from the disk.
"""

from collections.abc import Collection, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

from alerting.adapters.mlflow.connection import search_all
from alerting.ports.sweeps import Swept

if TYPE_CHECKING:
    from mlflow import MlflowClient

PARENT_RUN = "mlflow.parentRunId"
_RUNS_OF_VERSION = ("training_run", "search_run", "refreshed_by")


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
        for run in sorted(
            unused, key=lambda run: PARENT_RUN not in run.data.tags
        ):  # a training after its searches
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
