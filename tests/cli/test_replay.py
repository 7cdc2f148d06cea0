"""A data set as a live line: a file that is replayed arrives at its source, stamped now."""

from datetime import UTC

import pytest
from typer.testing import CliRunner

from alerting.cli.delivery_commands import messages
from alerting.cli.main import app
from alerting.definitions.faults import UserError
from alerting.definitions.sources import parse_source
from alerting.ports import ReadingRow
from alerting.usecases.sources.records import read_readings
from alerting.usecases.sources.status import SOURCES
from alerting.usecases.sources.stream import BrokerMessage, topic_reader
from tests.builders import at
from tests.in_memory_platform import memory_platform

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


MAPPINGS = (
    {"asset_prefix": "line-3-", "variables": {"Zone 2 [°C]": {"name": "zone_2"}}},
    {"topic": "plant/+/{asset}/#", "asset_prefix": "line-3-"},
    {"topic": "plant/{asset}/{variable}", "payload": "value", "stamp": "receipt"},
    {"topic": "plant/#", "asset": "line-3-oven"},
)


def read_back(changes):
    """Return the readings that a source of a broker makes of the messages of a row."""
    source = parse_source(MQTT | changes)
    read = topic_reader(source)
    sent = [BrokerMessage(*one, at(9), lambda: None) for one in messages(source, ROW, at(9))]
    records = [record for one in sent for record in read(one)]
    found = read_readings(memory_platform().assets, source, records, UTC)
    assert not found.refused
    values = {name: value for row in found.readings for name, value in row.values.items()}
    return {(row.asset, row.ts) for row in found.readings}, values


def test_a_row_is_read_back_as_it_was():
    expected = {("line-3-oven", at(9))}, ROW.values
    assert [read_back(changes) for changes in MAPPINGS] == [expected] * len(MAPPINGS)
    for changes in ({"topic": "{line}/{asset}"}, {"time": "rows[].ts"}):
        with pytest.raises(UserError, match="replay cannot write the messages"):
            messages(parse_source(MQTT | changes), ROW, at(9))


def test_it_is_stored_as_the_source_reads_it_and_a_refusal_ends_it(plant, recording):
    SOURCES.apply(plant, [{"name": "gate", "kind": "http", "others": "ignore"}], "ada", at(0))
    code, said = replay(recording)
    assert (code, "a row is refused" in said) == (1, True), said
    SOURCES.apply(plant, [{"name": "gate", "kind": "http"}], "ada", at(0))
    code, said = replay(recording, "--speed", "36000")
    assert (code, "2 messages sent to gate" in said) == (0, True), said
    assert plant.readings.span("press-1")[0] > at(0)
