"""Notifications of faults of the platform itself: by the routes that ask for them, or else to the
log."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import NamedTuple

from alerting.definitions.hours import end_of
from alerting.definitions.routes import Route
from alerting.notifications.notification import Notification, new_message
from alerting.notifications.routing import LOG, is_on_shift
from alerting.ports import (
    Channel,
    DeliveryPorts,
    Message,
    PlatformAlert,
    PlatformAlerts,
    RoutePorts,
)
from alerting.stores.episodes.notifications import MongoNotifications
from alerting.usecases.notification.messages import content_message

_LOOK_BACK = timedelta(days=2)
"""Recipients are notified of the end of a fault up to this long after it, in case no process ran
before."""


def platform_notifications(
    platform: DeliveryPorts, routes: Sequence[Route], now: datetime
) -> list[Notification]:
    """Return a notification of each open fault, and to the same recipients one of its end."""
    still_open = platform.platform_alerts.open()
    recipients = platform_recipients(platform, routes, now) if still_open else []
    found = [
        _opening_message(alert, channel, route, now)
        for alert in still_open
        for channel, route in recipients
    ]
    ended = platform.platform_alerts.resolved_since(now - _LOOK_BACK)
    return found + _end_messages(platform.notifications, platform.channels, ended, now)


def outage_message(alert: PlatformAlert, channel: str, now: datetime) -> Message:
    """Return the message on a fault that cannot be stored, because the database is away."""
    return content_message(_opening_message(alert, channel, None, now), now)


def record_outage(
    platform: DeliveryPorts,
    alert: PlatformAlert,
    notified: Iterable[tuple[str, str | None]],
    now: datetime,
) -> None:
    """Store an outage of the database that is over, with the messages that were sent; their
    recipients get its end."""
    opened = [_opening_message(alert, channel, route, now) for channel, route in notified]
    sent = [
        replace(n, status="sent", next_attempt_at=None, attempts=1, delivered_at=now)
        for n in opened
    ]
    platform.notifications.add(sent)
    platform.platform_alerts.report(alert.kind, alert.subject, alert.reason, alert.opened_at)
    platform.platform_alerts.resolve(alert.kind, alert.subject, now)


class DeliveredMessage(NamedTuple):
    """The channel that a message was delivered to, and when."""

    channel: str
    at: datetime


def delivered_message(
    platform: DeliveryPorts, alerts: Sequence[PlatformAlert]
) -> DeliveredMessage | None:
    """Return the message after which each of these faults was told of; None as long as one of them
    has no delivered message. The log tells nobody."""
    people = [name for name in platform.channels if name != LOG]
    keys = [{_key("platform", alert, channel) for channel in people} for alert in alerts]
    sent = {
        n.key: DeliveredMessage(n.channel, n.delivered_at)
        for n in (platform.notifications.get(set().union(*keys)) if people and keys else ())
        if n.delivered_at is not None
    }
    firsts = [
        min((sent[key] for key in of_one if key in sent), key=lambda d: d.at, default=None)
        for of_one in keys
    ]
    found = [first for first in firsts if first is not None]
    return max(found, key=lambda d: d.at) if found and len(found) == len(firsts) else None


def opening_keys(channels: Mapping[str, Channel], platform_alerts: PlatformAlerts) -> list[str]:
    """Return the keys of the notifications of open faults, to any channel."""
    return [
        _key("platform", alert, channel) for alert in platform_alerts.open() for channel in channels
    ]


def platform_recipients(
    platform: RoutePorts, routes: Sequence[Route], now: datetime
) -> list[tuple[str, str | None]]:
    """Return the channels to notify, with their routes. Routes in quiet hours or off shift notify
    later."""
    asked = [route for route in routes if route.platform]
    if not asked:
        return [(LOG, None)] if LOG in platform.channels else []
    found: dict[str, str | None] = {}
    for route in asked:
        if is_on_shift(route, now) and end_of(route.quiet, route.zone, now) is None:
            found |= {channel: route.name for channel in route.channels if channel not in found}
    return list(found.items())


def _key(what: str, alert: PlatformAlert, channel: str) -> str:
    return f"{what}:{alert.kind.replace(' ', '-')}:{alert.subject}:{alert.opened_at.isoformat()}:{channel}"  # noqa: E501


def _opening_message(
    alert: PlatformAlert, channel: str, route: str | None, now: datetime
) -> Notification:
    subject = f"Platform: {alert.kind}: {alert.subject}"
    text = f"{subject}\nSince {alert.opened_at.isoformat()}: {alert.reason}"
    return new_message(
        _key("platform", alert, channel), channel, subject, text, now, route, **_payload(alert)
    )


def _end_messages(
    notifications: MongoNotifications,
    channels: Mapping[str, Channel],
    ended: Sequence[PlatformAlert],
    now: datetime,
) -> list[Notification]:
    opened = {_key("platform", alert, channel): alert for alert in ended for channel in channels}
    stored = notifications.get(opened) if opened else []
    return [
        _end_message(opened[n.key], n.channel, n.route, now)
        for n in sorted(stored, key=lambda n: n.key)
        if n.is_waiting or n.status == "sent"
    ]


def _end_message(
    alert: PlatformAlert, channel: str, route: str | None, now: datetime
) -> Notification:
    subject = f"Over: platform: {alert.kind}: {alert.subject}"
    until = alert.resolved_at.isoformat() if alert.resolved_at else ""
    text = f"{subject}\nFrom {alert.opened_at.isoformat()} to {until}: {alert.reason}"
    return new_message(
        _key("platform-over", alert, channel), channel, subject, text, now, route, **_payload(alert)
    )


def _payload(alert: PlatformAlert) -> dict[str, str | None]:
    return {
        "platform": alert.kind,
        "page": "/platform",
        "definition": alert.subject,
        "reason": alert.reason,
        "opened_at": alert.opened_at.isoformat(),
        "resolved_at": alert.resolved_at.isoformat() if alert.resolved_at else None,
    }
