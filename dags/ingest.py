"""The DAGs of sources: one for each source that the platform reads by itself, files of a folder or
rows of a database; and one that evaluates newly delivered rows, besides the cadences.

A source that the stream service reads has a run an hour, as a visible record; without the service
it has a run at each interval.
"""

import os
from collections.abc import Sequence
from datetime import timedelta

from airflow.sdk import AssetAlias, AssetAny, dag, get_current_context, task
from alerting_tasks import (
    DAG_OPTIONS,
    TASK_OPTIONS,
    arriving_sources,
    opened_platform,
    polled_sources,
    say,
    source_asset,
)
from alerting_tasks.evaluation_tasks import evaluate_arrived, notify, plan_arrived

ARRIVED = AssetAlias("arrived")
"""Through it a task emits the event of the asset of its source, but only after new rows."""


@task(execution_timeout=timedelta(hours=1), outlets=[ARRIVED])
def read(name: str) -> dict[str, int]:
    """Read a source onwards from the last position, and return how many rows it had, how many were
    new, and how many refused.

    New rows are an event of the source's asset. A source that another reader reads at this moment
    is left to that reader.
    """
    from alerting.adapters.sources.claims import poll_claimed
    from alerting.settings.environment import read_settings
    from alerting.wiring import source_readers

    readers = source_readers(read_settings(os.environ), connection=connection_address)
    with opened_platform() as platform:
        delivered = poll_claimed(platform, readers, name, "scheduler", platform.clock)
    if delivered is None:
        say(f"the source {name} is being read by another reader, the stream service or a command")
        return {"rows": 0, "new": 0, "refused": 0}
    say(f"{delivered.rows} rows, {delivered.new} of them new; {delivered.refused} refused")
    if delivered.new:
        get_current_context()["outlet_events"][ARRIVED].add(
            source_asset(name), extra={"new": delivered.new}
        )
    return {"rows": delivered.rows, "new": delivered.new, "refused": delivered.refused}


def connection_address(id: str) -> str:
    """Return a connection's address as SQLAlchemy writes it. Raises UserError if it has none."""
    from airflow.sdk import Connection
    from airflow.sdk.exceptions import AirflowException

    from alerting.definitions.faults import UserError, first_line

    try:
        address: str = Connection.get(id).get_uri()
    except AirflowException as fault:
        raise UserError(f"Airflow has no connection {id!r}: {first_line(fault)}") from fault
    return (
        f"postgresql{address.removeprefix('postgres')}"
        if address.startswith("postgres://")
        else address
    )


def build(name: str, every: timedelta, title: str | None) -> None:
    """Build the DAG of one source. A missed run loses nothing, because the database stores the
    position."""

    @dag(
        dag_id=f"ingest__{name}",
        dag_display_name=title or f"ingest__{name}",
        schedule=every,
        tags=["ingest"],
        description=f"Reads the source {name}",
        doc_md=(
            f"Stores what the source {name} has that was not read before. See `alerting list "
            "sources`."
        ),
        default_args=TASK_OPTIONS | {"retries": 2},
        **DAG_OPTIONS,
    )
    def ingestion() -> None:
        read(name)

    ingestion()


def build_evaluation(sources: Sequence[str]) -> None:
    """Build the DAG of the evaluation, which runs after new rows of any of these sources."""

    @dag(
        dag_id="evaluate__arrived",
        schedule=AssetAny(*map(source_asset, sources)) if sources else None,
        tags=["evaluate"],
        description="Evaluates the definitions that read a source when it has delivered new rows",
        doc_md="Evaluation, besides the cadences, of what a source has just delivered.",
        default_args=TASK_OPTIONS
        | {
            "retries": 2,
            "retry_delay": timedelta(seconds=5),
            "priority_weight": 10,
            "weight_rule": "absolute",
        },
        dagrun_timeout=timedelta(hours=1),
        **DAG_OPTIONS,
    )
    def evaluation() -> None:
        planned = plan_arrived()
        notify(planned, evaluate_arrived.expand_kwargs(planned))

    evaluation()


polled = polled_sources()
for row in polled:
    build(row.name, row.every, row.title)

if (names := arriving_sources(polled)) is not None:
    build_evaluation(names)
