"""Delivery of what is committed: at least once, in order, under keys that never change.

What waits for a sink waits in the database itself: the position of the sink in the order of all
changes is stored once what stands before it is out. So an evaluation writes nothing for sinks, and
a receiver that is away costs no space.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from alerting.definitions.model import AssetIndex
from alerting.definitions.sinks.sink import Sink
from alerting.episodes.episode import Episode
from alerting.ports import (
    ReceiverAway,
    SinkChange,
    SinkChanges,
    SinkClient,
    SinkLetter,
    SinkMessage,
    SinkPorts,
    SinkStep,
    TargetScore,
)
from alerting.usecases.sinks.messages import (
    SinkSelection,
    alarm_messages,
    value_messages,
)

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

    def deliver(self, found: SinkChanges, before: str | None, now: datetime) -> str:
        """Deliver changes, and store how far. Return the new position.

        What is answered is stored also if the rest fails. Raises ReceiverAway, also for a message
        that its receiver cannot take yet, and DeliveredElsewhere.
        """
        composed = self._compose(found)
        letters = list[SinkLetter]()
        away: ReceiverAway | None = None
        answered = 0
        try:
            for one in self._send([m for c in composed for m in c.messages], now):
                answered += 1
                letters += [one] if isinstance(one, SinkLetter) else []
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
                f"`alerting retry {self.sink.name}`"
            )
        position = found.position if away is None else done[-1].change.position
        at = found.read_at if away is None else done[-1].change.at
        messages = sum(len(one.messages) for one in done)
        step = SinkStep(
            position,
            # the clocks of platform and database may differ, so only their own times are compared
            now - max(found.read_at - at, timedelta(0)),
            messages - len(letters),
            sum(one.left_out for one in done),
            now,
            {name: n for one in done for name, n in one.alarms.items()},
            letters,
        )
        self.store(step, position, before)
        if away is not None:
            raise away
        return position

    def store(self, step: SinkStep, position: str, before: str | None) -> None:
        """Store what was delivered. Raises DeliveredElsewhere."""
        stored = replace(step, position=position)
        if not self.plant.sink_deliveries.advance(self.sink.name, before, stored):
            raise DeliveredElsewhere

    def send_missed(
        self, changed: Iterable[Episode | TargetScore], now: datetime, until: datetime
    ) -> SinkStep:
        """Deliver what may have been missed, all open alarms among it. Return the step to store,
        without a position. `until`: up to which everything is then out."""
        total = SinkStep("", until, 0, 0, now, {}, selected=selected_by(self.sink))
        for piece in _pieces(changed):
            changes = [SinkChange("", now, one) for one in piece]
            composed = self._compose(SinkChanges(changes, "", now, True))
            messages = [message for one in composed for message in one.messages]
            letters = [one for one in self._send(messages, now) if one is not None]
            total = replace(
                total,
                sent=total.sent + len(messages) - len(letters),
                alarms={**total.alarms, **{k: n for c in composed for k, n in c.alarms.items()}},
                letters=[*total.letters, *letters],
            )
        return total

    def retry(self, now: datetime, most: int = 100) -> int:
        """Send dead letters once more for which a person asked. Return how many were accepted.
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

    def _compose(self, found: SinkChanges) -> list["_Composed"]:
        episodes = {c.changed.id for c in found.changes if isinstance(c.changed, Episode)}
        sent = dict(self.plant.sink_deliveries.sent_alarms(self.sink.name, episodes))
        composed = []
        for change in found.changes:
            one = change.changed
            if isinstance(one, Episode):
                before = sent.get(one.id, 0)
                messages = (
                    list(alarm_messages(self.sink, one, before))
                    if self.selection.takes_alarm(one) and not one.backfilled
                    else []
                )
                alarms = {one.id: len(one.transitions)} if messages else {}
                sent |= alarms
                composed.append(_Composed(change, messages, alarms))
                continue
            messages = (
                list(value_messages(self.sink, one))
                if self.selection.takes(one.definition, one.asset)
                else []
            )
            is_old = found.read_at - change.at > self.sink.values_wait
            left_out = len(messages) if is_old else 0
            composed.append(_Composed(change, [] if is_old else messages, {}, left_out))
        return composed

    def _send(self, messages: Sequence[SinkMessage], now: datetime) -> Iterator[SinkLetter | None]:
        """Yield None for each accepted message, a dead letter for each refused one. Raises
        ReceiverAway."""
        rest = list(messages)
        while rest:
            answered = 0
            for message, answer in zip(rest, self.client.send(rest), strict=False):
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
            rest = rest[answered:]


@dataclass(frozen=True)
class _Composed:
    """A change with its messages. `alarms`: transitions that are then out, by episode."""

    change: SinkChange
    messages: Sequence[SinkMessage]
    alarms: dict[str, int]
    left_out: int = 0


def _whole(composed: Sequence[_Composed], answered: int) -> list[_Composed]:
    """Return the changes of which all messages are among the first `answered` ones."""
    found = []
    for one in composed:
        answered -= len(one.messages)
        if answered < 0:
            break
        found.append(one)
    return found


def _pieces(
    changed: Iterable[Episode | TargetScore], size: int = 500
) -> Iterator[list[Episode | TargetScore]]:
    piece = list[Episode | TargetScore]()
    for one in changed:
        piece.append(one)
        if len(piece) >= size:
            yield piece
            piece = []
    if piece:
        yield piece


def selected_by(sink: Sink) -> str:
    """Return what a sink selects, in a form to compare."""
    return sink.model_dump_json(include={"match", "sends"})


def selection_of(plant: SinkPorts, sink: Sink) -> SinkSelection:
    """Return what a sink sends, of the assets as they are now."""
    return SinkSelection(sink, AssetIndex(plant.assets.all() if sink.match.parts else ()))
