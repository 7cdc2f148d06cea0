"""The ids in the logs of evaluation, delivery, training and the API, as JSON lines."""

import json
import logging

import pytest
from fastapi.testclient import TestClient

from alerting.console.app import create_app
from alerting.ports import ReadingRow
from alerting.settings.logs import configure_logging
from alerting.usecases.definitions.revisions_and_evaluation_plan import apply
from alerting.usecases.evaluation.rounds import evaluate
from alerting.usecases.ingestion.arrived_rows import add_readings
from alerting.usecases.notification.delivery import deliver_due
from alerting.usecases.operators.operate import Actor, acknowledge
from tests.builders import at, oven, too_hot
from tests.humid_line import humid_oven
from tests.in_memory_platform import Mailbox, in_memory_platform

TOKENS = {"viewer-token-0123456789": ("vera", "viewer")}


@pytest.fixture
def platform(capsys):
    root = logging.getLogger()
    ours = logging.getLogger("alerting")
    before = list(root.handlers), ours.level
    made = in_memory_platform(Mailbox("mail"))
    made.assets.store_assets([oven(), humid_oven()])
    apply(
        made, [too_hot(stale_after="10h", notify={"channels": ["mail"]})], "engineer", at(0), "test"
    )
    add_readings(made, [ReadingRow("oven-1", at(5), {"temperature": 230})], at(5))
    made.clock.instant = at(8)
    configure_logging({"ALERTING_LOG_FORMAT": "json"})
    capsys.readouterr()
    yield made
    root.handlers[:] = before[0]
    ours.setLevel(before[1])


def logged(capsys):
    return [
        json.loads(text) for text in capsys.readouterr().err.splitlines() if text.startswith("{")
    ]


def test_evaluation_and_delivery_name_definition_asset_episode_and_run(platform, capsys):
    evaluate(platform, None, at(8))
    raised, counts = logged(capsys)
    [episode] = platform.episodes.find()
    ids = {"definition": "too-hot", "asset": "oven-1", "episode": episode.id}
    assert (raised["message"], {key: raised[key] for key in ids}) == ("episode raised", ids)
    assert counts["message"].startswith("evaluated 1 targets: 1 raised")
    assert counts["run"] == raised["run"]
    deliver_due(platform, at(8))
    [sent] = logged(capsys)
    assert (sent["message"], sent["channel"]) == ("notification sent: raised", "mail")
    assert {key: sent[key] for key in ids} == ids
    assert sent["run"] not in ("", raised["run"])
    acknowledge(platform, episode.id, Actor("emil", "engineer"), at(9), "")
    [moved] = logged(capsys)
    assert (moved["message"], moved["episode"]) == ("episode acknowledged", episode.id)


def test_each_request_has_an_id_its_declared_address_and_its_actor(platform, capsys):
    client = TestClient(
        create_app(platform, TOKENS), raise_server_exceptions=False, follow_redirects=False
    )
    headers = {"authorization": "Bearer viewer-token-0123456789"}
    client.get("/api/v1/episodes/abcdef", headers=headers)
    client.get("/f/sealed-grant-0123456789")
    client.get("/api/v1/health")
    client.get("/nothing%0A", headers=headers)
    requests = [text for text in logged(capsys) if text["logger"] == "alerting.console.app"]
    messages = [text["message"].partition(" in ")[0] for text in requests]
    assert messages[0] == "GET /api/v1/episodes/{id}: 404"
    assert messages[1].startswith("GET /f/{")
    assert messages[2:] == ["GET no such address: 404"]
    assert requests[0]["actor"] == "vera"
    assert len({text["request"] for text in requests}) == 3
    assert "sealed-grant" not in json.dumps(requests)
