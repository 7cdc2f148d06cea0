"""Airflow's DAG files in the home: copies of `dags/`, with the training DAGs dealt to sixteen files
by a hash of the name.

Airflow reads all files every half hour, because reading a thousand DAGs takes a quarter of a
minute of CPU; a file that was modified it reads within seconds. So a changed definition marks its
own file as modified.
"""

import json
import os
import shutil
import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from alerting.definitions.alert_definition import SHARDS, shard_of
from alerting.settings.home_folder import home_errors

BACKGROUND_POOL = "background"
PREDICT_POOL = "predict"
EVALUATION_FILE = "evaluate.py"
SOURCE_FILES = ("ingest.py", "evaluate_arrived.py")
SOURCE = Path(__file__).parents[3] / "dags"
MARGIN_S = 2.0  # a mark is this much later than now, so that a reading under way does not hide it


def dag_folder(home: Path) -> Path:
    """Return the folder of the DAG files of a home."""
    return home / "dags"


def write_dag_files(home: Path) -> None:
    """Write the DAG files of this version into the home, and remove those of others. Raises
    UserError if the home cannot be written. Idempotent.

    A file that is unchanged is not written again, because Airflow would read it again.
    """
    folder = dag_folder(home)
    wanted = dict(_files())
    with home_errors(home):
        for old in [
            path for path in folder.rglob("*.py") if path.relative_to(folder) not in wanted
        ]:
            old.unlink()
        for name, source in wanted.items():
            copy = folder / name
            content = source.read_bytes()
            if copy.exists() and copy.read_bytes() == content:
                continue
            copy.parent.mkdir(parents=True, exist_ok=True)
            draft = copy.with_suffix(".new")
            shutil.copyfile(source, draft)
            draft.replace(copy)


def missing_files(folder: Path) -> list[str]:
    """Return the DAG files of this version that a folder lacks, by name."""
    return [str(name) for name, _ in _files() if not (folder / name).exists()]


def write_pools(home: Path, background_slots: int) -> Path:
    """Write the file of Airflow's pools into the home, for `airflow pools import`; return its
    path. Airflow never starts a task of a missing pool."""
    background = "Trainings and reports: long work, which leaves the other slots to evaluation."
    wanted = ((BACKGROUND_POOL, background_slots, background), (PREDICT_POOL, 1, "Predict jobs."))
    pools = {
        name: {"slots": slots, "description": text, "include_deferred": False}
        for name, slots, text in wanted
    }
    path = home / "airflow_pools.json"
    with home_errors(home):
        path.write_text(json.dumps(pools), encoding="utf-8")
    return path


def training_file(definition: str) -> str:
    """Return the name of the file with the training DAG of a definition."""
    return f"train_{shard_of(definition):02}.py"


def mark(home: Path, files: Iterable[str]) -> None:
    """Mark DAG files as modified: Airflow reads them within seconds instead of minutes. Files that
    are missing or not writable are left as they are."""
    at = time.time() + MARGIN_S
    for file in files:
        with suppress(OSError):
            os.utime(dag_folder(home) / file, (at, at))


def mark_all(home: Path) -> None:
    """Mark every DAG file that depends on a definition or a source."""
    trained = (f"train_{number:02}.py" for number in range(SHARDS))
    mark(home, (EVALUATION_FILE, *SOURCE_FILES, *trained))


def _files() -> Iterable[tuple[Path, Path]]:
    for source in sorted(SOURCE.rglob("*")):
        name = source.relative_to(SOURCE)
        if name == Path("train.py"):
            yield from ((Path(f"train_{number:02}.py"), source) for number in range(SHARDS))
        elif source.suffix == ".py" or source.name == ".airflowignore":
            yield name, source
