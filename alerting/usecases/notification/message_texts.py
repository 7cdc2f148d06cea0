"""Message texts and payloads of notifications, for people and systems."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, tzinfo
from types import MappingProxyType
from typing import Any

from alerting.definitions.alert_definition import SEVERITY_NAMES, Severity
from alerting.definitions.wording.language import (
    ENGLISH,
    Language,
    Value,
    has_part,
    template,
    translatable,
)
from alerting.episodes.advice import low_risk
from alerting.episodes.episode import (
    Change,
    Episode,
    RecommendationResult,
    Transition,
    TransitionKind,
)
from alerting.episodes.prediction_rule import HORIZON_PASSED, LONGEST_PASSED, RISK_LOW
from alerting.episodes.reconciliation import NOT_FOUND_AGAIN, NOT_HAPPENING
from alerting.notifications.notification import FIRST, Notification
from alerting.ports import Links, Message
from alerting.reporting.phrases import (
    GUIDANCE_NAMES,
    distance,
)
from alerting.reporting.sentences import (
    OTHERWISE,
    advice_shown,
    advised_at,
    describe_happened,
    headline,
    reasons,
    reasons_at,
    risk_since_raise,
    sentence,
    step_with_time,
    what_to_do,
)
from alerting.reporting.sentences import message as in_one_line


def stated_severity(episode: Episode, notification: Notification) -> Severity:
    """Return the severity to state. A notification of a raise, or of a rise in severity, states the
    severity at its own instant, even if the severity has changed since."""
    states_its_instant = notification.transition in ("raised", "severity_rose")
    return (
        notification.severity if states_its_instant and notification.severity else episode.severity
    )


def _advice_payload(advice: RecommendationResult) -> dict[str, Any]:
    return {
        "message": advice.message,
        "background": advice.background,
        "helps": advice.helps,
        "risk_before": advice.risk_before,
        "risk_after": advice.risk_after,
        "changes": _change_payloads(advice.changes),
        "alternatives": [
            {
                "message": a.message,
                "risk_after": a.risk_after,
                "unusual": a.unusual,
                "changes": _change_payloads(a.changes),
            }
            for a in advice.alternatives
        ],
    }


def _change_payloads(changes: Sequence[Change]) -> list[dict[str, Any]]:
    return [
        {"variable": c.variable, "from": c.before, "to": c.after, "unit": c.unit} for c in changes
    ]


# messages on an episode that was announced before
_LATER = ("repeated", "escalated", "unmuted", "reopened")
# causes that the subject states already
_SELF_EVIDENT = ("severity_rose", "renewed", "repeated", "escalated", "happening")
_ENDS: Mapping[str, str] = {
    HORIZON_PASSED: translatable("the predicted time has passed without the problem"),
    RISK_LOW: translatable("the risk is low again, without the problem so far"),
    LONGEST_PASSED: translatable("the problem has not come in the longest time of an alarm"),
    NOT_FOUND_AGAIN: translatable("data that came late show no reason for it"),
}
_SUBJECTS = {
    "severity_rose": template("Worse: {alert}"),
    "renewed": template("Another reason: {alert}"),
    "repeated": template("Still open after {duration}: {alert}"),
    "escalated": template("Not acknowledged for {duration}: {alert}"),
    "reopened": template("Not over: {alert}"),
    "unmuted": template("No longer muted, still open: {alert}"),
}


@dataclass(frozen=True)
class Reader:
    """The view of one message: the instant of its delivery, and its language with its clock. Times
    have their day, because a message may be read on another one."""

    now: datetime
    language: Language

    def moment(self, value: datetime) -> str:
        """Return an instant, and its distance from the delivery."""
        return f"{self.language.instant(value)} ({distance(value, self.now, self.language)})"

    def full(self, text: str) -> str:
        """Return a text of the platform as a sentence in the reader's language and times."""
        return sentence(self.local(text))

    def local(self, text: str) -> str:
        """Return a text of the platform in the reader's language and times."""
        return self.language.translate(text)

    def say(self, text: str, /, **values: Value) -> str:
        """Return a template in the reader's language."""
        return self.language.say(text, **values)


