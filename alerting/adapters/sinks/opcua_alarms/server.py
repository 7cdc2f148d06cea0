"""The server: who may sign in, which nodes there are, and the events that it tells."""

import asyncio
import logging
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from secrets import token_bytes

from asyncua import ua
from asyncua.common.utils import ServiceError

from alerting.adapters.sinks.opcua_alarms.certificates import prepare_folder, read_trusted
from alerting.adapters.sinks.opcua_alarms.events import (
    ConditionEvent,
    ConditionFilter,
    alarm_event,
    system_event,
)
from alerting.adapters.sinks.opcua_alarms.guarded import (
    BoundedServer,
    GuardedServer,
    Refuse,
    SignIn,
)
from alerting.adapters.sinks.opcua_alarms.methods import Act, Methods
from alerting.adapters.sinks.opcua_alarms.nodes import PlantNodes, alarm_node, asset_node
from alerting.adapters.sinks.opcua_alarms.sessions import AlarmSession
from alerting.definitions.assets import Asset
from alerting.definitions.wording.language import ENGLISH, Language
from alerting.gc_tuning import collect_garbage_rarely
from alerting.usecases.operators.alarm_conditions import AlarmBook, AlarmState

APPLICATION = "urn:alerting:opcua-alarms"
NAMESPACE_URI = "urn:alerting:plant"
PATH = "/alerting"
_SERVER = ua.NodeId(ua.ObjectIds.Server)
_SENT_AT_ONCE = 100
_PAUSE_S = 0.05
"""After each hundred events of a flood: what a client asks meanwhile is answered, and its messages
stay small."""
# it logs every refused request of a client as an error
logging.getLogger("asyncua").setLevel(logging.CRITICAL)


@dataclass(frozen=True)
class AlarmEndpoint:
    """Where the server listens. `folder`: of its certificate and key, made once, and of those of
    the clients that it trusts. `public_host`: the name in its endpoint, if not `host`."""

    folder: Path
    host: str = "127.0.0.1"
    port: int = 4841
    public_host: str = ""


