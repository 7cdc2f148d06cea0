"""Performance reports that are due by each definition's own cron, one mapped task per report."""

from datetime import timedelta

from airflow.sdk import dag, task
from alerting_tasks import DAG_OPTIONS, TASK_OPTIONS, opened_platform, read_instant, run_as_of


@task
def due() -> list[dict[str, str]]:
    """Return definition and period of every report that is due and not made yet."""
    from alerting.usecases.operations.report import due_reports

    with opened_platform() as platform:
        as_of = run_as_of(platform)
        return [
            {"name": name, "start": start.isoformat(), "end": end.isoformat(), "at": as_of}
            for name, start, end in due_reports(platform, read_instant(as_of))
        ]


@task(map_index_template="{{ task.op_kwargs['name'] }}", doc_md="Makes one performance report.")
def make(name: str, start: str, end: str, at: str) -> str:
    """Make one report and return its id."""
    from alerting.usecases.operations.report import make_report

    with opened_platform() as platform:
        return make_report(platform, name, read_instant(start), read_instant(end), read_instant(at)).id


@dag(
    schedule=timedelta(minutes=10),
    tags=["report"],
    description="Makes the performance reports that are due",
    doc_md=__doc__,
    default_args=TASK_OPTIONS,
    **DAG_OPTIONS,
)
def report() -> None:
    make.expand_kwargs(due())


report()
