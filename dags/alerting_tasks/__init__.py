"""Helpers that the DAG files share.

Airflow parses this module every few minutes and in each task: heavy imports happen inside tasks,
and nothing changes with time.
"""

import logging
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from airflow.sdk import Asset, Param, get_current_context, get_parsing_context
from airflow.sdk.exceptions import AirflowFailException

from alerting.adapters.airflow.dag_files import (
    BACKGROUND_POOL,
    PREDICT_POOL,
    DagSnapshot,
    PolledRow,
    TrainedRevision,
)
from alerting.adapters.mongo.mongod_access import address
from alerting.adapters.mongo.shared_mongod import data_folder
from alerting.definitions.alert_definition import EVALUATION_PREFIX
from alerting.settings.environment import read_settings

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

    from alerting.ports import Platform

_log = logging.getLogger(__name__)
AS_OF = Param(
    None,
    type=["null", "string"],
    format="date-time",
    description=(
        "The run's `as_of`, ISO 8601 with zone; empty: the platform's clock at the first start of "
        "the run."
    ),
)
DAG_OPTIONS: dict[str, Any] = {
    "catchup": False,
    "max_active_runs": 1,
    "params": {"as_of": AS_OF},
}
# Every task may run twice, so it retries during an outage of database or registry for about five
# minutes: 10 s, 20 s, 40 s, ...
TASK_OPTIONS: dict[str, Any] = {
    "owner": "alerting",
    "queue": "evaluation",  # only Celery has queues
    "execution_timeout": timedelta(minutes=30),
    "retries": 5,
    "retry_delay": timedelta(seconds=10),
    "retry_exponential_backoff": 2.0,
    "max_retry_delay": timedelta(minutes=5),
}

# Long work, which leaves slots to evaluation.
BACKGROUND: dict[str, Any] = {"pool": BACKGROUND_POOL, "queue": "background"}
PREDICT = BACKGROUND | {"pool": PREDICT_POOL}
SHORT: dict[str, Any] = {"pool": "default_pool", "queue": TASK_OPTIONS["queue"]}


def cadences() -> list[str]:
    """Return the cadences with an evaluation DAG; in a task its own, without the database."""
    dag_id = get_parsing_context().dag_id
    return [dag_id.removeprefix(EVALUATION_PREFIX)] if dag_id else _snapshot().cadences()


def trained_definitions(file: str) -> list[TrainedRevision]:
    """Return definitions of this DAG file, e.g. `train_07`; in a task the definition of its own
    DAG."""
    dag_id = get_parsing_context().dag_id
    rows = _snapshot().trained(int(file.removeprefix("train_")))
    return [row for row in rows if dag_id in (None, f"train__{row.definition.name}")]


def polled_sources() -> list[PolledRow]:
    """Return the sources that the platform reads; in a task the source of its own DAG."""
    dag_id = get_parsing_context().dag_id
    return [row for row in _snapshot().sources() if dag_id in (None, f"ingest__{row.name}")]


def arriving_sources(polled: Sequence[PolledRow]) -> list[str] | None:
    """Return the sources whose rows start an evaluation; None if there are none, or in a task."""
    dag_id = get_parsing_context().dag_id
    names = [row.name for row in polled] if dag_id is None else []
    return names if names or dag_id == "evaluate__arrived" else None


def source_asset(name: str) -> Asset:
    """Return the asset of Airflow that stands for the new rows of a source."""
    return Asset(f"source__{name}")


def _snapshot() -> DagSnapshot:
    settings = read_settings(os.environ)
    uri = settings.mongodb_uri or address(data_folder(settings.home), settings.mongodb_port)
    return DagSnapshot(uri, settings.database, settings.home / "cache" / "dags")


@contextmanager
def opened_platform() -> "Iterator[Platform]":
    """Yield the platform for a task. A refusal fails at once; an outage is tried again."""
    from alerting.adapters.mongo.mongo import DatabaseDown
    from alerting.definitions.faults import UserError
    from alerting.ports import ModelUnavailable
    from alerting.wiring import open_platform

    try:
        with open_platform(read_settings(os.environ), service=True) as platform:
            yield platform
    except (DatabaseDown, ModelUnavailable):
        raise
    except UserError as refusal:
        raise AirflowFailException(str(refusal)) from refusal


@contextmanager
def background_platform() -> "Iterator[Platform]":
    """Yield the platform for long work. From now on this process lets other tasks go first."""
    os.nice(10)
    with opened_platform() as platform:
        yield platform


def run_as_of(platform: "Platform") -> str:
    """Return the run's as_of: given, or now at the first try, stored for cleared tasks."""
    context = get_current_context()
    stored = context["task_state_store"].get("as_of")
    if stored is None:
        stored = context["params"]["as_of"] or platform.clock.now().isoformat()
        context["task_state_store"].set("as_of", stored)
    return str(stored)


def say(line: str) -> None:
    """Write a sentence to the log of the task."""
    _log.info("%s", line)


def say_where(platform: "Platform", mlflow_run: str) -> None:
    """Write the addresses of the run in MLflow and of the console to the log of the task."""
    from alerting.wiring import console_address

    page = platform.runs.page(mlflow_run)
    say(f"run {mlflow_run} in MLflow{f': {page}' if page else ''}")
    say(f"console: {console_address(read_settings(os.environ))}")


def say_console(page: str) -> None:
    """Write the address of a page of the console to the log of the task."""
    from alerting.wiring import console_address

    say(f"console: {console_address(read_settings(os.environ))}{page}")


def in_numbers(counts: "DataclassInstance") -> dict[str, int]:
    """Return counts as numbers. A list of names becomes its length, and the names go to the log."""
    listed = {key: value for key, value in asdict(counts).items() if not isinstance(value, int)}
    for key, value in listed.items():
        _log.info("%s: %s", key, value)
    return asdict(counts) | {key: len(value) for key, value in listed.items()}


def read_instant(text: str) -> datetime:
    """Return an aware instant in UTC from ISO 8601."""
    instant = datetime.fromisoformat(text)
    if instant.tzinfo is None:
        raise AirflowFailException(
            f"{text!r} has no time zone; write for example 2026-03-01T12:00:00+00:00"
        )
    return instant.astimezone(UTC)
