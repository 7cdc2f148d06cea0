"""Begin and end of silences: what time and events end is recorded, and those who are notified get a
message with the alarms that were raised meanwhile.

A silence begins and ends without this; after a crash the next round completes the rest.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Literal

from alerting.definitions.assets import asset_titles
from alerting.definitions.model import SEVERITY_NAMES
from alerting.definitions.wording.language import Language, language, template, translatable
from alerting.episodes.episode import Episode, TransitionKind
from alerting.notifications.notification import Notification, new_message
from alerting.operators.silences import SILENCE_KINDS, Silence, SilenceScope
from alerting.ports import Episodes, MutingPorts
from alerting.usecases.definitions.versions import newest_title
from alerting.usecases.notification.muting import record_silences
from alerting.usecases.silences.in_force import PLATFORM, SilencesInForce, end_by_event

ENDED = template("silence ended")
_Change = Literal["begun", "ended"]
_TRANSITIONS: Mapping[_Change, TransitionKind] = MappingProxyType(
    {"begun": "muted", "ended": "unmuted"}
)
_LISTED = 20
_READ = 1_000
_INSTANT = timedelta(milliseconds=1)


def tend_silences(platform: MutingPorts, now: datetime) -> None:
    """Tell of silences that have begun, mute the open episodes that they cover, and record those
    that time or an event has ended. Idempotent."""
    for silence in platform.silences.not_ended():
        known = end_by_event(platform, silence)
        if known.end <= now:
            reason = known.end_reason or translatable("its time is over")
            end_silence(platform, silence, known.end, PLATFORM, reason)
        elif silence.since <= now:
            platform.notifications.add(_begun(platform, silence, now))
    record_silences(platform, now)


def end_silence(
    platform: MutingPorts, silence: Silence, at: datetime, by: str, reason: str
) -> Silence | None:
    """End a silence, and tell of it. Return it as it is then, None if another process changed it in
    between."""
    over = silence.ended(at, by, reason)
    if silence.since < at:
        platform.notifications.add(_over(platform, over))
    if not platform.silences.replace(over):
        return None
    before = {"until": silence.until.isoformat()}
    platform.audit.add(by, ENDED, silence.id, at, before, None, reason)
    return over


def raised_meanwhile(platform: MutingPorts, silence: Silence, until: datetime) -> list[Episode]:
    """Return the newest live episodes that were raised while a silence covered them, newest first;
    `until`: those raised by then."""
    end = min(silence.end, until + _INSTANT)
    if end <= silence.since:
        return []
    lines = SilencesInForce((), platform.assets)
    return [
        episode
        for episode in _raised(platform.episodes, silence, end)
        if not episode.backfilled
        and not episode.withdrawn
        and silence.scope.covers(
            episode.definition,
            lines.line(episode.asset),
            episode.severity_peak or episode.severity,
        )
    ]


def _raised(episodes: Episodes, silence: Silence, end: datetime) -> list[Episode]:
    return episodes.find(silence.scope.definition, start=silence.since, end=end, limit=_READ)


def describe_scope(
    scope: SilenceScope, part: str | None, definition: str | None, reads: Language
) -> str:
    """Return in words what a silence covers. `part`, `definition`: the titles of those of its
    scope."""
    parts = [part or scope.part] if scope.part else []
    parts += [definition or scope.definition] if scope.definition else []
    if scope.up_to:
        parts.append(
            reads.say("up to {severity}", severity=reads.translate(SEVERITY_NAMES[scope.up_to]))
        )
    return ", ".join(part for part in parts if part)


def _begun(platform: MutingPorts, silence: Silence, now: datetime) -> list[Notification]:
    reads = language(platform.language)
    subject = reads.say(
        "{kind} since {when}: {scope}",
        kind=reads.translate(SILENCE_KINDS[silence.kind]).capitalize(),
        when=silence.since.isoformat(),
        scope=_scope(platform, silence, reads),
    )
    lines = [
        subject,
        reads.say("Reason: {reason} ({person})", reason=silence.reason, person=silence.author),
        reads.say("It ends by itself, at {when} at the latest.", when=silence.until.isoformat()),
    ]
    return _messages(silence, "begun", subject, lines, now)


def _over(platform: MutingPorts, silence: Silence) -> list[Notification]:
    if not silence.notified:
        return []
    reads = language(platform.language)
    kind = reads.translate(SILENCE_KINDS[silence.kind]).capitalize()
    scope = _scope(platform, silence, reads)
    subject = reads.say("{kind} is over: {scope}", kind=kind, scope=scope)
    found = raised_meanwhile(platform, silence, silence.end)
    lines = [
        subject,
        reads.say(
            "From {first} to {last}.", first=silence.since.isoformat(), last=silence.end.isoformat()
        ),
        reads.say("Ended: {reason}", reason=reads.translate(silence.end_reason or "")),
    ]
    if found:
        lines.append(reads.say("Raised meanwhile: {number}", number=len(found)))
        titles = asset_titles(platform.assets.get_many({e.asset for e in found[:_LISTED]}).values())
        lines += [_line(episode, titles, reads) for episode in found[:_LISTED]]
    else:
        lines.append(reads.say("No alarm was raised meanwhile."))
    if len(found) > _LISTED:
        more = len(found) - _LISTED
        lines.append(reads.say_count("and {number} other", "and {number} others", more))
    return _messages(silence, "ended", subject, lines, silence.end)


def _line(episode: Episode, titles: Mapping[str, str], reads: Language) -> str:
    values = {
        "when": episode.raised_at.isoformat(),
        "title": episode.title,
        "asset": titles.get(episode.asset, episode.asset),
    }
    if episode.condition == "open":
        return reads.say("{when}: {title} on {asset}, still open", **values)
    return reads.say("{when}: {title} on {asset}", **values)


def _messages(
    silence: Silence, what: _Change, subject: str, lines: Sequence[str], now: datetime
) -> list[Notification]:
    text = "\n".join(lines)
    made = [
        new_message(
            f"silence:{silence.id}:{what}:{channel}",
            channel,
            subject,
            text,
            now,
            None,
            silence=silence.id,
            transition=what,
        )
        for channel in silence.notified
    ]
    return [replace(one, transition=_TRANSITIONS[what], asset=silence.scope.part) for one in made]


def _scope(platform: MutingPorts, silence: Silence, reads: Language) -> str:
    part = platform.assets.get(silence.scope.part) if silence.scope.part else None
    named = silence.scope.definition
    definition = newest_title(platform.definitions, named) if named else None
    return describe_scope(silence.scope, part.title if part else None, definition, reads)
