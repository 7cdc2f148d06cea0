"""Nightly: delete what is past retention, and measure models."""

from datetime import timedelta

from airflow.sdk import dag, task
from alerting_tasks import (
    BACKGROUND,
    DAG_OPTIONS,
    TASK_OPTIONS,
    background_platform,
    read_instant,
    run_as_of,
    say,
)
from alerting_tasks.predictions import clean_jobs


@task(execution_timeout=timedelta(hours=3), **BACKGROUND)
def delete() -> dict[str, int]:
    """Delete what is too old as of the run's instant, and return how much by kind."""
    from alerting.usecases.upkeep import retain

    with background_platform() as platform:
        found = retain(platform, read_instant(run_as_of(platform)))
        clean_jobs(platform)
    for swept in found:
        say(f"deleted: {swept.documents} {swept.what}")
    return {swept.what: swept.documents for swept in found}


@task(execution_timeout=timedelta(hours=3), **BACKGROUND)
def verify() -> dict[str, str]:
    """Compare the last day of each variable of the models in service with their training, and what
    they predicted with the values that came; return a sentence on each."""
    from alerting.usecases.platform_health.models_in_service import check_drift, verify_models

    with background_platform() as platform:
        at = read_instant(run_as_of(platform))
        found = check_drift(platform, at)
        for name, sentence in verify_models(platform, at).items():
            found[name] = f"{found[name]}; {sentence}" if name in found else sentence
    for name, sentence in found.items():
        say(f"{name}: {sentence}")
    return found


@dag(
    schedule="20 2 * * *",
    tags=["maintain"],
    description=("Deletes what is older than its retention, and measures models in service"),
    doc_md=__doc__,
    dagrun_timeout=timedelta(hours=20),
    default_args=TASK_OPTIONS,
    **DAG_OPTIONS,
)
def retain() -> None:
    delete()
    verify()


retain()
