"""The tasks of an evaluation DAG."""

import os
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from airflow.sdk import get_current_context, task
from airflow.sdk.exceptions import AirflowFailException
from alerting_tasks import in_numbers, opened_platform, read_instant, run_as_of, say, source_asset

from alerting.definitions.faults import parse_duration
from alerting.settings.environment import read_settings

if TYPE_CHECKING:
    from alerting.ports import Platform
    from alerting.usecases.evaluation.inputs import EvaluationCounts, RoundPlan

SLOTS = read_settings(os.environ).evaluation_slots


# a late tick does not evaluate the same definitions beside the next one
@task(max_active_tis_per_dag=1)
def plan(every: str) -> list[dict[str, object]]:
    """Begin a round and route late readings. Evaluate a small round here, and deliver
    notifications: each further task costs more than that.

    Return, for each shard that is left, its number, the run's instant, the plan's hash, and whether
    there are reprocessing requests. There are at most as many shards as slots of evaluation.
    """
    from alerting.usecases.evaluation.rounds import evaluate_shard, plan_round

    with opened_platform() as platform:
        as_of = run_as_of(platform)
        planned = plan_round(platform, parse_duration(every), SLOTS, read_instant(as_of))
        evaluate_part = partial(evaluate_shard, platform, parse_duration(every))
        return _evaluate_or_share(platform, planned, as_of, evaluate_part, every=every)


def _evaluate_or_share(
    platform: "Platform",
    planned: "RoundPlan",
    as_of: str,
    evaluate_part: "Callable[..., EvaluationCounts]",
    **common: object,
) -> list[dict[str, object]]:
    """Return the shards of a round. If the round is small, evaluate it here and return none; then
    deliver due notifications, even after a failure, which is raised."""
    late = planned.late
    say(f"late readings: {late.late}, of which too late: {late.too_late}")
    if not planned.is_small:
        shared = {"count": SLOTS, "source_hash": planned.source_hash, **common, "as_of": as_of}
        return [
            {"shard": shard, **shared, "has_requests": late.has_requests}
            for shard in planned.shards
        ]
    from alerting.usecases.notification.delivery import deliver_now

    try:
        counts = evaluate_part(0, 1, read_instant(as_of), planned.source_hash, late.has_requests)
        say(f"evaluated here up to {as_of}: {in_numbers(counts)}")
    finally:
        say(f"delivered: {in_numbers(deliver_now(platform, platform.clock.now()))}")
    return []


@task(
    map_index_template="shard {{ task.op_kwargs['shard'] + 1 }} of {{ task.op_kwargs['count'] }}",
    doc_md="Evaluates some of the definitions up to the instant of the run.",
)
def evaluate(
    every: str,
    shard: int,
    count: int,
    as_of: str,
    source_hash: str,
    has_requests: bool,
) -> dict[str, int]:
    """Evaluate the definitions of one shard up to the instant, and nothing else."""
    from alerting.usecases.evaluation.rounds import evaluate_shard

    with opened_platform() as platform:
        evaluated = evaluate_shard(
            platform,
            parse_duration(every),
            shard,
            count,
            read_instant(as_of),
            source_hash,
            has_requests,
        )
        return in_numbers(evaluated)


@task
def plan_arrived() -> list[dict[str, object]]:
    """Begin a round of the targets that read the sources whose events triggered the run; of all
    sources, if a person did.

    Evaluate and return as `plan` does. There is no data interval: the run's instant is the clock's
    at its first try.
    """
    from alerting.definitions.sources import POLLED
    from alerting.usecases.evaluation.arrived import evaluate_arrived as evaluate_shard
    from alerting.usecases.evaluation.arrived import plan_arrived as plan_round
    from alerting.usecases.sources.status import SOURCES

    triggered = {asset.name for asset in get_current_context()["triggering_asset_events"]}
    with opened_platform() as platform:
        as_of = run_as_of(platform)
        polled = [source.name for source in SOURCES.read(platform)[0] if source.kind in POLLED]
        sources = [name for name in polled if not triggered or source_asset(name).name in triggered]
        planned = plan_round(platform, sources, SLOTS, read_instant(as_of))
        say(f"sources: {', '.join(sources)}")
        evaluate_part = partial(evaluate_shard, platform, sources)
        return _evaluate_or_share(platform, planned, as_of, evaluate_part, sources=sources)


@task(
    map_index_template="shard {{ task.op_kwargs['shard'] + 1 }} of {{ task.op_kwargs['count'] }}",
    doc_md="Evaluates some of the definitions that read the sources, up to the instant of the run.",
)
def evaluate_arrived(
    sources: list[str], shard: int, count: int, as_of: str, source_hash: str, has_requests: bool
) -> dict[str, int]:
    """Evaluate the targets of a shard that read these sources up to the instant."""
    from alerting.usecases.evaluation.arrived import evaluate_arrived as evaluate_shard

    with opened_platform() as platform:
        return in_numbers(
            evaluate_shard(
                platform, sources, shard, count, read_instant(as_of), source_hash, has_requests
            )
        )


@task(trigger_rule="none_skipped")
def notify(planned: list[dict[str, object]], done: list[dict[str, int]]) -> dict[str, int]:
    """Deliver notifications that are due, also if a shard failed: the run still fails. Left out
    where the first task has evaluated all."""
    from alerting.usecases.notification.delivery import deliver_now

    with opened_platform() as platform:
        delivered = in_numbers(deliver_now(platform, platform.clock.now()))
    if len(done) < len(planned):
        raise AirflowFailException(
            f"{len(planned) - len(done)} of {len(planned)} shards failed; notifications were "
            "delivered"
        )
    return delivered
