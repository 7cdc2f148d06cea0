"""Sinks: the life of their documents, and the delivery of alarms and values to programs: at least
once, in order, under keys that never change.

Messages that wait for a sink wait in the database itself: a sink's position in the order of all
changes is stored once every change before it is delivered. So an evaluation writes nothing for
sinks, and a receiver that does not answer costs no space. Messages are in English, with instants in
UTC.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from fnmatch import fnmatchcase
from math import isfinite
from typing import Any, get_args

from alerting.definitions.alert_definition import AssetIndex
from alerting.definitions.faults import UserError
from alerting.definitions.routes_and_sinks import Sink, SinkContent, parse_sink, sink_kinds
from alerting.definitions.source_fields import SourceState
from alerting.definitions.sources import kind_document
from alerting.definitions.wording.language import template
from alerting.episodes.episode import Episode, Transition, TransitionKind
from alerting.episodes.evaluation_plan import EvaluationTarget
from alerting.ports import (
    ReceiverAway,
    SinkChange,
    SinkChanged,
    SinkChanges,
    SinkClient,
    SinkLetter,
    SinkMessage,
    SinkPorts,
    SinkStep,
    StoredReading,
    TargetScore,
)
from alerting.reporting.sentences import message as in_one_line
from alerting.usecases.document_life import DocumentKind, StateChange

LETTERS_SHOWN = 20


def _begin(plant: SinkPorts, names: Sequence[str], at: datetime) -> None:
    """Store the first position of sinks that have no position yet in the order of all changes."""
    new = [name for name in names if plant.sink_deliveries.progress(name).until is None]
    if not new:
        return
    with plant.sink_feed.read(None, get_args(SinkContent)) as reader:
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
    """Return the valid sinks. A sink that was written directly to the database gets its first
    position here."""
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


_ALARMS: frozenset[TransitionKind] = frozenset({
    "raised", "severity", "renewed", "revised", "happening", "closed", "corrected", "reopened",
    "muted", "unmuted", "suppressed", "maintenance",
})  # fmt: skip
_ACKNOWLEDGEMENTS: frozenset[TransitionKind] = frozenset(
    {"acknowledged", "confirmed", "commented", "assigned", "feedback"}
)


Limits = Mapping[tuple[str, str], tuple[float | None, float | None]]
"""By asset and variable, the highest lower and the lowest upper limit of its thresholds."""


def variable_limits(targets: Iterable[EvaluationTarget]) -> Limits:
    """Return the limits of the variables of targets with fixed limits."""
    strictest: dict[tuple[str, str], tuple[float | None, float | None]] = {}
    for target in targets:
        if target.variable is not None and target.limits is not None:
            low, high = strictest.get((target.asset, target.variable), (None, None))
            lows = [n for n in (low, target.limits.below) if n is not None and isfinite(n)]
            highs = [n for n in (high, target.limits.above) if n is not None and isfinite(n)]
            strictest[target.asset, target.variable] = (
                max(lows, default=None),
                min(highs, default=None),
            )
    return strictest


class SinkSelection:
    """The part of the plant that a sink sends, and the `limits` of its variables. `assets`: must
    contain the assets above them."""

    def __init__(
        self, sink: Sink, assets: AssetIndex, targets: Iterable[EvaluationTarget] = ()
    ) -> None:
        self.limits = variable_limits(targets)
        self._match = sink.match
        self._lines = {
            asset.name: {asset.name, *assets.ancestors(asset)}
            for asset in (assets.assets if sink.match.parts else ())
        }

    def takes(self, definition: str, asset: str) -> bool:
        """Return whether the sink sends values of a definition on an asset."""
        return self.takes_asset(asset) and any(
            fnmatchcase(definition, pattern) for pattern in self._match.definitions
        )

    def takes_asset(self, asset: str) -> bool:
        """Return whether the sink sends readings of an asset."""
        line = self._lines.get(asset, {asset})
        return not self._match.parts or not line.isdisjoint(self._match.parts)

    def takes_alarm(self, episode: Episode) -> bool:
        """Return whether the sink sends an alarm, by its severity or its worst severity, so that
        the end of each sent alarm is sent, too."""
        severities = self._match.severity
        has_severity = severities is None or bool(
            {episode.severity, episode.severity_peak}.intersection(severities)
        )
        return has_severity and self.takes(episode.definition, episode.asset)


def content_of(transition: Transition) -> SinkContent | None:
    """Return the kind of content that a transition is to a receiver; None if only notifications
    need it."""
    if transition.kind in _ALARMS:
        return "alarms"
    return "acknowledgements" if transition.kind in _ACKNOWLEDGEMENTS else None


def alarm_messages(sink: Sink, episode: Episode, sent: int) -> Iterator[SinkMessage]:
    """Yield a message for each transition of an episode after the first `sent` ones."""
    for number, transition in enumerate(episode.transitions[sent:], sent + 1):
        content = content_of(transition)
        if content in sink.sends:
            yield _alarm_message(sink, episode, transition, number, content)


def _alarm_message(
    sink: Sink, episode: Episode, transition: Transition, number: int, sends: SinkContent
) -> SinkMessage:
    key = f"{sink.name}:{episode.id}:{number}"
    content: dict[str, Any] = {
        "key": key,
        "sink": sink.name,
        "sends": sends,
        "transition": transition.kind,
        "at": _stamp(transition.at),
        "actor": transition.actor,
        "reason": str(transition.reason),
        "episode": episode.id,
        "definition": episode.definition,
        "revision": episode.revision,
        "kind": episode.kind,
        "asset": episode.asset,
        "title": episode.title,
        "severity": episode.severity,
        "state": episode.phase,
        "acknowledged": episode.acknowledged is not None,
        "acknowledged_by": episode.acknowledged and episode.acknowledged.actor,
        "muted": episode.muted_by is not None,
        "withdrawn": episode.withdrawn,
        "raised_at": _stamp(episode.raised_at),
        "closed_at": episode.closed_at and _stamp(episode.closed_at),
        "message": in_one_line(episode),
        "value": episode.current.value,
        "limit": episode.current.threshold,
        "guidance": dict(episode.guidance),
    }
    return SinkMessage(
        key,
        sends,
        episode.definition,
        episode.asset,
        transition.at,
        content,
        episode.severity,
    )


def value_messages(sink: Sink, target_score: TargetScore) -> Iterator[SinkMessage]:
    """Yield the score and the forecast of one instant, as far as the sink sends them."""
    score = target_score.score
    if "scores" in sink.sends and score.score is not None:
        values: dict[str, Any] = {"score": score.score, "limit": score.threshold}
        yield _value_message(sink, target_score, "scores", values)
    if "forecasts" in sink.sends and score.values:
        ahead = [
            {
                "ahead_s": value.lead.total_seconds(),
                "low": value.low,
                "median": value.median,
                "high": value.high,
            }
            for value in score.values
        ]
        yield _value_message(sink, target_score, "forecasts", {"values": ahead})


def _value_message(
    sink: Sink, target_score: TargetScore, sends: SinkContent, values: dict[str, Any]
) -> SinkMessage:
    ts = _stamp(target_score.score.ts)
    key = f"{sink.name}:{target_score.definition}:{target_score.asset}:{ts}"
    if sends == "forecasts":
        key = f"{key}:forecast"
    content = {
        "key": key,
        "sink": sink.name,
        "sends": sends,
        "definition": target_score.definition,
        "asset": target_score.asset,
        "ts": ts,
        "model_version": target_score.score.model_version,
        **values,
    }
    return SinkMessage(
        key, sends, target_score.definition, target_score.asset, target_score.score.ts, content
    )


NO_DEFINITION = "-"
"""The definition of a message that belongs to none: a level of a topic, and no name of any."""


def reading_message(sink: Sink, reading: StoredReading, limits: Limits) -> SinkMessage:
    """Return the message of a reading. Its key changes when values of its instant come or change
    later, so that no receiver drops these."""
    ts = _stamp(reading.ts)
    key = f"{sink.name}:{reading.asset}:{ts}:reading:{_stamp(reading.arrived_at)}"
    named = {name: limits.get((reading.asset, name), (None, None)) for name in reading.values}
    content = {
        "key": key,
        "sink": sink.name,
        "sends": "readings",
        "asset": reading.asset,
        "ts": ts,
        "values": dict(reading.values),
        "limits": {name: {"low": low, "high": high} for name, (low, high) in named.items()},
    }
    return SinkMessage(key, "readings", NO_DEFINITION, reading.asset, reading.ts, content)


def message_for_a_test(sink: Sink, actor: str, now: datetime) -> SinkMessage:
    """Return a message that is marked as a test and belongs to no alarm."""
    key = f"{sink.name}:test:{_stamp(now)}"
    content = {"key": key, "sink": sink.name, "sends": sink.sends[0], "test": True, "actor": actor}
    return SinkMessage(key, sink.sends[0], "test", "test", now, {**content, "at": _stamp(now)})


def _stamp(at: datetime) -> str:
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")


GIVE_UP_AFTER = 10
"""Attempts at a message that its receiver answers with a failure, before it is a dead letter."""
MOST_LETTERS = 10_000
"""Dead letters of a sink, beyond which it stands still."""
MOST_MISSED = 100_000
"""Scores that are read from the database where its changes are gone."""


class DeliveredElsewhere(Exception):
    """Error: another process has delivered the sink meanwhile."""


@dataclass
class SinkDelivery:
    """The delivery of one sink by one process. `failures`: attempts that failed, by key."""

    plant: SinkPorts
    sink: Sink
    client: SinkClient
    selection: SinkSelection
    failures: Counter[str] = field(default_factory=Counter)

    def deliver(self, changes: SinkChanges, before: str | None, now: datetime) -> str:
        """Deliver changes, and store how far. Return the new position.

        Answered messages are stored as delivered even if the rest fails. Raises ReceiverAway, also
        for a message that its receiver cannot take yet, and DeliveredElsewhere.
        """
        composed = self._compose(changes)
        letters = list[SinkLetter]()
        away: ReceiverAway | None = None
        answered = 0
        try:
            for letter in self._send([m for c in composed for m in c.messages], now):
                answered += 1
                letters += [letter] if isinstance(letter, SinkLetter) else []
        except ReceiverAway as fault:
            away = fault
        done = _whole(composed, answered)
        if away is not None and not done:
            raise away
        if (
            letters
            and len(letters) + self.plant.sink_deliveries.count_letters(self.sink.name)
            > MOST_LETTERS
        ):
            raise ReceiverAway(
                f"{MOST_LETTERS} messages were refused: correct the receiver or the sink, then "
                "send them again"
            )
        position = changes.position if away is None else done[-1].change.position
        at = changes.read_at if away is None else done[-1].change.at
        messages = sum(len(change.messages) for change in done)
        step = SinkStep(
            position,
            # the clocks of platform and database may differ, so only their own times are compared
            now - max(changes.read_at - at, timedelta(0)),
            messages - len(letters),
            sum(change.left_out for change in done),
            now,
            {name: n for change in done for name, n in change.alarms.items()},
            letters,
        )
        self.store(step, position, before)
        if away is not None:
            raise away
        return position

    def store(self, step: SinkStep, position: str, before: str | None) -> None:
        """Store a delivery. Raises DeliveredElsewhere."""
        stored = replace(step, position=position)
        if not self.plant.sink_deliveries.advance(self.sink.name, before, stored):
            raise DeliveredElsewhere

    def send_missed(
        self, changed: Iterable[SinkChanged], now: datetime, until: datetime
    ) -> SinkStep:
        """Deliver changes that may have been missed, and all open alarms. Return the step to store,
        without a position. `until`: the instant up to which everything has been sent then."""
        total = SinkStep("", until, 0, 0, now, {}, selected=selected_by(self.sink))
        for piece in _pieces(changed):
            changes = [SinkChange("", now, change) for change in piece]
            composed = self._compose(SinkChanges(changes, "", now, True))
            messages = [message for change in composed for message in change.messages]
            letters = [letter for letter in self._send(messages, now) if letter is not None]
            total = replace(
                total,
                sent=total.sent + len(messages) - len(letters),
                alarms={**total.alarms, **{k: n for c in composed for k, n in c.alarms.items()}},
                letters=[*total.letters, *letters],
            )
        return total

    def retry(self, now: datetime, most: int = 100) -> int:
        """Send the dead letters that a person asked for once more. Return how many were accepted.
        Raises ReceiverAway."""
        letters = self.plant.sink_deliveries.letters(self.sink.name, most, again=True)
        accepted = list[str]()
        try:
            for letter, answer in zip(
                letters, self.client.send([letter.message for letter in letters]), strict=False
            ):
                if answer.verdict == "accepted":
                    accepted.append(letter.id)
                else:
                    self.plant.sink_deliveries.replace_letter(
                        replace(letter, reason=answer.reason, at=now, again=False)
                    )
        finally:
            if accepted:
                self.plant.sink_deliveries.remove_letters(accepted)
        return len(accepted)

    def _compose(self, changes: SinkChanges) -> list[_Composed]:
        """Return the changes with the messages that the sink sends of them, without values that
        waited too long."""
        episodes = {c.changed.id for c in changes.changes if isinstance(c.changed, Episode)}
        sent = dict(self.plant.sink_deliveries.sent_alarms(self.sink.name, episodes))
        composed = []
        for change in changes.changes:
            changed = change.changed
            if isinstance(changed, Episode):
                before = sent.get(changed.id, 0)
                messages = (
                    list(alarm_messages(self.sink, changed, before))
                    if self.selection.takes_alarm(changed) and not changed.backfilled
                    else []
                )
                alarms = {changed.id: len(changed.transitions)} if messages else {}
                sent |= alarms
                composed.append(_Composed(change, messages, alarms))
                continue
            messages = self._compose_values(changed)
            is_old = changes.read_at - change.at > self.sink.values_wait
            left_out = len(messages) if is_old else 0
            composed.append(_Composed(change, [] if is_old else messages, {}, left_out))
        return composed

    def _compose_values(self, changed: TargetScore | StoredReading) -> list[SinkMessage]:
        """Return the messages of values; none of a reading that was old when it came, as in an
        import of history."""
        if isinstance(changed, TargetScore):
            is_taken = self.selection.takes(changed.definition, changed.asset)
            return list(value_messages(self.sink, changed)) if is_taken else []
        is_new = changed.arrived_at - changed.ts <= self.sink.values_wait
        is_taken = is_new and bool(changed.values) and self.selection.takes_asset(changed.asset)
        return [reading_message(self.sink, changed, self.selection.limits)] if is_taken else []

    def _send(self, messages: Sequence[SinkMessage], now: datetime) -> Iterator[SinkLetter | None]:
        """Yield None for each accepted message, a dead letter for each refused one. Raises
        ReceiverAway."""
        unsent = list(messages)
        while unsent:
            answered = 0
            for message, answer in zip(unsent, self.client.send(unsent), strict=False):
                if answer.verdict == "failed":
                    self.failures[message.key] += 1
                    if self.failures[message.key] < GIVE_UP_AFTER:
                        raise ReceiverAway(answer.reason)
                self.failures.pop(message.key, None)
                answered += 1
                yield (
                    None
                    if answer.verdict == "accepted"
                    else SinkLetter(message.key, self.sink.name, message, answer.reason, now)
                )
            if not answered:
                raise ReceiverAway("the receiver gave no answer")
            unsent = unsent[answered:]


@dataclass(frozen=True)
class _Composed:
    """A change with its messages. `alarms`: by episode, the number of transitions that are sent
    then."""

    change: SinkChange
    messages: Sequence[SinkMessage]
    alarms: dict[str, int]
    left_out: int = 0


def _whole(composed: Sequence[_Composed], answered: int) -> list[_Composed]:
    """Return the changes whose messages are all among the first `answered` ones."""
    whole = []
    for change in composed:
        answered -= len(change.messages)
        if answered < 0:
            break
        whole.append(change)
    return whole


def _pieces(changed: Iterable[SinkChanged], size: int = 500) -> Iterator[list[SinkChanged]]:
    piece = list[SinkChanged]()
    for change in changed:
        piece.append(change)
        if len(piece) >= size:
            yield piece
            piece = []
    if piece:
        yield piece


def selected_by(sink: Sink) -> str:
    """Return the selection of a sink in a form to compare."""
    return sink.model_dump_json(include={"match", "sends"})


def selection_of(
    plant: SinkPorts, sink: Sink, targets: Iterable[EvaluationTarget] = ()
) -> SinkSelection:
    """Return the selection of a sink for the present assets. `targets`: those whose limits go out
    with readings."""
    assets = AssetIndex(plant.assets.all() if sink.match.parts else ())
    return SinkSelection(sink, assets, targets)


@dataclass(frozen=True)
class SinkStatus:
    """A sink at one instant.

    `sent`, `left_out`: messages so far, and values that waited too long. `lag`: time since
    everything was sent, at most the time since the last change of the document. `letters`: messages
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
    changed = max((revision.at for revision in plant.sinks.revisions(sink.name)), default=now)
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


OpenSink = Callable[[Sink], SinkClient]


def try_sink(opened: OpenSink, sink: Sink, actor: str, now: datetime) -> str:
    """Connect the receiver, and send a message that is marked as a test. Return a description of
    the result. Raises UserError if the receiver does not take it."""
    try:
        client = opened(sink)
        try:
            return client.probe(message_for_a_test(sink, actor, now))
        finally:
            client.close()
    except ReceiverAway as fault:
        raise UserError(f"sink {sink.name}: {fault}") from fault
