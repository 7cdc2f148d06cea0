"""A data set as a live line: a file that is replayed arrives at its source, stamped now."""

import json
from datetime import UTC, datetime, timedelta

import httpx
import pytest
from fastapi.testclient import TestClient
from typer.testing import CliRunner

from alerting.cli.ingest.replay import messages
from alerting.cli.main import app
from alerting.console.app import create_app
from alerting.definitions.sources.source import parse_source
from alerting.ports import ReadingRow
from alerting.usecases.sources.documents import apply_sources
from alerting.usecases.sources.records import map_readings
from alerting.usecases.sources.stream import BrokerMessage, store_messages, topic_reader
from tests.builders import at
from tests.helpers.console.api import TOKENS
from tests.helpers.console.rubbish import ADMIN_TOKEN
from tests.helpers.mosquitto import Broker

MQTT = {"name": "gate", "kind": "mqtt", "url": {"env": "BROKER_URL"}, "topic": "plant/{asset}"}
ROW = ReadingRow("line-3-oven", at(1), {"zone_2": 201.5, "recipe": "A"})
EUROPEAN = "Zeit;Ofen;Temp\n05.01.2015 06:00;press-1;200,5\n05.01.2015 07:00;press-1;201,5\n"


@pytest.fixture
def recording(tmp_path):
    file = tmp_path / "week.csv"
    file.write_text(EUROPEAN)
    return str(file)


def replay(recording, *more):
    said = CliRunner().invoke(
        app,
        ["replay", recording, "--to", "gate", "--asset-column", "Ofen", *more],
    )
    return said.exit_code, " ".join(said.output.split())


@pytest.mark.parametrize(
    "changes",
    [
        {"asset_prefix": "line-3-", "variables": {"Zone 2 [°C]": {"name": "zone_2"}}},
        {"topic": "plant/+/{asset}/#", "asset_prefix": "line-3-"},
        {"topic": "plant/{asset}/{variable}", "payload": "value", "stamp": "receipt"},
        {"topic": "plant/#", "asset": "line-3-oven"},
    ],
)
def test_a_row_is_read_back_as_it_was(changes):
    source = parse_source(MQTT | changes)
    read = topic_reader(source)
    records = [
        record
        for topic, payload in messages(source, ROW, at(9))
        for record in read(BrokerMessage(topic, payload, at(9), lambda: None))
    ]
    found = map_readings(source, records, UTC)
    assert not found.refused
    assert {row.ts for _, row in found.rows} == {at(9)}
    assert {row.asset for _, row in found.rows} == {"line-3-oven"}
    assert {n: v for _, row in found.rows for n, v in row.values.items()} == ROW.values


def test_a_european_file_is_a_live_line_of_a_real_broker(plant, recording, tmp_path, monkeypatch):
    pytest.importorskip("paho.mqtt.client", reason="pip install paho-mqtt")
    from alerting.adapters.sources.mqtt import open_stream

    broker = Broker(tmp_path)
    broker.start()
    monkeypatch.setenv("BROKER_URL", broker.address)
    apply_sources(plant, [MQTT], "ada", at(0))
    source = parse_source(MQTT)
    stream = open_stream(source, broker.address, lambda: datetime.now(UTC))
    arrived = []
    began = datetime.now(UTC)
    try:
        while len(arrived) < 2:  # the subscription may come after the first messages
            assert datetime.now(UTC) - began < timedelta(minutes=2)
            assert replay(recording, "--speed", "36000")[0] == 0
            arrived += stream.batch()
        store_messages(plant, source, arrived, datetime.now(UTC))
    finally:
        stream.close()
        broker.stop()
    first, last = plant.readings.span("press-1")
    assert began - timedelta(seconds=1) <= first < last <= datetime.now(UTC)
    history = plant.readings.load(plant.assets.get("press-1"), first, last)
    assert set(history.readings["Temp"]) <= {200.5, 201.5}


def test_it_goes_to_the_console_as_well_and_a_refusal_ends_it(
    plant, recording, tmp_path, monkeypatch
):
    apply_sources(plant, [{"name": "gate", "kind": "http"}], "ada", at(0))
    console = create_app(plant, TOKENS)
    monkeypatch.setattr(
        httpx, "Client", lambda base_url, headers, **_: TestClient(console, headers=headers)
    )
    tokens = tmp_path / "tokens.json"
    monkeypatch.setenv("ALERTING_API_TOKENS_FILE", str(tokens))
    code, said = replay(recording)
    assert code == 1 and "has no token that may send readings" in said
    tokens.write_text(json.dumps({"wrong": {"name": "ada", "role": "engineer"}}))
    code, said = replay(recording)
    assert code == 1 and "the console refuses rows (401)" in said
    tokens.write_text(json.dumps({ADMIN_TOKEN: {"name": "ada", "role": "admin"}}))
    code, said = replay(recording, "--speed", "36000")
    assert (code, "2 messages sent to gate" in said) == (0, True), said
    assert plant.readings.span("press-1")[0] > at(0)
