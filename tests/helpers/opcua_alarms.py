"""A plant with a server of OPC UA alarms, and a control system that subscribes to it."""

import asyncio
from contextlib import asynccontextmanager
from copy import deepcopy
from dataclasses import replace
from datetime import timedelta
from functools import cache
from threading import Event
from unittest.mock import patch

import pytest
from asyncua import Client, ua
from asyncua.crypto.cert_gen import setup_self_signed_certificate
from asyncua.crypto.security_policies import SecurityPolicyBasic256Sha256
from asyncua.server.internal_server import InternalServer
from asyncua.server.standard_address_space import standard_address_space
from cryptography.x509.oid import ExtendedKeyUsageOID

from alerting.adapters.sinks.opcua_alarms.server import AlarmEndpoint
from alerting.adapters.sinks.opcua_alarms.service import AlarmService, AlarmSettings
from alerting.definitions.assets import Asset, Variable
from alerting.usecases.access.people import add_person
from alerting.usecases.access.tokens import create_token
from tests.builders import at, revision, threshold
from tests.helpers.episodes import episode
from tests.in_memory_platform import HandClock, platform_on
from tests.support import free_port

HANG_S = 60
ALARM_TYPE = ua.NodeId(ua.ObjectIds.AlarmConditionType)
ACKNOWLEDGE = ua.NodeId(ua.ObjectIds.AcknowledgeableConditionType_Acknowledge)
ADD_COMMENT = ua.NodeId(ua.ObjectIds.ConditionType_AddComment)
TIMED_SHELVE = ua.NodeId(ua.ObjectIds.ShelvedStateMachineType_TimedShelve)
TIMED_SHELVE_2 = ua.NodeId(ua.ObjectIds.ShelvedStateMachineType_TimedShelve2)
UNSHELVE = ua.NodeId(ua.ObjectIds.ShelvedStateMachineType_Unshelve)
REFRESH = ua.NodeId(ua.ObjectIds.ConditionType_ConditionRefresh)
CONDITION_TYPE = ua.NodeId(ua.ObjectIds.ConditionType)


def plant(stores):
    """Return a platform with two ovens of two lines, one definition on both, and accounts."""
    platform = platform_on(stores, (), HandClock(at(60)))
    variables = {"temperature": Variable(unit="°C")}
    platform.assets.store_assets(
        [
            Asset(name="line-1", title="Line 1"),
            Asset(name="line-2"),
            Asset(name="oven-1", title="Oven 1", parent="line-1", variables=variables),
            Asset(name="oven-2", parent="line-2", variables=variables),
        ]
    )
    definition = threshold(assets=["oven-1", "oven-2"])
    platform.definitions.add_revision(revision(definition, at(0)))
    for name, role, scope in (
        ("scada", "operator", None),
        ("display", "viewer", None),
        ("scada-1", "operator", ("line-1",)),
        ("ada-2", "operator", None),
    ):
        add_person(platform, name, role, "ada", at(0), scope=scope)
    return platform


def token_of(platform, name, role="operator", now=None):
    """Return the secret of a new token of an account."""
    now = now or at(0)
    ends = now + timedelta(days=300)
    return create_token(platform, f"{name}-{role}", name, role, ends, "ada", now)[1]


class Certificates:
    """Certificates of a server's folder, and of a client."""

    def __init__(self, folder):
        self.folder = folder / "opcua"
        self.client = folder / "client_cert.der"
        self.key = folder / "client_key.pem"
        self.uri = "urn:test:scada"
        asyncio.run(
            setup_self_signed_certificate(
                self.key,
                self.client,
                self.uri,
                "127.0.0.1",
                [ExtendedKeyUsageOID.CLIENT_AUTH],
                {"commonName": "scada"},
            )
        )
        (self.folder / "clients").mkdir(parents=True)

    def trust(self):
        """Let the server trust the client."""
        (self.folder / "clients" / "scada.der").write_bytes(self.client.read_bytes())


@pytest.fixture(scope="session")
def made_certificates(tmp_path_factory):
    """Return certificates that the server trusts: keys take a second."""
    made = Certificates(tmp_path_factory.mktemp("opcua"))
    made.trust()
    return made


@cache
def standard_nodes():
    """Return the nodes that every server has, by id: to make them takes more than a second."""
    server = InternalServer()
    standard_address_space.fill_address_space(server.node_mgt_service)
    return server.aspace._nodes


class CopiedNodes(dict):
    """The nodes of one server: each of the standard is copied when it is first asked for."""

    def __missing__(self, id):
        self[id] = deepcopy(standard_nodes()[id])
        return self[id]

    def __contains__(self, id):
        return super().__contains__(id) or id in standard_nodes()

    def get(self, id, default=None):
        try:
            return self[id]
        except KeyError:
            return default


