"""Maintenance: every two minutes edited documents, outcomes and notifications that are due; every
night deletion of data past their retention, and checks of the models in service."""

import os
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from airflow.sdk import dag, task
from alerting_tasks import (
    BACKGROUND,
    DAG_OPTIONS,
    TASK_OPTIONS,
    background_platform,
    in_numbers,
    opened_platform,
    read_instant,
    run_as_of,
    say,
)

from alerting.settings.environment import read_settings

if TYPE_CHECKING:
    from alerting.ports import Platform


@task
def clean_up() -> dict[str, object]:
    """Run the maintenance as of the run's instant, and return its counts. Then end mutes, and
    deliver repeats, escalations, summaries, digests and heartbeats, also if the maintenance
    failed."""
    from alerting.usecases.data_upkeep import maintain
    from alerting.usecases.notification.delivery import deliver_due

    with opened_platform() as platform, ExitStack() as stack:
        stack.callback(
            lambda: say(f"delivered: {in_numbers(deliver_due(platform, platform.clock.now()))}")
        )
        return maintain(platform, read_instant(run_as_of(platform)))


@dag(
    schedule=timedelta(minutes=2),
    tags=["maintain"],
    description="Updates revisions and outcomes, and sends repeated messages",
    doc_md="Maintenance: edited documents, outcomes that are due, notifications that are due.",
    dagrun_timeout=timedelta(hours=2),
    default_args=TASK_OPTIONS,
    **DAG_OPTIONS,
)
def maintain() -> None:
    clean_up()


maintain()


def clean_jobs(platform: "Platform") -> None:
    """Remove predict jobs and their files that are too old."""
    from alerting.wiring import predict_files

    files = predict_files(read_settings(os.environ))
    files.clean(datetime.now(UTC), platform.retention.predictions)


@task(execution_timeout=timedelta(hours=3), **BACKGROUND)
def delete() -> dict[str, int]:
    """Delete what is too old as of the run's instant, and return how much by kind."""
    from alerting.usecases.data_upkeep import retain

    with background_platform() as platform:
        deleted = retain(platform, read_instant(run_as_of(platform)))
        clean_jobs(platform)
    for swept in deleted:
        say(f"deleted: {swept.documents} {swept.kind}")
    return {swept.kind: swept.documents for swept in deleted}


@task(execution_timeout=timedelta(hours=3), **BACKGROUND)
def verify() -> dict[str, str]:
    """Compare the last day of each variable of the models in service with their training, and their
    predictions with the values that came; return a sentence on each."""
    from alerting.usecases.scoring.models_in_service import check_drift, verify_models

    with background_platform() as platform:
        at = read_instant(run_as_of(platform))
        sentences = check_drift(platform, at)
        for name, sentence in verify_models(platform, at).items():
            sentences[name] = f"{sentences[name]}; {sentence}" if name in sentences else sentence
    for name, sentence in sentences.items():
        say(f"{name}: {sentence}")
    return sentences


@dag(
    schedule="20 2 * * *",
    tags=["maintain"],
    description=("Deletes what is older than its retention, and measures models in service"),
    doc_md="Nightly: delete what is past retention, and measure models.",
    dagrun_timeout=timedelta(hours=20),
    default_args=TASK_OPTIONS,
    **DAG_OPTIONS,
)
def retain() -> None:
    delete()
    verify()


retain()
