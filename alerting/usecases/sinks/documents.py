"""Sinks: check and apply their documents, all of them or none, pause and retire them. Each change
is a revision."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from alerting.definitions.faults import UserError
from alerting.definitions.sinks.sink import (
    Sink,
    SinkRefused,
    parse_sink,
    sink_document,
)
from alerting.definitions.sources.mapping import SourceState
from alerting.definitions.wording.language import template
from alerting.ports import (
    NoChangeFeed,
    SinkFeed,
    SinkLetter,
    SinkPorts,
    Sinks,
    SourceRevision,
)
from alerting.usecases.sinks.status import SinkStatus, sink_status
from alerting.usecases.sources.revised import DocumentForm, DocumentPlan, Expected

SINK_FORM: DocumentForm[Sink] = DocumentForm(
    "sink",
    parse_sink,
    sink_document,
    SinkRefused,
    template("sink applied"),
    {
        "active": template("sink active"),
        "paused": template("sink paused"),
        "retired": template("sink retired"),
    },
)
SinkPlan = DocumentPlan[Sink]
MOST_SINKS = 100
LETTERS_SHOWN = 20


@dataclass(frozen=True)
class SinkDetail:
    """A sink with its state, its revisions, oldest first, and its first dead letters."""

    sink: Sink
    document: Mapping[str, Any]
    status: SinkStatus
    revisions: tuple[SourceRevision, ...]
    letters: tuple[SinkLetter, ...]

    @property
    def number(self) -> int:
        """Return the number of the newest revision, 0 without one."""
        return self.revisions[-1].number if self.revisions else 0


def sink_detail(plant: SinkPorts, name: str, now: datetime) -> SinkDetail:
    """Return a sink with all that is known of it. Raises NotFound, and UserError if its document
    is faulty."""
    sink = SINK_FORM.find(plant.sinks, name)
    return SinkDetail(
        sink,
        sink_document(sink),
        sink_status(plant, sink, now),
        tuple(plant.sinks.revisions(name)),
        tuple(plant.sink_deliveries.letters(name, LETTERS_SHOWN)),
    )


def sink_statuses(plant: SinkPorts, now: datetime) -> list[SinkStatus]:
    """Return the status of every valid sink, sorted by name. Writes nothing."""
    return [sink_status(plant, sink, now) for sink in SINK_FORM.read(plant.sinks)[0]]


def plan_sinks(sinks: Sinks, documents: Sequence[Mapping[str, Any]]) -> list[SinkPlan]:
    """Return the changes that applying would make. Raises UserError for faulty documents, and for
    more than MOST_SINKS sinks."""
    plans = SINK_FORM.plan(sinks, documents)
    new = sum(plan.action == "new" for plan in plans)
    if new and len(sinks.documents()) + new > MOST_SINKS:
        raise UserError(f"there are at most {MOST_SINKS} sinks; put several topics into one")
    return plans


def apply_sinks(
    plant: SinkPorts, documents: Sequence[Mapping[str, Any]], actor: str, at: datetime
) -> list[SinkPlan]:
    """Apply sinks, all of them or none; a new one begins here. Raises UserError for faulty
    documents."""
    plans = plan_sinks(plant.sinks, documents)
    # before its document, so that nothing is committed between the two
    _begin(plant, [plan.name for plan in plans if plan.action == "new"], at)
    return SINK_FORM.apply(plant.audit, plant.sinks, documents, actor, at)


def read_sinks(plant: SinkPorts, now: datetime) -> list[Sink]:
    """Return the valid sinks. One that was written to the database and that nobody has read before
    begins here."""
    sinks = SINK_FORM.read(plant.sinks)[0]
    _begin(plant, [sink.name for sink in sinks], now)
    return sinks


def _begin(plant: SinkPorts, names: Sequence[str], at: datetime) -> None:
    """Store where sinks begin that have no place yet in the order of all changes."""
    new = [name for name in names if plant.sink_deliveries.progress(name).until is None]
    position = _present_position(plant.sink_feed) if new else None
    for name in new:
        plant.sink_deliveries.begin(name, position, at)


def _present_position(feed: SinkFeed | None) -> str | None:
    """Return where the database stands; None if it does not say: the sink is then read from what is
    stored since its beginning."""
    if feed is None:
        return None
    try:
        with feed.read(None, alarms=True, values=True) as reader:
            return reader.next(0).position
    except NoChangeFeed:
        return None


def plan_sink(sinks: Sinks, document: Mapping[str, Any]) -> SinkPlan:
    """Return the change that a document makes at the console. Raises UserError for a faulty one,
    for more than MOST_SINKS sinks, and for a path of the host that its sink does not use yet."""
    plan_sinks(sinks, [document])
    return SINK_FORM.plan_from_console(sinks, document)


def apply_sink(
    plant: SinkPorts,
    document: Mapping[str, Any],
    expected: Expected | None,
    actor: str,
    now: datetime,
) -> SinkPlan:
    """Apply a sink that was made from the expected revision. Raises ChangedMeanwhile for another
    newest one, and UserError as `plan_sink`."""
    plan = plan_sink(plant.sinks, document)
    if expected is not None:
        SINK_FORM.require_revision(plant.sinks, plan.name, expected, now)
    return apply_sinks(plant, [document], actor, now)[0]


def change_sink_state(
    plant: SinkPorts,
    name: str,
    state: SourceState,
    expected: Expected | None,
    actor: str,
    now: datetime,
) -> Sink:
    """Pause, resume or retire a sink, from the expected revision. Raises ChangedMeanwhile."""
    SINK_FORM.find(plant.sinks, name)
    if expected is not None:
        SINK_FORM.require_revision(plant.sinks, name, expected, now)
    return SINK_FORM.set_state(plant.audit, plant.sinks, name, state, actor, now)


def retry_letters(plant: SinkPorts, name: str, actor: str, now: datetime) -> int:
    """Let the stream service send the dead letters of a sink once more. Return how many there are.
    Raises NotFound."""
    SINK_FORM.find(plant.sinks, name)
    count = plant.sink_deliveries.retry_letters(name)
    if count:
        plant.audit.add(actor, template("dead letters of a sink sent again"), name, now, count)
    return count
