"""A source of kind `opcua` against asyncua's own server: values with quality and stamps, also over
a broken connection."""

import asyncio
import threading
from datetime import UTC, datetime, timedelta

import pytest

from alerting.adapters.sources.brokers import look_at
from alerting.definitions.sources import parse_source
from alerting.ports import WantedHistory
from alerting.stream.service import StreamService
from alerting.usecases.sources.status import SOURCES
from alerting.usecases.sources.stream import try_messages
from tests.builders import at
from tests.helpers.proxy import Proxy
from tests.helpers.receivers import wait_until
from tests.in_memory_platform import memory_platform
from tests.support import free_port

asyncua = pytest.importorskip("asyncua", reason="pip install asyncua")
OpcUaClient = pytest.importorskip("alerting.adapters.sources.opcua").OpcUaClient
ZONE = "ns=2;s=Oven1.Zone2"
RECIPE = "ns=2;s=Oven1.Recipe"
SOURCE = {
    "name": "line", "kind": "opcua", "url": {"env": "SERVER_URL"},
    "nodes": {ZONE: {"variable": "zone 2", "asset": "oven-1"},
    RECIPE: {"variable": "recipe", "asset": "oven-1"}},
    "variables": {"zone 2": {"name": "zone_2", "unit": "°C"}},
}  # fmt: skip


class Plant:
    """An OPC UA server with two nodes, in a thread of its own."""

    def __init__(self):
        self.port = free_port()
        self.begin = datetime.now(UTC).replace(microsecond=0) - timedelta(hours=1)
        self._loop = asyncio.new_event_loop()
        threading.Thread(target=self._loop.run_forever, daemon=True).start()
        self._do(self._start())

    def _do(self, work):
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(600)

    async def _start(self):
        self._server = asyncua.Server()
        await self._server.init()
        self._server.set_endpoint(f"opc.tcp://127.0.0.1:{self.port}")
        self._server.set_security_policy([asyncua.ua.SecurityPolicyType.NoSecurity])
        await self._server.register_namespace("line")
        await self._server.start()
        folder = self._server.nodes.objects
        self.nodes = {}
        for id, value in ((ZONE, 0.0), (RECIPE, "A")):
            self.nodes[id] = await folder.add_variable(
                asyncua.ua.NodeId.from_string(id), f"2:{id[-5:]}", value
            )
            await self._write(id, value, 0)
        await self._server.historize_node_data_change(
            self.nodes[ZONE], period=timedelta(days=3650), count=1000
        )

    async def _write(self, id, value, seconds, status=0):
        found = asyncua.ua.DataValue(
            asyncua.ua.Variant(value),
            asyncua.ua.StatusCode(status),
            SourceTimestamp=self.begin + timedelta(seconds=seconds),
        )
        await self.nodes[id].write_value(found)

    def write(self, id, value, seconds, status=0):
        self._do(self._write(id, value, seconds, status))

    def stop(self):
        self._do(self._server.stop())
        self._loop.call_soon_threadsafe(self._loop.stop)


@pytest.fixture(scope="module")
def plant():
    made = Plant()
    yield made
    made.stop()


@pytest.fixture
def proxy(plant):
    made = Proxy(plant.port)
    made.join()
    yield made
    made.cut()


class Reader:
    """The service with one source."""

    def __init__(self, plant, proxy, **changes):
        self._begin = plant.begin
        self.platform = memory_platform()
        SOURCES.apply(self.platform, [{**SOURCE, **changes}], "ada", at(0))
        self.service = StreamService(
            self.platform, {"SERVER_URL": f"opc.tcp://127.0.0.1:{proxy.port}"}
        )

    def turns(self, until):
        wait_until(lambda: self.service.turn() or until())

    @property
    def fault(self):
        return self.platform.deliveries.progress("line").fault

    def stored(self):
        found = self.platform.assets.get("oven-1")
        if found is None:
            return {}
        frame = self.platform.readings.load(WantedHistory(found, None, None)).readings
        return {
            int((ts - self._begin).total_seconds()): row.dropna().to_dict()
            for ts, row in frame.iterrows()
        }


def test_values_have_the_stamps_and_the_quality_of_the_server(plant, proxy):
    reader = Reader(plant, proxy)
    reader.turns(reader.stored)
    plant.write(ZONE, 201.5, 60)
    plant.write(RECIPE, "B", 60)
    for value in (float("nan"), float("inf")):  # bad samples, too, and no dead messages
        plant.write(ZONE, value, 61)
    plant.write(ZONE, 7.0, 61, 0x80000000)  # bad
    plant.write(ZONE, 202.5, 62, 0x40000000)  # uncertain
    reader.turns(lambda: 62 in reader.stored())
    reader.service.close()
    stored = reader.stored()
    assert stored[60] == {"zone_2": 201.5, "recipe": "B"}
    assert stored[62] == {"zone_2": 202.5}
    assert "zone_2" not in stored.get(61, {})
    assert reader.platform.assets.get("oven-1").variables["zone_2"].unit == "°C"
    assert reader.platform.dead_messages.dead(None, 10) == []


def test_a_broken_connection_is_said_and_history_fills_the_gap(plant, proxy):
    reader = Reader(plant, proxy, history="2h")
    reader.turns(reader.stored)
    proxy.cut()
    reader.turns(lambda: reader.fault is not None)
    plant.write(ZONE, 300.0, 120)
    plant.write(ZONE, 301.0, 121)
    proxy.join()
    reader.turns(lambda: {120, 121} <= reader.stored().keys())
    reader.service.close()
    assert reader.stored()[120] == {"zone_2": 300.0}


def test_a_trial_shows_present_values_and_names_nodes_that_the_server_refuses(plant):
    plant.write(ZONE, 205.5, 500)
    nodes = {**SOURCE["nodes"], "ns=2;s=Nothing": {"variable": "nothing", "asset": "oven-1"}}
    source = parse_source({**SOURCE, "nodes": nodes})
    look = look_at("opcua", source, f"opc.tcp://127.0.0.1:{plant.port}", 5.0)
    trial = try_messages(memory_platform(), source, look)
    assert [row["zone_2"] for row in trial.rows if "zone_2" in row] == [205.5]
    assert any("recipe" in row for row in trial.rows)
    assert [note for note in trial.notes if "'ns=2;s=Nothing'" in note]
