"""Message texts and payloads of notifications, for people and systems."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, tzinfo
from typing import Any

from alerting.definitions.alert_definition import SEVERITY_NAMES, Severity
from alerting.definitions.wording.language import (
    ENGLISH,
    Language,
    has_part,
    template,
    translatable,
)
from alerting.episodes.advice import low_risk
from alerting.episodes.episode import Change, Episode
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


def message(
    episode: Episode,
    notification: Notification,
    language: Language = ENGLISH,
    now: datetime | None = None,
    zone: tzinfo = UTC,
    asset: str | None = None,
    conflicts: Sequence[str] = (),
    present: str | None = None,
    block: str | None = None,
    links: Links | None = None,
    acknowledge: bool = False,
) -> Message:
    """Return the message of one notification of an episode.

    `now`: instant of the delivery; times are in `zone` and have their day, because a message may be
    read on another one. `asset`: the title of its asset. `conflicts`: sentences on open alerts of
    the asset with the opposite advice. `present`: a sentence on the present value, for a message on
    an alert that was announced before. `block`: the production to block. `acknowledge`: whether its
    links may acknowledge an open alert. The payload is for programs, and in English.
    """
    at = now or notification.created_at
    reads = language.with_clock(zone, at, dated=True)
    lines = [_subject(episode, notification, reads, at, asset or episode.asset)]
    if notification.transition == "closed":
        lines += _end_lines(episode, notification, reads, at)
    elif notification.transition == "corrected":
        lines += [
            sentence(reads.translate(notification.reason)),
            _describe_prediction(episode, reads),
        ]
    else:
        lines += _open_lines(episode, notification, reads, at)
    if present is not None:
        lines.insert(2, present)
    if block is not None:
        lines.append(reads.say("Production: {block}.", block=reads.translate(block)))
    if notification.transition not in ("closed", "corrected"):
        lines += map(reads.translate, conflicts)
    links_made = (
        ()
        if links is None
        else links.answer_links(
            episode.id,
            notification.channel,
            acknowledge and episode.condition == "open" and episode.acknowledged is None,
        )
    )
    return Message(
        notification.key,
        lines[0],
        "\n".join(lines),
        _payload(episode, notification, block),
        links=tuple(replace(link, label=reads.translate(link.label)) for link in links_made),
        language=language.code,
    )


def _payload(episode: Episode, notification: Notification, block: str | None) -> dict[str, Any]:
    """Return what programs read: in English, with instants in UTC."""
    advice = advice_shown(episode)
    payload: dict[str, Any] = {
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
            for part in reasons(episode)
            for c in part
        ],
        "recommendation": advice
        and {
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
            "at": reasons_at(episode).isoformat(),
        },
        "guidance": episode.guidance,
    }
    return payload if block is None else {**payload, "block": block}


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


def _subject(
    episode: Episode, notification: Notification, reads: Language, now: datetime, asset: str
) -> str:
    """Return the subject line: first what has happened, then the severity, then title and asset."""
    alert = reads.say("{title} on {asset}", title=episode.title, asset=asset)
    match notification.transition:
        case "closed" if episode.withdrawn:
            subject = template("Withdrawn: {alert}")
        case "closed" if episode.happening_at and episode.happening_at == episode.closed_at:
            subject = template("It happened: {alert}")
        case "closed":
            subject = template("Over: {alert}")
        case "happening":
            subject = template("It is happening: {alert}")
        case "corrected" if has_part(notification.reason, NOT_HAPPENING):
            subject = template("It is not happening: {alert}")
        case "corrected":
            subject = template("It happened after all: {alert}")
        case transition:
            severity = reads.translate(SEVERITY_NAMES[stated_severity(episode, notification)])
            alert = reads.say(
                "{severity}: {title} on {asset}",
                severity=severity.upper(),
                title=episode.title,
                asset=asset,
            )
            subject = _SUBJECTS.get(transition, "")
    if not subject:
        return alert
    return reads.say(subject, alert=alert, duration=reads.minutes(now - episode.raised_at))


def _end_lines(
    episode: Episode, notification: Notification, reads: Language, now: datetime
) -> list[str]:
    """Return the lines of an episode that is over: when and why, what it was, its worst severity,
    and what else it was."""
    happening_at = None if episode.withdrawn else episode.happening_at
    ended = episode.closed_at or now
    lasted = reads.interval(episode.raised_at, ended)
    reason = reads.translate(_ENDS.get(notification.reason, notification.reason))
    whole = reads.say(
        "{interval}: {reason}.", interval=f"{lasted[:1].upper()}{lasted[1:]}", reason=reason
    )
    lines = [] if happening_at is not None and happening_at == ended else [whole]
    if happening_at is not None:
        lines.append(sentence(reads.translate(describe_happened(episode) or "")))
    lines.append(
        _describe_prediction(episode, reads)
        if episode.is_prediction
        else reads.say(
            "It was: {reason}", reason=sentence(reads.translate(episode.evaluation.reason))
        )
    )
    peak = episode.severity_peak or episode.severity
    rises = [t for t in episode.transitions if t.kind == "severity" and t.severity == peak]
    if rises:
        worse = reads.translate(rises[0].reason)
        lines.append(reads.say("Worse {when}: {reason}.", when=rises[0].at, reason=worse))
    elif peak != episode.severity:
        name = reads.translate(SEVERITY_NAMES[peak])
        lines.append(reads.say("Worst severity: {severity}.", severity=name))
    lines += [
        reads.say("{when}: {reason}", when=t.at, reason=sentence(reads.translate(t.reason)))
        for t in episode.transitions
        if t.kind == "renewed"
    ][-3:]
    if episode.acknowledged is None:
        lines.append(reads.say("It was not acknowledged."))
    return lines


def _describe_prediction(episode: Episode, reads: Language) -> str:
    reason = sentence(reads.translate(episode.evaluation.reason))
    return reads.say("It was predicted {when}: {reason}", when=episode.raised_at, reason=reason)


def _open_lines(
    episode: Episode, notification: Notification, reads: Language, now: datetime
) -> list[str]:
    """Return the lines of an open episode: what is wrong, since when, what to do; in a first
    notification also why."""
    since = f"{reads.instant(episode.raised_at)} ({distance(episode.raised_at, now, reads)})"
    until = episode.expected_until(now)
    expected = None if until == episode.raised_at else until
    reason = sentence(reads.translate(episode.evaluation.reason))
    # what was predicted at the raise, with "within 30 min" and the risk as of then
    predicted = reads.say("Predicted {when}: {reason}", when=since, reason=reason)
    if episode.phase == "expected" and notification.transition in _LATER:
        lines = [predicted]
        if expected is not None:
            lines.append(reads.say("Expected by {expected}.", expected=expected))
    else:
        lines = _change_lines(episode, notification, reads)
        if episode.happening_at is not None:
            lines.append(predicted)
        elif expected is not None and episode.is_prediction:
            lines.append(
                reads.say("Since {when}; expected by {expected}.", when=since, expected=expected)
            )
        else:
            lines.append(reads.say("Since {when}.", when=since))
    when: datetime | None = reasons_at(episode)
    if notification.transition == "raised" and when == episode.raised_at:
        when = None  # the message is about exactly that instant
    if episode.condition == "open":
        if episode.life_message:
            lines.append(sentence(reads.translate(episode.life_message)))
        lines += _advice_lines(episode, when, reads)
    if notification.transition != "repeated":
        lines += _reason_lines(episode, when if episode.is_prediction else None, reads)
    if notification.transition not in _SELF_EVIDENT and notification.reason != FIRST:
        because = reads.translate(notification.reason)
        lines.append(reads.say("You receive this because: {reason}.", reason=because))
    return lines


def _reason_lines(episode: Episode, when: datetime | None, reads: Language) -> list[str]:
    """Return the reasons, of another instant with that one, and the engineer's causes."""
    strongest, weaker = reasons(episode)
    why = template("Why: {reason}") if when is None else template("Why ({when}): {reason}")
    lines = [
        reads.say(why, when=when or "", reason=sentence(reads.translate(c.message)))
        for c in strongest
    ]
    if strongest:
        lines.append(reads.say("(This is what the model used, not a proven cause.)"))
    if weaker:
        count = reads.say_count(
            "{number} more reason on the page of the alarm.",
            "{number} more reasons on the page of the alarm.",
            len(weaker),
        )
        lines.append(count)
    for name in ("cause", "consequence"):
        text = episode.guidance.get(name)
        if text:
            heading = reads.translate(GUIDANCE_NAMES[name])
            lines.append(reads.say("{name}: {text}", name=heading, text=text))
    return lines