class AlarmServer:
    """An OPC UA server of the alarms in a book."""

    def __init__(
        self,
        endpoint: AlarmEndpoint,
        book: AlarmBook,
        sign_in: SignIn,
        act: Act,
        refuse: Refuse,
        now: Callable[[], datetime],
        language: Language = ENGLISH,
    ) -> None:
        """`act`: see `Act`. `refuse`: counts what is refused. `now`: the time of the plant."""
        self._now = now
        self._endpoint = endpoint
        self._book = book
        self._language = language
        self._inside = GuardedServer(sign_in, refuse, self._session)
        self._server = BoundedServer(iserver=self._inside)
        self._nodes = PlantNodes(self._inside)
        self._methods = Methods(book, act, self._refresh)
        self.sent = 0

    def _session(self, *given: object) -> AlarmSession:
        made = AlarmSession(*given)
        made.nodes = self._nodes
        made.methods = self._methods
        return made

    @property
    def port(self) -> int:
        """Return the port on which it listens."""
        bound = self._server.bserver
        return self._endpoint.port if bound is None else int(bound.port)

    @property
    def sessions(self) -> list[AlarmSession]:
        """Return the sessions that have signed in."""
        found = [one for one in self._inside.sessions if isinstance(one, AlarmSession)]
        return [one for one in found if one.is_activated()]

    async def start(self, title: str) -> None:
        """Listen. `title`: of the plant. Raises OSError for a port that is taken."""
        where = self._endpoint
        host = where.public_host or where.host
        certificate, key, _ = prepare_folder(where.folder, host, APPLICATION, datetime.now(UTC))
        server = self._server
        with collect_garbage_rarely():  # it makes 400,000 objects, which stay
            await server.init()
        server.name = "alerting: alarms"
        server.application_type = ua.ApplicationType.Server
        server.set_endpoint(f"opc.tcp://{host}:{where.port}{PATH}")
        server.socket_address = (where.host, where.port)
        await server.set_application_uri(APPLICATION)
        server.set_security_policy(
            [
                ua.SecurityPolicyType.Basic256Sha256_SignAndEncrypt,
                ua.SecurityPolicyType.Aes128Sha256RsaOaep_SignAndEncrypt,
                ua.SecurityPolicyType.Aes256Sha256RsaPss_SignAndEncrypt,
            ]
        )
        await server.load_certificate(str(certificate))
        await server.load_private_key(str(key))
        await server.register_namespace(NAMESPACE_URI)
        self.trust_again()
        self._nodes.prepare(title)
        notifier = server.get_node(_SERVER)
        await notifier.set_event_notifier([ua.EventNotifier.SubscribeToEvents])
        await server.start()

    async def stop(self) -> None:
        """End all connections. Idempotent."""
        if self._server.bserver is not None:
            await self._server.stop()

    def trust_again(self) -> None:
        """Read the certificates of clients again."""
        _, _, clients = prepare_folder(
            self._endpoint.folder, self._endpoint.host, APPLICATION, datetime.now(UTC)
        )
        self._inside.trusted = read_trusted(clients, datetime.now(UTC))

    async def show_assets(self, assets: Sequence[Asset]) -> None:
        """Show the asset tree, and the present alarms in it, if it has changed."""
        if self._nodes.show_assets(assets):
            for alarm in self._book.present():
                await self._show(alarm)

    async def send_changes(self, changed: Iterable[AlarmState]) -> None:
        """Tell changed alarms to all that subscribe them."""
        for i, alarm in enumerate(changed):
            event = await self._show(alarm)
            for session in self.sessions:
                if session.program.sees(alarm.asset):
                    await self._deliver(session, event, alarm.asset, None, None)
            self.sent += 1
            await _pause(i)

    async def close_sessions(self, over: Iterable[AlarmSession]) -> None:
        """End sessions whose sign-in is over."""
        for session in over:
            await session.close_session()

    async def _show(self, alarm: AlarmState) -> ConditionEvent:
        event = self._event(alarm)
        if not alarm.is_branch:
            node = alarm_node(*alarm.target)
            await self._nodes.show_alarm(node, alarm.asset, alarm.title, event)
        return event

    def _event(self, alarm: AlarmState) -> ConditionEvent:
        source = asset_node(alarm.asset)
        title = self._nodes.title(alarm.asset)
        condition = alarm_node(*alarm.target)
        return alarm_event(alarm, condition, source, title, self._now(), self._language)

    async def _refresh(self, session: AlarmSession, id: int, item: int | None) -> None:
        """Tell all present alarms to a subscription, or one item of it, again."""
        subscription = session.owned(id)
        if item is not None and item not in subscription.monitored_item_srv._monitored_items:
            raise ServiceError(ua.StatusCodes.BadMonitoredItemIdInvalid)
        now = self._now()
        types = (ua.ObjectIds.RefreshStartEventType, ua.ObjectIds.RefreshEndEventType)
        begin, end = (
            system_event(type, text, now, token_bytes(16))
            for type, text in zip(types, ("refresh begins", "refresh ends"), strict=True)
        )
        await self._deliver(session, begin, None, id, item)
        for i, alarm in enumerate(self._book.present()):
            await _pause(i)
            if session.program.sees(alarm.asset):
                await self._deliver(session, self._event(alarm), alarm.asset, id, item)
        await self._deliver(session, end, None, id, item)

    async def _deliver(
        self,
        session: AlarmSession,
        event: ConditionEvent,
        asset: str | None,
        id: int | None,
        item: int | None,
    ) -> None:
        """Queue an event for each item of a session's subscriptions that wants it; `id` and `item`:
        for these alone. Events of no asset go to every item."""
        for subscription in [*self._inside.subscription_service.subscriptions.values()]:
            if subscription.session_id != session.session_id or id not in (
                None,
                subscription.data.SubscriptionId,
            ):
                continue
            service = subscription.monitored_item_srv
            nodes = service._monitored_events if asset is None else self._nodes.chain(asset)
            for mid in [mid for node in nodes for mid in service._monitored_events.get(node, ())]:
                known = service._monitored_items[mid]
                is_asked = item in (None, mid) and known.mode != ua.MonitoringMode.Disabled
                wanted = known.where_clause_evaluator
                if not is_asked or not isinstance(wanted, ConditionFilter):
                    continue
                if asset is None or wanted.eval(event):
                    fields = ua.EventFieldList()
                    fields.ClientHandle = known.client_handle
                    fields.EventFields = event.select(known.filter.SelectClauses)
                    await subscription.enqueue_event(mid, fields, known.queue_size)


async def _pause(number: int) -> None:
    if number % _SENT_AT_ONCE == _SENT_AT_ONCE - 1:
        await asyncio.sleep(_PAUSE_S)
