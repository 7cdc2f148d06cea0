"""Performance reports that are due by each definition's own cron, one mapped task per shard of definitions."""

from datetime import timedelta

from airflow.sdk import dag, task
from alerting_tasks import (
    BACKGROUND,
    DAG_OPTIONS,
    TASK_OPTIONS,
    background_platform,
    opened_platform,
    read_instant,
    run_as_of,
    say,
)


@task
def due() -> list[dict[str, object]]:
    """Return the shards of definitions with a report that is due and not made yet, at most sixteen, with the run's instant."""
    from alerting.definitions.shards import shard_of
    from alerting.usecases.operations.report import due_reports

    with opened_platform() as platform:
        as_of = run_as_of(platform)
        shards = {shard_of(report.name) for report in due_reports(platform, read_instant(as_of))}
    return [{"shard": shard, "at": as_of} for shard in sorted(shards)]


@task(
    map_index_template="shard {{ task.op_kwargs['shard'] + 1 }}",
    doc_md="Makes the due performance reports of some of the definitions.",
    execution_timeout=timedelta(hours=2),
    **BACKGROUND,
)
def make(shard: int, at: str) -> int:
    """Make the reports of one shard that are due at the run's instant, and return their number."""
    from alerting.usecases.operations.report import make_due_reports

    with background_platform() as platform:
        return make_due_reports(platform, shard, read_instant(at), say)


@dag(
    schedule=timedelta(minutes=10),
    dagrun_timeout=timedelta(days=1),
    tags=["report"],
    description="Makes the performance reports that are due",
    doc_md=__doc__,
    default_args=TASK_OPTIONS,
    **DAG_OPTIONS,
)
def report() -> None:
    make.expand_kwargs(due())


report()
