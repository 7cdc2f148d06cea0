"""The undisturbed run: the same plant, the same use cases, tick after tick in one process, nothing
ever dies."""

from datetime import datetime

from alerting.adapters.mongo.mongo import MongoStores
from alerting.usecases.evaluation.evaluate import evaluate
from alerting.usecases.ingestion.arrivals import add_readings
from alerting.usecases.notification.deliver import deliver_due
from tests.faults.account import CHANNELS, TICK
from tests.faults.plant import START, rows, with_model
from tests.faults.world import World
from tests.in_memory_platform import HandClock, Mailbox, platform_on


def run_calmly(world: World, stores: MongoStores, end: datetime) -> int:
    """Evaluate and deliver from START to the end. Returns how many messages were delivered."""
    boxes = [Mailbox(name) for name in CHANNELS]
    clock = HandClock(START)
    platform = with_model(platform_on(stores, boxes, clock), world)
    add_readings(platform, rows(world.seed, START - TICK, end), START)
    while clock.instant < end:
        clock.instant = min(clock.instant + TICK, end)
        evaluate(platform, None, clock.instant)
        deliver_due(platform, clock.instant)
    return sum(len(box.messages) for box in boxes)
