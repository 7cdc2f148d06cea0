"""Deliver pending notifications: claim, deliver, record. Delivery is at least once, with a key that never changes."""

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import cached_property
from typing import Any

from alerting.definitions.faults import UserError
from alerting.definitions.wording.clean_text import clean, clean_line, clean_text
from alerting.episodes.episode import Episode, Notification
from alerting.notifications.group_message import GroupMessage, delivered_group_message
from alerting.notifications.policy import after_failure, retry_delay
from alerting.operators.shelves import Shelf
from alerting.ports import DeliveryFailed, Message, Platform
from alerting.ports.logs import id_logger, log_run
from alerting.reporting.sentences import clock_time
from alerting.usecases.definitions.platform_alerts import record_document_faults
from alerting.usecases.episodes.store import find_episode, update
from alerting.usecases.notification.chart import draw_episode
from alerting.usecases.notification.dead_letters import DeadLetter, dead_letters
from alerting.usecases.notification.messages import group_message_text, message, shelf_message
from alerting.usecases.notification.muting import mute_notifications, tend_shelves
from alerting.usecases.notification.routes import read_routes
from alerting.usecases.notification.schedule import announce_due

__all__ = ["DeliveryCounts", "deliver_due", "deliver_episodes", "message", "retry", "send_test"]
_log = id_logger(__name__)
CLAIM = timedelta(minutes=2)
"""Time for which a claim belongs to the process that made it: longer than all time-outs of a delivery together."""
SILENT_AFTER = 3
"""Failures in a row after which a channel is skipped for the rest of the round, so that it does not delay the others."""


@dataclass
class DeliveryCounts:
    """Counts of one round of deliveries.

    `announced`: notifications that time made due, such as repeats and escalations; `postponed`: not tried, because their channel
    had just failed several times in a row.
    """

    sent: int = 0
    failed: int = 0
    dead: int = 0
    dropped: int = 0
    announced: int = 0
    postponed: int = 0

    def count_handled(self) -> int:
        """Return how many notifications are no longer due."""
        return self.sent + self.failed + self.dropped + self.postponed


@dataclass(frozen=True)
class _Round:
    """One round. `failures`: of each channel, in a row."""

    platform: Platform
    now: datetime
    counts: DeliveryCounts
    failures: Counter[str] = field(default_factory=Counter)

    @cached_property
    def acknowledging(self) -> frozenset[str]:
        """Return the routes whose messages may acknowledge by a link."""
        return frozenset(route.name for route in read_routes(self.platform)[0] if route.acknowledge_by_link)

    def record_answer(self, channel: str, answered: bool) -> None:
        """Record whether a channel answered."""
        self.failures[channel] = 0 if answered else self.failures[channel] + 1

    def is_silent(self, channel: str) -> bool:
        """Return whether a channel is skipped for the rest of this round."""
        return self.failures[channel] >= SILENT_AFTER


@log_run()
def deliver_due(platform: Platform, now: datetime) -> DeliveryCounts:
    """End shelves, add the notifications that time made due, then try every due notification once."""
    edited = ("routes", "shelves")
    record_document_faults(platform.platform_alerts, platform.documents.faulty(edited), now, edited)
    tend_shelves(platform, now)
    current_round = _Round(platform, now, DeliveryCounts(announced=announce_due(platform, now)))
    _deliver_episodes(current_round)
    for shelf in platform.shelves.with_due_notifications(now):
        _deliver_all(current_round, shelf.notifications, _shelf_notifications(platform, shelf))
    for group_message in platform.group_messages.due(now):
        _deliver_all(current_round, (group_message.notification,), _group_message_notifications(platform, group_message))
    return current_round.counts


@log_run()
def deliver_episodes(platform: Platform, now: datetime) -> DeliveryCounts:
    """Try the due notifications of episodes once: those that an evaluation has just added, and add none."""
    current_round = _Round(platform, now, DeliveryCounts())
    _deliver_episodes(current_round)
    return current_round.counts


def _deliver_episodes(current_round: _Round) -> None:
    """Deliver the due notifications of episodes that are not muted."""
    while _deliver_page(current_round):
        pass


def _deliver_page(current_round: _Round) -> bool:
    """Deliver one page of due notifications. Return False if there was none.

    Claimed, muted, dropped and postponed notifications are no longer due.
    """
    before = current_round.counts.count_handled()
    for episode in current_round.platform.episodes.with_due_notifications(current_round.now):
        current = mute_notifications(current_round.platform, episode, current_round.now)
        notifications = _episode_notifications(current_round.platform, current, current_round.acknowledging)
        current_round.counts.dropped += _drop_quiet(notifications, current)
        _deliver_all(current_round, current.notifications, notifications)  # dropped notifications can no longer be claimed
    return current_round.counts.count_handled() > before


NotificationList = tuple[Notification, ...]


@dataclass(frozen=True)
class _Notifications:
    """Notifications of one document: how to change them by compare-and-set, their messages, and their subject for logs."""

    change: Callable[[Callable[[NotificationList], NotificationList]], None]
    message: Callable[[Notification], Message]
    ids: Mapping[str, Any] = field(default_factory=dict)


