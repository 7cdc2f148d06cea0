"""Hand-over of a shift to the next, as lines that a page shows and a mail carries."""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import NamedTuple
from zoneinfo import ZoneInfo

from alerting.definitions.alert_definition import SEVERITIES, SEVERITY_NAMES
from alerting.definitions.faults import NotFound, UserError
from alerting.definitions.routes_and_sinks import Route, is_for
from alerting.definitions.wording.language import Interval, Language, Value, template, translatable
from alerting.episodes.episode import Episode
from alerting.notifications.notification import new_message
from alerting.notifications.recipients import channels_of
from alerting.operators.actions_and_mutes import MUTE_KINDS, permit
from alerting.operators.alarm_views import (
    Cause,
    Shift,
    ShiftHours,
    counting_order,
    find_change,
    find_neighbours,
    find_running,
    group_open,
    usual_hours,
)
from alerting.ports import AuditFilter, OperatorPorts
from alerting.readings.history import LAST_INSTANT
from alerting.reporting.phrases import OUTCOME_NAMES, VERDICT_NAMES
from alerting.reporting.sentences import sentence
from alerting.usecases.episodes.mutes_and_suppression import mutes_between
from alerting.usecases.notification.muting_and_summaries import describe_matcher
from alerting.usecases.notification.routing import ROUTES, language_of
from alerting.usecases.operators.known_plant import KnownPlant
from alerting.usecases.operators.operate import Actor

QUESTIONS_FROM = timedelta(days=3)
"""Unanswered alarms of this time before a shift are left to it."""
LONGEST_NOTE = 2_000
MOST_LISTED = 60
"""Lines of each section; more are counted."""
NOTE_WRITTEN = template("shift note written")
"""The entry of the log that is a note: its subject names the part and the shift."""
_MOST_READ = 500
_NAMED = 12  # assets of a group
_ACTED = template("{person} acted")
_COMMENTED = template("{person} commented")
_TOOK_OVER = template("{person} took over")
_CLOSED = template("{person} closed by hand")


@dataclass(frozen=True)
class ChosenShift:
    """A shift of a part of the plant (None: of all visible parts), and the shifts around it.
    `others`: shifts at the same time. `assets`: assets of the part, None for all. `is_configured`:
    whether a route names the hours. `routes`: routes by which the hand-over can be sent."""

    part: str | None
    title: str
    assets: frozenset[str] | None
    shift: Shift
    previous: Shift | None
    next: Shift | None
    others: tuple[Shift, ...]
    is_configured: bool
    routes: tuple[Route, ...]


class Line(NamedTuple):
    """A line in a reader's language; `episode`: the alarm it is about, or the first of `size`
    alarms of one definition."""

    text: str
    episode: str | None = None
    size: int = 1


class Section(NamedTuple):
    """Lines of one kind. `number`: of all alarms or other things, listed or not."""

    name: str
    title: str
    lines: list[Line]
    number: int


@dataclass(frozen=True)
class ShiftAccount:
    """The account of a shift as of an instant: open, muted and answered alarms, actions, and
    notes."""

    at: datetime
    total: str
    sections: list[Section]


def shift_hours(routes: Sequence[Route]) -> list[ShiftHours]:
    """Return the hours of the routes that have shifts."""
    return [ShiftHours(route.name, route.shifts, route.zone) for route in routes if route.shifts]


def choose_shift(
    platform: OperatorPorts,
    plant: KnownPlant,
    zone: ZoneInfo,
    now: datetime,
    line: str | None = None,
    at: datetime | None = None,
    name: str | None = None,
) -> ChosenShift:
    """Return a shift of a part of the plant, or of all parts. `at`: an instant in it; if None, the
    shift that is handed over now, else the running shift. `name`: its route, where several shifts
    run at once.

    Raises NotFound for an unknown part, or if there is no shift at that time.
    """
    if line and line not in plant.parts.values():
        raise NotFound(translatable("there is no part of the plant “{name}”", name=line))
    assets = frozenset(a for a, part in plant.parts.items() if part == line) if line else None
    covered = plant.assets if assets is None else assets
    stored = ROUTES.read(platform)[0]
    routes = [r for r in stored if not covered or any(is_for(r, asset) for asset in covered)]
    named = shift_hours(routes)
    plans = named or [usual_hours(zone)]
    instant = at or now
    running = find_running(plans, instant, name)
    changing = None if at else find_change(plans, instant)
    if changing is not None and name in (None, changing.name):
        running = [changing, *(shift for shift in running if shift != changing)]
    if not running:
        raise NotFound(translatable("no shift runs at that time, or ran in the eight days before"))
    shift, *others = running
    previous, following = find_neighbours(plans, shift)
    return ChosenShift(
        line or None,
        plant.asset_titles[line] if line else "",
        assets,
        shift,
        previous,
        following,
        tuple(others),
        bool(named),
        tuple(routes),
    )


