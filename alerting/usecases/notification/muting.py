"""Shelves and suppression take effect and end by themselves: what they owe to people is paid here, again and again if need be.

The debt stands on the episode (`muted_by`), so that a crash or a race between any two writes is mended by the next round.
"""

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Literal

from alerting.definitions.model import Definition
from alerting.episodes.episode import Episode, Transition
from alerting.notifications.policy import mute_pending, shelf_reminder, still_open
from alerting.operators.shelves import Shelf, describe_shelf, find_muting_shelf, record_end
from alerting.ports import Platform
from alerting.usecases.definitions.sync import latest_revision
from alerting.usecases.episodes.store import update
from alerting.usecases.episodes.suppression import suppressed_throughout, suppression_now
from alerting.usecases.notification.routes import recipients_now

_ACTOR = "platform"
_BY_DESIGN = "suppression:"


@dataclass(frozen=True)
class MuteReason:
    """Because of what nobody is told of an episode: a shelf, or the suppression of its definition.

    `id`: what stands on the episode as its debt; `kind`: of the transition that says so.
    """

    id: str
    kind: Literal["muted", "suppressed"]
    who: str
    words: str


def tend_shelves(platform: Platform, now: datetime, definition: str | None = None, asset: str | None = None) -> int:
    """End shelves whose time is over, remind of those about to end, and announce once what is still open after one.

    Of all pairs, or of one. Doing it again changes nothing. Returns how many episodes were announced.
    """
    for shelf in platform.shelves.in_force(definition, asset):
        if shelf.mutes(now):
            _remind(platform, shelf, now)
            mark_muted(platform, shelf, now)
        elif shelf.until is not None and shelf.until <= now:
            end_shelf(platform, shelf, shelf.until, _ACTOR, "its time is over")
    owed = [e for e in platform.episodes.muted() if definition in (None, e.definition) and asset in (None, e.asset)]
    return sum(release(platform, episode, now) for episode in owed)


def muted_now(platform: Platform, definition: str, asset: str, now: datetime) -> Shelf | None:
    """The shelf because of which nobody is told of this definition on this asset."""
    return find_muting_shelf(platform.shelves.in_force(definition, asset), now)


def silence_now(platform: Platform, definition: Definition | None, episode: Episode, now: datetime) -> MuteReason | None:
    """Because of what nobody is told of an episode now: a shelf before suppression, which needs nobody to end it."""
    shelf = muted_now(platform, episode.definition, episode.asset, now)
    if shelf is not None:
        return _shelf_silence(shelf)
    words = suppression_now(platform, definition, episode, now) if definition is not None else None
    return None if words is None else _suppression_silence(words, now)


def silence_at_raise(platform: Platform, definition: Definition, episode: Episode, now: datetime) -> MuteReason | None:
    """Because of what nobody is told of an episode that was just found: a shelf, or suppression from its raise on to its end
    (or until now): what comes and goes while it lasts is told never."""
    shelf = muted_now(platform, episode.definition, episode.asset, now)
    if shelf is not None:
        return _shelf_silence(shelf)
    words = suppressed_throughout(platform, definition, episode, now)
    return None if words is None else _suppression_silence(words, now)


def _shelf_silence(shelf: Shelf) -> MuteReason:
    return MuteReason(shelf.id, "muted", shelf.who, describe_shelf(shelf))


def _suppression_silence(words: str, now: datetime) -> MuteReason:
    """Its identity is the instant at which an episode first met it: each spell of suppression is paid for once."""
    return MuteReason(f"{_BY_DESIGN}{now.isoformat()}", "suppressed", _ACTOR, f"suppressed by design: {words}")


def as_muted(episode: Episode, silence: MuteReason, at: datetime) -> Episode:
    """The episode with the debt to tell people when the silence ends; what is over already owes nothing."""
    if episode.muted_by is not None:
        return episode
    transition = Transition(silence.kind, at, silence.who, silence.words)
    owed = silence.id if episode.condition == "open" else None
    return replace(episode, muted_by=owed, transitions=(*episode.transitions, transition))


