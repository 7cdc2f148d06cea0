"""The sink `opcua_alarms`: it serves alarms while it is active."""

import asyncio
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from socket import AF_INET, AF_INET6, SOCK_STREAM, socket
from threading import Event
from time import monotonic

from alerting.adapters.platform import Platform
from alerting.adapters.sinks.opcua_alarms.certificates import CLIENTS, read_trusted
from alerting.adapters.sinks.opcua_alarms.server import PATH, AlarmEndpoint
from alerting.adapters.sinks.opcua_alarms.service import AlarmService, AlarmSettings
from alerting.definitions.faults import UserError
from alerting.definitions.sinks.sink import OpcUaAlarmsSink, Sink
from alerting.ports import Answer, ReceiverAway, SinkMessage, SinkStep
from alerting.usecases.sinks.deliver import DeliveredElsewhere, selection_of

NOTE_S = 5.0
POSITION = "served"
"""Of a sink that follows what is open, and no order of changes."""


class OpcUaAlarms:
    """Port `SinkServer`, and `SinkClient` for a test of its document."""

    gather = timedelta(0)
    repeat_every: timedelta | None = None

    def __init__(self, sink: Sink, _: object) -> None:
        if not isinstance(sink, OpcUaAlarmsSink):
            raise UserError(f"sink {sink.name} is no server of alarms")
        self._sink = sink
        self._noted_at = -NOTE_S
        self._counted = 0

    @property
    def endpoint(self) -> AlarmEndpoint:
        """Return where it listens."""
        sink = self._sink
        return AlarmEndpoint(Path(sink.folder), sink.host, sink.port, sink.public_host or "")

    def serve(self, plant: Platform, stopped: Event) -> None:
        """Serve the alarms of a platform until `stopped` is set.

        Raises UserError for a folder or a port that cannot be used, and DeliveredElsewhere if
        another process serves the sink.
        """
        sink = self._sink
        settings = AlarmSettings(
            self.endpoint, sink.accounts, lambda: selection_of(plant, sink).takes_alarm, "Plant"
        )
        service = AlarmService(plant, settings)
        try:
            asyncio.run(service.run(stopped, lambda: self._note(plant, service)))
        except OSError as fault:
            raise UserError(
                f"sink {sink.name}: {fault.strerror or fault}; see folder, host and port"
            ) from fault

    def _note(self, plant: Platform, service: AlarmService) -> None:
        """Store now and then that it works, and what it told."""
        if monotonic() - self._noted_at < NOTE_S:
            return
        self._noted_at = monotonic()
        sent = service.server.sent - self._counted
        self._counted = service.server.sent
        now = plant.clock.now()
        step = SinkStep(POSITION, now, sent, 0, now, {})
        before = plant.sink_deliveries.progress(self._sink.name).position
        if not plant.sink_deliveries.advance(self._sink.name, before, step):
            raise DeliveredElsewhere

    def send(self, _: Sequence[SinkMessage]) -> Iterator[Answer]:
        """Refuse: its receivers connect by themselves."""
        raise ReceiverAway("its receivers connect by themselves")

    def probe(self, _: SinkMessage) -> str:
        """Return where it listens, or would, and for whom. Raises UserError for a folder that
        cannot be read."""
        where = self.endpoint
        clients = len(read_trusted(where.folder / CLIENTS, datetime.now(UTC)))
        state = "listens" if self._is_taken() else "would listen"
        return (
            f"{state} at opc.tcp://{where.public_host or where.host}:{where.port}{PATH}, for "
            f"{len(self._sink.accounts)} accounts and {clients} certificates of clients"
        )

    def _is_taken(self) -> bool:
        """Return whether something listens on its port."""
        where = self.endpoint
        host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(where.host, where.host)  # noqa: S104
        with socket(AF_INET6 if ":" in host else AF_INET, SOCK_STREAM) as probe:
            probe.settimeout(1.0)
            return probe.connect_ex((host, where.port)) == 0

    def close(self) -> None:
        """Do nothing: `serve` ends by itself."""
