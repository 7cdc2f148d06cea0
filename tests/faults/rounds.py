"""The processes that evaluate and deliver again and again, and the ticks of a scheduler in shards,
as the tasks of Airflow evaluate them.

Killed in the middle of a tick, the scheduler goes on with the shards that were left, at the instant
of that tick and with what was planned then, as Airflow tries a task again.
"""

import json
import time
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from alerting.definitions.faults import UserError
from alerting.ports import Channel, Message, Platform
from alerting.usecases.definitions.revisions_and_evaluation_plan import current_plan
from alerting.usecases.episodes.outcomes import determine_due_outcomes
from alerting.usecases.evaluation.rounds import evaluate, evaluate_shard, plan_round
from alerting.usecases.notification.delivery import deliver_due
from alerting.usecases.notification.routing import correct_if_known_late
from alerting.wiring import open_platform
from tests.faults.world import World

PAUSE_S = {"evaluator": 1.5, "notifier": 0.7, "scheduler": 2.0}
SHARDS = 4
_TICK = "tick.json"


def main(folder: str, part: str) -> None:
    """Evaluate, deliver or tick, as the name of the part says."""
    world = World.read(folder)
    role = part.partition("-")[0]
    work = {"evaluator": _evaluate, "notifier": _deliver, "scheduler": _tick}[role]
    while True:
        try:
            with open_platform(world.settings) as opened:
                while True:
                    work(opened, world, part)
                    time.sleep(PAUSE_S[role])
        except UserError as refusal:
            world.note(part, "refused", why=str(refusal))
            time.sleep(0.3)


def _evaluate(platform: Platform, world: World, part: str) -> None:
    now = platform.clock.now()
    as_of = min(now, world.end or now)
    evaluate(platform, None, as_of)
    world.note(part, "round", as_of=as_of.isoformat())


@dataclass(frozen=True)
class Noted:
    """A channel that notes each delivery before it is made, and after it."""

    channel: Channel
    world: World
    part: str

    @property
    def name(self) -> str:
        return self.channel.name

    def deliver(self, message: Message) -> None:
        self.world.note(self.part, "begun", key=message.key)
        try:
            self.channel.deliver(message)
        finally:
            self.world.note(self.part, "done", key=message.key)


def _deliver(platform: Platform, world: World, part: str) -> None:
    channels = {name: Noted(one, world, part) for name, one in platform.channels.items()}
    deliver_due(replace(platform, channels=channels), platform.clock.now())
    world.note(part, "round")


def _tick(platform: Platform, world: World, part: str) -> None:
    path = world.path(_TICK)
    left = json.loads(path.read_text()) if path.exists() else []
    is_again = bool(left)
    left = left or _plan(platform, platform.clock.now())
    world.note(part, "begun")
    while left:
        world.replace_text(_TICK, json.dumps(left))
        as_of, every_ms, number, source_hash, has_requests = left[0]
        every = timedelta(milliseconds=every_ms)
        at = datetime.fromisoformat(as_of)
        evaluate_shard(platform, every, number, SHARDS, at, source_hash, has_requests)
        left = left[1:]
    world.replace_text(_TICK, json.dumps(left))
    now = platform.clock.now()
    determine_due_outcomes(platform, now, correct_if_known_late)
    deliver_due(platform, now)
    world.note(part, "round", is_again=is_again)


def _plan(platform: Platform, as_of: datetime) -> list[list[Any]]:
    """Begin a round of each cadence; return its shards: the instant, and what was planned."""
    found = []
    for every in sorted({target.every for target in current_plan(platform).targets}):
        plan = plan_round(platform, timedelta(milliseconds=every), SHARDS, as_of)
        about = (plan.source_hash, plan.late.has_requests)
        found += [[as_of.isoformat(), every, number, *about] for number in plan.shards]
    return found
