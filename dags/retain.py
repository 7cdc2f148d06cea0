"""Nightly: delete what is older than its retention and needed by nothing in use, and measure models in service."""

from datetime import timedelta

from airflow.sdk import dag, task
from alerting_tasks import BACKGROUND, DAG_OPTIONS, TASK_OPTIONS, background_platform, read_instant, run_as_of, say


@task(execution_timeout=timedelta(hours=3), **BACKGROUND)
def delete() -> dict[str, int]:
    """Delete what is too old as of the run's instant, and return how much by kind."""
    from alerting.usecases.operations.retention import retain

    with background_platform() as platform:
        found = retain(platform, read_instant(run_as_of(platform)))
    for swept in found:
        say(f"deleted: {swept.documents} {swept.what}")
    return {swept.what: swept.documents for swept in found}


@task(execution_timeout=timedelta(hours=3), **BACKGROUND)
def verify() -> dict[str, str]:
    """Compare the models in service with the values that came, and return a sentence on each."""
    from alerting.usecases.operations.model_verification import verify_models

    with background_platform() as platform:
        found = verify_models(platform, read_instant(run_as_of(platform)))
    for name, sentence in found.items():
        say(f"{name}: {sentence}")
    return found


@dag(
    schedule="20 2 * * *",
    tags=["maintain"],
    description="Deletes what is older than its retention, and measures models in service",
    doc_md=__doc__,
    dagrun_timeout=timedelta(hours=20),
    default_args=TASK_OPTIONS,
    **DAG_OPTIONS,
)
def retain() -> None:
    delete()
    verify()


retain()
