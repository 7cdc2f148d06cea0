"""Deliver what the outboxes hold: claim, deliver, record. At least once, each with a key that never changes."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from typing import Any

from alerting.definitions.faults import Refused
from alerting.episodes.announcing import after_failure, retry_delay
from alerting.episodes.bulletin import Bulletin
from alerting.episodes.episode import Episode, Notification
from alerting.episodes.shelving import Shelf
from alerting.pipelines.announce import announce_due
from alerting.pipelines.feedback import find_episode
from alerting.pipelines.messages import bulletin_message, message, shelf_message
from alerting.pipelines.muting import mute_outbox, tend_shelves
from alerting.pipelines.ports import DeliveryFailed, Message, Platform
from alerting.pipelines.routes import read_routes
from alerting.pipelines.settle import update

__all__ = ["DeliveryCounts", "dead_letters", "deliver_due", "message", "retry", "send_test"]


@dataclass
class DeliveryCounts:
    """What one round of deliveries did. `announced`: repeats, escalations and the like that became due."""

    sent: int = 0
    failed: int = 0
    dead: int = 0
    dropped: int = 0
    announced: int = 0


@dataclass(frozen=True)
class DeadLetter:
    """A delivery that was given up. `episode` is None for messages that belong to no single one."""

    id: str
    episode: str | None
    channel: str
    of: str
    created_at: datetime
    attempts: int
    error: str | None


def deliver_due(platform: Platform, now: datetime) -> DeliveryCounts:
    """Pay what shelves owe, announce what time has brought, then try every notification that is due, each once.

    What is muted is not told.
    """
    tend_shelves(platform, now)
    counts = DeliveryCounts(announced=announce_due(platform, now))
    while _deliver_page(platform, now, counts):
        pass
    for shelf in platform.shelves.with_due_notifications(now):
        _deliver_all(platform, shelf.outbox, _shelf_outbox(platform, shelf), now, counts)
    for bulletin in platform.bulletins.due(now):
        _deliver_all(platform, (bulletin.notification,), _bulletin_outbox(platform, bulletin), now, counts)
    return counts


def _deliver_page(platform: Platform, now: datetime, counts: DeliveryCounts) -> bool:
    """False when there was nothing to do: what is claimed, muted or dropped is not due any more."""
    before = counts.sent + counts.failed + counts.dropped
    for episode in platform.episodes.with_due_notifications(now):
        current = mute_outbox(platform, episode, now)
        outbox = _episode_outbox(platform, current)
        counts.dropped += _drop_quiet(outbox, current)
        _deliver_all(platform, current.outbox, outbox, now, counts)  # what was dropped cannot be claimed any more
    return counts.sent + counts.failed + counts.dropped > before


Notices = tuple[Notification, ...]


@dataclass(frozen=True)
class _Outbox:
    """Where notifications stand: how to change them by compare-and-set, and what they say."""

    change: Callable[[Callable[[Notices], Notices]], None]
    message: Callable[[Notification], Message]


def _episode_outbox(platform: Platform, episode: Episode) -> _Outbox:
    def change(to: Callable[[Notices], Notices]) -> None:
        update(platform, episode.id, lambda e: replace(e, outbox=to(e.outbox)))

    return _Outbox(change, partial(message, episode, links=platform.links))


def _shelf_outbox(platform: Platform, shelf: Shelf) -> _Outbox:
    def change(to: Callable[[Notices], Notices]) -> None:
        stored = platform.shelves.get(shelf.id)
        while stored is not None and (after := to(stored.outbox)) != stored.outbox:
            if platform.shelves.replace(replace(stored, outbox=after, version=stored.version + 1)):
                return
            stored = platform.shelves.get(shelf.id)

    return _Outbox(change, partial(shelf_message, shelf))


def _bulletin_outbox(platform: Platform, bulletin: Bulletin) -> _Outbox:
    def change(to: Callable[[Notices], Notices]) -> None:
        stored = platform.bulletins.get(bulletin.id)
        while stored is not None and (after := to((stored.notification,))) != (stored.notification,):
            if platform.bulletins.replace(stored.after(after[0])):
                return
            stored = platform.bulletins.get(bulletin.id)

    return _Outbox(change, lambda _: bulletin_message(bulletin))


def _drop_quiet(outbox: _Outbox, episode: Episode) -> int:
    """What quiet hours held back is not told of what is over by now, nor where worse was told meanwhile. Returns how many."""
    overtaken = {n.channel for n in episode.outbox if n.transition == "severity_rose"}
    held = [n for n in episode.outbox if n.status == "pending" and n.held == "quiet" and n.attempts == 0]
    dropped = [n for n in held if episode.condition == "closed" or n.channel in overtaken]
    for n in dropped:
        _record(outbox, n.key, status="dropped", error="over, or overtaken by worse, before the quiet hours were over")
    return len(dropped)


def _deliver_all(platform: Platform, notices: Notices, outbox: _Outbox, now: datetime, counts: DeliveryCounts) -> None:
    for notification in notices:
        if _is_due(notification, now) and _claim(outbox, notification, now):
            _deliver(platform, outbox, notification, now, counts)


def _is_due(notification: Notification, now: datetime) -> bool:
    due = notification.next_attempt_at
    return notification.status == "pending" and notification.held != "flood" and (due is None or due <= now)


def _claim(outbox: _Outbox, notification: Notification, now: datetime) -> bool:
    """Count the attempt before it is made: whoever counts first delivers, and a crash leaves evidence and a next attempt."""
    claimed = False

    def count_attempt(notices: Notices) -> Notices:
        nonlocal claimed
        claimed = notification in notices
        if not claimed:
            return notices
        attempts = notification.attempts + 1
        again_at = now + retry_delay(attempts, notification.key)
        return _put(notices, replace(notification, attempts=attempts, next_attempt_at=again_at))

    outbox.change(count_attempt)
    return claimed


def _deliver(platform: Platform, outbox: _Outbox, notification: Notification, now: datetime, counts: DeliveryCounts) -> None:
    failure = _attempt(platform, notification.channel, outbox.message(notification))
    if failure is None:
        _record(outbox, notification.key, status="sent", delivered_at=now, error=None)
        counts.sent += 1
        return
    status = after_failure(notification.attempts + 1, failure.permanent)
    _record(outbox, notification.key, status=status, error=str(failure))
    counts.failed += 1
    counts.dead += status == "dead"


def _attempt(platform: Platform, name: str, told: Message) -> DeliveryFailed | None:
    channel = platform.channels.get(name)
    if channel is None:
        return DeliveryFailed(f"channel {name!r} is not configured", permanent=True)
    try:
        channel.deliver(told)
    except DeliveryFailed as failure:
        return failure
    return None


def dead_letters(platform: Platform) -> list[DeadLetter]:
    """Every delivery that was given up, oldest first."""
    found = [_letter(episode, n) for episode, n in platform.episodes.dead_letters()]
    found += [_letter(None, bulletin.notification) for bulletin in platform.bulletins.dead_letters()]
    return sorted(found, key=lambda letter: letter.created_at)


def _letter(episode: str | None, n: Notification) -> DeadLetter:
    return DeadLetter(n.key, episode, n.channel, n.transition, n.created_at, n.attempts, n.error)


def retry(platform: Platform, id: str, who: str, now: datetime) -> int:
    """Make dead letters due again: the one of this id, or all of `all`; their keys stay. Returns how many. Raises Refused."""
    chosen = [letter for letter in dead_letters(platform) if id in ("all", letter.id)]
    if not chosen and id != "all":
        raise Refused(f"there is no dead letter {id!r}; see: alerting notify dead")
    for letter in chosen:
        _record(_outbox_of(platform, letter), letter.id, status="pending", attempts=0, next_attempt_at=now)
        platform.audit.add(who, "delivery tried again", letter.id, now)
    return len(chosen)


def _outbox_of(platform: Platform, letter: DeadLetter) -> _Outbox:
    if letter.episode is not None:
        return _episode_outbox(platform, find_episode(platform, letter.episode))
    bulletin = platform.bulletins.get(letter.id)
    assert bulletin is not None  # noqa: S101 - bulletins are never deleted
    return _bulletin_outbox(platform, bulletin)


def send_test(platform: Platform, name: str, who: str, now: datetime) -> dict[str, str]:
    """Send a test message through a route or a channel, at once and without an outbox. Returns `sent` or the fault by channel.

    Raises Refused when there is neither a route nor a channel of this name.
    """
    route = next((r for r in read_routes(platform)[0] if r.name == name), None)
    channels = list(route.channels) if route else [name] if name in platform.channels else []
    if route:
        channels += [c for step in route.escalation for c in step.channels if c not in channels]
    if not channels:
        known = ", ".join([r.name for r in read_routes(platform)[0]] + sorted(platform.channels))
        raise Refused(f"there is no route and no channel {name!r}; there are: {known}")
    results = {}
    for channel in channels:
        told = Message(
            f"test:{now.isoformat()}:{channel}",
            "Test message of alerting",
            f"This is a test, sent by {who} at {now.isoformat()}. Nothing is wrong, and nothing is to be done.",
            {"test": True, "route": route.name if route else None, "channel": channel},
        )
        failure = _attempt(platform, channel, told)
        results[channel] = "sent" if failure is None else str(failure)
    return results


def _record(outbox: _Outbox, key: str, **changes: Any) -> None:
    outbox.change(lambda notices: tuple(replace(n, **changes) if n.key == key else n for n in notices))


def _put(notices: Notices, notification: Notification) -> Notices:
    return tuple(notification if n.key == notification.key else n for n in notices)
