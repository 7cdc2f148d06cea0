"""Decides by stages, which are asked in order, whether a recipient is notified of an episode and
what becomes of a notification that waits, each with its reason."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Literal, get_args

from alerting.definitions.alert_definition import SEVERITIES
from alerting.definitions.wording.language import (
    join_first,
    joined,
    spoken_duration,
    translatable,
)
from alerting.episodes.episode import Episode, TransitionKind
from alerting.notifications.notification import (
    GIVE_UP_AFTER,
    WITH_OTHERS,
    DeliveryStatus,
    Notification,
    PostponedBy,
    has_failed,
    retry_delay,
)
from alerting.notifications.recipients import LOG, TOP, Recipient

Cause = Literal[
    "raised", "worse", "renewed", "happening", "closed", "corrected", "reopened", "unmuted",
    "undelivered", "time", "due", "delivered", "failed", "refused", "skipped",
]  # fmt: skip
SOON = timedelta(minutes=10)
DIGEST_AFTER = timedelta(minutes=5)
_NO_ALARM = ("closed", "corrected", "muted")  # messages that announce no alarm
_OVER_BEFORE = translatable("over before the platform knew of it")
_QUIET = translatable("delayed by quiet hours")
_ONE_OF_MANY = translatable("one of many")
_OVERTAKEN = "over, or of a higher severity, before the quiet hours ended"


@dataclass(frozen=True)
class Situation:
    """One recipient's view of an episode at `now`, or that of one notification which waits for it.

    `about`: None for a message that belongs to no episode, or whose episode is not stored.
    `cause`: what happened; `worse`: its severity rose; `renewed`: another condition keeps it open;
    `undelivered`: a message of it may have reached no channel; `time`: only time passed. Of a
    notification that is `waiting`: it is `due`, was `delivered`, `failed`, was `refused` for ever,
    or `skipped`, because its channel had just failed.

    `notifications`: all notifications of the episode so far. `reason`: of the message, or of the
    failure. `recent_alerts`: how many alerts of this asset the recipient got within the time of its
    flood rule. `soon`: an episode that ended longer ago than this when it is found goes into a
    digest. `muted`: why the episode is muted now.
    """

    about: Episode | None
    recipient: Recipient
    cause: Cause
    now: datetime
    notifications: tuple[Notification, ...] = ()
    reason: str = ""
    notify_resolved: bool = True
    recent_alerts: int = 0
    soon: timedelta = SOON
    muted: str | None = None
    waiting: Notification | None = None

    @property
    def episode(self) -> Episode:
        """Return the episode. Raises LookupError without one."""
        if self.about is None:
            raise LookupError("the message belongs to no stored episode")
        return self.about

    @property
    def notification(self) -> Notification:
        """Return the waiting notification. Raises LookupError without one."""
        if self.waiting is None:
            raise LookupError("no notification waits")
        return self.waiting

    @property
    def of_recipient(self) -> tuple[Notification, ...]:
        """Return the notifications of the episode to this recipient."""
        return tuple(n for n in self.notifications if n.channel == self.recipient.channel)

    @property
    def received(self) -> tuple[Notification, ...]:
        """Return the notifications of the episode that this recipient got or will get soon."""
        return tuple(n for n in self.of_recipient if _counts(n))


@dataclass(frozen=True)
class Decision:
    """A decision and its reason. `transition`: that of a new notification, None for none; `number`:
    which repeat it is; `key_part`: the transition in its key, where that is another word.

    `status`: the next state of a notification that waits, `claimed` if it is to be delivered.
    """

    reason: str
    transition: TransitionKind | None = None
    postponed_by: PostponedBy | None = None
    waiting_until: datetime | None = None
    number: int | None = None
    key_part: str | None = None
    status: DeliveryStatus | None = None


def record_delivery(s: Situation) -> Decision | None:
    """A notification that its channel has delivered is sent."""
    return Decision(s.reason, status="sent")


def retry(s: Situation) -> Decision | None:
    """Try a notification again that its channel did not deliver, or give it up: at once if another
    attempt is useless, or after enough of them. An attempt that was skipped does not count."""
    n = s.notification
    if s.cause == "skipped":
        return Decision("", None, None, s.now + retry_delay(n.attempts + 1, n.key), status=n.status)
    if s.cause == "refused" or n.attempts >= GIVE_UP_AFTER:
        return Decision(s.reason, status="dead")
    until = s.now + retry_delay(n.attempts, n.key)
    return Decision(s.reason, waiting_until=until, status="failed")


def deliver_message(s: Situation) -> Decision | None:
    """Deliver a message that belongs to no episode, and none of an episode that is not stored."""
    if s.about is not None:
        return None
    if s.notification.episode is None:
        return Decision("", status="claimed")
    return Decision("its episode is not stored any more", status="muted")


def mute_waiting(s: Situation) -> Decision | None:
    """Mute the notifications of a muted episode that wait, except the end for a recipient that got
    the raise."""
    is_end = s.notification.transition == "closed" and not any(
        n.transition != "closed" and (n.is_waiting or n.status == "muted") for n in s.of_recipient
    )
    return None if s.muted is None or is_end else Decision(s.muted, status="muted")


def drop_overtaken(s: Situation) -> Decision | None:
    """Drop a notification that quiet hours held back if the episode is over, or a higher severity
    was notified."""
    n = s.notification
    if (n.status, n.postponed_by, n.attempts) != ("pending", "quiet", 0):
        return None
    is_worse = any(o.transition == "severity_rose" for o in s.of_recipient)
    is_overtaken = s.episode.condition == "closed" or is_worse
    return Decision(_OVERTAKEN, status="dropped") if is_overtaken else None


def deliver_due(s: Situation) -> Decision | None:
    """Deliver a notification whose time has come; what a flood or an outage held back in one
    message with others."""
    is_grouped = s.notification.postponed_by in WITH_OTHERS
    return Decision("", status="grouped" if is_grouped else "claimed")


def skip_backfilled(s: Situation) -> Decision | None:
    """No notification of backfilled or withdrawn episodes."""
    return Decision("found in past times") if s.episode.backfilled or s.episode.withdrawn else None


def skip_muted(s: Situation) -> Decision | None:
    """No notification of a muted episode, except its end."""
    is_muted = s.muted is not None or s.episode.muted_by is not None
    return Decision("muted") if is_muted else None


def skip_notified(s: Situation) -> Decision | None:
    """Notify each recipient of the raise once."""
    is_raised = any(n.transition == "raised" for n in s.of_recipient)
    return Decision("notified already") if is_raised else None


def digest_if_over(s: Situation) -> Decision | None:
    """Put an episode that had ended before it was found (after an outage, or in late data) into a
    digest."""
    ended = s.episode.closed_at
    if ended is None or s.now - ended <= s.soon:
        return None
    until = max(s.now + DIGEST_AFTER, s.recipient.quiet_until or s.now)
    return Decision(joined("; ", s.reason, _OVER_BEFORE), "raised", "digest", until)


def notify_of_raise(s: Situation) -> Decision | None:
    """Notify of the raise: now, after the quiet hours, or together with many others."""
    if s.recipient.quiet_until is not None:
        return _after_quiet_hours(s, "raised", reason=joined("; ", s.reason, _QUIET))
    flood = s.recipient.flood
    if flood is not None and s.episode.severity != TOP and s.recent_alerts >= flood.more_than:
        # the next multiple of this length since 1970: the same for all alerts of a slot
        epoch = datetime.fromtimestamp(0, s.now.tzinfo)
        until = epoch + ((s.now - epoch) // flood.within + 1) * flood.within
        return Decision(joined("; ", s.reason, _ONE_OF_MANY), "raised", "flood", until)
    return Decision(s.reason, "raised")


def notify_of_end(s: Situation) -> Decision | None:
    """Notify of the end the recipients that got the raise."""
    if not s.notify_resolved:
        return Decision("the definition sends no notification of the end")
    if all(n.transition == "closed" for n in s.received):
        return Decision("got no notification of the raise")
    return Decision(s.reason, "closed", number=_times_reopened(s.episode))


def notify_of_happening(s: Situation) -> Decision | None:
    """Notify the recipients of the raise that its problem came, even if that is known late or was a
    mistake."""
    if all(n.transition == "closed" for n in s.received):
        return Decision("got no notification of the raise")
    times = sum(t.kind == "happening" for t in s.episode.transitions)
    times -= s.episode.condition == "open"
    transition: TransitionKind = "happening" if s.cause == "happening" else "corrected"
    return Decision(s.reason, transition, number=max(times, 0) or None)


def notify_of_reopening(s: Situation) -> Decision | None:
    """Notify recipients that got the end of an episode when late data reopened it."""
    in_digest = any(n.postponed_by == "digest" for n in s.of_recipient)
    if not in_digest and not any(n.transition == "closed" for n in s.received):
        return Decision("got no notification of its end")
    return _after_quiet_hours(s, "reopened", _times_reopened(s.episode))


def redirect(s: Situation) -> Decision | None:
    """Notify a further channel of a critical alarm once every channel that reaches people failed,
    unless a person knows of it."""
    critical = [
        n
        for n in s.notifications
        if n.severity == TOP
        and n.transition not in _NO_ALARM
        and n.status not in ("muted", "dropped")
    ]
    to_people = [n for n in critical if n.channel != LOG] or critical
    if (
        s.episode.acknowledged is not None
        or any(n.channel == s.recipient.channel for n in critical)
        or not to_people
        or not all(has_failed(n, s.now) for n in to_people)
    ):
        return Decision("a person knows of it, or a channel delivers it")
    failed = join_first(sorted({n.channel for n in to_people}), 3)
    reason = translatable("no channel of this alarm delivered it ({names})", names=failed)
    return Decision(reason, "raised", key_part="redirected")


def skip_over(s: Situation) -> Decision | None:
    """As time passes, and after a mute, no notification of an episode that is over."""
    return Decision("over") if s.episode.condition == "closed" else None


def notify_of_unmuting(s: Situation) -> Decision | None:
    """Notify of an episode that is still open after a mute or suppression, each once: now, or after
    the quiet hours."""
    return _after_quiet_hours(s, "unmuted", key_part=f"unmuted-{s.episode.muted_by}")


def notify_of_renewal(s: Situation) -> Decision | None:
    """Notify of another condition that keeps the episode open, once each; not beside a message of
    the same instant or one that waits, which says it."""
    if not s.notifications or any(
        (n.postponed_by is not None and n.is_waiting) or n.created_at == s.now
        for n in s.of_recipient
    ):
        return Decision("another message says it")
    number = sum(t.kind == "renewed" for t in s.episode.transitions)
    return _after_quiet_hours(s, "renewed", number)


def skip_in_quiet_hours(s: Situation) -> Decision | None:
    """No repeat and no escalation within the quiet hours."""
    return Decision("quiet hours") if s.recipient.quiet_until is not None else None


def notify_of_worse(s: Situation) -> Decision | None:
    """Notify of a severity worse than the severity that the recipient got, or that is held back for
    later."""
    earlier = [
        n.severity
        for n in s.notifications
        if n.severity is not None and (n.is_waiting or n.status in ("sent", "grouped", "dead"))
    ]
    severity = s.episode.severity
    if (
        s.recipient.escalates_after is not None
        or not earlier
        or any(n.transition == "severity_rose" and n.severity == severity for n in s.received)
    ):
        return None
    received = [n.severity for n in s.received if n.severity is not None]
    before = max(received or earlier, key=SEVERITIES.index)
    if SEVERITIES.index(severity) <= SEVERITIES.index(before):
        return None
    reason = f"severity rose from {before} to {severity}"
    return Decision(reason, "severity_rose", key_part=f"severity_rose-{severity}")


def skip_acknowledged(s: Situation) -> Decision | None:
    """No repeat and no escalation of an acknowledged episode."""
    return Decision("acknowledged") if s.episode.acknowledged is not None else None


def escalate(s: Situation) -> Decision | None:
    """Notify the next recipient, once, of an episode that is not acknowledged in time."""
    after = s.recipient.escalates_after
    if after is None:
        return None
    raises = (n for n in s.notifications if n.transition in ("raised", "unmuted"))
    notified_at = [_notified_at(n) for n in raises if _is_notified(n)]
    if not notified_at or s.now < min(notified_at) + after:
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
    notified = [n for n in s.of_recipient if _is_notified(n)]
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
    reason = f"still open and not acknowledged after {spoken_duration(s.now - since)}"
    return Decision(reason, "repeated", number=number)


STAGES: Mapping[Callable[[Situation], Decision | None], Collection[str]] = {
    record_delivery: ("delivered",),
    retry: ("failed", "refused", "skipped"),
    deliver_message: ("due",),
    mute_waiting: ("due",),
    drop_overtaken: ("due",),
    deliver_due: ("due",),
    skip_backfilled: get_args(Cause),
    skip_muted: {*get_args(Cause)} - {"closed", "unmuted"},
    skip_notified: ("raised",),
    digest_if_over: ("raised",),
    notify_of_raise: ("raised",),
    notify_of_happening: ("happening", "corrected"),
    notify_of_end: ("closed",),
    notify_of_reopening: ("reopened",),
    redirect: ("undelivered",),
    skip_over: get_args(Cause),
    notify_of_unmuting: ("unmuted",),
    notify_of_renewal: ("renewed",),
    skip_in_quiet_hours: ("worse", "time"),
    notify_of_worse: ("worse", "time"),
    skip_acknowledged: ("time",),
    escalate: ("time",),
    repeat: ("time",),
}
"""The stages in the order in which they are asked, and the causes of which each is asked."""


def decide(situation: Situation) -> Decision:
    """Return the decision of the first stage that makes one."""
    for stage, causes in STAGES.items():
        if situation.cause in causes and (decision := stage(situation)) is not None:
            return decision
    return Decision("no change")


def announcements(situations: Iterable[Situation]) -> tuple[Notification, ...]:
    """Return the new notifications of these situations, without those whose key the episode has
    already."""
    added = []
    for s in situations:
        d = decide(s)
        if d.transition is None:
            continue
        suffix = "" if d.number is None else f":{d.number}"
        key = f"{s.episode.id}:{d.key_part or d.transition}:{s.recipient.channel}{suffix}"
        if all(n.key != key for n in s.notifications):
            added.append(
                Notification(
                    key=key,
                    channel=s.recipient.channel,
                    transition=d.transition,
                    reason=d.reason,
                    created_at=s.now,
                    next_attempt_at=d.waiting_until or s.now,
                    route=s.recipient.route,
                    severity=s.episode.severity,
                    postponed_by=d.postponed_by,
                    number=d.number,
                    episode=s.episode.id,
                    asset=s.episode.asset,
                )
            )
    return tuple(added)


def next_state(s: Situation) -> Notification:
    """Return the waiting notification of a situation after the decision on it; one that is to be
    delivered is `claimed`. Raises LookupError without a waiting notification."""
    n = s.notification
    d = decide(s)
    after = replace(n, status=d.status or n.status, next_attempt_at=d.waiting_until)
    if after.status in ("sent", "grouped"):
        return replace(after, delivered_at=s.now, error=None, failed_at=None, failing_since=None)
    after = replace(after, error=d.reason or n.error)
    if s.cause == "due":
        return after
    return replace(after, failed_at=s.now, failing_since=n.failing_since or s.now)


def _after_quiet_hours(
    s: Situation,
    transition: TransitionKind,
    number: int | None = None,
    key_part: str | None = None,
    reason: str | None = None,
) -> Decision:
    """Return a notification that is due after the quiet hours of its recipient, or now."""
    until = s.recipient.quiet_until
    postponed_by: PostponedBy | None = None if until is None else "quiet"
    return Decision(reason or s.reason, transition, postponed_by, until, number, key_part)


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


def due_groups(waiting: Iterable[Situation], now: datetime) -> list[list[Situation]]:
    """Return the notifications that are delivered in one message: of a flood those of one asset,
    channel and slot; of a digest all of a channel, as soon as the first has waited long enough.
    Raises LookupError without a waiting notification."""
    groups: defaultdict[tuple[object, ...], list[Situation]] = defaultdict(list)
    for s in waiting:
        n = s.notification
        slot = (n.asset, n.next_attempt_at) if n.postponed_by == "flood" else ()
        groups[n.postponed_by, n.channel, *slot].append(s)
    return [
        group
        for group in groups.values()
        if min(s.notification.next_attempt_at or now for s in group) <= now
    ]
