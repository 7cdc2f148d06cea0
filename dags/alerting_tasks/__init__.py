"""What the DAG files share. It is parsed every few seconds: heavy imports happen inside tasks, and nothing changes with time."""

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from airflow.sdk import Param, get_current_context, get_parsing_context
from airflow.sdk.exceptions import AirflowFailException

from alerting.settings import LOOPBACK, read_settings
from alerting.stores.dag_snapshot import DagSnapshot, read_dag_snapshot

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

    from alerting.pipelines.ports import Platform

_log = logging.getLogger(__name__)
AS_OF = Param(
    None,
    type=["null", "string"],
    format="date-time",
    description="The instant to pretend it is, ISO 8601 with zone; empty: the platform's clock when the run first starts.",
)
DAG_OPTIONS: dict[str, Any] = {
    "catchup": False,
    "max_active_runs": 1,
    "params": {"as_of": AS_OF},
}
# Every task may run twice, so an outage of database or registry is waited out for about five minutes: 10 s, 20 s, 40 s, ...
TASK_OPTIONS: dict[str, Any] = {
    "retries": 5,
    "retry_delay": timedelta(seconds=10),
    "retry_exponential_backoff": 2.0,
    "max_retry_delay": timedelta(minutes=5),
}


def dag_snapshot() -> DagSnapshot:
    """The definitions that DAGs are made of."""
    settings = read_settings(os.environ)
    embedded = f"mongodb://{LOOPBACK}:{settings.mongodb_port}/?directConnection=true"
    return read_dag_snapshot(settings.mongodb_uri or embedded, settings.database, settings.home)


def is_wanted(dag_id: str) -> bool:
    """Whether this parse needs the DAG: the DAG processor needs all of them, a task only its own."""
    own = get_parsing_context().dag_id
    return own is None or own == dag_id


@contextmanager
def opened_platform() -> "Iterator[Platform]":
    """The platform for one task. What was refused fails the task at once; an outage of a server is tried again."""
    from alerting.definitions.faults import Refused
    from alerting.pipelines.ports import ModelUnavailable
    from alerting.stores.mongo import DatabaseDown
    from alerting.wiring import open_platform

    try:
        with open_platform(read_settings(os.environ)) as platform:
            yield platform
    except (DatabaseDown, ModelUnavailable):
        raise
    except Refused as refusal:
        raise AirflowFailException(str(refusal)) from refusal


def run_as_of(platform: "Platform") -> str:
    """The run's as_of: as given, or the clock's now at the first try. It is kept, so that a cleared task sees the same."""
    context = get_current_context()
    kept = context["task_state_store"].get("as_of")
    if kept is None:
        kept = context["params"]["as_of"] or platform.clock.now().isoformat()
        context["task_state_store"].set("as_of", kept)
    return str(kept)


def in_numbers(counts: "DataclassInstance") -> dict[str, int]:
    """Counts as numbers; of what is listed by name the log has the names and the result their number."""
    listed = {key: value for key, value in asdict(counts).items() if not isinstance(value, int)}
    for key, value in listed.items():
        _log.info("%s: %s", key, value)
    return asdict(counts) | {key: len(value) for key, value in listed.items()}


def read_instant(text: str) -> datetime:
    """An aware instant in UTC from ISO 8601."""
    instant = datetime.fromisoformat(text)
    if instant.tzinfo is None:
        raise AirflowFailException(f"{text!r} has no time zone; write for example 2026-03-01T12:00:00+00:00")
    return instant.astimezone(UTC)
