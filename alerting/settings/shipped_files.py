"""The files beside the code that the platform needs, in a checkout and in a wheel."""

from importlib.resources import files
from pathlib import Path

PACKAGE = Path(str(files("alerting")))


def shipped(name: str) -> Path:
    """Return the file or folder of this name (`dags`, `config/airflow.env`): a wheel has them in
    the package, a checkout beside it. Raises FileNotFoundError if the installation lacks it."""
    in_wheel = PACKAGE / "shipped"
    return ((in_wheel if in_wheel.is_dir() else PACKAGE.parent) / name).resolve(strict=True)
