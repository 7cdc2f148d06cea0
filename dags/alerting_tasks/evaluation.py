"""The tasks of an evaluation DAG."""

import os

from airflow.sdk import task
from airflow.sdk.exceptions import AirflowFailException
from alerting_tasks import in_numbers, opened_platform, read_instant, run_as_of, say

from alerting.definitions.durations import parse_duration


@task
def plan(every: str) -> list[dict[str, object]]:
    """Begin the round and route late readings. Return, for each shard, its names, the run's instant, the plan's hash,
    and whether there are reprocessing requests.

    There are as many shards as cores.
    """
    from alerting.usecases.evaluation.evaluate import plan_round

    with opened_platform() as platform:
        as_of = run_as_of(platform)
        found = plan_round(platform, parse_duration(every), os.cpu_count() or 1, read_instant(as_of))
    say(f"late readings: {found.late.late}, of which too late: {found.late.too_late}")
    common = {"as_of": as_of, "source_hash": found.source_hash, "has_requests": found.late.has_requests}
    return [{"names": names, **common} for names in found.shards]


@task(
    map_index_template="{{ task.op_kwargs['names'] | length }} from {{ task.op_kwargs['names'] | first }}",
    doc_md="Evaluates some of the definitions up to the instant of the run.",
)
def evaluate(names: list[str], as_of: str, source_hash: str, has_requests: bool) -> dict[str, int]:
    """Evaluate these definitions up to the instant, and nothing else."""
    from alerting.usecases.evaluation.evaluate import evaluate_shard

    with opened_platform() as platform:
        return in_numbers(evaluate_shard(platform, names, read_instant(as_of), source_hash, has_requests))


@task(trigger_rule="all_done")
def notify(planned: list[dict[str, object]], done: list[dict[str, int]]) -> dict[str, int]:
    """Deliver the notifications that are due, also if a shard failed; the run then still counts as failed."""
    from alerting.usecases.notification.deliver import deliver_now

    with opened_platform() as platform:
        delivered = in_numbers(deliver_now(platform, platform.clock.now()))
    if len(done) < len(planned):
        raise AirflowFailException(f"{len(planned) - len(done)} of {len(planned)} shards failed; notifications were delivered")
    return delivered
