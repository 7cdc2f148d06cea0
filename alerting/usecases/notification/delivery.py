"""Deliver due notifications: claim, deliver, record. Delivery is at least once, with a key that
never changes.

Overview of notifications: every route with its channels, waiting notifications, dead letters; and
the test of a route.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import Any

from alerting.definitions.faults import NotFound, UserError, format_duration, shown
from alerting.definitions.fields.names_and_times import end_of
from alerting.definitions.routes_and_sinks import Route, is_for
from alerting.definitions.wording.clean_text import clean, clean_line, clean_text
from alerting.definitions.wording.language import template, translatable, with_command
from alerting.episodes.episode import Episode
from alerting.notifications.notification import WITH_OTHERS, Notification, new_message
from alerting.notifications.policy import Cause, Situation, announcements, next_state
from alerting.notifications.recipients import (
    Recipient,
    channels_of,
    escalations,
    is_on_shift,
    recipients,
)
from alerting.ports import Change, Channel, DeliveryFailed, DeliveryPorts, Message
from alerting.ports.use_cases import id_logger, log_run
from alerting.usecases.definitions.faults_and_platform_alerts import record_document_faults
from alerting.usecases.episodes.mutes_and_suppression import MutesInForce
from alerting.usecases.episodes.outcomes import touched_by
from alerting.usecases.episodes.stored_episodes import opposite_open
from alerting.usecases.notification.episode_values import draw_episode, draw_report, present_value
from alerting.usecases.notification.message_texts import content_message, is_later, message
from alerting.usecases.notification.muting_and_summaries import (
    due_situations,
    record_mutes,
    summarise,
    tend_mutes,
)
from alerting.usecases.notification.routing import (
    ROUTES,
    language_of,
    platform_notifications,
    redirect_critical,
    situations,
)

_EPOCH = datetime.fromtimestamp(0, UTC)


def announce_due(platform: DeliveryPorts, now: datetime) -> int:
    """Add the notifications that have become due. Return how many. Idempotent."""
    routes, _ = ROUTES.read(platform)
    added = platform.notifications.add(
        [
            *_find_timed(platform, routes, now),
            *platform_notifications(platform, routes, now),
            *_heartbeats(platform, routes, now),
        ]
    )
    return added + redirect_critical(platform, now)


def _find_timed(
    platform: DeliveryPorts, routes: Sequence[Route], now: datetime
) -> list[Notification]:
    """Return the notifications of open episodes that time has made due: risen severities,
    escalations, repeats."""
    open_episodes = platform.episodes.find(open_only=True)
    if not open_episodes:
        return []
    sent = platform.notifications.of_episodes({e.id for e in open_episodes})
    newest = {
        name: revision.definition
        for name in {e.definition for e in open_episodes}
        if (revision := platform.definitions.newest_revision(name)) is not None
    }
    due: list[Notification] = []
    no_mutes = MutesInForce((), platform.assets)  # those in force have been recorded
    for episode in record_mutes(platform, open_episodes, newest, no_mutes, now).values():
        if (definition := newest.get(episode.definition)) is not None:
            about = (definition, episode.asset, episode.severity, routes)
            to_notify = recipients(*about, sorted(platform.channels), now)
            to_notify += escalations(*about, now)
            due += announcements(
                situations(definition, episode, sent[episode.id], to_notify, "time", "", now)
            )
    return due


def _heartbeats(
    platform: DeliveryPorts, routes: Sequence[Route], now: datetime
) -> list[Notification]:
    """Return one heartbeat for each whole multiple of the period, with counts of the assets of its
    route. Heartbeats missed during an outage are not sent later."""
    beats = {
        f"heartbeat:{route.name}:{format_duration(every)}:{(now - _EPOCH) // every}:{channel}": (
            route,
            channel,
            every,
        )
        for route in routes
        if (every := route.heartbeat) is not None
        for channel in route.channels
    }
    for stored in platform.notifications.get([*beats]) if beats else ():
        del beats[stored.key]
    if not beats:
        return []
    still_open = [episode.asset for episode in platform.episodes.find(open_only=True)]
    dead_letters = [letter.asset or "" for letter in platform.notifications.dead()]
    messages = []
    for key, (route, channel, every) in beats.items():
        counts = {
            "open": sum(is_for(route, asset) for asset in still_open),
            "dead_letters": sum(is_for(route, asset) for asset in dead_letters),
        }
        reads = language_of(platform, route, now)
        text = reads.say(
            "Alerting is running ({when}): open alarms {open}, undelivered messages {dead}.",
            when=now,
            open=counts["open"],
            dead=counts["dead_letters"],
        )
        following = reads.say(
            "The next such message comes in {duration} (route {route}); if it does not, check the "
            "platform.",
            duration=reads.duration(every),
            route=route.name,
        )
        subject = reads.say("Alerting is running")
        messages.append(
            new_message(key, channel, subject, f"{text}\n{following}", now, route.name, **counts)
        )
    return messages


_log = id_logger(__name__)
_FAILED = ("failed, another attempt follows", "undelivered after the last attempt")
PAGE = 100
SMALL_PAGE = 10
"""Notifications claimed at once: few at first and from slow recipients, for the claims of a killed
process hold them back."""
CLAIM = timedelta(minutes=2)
"""Time for which a claim belongs to the process that made it: longer than that and all time-outs of
a delivery together."""
SILENT_AFTER = 3
"""Failures in a row after which a channel is skipped for the rest of the round, so that it does not
delay the others."""


@dataclass
class DeliveryCounts:
    """Counts of one round of deliveries.

    `announced`: notifications that time made due, such as repeats and escalations; `postponed`:
    notifications that were not tried, because their channel had just failed several times in a row.
    """

    sent: int = 0
    failed: int = 0
    dead: int = 0
    dropped: int = 0
    announced: int = 0
    postponed: int = 0


@dataclass(frozen=True)
class _Round:
    """One round. `failures`: consecutive failures of each channel."""

    platform: DeliveryPorts
    now: datetime
    counts: DeliveryCounts
    failures: Counter[str] = field(default_factory=Counter)

    @cached_property
    def routes(self) -> dict[str, Route]:
        """Return the valid routes by name."""
        return {route.name: route for route in ROUTES.read(self.platform)[0]}

    def record(self, notification: Notification, cause: Cause, reason: str = "") -> Notification:
        """Return a notification after an attempt."""
        recipient = Recipient(notification.channel)
        return next_state(
            Situation(None, recipient, cause, self.now, reason=reason, waiting=notification)
        )


@log_run()
def deliver_due(platform: DeliveryPorts, now: datetime) -> DeliveryCounts:
    """End mutes, add the notifications that time made due, then try every due notification once."""
    edited = ("mutes", "routes")
    record_document_faults(platform.platform_alerts, platform.documents.faulty(edited), now, edited)
    tend_mutes(platform, now)
    return _deliver_pages(platform, now, announce_due(platform, now))


@log_run()
def deliver_now(platform: DeliveryPorts, now: datetime) -> DeliveryCounts:
    """Try every due notification once, such as the notifications that an evaluation has just
    added."""
    return _deliver_pages(platform, now, 0)


def _deliver_pages(platform: DeliveryPorts, now: datetime, announced: int) -> DeliveryCounts:
    """Deliver due notifications, page by page. After a page, none of its notifications is due, or
    it belongs to the next page."""
    current_round = _Round(platform, now, DeliveryCounts(announced=announced))
    limit = SMALL_PAGE
    is_more = True
    while is_more:
        page = platform.notifications.due(now, limit)
        is_full = len(page) == limit
        if any(n.postponed_by in WITH_OTHERS for n in page):
            page = [n for n in page if n.postponed_by not in WITH_OTHERS]
            page += [n for n in platform.notifications.waiting() if n.postponed_by in WITH_OTHERS]
        planned = [(s, next_state(s)) for s in due_situations(platform, page, now)]
        changes = [(s.waiting, n) for s, n in planned if n.status in ("muted", "dropped")]
        if changes:
            platform.notifications.change(changes)
        current_round.counts.dropped += sum(n.status == "dropped" for _, n in changes)
        grouped = [s for s, n in planned if n.status == "grouped"]
        summaries = summarise(platform, grouped, now) if grouped else 0
        current_round.counts.announced += summaries
        ready = [s for s, n in planned if n.status == "claimed"]
        released = _deliver_page(current_round, ready) if ready else 0
        is_more = released > 0 or summaries > 0 or is_full
        limit = SMALL_PAGE if released else min(2 * limit, PAGE)
    return current_round.counts


def _deliver_page(current_round: _Round, ready: Sequence[Situation]) -> int:
    """Deliver one page. Return how many were released, because the claim on them lasted too
    long."""
    platform = current_round.platform
    before = {s.notification.key: s for s in ready}
    waiting = sorted(
        (s.notification for s in ready),
        key=lambda n: episode.raised_at if (episode := before[n.key].about) else n.created_at,
    )
    began = max(current_round.now, platform.clock.now())  # a round may take long
    claimed = platform.notifications.claim(waiting, current_round.now, began + CLAIM)
    changes: list[Change] = []
    at = began
    released = 0
    try:
        for rank, n in enumerate(claimed):
            at = platform.clock.now() if rank and not released else at
            if current_round.failures[n.channel] >= SILENT_AFTER:
                # it was not tried, so no attempt is counted
                skipped = current_round.record(before[n.key].notification, "skipped")
                changes.append((n, skipped))
                current_round.counts.postponed += 1
            elif at > began + timedelta(seconds=1):  # a killed process repeats few
                changes.append((n, before[n.key].notification))
                released += 1
            else:
                changes.append(_deliver(current_round, n, before[n.key].about, at))
    finally:
        platform.notifications.change(changes)
    return released


def _deliver(
    current_round: _Round, claimed: Notification, episode: Episode | None, at: datetime
) -> Change:
    """Try one notification. Return the change that records the result.

    A success counts in any case, a failure only while the claim is ours: another process may have
    delivered it by now.
    """
    counts = current_round.counts
    failure = _attempt(
        current_round.platform.channels,
        claimed.channel,
        lambda: _compose_message(current_round, claimed, episode, at),
    )
    if failure is None or failure.permanent:  # it answered
        current_round.failures[claimed.channel] = 0
    else:
        current_round.failures[claimed.channel] += 1
    ids: dict[str, Any] = {"notification": claimed.key, "channel": claimed.channel}
    if episode is not None:
        ids |= {"definition": episode.definition, "asset": episode.asset, "episode": episode.id}
    if failure is None:
        counts.sent += 1
        _log.info("notification sent: %s", claimed.transition, **ids)
        return None, current_round.record(claimed, "delivered")
    cause: Cause = "refused" if failure.permanent else "failed"
    after = current_round.record(claimed, cause, failure.reason)
    counts.failed += 1
    counts.dead += after.status == "dead"
    _log.warning(f"notification {_FAILED[after.status == 'dead']}: %s", claimed.transition, **ids)
    return claimed, after


def _compose_message(
    current_round: _Round, notification: Notification, episode: Episode | None, at: datetime
) -> Message:
    platform = current_round.platform
    route = current_round.routes.get(notification.route or "")
    reads = language_of(platform, route, at)
    zone = platform.zone
    if episode is not None:
        block = touched_by(platform, episode, at)
        asset = platform.assets.get(episode.asset)
        plain = message(
            episode,
            notification,
            reads,
            at,
            zone,
            asset=asset.title if asset else None,
            conflicts=opposite_open(platform.episodes, episode),
            present=present_value(platform, episode, at, reads)
            if is_later(episode, notification)
            else None,
            block=block.message if block else None,
            links=platform.links,
            acknowledge=route is not None and route.acknowledge_by_link,
        )
        return replace(
            plain, draw=lambda: draw_episode(platform, episode, platform.clock.now(), reads, zone)
        )
    plain = content_message(notification, reads)
    page = plain.payload.get("page")
    report = plain.payload.get("report")
    if page is not None and platform.links:
        return replace(plain, links=(platform.links.page(str(page), reads.say("Open the page")),))
    if report is None:
        return plain
    id = str(report)
    if platform.links:
        link = platform.links.page(f"/reports/{id}", reads.say("Open the report"))
        plain = replace(plain, links=(link,))
    return replace(plain, draw=lambda: draw_report(platform.reports, id, reads))


def _attempt(
    channels: Mapping[str, Channel], name: str, compose: Callable[[], Message]
) -> DeliveryFailed | None:
    """Compose one message, and send it by its channel without control characters and direction
    marks in texts from documents. Return the failure, None without one.

    A fault of a document, a channel or a library concerns this message only and never stops the
    others.
    """
    channel = channels.get(name)
    if channel is None:
        missing = translatable("channel {name} is not configured", name=shown(name))
        return DeliveryFailed(missing, permanent=True)
    try:
        made = compose()
        channel.deliver(
            replace(
                made,
                subject=clean_line(made.subject),
                text=clean_text(made.text),
                payload=clean(made.payload),
                links=tuple(replace(link, label=clean_line(link.label)) for link in made.links),
            )
        )
    except DeliveryFailed as failure:
        return failure
    except Exception as fault:
        # Its text may hold an address with credentials: only its type is stored and logged.
        kind = type(fault).__name__
        _log.error("channel %s failed with %s", name, kind)
        return DeliveryFailed(
            translatable(
                "{name}: the message could not be made or sent ({fault})", name=name, fault=kind
            )
        )
    return None


def retry(platform: DeliveryPorts, id: str, actor: str, now: datetime) -> int:
    """Make dead letters due again, either the letter of this id or, with `all`, all letters; their
    keys stay. Return how many.

    Raises UserError if there is no such dead letter.
    """
    chosen = [n for n in platform.notifications.dead() if id in ("all", n.key)]
    if not chosen and id != "all":
        raise NotFound(with_command(f"there is no dead letter {id!r}", "alerting list dead"))
    platform.notifications.change(
        [(n, replace(n, status="pending", attempts=0, next_attempt_at=now)) for n in chosen]
    )
    for n in chosen:
        before = {"status": n.status, "attempts": n.attempts, "error": n.error}
        after = {"status": "pending", "attempts": 0, "error": n.error}
        platform.audit.add(actor, template("delivery tried again"), n.key, now, before, after)
    return len(chosen)


def send_test(platform: DeliveryPorts, name: str, actor: str, now: datetime) -> dict[str, str]:
    """Send a test message through a route or a channel, at once. Return `sent` or the fault by
    channel.

    A message that was sent is stored as delivered, because the channel has answered. A message that
    failed is not tried again. Raises UserError if neither a route nor a channel has this name.
    """
    route = next((r for r in ROUTES.read(platform)[0] if r.name == name), None)
    channel_alone = (name,) if name in platform.channels else ()
    channels = channels_of(route) if route else channel_alone
    if not channels:
        names = ", ".join([r.name for r in ROUTES.read(platform)[0]] + sorted(platform.channels))
        raise UserError(f"there is no route and no channel {name!r}; there are: {names}")
    results = {channel: _send_test(platform, route, channel, actor, now) for channel in channels}
    answers = {channel: str(result) for channel, result in results.items()}
    platform.audit.add(actor, "test message sent", name, now, None, answers)
    return results


def _send_test(
    platform: DeliveryPorts, route: Route | None, channel: str, actor: str, now: datetime
) -> str:
    reads = language_of(platform, route, now)
    route_name = route.name if route else None
    test_message = Message(
        f"test:{now.isoformat()}:{channel}",
        reads.say("Test message of alerting"),
        reads.say(
            "This is a test, sent by {person} {when}. No alarm is raised and no action is needed.",
            person=actor,
            when=now,
        ),
        {"test": True, "route": route_name, "channel": channel},
        language=reads.code,
    )
    failure = _attempt(platform.channels, channel, lambda: test_message)
    if failure is not None:
        return failure.reason
    stored = new_message(
        test_message.key, channel, test_message.subject, test_message.text, now, route_name
    )
    sent = replace(stored, status="sent", attempts=1, delivered_at=now, next_attempt_at=None)
    platform.notifications.add([sent])
    return "sent"


LOOK_BACK = timedelta(days=8)
"""Age of the oldest deliveries shown: a week, for a weekly heartbeat, and a day of delay."""
_SHOWN = 100


@dataclass(frozen=True)
class ChannelStatus:
    """One channel, over all routes. `last_delivery`: None if there was none since
    `RoutesOverview.since`."""

    name: str
    configured: bool
    last_delivery: datetime | None
    waiting: int
    dead: int


@dataclass(frozen=True)
class RouteStatus:
    """One route. `channels`: its own, then channels of its escalation only; `quiet_until`: None
    outside quiet hours.

    `last_heartbeat`: when its last heartbeat was delivered, by channel; absent if none was since
    `RoutesOverview.since`.
    """

    route: Route
    on_shift: bool
    quiet_until: datetime | None
    channels: tuple[str, ...]
    last_heartbeat: Mapping[str, datetime]


@dataclass(frozen=True)
class RoutesOverview:
    """Overview at an instant. `faulty`: unused routes with their faults; `more_waiting`: whether
    the list of waiting messages is incomplete."""

    at: datetime
    since: datetime
    routes: tuple[RouteStatus, ...]
    faulty: Mapping[str, Sequence[str]]
    channels: tuple[ChannelStatus, ...]
    waiting: tuple[Notification, ...]
    more_waiting: bool
    dead: tuple[Notification, ...]


def routes_overview(platform: DeliveryPorts, now: datetime) -> RoutesOverview:
    """Return the overview of routes, channels and waiting messages now."""
    since = now - LOOK_BACK
    routes, faulty = ROUTES.read(platform)
    waiting = platform.notifications.waiting(_SHOWN + 1)
    dead = platform.notifications.dead()
    sent = platform.notifications.sent_since(since)
    last = _latest_sent(sent)
    waits = Counter(message.channel for message in waiting)
    given_up = Counter(letter.channel for letter in dead)
    named = {channel for route in routes for channel in channels_of(route)}
    return RoutesOverview(
        now,
        since,
        tuple(
            RouteStatus(
                route,
                is_on_shift(route, now),
                end_of(route.quiet, route.zone, now),
                channels_of(route),
                _latest_sent(n for n in sent if n.key.startswith(f"heartbeat:{route.name}:")),
            )
            for route in routes
        ),
        faulty,
        tuple(
            ChannelStatus(c, c in platform.channels, last.get(c), waits[c], given_up[c])
            for c in sorted({*platform.channels, *named, *waits, *given_up})
        ),
        tuple(waiting[:_SHOWN]),
        len(waiting) > _SHOWN,
        tuple(dead),
    )


def try_route(platform: DeliveryPorts, name: str, actor: str, now: datetime) -> dict[str, str]:
    """Send a test message to every channel of a route. Return `sent` or the fault by channel.

    Raises UserError if the route is faulty, NotFound if there is none of this name.
    """
    routes, faulty = ROUTES.read(platform)
    if name in faulty:
        raise UserError(f"route {name!r} is faulty and not used: {'; '.join(faulty[name])}")
    if all(route.name != name for route in routes):
        raise NotFound(with_command(f"there is no route {name!r}", "alerting list routes"))
    return send_test(platform, name, actor, now)


def _latest_sent(sent: Iterable[Notification]) -> dict[str, datetime]:
    by_time = sorted((n.delivered_at, n.channel) for n in sent if n.delivered_at is not None)
    return {channel: at for at, channel in by_time}
