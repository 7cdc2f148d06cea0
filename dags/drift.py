"""Every six hours: compare the last day of each model's variables with its training."""

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
    say_console,
)


@task(execution_timeout=timedelta(hours=2), **BACKGROUND)
def check() -> dict[str, str]:
    """Store what moved beyond chance, raise and end the alerts on it; return a sentence on each
    definition."""
    from alerting.usecases.platform_health.drift import check_drift

    with background_platform() as platform:
        found = check_drift(platform, read_instant(run_as_of(platform)))
    for name, sentence in found.items():
        say(f"{name}: {sentence}")
    say_console("models")
    return found


@dag(
    schedule="50 */6 * * *",
    tags=["maintain"],
    description="Tells of variables that left what their models have learned",
    doc_md=__doc__,
    dagrun_timeout=timedelta(hours=5),
    default_args=TASK_OPTIONS,
    **DAG_OPTIONS,
)
def drift() -> None:
    check()


drift()
