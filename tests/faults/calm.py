"""The undisturbed run: the same plant, the same use cases, tick after tick in one process, nothing ever dies."""

from datetime import datetime, timedelta

from alerting.pipelines.evaluate import evaluate
from alerting.pipelines.notify import deliver_due
from alerting.stores.mongo import MongoStores
from tests.faults.held_back import CROWD
from tests.faults.plant import START, rows, with_model
from tests.faults.world import World
from tests.pretended import HandClock, Mailbox, platform_on

TICK = timedelta(seconds=30)


def run_calmly(world: World, stores: MongoStores, end: datetime) -> int:
    """Evaluate and deliver from START to the end. Returns how many messages were delivered."""
    boxes = [Mailbox(name) for name in ("shift", "mes", "chief", CROWD)]
    clock = HandClock(START)
    platform = with_model(platform_on(stores, boxes, clock), world)
    platform.readings.add_readings(rows(world.seed, START - TICK, end), START)
    while clock.instant < end:
        clock.instant = min(clock.instant + TICK, end)
        evaluate(platform, None, clock.instant)
        deliver_due(platform, clock.instant)
    return sum(len(box.messages) for box in boxes)
