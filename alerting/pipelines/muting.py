"""Shelves take effect and end by themselves: what a shelf owes to people is paid here, again and again if need be.

The debt stands on the episode (`muted_by`), so that a crash or a race between any two writes is mended by the next round.
"""

from dataclasses import replace
from datetime import datetime

from alerting.episodes.announcing import muted, shelf_reminder, still_open
from alerting.episodes.episode import Episode, Transition
from alerting.episodes.shelving import Shelf, ended, in_words, muting
from alerting.pipelines.definitions import latest_revision
from alerting.pipelines.ports import Platform
from alerting.pipelines.routes import recipients_now
from alerting.pipelines.settle import update

_ACTOR = "platform"


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
    return muting(platform.shelves.in_force(definition, asset), now)


def as_muted(episode: Episode, shelf: Shelf, at: datetime) -> Episode:
    """The episode with the debt to tell people when the shelf ends."""
    if episode.muted_by == shelf.id or episode.condition != "open":
        return episode
    transition = Transition("muted", at, shelf.who, in_words(shelf))
    return replace(episode, muted_by=shelf.id, transitions=(*episode.transitions, transition))


def mark_muted(platform: Platform, shelf: Shelf, now: datetime) -> None:
    """Note on the open episode of this pair, if there is one, that a shelf mutes it."""
    for episode in _open(platform, shelf.definition, shelf.asset):
        if episode.muted_by is None:
            update(platform, episode.id, lambda e: as_muted(e, shelf, now))


def end_shelf(platform: Platform, shelf: Shelf, at: datetime, who: str, reason: str) -> bool:
    """End a shelf; False when somebody else changed it meanwhile."""
    done = platform.shelves.replace(replace(ended(shelf, at, who, reason), version=shelf.version + 1))
    if done:
        subject = f"{shelf.definition} on {shelf.asset}"
        platform.audit.add(who=who, what="unshelved", subject=subject, at=at, before=shelf.kind, after=None, why=reason)
    return done


def release(platform: Platform, episode: Episode, now: datetime) -> bool:
    """Pay the debt of an episode that no shelf mutes any more. True if people are told."""
    if muted_now(platform, episode.definition, episode.asset, now) is not None:
        return False
    shelf = platform.shelves.get(episode.muted_by or "")
    told = False

    def released(current: Episode) -> Episode:
        nonlocal told
        if current.muted_by is None:
            return current
        told = current.condition == "open"
        free = replace(current, muted_by=None)
        return _told(platform, free, current.muted_by, shelf, now) if told else free

    update(platform, episode.id, released)
    return told


def _told(platform: Platform, episode: Episode, shelf_id: str, shelf: Shelf | None, now: datetime) -> Episode:
    why = f"{shelf.end_reason} ({shelf.ended_by})" if shelf is not None and shelf.end_reason else "it is muted no more"
    reason = f"still open: {why}"
    revision = latest_revision(platform, episode.definition)
    told = recipients_now(platform, revision.definition, episode.asset, episode.severity, now) if revision else []
    notices = still_open(episode, shelf_id, told, reason, now)
    transition = Transition("unmuted", now, _ACTOR, reason)
    return replace(episode, transitions=(*episode.transitions, transition), outbox=(*episode.outbox, *notices))


def mute_outbox(platform: Platform, episode: Episode, now: datetime) -> Episode:
    """An episode that a shelf mutes: what still waits in its outbox is not told."""
    shelf = muted_now(platform, episode.definition, episode.asset, now)
    if shelf is None:
        return episode
    return update(platform, episode.id, lambda e: replace(e, outbox=muted(e.outbox, in_words(shelf))))


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
    return [e for e in platform.episodes.find(definition, asset, open_only=True) if not e.historical]
