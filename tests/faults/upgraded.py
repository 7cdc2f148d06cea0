"""Rounds of evaluation and delivery by a process that claims to be of a newer version, whose
database has one index more."""

import time
from pathlib import Path
from unittest.mock import patch

from pymongo import IndexModel

from alerting.adapters.mongo import prepare
from alerting.adapters.mongo.mongo import open_stores
from alerting.stores.database.documents import READINGS
from alerting.stores.database.indexes import INDEXES
from alerting.usecases.evaluation.rounds import evaluate
from alerting.usecases.notification.delivery import deliver_due
from alerting.wiring import open_platform
from tests.faults.world import STORMY, World

NEW_VERSION = "99.0.0"
NEW_INDEX = "of_the_new_version"
PAUSE_S = 0.3


def main(folder: str, part: str) -> None:
    """Prepare the database if the part is named so, else evaluate and deliver until it is told to
    end; those whose name begins with `old` are of the present version."""
    world = World.read(folder)
    if not part.startswith("old"):
        index = IndexModel([("asset", 1), ("arrived_at", 1)], name=NEW_INDEX)
        wanted = {**INDEXES, READINGS: [*INDEXES[READINGS], index]}
        patch.object(prepare, "version", lambda _: NEW_VERSION).start()
        patch.object(prepare, "SCHEMA_NUMBER", prepare.SCHEMA_NUMBER + 1).start()
        patch.object(prepare, "INDEXES", wanted).start()
    if part == "prepare":
        with open_stores(world.uri, STORMY, prepare=True):
            return
    with open_platform(world.settings) as opened:
        while not ending(world, part).exists():
            evaluate(opened, None, opened.clock.now())
            deliver_due(opened, opened.clock.now())
            world.note(part, "round")
            time.sleep(PAUSE_S)


def ending(world: World, part: str) -> Path:
    """Return the file that tells a part to end after its round."""
    return world.path(f"{part}.end")
