"""Performance reports of closed periods, in at most sixteen tasks.

The reports of a shard of definitions are made one after the other; then
their recipients get their notifications, which the maintenance delivers.
"""

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
    say_console,
)


@task
def due() -> list[dict[str, object]]:
    """Return shards of definitions with a report due, sixteen at most, with the instant."""
    from alerting.definitions.alert_definition import shard_of
    from alerting.usecases.issue_reports import due_reports, end_old_failures

    with opened_platform() as platform:
        as_of = run_as_of(platform)
        end_old_failures(platform, read_instant(as_of))
        shards = {
            shard_of(report.definition) for report in due_reports(platform, read_instant(as_of))
        }
    return [{"shard": shard, "at": as_of} for shard in sorted(shards)]


@task(
    map_index_template="shard {{ task.op_kwargs['shard'] + 1 }}",
    doc_md="Makes the due performance reports of some of the definitions.",
    execution_timeout=timedelta(hours=2),
    **BACKGROUND,
)
def make(shard: int, at: str) -> int:
    """Make the reports of one shard that are due at the run's instant, and return their number."""
    from alerting.usecases.issue_reports import make_due_reports

    with background_platform() as platform:
        made = make_due_reports(platform, shard, read_instant(at), say)
        say_console("reports")
        return made


@task(execution_timeout=timedelta(hours=2), **BACKGROUND)
def unseen() -> int:
    """Make reports on test periods evaluated since the last run; return how many."""
    from alerting.usecases.issue_reports import make_unseen_reports

    with background_platform() as platform:
        return make_unseen_reports(platform, read_instant(run_as_of(platform)), say)


@task(trigger_rule="all_done")
def announce() -> int:
    """Add notifications of new reports, also after failed ones; return how many."""
    from alerting.usecases.issue_reports import announce_reports

    with opened_platform() as platform:
        return announce_reports(platform, platform.clock.now())


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
    [make.expand_kwargs(due()), unseen()] >> announce()


report()
