"""Backups to the place that `ALERTING_BACKUP` names, each with a proven restore."""

import os
from datetime import UTC, datetime, timedelta

from airflow.sdk import dag, task
from alerting_tasks import BACKGROUND, DAG_OPTIONS, TASK_OPTIONS, say

from alerting.settings.environment import read_settings

EVERY = read_settings(os.environ).backup_every


@task(execution_timeout=timedelta(hours=12), **BACKGROUND)
def back_up() -> dict[str, object]:
    """Make a backup, restore it on trial, and delete surplus ones. Return what it holds."""
    from airflow.sdk.exceptions import AirflowFailException

    from alerting.adapters.mongo.mongo import DatabaseDown
    from alerting.definitions.faults import Unreachable, UserError
    from alerting.local.upkeep.scheduled import back_up as run

    os.nice(10)
    try:
        address, made = run(read_settings(os.environ), datetime.now(UTC))
    except (DatabaseDown, Unreachable):
        raise
    except UserError as refusal:
        raise AirflowFailException(str(refusal)) from refusal
    documents = sum(made.database.values())
    say(f"backup in {address}: {documents} documents, restored on trial")
    return {"address": address, "documents": documents, "bytes": made.bytes}


@dag(
    schedule=EVERY,
    tags=["maintain"],
    description="Makes backups, and proves that they can be restored",
    doc_md=__doc__,
    dagrun_timeout=timedelta(hours=20),
    default_args=TASK_OPTIONS,
    **DAG_OPTIONS,
)
def backup() -> None:
    back_up()


if read_settings(os.environ).backup is not None:
    backup()
