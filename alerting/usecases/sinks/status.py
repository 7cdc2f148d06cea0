"""What a sink has delivered, and whether it stands still."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from alerting.definitions.sinks.sink import Sink
from alerting.definitions.sources.mapping import SourceState
from alerting.ports import SinkPorts


@dataclass(frozen=True)
class SinkStatus:
    """A sink at one instant.

    `sent`, `left_out`: messages so far, and values that waited too long. `lag`: time since
    everything had gone out; since the last change of the document at most. `letters`: messages
    that the receiver refused. `is_stale`: behind for `stale_after`, of an active sink only.
    """

    name: str
    title: str | None
    kind: str
    state: SourceState
    sent: int
    left_out: int
    letters: int
    lag: timedelta
    sent_at: datetime | None
    is_stale: bool
    fault: str | None
    fault_at: datetime | None


def sink_status(plant: SinkPorts, sink: Sink, now: datetime) -> SinkStatus:
    """Return the status of a sink."""
    progress = plant.sink_deliveries.progress(sink.name)
    changed = max((one.at for one in plant.sinks.revisions(sink.name)), default=now)
    until = changed if progress.until is None else max(progress.until, changed)
    lag = max(now - until, timedelta(0)) if sink.state == "active" else timedelta(0)
    return SinkStatus(
        name=sink.name,
        title=sink.title,
        kind=sink.kind,
        state=sink.state,
        sent=progress.sent,
        left_out=progress.left_out,
        letters=plant.sink_deliveries.count_letters(sink.name),
        lag=lag,
        sent_at=progress.sent_at,
        is_stale=sink.state == "active" and lag > sink.stale_after,
        fault=progress.fault if sink.state == "active" else None,
        fault_at=progress.fault_at,
    )
