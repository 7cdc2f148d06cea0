"""Muting of episodes by mutes and by suppression, which take effect and end without an operator;
and the notifications when a mute begins and when it is over.

Muting is recorded on the episode (`muted_by`). After a crash or a race between any two writes the
next round completes the rest.

Flood summaries and digests: one message replaces many notifications that a flood or an outage holds
back.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Literal
from urllib.parse import urlencode

from alerting.definitions.alert_definition import SEVERITIES, SEVERITY_NAMES, Definition
from alerting.definitions.asset_documents import asset_titles
from alerting.definitions.wording.language import Interval, Language, Value, template, translatable
from alerting.episodes.episode import PLATFORM, Episode
from alerting.notifications.notification import Notification, new_message
from alerting.notifications.policy import Situation, due_groups, next_state
from alerting.notifications.recipients import Recipient
from alerting.operators.actions_and_mutes import MUTE_KINDS, Matcher, Mute, describe_mute
from alerting.ports import Conflict, DeliveryPorts, EpisodePorts, MutingPorts
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
from alerting.usecases.notification.routing import ROUTES, language_of, route_notifications

ENDED = template("mute ended")
_BY_DESIGN = "suppression:"
_LISTED = 20
_MOST_GROUPED = 1_000
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
            platform.notifications.add(_mute_messages(platform, mute, "begun", now))
    present = mutes_at(platform, now)
    if present.mutes:
        record_mutes(platform, platform.episodes.find(open_only=True), {}, present, now)
    for episode in platform.episodes.muted():
        _unmute(platform, episode, present, now)


def record_end(
    platform: MutingPorts, mute: Mute, at: datetime, by: str, reason: str
) -> Mute | None:
    """End a mute, and announce its end. Return the ended mute; None if another process changed it
    in between."""
    over = mute.ended(at, by, reason)
    if mute.since < at:
        platform.notifications.add(_mute_messages(platform, over, "ended", over.end))
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
    find_suppression: Callable[
        [EpisodePorts, Definition, Episode, datetime], str | None
    ] = suppression_now,
) -> MuteReason | None:
    """Return why an episode is muted now, None if it is not. A mute takes precedence over
    suppression."""
    covering = mutes.find(episode.definition, episode.asset, episode.severity, now)
    if covering:
        first = covering[0]
        return MuteReason(first.id, "muted", first.actor, describe_mute(first))
    suppression = (
        None if definition is None else find_suppression(platform, definition, episode, now)
    )
    if suppression is None:
        return None
    # the id contains the instant, so that each suppressed interval is released once
    reason = translatable("suppressed by design: {reason}", reason=suppression)
    return MuteReason(f"{_BY_DESIGN}{now.isoformat()}", "suppressed", PLATFORM, reason)


def why_muted_at_raise(
    platform: MutingPorts, definition: Definition, episode: Episode, now: datetime
) -> MuteReason | None:
    """Return why a newly found episode is muted, None if it is not: maintenance at its raise, a
    mute, or suppression from its raise to its end (or now).

    An episode that begins and ends within suppression or maintenance never causes a notification.
    """
    mutes = mutes_between(platform, min(episode.raised_at, now), now + _INSTANT)
    at_raise = mutes.find(episode.definition, episode.asset, episode.severity, episode.raised_at)
    if at_raise and at_raise[0].kind == "maintenance":
        first = at_raise[0]
        return MuteReason(first.id, "maintenance", first.actor, describe_mute(first))
    return why_muted(platform, definition, episode, mutes, now, suppressed_all_along)


def as_muted(episode: Episode, why: MuteReason, at: datetime) -> Episode:
    """Return the episode with the muting recorded, so that a notification follows when muting ends.
    A closed episode stays as it is."""
    if episode.muted_by is not None:
        return episode
    requested = why.id if episode.condition == "open" else None
    return episode.with_transition(why.kind, at, why.reason, why.actor, muted_by=requested)


def record_mutes(
    platform: MutingPorts,
    episodes: Iterable[Episode],
    definitions: Mapping[str, Definition],
    present: MutesInForce,
    now: datetime,
) -> dict[str, Episode]:
    """Record on open episodes what mutes them: a mute in force or, of these definitions,
    suppression by design. Return the stored episodes by id. Idempotent."""
    stored = {}
    for episode in episodes:
        definition = definitions.get(episode.definition)
        stored[episode.id] = episode
        if episode.muted_by is None and not episode.backfilled:
            why = why_muted(platform, definition, episode, present, now)
            if why is not None:
                stored[episode.id] = update(
                    platform,
                    episode.id,
                    lambda current, _: (
                        as_muted(current, why, now)  # noqa: B023 - called at once
                        if current.condition == "open"
                        else current
                    ),
                )
    return stored


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
        if definition is not None:
            changes.notify(
                route_notifications(platform, changes, definition, current, "unmuted", reason, now)
            )
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


def due_situations(
    platform: MutingPorts, waiting: Sequence[Notification], now: datetime
) -> list[Situation]:
    """Return the situations of notifications whose time has come: each with its episode, why that
    is muted now and, where it matters, the other notifications of it."""
    ids = {n.episode for n in waiting if n.episode}
    episodes = platform.episodes.get_many(ids) if ids else {}
    mutes = mutes_at(platform, now) if episodes else MutesInForce((), platform.assets)
    newest = {
        name: platform.definitions.newest_revision(name)
        for name in {episode.definition for episode in episodes.values()}
    }
    muted = dict[str | None, str]()
    for id, episode in episodes.items():
        revision = newest[episode.definition]
        why = why_muted(platform, revision.definition if revision else None, episode, mutes, now)
        if why is not None:
            muted[id] = why.reason
    unclear = ids & ({*muted} | {n.episode for n in waiting if n.postponed_by == "quiet"})
    sent = platform.notifications.of_episodes(unclear) if unclear else {}
    return [
        Situation(
            episodes.get(n.episode or ""),
            Recipient(n.channel),
            "due",
            now,
            sent.get(n.episode or "", ()),
            muted=muted.get(n.episode),
            waiting=n,
        )
        for n in waiting
    ]


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


def _mute_messages(
    platform: MutingPorts, mute: Mute, change: Literal["begun", "ended"], now: datetime
) -> list[Notification]:
    """Return the messages to the channels of a mute, which has begun or ended now."""
    if not mute.notified:
        return []
    reads = language_of(platform, None, now)
    named = mute.asset or mute.part
    asset = platform.assets.get(named) if named else None
    definition = newest_title(platform.definitions, mute.definition) if mute.definition else None
    scope = describe_matcher(mute, asset.title if asset else None, definition, reads)
    if change == "ended":
        lines = _end_lines(platform, mute, scope, reads)
    else:
        kind = reads.translate(MUTE_KINDS[mute.kind]).capitalize()
        lines = [
            reads.say("{kind} since {when}: {scope}", kind=kind, when=mute.since, scope=scope),
            reads.say("Reason: {reason} ({person})", reason=mute.reason, person=mute.actor),
        ]
        if mute.until is not None:
            lines.append(reads.say("It ends by itself, at {when} at the latest.", when=mute.until))
    return [
        replace(
            new_message(
                f"mute:{mute.id}:{change}:{channel}",
                channel,
                lines[0],
                "\n".join(lines),
                now,
                None,
                mute=mute.id,
                transition=change,
            ),
            transition="muted" if change == "begun" else "unmuted",
            asset=named,
        )
        for channel in mute.notified
    ]


def _end_lines(platform: MutingPorts, mute: Mute, scope: str, reads: Language) -> list[str]:
    raised = raised_meanwhile(platform, mute, mute.end)
    listed = raised[:_LISTED]
    lines = [
        reads.say("Maintenance is over: {scope}", scope=scope)
        if mute.kind == "maintenance"
        else reads.say("No longer muted: {scope}", scope=scope),
        reads.say("From {period}.", period=Interval(mute.since, mute.end)),
        reads.say("Ended: {reason}", reason=reads.translate(mute.end_reason or "")),
        reads.say("Raised meanwhile: {number}", number=len(raised))
        if raised
        else reads.say("No alarm was raised meanwhile."),
    ]
    assets = platform.assets.get_many({e.asset for e in listed}) if listed else {}
    titles = asset_titles(assets.values())
    for episode in listed:
        line = (
            template("{when}: {title} on {asset}, still open")
            if episode.condition == "open"
            else template("{when}: {title} on {asset}")
        )
        asset = titles.get(episode.asset, episode.asset)
        lines.append(reads.say(line, when=episode.raised_at, title=episode.title, asset=asset))
    return lines + _count_others(len(raised), reads)


def _count_others(number: int, reads: Language) -> list[str]:
    """Return the line on what a list leaves out; nothing if it lists all."""
    others = number - _LISTED
    text = reads.say_count("and {number} other", "and {number} others", others)
    return [text] if others > 0 else []


def summarise(platform: DeliveryPorts, waiting: Sequence[Situation], now: datetime) -> int:
    """Store one message per flood (asset, channel and slot) that is over, and one digest per
    channel. Return how many.

    The message and the state of its members are written together, in a unit of work.
    """
    routes = {route.name: route for route in ROUTES.read(platform)[0]}
    titles = asset_titles(platform.assets.all())
    stored = 0
    for group in due_groups(waiting, now):
        members = group[:_MOST_GROUPED]
        route = routes.get(members[0].notification.route or "")
        summary = _summary(members, titles, language_of(platform, route, now), now)
        try:
            with platform.unit_of_work.begin() as unit:
                platform.notifications.add([summary], unit)
                platform.notifications.change([(m.waiting, next_state(m)) for m in members], unit)
        except Conflict:  # another process has changed one of them
            continue
        stored += 1
    return stored


def _summary(
    members: Sequence[Situation], titles: Mapping[str, str], reads: Language, now: datetime
) -> Notification:
    """Return the message of a flood or a digest: a subject, and a line for each episode, by raise.
    If there are too many, open and then severe episodes are listed."""
    first = members[0].notification
    number = len(members)
    values: dict[str, dict[str, Value]] = {
        episode.id: {
            "start": episode.raised_at,
            "since": episode.raised_at,
            "severity": reads.translate(SEVERITY_NAMES[episode.severity]).upper(),
            "title": episode.title,
            "asset": titles.get(episode.asset, episode.asset),
            "reason": sentence(reads.translate(episode.current.reason)),
        }
        for episode in (member.episode for member in members)
    }
    payload = {"page": "/"}
    if first.postponed_by == "flood":
        payload = {
            "asset": first.asset or "",
            "page": f"/?{urlencode({'asset': first.asset or ''})}",
        }
        asset = values[members[0].episode.id]["asset"]
        subject = reads.say("+{number} more on {asset}", number=number, asset=asset)
        head = subject
        over = template("{severity}: {title}, {period}: {reason}")
        still_open = template("{severity}: {title}, since {since}: {reason}")
    else:
        subject = reads.say(
            "{number} alerts raised and over before a notification was sent", number=number
        )
        if number == 1:
            subject = reads.say(
                "Raised and over: {severity}: {title} on {asset}", **values[members[0].episode.id]
            )
        head = reads.say("{name}:", name=subject)
        over = template("{severity}: {title} on {asset}, {period}: {reason}")
        still_open = template("{severity}: {title} on {asset}, {start} and open again: {reason}")
    episodes = sorted((member.episode for member in members), key=lambda e: (e.raised_at, e.id))
    episodes.sort(key=lambda e: (e.condition != "open", -SEVERITIES.index(e.severity)))
    lines = [head]
    for e in sorted(episodes[:_LISTED], key=lambda e: (e.raised_at, e.id)):
        period = Interval(e.raised_at, e.closed_at or e.raised_at)
        lines.append(reads.say(over if e.closed_at else still_open, period=period, **values[e.id]))
    return new_message(
        f"{first.postponed_by}:{first.key}",
        first.channel,
        subject,
        "\n".join(lines + _count_others(number, reads)),
        now,
        first.route,
        **payload,
        episodes=[member.episode.id for member in members],
        notifications=[member.notification.key for member in members],
    )