def message(
    episode: Episode,
    notification: Notification,
    links: Links | None = None,
    acknowledging: Collection[str | None] = (),
    now: datetime | None = None,
    zone: tzinfo = UTC,
    conflicts: Sequence[str] = (),
    language: Language = ENGLISH,
    asset: str | None = None,
    present: str | None = None,
    block: str | None = None,
) -> Message:
    """Return the message of one notification of an episode.

    `acknowledging`: names of routes whose messages may acknowledge by a link. `now`: instant of the
    delivery; times are in `zone`. `conflicts`: sentences on open alerts of the asset with the
    opposite advice. `asset`: the title of its asset. `present`: a sentence on the present value,
    for a message on an alert that was announced before. `block`: the production to block. The
    payload is for programs, and in English.
    """
    at = now or notification.created_at
    reader = Reader(at, language.with_clock(zone, at, dated=True))
    subject = _subject(episode, notification, reader, asset or episode.asset)
    details = _DETAILS.get(notification.transition, _open_lines)
    lines = [subject, *details(episode, notification, reader)]
    if present is not None:
        lines.insert(2, present)
    if block is not None:
        lines.append(reader.say("Production: {block}.", block=reader.local(block)))
    if notification.transition not in _DETAILS:
        lines += map(reader.local, conflicts)
    text = "\n".join(lines)
    advice = advice_shown(episode)
    (strongest, weaker) = reasons(episode)
    payload = {  # for programs: in English, with instants in UTC
        "episode": episode.id,
        "definition": episode.definition,
        "revision": episode.revision,
        "asset": episode.asset,
        "transition": notification.transition,
        "reason": notification.reason,
        "severity": stated_severity(episode, notification),
        "title": episode.title,
        "message": in_one_line(episode),
        "raised_at": episode.raised_at.isoformat(),
        "phase": episode.phase,
        "happening_at": episode.happening_at and episode.happening_at.isoformat(),
        "closed_at": episode.closed_at and episode.closed_at.isoformat(),
        "evaluation": episode.evaluation.reason,
        "value": episode.evaluation.value,
        "threshold": episode.evaluation.threshold,
        "contributions": [
            {
                "variable": c.variable,
                "members": [*c.members],
                "share": c.share,
                "message": c.message,
            }
            for c in (*strongest, *weaker)
        ],
        "recommendation": advice
        and {**_advice_payload(advice), "at": reasons_at(episode).isoformat()},
        "guidance": episode.guidance,
        **({} if block is None else {"block": block}),
    }
    plain = Message(notification.key, subject, text, payload, language=language.code)
    if links is None:
        return plain
    acknowledge = (
        notification.route in acknowledging
        and episode.condition == "open"
        and episode.acknowledged is None
    )
    made = links.answer_links(episode.id, notification.channel, acknowledge)
    return replace(
        plain, links=tuple(replace(link, label=language.translate(link.label)) for link in made)
    )


def is_later(episode: Episode, notification: Notification) -> bool:
    """Return whether a message is about an open alert that was announced before. Its reason belongs
    to that earlier instant, so its reader needs the present value too."""
    return notification.transition in _LATER and episode.condition == "open"


def content_message(notification: Notification, language: Language = ENGLISH) -> Message:
    """Return the message of a notification that belongs to no single episode, whose text is
    finished. A message about the platform itself is in English."""
    content = notification.content
    assert content is not None  # noqa: S101 - see `Notification`
    code = ENGLISH.code if "platform" in content.payload else language.code
    return Message(notification.key, content.subject, content.text, content.payload, language=code)


def _subject(episode: Episode, notification: Notification, reader: Reader, asset: str) -> str:
    """Return the subject line: first what has happened, then the severity, then title and asset."""
    alert = reader.say("{title} on {asset}", title=episode.title, asset=asset)
    if notification.transition == "closed" and episode.withdrawn:
        return reader.say("Withdrawn: {alert}", alert=alert)
    if notification.transition == "closed":
        at_once = episode.happening_at is not None and episode.happening_at == episode.closed_at
        return (
            reader.say("It happened: {alert}", alert=alert)
            if at_once
            else reader.say("Over: {alert}", alert=alert)
        )
    if notification.transition == "happening":
        return reader.say("It is happening: {alert}", alert=alert)
    if notification.transition == "corrected":
        if has_part(notification.reason, NOT_HAPPENING):
            return reader.say("It is not happening: {alert}", alert=alert)
        return reader.say("It happened after all: {alert}", alert=alert)
    severity = reader.language.translate(
        SEVERITY_NAMES[stated_severity(episode, notification)]
    ).upper()
    alarm = reader.say(
        "{severity}: {title} on {asset}", severity=severity, title=episode.title, asset=asset
    )
    subject = _SUBJECTS.get(notification.transition)
    return (
        reader.say(
            subject,
            alert=alarm,
            duration=reader.language.minutes(reader.now - episode.raised_at),
        )
        if subject
        else alarm
    )


