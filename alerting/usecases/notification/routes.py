"""Routes: the life of their documents, and the recipients of an episode's notifications."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Literal

from alerting.definitions.faults import Fault, name_hint, shown
from alerting.definitions.model import Definition, Severity
from alerting.definitions.routes import (
    Route,
    in_zone,
    parse_route,
    route_document,
)
from alerting.definitions.wording.language import (
    Language,
    LanguageCode,
    language,
    template,
    translatable,
)
from alerting.episodes.episode import Episode
from alerting.episodes.reconciliation import is_known_late
from alerting.notifications.notification import Notification
from alerting.notifications.policy import SOON, Cause, Situation, announcements
from alerting.notifications.routing import Recipient, escalations, recipients
from alerting.ports import Channel, RoutePorts
from alerting.usecases.documents import DocumentKind
from alerting.usecases.episodes.changes import EpisodeChanges


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


def language_of(route: Route | None, usual: LanguageCode) -> Language:
    """Return the language of messages: that of the route, else the usual one."""
    return language(route.language if route and route.language else usual)


def recipients_now(
    platform: RoutePorts, definition: Definition, asset: str, severity: Severity, now: datetime
) -> list[Recipient]:
    """Return the immediate recipients of an alert of this definition and severity on this asset."""
    routes = ROUTES.read(platform)[0]
    channels = sorted(platform.channels)
    return recipients(definition, asset, severity, routes, channels, now)


def raise_notifications(
    platform: RoutePorts,
    existing: EpisodeChanges,
    definition: Definition,
    episode: Episode,
    reason: str,
    now: datetime,
) -> tuple[Notification, ...]:
    """Return the notifications of a new episode. They state the highest severity so far, also if it
    has fallen since.

    `existing`: among its earlier notifications of the asset a flood is looked for.
    """
    worst = replace(episode, severity=episode.severity_peak or episode.severity)
    to_notify = recipients_now(platform, definition, episode.asset, worst.severity, now)
    sent = existing.of_episode(episode.id)
    return _notifications_by_route(
        definition, worst, sent, to_notify, "raised", reason, now, existing
    )


def worse_notifications(
    platform: RoutePorts,
    existing: EpisodeChanges,
    definition: Definition,
    episode: Episode,
    now: datetime,
) -> tuple[Notification, ...]:
    """Return the notifications of a severity that has just risen, to the recipients of this
    severity."""
    to_notify = recipients_now(platform, definition, episode.asset, episode.severity, now)
    return _notifications_by_route(
        definition, episode, existing.of_episode(episode.id), to_notify, "worse", "", now
    )


def change_notifications(
    existing: EpisodeChanges,
    definition: Definition,
    episode: Episode,
    cause: Literal["happening", "closed", "corrected", "reopened"],
    reason: str,
    now: datetime,
) -> tuple[Notification, ...]:
    """Return the notifications of a change of an episode, to the recipients of its earlier ones,
    whatever the routes.

    They keep the route of the earlier ones, which states their language.
    """
    sent = existing.of_episode(episode.id)
    routes = {n.channel: n.route for n in sent if n.route is not None}
    to_notify = [
        Recipient(channel, routes.get(channel)) for channel in sorted({n.channel for n in sent})
    ]
    return _notifications_by_route(definition, episode, sent, to_notify, cause, reason, now)


def timed_notifications(
    channels: Mapping[str, Channel],
    definition: Definition,
    episode: Episode,
    sent: tuple[Notification, ...],
    routes: Sequence[Route],
    now: datetime,
) -> tuple[Notification, ...]:
    """Return the notifications that time makes due: of a risen severity, escalations, repeats.
    `sent`: those so far."""
    to_notify = recipients(
        definition, episode.asset, episode.severity, routes, sorted(channels), now
    )
    to_notify += escalations(definition, episode.asset, episode.severity, routes, now)
    return _notifications_by_route(definition, episode, sent, to_notify, "time", "", now)


def _notifications_by_route(
    definition: Definition,
    episode: Episode,
    sent: tuple[Notification, ...],
    to_notify: Sequence[Recipient],
    cause: Cause,
    reason: str,
    now: datetime,
    existing: EpisodeChanges | None = None,
) -> tuple[Notification, ...]:
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
    """Add the correction, once. None while a continuation is happening: its recipients know it
    already."""
    if not is_known_late(episode) or episode.closed_at is None or episode.outcome_record is None:
        return
    following = changes.find(episode.definition, episode.asset, start=episode.closed_at, end=as_of)
    if any(
        e.continues == episode.id and e.happening_at is not None and not e.withdrawn
        for e in following
    ):
        return
    at = episode.outcome_record.problem_at
    if at is None:
        reason = translatable("it came after all; that was known only after the predicted time")
    else:
        reason = translatable(
            "it came after all, {when}; that was known only after the predicted time",
            when=at.isoformat(),
        )
    changes.notify(change_notifications(changes, definition, episode, "corrected", reason, as_of))
