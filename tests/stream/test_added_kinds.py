"""The kinds of the package in config/examples/tcp-lines, installed as pip would: a source is read,
a sink delivers, and what is wrong with a package is said where its kind is."""

import json
import socketserver
import sys
import tomllib
from contextlib import contextmanager
from pathlib import Path
from threading import Thread
from types import SimpleNamespace

import pytest

from alerting.adapters.mongo import prepare
from alerting.adapters.sources.brokers import look_at
from alerting.definitions import routes_and_sinks, sources
from alerting.definitions.faults import DocumentRefused, UserError
from alerting.definitions.routes_and_sinks import parse_sink
from alerting.definitions.sources import parse_source
from alerting.definitions.wording.language import commands_of
from alerting.ports import ACCEPTED, Answer, WantedHistory
from alerting.stream import threads as stream_sinks
from alerting.stream.service import StreamService
from alerting.usecases.sources.status import SOURCES
from tests.builders import at, oven
from tests.helpers.receivers import surroundings, wait_until
from tests.helpers.stores import real  # noqa: F401 - a fixture
from tests.in_memory_platform import HandClock, platform_on

EXAMPLE = Path(__file__).parents[2] / "config" / "examples" / "tcp-lines"
ROW = {"ts": "2026-01-05T12:00:00Z", "values": {"t": 1}}
SOURCE = {"name": "gateway", "kind": "tcp_lines", "url": {"env": "GATEWAY_URL"}, "asset": "oven-1"}
SINK = {"name": "mes", "kind": "tcp_lines", "url": {"env": "RECEIVER_URL"}, "sends": ["alarms"]}


@contextmanager
def installed(folder, monkeypatch, files, points):
    """Install files with their entry points, by group, as a package of its own."""
    for name, text in files.items():
        (folder / name).write_text(text)
    about = folder / "tcp_lines-1.0.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: tcp-lines\nVersion: 1.0\n")
    lines = [
        line
        for group, names in points.items()
        for line in (f"[{group}]", *(f"{name} = {value}" for name, value in names.items()))
    ]
    (about / "entry_points.txt").write_text("\n".join(lines))
    monkeypatch.syspath_prepend(folder)
    forget()
    try:
        yield
    finally:
        monkeypatch.undo()
        forget()
        for name in files:
            sys.modules.pop(name.removesuffix(".py"), None)


def forget():
    """Forget what was loaded once."""
    for union in (routes_and_sinks.SINK_UNION, sources.SOURCE_UNION):
        for name in ("kinds", "adapter"):
            union.__dict__.pop(name, None)
        union._unusable.clear()
    prepare._make_validator.cache_clear()
    prepare.schema_hash.cache_clear()


@pytest.fixture
def package(tmp_path, monkeypatch):
    files = {file.name: file.read_text(encoding="utf-8") for file in EXAMPLE.glob("*.py")}
    about = (EXAMPLE / "pyproject.toml").read_text(encoding="utf-8")
    points = tomllib.loads(about)["project"]["entry-points"]
    with installed(tmp_path, monkeypatch, files, points):
        yield


class Gateway(socketserver.ThreadingTCPServer):
    """Sends numbered rows to each client until it got their numbers; refuses alarms of oven-2."""

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Answering)
        self.rows = {}
        self.url = f"tcp://127.0.0.1:{self.server_address[1]}"


class Answering(socketserver.StreamRequestHandler):
    def handle(self):
        for number, row in list(self.server.rows.items()):
            self.wfile.write(f"{number} {json.dumps(row)}\n".encode())
        for line in self.rfile:
            if not line.startswith(b"{"):
                self.server.rows.pop(int(line))
                continue
            is_refused = json.loads(line)["asset"] == "oven-2"
            self.wfile.write(b"it knows no oven-2\n" if is_refused else b"ok\n")


@pytest.fixture
def gateway():
    with Gateway() as made:
        Thread(target=made.serve_forever, daemon=True).start()
        yield made
        made.shutdown()


@pytest.fixture
def database(real):  # noqa: F811 - a fixture
    """Return a database, which is prepared without the package at the end."""
    yield real.database
    prepare.prepare_database(real.database)