def _advice_lines(episode: Episode, when: datetime | None, reads: Language) -> list[str]:
    """Return the advice: the next step first, then the other advice of the model or the engineer,
    and when it is meant, if it is of another instant."""
    advice = advice_shown(episode)
    action = episode.guidance.get("action")
    step = what_to_do(episode)
    lines = []
    course = risk_since_raise(episode, None, reads)
    if course is not None and episode.present is not None:
        at = episode.present.at
        lines.append(reads.say("{course} ({when}).", course=course, when=at))
    is_low = low_risk(episode) is not None
    if is_low:
        present_step = sentence(reads.translate(step_with_time(episode) or ""))
        lines.append(reads.say("What to do: {step}", step=present_step))
    elif step is not None and advised_at(episode) is not None and when is not None:
        text = reads.translate(step)
        lines.append(reads.say("What to do (advice of {when}): {step}", when=when, step=text))
    elif step:
        lines.append(reads.say("What to do: {step}", step=reads.translate(step)))
    if advice is not None and advice.message != step:
        model_advice = reads.translate(advice.message)
        if when is None:
            lines.append(reads.say("The model: {advice}", advice=model_advice))
        else:
            lines.append(reads.say("The model ({when}): {advice}", when=when, advice=model_advice))
    if action and action != step and not is_low:
        lines.append(reads.say(OTHERWISE, action=sentence(reads.translate(action))))
    if advice is not None and advice.changes:
        note = reads.say("(A what-if of the model; the platform changes no setting by itself.)")
        lines.append(note)
    return lines


