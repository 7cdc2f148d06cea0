"""A process that evaluates a plant tick by tick, as the scheduler would, until it is done or
killed.

Usage: python evaluating.py URI DATABASE LOG. Each delivery is one line in LOG; the last tick that
was done is not remembered.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[3]))

from alerting.adapters.mongo.mongo import open_stores
from alerting.usecases.evaluation.evaluate import evaluate
from alerting.usecases.notification.deliver import deliver_due
from tests.builders import at
from tests.in_memory_platform import HandClock, platform_on

TICKS = range(5, 305, 5)


class LineLog:
    """A channel that appends the key of each message to a file."""

    name = "log"

    def __init__(self, path):
        self._path = path

    def deliver(self, message):
        with self._path.open("a") as log:
            log.write(message.key + "\n")


def main(uri, database, log):
    with open_stores(uri, database) as stores:
        clock = HandClock()
        platform = platform_on(stores, [LineLog(Path(log))], clock)
        for minute in TICKS:
            clock.instant = at(minute)
            evaluate(platform, None, at(minute))
            deliver_due(platform, at(minute))
        clock.instant = at(2000)
        deliver_due(platform, at(2000))


if __name__ == "__main__":
    main(*sys.argv[1:])
