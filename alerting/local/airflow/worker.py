"""Worker of Airflow on a host of its own: refused at once without what its tasks need."""

import os
import sys
from collections.abc import Mapping
from pathlib import Path

from alerting.adapters.airflow.dag_files import dag_folder, missing_files
from alerting.definitions.faults import UserError
from alerting.settings.environment import Settings, read_settings, variable
from alerting.wiring import check_keys

FOLDER = "AIRFLOW__CORE__DAGS_FOLDER"


def check_worker(settings: Settings, environ: Mapping[str, str]) -> None:
    """Check that a worker can do every task. Raises UserError if not: Airflow itself would put its
    tasks off without a word."""
    for name in ("mongodb_uri", "mlflow_uri"):
        if getattr(settings, name) is None:
            raise UserError(f"a worker needs {variable(name)}, the server that all hosts use")
    folder = Path(environ.get(FOLDER) or dag_folder(settings.home))
    if missing := missing_files(folder):
        raise UserError(
            f"a worker needs the DAG files of this version, and {folder} lacks {missing[0]}: set "
            f"{FOLDER} to where the image has them, or run `alerting prepare` in this home"
        )
    check_keys(settings)


def main(arguments: list[str]) -> None:
    """Become `airflow celery worker` with these arguments; exit with 1 where that is refused."""
    try:
        check_worker(read_settings(os.environ), os.environ)
    except UserError as refusal:
        sys.exit(f"refused: {refusal}")
    command = (sys.executable, "-m", "airflow", "celery", "worker", *arguments)
    os.execv(sys.executable, command)  # noqa: S606 - no shell


if __name__ == "__main__":
    main(sys.argv[1:])
