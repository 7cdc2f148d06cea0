"""When a process opens, leaves and gives up a source, shows a fault, and notes how far it has read.

Pure: `advance` returns for a state and an event the next state and what is to be done, after the
table `RULES`. The service does it, and stores a batch of each open source in each of its turns. A
polled source or a receiver could follow the same table.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Literal

from alerting.usecases.sources.stream import gap

Phase = Literal["closed", "open", "ending"]
"""ending: the connection is closed, and values that do not come again are not all stored yet."""
Cause = Literal[
    "wanted", "unwanted", "not_opened", "broken", "stored", "full", "away", "emptied"
]  # fmt: skip
Work = Literal[
    "open", "close", "drop_rest", "pause", "show_fault", "note_opening", "note_read", "note_gap",
    "record_losses",
]  # fmt: skip


@dataclass(frozen=True)
class Subscription:
    """The state of a source in a process. `is_sent_once`: its server sends a value once.

    `history`: how far back a new connection reads. `opened_at`: when this process opened it, until
    that is noted. `fault`: the one that the database shows; empty if that is not known.
    """

    is_sent_once: bool = False
    history: timedelta = timedelta(0)
    phase: Phase = "closed"
    opened_at: datetime | None = None
    fault: str | None = ""


@dataclass(frozen=True)
class Event:
    """Something that happened to a source.

    `why`: the fault. `count`: messages that were stored, which has
    ended a fault. `read_until`: up to when others have read the source, or it was paused.
    """

    cause: Cause
    why: str | None = None
    count: int = 0
    read_until: datetime | None = None


@dataclass(frozen=True)
class Effect:
    """An action of the service. `why`: the fault or the loss. `at`: how far the source was read."""

    work: Work
    why: str | None
    at: datetime


@dataclass(frozen=True)
class SubscriptionRule:
    """A row of the table. `is_sent_once`: of which sources; None of all. `then`: the next phase."""

    phase: Phase
    cause: Cause
    is_sent_once: bool | None
    then: Phase
    works: tuple[Work, ...]


RULES: tuple[SubscriptionRule, ...] = (
    # a look at documents: the source is read
    SubscriptionRule("closed", "wanted", None, "open", ("open",)),
    # its address or client is faulty; the next look tries again
    SubscriptionRule("open", "not_opened", None, "closed", ("show_fault",)),
    # the next look: the source is read, once its broker has answered and without a fault
    SubscriptionRule("open", "wanted", False, "open", ("note_read", "record_losses")),
    # the next look: by now every other process has noted how far it has read
    SubscriptionRule("open", "wanted", True, "open", ("note_gap", "note_read", "record_losses")),
    # no connection; its thread opens it again
    SubscriptionRule("open", "broken", None, "open", ("show_fault",)),
    # a batch was taken, or none came: the broker has answered, it keeps messages since the opening
    SubscriptionRule("open", "stored", False, "open", ("show_fault", "note_opening")),
    SubscriptionRule("open", "stored", True, "open", ("show_fault",)),
    # too many messages could not be stored; the broker keeps the others, or they are lost
    SubscriptionRule("open", "full", False, "closed", ("pause", "show_fault", "close")),
    SubscriptionRule("open", "full", True, "closed", ("pause", "show_fault", "close", "drop_rest")),
    # the database does not answer: the broker sends again; what comes once waits here
    SubscriptionRule("open", "away", False, "closed", ("close",)),
    # paused, changed, or the service ends
    SubscriptionRule("open", "unwanted", False, "closed", ("close", "record_losses")),
    # the same: what has come is stored first, also over an outage of the database
    SubscriptionRule("open", "unwanted", True, "ending", ("close",)),
    # all that had come is stored
    SubscriptionRule(
        "ending", "emptied", True, "closed", ("note_gap", "note_read", "record_losses")
    ),
)
_BY_CAUSE: Mapping[tuple[Phase, Cause, bool], SubscriptionRule] = MappingProxyType({
    (rule.phase, rule.cause, is_sent_once): rule
    for rule in RULES
    for is_sent_once in (False, True)
    if rule.is_sent_once in (None, is_sent_once)
})  # fmt: skip


def advance(
    before: Subscription, event: Event, now: datetime
) -> tuple[Subscription, tuple[Effect, ...]]:
    """Return the state after an event, and what is to be done: nothing without a rule for it."""
    rule = _BY_CAUSE.get((before.phase, event.cause, before.is_sent_once))
    if rule is None:
        return before, ()
    if event.count:
        before = replace(before, fault=None)
    works = [work for work in rule.works if _is_due(work, before, event)]
    effects = tuple(_effect(work, before, event, now) for work in works)
    is_noted = rule.then == "closed" or {"note_opening", "note_gap"} & {*rule.works}
    return replace(
        before,
        phase=rule.then,
        opened_at=now if "open" in rule.works else None if is_noted else before.opened_at,
        fault=event.why if "show_fault" in rule.works else before.fault,
    ), effects


def _is_due(work: Work, before: Subscription, event: Event) -> bool:
    """Return whether it is to be done now: not what is done already, or not yet true."""
    match work:
        case "show_fault":
            return before.fault != event.why
        case "note_opening":
            return before.opened_at is not None
        case "note_read":
            return before.is_sent_once or (before.opened_at is None and before.fault is None)
        case "note_gap":
            return _gap(before, event) is not None
    return True


def _effect(work: Work, before: Subscription, event: Event, now: datetime) -> Effect:
    why = _gap(before, event) if work == "note_gap" else event.why
    return Effect(work, why, (before.opened_at if work == "note_opening" else None) or now)


def _gap(before: Subscription, event: Event) -> str | None:
    """Return how values were lost before the source was opened, unless history fills the gap."""
    opened = before.opened_at
    if opened is None or event.read_until is None or opened - event.read_until <= before.history:
        return None
    return gap("no process read the source", event.read_until, opened)
