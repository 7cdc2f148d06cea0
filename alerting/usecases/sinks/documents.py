"""Sinks: the life of their documents, where new ones begin, and the retry of their dead letters."""

from collections.abc import Sequence
from datetime import datetime

from alerting.definitions.sinks.sink import (
    Sink,
    parse_sink,
    sink_kinds,
)
from alerting.definitions.sources.union import kind_document
from alerting.definitions.wording.language import template
from alerting.ports import SinkPorts
from alerting.usecases.documents import DocumentKind, StateChange
from alerting.usecases.sinks.status import SinkStatus, sink_status

LETTERS_SHOWN = 20


def _begin(plant: SinkPorts, names: Sequence[str], at: datetime) -> None:
    """Store where sinks begin that have no place yet in the order of all changes."""
    new = [name for name in names if plant.sink_deliveries.progress(name).until is None]
    if not new:
        return
    with plant.sink_feed.read(None, alarms=True, values=True) as reader:
        position = reader.next(0).position
    for name in new:
        plant.sink_deliveries.begin(name, position, at)


SINKS: DocumentKind[SinkPorts, Sink] = DocumentKind(
    word="sink",
    store=lambda plant: plant.sinks,
    models=sink_kinds,
    parse=parse_sink,
    write=kind_document,
    applied=template("sink applied"),
    acts={
        "pause": StateChange("paused", template("sink paused")),
        "resume": StateChange("active", template("sink active")),
        "retire": StateChange("retired", template("sink retired")),
    },
    prepare=_begin,
    columns=("name", "kind", "sends", "state"),
    most=(100, "put several topics into one"),
)


def sink_statuses(plant: SinkPorts, now: datetime) -> list[SinkStatus]:
    """Return the status of every valid sink, sorted by name. Writes nothing."""
    return [sink_status(plant, sink, now) for sink in SINKS.read(plant)[0]]


def read_sinks(plant: SinkPorts, now: datetime) -> list[Sink]:
    """Return the valid sinks. One that was written to the database and that nobody has read before
    begins here."""
    sinks = SINKS.read(plant)[0]
    _begin(plant, [sink.name for sink in sinks], now)
    return sinks


def retry_letters(plant: SinkPorts, name: str, actor: str, now: datetime) -> int:
    """Let the stream service send the dead letters of a sink once more. Return how many there are.
    Raises NotFound."""
    SINKS.find(plant, name)
    count = plant.sink_deliveries.retry_letters(name)
    if count:
        plant.audit.add(actor, template("dead letters of a sink sent again"), name, now, count)
    return count
