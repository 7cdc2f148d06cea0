"""The stream service serves a sink to which control systems connect."""

import asyncio
from datetime import UTC, datetime

import pytest

from alerting.settings.machine import is_free
from alerting.stream import sinks as stream_sinks
from alerting.stream.sinks import SinkService
from alerting.usecases.operators.operate import Actor, acknowledge
from alerting.usecases.sinks.documents import apply_sinks, change_sink_state, sink_detail
from tests.builders import at
from tests.helpers.opcua_alarms import (
    Scada,
    made_certificates,  # noqa: F401 - a fixture
    plant,
    raise_alarm,
    token_of,
)
from tests.helpers.receivers import surroundings, wait_until
from tests.helpers.stores import real  # noqa: F401 - a fixture
from tests.support import free_port

pytestmark = pytest.mark.server


def test_alarms_are_served_while_the_sink_is_active(real, made_certificates, monkeypatch):  # noqa: F811 - fixtures
    monkeypatch.setattr(stream_sinks, "LOOK_S", 0.05)
    platform = plant(real)
    port = free_port()
    document = {
        "name": "scada",
        "kind": "opcua_alarms",
        "folder": str(made_certificates.folder),
        "accounts": ["scada"],
        "port": port,
        "match": {"parts": ["line-1"], "severity": ["high", "critical"]},
    }
    apply_sinks(platform, [document], "ada", at(0))
    service = SinkService(platform, surroundings(""), "one", lambda: ["one"])
    service.start()
    try:
        wait_until(lambda: not is_free(port))
        made = raise_alarm(platform, 50)
        raise_alarm(platform, 51, "oven-2")
        raise_alarm(platform, 52, definition="too-cold", severity="low", severity_peak="low")
        asyncio.run(_see_and_answer(platform, made_certificates, port, made))
        assert sink_detail(platform, "scada", at(60)).status.fault is None
        change_sink_state(platform, "scada", "paused", None, "ada", at(61))
        wait_until(lambda: not service._threads)
        apply_sinks(platform, [document], "ada", at(62))
        wait_until(lambda: "scada" in service._threads)
    finally:
        service.close()


async def _see_and_answer(platform, certificates, port, made):
    # tokens are checked by the real time here
    secret = token_of(platform, "scada", now=datetime.now(UTC))
    scada = Scada(port, certificates, "scada", secret)
    await scada.secure()
    async with scada.client:
        await scada.subscribe()
        # what was raised just now may come beside the refresh
        (event,) = {one.EventId: one for one in await scada.refresh()}.values()
        assert event.SourceName == "Oven 1"
        acknowledge(platform, made.id, Actor("anna", "operator"), at(61), "on my way")
        told = await scada.await_event(lambda one: getattr(one, "AckedState/Id"))
        assert told.ClientUserId == "anna"
        (event,) = await scada.refresh()
        assert event.EventId == told.EventId