def _episode_notifications(platform: Platform, episode: Episode, acknowledging: frozenset[str] = frozenset()) -> _Notifications:
    def change(to: Callable[[NotificationList], NotificationList]) -> None:
        update(platform, episode.id, lambda e: replace(e, notifications=to(e.notifications)))

    def message_for(notification: Notification) -> Message:
        now = platform.clock.now()
        plain = message(episode, notification, platform.links, acknowledging, now, platform.zone)
        return replace(plain, draw=lambda: draw_episode(platform, episode, platform.clock.now()))

    ids = {"definition": episode.definition, "asset": episode.asset, "episode": episode.id}
    return _Notifications(change, message_for, ids)


def _shelf_notifications(platform: Platform, shelf: Shelf) -> _Notifications:
    def change(to: Callable[[NotificationList], NotificationList]) -> None:
        stored = platform.shelves.get(shelf.id)
        while stored is not None and (after := to(stored.notifications)) != stored.notifications:
            if platform.shelves.replace(replace(stored, notifications=after, version=stored.version + 1)):
                return
            stored = platform.shelves.get(shelf.id)

    ids = {"definition": shelf.definition, "asset": shelf.asset, "shelf": shelf.id}
    return _Notifications(
        change, lambda notification: shelf_message(shelf, notification, platform.clock.now(), platform.zone), ids
    )


def _group_message_notifications(platform: Platform, group_message: GroupMessage) -> _Notifications:
    def change(to: Callable[[NotificationList], NotificationList]) -> None:
        stored = platform.group_messages.get(group_message.id)
        while stored is not None and (after := to((stored.notification,))) != (stored.notification,):
            if platform.group_messages.replace(stored.after(after[0])):
                return
            stored = platform.group_messages.get(group_message.id)

    return _Notifications(
        change,
        lambda _: group_message_text(group_message, platform.clock.now(), platform.zone),
        {"group_message": group_message.id},
    )


def _drop_quiet(notifications: _Notifications, episode: Episode) -> int:
    """Drop notifications held back by quiet hours if the episode is over or a higher severity was notified. Return how many."""
    overtaken = {n.channel for n in episode.notifications if n.transition == "severity_rose"}
    postponed = [n for n in episode.notifications if n.status == "pending" and n.postponed_by == "quiet" and n.attempts == 0]
    dropped = [n for n in postponed if episode.condition == "closed" or n.channel in overtaken]
    for n in dropped:
        _record(notifications, n.key, status="dropped", error="over, or of a higher severity, before the quiet hours ended")
    return len(dropped)


def _deliver_all(current_round: _Round, items: NotificationList, notifications: _Notifications) -> None:
    for notification in items:
        if not _is_due(notification, current_round.now):
            continue
        if current_round.is_silent(notification.channel):
            _postpone(current_round, notifications, notification)
        elif claimed := _claim(current_round, notifications, notification):
            _deliver(current_round, notifications, claimed)


def _is_due(notification: Notification, now: datetime) -> bool:
    due = notification.next_attempt_at
    return (
        notification.status == "pending" and notification.postponed_by not in ("flood", "digest") and (due is None or due <= now)
    )


def _claim(current_round: _Round, notifications: _Notifications, notification: Notification) -> Notification | None:
    """Count the attempt before it is made. Return None if another process was first.

    The process that counts first delivers, and no other process tries while the claim lasts. After a crash the counted attempt
    remains, and a next attempt follows.
    """
    until = max(current_round.now, current_round.platform.clock.now()) + CLAIM  # a round may take long
    claimed = replace(notification, attempts=notification.attempts + 1, next_attempt_at=until)
    return claimed if _exchange(notifications, notification, claimed) else None


def _postpone(current_round: _Round, notifications: _Notifications, notification: Notification) -> None:
    """Postpone a notification. It is not tried and does not count as an attempt."""
    next_attempt_at = current_round.now + retry_delay(notification.attempts + 1, notification.key)
    current_round.counts.postponed += _exchange(
        notifications, notification, replace(notification, next_attempt_at=next_attempt_at)
    )


def _exchange(notifications: _Notifications, before: Notification, after: Notification) -> bool:
    """Replace one notification by another. Return False if the first is no longer there."""
    found = False

    def change(items: NotificationList) -> NotificationList:
        nonlocal found
        found = before in items
        return _put(items, after) if found else items

    notifications.change(change)
    return found


def _deliver(current_round: _Round, notifications: _Notifications, claimed: Notification) -> None:
    failure = _attempt(current_round.platform, claimed.channel, lambda: notifications.message(claimed))
    current_round.record_answer(claimed.channel, failure is None or failure.permanent)
    if failure is None:
        _record(notifications, claimed.key, status="sent", delivered_at=current_round.now, error=None)
        current_round.counts.sent += 1
        _log.info("notification sent: %s", claimed.transition, **notifications.ids, channel=claimed.channel)
        return
    status = after_failure(claimed.attempts, failure.permanent)
    next_attempt_at = current_round.now + retry_delay(claimed.attempts, claimed.key)
    # Only while the claim is still ours: another process that took it over may have delivered it by now.
    _exchange(notifications, claimed, replace(claimed, status=status, error=str(failure), next_attempt_at=next_attempt_at))
    current_round.counts.failed += 1
    current_round.counts.dead += status == "dead"
    text = (
        "notification undelivered after the last attempt: %s"
        if status == "dead"
        else "notification failed, another attempt follows: %s"
    )
    _log.warning(text, claimed.transition, **notifications.ids, channel=claimed.channel)