def mark_muted(platform: Platform, shelf: Shelf, now: datetime) -> None:
    """Note on the open episode of this pair, if there is one, that a shelf mutes it."""
    for episode in _open(platform, shelf.definition, shelf.asset):
        _mark(platform, episode, _shelf_silence(shelf), now)


def mark_suppressed(platform: Platform, definition: Definition, episode: Episode, now: datetime) -> Episode:
    """Note on an open episode that it is suppressed by design now, if it is. Returns it as it stands then."""
    if definition.suppression is None or episode.muted_by is not None or episode.backfilled:
        return episode
    words = suppression_now(platform, definition, episode, now)
    return episode if words is None else _mark(platform, episode, _suppression_silence(words, now), now)


def _mark(platform: Platform, episode: Episode, silence: MuteReason, now: datetime) -> Episode:
    if episode.muted_by is not None:
        return episode
    return update(platform, episode.id, lambda e: as_muted(e, silence, now) if e.condition == "open" else e)


def end_shelf(platform: Platform, shelf: Shelf, at: datetime, who: str, reason: str) -> bool:
    """End a shelf; False when somebody else changed it meanwhile."""
    done = platform.shelves.replace(replace(record_end(shelf, at, who, reason), version=shelf.version + 1))
    if done:
        subject = f"{shelf.definition} on {shelf.asset}"
        platform.audit.add(who=who, what="unshelved", subject=subject, at=at, before=shelf.kind, after=None, why=reason)
    return done


def release(platform: Platform, episode: Episode, now: datetime) -> bool:
    """Pay the debt of an episode that nothing mutes any more. True if people are told."""
    revision = latest_revision(platform, episode.definition)
    definition = revision.definition if revision else None
    if silence_now(platform, definition, episode, now) is not None:
        return False
    told = False

    def released(current: Episode) -> Episode:
        nonlocal told
        if current.muted_by is None:
            return current
        told = current.condition == "open"
        free = replace(current, muted_by=None)
        return _told(platform, definition, free, current.muted_by, now) if told else free

    update(platform, episode.id, released)
    return told


def _told(platform: Platform, definition: Definition | None, episode: Episode, silence_id: str, now: datetime) -> Episode:
    reason = f"still open: {_why_over(platform, silence_id)}"
    told = recipients_now(platform, definition, episode.asset, episode.severity, now) if definition else []
    notices = still_open(episode, silence_id, told, reason, now)
    transition = Transition("unmuted", now, _ACTOR, reason)
    return replace(episode, transitions=(*episode.transitions, transition), outbox=(*episode.outbox, *notices))


def _why_over(platform: Platform, silence_id: str) -> str:
    if silence_id.startswith(_BY_DESIGN):
        return "it is suppressed no more"
    shelf = platform.shelves.get(silence_id)
    return f"{shelf.end_reason} ({shelf.ended_by})" if shelf is not None and shelf.end_reason else "it is muted no more"


def mute_outbox(platform: Platform, episode: Episode, now: datetime) -> Episode:
    """An episode that a shelf or suppression mutes: what still waits in its outbox is not told."""
    revision = latest_revision(platform, episode.definition)
    silence = silence_now(platform, revision.definition if revision else None, episode, now)
    if silence is None:
        return episode
    return update(platform, episode.id, lambda e: replace(e, outbox=mute_pending(e.outbox, silence.words)))


def _remind(platform: Platform, shelf: Shelf, now: datetime) -> None:
    if shelf.until is None or shelf.remind_at is None or shelf.remind_at > now:
        return
    revision = latest_revision(platform, shelf.definition)
    known = {n.key for n in shelf.outbox}
    definition = revision.definition if revision else None
    told = recipients_now(platform, definition, shelf.asset, definition.severity, now) if definition else []
    notices = shelf_reminder(shelf.id, shelf.until, told, now)
    fresh = tuple(n for n in notices if n.key not in known)
    if fresh:
        platform.shelves.replace(replace(shelf, outbox=(*shelf.outbox, *fresh), version=shelf.version + 1))


def _open(platform: Platform, definition: str, asset: str) -> list[Episode]:
    return [e for e in platform.episodes.find(definition, asset, open_only=True) if not e.backfilled]