def _end_lines(episode: Episode, notification: Notification, reader: Reader) -> list[str]:
    happening_at = None if episode.withdrawn else episode.happening_at
    ended = episode.closed_at or reader.now
    lasted = reader.language.interval(episode.raised_at, ended)
    reason = reader.local(_ENDS.get(notification.reason, notification.reason))
    whole = reader.say(
        "{interval}: {reason}.", interval=f"{lasted[:1].upper()}{lasted[1:]}", reason=reason
    )
    lines = [] if happening_at is not None and happening_at == ended else [whole]
    if happening_at is not None:
        lines.append(reader.full(describe_happened(episode) or ""))
    if episode.is_prediction:
        lines.append(_predicted(episode, reader))
    else:
        was = reader.full(episode.evaluation.reason)
        lines.append(reader.say("It was: {reason}", reason=was))
    lines += _worst(episode, reader)
    lines += [
        reader.say("{when}: {reason}", when=t.at, reason=reader.full(t.reason))
        for t in episode.transitions
        if t.kind == "renewed"
    ][-3:]
    if episode.acknowledged is None:
        lines.append(reader.say("It was not acknowledged."))
    return lines


def _worst(episode: Episode, reader: Reader) -> list[str]:
    """Return when and by what an episode reached its worst severity; nothing if it had that
    severity from its raise on."""
    peak = episode.severity_peak or episode.severity
    rise = next((t for t in _severity_changes(episode) if t.severity == peak), None)
    if rise is not None:
        reason = reader.local(rise.reason)
        return [reader.say("Worse {when}: {reason}.", when=rise.at, reason=reason)]
    if peak == episode.severity:
        return []
    name = reader.language.translate(SEVERITY_NAMES[peak])
    return [reader.say("Worst severity: {severity}.", severity=name)]


def _severity_changes(episode: Episode) -> list[Transition]:
    return [t for t in episode.transitions if t.kind == "severity"]


def _corrected_lines(episode: Episode, notification: Notification, reader: Reader) -> list[str]:
    return [reader.full(notification.reason), _predicted(episode, reader)]


def _predicted(episode: Episode, reader: Reader) -> str:
    reason = reader.full(episode.evaluation.reason)
    return reader.say("It was predicted {when}: {reason}", when=episode.raised_at, reason=reason)


def _open_lines(episode: Episode, notification: Notification, reader: Reader) -> list[str]:
    """Return the lines of an open episode: what is wrong, since when, what to do; in a first
    notification also why."""
    lines = [*_change_lines(episode, notification, reader), *_time_lines(episode, reader)]
    if episode.phase == "expected" and notification.transition in _LATER:
        lines = _expectation_lines(episode, reader)
    if episode.condition == "open":
        lines += [reader.full(episode.life_message)] if episode.life_message else []
        lines += _advice_lines(episode, notification, reader)
    if notification.transition != "repeated":
        lines += _reason_lines(episode, notification, reader)
    if notification.transition not in _SELF_EVIDENT and notification.reason != FIRST:
        reason = reader.local(notification.reason)
        lines.append(reader.say("You receive this because: {reason}.", reason=reason))
    return lines


def _time_lines(episode: Episode, reader: Reader) -> list[str]:
    since = reader.moment(episode.raised_at)
    until = episode.expected_until(reader.now)
    expected = until if episode.is_prediction and until != episode.raised_at else None
    if episode.happening_at is not None:
        return _expectation_lines(episode, reader)[:1]
    if expected:
        return [reader.say("Since {when}; expected by {expected}.", when=since, expected=expected)]
    return [reader.say("Since {when}.", when=since)]


def _expectation_lines(episode: Episode, reader: Reader) -> list[str]:
    """Return what was predicted at the raise, with "within 30 min" and the risk as of then, and
    until when the problem is expected."""
    since = reader.moment(episode.raised_at)
    reason = reader.full(episode.evaluation.reason)
    lines = [reader.say("Predicted {when}: {reason}", when=since, reason=reason)]
    until = episode.expected_until(reader.now)
    if until is not None and until != episode.raised_at:
        lines.append(reader.say("Expected by {expected}.", expected=until))
    return lines


