"""Housekeeping: revisions of documents edited in the database, outcomes that can be settled, messages that are due."""

from datetime import timedelta

from airflow.sdk import dag, task
from alerting_tasks import DAG_OPTIONS, TASK_OPTIONS, in_numbers, opened_platform, read_instant, run_as_of


@task
def keep_house() -> dict[str, object]:
    """Do all of it as of the run's instant, and return what was done in counts."""
    from alerting.usecases.operations.maintain import maintain

    with opened_platform() as platform:
        return maintain(platform, read_instant(run_as_of(platform)))


@task
def tell() -> dict[str, int]:
    """Repeats, escalation and signs of life, however seldom anything is evaluated."""
    from alerting.usecases.notification.deliver import deliver_due

    with opened_platform() as platform:
        return in_numbers(deliver_due(platform, platform.clock.now()))


@dag(
    schedule=timedelta(minutes=2),
    tags=["maintain"],
    description="Keeps revisions, outcomes and repeated messages up to date",
    doc_md=__doc__,
    default_args=TASK_OPTIONS,
    **DAG_OPTIONS,
)
def maintain() -> None:
    keep_house()
    tell()


maintain()
