"""Tasks of the ingestion DAGs."""

import os
from datetime import timedelta

from airflow.sdk import task
from alerting_tasks import opened_platform, say


@task(execution_timeout=timedelta(hours=6))
def read(name: str) -> dict[str, int]:
    """Read a source on from where it was read last, and return how many rows it had, how many were new, and how many refused."""
    from alerting.adapters.airflow.connections import connection_address
    from alerting.settings.environment import read_settings
    from alerting.usecases.sources.poll import poll
    from alerting.wiring import source_readers

    readers = source_readers(read_settings(os.environ), connection=connection_address)
    with opened_platform() as platform:
        found = poll(platform, readers, name, platform.clock.now())
    say(f"{found.rows} rows, {found.new} of them new; {found.refused} refused")
    return {"rows": found.rows, "new": found.new, "refused": found.refused}
