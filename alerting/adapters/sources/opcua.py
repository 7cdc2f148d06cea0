"""A subscription of nodes of an OPC UA server, with quality and time stamps of the source."""

import asyncio
import json
import logging
from collections import deque
from collections.abc import Callable, Coroutine, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from math import isfinite
from typing import Any
from urllib.parse import unquote, urlsplit

from asyncua import Client, ua
from asyncua.crypto.security_policies import SecurityPolicyBasic256Sha256

from alerting.adapters.sources.addresses_and_secrets import CONNECT_S, Unusable, tls_context
from alerting.adapters.sources.brokers import WAIT_S, Losses, Received, ThreadedStream
from alerting.definitions.faults import UserError, first_line, shown
from alerting.definitions.source_fields import OpcUaSource

QUEUE = 1000
"""Values of a node that the server keeps between two messages, and after a broken connection until
the session ends."""
_OVERFLOW = 0x480
_MODES = {"sign": ua.MessageSecurityMode.Sign, "encrypt": ua.MessageSecurityMode.SignAndEncrypt}
_SLICE = timedelta(hours=1)  # of history in one request
# it writes a traceback for every broken connection
logging.getLogger("asyncua").setLevel(logging.CRITICAL)


def _check_address(source: OpcUaSource, address: str) -> None:
    """Raise UserError for a bad address or certificate, without any part of the address."""
    try:
        url = urlsplit(address)
        is_one = (
            url.scheme == "opc.tcp"
            and bool(url.hostname)
            and (url.port or 1) > 0
            and not url.query + url.fragment
        )
    except ValueError:
        is_one = False
    if not is_one:
        raise Unusable(
            f"source {source.name}",
            "its url is not the address of a broker; write for example "
            "opc.tcp://user:password@server:4840, in a password %2F for /, %23 for # and %3F "
            "for ?",
        ) from None
    if source.tls is not None:
        tls_context(source)


def open_stream(
    source: OpcUaSource, address: str, now: Callable[[], datetime], _: Sequence[str] = ()
) -> ThreadedStream:
    """Return the subscription of a source. Raises UserError, without the address, if the address is
    bad."""
    _check_address(source, address)
    losses = Losses(source.name)
    client = partial(OpcUaClient, source, address, now, losses)
    return ThreadedStream(
        source.name, client, now, losses, is_sent_once=True, history=source.history
    )


def look(source: OpcUaSource, address: str, _: float) -> tuple[list[Received], list[str]]:
    """Return present values of the first nodes, without a subscription, and a note for each refused
    node."""
    _check_address(source, address)
    client = OpcUaClient(
        source, address, lambda: datetime.now(UTC), Losses(source.name), is_reader=False
    )
    try:
        return client.present_values(10)
    finally:
        client.close()


