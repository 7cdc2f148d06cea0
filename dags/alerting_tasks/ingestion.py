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

    New rows are an event of the source's asset.
    """
    from alerting.adapters.airflow.connections import connection_address
    from alerting.settings.environment import read_settings
    from alerting.usecases.sources.poll import poll
    from alerting.wiring import source_readers

    readers = source_readers(read_settings(os.environ), connection=connection_address)
    with opened_platform() as platform:
        found = poll(platform, readers, name, platform.clock.now())
    say(f"{found.rows} rows, {found.new} of them new; {found.refused} refused")
    if found.new:
        get_current_context()["outlet_events"][ARRIVED].add(
            source_asset(name), extra={"new": found.new}
        )
    return {"rows": found.rows, "new": found.new, "refused": found.refused}
