"""One DAG per source that the platform reads by itself: files of a folder, rows of a database.

A source that the stream service reads has a run an hour, as a visible record; without the service
one at each interval.
"""

from datetime import timedelta

from airflow.sdk import dag
from alerting_tasks import DAG_OPTIONS, TASK_OPTIONS, polled_sources
from alerting_tasks.ingestion import read


def build(name: str, every: timedelta, title: str | None) -> None:
    """Build the DAG of one source; a missed run loses nothing: the database has its place."""

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


for row in polled_sources():
    build(row.name, row.every, row.title)