def _computed_at(episode: Episode, notification: Notification) -> datetime | None:
    """Return the time of the reasons and the advice; None if the message is about exactly that
    instant."""
    at = reasons_at(episode)
    return None if notification.transition == "raised" and at == episode.raised_at else at


def _reason_lines(episode: Episode, notification: Notification, reader: Reader) -> list[str]:
    strongest, weaker = reasons(episode)
    when = _computed_at(episode, notification) if episode.is_prediction else None
    why = template("Why: {reason}") if when is None else template("Why ({when}): {reason}")
    lines = [reader.say(why, when=when or "", reason=reader.full(c.message)) for c in strongest]
    if strongest:
        lines.append(reader.say("(This is what the model used, not a proven cause.)"))
    if weaker:
        count = reader.language.say_count(
            "{number} more reason on the page of the alarm.",
            "{number} more reasons on the page of the alarm.",
            len(weaker),
        )
        lines.append(count)
    named = (
        (reader.language.translate(GUIDANCE_NAMES[name]), episode.guidance.get(name))
        for name in ("cause", "consequence")
    )
    return [
        *lines,
        *(reader.say("{name}: {text}", name=name, text=text) for name, text in named if text),
    ]


def _advice_lines(episode: Episode, notification: Notification, reader: Reader) -> list[str]:
    """Return the advice: the next step first, then the other advice of the model or the engineer,
    and when it is meant."""
    advice = advice_shown(episode)
    action = episode.guidance.get("action")
    step = what_to_do(episode)
    when = _computed_at(episode, notification)
    text = "" if step is None else reader.language.translate(step)
    model_advice = "" if advice is None else reader.language.translate(advice.message)
    lines = []
    course = risk_since_raise(episode, None, reader.language)
    if course is not None and episode.present is not None:
        at = episode.present.at
        lines.append(reader.say("{course} ({when}).", course=course, when=at))
    is_low = low_risk(episode) is not None
    if is_low:
        now = reader.full(step_with_time(episode) or "")
        lines.append(reader.say("What to do: {step}", step=now))
    elif advised_at(episode) is not None and when is not None:
        lines.append(reader.say("What to do (advice of {when}): {step}", when=when, step=text))
    elif step:
        lines.append(reader.say("What to do: {step}", step=text))
    if advice is not None and advice.message != step:
        if when is None:
            lines.append(reader.say("The model: {advice}", advice=model_advice))
        else:
            lines.append(reader.say("The model ({when}): {advice}", when=when, advice=model_advice))
    if action and action != step and not is_low:
        lines.append(reader.say(OTHERWISE, action=reader.full(action)))
    if advice is not None and advice.changes:
        note = reader.say("(A what-if of the model; the platform changes no setting by itself.)")
        lines.append(note)
    return lines


_DETAILS: Mapping[TransitionKind, Callable[[Episode, Notification, Reader], list[str]]] = (
    MappingProxyType({"closed": _end_lines, "corrected": _corrected_lines})
)


def _change_lines(episode: Episode, notification: Notification, reader: Reader) -> list[str]:
    """Return the lines on what is wrong: the state when the notification became due, and the
    changes since."""
    severity = stated_severity(episode, notification)
    changes = _severity_changes(episode)
    risen = [t.reason for t in changes if t.severity == severity][-1:]
    if notification.transition == "severity_rose" and risen:
        lines = [reader.say("Worse: {reason}.", reason=reader.local(risen[0]))]
    elif notification.transition in ("happening", "renewed"):
        lines = [reader.full(notification.reason)]
    else:
        lines = [
            reader.full(
                episode.evaluation.reason
                if notification.transition == "raised"
                else headline(episode)
            )
        ]
    present = headline(episode)
    is_stated = any(has_part(t, present) for t in (episode.evaluation.reason, notification.reason))
    if episode.condition == "closed":
        closed = episode.closed_at or ""
        lines.append(reader.say("Meanwhile: over since {when}.", when=closed))
    elif notification.transition in ("raised", "renewed") and (
        episode.happening_at is not None
        or (severity == episode.severity and episode.renewals and not is_stated)
    ):
        lines.append(reader.say("Meanwhile: {reason}", reason=reader.full(present)))
    elif severity != episode.severity and changes:
        lines.append(reader.say("Meanwhile: {reason}.", reason=reader.local(changes[-1].reason)))
    return lines
