"""The tasks of an evaluation DAG."""

import os

from airflow.sdk import task
from airflow.sdk.exceptions import AirflowFailException
from alerting_tasks import in_numbers, opened_platform, read_instant, run_as_of

from alerting.definitions.durations import parse_duration


@task
def plan(every: str) -> list[dict[str, object]]:
    """Return the run's instant and the names in each shard: as many shards as there are cores."""
    from alerting.usecases.evaluation.evaluate import shards

    with opened_platform() as platform:
        as_of = run_as_of(platform)
        return [{"names": names, "as_of": as_of} for names in shards(platform, parse_duration(every), os.cpu_count() or 1)]


@task(
    map_index_template="{{ task.op_kwargs['names'] | length }} from {{ task.op_kwargs['names'] | first }}",
    doc_md="Evaluates some of the definitions up to the instant of the run.",
)
def evaluate(names: list[str], as_of: str) -> dict[str, int]:
    """Evaluate these definitions up to the instant."""
    from alerting.usecases.evaluation.evaluate import evaluate

    with opened_platform() as platform:
        return in_numbers(evaluate(platform, names, read_instant(as_of)))


@task(trigger_rule="all_done")
def notify(planned: list[dict[str, object]], done: list[dict[str, int]]) -> dict[str, int]:
    """Deliver due notifications, also if a shard failed; the run then still counts as failed."""
    from alerting.usecases.notification.deliver import deliver_due

    with opened_platform() as platform:
        delivered = in_numbers(deliver_due(platform, platform.clock.now()))
    if len(done) < len(planned):
        raise AirflowFailException(f"{len(planned) - len(done)} of {len(planned)} shards failed; notifications were delivered")
    return delivered