def _change_lines(episode: Episode, notification: Notification, reads: Language) -> list[str]:
    """Return the lines on what is wrong: the state when the notification became due, and the
    changes since."""
    severity = stated_severity(episode, notification)
    changes = [t for t in episode.transitions if t.kind == "severity"]
    risen = [t.reason for t in changes if t.severity == severity][-1:]
    present = headline(episode)
    if notification.transition == "severity_rose" and risen:
        lines = [reads.say("Worse: {reason}.", reason=reads.translate(risen[0]))]
    else:
        wrong = present
        if notification.transition in ("happening", "renewed"):
            wrong = notification.reason
        elif notification.transition == "raised":
            wrong = episode.evaluation.reason
        lines = [sentence(reads.translate(wrong))]
    is_stated = any(has_part(t, present) for t in (episode.evaluation.reason, notification.reason))
    if episode.condition == "closed":
        closed = episode.closed_at or ""
        lines.append(reads.say("Meanwhile: over since {when}.", when=closed))
    elif notification.transition in ("raised", "renewed") and (
        episode.happening_at is not None
        or (severity == episode.severity and episode.renewals and not is_stated)
    ):
        meanwhile = sentence(reads.translate(present))
        lines.append(reads.say("Meanwhile: {reason}", reason=meanwhile))
    elif severity != episode.severity and changes:
        lines.append(reads.say("Meanwhile: {reason}.", reason=reads.translate(changes[-1].reason)))
    return lines
