"""The hand-over of a shift as a message to the recipients of a route."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from types import MappingProxyType

from alerting.definitions.assets import asset_titles
from alerting.definitions.faults import NotFound, UserError
from alerting.definitions.model import SEVERITY_NAMES
from alerting.definitions.wording.language import Language, template, translatable
from alerting.notifications.notification import new_message
from alerting.notifications.routing import channels_of
from alerting.operators.actions import permit
from alerting.operators.shift_summary import DeedKind, ShiftAlarm, ShiftDeed, ShiftSilence
from alerting.operators.silences import SILENCE_KINDS
from alerting.ports import HandoverPorts
from alerting.reporting.base.messages import OUTCOME_NAMES, VERDICT_NAMES
from alerting.reporting.base.sentences import sentence
from alerting.usecases.definitions.versions import newest_title
from alerting.usecases.handover.read import ShiftAccount
from alerting.usecases.notification.routes import language_of
from alerting.usecases.notification.silencing import describe_scope
from alerting.usecases.operators.operate import Actor

_DEEDS: Mapping[DeedKind, str] = MappingProxyType({
    "acted": template("{person} acted"),
    "commented": template("{person} commented"),
    "took over": template("{person} took over"),
    "closed": template("{person} closed by hand"),
    "missed": template("{person} reported: no alarm came"),
})  # fmt: skip


def deed_text(deed: ShiftDeed, language: Language) -> str:
    """Return what a person did: `nina acted`."""
    return language.say(_DEEDS[deed.kind], person=deed.actor)


def send_handover(
    platform: HandoverPorts,
    account: ShiftAccount,
    route: str,
    address: str,
    actor: Actor,
    at: datetime,
) -> int:
    """Send a hand-over to every recipient of a route; return to how many. What was sent already is
    not sent again.

    `address`: of its page, beginning with a slash. Raises NotFound for a route that is not of this
    part of the plant, UserError if it has no recipient.
    """
    permit("comment", actor.role)
    chosen = account.chosen
    found = next((one for one in chosen.routes if one.name == route), None)
    if found is None:
        raise NotFound(translatable("there is no route “{name}” for this line", name=route))
    recipients = [name for name in channels_of(found) if name in platform.channels]
    if not recipients:
        raise UserError(translatable("the route “{name}” has no configured channel", name=route))
    language = language_of(found, platform.language)
    subject = _subject(account, language)
    named = {one.definition for one in account.summary.muted}
    named |= {one.definition for one in account.summary.changes}
    named |= {s.scope.definition for s in account.summary.silences if s.scope.definition}
    titles = {name: newest_title(platform.definitions, name) for name in named}
    text = "\n".join(
        describe_account(account, asset_titles(platform.assets.all()), titles, language)
    )
    handover = account.handover
    digest = hashlib.sha256(f"{subject}\n{text}".encode()).hexdigest()[:12]
    payload = {"handover": handover.id, "page": address, "sender": actor.name}
    messages = [
        replace(
            new_message(
                f"handover:{handover.id}:{digest}:{one}", one, subject, text, at, route, **payload
            ),
            asset=chosen.part,
            transition="reminder",
        )
        for one in recipients
    ]
    added = platform.notifications.add(messages)
    if added:
        about = f"{chosen.part or 'plant'} {handover.start.isoformat(timespec='minutes')}"
        platform.audit.add(actor.name, template("shift hand-over sent"), about, at, after=route)
    return len(recipients)


def _subject(account: ShiftAccount, language: Language) -> str:
    chosen = account.chosen
    names = " · ".join(name for name in (chosen.shift.name, chosen.title) if name)
    return language.say("Hand-over {shift}", shift=names or language.say("of the plant"))


def describe_account(
    account: ShiftAccount, assets: Mapping[str, str], titles: Mapping[str, str], language: Language
) -> list[str]:
    """Return a hand-over as lines of text, with instants that the delivery writes as local
    times. `assets`, `titles`: titles of assets and of definitions."""
    summary = account.summary
    chosen = account.chosen
    handover = account.handover
    lines = [
        language.say(
            "Shift from {start} to {end}.",
            start=chosen.shift.start.isoformat(),
            end=chosen.shift.end.isoformat(),
        ),
        sentence(
            language.say(
                "{raised} raised, {open} open, {unanswered} not answered, {done} done",
                raised=str(summary.raised),
                open=str(summary.open_count),
                unanswered=str(summary.questions),
                done=str(summary.deed_count),
            )
        ),
        sentence(
            language.say("as signed {when}", when=summary.at.isoformat())
            if handover.signed
            else language.say("as of {when}", when=summary.at.isoformat())
        ),
        language.say("Handed over by {person}.", person=handover.left.actor)
        if handover.left
        else language.say("Not signed by the person who leaves."),
        language.say("Taken over by {person}.", person=handover.taken.actor)
        if handover.taken
        else language.say("Not signed by the person who comes."),
    ]
    for title, listed in _sections(account, assets, titles, language):
        lines += _section(language.say("{name}:", name=title), listed)
    if summary.omitted:
        lines += ["", language.say("{number} more are not listed.", number=str(summary.omitted))]
    return lines


def _sections(
    account: ShiftAccount, assets: Mapping[str, str], titles: Mapping[str, str], language: Language
) -> Sequence[tuple[str, Sequence[str]]]:
    """Return the sections of the message, each with its lines, which may be none."""
    summary = account.summary
    notes = [
        f"{one.note.at.isoformat()} {one.note.actor}: {one.note.text}" for one in account.notes
    ]
    return (
        (language.say("Notes"), notes),
        (language.say("Open now"), [_alarm(one, assets, language) for one in summary.open]),
        (
            language.say("Unanswered, of earlier shifts"),
            [_alarm(one, assets, language) for one in summary.left],
        ),
        (language.say("What was done"), [_deed(one, assets, language) for one in summary.deeds]),
        (
            language.say("Ended in this shift"),
            [_alarm(one, assets, language) for one in summary.over],
        ),
        (
            language.say("Muted"),
            [
                language.say(
                    "{definition} on {asset} until {until}: {reason} ({person})",
                    definition=titles[one.definition],
                    asset=assets.get(one.asset, one.asset),
                    until=one.until.isoformat() if one.until else language.say("returned by hand"),
                    reason=language.translate(one.reason),
                    person=one.actor,
                )
                for one in summary.muted
            ]
            + [_silence(one, assets, titles, language) for one in summary.silences],
        ),
        (
            language.say("Changed definitions"),
            [
                language.say(
                    "{name}: {text}",
                    name=f"{titles[one.definition]} ({one.revision}), {one.actor}",
                    text=language.translate(one.reason),
                )
                for one in summary.changes
            ],
        ),
        (
            language.say("Since the signature"),
            [
                *(_alarm(one, assets, language) for one in account.later_alarms),
                *(_deed(one, assets, language) for one in account.later_deeds),
            ],
        ),
    )


def _section(head: str, listed: Sequence[str]) -> list[str]:
    return ["", head, *(f"- {one}" for one in listed)] if listed else []


def _alarm(alarm: ShiftAlarm, assets: Mapping[str, str], language: Language) -> str:
    values = {
        "severity": language.translate(SEVERITY_NAMES[alarm.severity]),
        "title": alarm.title,
        "asset": assets.get(alarm.asset, alarm.asset),
    }
    start = alarm.raised_at.isoformat()
    if alarm.closed_at is None:
        said = language.say("{severity}: {title} on {asset}, since {since}", **values, since=start)
    else:
        said = language.say(
            "{severity}: {title} on {asset}, {start} to {end}",
            **values,
            start=start,
            end=alarm.closed_at.isoformat(),
        )
    for part in _state(alarm, language):
        said = language.say("{first}; {second}", first=said, second=part)
    return said


def _state(alarm: ShiftAlarm, language: Language) -> list[str]:
    """Return who has taken an alarm over, whether it is muted, what came of it, and its answer."""
    found = []
    if alarm.taken_by:
        found.append(language.say("taken over by {person}", person=alarm.taken_by))
    elif alarm.closed_at is None:
        found.append(language.say("taken over by no one"))
    if alarm.is_muted:
        found.append(language.say("muted"))
    if alarm.outcome and alarm.outcome != "undetermined":
        found.append(language.translate(OUTCOME_NAMES[alarm.outcome]))
    if alarm.is_question:
        found.append(language.say("not answered"))
    elif alarm.verdict:
        found.append(language.translate(VERDICT_NAMES[alarm.verdict]))
    elif alarm.acted:
        found.append(language.say("acted"))
    return found


def _silence(
    silence: ShiftSilence, assets: Mapping[str, str], titles: Mapping[str, str], language: Language
) -> str:
    scope = silence.scope
    return language.say(
        "{kind}: {scope}, {start} to {end}: {reason} ({person})",
        kind=language.translate(SILENCE_KINDS[silence.kind]).capitalize(),
        scope=describe_scope(
            scope,
            assets.get(scope.part, scope.part) if scope.part else None,
            titles.get(scope.definition or ""),
            language,
        ),
        start=silence.since.isoformat(),
        end=silence.until.isoformat(),
        reason=silence.reason,
        person=silence.actor,
    )


def _deed(deed: ShiftDeed, assets: Mapping[str, str], language: Language) -> str:
    text = f": {deed.text}" if deed.text else ""
    outcome = f" ({language.translate(OUTCOME_NAMES[deed.outcome])})" if deed.outcome else ""
    where = assets.get(deed.asset, deed.asset)
    what = f"{deed_text(deed, language)}{text}"
    return f"{deed.at.isoformat()} {what}; {deed.title}, {where}{outcome}"
