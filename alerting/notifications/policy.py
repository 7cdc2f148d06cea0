"""Decides which recipients are notified of an episode, and why, by stages that are asked in order;
and by which channels: those of routes whose shift it is or, without such a route, all channels."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from fnmatch import fnmatchcase
from typing import Literal, get_args

from alerting.definitions.alert_definition import Definition, Severity
from alerting.definitions.fields.names_and_times import end_of, is_within
from alerting.definitions.routes_and_sinks import Flood, Route, is_for
from alerting.definitions.wording.language import joined, spoken_duration, translatable
from alerting.episodes.episode import Episode, TransitionKind
from alerting.notifications.notification import Notification, PostponedBy

_RANKS: dict[Severity, int] = {severity: rank for rank, severity in enumerate(get_args(Severity))}
Cause = Literal[
    "raised", "worse", "renewed", "happening", "closed", "corrected", "reopened", "time"
]  # fmt: skip
SOON = timedelta(minutes=10)
DIGEST_AFTER = timedelta(minutes=5)
_OVER_BEFORE = translatable("over before the platform knew of it")
_QUIET = translatable("delayed by quiet hours")
_ONE_OF_MANY = translatable("one of many")


@dataclass(frozen=True)
class Situation:
    """One recipient's view of an episode at `now`. `cause`: what happened; `worse`: its severity
    rose; `renewed`: another condition keeps it open; `time`: only time passed.

    `notifications`: all notifications of the episode so far. `recent_alerts`: how many alerts of
    this asset the recipient got within the time of its flood rule. `soon`: an episode that ended
    longer ago than this when it is found goes into a digest.
    """

    episode: Episode
    recipient: Recipient
    cause: Cause
    now: datetime
    notifications: tuple[Notification, ...] = ()
    reason: str = ""
    notify_resolved: bool = True
    recent_alerts: int = 0
    soon: timedelta = SOON

    @property
    def received(self) -> tuple[Notification, ...]:
        """Return the notifications of the episode that this recipient got or will get soon."""
        return tuple(
            n for n in self.notifications if n.channel == self.recipient.channel and _counts(n)
        )

    @property
    def unacknowledged_since(self) -> datetime | None:
        """Return when the first recipient was notified, or should have been; None before."""
        raises = (
            n
            for n in self.notifications
            if n.transition in ("raised", "unmuted") and _is_notified(n)
        )
        return min((_notified_at(n) for n in raises), default=None)


@dataclass(frozen=True)
class Decision:
    """A decision and its reason. `transition`: None for no notification; `number`: which repeat it
    is."""

    reason: str
    transition: TransitionKind | None = None
    postponed_by: PostponedBy | None = None
    waiting_until: datetime | None = None
    number: int | None = None


def skip_backfilled(s: Situation) -> Decision | None:
    """No notification of backfilled or withdrawn episodes."""
    return Decision("found in past times") if s.episode.backfilled or s.episode.withdrawn else None


def skip_muted(s: Situation) -> Decision | None:
    """Notify of a muted episode only at its end, and only recipients that got the raise."""
    return Decision("muted") if s.episode.muted_by is not None and s.cause != "closed" else None


def digest_if_over(s: Situation) -> Decision | None:
    """Put an episode that had ended before it was found (after an outage, or in late data) into a
    digest."""
    ended = s.episode.closed_at
    if s.cause != "raised" or ended is None or s.now - ended <= s.soon:
        return None
    if any(n.transition == "raised" and n.channel == s.recipient.channel for n in s.notifications):
        return Decision("notified already")
    until = max(s.now + DIGEST_AFTER, s.recipient.quiet_until or s.now)
    return Decision(joined("; ", s.reason, _OVER_BEFORE), "raised", "digest", until)


def notify_of_raise(s: Situation) -> Decision | None:
    """Notify of the raise: now, after the quiet hours, or together with many others."""
    if s.cause != "raised":
        return None
    if any(n.transition == "raised" and n.channel == s.recipient.channel for n in s.notifications):
        return Decision("notified already")
    quiet_until = s.recipient.quiet_until
    if quiet_until is not None:
        return Decision(joined("; ", s.reason, _QUIET), "raised", "quiet", quiet_until)
    flood = s.recipient.flood
    if flood is not None and s.episode.severity != TOP and s.recent_alerts >= flood.more_than:
        # the next multiple of this length since 1970: the same for all alerts of a slot
        epoch = datetime.fromtimestamp(0, s.now.tzinfo)
        until = epoch + ((s.now - epoch) // flood.within + 1) * flood.within
        return Decision(joined("; ", s.reason, _ONE_OF_MANY), "raised", "flood", until)
    return Decision(s.reason, "raised")


def notify_of_end(s: Situation) -> Decision | None:
    """Notify of the end the recipients that got the raise."""
    if s.cause != "closed":
        return None
    if not s.notify_resolved:
        return Decision("the definition sends no notification of the end")
    return (
        Decision(s.reason, "closed", number=_times_reopened(s.episode))
        if any(n.transition != "closed" for n in s.received)
        else Decision("got no notification of the raise")
    )


def notify_of_happening(s: Situation) -> Decision | None:
    """Notify the recipients of the raise that its problem came, even if that is known late or was a
    mistake."""
    if s.cause not in ("happening", "corrected"):
        return None
    if not any(n.transition != "closed" for n in s.received):
        return Decision("got no notification of the raise")
    times = sum(t.kind == "happening" for t in s.episode.transitions) - (
        s.episode.condition == "open"
    )
    return Decision(
        s.reason,
        "happening" if s.cause == "happening" else "corrected",
        number=max(times, 0) or None,
    )


def notify_of_reopening(s: Situation) -> Decision | None:
    """Notify recipients that got the end of an episode when late data reopened it."""
    if s.cause != "reopened":
        return None
    in_digest = any(
        n.postponed_by == "digest" and n.channel == s.recipient.channel for n in s.notifications
    )
    if not in_digest and not any(n.transition == "closed" for n in s.received):
        return Decision("got no notification of its end")
    postponed_by: PostponedBy | None = "quiet" if s.recipient.quiet_until is not None else None
    return Decision(
        s.reason, "reopened", postponed_by, s.recipient.quiet_until, _times_reopened(s.episode)
    )


def skip_over(s: Situation) -> Decision | None:
    """As time passes, no notification of an episode that is over."""
    return Decision("over") if s.episode.condition == "closed" else None


def notify_of_renewal(s: Situation) -> Decision | None:
    """Notify of another condition that keeps the episode open, once each; not beside a message of
    the same instant or one that waits, which says it."""
    if s.cause != "renewed":
        return None
    if not s.notifications or any(
        n.channel == s.recipient.channel
        and ((n.postponed_by is not None and n.is_waiting) or n.created_at == s.now)
        for n in s.notifications
    ):
        return Decision("another message says it")
    quiet_until = s.recipient.quiet_until
    number = sum(t.kind == "renewed" for t in s.episode.transitions)
    postponed_by: PostponedBy | None = "quiet" if quiet_until is not None else None
    return Decision(s.reason, "renewed", postponed_by, quiet_until, number)


def skip_in_quiet_hours(s: Situation) -> Decision | None:
    """No repeat and no escalation within the quiet hours."""
    return Decision("quiet hours") if s.recipient.quiet_until is not None else None


def notify_of_worse(s: Situation) -> Decision | None:
    """Notify of a severity worse than the severity that the recipient got, or that is held back for
    later."""
    return _worse(s) or (
        Decision("not above the notified severity") if s.cause == "worse" else None
    )


def _worse(s: Situation) -> Decision | None:
    if s.recipient.escalates_after is not None:
        return None
    earlier = [
        n.severity
        for n in s.notifications
        if n.severity is not None and (n.is_waiting or n.status in ("sent", "grouped", "dead"))
    ]
    if not earlier or any(
        n.transition == "severity_rose" and n.severity == s.episode.severity for n in s.received
    ):
        return None
    received = [n.severity for n in s.received if n.severity is not None]
    before = max(received or earlier, key=_RANKS.__getitem__)
    if _RANKS[s.episode.severity] <= _RANKS[before]:
        return None
    return Decision(f"severity rose from {before} to {s.episode.severity}", "severity_rose")


def skip_acknowledged(s: Situation) -> Decision | None:
    """No repeat and no escalation of an acknowledged episode."""
    return Decision("acknowledged") if s.episode.acknowledged is not None else None


def escalate(s: Situation) -> Decision | None:
    """Notify the next recipient, once, of an episode that is not acknowledged in time."""
    after = s.recipient.escalates_after
    since = s.unacknowledged_since
    if after is None:
        return None
    if since is None or s.now < since + after:
        return Decision("escalation is not due")
    if any(n.transition == "escalated" for n in s.received):
        return Decision("escalated already")
    return Decision(f"no operator has acknowledged it for {spoken_duration(after)}", "escalated")


def repeat(s: Situation) -> Decision | None:
    """Notify again of an episode that is not acknowledged; after an outage once, not once for each
    missed time.

    No repeat follows another message of the episode within half the repeat interval, because that
    message has just reminded the recipient.
    """
    notified = [n for n in s.notifications if n.channel == s.recipient.channel and _is_notified(n)]
    if s.recipient.repeat is None or not notified:
        return None
    others = [_notified_at(n) for n in notified if n.transition != "repeated"]
    if others and s.now - max(others) < s.recipient.repeat / 2:
        return None
    since = min(_notified_at(n) for n in notified)
    number = (s.now - since) // s.recipient.repeat
    if number < 1 or any(
        n.transition == "repeated" and n.number is not None and n.number >= number for n in notified
    ):
        return None
    return Decision(
        f"still open and not acknowledged after {spoken_duration(s.now - since)}",
        "repeated",
        number=number,
    )


STAGES: tuple[Callable[[Situation], Decision | None], ...] = (
    skip_backfilled,
    skip_muted,
    digest_if_over,
    notify_of_raise,
    notify_of_happening,
    notify_of_end,
    notify_of_reopening,
    skip_over,
    notify_of_renewal,
    skip_in_quiet_hours,
    notify_of_worse,
    skip_acknowledged,
    escalate,
    repeat,
)


def decide(situation: Situation) -> Decision:
    """Return the decision of the first stage that makes one."""
    for stage in STAGES:
        decision = stage(situation)
        if decision is not None:
            return decision
    return Decision("no change")


def announcements(situations: Iterable[Situation]) -> tuple[Notification, ...]:
    """Return the new notifications of these situations, without those whose key the episode has
    already."""
    decided = ((s, decide(s)) for s in situations)
    notifications = (
        (s, _notification(s, d, d.transition)) for s, d in decided if d.transition is not None
    )
    return tuple(
        n for s, n in notifications if all(n.key != existing.key for existing in s.notifications)
    )


def _notification(s: Situation, decision: Decision, transition: TransitionKind) -> Notification:
    part = f"{transition}-{s.episode.severity}" if transition == "severity_rose" else transition
    suffix = "" if decision.number is None else f":{decision.number}"
    return Notification(
        key=f"{s.episode.id}:{part}:{s.recipient.channel}{suffix}",
        channel=s.recipient.channel,
        transition=transition,
        reason=decision.reason,
        created_at=s.now,
        next_attempt_at=decision.waiting_until or s.now,
        route=s.recipient.route,
        severity=s.episode.severity,
        postponed_by=decision.postponed_by,
        number=decision.number,
        episode=s.episode.id,
        asset=s.episode.asset,
    )


def still_open(
    episode: Episode, mute_id: str, recipients: Sequence[Recipient], reason: str, at: datetime
) -> tuple[Notification, ...]:
    """Return the notifications of an open episode after a mute or suppression ends, each once: now,
    or after the quiet hours of its recipient."""
    if episode.backfilled or episode.condition != "open":
        return ()
    return tuple(
        Notification(
            key=f"{episode.id}:unmuted-{mute_id}:{r.channel}",
            channel=r.channel,
            transition="unmuted",
            reason=reason,
            created_at=at,
            next_attempt_at=r.quiet_until or at,
            route=r.route,
            severity=episode.severity,
            postponed_by="quiet" if r.quiet_until else None,
            episode=episode.id,
            asset=episode.asset,
        )
        for r in recipients
    )


def is_muted_with(notification: Notification, others: Iterable[Notification]) -> bool:
    """Return whether a waiting notification of a muted episode is muted too: all are, except the
    end for a recipient that got the raise.

    `others`: the notifications of the episode.
    """
    return notification.transition != "closed" or any(
        n.channel == notification.channel
        and n.transition != "closed"
        and (n.is_waiting or n.status == "muted")
        for n in others
    )


def is_overtaken(
    notification: Notification, episode: Episode, others: Iterable[Notification]
) -> bool:
    """Return whether a notification held back by quiet hours is dropped: the episode is over, or a
    higher severity was notified.

    `others`: the notifications of the episode.
    """
    waits = (
        notification.status == "pending"
        and notification.postponed_by == "quiet"
        and notification.attempts == 0
    )
    return waits and (
        episode.condition == "closed"
        or any(
            n.channel == notification.channel and n.transition == "severity_rose" for n in others
        )
    )


def dropped(notification: Notification) -> Notification:
    """Return a notification after it was dropped."""
    reason = "over, or of a higher severity, before the quiet hours ended"
    return replace(notification, status="dropped", next_attempt_at=None, error=reason)


def _times_reopened(episode: Episode) -> int | None:
    return sum(t.kind == "reopened" for t in episode.transitions) or None


def _counts(notification: Notification) -> bool:
    """Return whether the recipient has the notification or gets it soon: it is neither held back
    nor dropped."""
    held_back = notification.postponed_by is not None
    return notification.status in ("sent", "claimed") or (notification.is_waiting and not held_back)


def _is_notified(notification: Notification) -> bool:
    """Return whether the recipient has the notification or gets it soon, or the receiver refused it
    for ever: repeats and escalations follow in all these cases."""
    return _counts(notification) or notification.status == "dead"


def _notified_at(notification: Notification) -> datetime:
    """Return when the recipient was notified; for a notification that was held back, when it was
    delivered."""
    return (
        notification.delivered_at
        if notification.postponed_by and notification.delivered_at
        else notification.created_at
    )


TOP: Severity = "critical"
LOG = "log"
"""The channel that reaches no person by itself."""


@dataclass(frozen=True)
class Recipient:
    """One channel that may be notified, and its rules.

    `escalates_after`: the recipient is notified only if the episode is not acknowledged for this
    time. `quiet_until`: until then the recipient is notified of the worst severity only.
    """

    channel: str
    route: str | None = None
    quiet_until: datetime | None = None
    repeat: timedelta | None = None
    flood: Flood | None = None
    escalates_after: timedelta | None = None


def recipients(
    definition: Definition,
    asset: str,
    severity: Severity,
    routes: Sequence[Route],
    channels: Sequence[str],
    now: datetime,
) -> list[Recipient]:
    """Return the recipients that are notified at once of an alert of this severity on this asset,
    each channel once.

    A definition that names channels notifies these and no others. All other definitions follow the
    routes; if no matching route is in force, further channels are notified (`_without_route`), so
    that no alert is lost between two shifts or because of a faulty route.
    """
    if definition.notify.channels is not None:
        return [Recipient(channel) for channel in definition.notify.channels]
    candidates = [
        Recipient(
            channel, route.name, _quiet_until(route, severity, now), route.repeat, route.flood
        )
        for route in _in_force(definition, asset, severity, routes, now)
        for channel in route.channels
    ]
    # a route that may notify a channel now comes before one in quiet hours, then the order of names
    by_channel: dict[str, Recipient] = {}
    for recipient in sorted(candidates, key=lambda r: (r.quiet_until is not None, r.route or "")):
        by_channel.setdefault(recipient.channel, recipient)
    return list(by_channel.values()) or _without_route(asset, routes, channels)


def _without_route(asset: str, routes: Sequence[Route], channels: Sequence[str]) -> list[Recipient]:
    """Return the recipients of an alert that no route in force matches: every channel except those
    that routes use only for other assets; every channel if none of the rest reaches a person."""
    of_asset = {c for route in routes if is_for(route, asset) for c in channels_of(route)}
    foreign = {c for route in routes for c in channels_of(route)} - of_asset
    usable = [channel for channel in channels if channel not in foreign]
    reaches = any(channel != LOG for channel in usable)
    return [Recipient(channel) for channel in sorted(usable if reaches else channels)]


def escalations(
    definition: Definition,
    asset: str,
    severity: Severity,
    routes: Sequence[Route],
    now: datetime,
) -> list[Recipient]:
    """Return the recipients of escalations, the soonest first."""
    if definition.notify.channels is not None:
        return []
    steps = [
        Recipient(
            channel, route.name, _quiet_until(route, severity, now), escalates_after=step.after
        )
        for route in _in_force(definition, asset, severity, routes, now)
        for step in route.escalation
        for channel in step.channels
    ]
    return sorted(steps, key=lambda r: (r.escalates_after or timedelta(0), r.channel))


def matches(route: Route, definition: Definition, asset: str, severity: Severity) -> bool:
    """Return whether an alert fits everything that a route selects by."""
    match = route.match
    return (
        (match.severity is None or severity in match.severity)
        and is_for(route, asset)
        and any(fnmatchcase(definition.name, p) for p in match.definitions)
        and (not match.tags or not set(match.tags).isdisjoint(definition.tags))
    )


def _in_force(
    definition: Definition,
    asset: str,
    severity: Severity,
    routes: Sequence[Route],
    now: datetime,
) -> list[Route]:
    return [
        route
        for route in routes
        if matches(route, definition, asset, severity) and is_on_shift(route, now)
    ]


def is_on_shift(route: Route, now: datetime) -> bool:
    """Return whether a route is in force: always, if it has no shifts."""
    return not route.shifts or is_within(route.shifts, route.zone, now)


def channels_of(route: Route) -> tuple[str, ...]:
    """Return the channels of a route, then the channels that only its escalation has."""
    return tuple(
        dict.fromkeys(
            [*route.channels, *(channel for step in route.escalation for channel in step.channels)]
        )
    )


def _quiet_until(route: Route, severity: Severity, now: datetime) -> datetime | None:
    return None if severity == TOP else end_of(route.quiet, route.zone, now)