def read_shift(
    platform: OperatorPorts,
    plant: KnownPlant,
    chosen: ChosenShift,
    now: datetime,
    language: Language,
) -> ShiftAccount:
    """Return the account of a shift for the next shift, as of now, in a reader's language and by
    their clock."""
    shift = chosen.shift
    find = platform.episodes.find
    since = shift.start - QUESTIONS_FROM
    read = find(open_only=True, limit=_MOST_READ, assets=chosen.assets)
    read += find(start=since, end=shift.end, limit=_MOST_READ, assets=chosen.assets)
    episodes = sorted({e.id: e for e in read}.values(), key=_urgency)
    people = platform.accounts.shown_names()
    alarms = [e for e in episodes if not (e.backfilled or e.withdrawn) and e.raised_at < shift.end]
    still = [e for e in alarms if e.closed_at is None]
    ended = [e for e in alarms if e.closed_at is not None]
    over = [e for e in ended if shift.has(e.raised_at) or shift.has(e.closed_at)]
    listed_ids = {e.id for e in over}
    unanswered = [e for e in ended if e.id not in listed_ids and _is_question(e)]
    deeds = sorted(deed for e in alarms for deed in _list_deeds(e, plant, shift, language, people))
    muted = _describe_mutes(platform, plant, chosen, now, language, people)
    total = language.say(
        "{raised} raised, {open} open, {unanswered} not answered, {done} done",
        raised=str(sum(shift.has(e.raised_at) for e in alarms)),
        open=str(len(still)),
        unanswered=str(sum(map(_is_question, (*still, *over, *unanswered)))),
        done=str(len(deeds)),
    )
    listed = (
        ("done", language.say("What was done"), [line for _, line in reversed(deeds)]),
        ("open", language.say("Open"), _alarms(still, plant, now, language, people)),
        ("notes", language.say("Notes"), _notes(platform, plant, chosen, language, people)),
        (
            "left",
            language.say("Unanswered, of earlier shifts"),
            _alarms(unanswered, plant, now, language, people),
        ),
        ("over", language.say("Ended in this shift"), _alarms(over, plant, now, language, people)),
        ("muted", language.say("Muted"), [Line(text) for text in muted]),
    )
    return ShiftAccount(
        now,
        total,
        [
            Section(name, title, lines[:MOST_LISTED], sum(line.size for line in lines))
            for name, title, lines in listed
        ],
    )


def write_note(
    platform: OperatorPorts, chosen: ChosenShift, text: str, actor: Actor, at: datetime
) -> None:
    """Store a note of a shift in the log, where it is never changed. Raises UserError for an empty
    or too long note, and before the shift begins."""
    permit("comment", actor.role)
    note = text.strip()
    if not note:
        raise UserError(translatable("the note is empty: write what the next shift must know"))
    if len(note) > LONGEST_NOTE:
        raise UserError(
            translatable(
                "the note has {length} characters; {most} at most",
                length=str(len(note)),
                most=str(LONGEST_NOTE),
            )
        )
    if at < chosen.shift.start:
        raise UserError(translatable("this shift has not begun yet"))
    subject = _subject(chosen.part, chosen.shift)
    newest = platform.audit.find(AuditFilter(actor.name, subject, NOTE_WRITTEN), 1)
    if [entry.after for entry in newest] != [note]:  # else a form that was sent twice
        platform.audit.add(actor.name, NOTE_WRITTEN, subject, at, after=note)


def send_handover(
    platform: OperatorPorts,
    plant: KnownPlant,
    chosen: ChosenShift,
    route: str,
    address: str,
    actor: Actor,
    at: datetime,
) -> int:
    """Send a hand-over to every recipient of a route; return to how many. A hand-over that was sent
    already is not sent again. `address`: of its page, beginning with a slash.

    Raises NotFound for a route that does not belong to this part of the plant, UserError if it has
    no recipient.
    """
    permit("comment", actor.role)
    recipient = next((r for r in chosen.routes if r.name == route), None)
    if recipient is None:
        raise NotFound(translatable("there is no route “{name}” for this line", name=route))
    recipients = [name for name in channels_of(recipient) if name in platform.channels]
    if not recipients:
        raise UserError(translatable("the route “{name}” has no configured channel", name=route))
    language = language_of(platform, recipient, at)
    account = read_shift(platform, plant, chosen, at, language)
    names = " · ".join(filter(None, (chosen.shift.name, chosen.title)))
    subject = language.say("Hand-over {shift}", shift=names or language.say("of the plant"))
    text = "\n".join(_mail(account, chosen.shift, language))
    about = _subject(chosen.part, chosen.shift)
    digest = hashlib.sha256(f"{about}\n{text}".encode()).hexdigest()[:20]
    text += "\n\n" + sentence(language.say("as of {when}", when=at))
    payload = {"page": address, "sender": actor.name}
    messages = [
        replace(
            new_message(f"handover:{digest}:{name}", name, subject, text, at, route, **payload),
            asset=chosen.part,
            transition="reminder",
        )
        for name in recipients
    ]
    if platform.notifications.add(messages):
        platform.audit.add(actor.name, template("shift hand-over sent"), about, at, after=route)
    return len(recipients)


