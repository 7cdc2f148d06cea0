"""Muting by shelves, silences and suppression, which take effect and end without an operator, and
the notifications due when it ends.

Muting is recorded on the episode (`muted_by`). After a crash or a race between any two writes the
next round completes the rest.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Literal

from alerting.definitions.model import Definition
from alerting.definitions.wording.language import template, translatable
from alerting.episodes.episode import Episode
from alerting.notifications.notification import Notification
from alerting.notifications.policy import (
    dropped,
    is_muted_with,
    is_overtaken,
    shelf_reminder,
    still_open,
)
from alerting.operators.shelves import Shelf, describe_shelf, find_muting_shelf, record_end
from alerting.operators.silences import Silence, describe_silence
from alerting.ports import Audit, EpisodePorts, Episodes, MutingPorts, OutcomePorts, Shelves
from alerting.usecases.definitions.lookup import newest_of_target
from alerting.usecases.episodes.changes import EpisodeChanges, update
from alerting.usecases.episodes.suppression import suppressed_all_along, suppression_now
from alerting.usecases.notification.routes import recipients_now
from alerting.usecases.silences.in_force import SilencesInForce, silences_at, silences_between

_ACTOR = "platform"
_BY_DESIGN = "suppression:"
_INSTANT = timedelta(milliseconds=1)


@dataclass(frozen=True)
class MuteReason:
    """Reason for which notifications of an episode are muted: a shelf, a silence, or suppression by
    design.

    `id`: recorded on the episode (`muted_by`); `kind`: of the transition that records it,
    `maintenance` if the episode was raised in it.
    """

    id: str
    kind: Literal["muted", "suppressed", "maintenance"]
    actor: str
    reason: str


def tend_shelves(
    platform: MutingPorts, now: datetime, definition: str | None = None, asset: str | None = None
) -> int:
    """End shelves whose time is over, send reminders of those about to end, and notify once of
    episodes still open after one.

    For all targets, or for one. Return how many episodes caused notifications. Idempotent.
    """
    for shelf in platform.shelves.in_force(definition, asset):
        if shelf.mutes(now):
            _remind(platform, shelf, now)
            record_muting(platform, shelf, now)
        elif shelf.until is not None and shelf.until <= now:
            end_shelf(
                platform.audit,
                platform.shelves,
                shelf,
                shelf.until,
                _ACTOR,
                translatable("its time is over"),
            )
    requested = [
        e
        for e in platform.episodes.muted()
        if definition in (None, e.definition) and asset in (None, e.asset)
    ]
    return sum(unmute(platform, episode, now) for episode in requested)


def muted_now(shelves: Shelves, definition: str, asset: str, now: datetime) -> Shelf | None:
    """Return the shelf that mutes this definition on this asset, None without one."""
    return find_muting_shelf(shelves.in_force(definition, asset), now)


def silence_now(
    platform: MutingPorts, definition: Definition | None, episode: Episode, now: datetime
) -> MuteReason | None:
    """Return why an episode is muted now, None if it is not. A shelf takes precedence over a
    silence, and that over suppression."""
    return _silence(
        platform,
        definition,
        episode,
        muted_now(platform.shelves, episode.definition, episode.asset, now),
        silences_at(platform, now),
        now,
    )


def _silence(
    platform: EpisodePorts,
    definition: Definition | None,
    episode: Episode,
    shelf: Shelf | None,
    silences: SilencesInForce,
    now: datetime,
) -> MuteReason | None:
    if shelf is not None:
        return _shelf_silence(shelf)
    silence = silences.find(episode.definition, episode.asset, episode.severity, now)
    if silence is not None:
        return _mute_reason(silence)
    reason = suppression_now(platform, definition, episode, now) if definition is not None else None
    return None if reason is None else _suppression_silence(reason, now)


def silence_at_raise(
    platform: MutingPorts, definition: Definition, episode: Episode, now: datetime
) -> MuteReason | None:
    """Return why a newly found episode is muted, None if it is not: maintenance at its raise, a
    shelf, a silence, or suppression from its raise to its end (or now).

    An episode that begins and ends within suppression or maintenance never causes a notification.
    """
    severity = episode.severity
    silences = silences_between(platform, min(episode.raised_at, now), now + _INSTANT)
    at_raise = silences.find(episode.definition, episode.asset, severity, episode.raised_at)
    if at_raise is not None and at_raise.kind == "maintenance":
        return replace(_mute_reason(at_raise), kind="maintenance")
    shelf = muted_now(platform.shelves, episode.definition, episode.asset, now)
    if shelf is not None:
        return _shelf_silence(shelf)
    present = silences.find(episode.definition, episode.asset, severity, now)
    if present is not None:
        return _mute_reason(present)
    reason = suppressed_all_along(platform, definition, episode, now)
    return None if reason is None else _suppression_silence(reason, now)


def _shelf_silence(shelf: Shelf) -> MuteReason:
    return MuteReason(shelf.id, "muted", shelf.actor, describe_shelf(shelf))


def _mute_reason(silence: Silence) -> MuteReason:
    return MuteReason(silence.id, "muted", silence.author, describe_silence(silence))


def _suppression_silence(reason: str, now: datetime) -> MuteReason:
    """Return the muting by suppression. Its id is the instant `now`, so that each suppressed
    interval is released once."""
    return MuteReason(
        f"{_BY_DESIGN}{now.isoformat()}",
        "suppressed",
        _ACTOR,
        translatable("suppressed by design: {reason}", reason=reason),
    )


def as_muted(episode: Episode, silence: MuteReason, at: datetime) -> Episode:
    """Return the episode with the muting recorded, for the notification when muting ends. A closed
    episode needs none."""
    if episode.muted_by is not None:
        return episode
    requested = silence.id if episode.condition == "open" else None
    return episode.with_transition(
        silence.kind, at, silence.reason, silence.actor, muted_by=requested
    )


def record_muting(platform: OutcomePorts, shelf: Shelf, now: datetime) -> None:
    """Record on the open episode of this target, if there is one, that a shelf mutes it."""
    for episode in _open(platform.episodes, shelf.definition, shelf.asset):
        _record_muting(platform, episode, _shelf_silence(shelf), now)


def record_silences(platform: OutcomePorts, now: datetime) -> None:
    """Record on the open episodes that silences cover now, that these mute them. Idempotent."""
    present = silences_at(platform, now)
    for episode in platform.episodes.find(open_only=True) if present.silences else ():
        if episode.muted_by is None and not episode.backfilled:
            found = present.find(episode.definition, episode.asset, episode.severity, now)
            if found is not None:
                _record_muting(platform, episode, _mute_reason(found), now)


def record_suppression(
    platform: OutcomePorts, definition: Definition, episode: Episode, now: datetime
) -> Episode:
    """Record on an open episode that it is suppressed by design now, if it is. Return the stored
    episode."""
    if definition.suppression is None or episode.muted_by is not None or episode.backfilled:
        return episode
    reason = suppression_now(platform, definition, episode, now)
    return (
        episode
        if reason is None
        else _record_muting(platform, episode, _suppression_silence(reason, now), now)
    )


def _record_muting(
    platform: OutcomePorts, episode: Episode, silence: MuteReason, now: datetime
) -> Episode:
    if episode.muted_by is not None:
        return episode
    return update(
        platform, episode.id, lambda e, _: as_muted(e, silence, now) if e.condition == "open" else e
    )


def end_shelf(
    audit: Audit, shelves: Shelves, shelf: Shelf, at: datetime, actor: str, reason: str
) -> bool:
    """End a shelf. Return False if another process changed it in between."""
    done = shelves.replace(replace(record_end(shelf, at, actor, reason), version=shelf.version + 1))
    if done:
        subject = f"{shelf.definition} on {shelf.asset}"
        audit.add(
            actor=actor,
            what=template("unshelved"),
            subject=subject,
            at=at,
            before=shelf.kind,
            after=None,
            why=reason,
        )
    return done


def unmute(platform: MutingPorts, episode: Episode, now: datetime) -> bool:
    """Notify of an episode that is no longer muted. Return True if notifications were added."""
    revision = newest_of_target(platform.definitions, episode.definition)
    definition = revision.definition if revision else None
    if silence_now(platform, definition, episode, now) is not None:
        return False
    notified = False

    def end_muting(current: Episode, changes: EpisodeChanges) -> Episode:
        nonlocal notified
        if current.muted_by is None:
            return current
        notified = current.condition == "open"
        free = replace(current, muted_by=None)
        return (
            _notify_after_muting(platform, changes, definition, free, current.muted_by, now)
            if notified
            else free
        )

    update(platform, episode.id, end_muting)
    return notified


def _notify_after_muting(
    platform: MutingPorts,
    changes: EpisodeChanges,
    definition: Definition | None,
    episode: Episode,
    silence_id: str,
    now: datetime,
) -> Episode:
    reason = _why_over(platform, silence_id)
    recipients = (
        recipients_now(platform, definition, episode.asset, episode.severity, now)
        if definition
        else []
    )
    changes.notify(still_open(episode, silence_id, recipients, reason, now))
    return episode.with_transition("unmuted", now, reason)


def _why_over(platform: MutingPorts, silence_id: str) -> str:
    if silence_id.startswith(_BY_DESIGN):
        return translatable("its suppression has ended")
    over = platform.shelves.get(silence_id) or platform.silences.get(silence_id)
    if over is None or not over.end_reason:
        return translatable("its muting has ended")
    if over.ended_by == _ACTOR:
        return translatable("its muting has ended: {reason}", reason=over.end_reason)
    return translatable(
        "its muting has ended: {reason} ({person})",
        reason=over.end_reason,
        person=str(over.ended_by),
    )


def withhold(
    platform: MutingPorts,
    waiting: Sequence[Notification],
    episodes: Mapping[str, Episode],
    now: datetime,
) -> tuple[list[Notification], int]:
    """Mute and drop waiting notifications that must not be delivered. Return the others, and how
    many were dropped.

    Muted: those of muted episodes, and reminders of shelves that have ended. Dropped: those that
    quiet hours held back too long.
    """
    silences = _silences(platform, episodes.values(), now)
    unclear = {n.episode for n in waiting if n.episode in silences or n.postponed_by == "quiet"}
    sent = platform.notifications.of_episodes({id for id in unclear if id}) if unclear else {}
    ready: list[Notification] = []
    changes: list[tuple[Notification, Notification]] = []
    for n in waiting:
        episode = episodes.get(n.episode or "")
        others = sent.get(n.episode or "", ())
        reason = _why_muted(platform.shelves, n, episode, silences, others)
        if reason is not None:
            changes.append((n, replace(n, status="muted", next_attempt_at=None, error=reason)))
        elif episode is not None and is_overtaken(n, episode, others):
            changes.append((n, dropped(n)))
        else:
            ready.append(n)
    platform.notifications.change(changes)
    return ready, sum(after.status == "dropped" for _, after in changes)


def _silences(
    platform: MutingPorts, episodes: Iterable[Episode], now: datetime
) -> dict[str, MuteReason]:
    """Return why episodes are muted now, by id; without those that are not."""
    by_target = defaultdict[tuple[str, str], list[Episode]](list)
    found = dict[str, MuteReason]()
    for episode in episodes:
        by_target[episode.definition, episode.asset].append(episode)
    shelves = platform.shelves.in_force() if by_target else []
    silences = silences_at(platform, now) if by_target else SilencesInForce((), platform.assets)
    revisions = {
        name: platform.definitions.newest_revision(name) for name in {name for name, _ in by_target}
    }
    for (name, asset), of_target in by_target.items():
        revision = revisions[name]
        shelf = find_muting_shelf(
            (s for s in shelves if (s.definition, s.asset) == (name, asset)), now
        )
        for episode in of_target:
            silence = _silence(
                platform, revision.definition if revision else None, episode, shelf, silences, now
            )
            if silence is not None:
                found[episode.id] = silence
    return found


def _why_muted(
    shelves: Shelves,
    notification: Notification,
    episode: Episode | None,
    silences: Mapping[str, MuteReason],
    others: Iterable[Notification],
) -> str | None:
    if notification.shelf is not None:
        shelf = shelves.get(notification.shelf)
        return "it has ended" if shelf is None or shelf.ended_at is not None else None
    if notification.episode is None:
        return None
    if episode is None:
        return "its episode is not stored any more"
    silence = silences.get(episode.id)
    return silence.reason if silence is not None and is_muted_with(notification, others) else None


def _remind(platform: MutingPorts, shelf: Shelf, now: datetime) -> None:
    if shelf.until is None or shelf.remind_at is None or shelf.remind_at > now:
        return
    revision = newest_of_target(platform.definitions, shelf.definition)
    definition = revision.definition if revision else None
    recipients = (
        recipients_now(platform, definition, shelf.asset, definition.severity, now)
        if definition
        else []
    )
    platform.notifications.add(shelf_reminder(shelf.id, shelf.until, recipients, now))


def _open(episodes: Episodes, definition: str, asset: str) -> list[Episode]:
    return [e for e in episodes.find(definition, asset, open_only=True) if not e.backfilled]
