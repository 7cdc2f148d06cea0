"""Two processes of `alerting stream` on one broker and one database: nothing lost or doubled, also
when one is killed."""

import json
import os
import subprocess
import sys
import time
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta

import pytest

from alerting.adapters.mongo.mongo import open_stores
from alerting.local.secrets import load_or_create
from alerting.settings.environment import LINK_KEY
from alerting.usecases.definitions.sync import apply
from alerting.usecases.evaluation.evaluate import evaluate
from alerting.usecases.sources.documents import apply_sources
from tests.builders import oven, too_hot
from tests.helpers.brokers import SERVERS
from tests.in_memory_platform import HandClock, Mailbox, platform_on

pytestmark = pytest.mark.server
ASSETS = [f"oven-{i}" for i in range(1, 6)]
ROWS = 60


@pytest.mark.parametrize("kind", ["amqp", "mqtt"])
def test_two_processes_share_the_work_and_one_takes_over_from_the_other(
    kind, real_server, tmp_path
):
    database = f"stream-processes-{kind}"
    server = SERVERS[kind](tmp_path)
    with ExitStack() as stack:
        server.start()
        stack.callback(server.stop)
        stores = stack.enter_context(open_stores(real_server, database, prepare=True))
        began = datetime.now(UTC)
        platform = platform_on(stores, [Mailbox("mail")], HandClock(began))
        platform.assets.store_assets([oven().model_copy(update={"name": name}) for name in ASSETS])
        apply(platform, [too_hot(assets=["oven-*"], stale_after="1h")], "engineer", began, "test")
        topic = server.separator.join(["line-3", "{asset}", "readings"])
        source = {
            "name": "line",
            "kind": kind,
            "url": {"env": "BROKER_URL"},
            "topic": topic,
            "latency": "0s",
        }
        apply_sources(platform, [source], "ada", began)
        processes = [_service(tmp_path, number, real_server, database, server) for number in (1, 2)]
        for process in processes:
            stack.callback(process.wait, 600)
            stack.callback(process.kill)
        noted = stores.database["stream_processes"]
        _wait(lambda: noted.count_documents({"waiting": False}) == 2, tmp_path)
        _wait(lambda: _listens(server, topic, began, stores), tmp_path)
        sent = _send(server, topic, began, 0)
        _wait(lambda: _stored(stores).keys() >= sent.keys(), tmp_path)
        _wait(lambda: len(_told(platform, began)) == len(ASSETS), tmp_path)
        sent |= _send(server, topic, began, ROWS)
        processes[0].kill()
        processes[0].wait(600)
        _wait(lambda: _stored(stores).keys() >= sent.keys(), tmp_path)
        assert {key: value for key, value in _stored(stores).items() if key[1] > began} == sent
        # the killed one may not have counted
        assert platform.deliveries.progress("line").rows >= len(sent) - ROWS * len(ASSETS)
        # Rows that the killed one stored and did not evaluate are taken up by a round of the
        # scheduler, within ten minutes.
        evaluate(platform, None, datetime.now(UTC) + timedelta(minutes=11))
        _wait(lambda: len(platform.episodes.find()) == len(ASSETS) * 2, tmp_path)
        noticed = stores.database["notifications"].find({"transition": "raised"})
        assert {notice["episode"] for notice in noticed} == {
            episode.id for episode in platform.episodes.find()
        }
        # what the killed one claimed is sent by a round
        told = _told(platform, began)  # once: the other one delivers meanwhile
        assert len(set(told)) == len(told)
        processes[1].terminate()
        assert processes[1].wait(600) == 0
        stores.database.client.drop_database(database)


def _service(folder, number, uri, database, server):
    load_or_create(folder / "secrets")
    environ = {
        **os.environ,
        "BROKER_URL": server.address(server.port),
        "ALERTING_MONGODB_URI": uri,
        "ALERTING_DATABASE": database,
    }
    environ |= {
        "ALERTING_HOME": str(folder / f"home-{number}"),
        "ALERTING_LINK_KEY_FILE": str(folder / "secrets" / LINK_KEY),
        "PYTHONPATH": os.pathsep.join(sys.path),
    }
    with (folder / "stream.log").open("ab") as log:
        return subprocess.Popen(
            [sys.executable, "-m", "alerting.cli.main", "stream"],
            env=environ,
            stdout=log,
            stderr=log,
        )


def _send(server, topic, began, first):
    """Publish rows of every asset, of which the later half is too hot; return them by asset and
    stamp."""
    sent = {}
    for asset in ASSETS:
        payloads = []
        for i in range(first, first + ROWS):
            ts = began + timedelta(milliseconds=100 * (i + 1))
            ts -= timedelta(microseconds=ts.microsecond % 1000)
            sent[asset, ts] = value = 230.0 if i >= first + ROWS // 2 else 200.0
            payloads.append(
                json.dumps({"ts": ts.isoformat(), "values": {"temperature": value}}).encode()
            )
        server.publish(topic.replace("{asset}", asset), payloads)
    return sent


def _listens(server, topic, began, stores):
    """Publish an old reading, and return whether one is stored: MQTT keeps messages from the first
    subscription on."""
    row = {"ts": (began - timedelta(hours=1)).isoformat(), "values": {"temperature": 200.0}}
    server.publish(topic.replace("{asset}", ASSETS[0]), [json.dumps(row).encode()])
    return bool(_stored(stores))


def _stored(stores):
    return {
        (row["asset"], row["ts"]): row["v"]["temperature"]
        for row in stores.database["readings"].find()
    }


def _told(platform, began):
    return [n.key for n in platform.notifications.sent_since(began) if ":raised" in n.key]


def _wait(happened, folder, seconds=600):
    end = time.monotonic() + seconds
    while not happened():
        assert time.monotonic() < end, (folder / "stream.log").read_text()[-3000:]
        time.sleep(0.1)
