"""`airflow dag-processor` with the modules of the DAG files loaded: it forks a process for each
file, which would load them again every time."""

import runpy
import sys
from contextlib import suppress
from importlib.metadata import entry_points

from pymongo.synchronous import auth

from alerting.adapters.airflow import dag_files
from alerting.adapters.mongo import mongod_access, shared_mongod
from alerting.kinds.registry import definition_types
from alerting.reporting.definition import decision_text
from alerting.settings import environment

__all__ = [
    "auth",
    "dag_files",
    "decision_text",
    "environment",
    "mongod_access",
    "shared_mongod",
]


def main() -> None:
    """Read the DAG files until it ends."""
    definition_types()
    for provider in entry_points(group="apache_airflow_provider"):
        with suppress(Exception):  # of others: a broken one must not end all DAGs
            provider.load()
    sys.argv = ["airflow", "dag-processor"]
    runpy.run_module("airflow", run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