class OpcUaClient:
    """Port `BrokerClient`; its event loop runs only when called. Values need no acknowledgement."""

    sends_again = False

    def __init__(
        self,
        source: OpcUaSource,
        address: str,
        now: Callable[[], datetime],
        losses: Losses,
        is_reader: bool = True,
    ) -> None:
        """Connect and subscribe all nodes. Raises UserError that names a node that the server
        refuses.

        Without `is_reader` nothing is subscribed, and only `present_values` can be called.
        """
        self._source = source
        self._now = now
        self._losses = losses
        self._values: list[Received] = []
        self._past: deque[Received] = deque()
        self._history: deque[tuple[str, datetime, datetime]] = deque()
        self._lost: str | None = None
        self._names: dict[Any, str] = {ua.NodeId.from_string(node): node for node in source.nodes}
        self._loop = asyncio.new_event_loop()
        self._client = _client(address)
        try:
            self._run(self._connect())
            if is_reader:
                self._run(self._subscribe())
        except BaseException:
            self.close()
            raise

    def _run(self, work: Coroutine[Any, Any, Any]) -> Any:
        return self._loop.run_until_complete(asyncio.wait_for(work, 6 * CONNECT_S))

    async def _connect(self) -> None:
        client = self._client
        tls = self._source.tls
        client.connection_lost_callback = self._lose
        if tls is not None:
            await client.set_security(
                SecurityPolicyBasic256Sha256,
                str(tls.certificate),
                str(tls.key),
                server_certificate=str(tls.ca),
                mode=_MODES[self._source.security],
            )
        await client.connect()

    async def _subscribe(self) -> None:
        client = self._client
        source = self._source
        every = source.interval.total_seconds() * 1000
        subscribed = await client.create_subscription(every, handler=self)
        nodes = [client.get_node(id) for id in self._names]
        results = await subscribed.subscribe_data_change(
            nodes, queuesize=QUEUE, sampling_interval=every
        )
        for node, result in zip(source.nodes, results, strict=True):
            if isinstance(result, ua.StatusCode):
                raise UserError(f"the server refuses node {shown(node)}: {result.name}")
        until = self._now()
        start = until - source.history
        while start < until:
            end = min(start + _SLICE, until)
            self._history += [(node, start, end) for node in source.nodes]
            start = end

    def present_values(self, most: int) -> tuple[list[Received], list[str]]:
        """Return present values of the first nodes, and a sentence for each refused node."""
        values: list[Received] = []
        notes: list[str] = []
        for id, name in [*self._names.items()][:most]:
            try:
                values.append(
                    self._make_row(name, self._run(self._client.get_node(id).read_data_value()))
                )
            except ua.UaStatusCodeError as error:
                notes.append(f"the server refuses node {name!r}: {first_line(error)}")
        return values, notes

    def datachange_notification(self, node: Any, _: Any, data: Any) -> None:
        """Take a value that the server sends."""
        value = data.monitored_item.Value
        name = self._names.get(node.nodeid, str(node.nodeid))
        if value.StatusCode is not None and value.StatusCode.value & _OVERFLOW == _OVERFLOW:
            self._losses.add(
                f"the server dropped values of node {name}: more than {QUEUE} came at once", 1
            )
        self._values.append(self._make_row(name, value))

    async def _lose(self, error: Exception) -> None:
        self._lost = first_line(error)

    def receive(self, most: int) -> Sequence[Received]:
        """Return all values that came, because the server sends none again; at most `most` of its
        history. Raises UserError if the connection is lost and no value is left."""
        if self._lost is not None and not self._values:  # the server sends none of them again
            raise UserError(f"the connection to the server is lost: {self._lost}")
        if self._lost is None:
            self._run(asyncio.sleep(0 if self._past and most else WAIT_S))
        if most and not (self._values or self._past) and self._history and self._lost is None:
            self._run(self._read_history(*self._history.popleft()))
        values = self._values
        self._values = []
        return [
            *values,
            *(self._past.popleft() for _ in range(min(most - len(values), len(self._past)))),
        ]

    async def _read_history(self, node: str, start: datetime, end: datetime) -> None:
        try:
            values = await self._client.get_node(node).read_raw_history(
                start, end, return_bounds=False
            )
        except ua.UaStatusCodeError as error:
            self._losses.add(
                f"the server gives no history of node {node} ({first_line(error)}): what changed "
                "without a connection is missing"
            )
            self._history = deque(request for request in self._history if request[0] != node)
        else:
            self._past += [self._make_row(node, value) for value in values]

    def acknowledge(self, tokens: Sequence[Any]) -> None:
        """Do nothing: the server keeps no values that were sent."""

    def close(self) -> None:
        try:
            if self._lost is None:
                self._run(self._client.disconnect())
        finally:
            self._loop.run_until_complete(_cancel_others())
            self._loop.close()

    def _make_row(self, node: str, data: Any) -> Received:
        """Return a value of a node as a row; the row of a bad, missing, infinite or NaN value has
        no value."""
        source = self._source
        spec = source.nodes[node]
        code = data.StatusCode.value if data.StatusCode is not None else 0
        value = data.Value.Value if data.Value is not None else None
        is_value = value is not None and not (isinstance(value, float) and not isfinite(value))
        quality = ("good", "uncertain")[code >> 30] if code >> 30 < 2 and is_value else "bad"
        at = data.SourceTimestamp or data.ServerTimestamp or self._now()
        row: dict[str, Any] = {
            source.time: (at if at.tzinfo else at.replace(tzinfo=UTC)).isoformat(),
            **({source.asset_column: spec.asset} if spec.asset is not None else {}),
            "values": {spec.variable: value if is_value else None},
            str(source.quality): {spec.variable: quality},
        }
        return Received(node, json.dumps(row, default=str).encode(), None)


async def _cancel_others() -> None:
    tasks = asyncio.all_tasks() - {asyncio.current_task()}
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def _client(address: str) -> Client:
    url = urlsplit(address)
    host = f"[{url.hostname}]" if ":" in str(url.hostname) else url.hostname
    client = Client(url._replace(netloc=f"{host}:{url.port or 4840}").geturl(), timeout=CONNECT_S)
    if url.username:
        client.set_user(unquote(url.username))
        client.set_password(unquote(url.password or ""))
    return client