def _attempt(platform: Platform, name: str, composed: Callable[[], Message]) -> DeliveryFailed | None:
    """Compose one message, clean its texts, and send it by its channel. Return the failure, None without one.

    A fault of a document, a channel or a library concerns this message only and never stops the others.
    """
    channel = platform.channels.get(name)
    if channel is None:
        return DeliveryFailed(f"channel {name!r} is not configured", permanent=True)
    try:
        channel.deliver(_clean_message(composed()))
    except DeliveryFailed as failure:
        return failure
    except Exception as fault:
        # Its text may hold an address with credentials: only its type is stored and logged.
        _log.error("channel %s failed with %s", name, type(fault).__name__)
        return DeliveryFailed(f"{name}: the message could not be made or sent ({type(fault).__name__})")
    return None


def _clean_message(original: Message) -> Message:
    """Return the message for any channel: without control characters and direction marks in texts from documents."""
    links = tuple(replace(link, label=clean_line(link.label)) for link in original.links)
    payload = clean(original.payload)
    return replace(original, subject=clean_line(original.subject), text=clean_text(original.text), payload=payload, links=links)


def retry(platform: Platform, id: str, actor: str, now: datetime) -> int:
    """Make dead letters due again: the one of this id, or with `all` all of them; their keys stay. Return how many.

    The reminder of a shelf that has ended is not sent again. Raises UserError if there is no such dead letter.
    """
    chosen = [letter for letter in dead_letters(platform) if id in ("all", letter.id)]
    if not chosen and id != "all":
        raise UserError(f"there is no dead letter {id!r}; see: alerting notification dead-letters")
    for letter in chosen:
        changes = (
            {"status": "muted", "error": "it has ended"} if _is_over(platform, letter) else {"status": "pending", "attempts": 0}
        )
        _record(_notifications_of(platform, letter), letter.id, next_attempt_at=now, **changes)
        platform.audit.add(actor, "delivery tried again", letter.id, now)
    return len(chosen)


def _is_over(platform: Platform, letter: DeadLetter) -> bool:
    shelf = None if letter.shelf is None else platform.shelves.get(letter.shelf)
    return shelf is not None and shelf.ended_at is not None


def _notifications_of(platform: Platform, letter: DeadLetter) -> _Notifications:
    if letter.episode is not None:
        return _episode_notifications(platform, find_episode(platform, letter.episode))
    if letter.shelf is not None:
        shelf = platform.shelves.get(letter.shelf)
        assert shelf is not None  # noqa: S101 - shelves are never deleted
        return _shelf_notifications(platform, shelf)
    group_message = platform.group_messages.get(letter.id)
    assert group_message is not None  # noqa: S101 - bulletins are never deleted
    return _group_message_notifications(platform, group_message)


def send_test(platform: Platform, name: str, actor: str, now: datetime) -> dict[str, str]:
    """Send a test message through a route or a channel, at once. Return `sent` or the fault by channel.

    A message that was sent is stored as delivered, because the channel has answered. One that failed is not tried again. Raises
    UserError if there is neither a route nor a channel of this name.
    """
    route = next((r for r in read_routes(platform)[0] if r.name == name), None)
    channels = list(route.channels) if route else [name] if name in platform.channels else []
    if route:
        channels += [c for step in route.escalation for c in step.channels if c not in channels]
    if not channels:
        names = ", ".join([r.name for r in read_routes(platform)[0]] + sorted(platform.channels))
        raise UserError(f"there is no route and no channel {name!r}; there are: {names}")
    results = {}
    for channel in channels:
        test_message = Message(
            f"test:{now.isoformat()}:{channel}",
            "Test message of alerting",
            f"This is a test, sent by {actor} {clock_time(now, now, platform.zone)}. No alarm is raised and no action is needed.",
            {"test": True, "route": route.name if route else None, "channel": channel},
        )
        failure = _attempt(platform, channel, lambda test_message=test_message: test_message)  # type: ignore[misc]
        results[channel] = "sent" if failure is None else str(failure)
        if failure is None:
            platform.group_messages.insert(
                delivered_group_message(
                    test_message.key, channel, test_message.subject, test_message.text, now, route.name if route else None
                )
            )
    platform.audit.add(actor, "test message sent", name, now, None, results)
    return results


def _record(notifications: _Notifications, key: str, **changes: Any) -> None:
    notifications.change(lambda items: tuple(replace(n, **changes) if n.key == key else n for n in items))


def _put(items: NotificationList, notification: Notification) -> NotificationList:
    return tuple(notification if n.key == notification.key else n for n in items)