def _mail(account: ShiftAccount, shift: Shift, language: Language) -> Iterator[str]:
    """Yield the lines of a message."""
    yield language.say("Shift from {period}.", period=Interval(shift.start, shift.end))
    yield sentence(account.total)
    for section in account.sections:
        if section.lines:
            yield from ("", language.say("{name}:", name=section.title))
            yield from (f"- {line.text}" for line in section.lines)
        if more := section.number - sum(line.size for line in section.lines):
            yield language.say("{number} more are not listed.", number=str(more))


def _notes(
    platform: OperatorPorts,
    plant: KnownPlant,
    chosen: ChosenShift,
    language: Language,
    people: Mapping[str, str],
) -> list[Line]:
    """Return the notes of the part and of the whole plant; for the whole plant, the notes of all
    parts."""
    parts = (None, *({chosen.part} if chosen.part else {*plant.parts.values()}))
    part_of = {_subject(part, chosen.shift): part for part in parts}
    about = AuditFilter(subject=part_of, what=NOTE_WRITTEN)
    lines = []
    for note in platform.audit.find(about, MOST_LISTED * len(parts)):
        part = part_of[note.subject]
        where = f" ({plant.asset_titles[part]})" if part and part != chosen.part else ""
        at = language.instant(note.at)
        lines.append(Line(f"{at} {people.get(note.actor, note.actor)}{where}: {note.after}"))
    return lines


def _subject(part: str | None, shift: Shift) -> str:
    about = " ".join(filter(None, (part, shift.name))) or "plant"
    return f"{about} {shift.start.isoformat(timespec='minutes')}"


def _describe_mutes(
    platform: OperatorPorts,
    plant: KnownPlant,
    chosen: ChosenShift,
    now: datetime,
    language: Language,
    people: Mapping[str, str],
) -> Iterator[str]:
    mutes = mutes_between(platform, now, now + (chosen.shift.end - chosen.shift.start))
    about = {*mutes.line(chosen.part), *(chosen.assets or ())} if chosen.part else None
    for mute in sorted(mutes.mutes, key=lambda mute: (mute.since, mute.id)):
        named = mute.asset or mute.part
        if mute.phase(now) != "over" and (about is None or named in (None, *about)):
            title = plant.asset_titles.get(named or "")
            definition = plant.titles.get(mute.definition or "")
            kind = language.translate(MUTE_KINDS[mute.kind])
            values: dict[str, Value] = {
                "kind": kind[:1].upper() + kind[1:],
                "scope": describe_matcher(mute, title, definition, language),
                "reason": language.translate(mute.reason),
                "person": people.get(mute.actor, mute.actor),
            }
            if mute.end == LAST_INSTANT:
                yield language.say(
                    "{kind}: {scope}, {start} to {end}: {reason} ({person})",
                    start=mute.since,
                    end=language.say("returned by hand"),
                    **values,
                )
            else:
                period = Interval(mute.since, mute.end)
                yield language.say(
                    "{kind}: {scope}, {period}: {reason} ({person})", period=period, **values
                )


def _alarms(
    episodes: Sequence[Episode],
    plant: KnownPlant,
    now: datetime,
    language: Language,
    people: Mapping[str, str],
) -> list[Line]:
    """Return a line for each alarm: since when, who has seen it, and its outcome; five or more of
    one definition are one line. What is expected comes first."""
    lines = []
    for cause in group_open(episodes, plant.parents):
        if cause.is_group:
            lines.append(Line(_describe_group(cause, plant, language), cause.first.id, cause.size))
        else:
            lines += [
                Line(_describe_alarm(e, plant, now, language, people), e.id)
                for e in sorted(cause.episodes, key=_urgency)
            ]
    return lines


