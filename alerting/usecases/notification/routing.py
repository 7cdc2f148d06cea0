"""Routes: the life of their documents, and the recipients of an episode's notifications. Faults of
the platform itself are notified by the routes that ask for them, or else to the log."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta, tzinfo
from typing import Literal, NamedTuple

from alerting.definitions.alert_definition import Definition, Severity
from alerting.definitions.faults import Fault, name_hint, shown
from alerting.definitions.fields.names_and_times import end_of
from alerting.definitions.routes_and_sinks import Route, in_zone, parse_route, route_document
from alerting.definitions.wording.language import (
    ENGLISH,
    Interval,
    Language,
    in_english,
    language,
    template,
    translatable,
)
from alerting.episodes.episode import Episode
from alerting.episodes.reconciliation import is_known_late
from alerting.notifications.channel_faults import redirected
from alerting.notifications.notification import Notification, new_message
from alerting.notifications.policy import (
    LOG,
    SOON,
    TOP,
    Cause,
    Recipient,
    Situation,
    announcements,
    escalations,
    is_on_shift,
    recipients,
)
from alerting.ports import (
    Channel,
    DeliveryPorts,
    Message,
    PlatformAlert,
    PlatformAlerts,
    RoutePorts,
)
from alerting.usecases.definitions.faults_and_platform_alerts import FAILING
from alerting.usecases.document_life import DocumentKind
from alerting.usecases.episodes.stored_episodes import EpisodeChanges
from alerting.usecases.notification.message_texts import content_message


def _unknown_channels(platform: RoutePorts, route: Route) -> list[Fault]:
    configured = sorted(platform.channels)
    named = {f"channels.{i}": c for i, c in enumerate(route.channels)}
    steps = enumerate(route.escalation)
    named |= {
        f"escalation.{i}.channels.{j}": c for i, step in steps for j, c in enumerate(step.channels)
    }
    unknown = {path: c for path, c in named.items() if c not in configured}
    hint = {
        c: name_hint(c, configured, translatable("configured")) or translatable("configured: none")
        for c in unknown.values()
    }
    return [
        Fault(path, translatable("no channel is called {name}", name=shown(c)), hint[c])
        for path, c in unknown.items()
    ]


ROUTES: DocumentKind[RoutePorts, Route] = DocumentKind(
    word="route",
    store=lambda platform: platform.routes,
    model=Route,
    parse=parse_route,
    write=route_document,
    applied=template("route applied"),
    removed=template("route removed"),
    complete=lambda platform, route: in_zone(route, str(platform.zone)),
    faults=_unknown_channels,
    columns=("name", "channels", "match"),
)


def language_of(platform: RoutePorts, route: Route | None, now: datetime) -> Language:
    """Return the language of messages, of the route or else of the plant, with the plant's clock.
    Times have their day, because a message may be read on another one."""
    code = route.language if route and route.language else platform.language
    return language(code).with_clock(platform.zone, now, dated=True)


def recipients_now(
    platform: RoutePorts, definition: Definition, asset: str, severity: Severity, now: datetime
) -> list[Recipient]:
    """Return the immediate recipients of an alert of this definition and severity on this asset."""
    routes = ROUTES.read(platform)[0]
    return recipients(definition, asset, severity, routes, sorted(platform.channels), now)


def raise_notifications(
    platform: RoutePorts,
    existing: EpisodeChanges,
    definition: Definition,
    episode: Episode,
    reason: str,
    now: datetime,
) -> tuple[Notification, ...]:
    """Return the notifications of a new episode. They state the highest severity so far, even if it
    has fallen since.

    `existing`: the stored notifications, whose raises on the asset count towards a flood.
    """
    worst = replace(episode, severity=episode.severity_peak or episode.severity)
    to_notify = recipients_now(platform, definition, episode.asset, worst.severity, now)
    sent = existing.of_episode(episode.id)
    return _compose_by_route(definition, worst, sent, to_notify, "raised", reason, now, existing)


def worse_notifications(
    platform: RoutePorts,
    existing: EpisodeChanges,
    definition: Definition,
    episode: Episode,
    reason: str,
    now: datetime,
) -> tuple[Notification, ...]:
    """Return the notifications of a severity that has just risen, or, for a `reason`, of another
    condition that keeps an episode open, to the recipients for its severity."""
    to_notify = recipients_now(platform, definition, episode.asset, episode.severity, now)
    cause: Cause = "renewed" if reason else "worse"
    sent = existing.of_episode(episode.id)
    return _compose_by_route(definition, episode, sent, to_notify, cause, reason, now)


def change_notifications(
    existing: EpisodeChanges,
    definition: Definition,
    episode: Episode,
    cause: Literal["happening", "closed", "corrected", "reopened"],
    reason: str,
    now: datetime,
) -> tuple[Notification, ...]:
    """Return the notifications of a change of an episode, to the recipients of its earlier
    notifications, whatever the routes.

    They keep the route of the earlier notifications, which states their language.
    """
    sent = existing.of_episode(episode.id)
    routes = {n.channel: n.route for n in sent if n.route is not None}
    to_notify = [
        Recipient(channel, routes.get(channel)) for channel in sorted({n.channel for n in sent})
    ]
    return _compose_by_route(definition, episode, sent, to_notify, cause, reason, now)


def timed_notifications(
    channels: Mapping[str, Channel],
    definition: Definition,
    episode: Episode,
    sent: tuple[Notification, ...],
    routes: Sequence[Route],
    now: datetime,
) -> tuple[Notification, ...]:
    """Return the notifications that time makes due: of a risen severity, escalations, repeats.
    `sent`: earlier notifications of the episode."""
    to_notify = recipients(
        definition, episode.asset, episode.severity, routes, sorted(channels), now
    )
    to_notify += escalations(definition, episode.asset, episode.severity, routes, now)
    return _compose_by_route(definition, episode, sent, to_notify, "time", "", now)


def _compose_by_route(
    definition: Definition,
    episode: Episode,
    sent: tuple[Notification, ...],
    to_notify: Sequence[Recipient],
    cause: Cause,
    reason: str,
    now: datetime,
    existing: EpisodeChanges | None = None,
) -> tuple[Notification, ...]:
    """Return the notifications of an episode to these recipients; each recipient has its route."""
    return announcements(
        Situation(
            episode,
            r,
            cause,
            now,
            sent,
            reason,
            definition.notify.resolved,
            0 if existing is None else _count_recent_alerts(existing, episode, r, now),
            max(SOON, 2 * definition.schedule.every),
        )
        for r in to_notify
    )


def _count_recent_alerts(
    existing: EpisodeChanges, episode: Episode, recipient: Recipient, now: datetime
) -> int:
    if recipient.flood is None:
        return 0
    recent = existing.raised_since(episode.asset, now - recipient.flood.within)
    return sum(n.channel == recipient.channel for n in recent)


def correct_if_known_late(
    changes: EpisodeChanges, definition: Definition, episode: Episode, as_of: datetime
) -> None:
    """Add the correction, once. Add none while a continuation is happening, whose recipients know
    it already."""
    if not is_known_late(episode) or episode.closed_at is None or episode.outcome_record is None:
        return
    if any(
        e.continues == episode.id and e.happening_at is not None and not e.withdrawn
        for e in changes.find(episode.definition, episode.asset, start=episode.closed_at, end=as_of)
    ):
        return
    at = episode.outcome_record.problem_at
    if at is None:
        reason = translatable("it came after all; that was known only after the predicted time")
    else:
        reason = translatable(
            "it came after all, {when}; that was known only after the predicted time",
            when=at,
        )
    changes.notify(change_notifications(changes, definition, episode, "corrected", reason, as_of))


_ByRoute = tuple[str, str | None]
"""A channel, and the route by which it is notified."""


def platform_notifications(
    platform: DeliveryPorts, routes: Sequence[Route], now: datetime
) -> list[Notification]:
    """Return a notification of each open fault, and notifications of the end of each fault to its
    recipients."""
    still_open = platform.platform_alerts.open()
    in_force = _in_force(platform, routes, now) if still_open else []
    working = _working(platform)
    opening = [
        _opening_message(alert, channel, route, now, platform.zone)
        for alert in still_open
        for channel, route in fault_recipients(
            in_force,
            working,
            of_channel=alert.kind == FAILING,
            is_known=delivered_message(platform, [alert]) is not None,
        )
    ]
    # of two days, in case no process ran before
    ended = platform.platform_alerts.resolved_since(now - timedelta(days=2))
    return opening + _end_messages(platform, ended, now)


def outage_message(alert: PlatformAlert, channel: str, now: datetime, zone: tzinfo) -> Message:
    """Return the message on a fault that cannot be stored because the database does not answer."""
    return content_message(_opening_message(alert, channel, None, now, zone))


def record_outage(
    platform: DeliveryPorts,
    alert: PlatformAlert,
    notified: Iterable[tuple[str, str | None]],
    now: datetime,
) -> None:
    """Store an outage of the database that is over, with the messages that were sent; their
    recipients are notified of its end."""
    opened = [
        _opening_message(alert, channel, route, now, platform.zone) for channel, route in notified
    ]
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
    """Return the delivery since which people know all these faults; None while a fault has no
    delivered message. The log does not count."""
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
    delivered = [first for first in firsts if first is not None]
    return (
        max(delivered, key=lambda d: d.at) if delivered and len(delivered) == len(firsts) else None
    )


def opening_keys(channels: Mapping[str, Channel], platform_alerts: PlatformAlerts) -> list[str]:
    """Return the keys of the notifications of open faults, to any channel."""
    return [
        _key("platform", alert, channel) for alert in platform_alerts.open() for channel in channels
    ]


def channel_subject(channel: str) -> str:
    """Return the subject of faults of a channel."""
    return f"channel {channel}"


def platform_recipients(
    platform: DeliveryPorts, routes: Sequence[Route], now: datetime
) -> list[_ByRoute]:
    """Return the channels to notify, with their routes; if none of them delivers, the others as
    well. Routes in quiet hours or off shift notify later."""
    return fault_recipients(_in_force(platform, routes, now), _working(platform))


def fault_recipients(
    in_force: Sequence[_ByRoute],
    working: Collection[str],
    *,
    of_channel: bool = False,
    is_known: bool = False,
) -> list[_ByRoute]:
    """Return the recipients of a fault. `working`: channels that do not fail themselves.

    That of a channel goes to those alone, and to all of them if no route asks for faults. Any other
    fault goes to them, too, if no channel of the routes delivers; unless people know of it.
    """
    reached = [r for r in in_force if r[0] in working]
    others: list[_ByRoute] = [(channel, None) for channel in sorted(working) if in_force]
    if of_channel:
        return [r for r in reached if r != (LOG, None)] or others
    return [*in_force] if reached or is_known else [*in_force, *others]


def _working(platform: DeliveryPorts) -> set[str]:
    failing = {alert.subject for alert in platform.platform_alerts.open() if alert.kind == FAILING}
    return {channel for channel in platform.channels if channel_subject(channel) not in failing}


def _in_force(platform: RoutePorts, routes: Sequence[Route], now: datetime) -> list[_ByRoute]:
    platform_routes = [route for route in routes if route.platform]
    if not platform_routes:
        return [(LOG, None)] if LOG in platform.channels else []
    route_names: dict[str, str | None] = {}
    for route in platform_routes:
        if is_on_shift(route, now) and end_of(route.quiet, route.zone, now) is None:
            route_names |= {
                channel: route.name for channel in route.channels if channel not in route_names
            }
    return list(route_names.items())


def redirect_critical(platform: DeliveryPorts, now: datetime) -> int:
    """Notify all other channels of critical alarms that no channel delivered. Return how many
    notifications were added. Idempotent."""
    # failed within a day, in case no process ran before
    ids = platform.notifications.undelivered_episodes(TOP, now - timedelta(days=1))
    if not ids:
        return 0
    sent = platform.notifications.of_episodes(ids)
    episodes = platform.episodes.get_many(ids).values()
    return platform.notifications.add(
        [n for e in episodes for n in redirected(e, sent[e.id], platform.channels.keys(), now)]
    )


def _key(event: str, alert: PlatformAlert, channel: str) -> str:
    return f"{event}:{alert.kind.replace(' ', '-')}:{alert.subject}:{alert.opened_at.isoformat()}:{channel}"  # noqa: E501


def _opening_message(
    alert: PlatformAlert, channel: str, route: str | None, now: datetime, zone: tzinfo
) -> Notification:
    subject = f"Platform: {alert.kind}: {alert.subject}"
    text = in_english("Since {at}: {reason}", at=alert.opened_at, reason=alert.reason)
    key = _key("platform", alert, channel)
    return _platform_message(key, alert, (channel, route), subject, text, now, zone)


def _platform_message(
    key: str,
    alert: PlatformAlert,
    recipient: _ByRoute,
    subject: str,
    text: str,
    now: datetime,
    zone: tzinfo,
) -> Notification:
    finished = ENGLISH.with_clock(zone, now, dated=True).translate(text)
    channel, route = recipient
    return new_message(
        key, channel, subject, f"{subject}\n{finished}", now, route, **_payload(alert)
    )


def _end_messages(
    platform: DeliveryPorts, ended: Sequence[PlatformAlert], now: datetime
) -> list[Notification]:
    opened = {
        _key("platform", alert, channel): alert for alert in ended for channel in platform.channels
    }
    stored = platform.notifications.get(opened) if opened else []
    return [
        _end_message(opened[n.key], n.channel, n.route, now, platform.zone)
        for n in sorted(stored, key=lambda n: n.key)
        if n.is_waiting or n.status == "sent"
    ]


def _end_message(
    alert: PlatformAlert, channel: str, route: str | None, now: datetime, zone: tzinfo
) -> Notification:
    subject = f"Over: platform: {alert.kind}: {alert.subject}"
    period = Interval(alert.opened_at, alert.resolved_at or now)
    text = in_english("From {period}: {reason}", period=period, reason=alert.reason)
    key = _key("platform-over", alert, channel)
    return _platform_message(key, alert, (channel, route), subject, text, now, zone)


def _payload(alert: PlatformAlert) -> dict[str, str | None]:
    return {
        "platform": alert.kind,
        "page": "/platform",
        "definition": alert.subject,
        "reason": alert.reason,
        "opened_at": alert.opened_at.isoformat(),
        "resolved_at": alert.resolved_at.isoformat() if alert.resolved_at else None,
    }
