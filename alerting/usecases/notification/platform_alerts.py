"""Notifications of faults of the platform itself: by the routes that ask for them, or else to the log."""

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta

from alerting.definitions.hours import end_of, is_within
from alerting.definitions.routes import Route
from alerting.notifications.group_message import GroupMessage, new_group_message
from alerting.ports import Platform, PlatformAlert

DEFAULT_CHANNEL = "log"
_LOOK_BACK = timedelta(days=2)
"""Recipients are notified of the end of a fault up to this long after it, in case no process ran before."""


def announce_platform_alerts(platform: Platform, routes: Sequence[Route], now: datetime) -> int:
    """Notify once of each open fault, and the same recipients once of its end. Return how many notifications were added."""
    recipients = _recipients(platform, routes, now)
    group_messages = [
        _opening_message(alert, channel, route, now) for alert in platform.platform_alerts.open() for channel, route in recipients
    ]
    added = sum(_add(platform, group_message) for group_message in group_messages)
    ended = platform.platform_alerts.resolved_since(now - _LOOK_BACK)
    return added + sum(_add(platform, message) for alert in ended for message in _end_messages(platform, alert, now))


def _recipients(platform: Platform, routes: Sequence[Route], now: datetime) -> list[tuple[str, str | None]]:
    """Return the channels to notify, with their routes. Routes in quiet hours or off shift notify later."""
    asked = [route for route in routes if route.platform]
    if not asked:
        return [(DEFAULT_CHANNEL, None)] if DEFAULT_CHANNEL in platform.channels else []
    found: dict[str, str | None] = {}
    for route in asked:
        if _in_force(route, now):
            found |= {channel: route.name for channel in route.channels if channel not in found}
    return list(found.items())


def _in_force(route: Route, now: datetime) -> bool:
    on_shift = not route.shifts or is_within(route.shifts, route.zone, now)
    return on_shift and end_of(route.quiet, route.zone, now) is None


def _add(platform: Platform, group_message: GroupMessage) -> bool:
    return platform.group_messages.get(group_message.id) is None and platform.group_messages.insert(group_message)


def _id(what: str, alert: PlatformAlert, channel: str) -> str:
    return f"{what}:{alert.kind.replace(' ', '-')}:{alert.subject}:{alert.opened_at.isoformat()}:{channel}"


def _opening_message(alert: PlatformAlert, channel: str, route: str | None, now: datetime) -> GroupMessage:
    subject = f"Platform: {alert.kind}: {alert.subject}"
    text = f"{subject}\nSince {alert.opened_at.isoformat()}: {alert.reason}"
    return new_group_message(_id("platform", alert, channel), channel, subject, text, now, route, **_payload(alert))


def _end_messages(platform: Platform, alert: PlatformAlert, now: datetime) -> Iterator[GroupMessage]:
    for channel in sorted(platform.channels):
        opened = platform.group_messages.get(_id("platform", alert, channel))
        if opened is not None and opened.notification.status in ("pending", "sent"):
            subject = f"Over: platform: {alert.kind}: {alert.subject}"
            until = alert.resolved_at.isoformat() if alert.resolved_at else ""
            text = f"{subject}\nFrom {alert.opened_at.isoformat()} to {until}: {alert.reason}"
            route = opened.notification.route
            yield new_group_message(_id("platform-over", alert, channel), channel, subject, text, now, route, **_payload(alert))


def _payload(alert: PlatformAlert) -> dict[str, str | None]:
    return {
        "platform": alert.kind,
        "definition": alert.subject,
        "reason": alert.reason,
        "opened_at": alert.opened_at.isoformat(),
        "resolved_at": alert.resolved_at.isoformat() if alert.resolved_at else None,
    }