def _describe_group(group: Cause, plant: KnownPlant, language: Language) -> str:
    assets = {plant.asset_titles.get(e.asset, e.asset) for e in group.episodes}
    names = sorted(assets, key=counting_order)
    if len(names) > _NAMED:
        names = [*names[:_NAMED], language.say("{number} more", number=str(len(names) - _NAMED))]
    waiting = len(group.unacknowledged)
    worst = max((e.severity_peak or e.severity for e in group.episodes), key=SEVERITIES.index)
    parts = [
        language.say(
            "{severity}: {title}, {number} alarms since {since}",
            severity=language.translate(SEVERITY_NAMES[worst]),
            title=group.first.title,
            number=str(group.size),
            since=min(e.raised_at for e in group.episodes),
        ),
        *([language.say("expected")] if group.phase == "expected" else []),
        language.say("{number} not seen", number=str(waiting)) if waiting else language.say("seen"),
    ]
    return f"{', '.join(parts)}: {', '.join(names)}"


def _describe_alarm(
    e: Episode,
    plant: KnownPlant,
    now: datetime,
    language: Language,
    people: Mapping[str, str],
) -> str:
    values = {
        "severity": language.translate(SEVERITY_NAMES[e.severity_peak or e.severity]),
        "title": e.title,
        "asset": plant.asset_titles.get(e.asset, e.asset),
    }
    text = (
        language.say("{severity}: {title} on {asset}, since {since}", **values, since=e.raised_at)
        if e.closed_at is None
        else language.say(
            "{severity}: {title} on {asset}, {period}",
            **values,
            period=Interval(e.raised_at, e.closed_at),
        )
    )
    return ", ".join([text, *_state(e, now, language, people)])


def _state(
    e: Episode, now: datetime, language: Language, people: Mapping[str, str]
) -> Iterator[str]:
    until = e.expected_until(now)
    if e.phase == "expected" and until is not None:
        yield language.say("expected by {when}", when=until)
    if e.assigned_to:
        yield language.say(
            "taken over by {person}", person=people.get(e.assigned_to, e.assigned_to)
        )
    elif e.acknowledged:
        seen_by = e.acknowledged.actor
        yield language.say("seen by {person}", person=people.get(seen_by, seen_by))
    elif e.closed_at is None:
        yield language.say("not seen")
    if e.muted_by is not None:
        yield language.say("muted")
    record = e.outcome_record
    verdicts = [answer.verdict for answer in e.feedback if answer.verdict is not None]
    if record and record.outcome != "undetermined":
        yield language.translate(OUTCOME_NAMES[record.outcome])
    elif verdicts:
        yield language.translate(VERDICT_NAMES[verdicts[-1]])
    if _is_question(e):
        yield language.say("not answered")
    elif not verdicts and any(answer.acted for answer in e.feedback):
        yield language.say("acted")


def _is_question(e: Episode) -> bool:
    """Return whether an answer to an alarm is still expected."""
    return e.muted_by is None and not any(answer.verdict or answer.acted for answer in e.feedback)


def _list_deeds(
    e: Episode, plant: KnownPlant, shift: Shift, language: Language, people: Mapping[str, str]
) -> Iterator[tuple[datetime, Line]]:
    done: list[tuple[str, datetime, str, str | None]] = []
    for answer in e.feedback:
        if answer.acted:
            text = answer.action or answer.comment
            done.append((_ACTED, answer.acted_at or answer.at, answer.actor, text))
        elif answer.comment:
            done.append((_COMMENTED, answer.at, answer.actor, answer.comment))
    for transition in e.transitions:
        if transition.kind == "commented":
            done.append(
                (_COMMENTED, transition.at, transition.actor, language.translate(transition.reason))
            )
        elif transition.kind == "assigned":
            done.append((_TOOK_OVER, transition.at, e.assigned_to or transition.actor, None))
        elif transition.kind == "closed" and transition.actor != "platform":
            done.append(
                (_CLOSED, transition.at, transition.actor, language.translate(transition.reason))
            )
    record = e.outcome_record
    came = f" ({language.translate(OUTCOME_NAMES[record.outcome])})" if record else ""
    where = f"{e.title}, {plant.asset_titles.get(e.asset, e.asset)}{came}"
    for kind, at, person, words in done:
        if shift.has(at):
            deed = language.say(kind, person=people.get(person, person)) + (
                f": {words}" if words else ""
            )
            yield at, Line(f"{language.instant(at)} {deed}; {where}", e.id)


def _urgency(e: Episode) -> tuple[bool, int, float, str]:
    severity = SEVERITIES.index(e.severity_peak or e.severity)
    return e.muted_by is not None, -severity, -e.raised_at.timestamp(), e.id