@pytest.fixture
def plant(real, database, package):  # noqa: F811 - a fixture
    made = platform_on(real, (), HandClock())
    made.assets.store_assets([oven()])
    return made


def test_a_source_of_an_added_kind_is_read_and_acknowledged(plant, database, gateway):
    with pytest.raises(UserError, match="belongs to another version") as refusal:
        SOURCES.apply(plant, [SOURCE], "ada", at(0))
    assert commands_of(refusal.value.message) == ["alerting prepare"]
    prepare.prepare_database(database)
    gateway.rows |= {1: ROW, 2: {**ROW, "ts": "2026-01-05T12:01:00Z"}, 3: "nonsense"}
    look = look_at("tcp_lines", parse_source(SOURCE), gateway.url, 0.5)
    assert (len(look.messages), look.notes) == (3, ["3 lines came within 0.5 s"])
    assert len(gateway.rows) == 3
    SOURCES.apply(plant, [SOURCE], "ada", at(0))
    service = StreamService(plant, {"GATEWAY_URL": gateway.url})
    wait_until(lambda: service.turn() or not gateway.rows)
    service.close()
    found = plant.readings.load(WantedHistory(plant.assets.get("oven-1"), None, None)).readings
    assert [*found["t"]] == [1.0, 1.0]
    assert len(plant.dead_messages.dead("gateway", 9)) == 1


def test_a_sink_of_an_added_kind_gives_the_answer_to_each_message(package, gateway):
    receiver = stream_sinks.open_receiver(parse_sink(SINK), surroundings(gateway.url))
    messages = [SimpleNamespace(content={"asset": f"oven-{number}"}) for number in (1, 2)]
    answers = [*receiver.send(messages)]
    receiver.close()
    assert answers == [ACCEPTED, Answer("refused", "it knows no oven-2")]


def test_the_schema_of_an_added_kind_is_closed(package):
    with pytest.raises(DocumentRefused) as refusal:
        parse_sink({**SINK, "wait_s": 900, "wait": 1, "url": {}})
    assert {fault.path for fault in refusal.value.faults} == {"wait_s", "wait", "url"}
    with pytest.raises(DocumentRefused, match="topic: is not a field"):
        parse_source({**SOURCE, "topic": "line"})


MODEL = """
from typing import Literal
from alerting.definitions.routes_and_sinks import SinkFields
class Wrong: pass
class Other(SinkFields):
    client = "nowhere:Nothing"
    kind: Literal["other"]
class Unconnected(SinkFields):
    kind: Literal["unconnected"]
class Fine(Other):
    kind: Literal["fine"]
class Mqtt(Other):
    kind: Literal["mqtt"]
"""


@pytest.mark.parametrize(
    ("kind", "value", "reason"),
    [
        ("broken", "nowhere:Nothing", "ModuleNotFoundError: No module named 'nowhere'"),
        ("wrong", "added:Wrong", "added:Wrong is no SinkFields"),
        ("another", "added:Other", "the field kind of added:Other is not Literal['another']"),
        ("unconnected", "added:Unconnected", "names no client = 'module:Class'"),
    ],
)
def test_a_package_that_cannot_be_used_is_named_where_its_kind_is_and_others_go_on(
    kind, value, reason, tmp_path, monkeypatch, caplog
):
    points = {"alerting.sinks": {kind: value, "fine": "added:Fine", "mqtt": "added:Mqtt"}}
    with installed(tmp_path, monkeypatch, {"added.py": MODEL}, points):
        with pytest.raises(DocumentRefused) as refusal:
            parse_sink({**SINK, "kind": kind})
        (fault,) = refusal.value.faults
        assert fault.hint.startswith("the package tcp-lines adds this kind, but ")
        assert reason in fault.hint
        assert parse_sink({**SINK, "kind": "fine"}).kind == "fine"
        assert type(parse_sink({**SINK, "kind": "mqtt"})).__name__ == "MqttSink"
        assert "there is a kind of this name already" in caplog.text
        with pytest.raises(UserError, match=r"client of fine cannot be loaded .*'nowhere'"):
            stream_sinks.open_receiver(parse_sink({**SINK, "kind": "fine"}), surroundings(""))
