"""The scheduler beside the stream services: ticks in shards, as the tasks of Airflow evaluate them.

Killed in the middle of a tick, it goes on with the shards that were left, at the instant of that
tick and with what was planned then, as Airflow tries a task again.
"""

import json
import time
from datetime import datetime, timedelta
from typing import NamedTuple

from alerting.adapters.platform import Platform
from alerting.definitions.faults import UserError
from alerting.usecases.definitions.targets import current_plan
from alerting.usecases.episodes.outcomes import determine_due_outcomes
from alerting.usecases.evaluation.evaluate import evaluate_shard, plan_round
from alerting.usecases.evaluation.run import EvaluationCounts
from alerting.usecases.notification.deliver import deliver_due
from alerting.usecases.notification.routes import correct_if_known_late
from alerting.wiring import open_platform
from tests.faults.world import World

PAUSE_S = 2.0
SHARDS = 4
_TICK = "tick.json"


class Shard(NamedTuple):
    """A task of a tick: the instant, and what `plan_round` has found."""

    as_of: str
    every_ms: int
    number: int
    source_hash: str
    has_requests: bool


def main(folder: str, part: str) -> None:
    """Tick again and again, and deliver what is due."""
    world = World.read(folder)
    while True:
        try:
            with open_platform(world.settings) as opened:
                while True:
                    _tick(opened, world, part)
                    time.sleep(PAUSE_S)
        except UserError as refusal:
            world.note(part, "refused", why=str(refusal))
            time.sleep(0.3)


def _tick(platform: Platform, world: World, part: str) -> None:
    left = _read_left(world)
    is_again = bool(left)
    late = 0
    if not left:
        left, late = _plan(platform, platform.clock.now())
    counts = EvaluationCounts()
    world.note(part, "begun", shards=len(left))
    while left:
        _write_left(world, left)
        counts.add(_evaluate(platform, left[0]))
        left = left[1:]
    _write_left(world, left)
    now = platform.clock.now()
    counts.determined = determine_due_outcomes(platform, now, correct_if_known_late)
    deliver_due(platform, now)
    world.note(
        part,
        "round",
        raised=counts.raised,
        elsewhere=counts.elsewhere,
        late=late,
        is_again=is_again,
    )


def _plan(platform: Platform, as_of: datetime) -> tuple[list[Shard], int]:
    """Begin a round of each cadence; return its shards, and how many readings were late."""
    found = []
    late = 0
    for every in sorted({target.every for target in current_plan(platform).targets}):
        plan = plan_round(platform, timedelta(milliseconds=every), SHARDS, as_of)
        late += plan.late.late
        found += [
            Shard(as_of.isoformat(), every, number, plan.source_hash, plan.late.has_requests)
            for number in plan.shards
        ]
    return found, late


def _evaluate(platform: Platform, shard: Shard) -> EvaluationCounts:
    return evaluate_shard(
        platform,
        timedelta(milliseconds=shard.every_ms),
        shard.number,
        SHARDS,
        datetime.fromisoformat(shard.as_of),
        shard.source_hash,
        shard.has_requests,
    )


def _read_left(world: World) -> list[Shard]:
    path = world.path(_TICK)
    return [Shard(*one) for one in json.loads(path.read_text())] if path.exists() else []


def _write_left(world: World, left: list[Shard]) -> None:
    draft = world.path(f"{_TICK}.draft")
    draft.write_text(json.dumps(left))
    draft.replace(world.path(_TICK))
