"""Routes: the life of their documents, and the recipients of an episode's notifications. Faults of
the platform itself are notified by the routes that ask for them, or else to the log."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta, tzinfo
from typing import Literal, NamedTuple

from alerting.definitions.alert_definition import Definition
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
from alerting.notifications.notification import Notification, new_message
from alerting.notifications.policy import SOON, Cause, Situation, announcements
from alerting.notifications.recipients import LOG, TOP, Recipient, is_on_shift, recipients
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


def route_notifications(
    platform: RoutePorts,
    existing: EpisodeChanges,
    definition: Definition,
    episode: Episode,
    cause: Literal["raised", "worse", "renewed", "unmuted"],
    reason: str,
    now: datetime,
    muted: str | None = None,
) -> tuple[Notification, ...]:
    """Return the notifications of an episode to the recipients for its severity: of its raise, a
    severity that has just risen, another condition that keeps it open, or the end of a mute.

    Those of the raise state the highest severity so far, even if it has fallen since. `existing`:
    the stored notifications, whose raises on the asset count towards a flood. `muted`: why the
    episode is muted from its raise on.
    """
    if cause == "raised":
        episode = replace(episode, severity=episode.severity_peak or episode.severity)
    routes, _ = ROUTES.read(platform)
    channels = sorted(platform.channels)
    to_notify = recipients(definition, episode.asset, episode.severity, routes, channels, now)
    recent = {
        r.channel: sum(
            n.channel == r.channel
            for n in existing.raised_since(episode.asset, now - r.flood.within)
        )
        for r in to_notify
        if cause == "raised" and r.flood is not None
    }
    sent = existing.of_episode(episode.id)
    return announcements(
        replace(s, recent_alerts=recent.get(s.recipient.channel, 0), muted=muted)
        for s in situations(definition, episode, sent, to_notify, cause, reason, now)
    )


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
    return announcements(situations(definition, episode, sent, to_notify, cause, reason, now))


def situations(
    definition: Definition,
    episode: Episode,
    sent: tuple[Notification, ...],
    to_notify: Sequence[Recipient],
    cause: Cause,
    reason: str,
    now: datetime,
) -> list[Situation]:
    """Return each recipient's view of an episode. `sent`: its notifications so far."""
    soon = max(SOON, 2 * definition.schedule.every)
    resolved = definition.notify.resolved
    return [Situation(episode, r, cause, now, sent, reason, resolved, soon=soon) for r in to_notify]


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
    reason = (
        translatable("it came after all; that was known only after the predicted time")
        if at is None
        else translatable(
            "it came after all, {when}; that was known only after the predicted time", when=at
        )
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
    working = _working(platform.channels, still_open)
    opening = [
        _fault_message(alert, channel, route, now, platform.zone)
        for alert in still_open
        for channel, route in fault_recipients(
            in_force,
            working,
            of_channel=alert.kind == FAILING,
            is_known=delivered_message(platform, [alert]) is not None,
        )
    ]
    # of two days, in case no process ran before
    ended = {
        _key("platform", alert, channel): alert
        for alert in platform.platform_alerts.resolved_since(now - timedelta(days=2))
        for channel in platform.channels
    }
    stored = platform.notifications.get(ended) if ended else []
    return opening + [
        _fault_message(ended[n.key], n.channel, n.route, now, platform.zone, is_over=True)
        for n in sorted(stored, key=lambda n: n.key)
        if n.is_waiting or n.status == "sent"
    ]


def outage_message(alert: PlatformAlert, channel: str, now: datetime, zone: tzinfo) -> Message:
    """Return the message on a fault that cannot be stored because the database does not answer."""
    return content_message(_fault_message(alert, channel, None, now, zone))


def record_outage(
    platform: DeliveryPorts,
    alert: PlatformAlert,
    notified: Iterable[tuple[str, str | None]],
    now: datetime,
) -> None:
    """Store an outage of the database that is over, with the messages that were sent; their
    recipients are notified of its end."""
    platform.notifications.add(
        [
            replace(
                _fault_message(alert, channel, route, now, platform.zone),
                status="sent",
                next_attempt_at=None,
                attempts=1,
                delivered_at=now,
            )
            for channel, route in notified
        ]
    )
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
    keys = [
        {_key("platform", alert, channel) for channel in platform.channels if channel != LOG}
        for alert in alerts
    ]
    all_keys = set[str]().union(*keys)
    sent = {
        n.key: DeliveredMessage(n.channel, n.delivered_at)
        for n in (platform.notifications.get(all_keys) if all_keys else ())
        if n.delivered_at is not None
    }
    if not keys or not all(of_one & sent.keys() for of_one in keys):
        return None
    firsts = [
        min((sent[key] for key in of_one & sent.keys()), key=lambda d: d.at) for of_one in keys
    ]
    return max(firsts, key=lambda d: d.at)


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
    working = _working(platform.channels, platform.platform_alerts.open())
    return fault_recipients(_in_force(platform, routes, now), working)


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


def _working(channels: Iterable[str], still_open: Iterable[PlatformAlert]) -> set[str]:
    failing = {alert.subject for alert in still_open if alert.kind == FAILING}
    return {channel for channel in channels if channel_subject(channel) not in failing}


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
    return platform.notifications.add(
        announcements(
            Situation(
                replace(episode, severity=TOP), Recipient(channel), "undelivered", now, sent[id]
            )
            for id, episode in platform.episodes.get_many(ids).items()
            for channel in sorted(platform.channels)
        )
    )


def _key(event: str, alert: PlatformAlert, channel: str) -> str:
    return f"{event}:{alert.kind.replace(' ', '-')}:{alert.subject}:{alert.opened_at.isoformat()}:{channel}"  # noqa: E501


def _fault_message(
    alert: PlatformAlert,
    channel: str,
    route: str | None,
    now: datetime,
    zone: tzinfo,
    is_over: bool = False,
) -> Notification:
    """Return the message on a fault that is open, or over."""
    event = "platform"
    subject = f"Platform: {alert.kind}: {alert.subject}"
    text = in_english("Since {at}: {reason}", at=alert.opened_at, reason=alert.reason)
    if is_over:
        event = "platform-over"
        subject = f"Over: platform: {alert.kind}: {alert.subject}"
        period = Interval(alert.opened_at, alert.resolved_at or now)
        text = in_english("From {period}: {reason}", period=period, reason=alert.reason)
    finished = ENGLISH.with_clock(zone, now, dated=True).translate(text)
    return new_message(
        _key(event, alert, channel),
        channel,
        subject,
        f"{subject}\n{finished}",
        now,
        route,
        platform=alert.kind,
        page="/platform",
        definition=alert.subject,
        reason=alert.reason,
        opened_at=alert.opened_at.isoformat(),
        resolved_at=alert.resolved_at.isoformat() if alert.resolved_at else None,
    )
