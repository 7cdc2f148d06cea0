"""Muting of episodes by mutes and by suppression, which take effect and end without an operator;
and the notifications when a mute begins and when it is over.

Muting is recorded on the episode (`muted_by`). After a crash or a race between any two writes the
next round completes the rest.

Flood summaries and digests: one message replaces many notifications that a flood or an outage holds
back.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Literal
from urllib.parse import urlencode

from alerting.definitions.alert_definition import SEVERITIES, SEVERITY_NAMES, Definition
from alerting.definitions.asset_documents import asset_titles
from alerting.definitions.wording.language import Interval, Language, Value, template, translatable
from alerting.episodes.episode import PLATFORM, Episode, TransitionKind
from alerting.notifications.notification import Notification, new_message
from alerting.notifications.policy import dropped, is_muted_with, is_overtaken, still_open
from alerting.operators.actions_and_mutes import MUTE_KINDS, Matcher, Mute, describe_mute
from alerting.ports import Conflict, DeliveryPorts, MutingPorts, OutcomePorts
from alerting.reporting.sentences import sentence
from alerting.usecases.definitions.versions import newest_of_target, newest_title
from alerting.usecases.episodes.mutes_and_suppression import (
    MutesInForce,
    end_by_event,
    mutes_at,
    mutes_between,
    suppressed_all_along,
    suppression_now,
)
from alerting.usecases.episodes.stored_episodes import EpisodeChanges, update
from alerting.usecases.notification.routing import ROUTES, language_of, recipients_now

ENDED = template("mute ended")
_Change = Literal["begun", "ended"]
_TRANSITIONS: Mapping[_Change, TransitionKind] = MappingProxyType(
    {"begun": "muted", "ended": "unmuted"}
)
_BY_DESIGN = "suppression:"
_LISTED = 20
_INSTANT = timedelta(milliseconds=1)


@dataclass(frozen=True)
class MuteReason:
    """Reason for which notifications of an episode are muted: a mute, or suppression by design.

    `id`: the value of the episode's `muted_by`; `kind`: of the transition that records the muting,
    `maintenance` if the episode was raised in maintenance.
    """

    id: str
    kind: Literal["muted", "suppressed", "maintenance"]
    actor: str
    reason: str


def tend_mutes(platform: MutingPorts, now: datetime) -> None:
    """Announce mutes that have begun, mute the open episodes that they cover, record mutes that
    time or an event has ended, and notify once of episodes still open afterwards. Idempotent."""
    for mute in platform.mutes.not_ended():
        dated = end_by_event(platform, mute)
        if dated.end <= now:
            reason = dated.end_reason or translatable("its time is over")
            record_end(platform, mute, dated.end, PLATFORM, reason)
        elif mute.since <= now:
            platform.notifications.add(_begin_notifications(platform, mute, now))
    present = mutes_at(platform, now)
    record_mutes(platform, present, now)
    for episode in platform.episodes.muted():
        _unmute(platform, episode, present, now)


def record_end(
    platform: MutingPorts, mute: Mute, at: datetime, by: str, reason: str
) -> Mute | None:
    """End a mute, and announce its end. Return the ended mute; None if another process changed it
    in between."""
    over = mute.ended(at, by, reason)
    if mute.since < at:
        platform.notifications.add(_end_notifications(platform, over))
    if not platform.mutes.replace(over):
        return None
    platform.audit.add(by, ENDED, audit_subject(mute), at, mute.until, None, reason)
    return over


def audit_subject(mute: Mute) -> str:
    """Return the name of a mute in entries of the audit: its target, or its id."""
    return f"{mute.definition} on {mute.asset}" if mute.is_target else mute.id


def why_muted(
    platform: MutingPorts,
    definition: Definition | None,
    episode: Episode,
    mutes: MutesInForce,
    now: datetime,
) -> MuteReason | None:
    """Return why an episode is muted now, None if it is not. A mute takes precedence over
    suppression."""
    covering = mutes.find(episode.definition, episode.asset, episode.severity, now)
    if covering:
        return _mute_reason(covering[0])
    reason = suppression_now(platform, definition, episode, now) if definition is not None else None
    return None if reason is None else _suppression_reason(reason, now)


def why_muted_at_raise(
    platform: MutingPorts, definition: Definition, episode: Episode, now: datetime
) -> MuteReason | None:
    """Return why a newly found episode is muted, None if it is not: maintenance at its raise, a
    mute, or suppression from its raise to its end (or now).

    An episode that begins and ends within suppression or maintenance never causes a notification.
    """
    target = (episode.definition, episode.asset, episode.severity)
    mutes = mutes_between(platform, min(episode.raised_at, now), now + _INSTANT)
    at_raise = mutes.find(*target, episode.raised_at)
    if at_raise and at_raise[0].kind == "maintenance":
        return replace(_mute_reason(at_raise[0]), kind="maintenance")
    present = mutes.find(*target, now)
    if present:
        return _mute_reason(present[0])
    reason = suppressed_all_along(platform, definition, episode, now)
    return None if reason is None else _suppression_reason(reason, now)


def _mute_reason(mute: Mute) -> MuteReason:
    return MuteReason(mute.id, "muted", mute.actor, describe_mute(mute))


def _suppression_reason(reason: str, now: datetime) -> MuteReason:
    """Return the reason for muting by suppression. Its id contains the instant `now`, so that each
    suppressed interval is released once."""
    return MuteReason(
        f"{_BY_DESIGN}{now.isoformat()}",
        "suppressed",
        PLATFORM,
        translatable("suppressed by design: {reason}", reason=reason),
    )


def as_muted(episode: Episode, why: MuteReason, at: datetime) -> Episode:
    """Return the episode with the muting recorded, so that a notification follows when muting ends.
    A closed episode stays as it is."""
    if episode.muted_by is not None:
        return episode
    requested = why.id if episode.condition == "open" else None
    return episode.with_transition(why.kind, at, why.reason, why.actor, muted_by=requested)


def record_mutes(platform: OutcomePorts, present: MutesInForce, now: datetime) -> None:
    """Record the mutes in force on the open episodes that they cover. Idempotent."""
    for episode in platform.episodes.find(open_only=True) if present.mutes else ():
        if episode.muted_by is None and not episode.backfilled:
            covering = present.find(episode.definition, episode.asset, episode.severity, now)
            if covering:
                _record_muting(platform, episode, _mute_reason(covering[0]), now)


def record_suppression(
    platform: OutcomePorts, definition: Definition, episode: Episode, now: datetime
) -> Episode:
    """Record on an open episode that it is suppressed by design now, if it is. Return the stored
    episode."""
    if definition.suppression is None or episode.muted_by is not None or episode.backfilled:
        return episode
    reason = suppression_now(platform, definition, episode, now)
    if reason is None:
        return episode
    return _record_muting(platform, episode, _suppression_reason(reason, now), now)


def _record_muting(
    platform: OutcomePorts, episode: Episode, why: MuteReason, now: datetime
) -> Episode:
    return update(
        platform, episode.id, lambda e, _: as_muted(e, why, now) if e.condition == "open" else e
    )


def _unmute(platform: MutingPorts, episode: Episode, present: MutesInForce, now: datetime) -> None:
    revision = newest_of_target(platform.definitions, episode.definition)
    definition = revision.definition if revision else None
    if why_muted(platform, definition, episode, present, now) is not None:
        return

    def end_muting(current: Episode, changes: EpisodeChanges) -> Episode:
        if current.muted_by is None:
            return current
        free = replace(current, muted_by=None)
        if free.condition != "open":
            return free
        reason = _why_over(platform, current.muted_by)
        recipients = (
            recipients_now(platform, definition, free.asset, free.severity, now)
            if definition
            else []
        )
        changes.notify(still_open(free, current.muted_by, recipients, reason, now))
        return free.with_transition("unmuted", now, reason)

    update(platform, episode.id, end_muting)


def _why_over(platform: MutingPorts, muted_by: str) -> str:
    if muted_by.startswith(_BY_DESIGN):
        return translatable("its suppression has ended")
    over = platform.mutes.get(muted_by)
    if over is None or not over.end_reason:
        return translatable("its muting has ended")
    if over.ended_by == PLATFORM:
        return translatable("its muting has ended: {reason}", reason=over.end_reason)
    return translatable(
        "its muting has ended: {reason} ({person})",
        reason=over.end_reason,
        person=str(over.ended_by),
    )


def withhold(
    platform: MutingPorts,
    waiting: Sequence[Notification],
    episodes: Mapping[str, Episode],
    now: datetime,
) -> tuple[list[Notification], int]:
    """Mute and drop waiting notifications that must not be delivered. Return the others, and how
    many were dropped.

    Notifications of muted episodes are muted. Notifications that quiet hours held back too long are
    dropped.
    """
    reasons = _reasons(platform, episodes.values(), now)
    unclear = {n.episode for n in waiting if n.episode in reasons or n.postponed_by == "quiet"}
    sent = platform.notifications.of_episodes({id for id in unclear if id}) if unclear else {}
    ready: list[Notification] = []
    changes: list[tuple[Notification, Notification]] = []
    for n in waiting:
        episode = episodes.get(n.episode or "")
        others = sent.get(n.episode or "", ())
        reason = _why_withheld(n, episode, reasons, others)
        if reason is not None:
            changes.append((n, replace(n, status="muted", next_attempt_at=None, error=reason)))
        elif episode is not None and is_overtaken(n, episode, others):
            changes.append((n, dropped(n)))
        else:
            ready.append(n)
    platform.notifications.change(changes)
    return ready, sum(after.status == "dropped" for _, after in changes)


def _reasons(
    platform: MutingPorts, episodes: Iterable[Episode], now: datetime
) -> dict[str, MuteReason]:
    """Return why episodes are muted now, by id; without those that are not."""
    reasons = dict[str, MuteReason]()
    by_id = {episode.id: episode for episode in episodes}
    mutes = mutes_at(platform, now) if by_id else MutesInForce((), platform.assets)
    names = {episode.definition for episode in by_id.values()}
    revisions = {name: platform.definitions.newest_revision(name) for name in names}
    for id, episode in by_id.items():
        revision = revisions[episode.definition]
        reason = why_muted(platform, revision.definition if revision else None, episode, mutes, now)
        if reason is not None:
            reasons[id] = reason
    return reasons


def _why_withheld(
    notification: Notification,
    episode: Episode | None,
    reasons: Mapping[str, MuteReason],
    others: Iterable[Notification],
) -> str | None:
    if notification.episode is None:
        return None
    if episode is None:
        return "its episode is not stored any more"
    reason = reasons.get(episode.id)
    return reason.reason if reason is not None and is_muted_with(notification, others) else None


def raised_meanwhile(platform: MutingPorts, mute: Mute, until: datetime) -> list[Episode]:
    """Return the newest live episodes that were raised while a mute covered them, newest first;
    `until`: the last instant of a raise."""
    end = min(mute.end, until + _INSTANT)
    if end <= mute.since:
        return []
    lines = MutesInForce((), platform.assets)
    raised = platform.episodes.find(
        mute.definition, mute.asset, start=mute.since, end=end, limit=1_000
    )
    return [
        e
        for e in raised
        if not (e.backfilled or e.withdrawn)
        and mute.covers(e.definition, lines.line(e.asset), e.severity_peak or e.severity)
    ]


def describe_matcher(
    matcher: Matcher, asset: str | None, definition: str | None, reads: Language
) -> str:
    """Return in words which alarms a mute covers. `asset`, `definition`: titles of the asset and
    definition that it names."""
    parts = [asset or matcher.part or matcher.asset, definition or matcher.definition]
    if matcher.is_target:
        return reads.say("{definition} on {asset}", definition=str(parts[1]), asset=str(parts[0]))
    if matcher.up_to:
        severity = reads.translate(SEVERITY_NAMES[matcher.up_to])
        parts.append(reads.say("up to {severity}", severity=severity))
    return ", ".join(part for part in parts if part)


def _begin_notifications(platform: MutingPorts, mute: Mute, now: datetime) -> list[Notification]:
    if not mute.notified:
        return []
    reads = language_of(platform, None, now)
    subject = reads.say(
        "{kind} since {when}: {scope}",
        kind=reads.translate(MUTE_KINDS[mute.kind]).capitalize(),
        when=mute.since,
        scope=_scope(platform, mute, reads),
    )
    lines = [
        subject,
        reads.say("Reason: {reason} ({person})", reason=mute.reason, person=mute.actor),
    ]
    if mute.until is not None:
        lines.append(reads.say("It ends by itself, at {when} at the latest.", when=mute.until))
    return _messages(mute, "begun", subject, lines, now)


def _end_notifications(platform: MutingPorts, mute: Mute) -> list[Notification]:
    if not mute.notified:
        return []
    reads = language_of(platform, None, mute.end)
    scope = _scope(platform, mute, reads)
    subject = (
        reads.say("Maintenance is over: {scope}", scope=scope)
        if mute.kind == "maintenance"
        else reads.say("No longer muted: {scope}", scope=scope)
    )
    raised = raised_meanwhile(platform, mute, mute.end)
    lines = [
        subject,
        reads.say("From {period}.", period=Interval(mute.since, mute.end)),
        reads.say("Ended: {reason}", reason=reads.translate(mute.end_reason or "")),
    ]
    if raised:
        lines.append(reads.say("Raised meanwhile: {number}", number=len(raised)))
        titles = asset_titles(
            platform.assets.get_many({e.asset for e in raised[:_LISTED]}).values()
        )
        lines += [_line(episode, titles, reads) for episode in raised[:_LISTED]]
    else:
        lines.append(reads.say("No alarm was raised meanwhile."))
    if len(raised) > _LISTED:
        more = len(raised) - _LISTED
        lines.append(reads.say_count("and {number} other", "and {number} others", more))
    return _messages(mute, "ended", subject, lines, mute.end)


def _line(episode: Episode, titles: Mapping[str, str], reads: Language) -> str:
    values: dict[str, Value] = {
        "when": episode.raised_at,
        "title": episode.title,
        "asset": titles.get(episode.asset, episode.asset),
    }
    if episode.condition == "open":
        return reads.say("{when}: {title} on {asset}, still open", **values)
    return reads.say("{when}: {title} on {asset}", **values)


def _messages(
    mute: Mute, change: _Change, subject: str, lines: Sequence[str], now: datetime
) -> list[Notification]:
    text = "\n".join(lines)
    about = {"mute": mute.id, "transition": change}
    return [
        replace(
            new_message(
                f"mute:{mute.id}:{change}:{channel}", channel, subject, text, now, None, **about
            ),
            transition=_TRANSITIONS[change],
            asset=mute.asset or mute.part,
        )
        for channel in mute.notified
    ]


def _scope(platform: MutingPorts, mute: Mute, reads: Language) -> str:
    named = mute.asset or mute.part
    asset = platform.assets.get(named) if named else None
    definition = newest_title(platform.definitions, mute.definition) if mute.definition else None
    return describe_matcher(mute, asset.title if asset else None, definition, reads)


Member = tuple[Episode, Notification]
Titles = Mapping[str, str]
"""Of assets, by name."""


def waits_for_others(notification: Notification) -> bool:
    """Return whether a notification is delivered only together with others."""
    return notification.postponed_by in ("flood", "digest")


def summarise(platform: DeliveryPorts, now: datetime) -> int:
    """Store one message per flood (asset, channel and slot) that is over, and one digest per
    channel. Return how many.

    A digest contains all notifications that wait for a digest, as soon as the first has waited long
    enough. The message and the state of its members are written together.
    """
    waiting = [n for n in platform.notifications.waiting() if waits_for_others(n)]
    episodes = platform.episodes.get_many({n.episode for n in waiting if n.episode})
    titles = asset_titles(platform.assets.all()) if waiting else {}
    groups: dict[tuple[object, ...], list[Member]] = defaultdict(list)
    for n in withhold(platform, waiting, episodes, now)[0]:
        slot = (n.asset, n.next_attempt_at) if n.postponed_by == "flood" else ()
        groups[n.postponed_by, n.channel, *slot].append((episodes[n.episode or ""], n))
    due = [
        members
        for members in groups.values()
        if any(n.next_attempt_at and n.next_attempt_at <= now for _, n in members)
    ]
    # all members are marked as grouped in the unit of work that stores their message
    return sum(_write(platform, members[:1000], titles, now) for members in due)


def _write(
    platform: DeliveryPorts, members: Sequence[Member], titles: Titles, now: datetime
) -> bool:
    """Store the message of these members. Return False if another process has changed one of them
    meanwhile."""
    first = members[0][1]
    route = next((route for route in ROUTES.read(platform)[0] if route.name == first.route), None)
    reads = language_of(platform, route, now)
    subject, text = (
        _flood_summary(members, titles, reads)
        if first.postponed_by == "flood"
        else _digest(members, titles, reads)
    )
    is_flood = first.postponed_by == "flood"
    page = f"/?{urlencode({'asset': first.asset or ''})}" if is_flood else "/"
    payload = {"asset": first.asset, "page": page} if is_flood else {"page": page}
    message = new_message(
        f"{first.postponed_by}:{first.key}",
        first.channel,
        subject,
        text,
        now,
        first.route,
        **payload,
        episodes=[episode.id for episode, _ in members],
        notifications=[n.key for _, n in members],
    )
    grouped = [
        (n, replace(n, status="grouped", delivered_at=now, next_attempt_at=None))
        for _, n in members
    ]
    try:
        with platform.unit_of_work.begin() as unit:
            platform.notifications.add([message], unit)
            platform.notifications.change(grouped, unit)
    except Conflict:
        return False
    return True


def _flood_summary(
    members: Sequence[Member], titles: Titles, language: Language
) -> tuple[str, str]:
    asset = titles.get(members[0][0].asset, members[0][0].asset)
    subject = language.say("+{number} more on {asset}", number=len(members), asset=asset)
    over = template("{severity}: {title}, {period}: {reason}")
    still_open = template("{severity}: {title}, since {since}: {reason}")
    lines = _member_lines(members, titles, language, over, still_open)
    return subject, _write_list(subject, lines, len(members), language)


def _digest(members: Sequence[Member], titles: Titles, language: Language) -> tuple[str, str]:
    subject = language.say(
        "{number} alerts raised and over before a notification was sent", number=len(members)
    )
    if len(members) == 1:
        subject = language.say(
            "Raised and over: {severity}: {title} on {asset}",
            **_values(members[0][0], titles, language),
        )
    over = template("{severity}: {title} on {asset}, {period}: {reason}")
    still_open = template("{severity}: {title} on {asset}, {start} and open again: {reason}")
    lines = _member_lines(members, titles, language, over, still_open)
    head = language.say("{name}:", name=subject)
    return subject, _write_list(head, lines, len(members), language)


def _member_lines(
    members: Sequence[Member], titles: Titles, language: Language, over: str, still_open: str
) -> list[str]:
    """Return a line for each episode to list, by raise, by the template for ended or for open
    episodes. If there are too many, open and then severe episodes are listed."""
    episodes = sorted((episode for episode, _ in members), key=lambda e: (e.raised_at, e.id))
    episodes.sort(key=lambda e: (e.condition != "open", -SEVERITIES.index(e.severity)))
    lines = []
    for episode in sorted(episodes[:_LISTED], key=lambda e: (e.raised_at, e.id)):
        values = _values(episode, titles, language)
        if episode.closed_at:
            period = Interval(episode.raised_at, episode.closed_at)
            lines.append(language.say(over, period=period, **values))
        else:
            lines.append(language.say(still_open, **values))
    return lines


def _values(episode: Episode, titles: Titles, language: Language) -> dict[str, Value]:
    return {
        "start": episode.raised_at,
        "since": episode.raised_at,
        "severity": language.translate(SEVERITY_NAMES[episode.severity]).upper(),
        "title": episode.title,
        "asset": titles.get(episode.asset, episode.asset),
        "reason": sentence(language.translate(episode.current.reason)),
    }


def _write_list(head: str, lines: Sequence[str], count: int, language: Language) -> str:
    unlisted = count - len(lines)
    more = (
        [language.say_count("and {number} other", "and {number} others", unlisted)]
        if unlisted
        else []
    )
    return "\n".join([head, *lines, *more])