async def copy_standard_nodes(server, _=None):
    """Give a server its nodes, as `InternalServer.load_standard_address_space` does."""
    server.aspace._nodes = CopiedNodes()


@asynccontextmanager
async def served(platform, certificates, **changes):
    """Yield a running service of a platform."""
    endpoint = AlarmEndpoint(certificates.folder, port=free_port())
    settings = AlarmSettings(endpoint, ("scada", "display", "scada-1"), **changes)
    service = AlarmService(platform, settings, platform.clock.now)
    stopped = Event()
    running = asyncio.create_task(service.run(stopped))
    try:
        with patch.object(InternalServer, "load_standard_address_space", copy_standard_nodes):
            await until(lambda: service.ready or running.done())
        if running.done():
            running.result()
        yield service
    finally:
        stopped.set()
        await asyncio.wait_for(running, HANG_S)


async def until(holds):
    """Wait until a condition holds."""
    async with asyncio.timeout(HANG_S):
        while not holds():
            await asyncio.sleep(0.02)


class Scada:
    """A control system: its events, newest last."""

    def __init__(self, port, certificates, name, secret):
        url = f"opc.tcp://127.0.0.1:{port}/alerting"
        self.client = Client(url, timeout=HANG_S, watchdog_intervall=HANG_S)
        self.client.application_uri = certificates.uri
        self.client.set_user(name)
        self.client.set_password(secret)
        self._certificates = certificates
        self.events = []

    async def secure(self, mode=ua.MessageSecurityMode.SignAndEncrypt):
        """Encrypt the channel."""
        given = self._certificates
        await self.client.set_security(
            SecurityPolicyBasic256Sha256,
            str(given.client),
            str(given.key),
            server_certificate=str(given.folder / "server_cert.pem"),
            mode=mode,
        )

    @property
    def alarms(self):
        """Return the events of alarms, without those of refreshes."""
        return [one for one in self.events if one.EventType == ALARM_TYPE]

    def event_notification(self, event):
        self.events.append(event)

    def status_change_notification(self, status):
        self.events.append(status)

    async def subscribe(self, node=None):
        """Subscribe the alarms of the server, or of one node."""
        self.subscription = await self.client.create_subscription(100, self)
        where = node or self.client.nodes.server
        await self.subscription.subscribe_events(where, ALARM_TYPE)

    async def refresh(self):
        """Ask for the present alarms; return their events."""
        before = len(self.events)
        asked = ua.Variant(self.subscription.subscription_id, ua.VariantType.UInt32)
        code = await self.call(CONDITION_TYPE, REFRESH, asked)
        assert code == ua.StatusCodes.Good
        end = ua.NodeId(ua.ObjectIds.RefreshEndEventType)
        await until(lambda: any(one.EventType == end for one in self.events[before:]))
        return [one for one in self.events[before:] if one in self.alarms]

    async def call(self, node, method, *given):
        """Call a method; return its status code."""
        asked = ua.CallMethodRequest(node, method, list(given))
        return (await self.client.uaclient.call([asked]))[0].StatusCode.value

    async def answer(self, event, method=ACKNOWLEDGE, text="seen"):
        """Acknowledge or comment the alarm of an event."""
        id = ua.Variant(event.EventId, ua.VariantType.ByteString)
        return await self.call(event.NodeId, method, id, ua.Variant(ua.LocalizedText(text)))

    async def shelve(self, event, lasting, reason=None):
        """Shelve the alarm of an event."""
        asked = [ua.Variant(lasting / timedelta(milliseconds=1), ua.VariantType.Double)]
        if reason is None:
            return await self.call(event.NodeId, TIMED_SHELVE, *asked)
        return await self.call(
            event.NodeId, TIMED_SHELVE_2, *asked, ua.Variant(ua.LocalizedText(reason))
        )

    async def await_event(self, holds=lambda _: True):
        """Return the newest event for which something holds."""
        await until(lambda: any(holds(one) for one in self.alarms))
        return next(one for one in reversed(self.alarms) if holds(one))


@asynccontextmanager
async def connected(service, certificates, name, secret):
    """Yield a control system that is signed in and subscribes all alarms."""
    scada = Scada(service.server.port, certificates, name, secret)
    await scada.secure()
    async with scada.client:
        await scada.subscribe()
        yield scada


def raise_alarm(platform, minute=50, asset="oven-1", **changes):
    """Store an open episode, as evaluation does."""
    made = episode(minute, asset=asset, **changes)
    assert platform.episodes.insert(made)
    return made


def close_alarm(platform, id, minute=70):
    """Close an episode, as evaluation does."""
    one = platform.episodes.get(id)
    with platform.unit_of_work.begin() as unit:
        over = one.with_transition(
            "closed", at(minute), "normal again", condition="closed", closed_at=at(minute)
        )
        platform.episodes.write([replace(over, version=one.version + 1)], unit)
