"""Tasks of the ingestion DAGs."""

import os
from datetime import timedelta

from airflow.sdk import AssetAlias, get_current_context, task
from alerting_tasks import opened_platform, say, source_asset

ARRIVED = AssetAlias("arrived")
"""Through it a task emits the event of the asset of its source, but only after new rows."""


@task(execution_timeout=timedelta(hours=1), outlets=[ARRIVED])
def read(name: str) -> dict[str, int]:
    """Read a source on from where it was read last, and return how many rows it had, how many were
    new, and how many refused.

    New rows are an event of the source's asset. A source that another reader reads at this moment
    is left to it.
    """
    from alerting.adapters.sources.claims import poll_claimed
    from alerting.settings.environment import read_settings
    from alerting.wiring import source_readers

    readers = source_readers(read_settings(os.environ), connection=connection_address)
    with opened_platform() as platform:
        found = poll_claimed(platform, readers, name, "scheduler", platform.clock)
    if found is None:
        say(f"the source {name} is being read by another reader, the stream service or a command")
        return {"rows": 0, "new": 0, "refused": 0}
    say(f"{found.rows} rows, {found.new} of them new; {found.refused} refused")
    if found.new:
        get_current_context()["outlet_events"][ARRIVED].add(
            source_asset(name), extra={"new": found.new}
        )
    return {"rows": found.rows, "new": found.new, "refused": found.refused}


def connection_address(id: str) -> str:
    """Return a connection's address as SQLAlchemy writes it. Raises UserError for none."""
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
