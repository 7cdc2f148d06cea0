"""Maintenance: edited documents, outcomes that are due, notifications that are due."""

from datetime import timedelta

from airflow.sdk import dag, task
from alerting_tasks import (
    DAG_OPTIONS,
    TASK_OPTIONS,
    in_numbers,
    opened_platform,
    read_instant,
    run_as_of,
)


@task
def clean_up() -> dict[str, object]:
    """Run the maintenance as of the run's instant, and return its counts."""
    from alerting.usecases.upkeep.maintain import maintain

    with opened_platform() as platform:
        return maintain(platform, read_instant(run_as_of(platform)))


@task
def deliver() -> dict[str, int]:
    """End shelves, and deliver repeats, escalations, summaries, digests and heartbeats."""
    from alerting.usecases.notification.deliver import deliver_due

    with opened_platform() as platform:
        return in_numbers(deliver_due(platform, platform.clock.now()))


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
    deliver()


maintain()
