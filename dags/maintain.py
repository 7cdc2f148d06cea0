"""Maintenance: edited documents, outcomes that are due, notifications that are due."""

from contextlib import ExitStack
from datetime import timedelta

from airflow.sdk import dag, task
from alerting_tasks import (
    DAG_OPTIONS,
    TASK_OPTIONS,
    in_numbers,
    opened_platform,
    read_instant,
    run_as_of,
    say,
)


@task
def clean_up() -> dict[str, object]:
    """Run the maintenance as of the run's instant, and return its counts. Then end mutes, and
    deliver repeats, escalations, summaries, digests and heartbeats, also if the maintenance
    failed."""
    from alerting.usecases.notification.delivery import deliver_due
    from alerting.usecases.upkeep import maintain

    with opened_platform() as platform, ExitStack() as stack:
        stack.callback(
            lambda: say(f"delivered: {in_numbers(deliver_due(platform, platform.clock.now()))}")
        )
        return maintain(platform, read_instant(run_as_of(platform)))


@dag(
    schedule=timedelta(minutes=2),
    tags=["maintain"],
    description="Updates revisions and outcomes, and sends repeated messages",
    doc_md=__doc__,
    dagrun_timeout=timedelta(hours=2),
    default_args=TASK_OPTIONS,
    **DAG_OPTIONS,
)
def maintain() -> None:
    clean_up()


maintain()
