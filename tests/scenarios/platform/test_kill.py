"""Kill the evaluation, and the database under it, at arbitrary moments: the same episodes, none
twice, everybody told."""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from alerting.adapters.embedded.embedded_mongod import EmbeddedMongod
from alerting.adapters.mongo.mongo import open_stores
from alerting.ports import ReadingRow
from alerting.usecases.definitions.sync import apply
from alerting.usecases.ingestion.arrivals import add_readings
from tests.builders import at, oven, too_hot
from tests.helpers.processes import suspend
from tests.in_memory_platform import HandClock, platform_on
from tests.support import free_port, require_real_server

pytestmark = pytest.mark.server
EVALUATING = Path(__file__).with_name("evaluating.py")
OVENS = 8
KILLS_OF_EVALUATION = 8
KILLS_OF_DATABASE = 2


def fill(uri, database):
    """Five hours of eight ovens, each hot for some minutes now and then."""
    chance = random.Random(5)
    with open_stores(uri, database, prepare=True) as stores:
        platform = platform_on(stores, [], HandClock())
        ovens = [oven().model_copy(update={"name": f"oven-{n}"}) for n in range(OVENS)]
        platform.assets.store_assets(ovens)
        rows = []
        for asset in ovens:
            hot_until = 0
            for minute in range(300):
                if chance.random() < 0.03:
                    hot_until = minute + chance.randint(1, 15)
                rows.append(
                    ReadingRow(
                        asset.name,
                        at(minute),
                        {"temperature": 230.0 if minute < hot_until else 205.0},
                    )
                )
        add_readings(platform, rows, at(0))
        apply(platform, [too_hot(assets=["oven-*"], **{"for": "2m"})], "engineer", at(-1), "test")


def evaluation(uri, database, log):
    command = [sys.executable, str(EVALUATING), uri, database, str(log)]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def kept(uri, database):
    with open_stores(uri, database) as stores:
        sent = stores.notifications.of_episodes([e.id for e in stores.episodes.find()])
        episodes = sorted(stores.episodes.find(), key=lambda e: (e.asset, e.raised_at))
        return [
            (
                e.id,
                e.asset,
                e.raised_at,
                e.closed_at,
                e.condition,
                [t.kind for t in e.transitions],
                {n.status for n in sent[e.id]},
            )
            for e in episodes
        ]


@pytest.mark.night
def test_killed_at_any_moment_it_keeps_the_same_episodes_and_tells_everybody(tmp_path):
    require_real_server()
    chance = random.Random(11)
    server = EmbeddedMongod(tmp_path / "mongod", free_port()).start()
    try:
        for database in ("calm", "stormy"):
            fill(server.uri, database)
        begun = time.monotonic()
        assert evaluation(server.uri, "calm", tmp_path / "calm.log").wait() == 0
        duration = time.monotonic() - begun

        for n in range(KILLS_OF_EVALUATION):
            process = evaluation(server.uri, "stormy", tmp_path / "stormy.log")
            time.sleep(chance.uniform(0.2, 0.9) * duration)
            if n % (KILLS_OF_EVALUATION // KILLS_OF_DATABASE) == 1:
                suspend(psutil.Process(process.pid))
                os.kill(server.pid, signal.SIGKILL)
                server = EmbeddedMongod(server.folder, server.port).start()
                process.send_signal(signal.SIGCONT)
            process.kill()
            process.wait()
        assert evaluation(server.uri, "stormy", tmp_path / "stormy.log").wait() == 0

        assert kept(server.uri, "stormy") == kept(server.uri, "calm")
        calm, stormy = (
            set((tmp_path / f"{d}.log").read_text().split()) for d in ("calm", "stormy")
        )
        assert len(calm) > 30
        assert stormy == calm
    finally:
        server.stop()
