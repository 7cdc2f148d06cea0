"""A process that evaluates the plant again and again, as the tasks of the scheduler do."""

import time

from alerting.adapters.platform import Platform
from alerting.definitions.faults import UserError
from alerting.usecases.evaluation.evaluate import evaluate
from alerting.wiring import open_platform
from tests.faults.world import World

PAUSE_S = 1.5


def main(folder: str, part: str) -> None:
    world = World.read(folder)
    while True:
        try:
            with open_platform(world.settings) as opened:
                _go_on(world, opened, part)
        except UserError as refusal:
            world.note(part, "refused", why=str(refusal))
            time.sleep(0.3)


def _go_on(world: World, platform: Platform, part: str) -> None:
    while True:
        now = platform.clock.now()
        end = world.end
        as_of = min(now, end) if end else now
        counts = evaluate(platform, None, as_of)
        world.note(
            part,
            "round",
            as_of=as_of.isoformat(),
            raised=counts.raised,
            closed=counts.closed,
            elsewhere=counts.elsewhere,
        )
        time.sleep(PAUSE_S)
