"""Sentences about an episode, the same for pages, messages, the API and the command line."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from types import MappingProxyType

from alerting.definitions.wording.language import (
    ENGLISH,
    Language,
    Styled,
    Translatable,
    Value,
    has_part,
    joined,
    template,
    translatable,
)
from alerting.detection.evaluation_results_and_texts import OF_A_READING
from alerting.episodes.advice import low_risk, split_reasons
from alerting.episodes.episode import (
    Contribution,
    Episode,
    Feedback,
    RecommendationResult,
    RecommendationTaken,
    Transition,
    TransitionKind,
)
from alerting.notifications.notification import FIRST, Notification
from alerting.operators.actions_and_mutes import IsaState
from alerting.reporting.phrases import OUTCOME_NAMES, TAKEN_NAMES, VERDICT_NAMES

# The engineer's text beside advice of a model that comes first.
OTHERWISE = template("If that is not possible or not enough: {action}")
# Advice of an instant at which the risk was higher, behind a sentence on the risk now.
_BEFORE = template("Before (advice of {when}): {advice}")
STATE_NAMES: Mapping[IsaState, str] = MappingProxyType({
    "normal": translatable("over, acknowledged"),
    "unacknowledged": translatable("not acknowledged"),
    "acknowledged": translatable("acknowledged"),
    "returned unacknowledged": translatable("over, not acknowledged"),
    "shelved": translatable("shelved"),
    "suppressed by design": translatable("suppressed by design"),
    "out of service": translatable("out of service"),
})  # fmt: skip
_HAPPENED: Mapping[TransitionKind, str] = MappingProxyType({
    "raised": translatable("Raised"),
    "severity": translatable("Severity"),
    "renewed": translatable("Another reason"),
    "outcome": translatable("Outcome"),
    "corrected": translatable("Corrected"),
    "acknowledged": translatable("Acknowledged"),
    "assigned": translatable("Assigned"),
    "muted": translatable("Muted"),
    "reminder": translatable("Reminder"),
    "escalated": translatable("Escalated"),
    "revised": translatable("New revision"),
    "happening": translatable("It is happening"),
    "closed": translatable("Over"),
    "reopened": translatable("Open again"),
    "feedback": translatable("Answer"),
    "confirmed": translatable("Action confirmed"),
    "commented": translatable("Comment"),
    "unmuted": translatable("No longer muted"),
    "maintenance": translatable("Raised in maintenance"),
    "suppressed": translatable("Suppressed by design"),
    "severity_rose": translatable("Worse"),
    "repeated": translatable("Reminder"),
})  # fmt: skip
_DELIVERED: Mapping[str, str] = MappingProxyType({
    "sent": translatable("sent"),
    "pending": translatable("waits to be sent"),
    "claimed": translatable("being sent"),
    "failed": translatable("waits for another attempt"),
    "dead": translatable("not delivered"),
    "muted": translatable("not sent: muted"),
    "grouped": translatable("sent, together with others"),
    "dropped": translatable("not sent: outdated before it was due"),
})  # fmt: skip
MESSAGE_NAMES: Mapping[TransitionKind, str] = MappingProxyType({
    "raised": translatable("alarm"),
    "happening": translatable("it is happening"),
    "closed": translatable("end"),
    "corrected": translatable("correction"),
    "severity_rose": translatable("worse"),
    "renewed": translatable("another reason"),
    "escalated": translatable("escalation"),
    "repeated": translatable("reminder"),
    "reopened": translatable("open again"),
    "unmuted": translatable("still open"),
})  # fmt: skip


def sentence(text: str) -> str:
    """Return a text with a capital first letter and a full stop at its end."""
    text = text.strip()
    stop = "" if text.endswith((".", "!", "?", "…")) or not text else "."
    return text[:1].upper() + text[1:] + stop


def what_to_do(episode: Episode) -> str | None:
    """Return the newest advice that helps (for an ended episode the advice of the raise), else the
    definition's text."""
    advice = advice_shown(episode)
    if advice is not None and advice.changes and (advice.helps or "action" not in episode.guidance):
        return advice.message
    return episode.guidance.get("action")


def advised_at(episode: Episode) -> datetime | None:
    """Return the instant for which the next step was computed; None if no model advised it."""
    advice = advice_shown(episode)
    if advice is None or what_to_do(episode) != advice.message:
        return None
    return reasons_at(episode)


def reasons_at(episode: Episode) -> datetime:
    """Return the instant of the reasons and the advice that are shown."""
    return episode.advised_at if episode.condition == "open" else episode.raised_at


def step_with_time(episode: Episode) -> str | None:
    """Return the next step in one line, advice of a model with its instant: if the risk is low
    again, that comes first."""
    step = what_to_do(episode)
    when = advised_at(episode)
    low = low_risk(episode)
    if step is None or when is None:
        return step or low
    if is_advice_of_before(episode):
        return joined(" ", low or "", translatable(_BEFORE, advice=step, when=when))
    return translatable("{advice} (advice of {when})", advice=step, when=when)


def is_advice_of_before(episode: Episode) -> bool:
    """Return whether the next step of an open episode is out of date: computed before the problem
    came, or before the risk was low again."""
    when = advised_at(episode)
    if episode.condition != "open" or when is None:
        return False
    came = episode.happening_at
    return low_risk(episode) is not None or (came is not None and when < came)


def advice_shown(episode: Episode) -> RecommendationResult | None:
    """Return the newest advice of an open episode; for an ended episode the advice of its raise."""
    return episode.advice if episode.condition == "open" else episode.recommendation


def risk_since_raise(
    episode: Episode, taken: RecommendationTaken | None = None, language: Language = ENGLISH
) -> str | None:
    """Describe the course of the risk since the raise; None before it is known again.

    Also None once the problem has come, because the score is then no risk that it will come.

    `taken`: the advised changes that readings show; other changes of set-points may have another
    reason.
    """
    present = episode.present
    at_raise = episode.evaluation.value
    if present is None or at_raise is None or episode.happening_at is not None:
        return None
    if taken not in ("yes", "partly"):
        course = template("Since the alarm came: risk {before} → {after}")
    elif present.risk < at_raise:
        course = template("The change you made has taken effect: risk {before} → {after}")
    else:
        course = template("A change was made, without effect so far: risk {before} → {after}")
    return language.say(
        course, before=Styled(at_raise, "share"), after=Styled(present.risk, "share")
    )


def reasons(episode: Episode) -> tuple[Sequence[Contribution], Sequence[Contribution]]:
    """Return the three strongest contributions, and the rest: the newest, or those of the raise."""
    newest = episode.present if episode.condition == "open" else None
    return split_reasons(newest.contributions if newest else episode.contributions)


def headline(episode: Episode) -> str:
    """Return the headline: the reason of the raise, of the last change of severity or of the
    condition that keeps it open, or of the problem that has come, with its instant, because values
    have changed since."""
    came = _coming(episode)
    if episode.phase == "happening" and came is not None:
        return translatable(
            "It is happening. As of {when}: {reason}", when=came.at, reason=came.reason
        )
    changes = [t for t in episode.transitions if t.kind == "severity"]
    latest = changes[-1].cause if changes and episode.condition == "open" else ""
    return latest if latest and not episode.renewals else episode.current.reason


def observed_variable(episode: Episode) -> str | None:
    """Return the title of the variable if the headline of an open episode states a single reading,
    else None. Next to the present value, that reading would be a second value of the same
    variable."""
    if episode.condition != "open":
        return None
    readings = list(_readings_in(headline(episode)))
    return str(readings[0].values["name"]) if len(readings) == 1 else None


def _readings_in(text: Value) -> Iterator[Translatable]:
    if isinstance(text, Translatable):
        if text.template in OF_A_READING:
            yield text
        for value in text.values.values():
            yield from _readings_in(value)


def headline_as_of(episode: Episode) -> str:
    """Return the headline, of a reading in an open episode with the instant at which it was so."""
    reason = headline(episode)
    states_its_instant = _coming(episode) or episode.current.status == "unknown"
    if observed_variable(episode) is None or (episode.phase == "happening" and states_its_instant):
        return reason
    rises = [t.at for t in episode.transitions if t.kind == "severity"]
    at = max(episode.current.at, *rises, episode.raised_at)
    return translatable("As of {when}: {reason}", when=at, reason=reason)


def describe_happened(episode: Episode) -> str | None:
    """Return what came, with the instant at which it was known; None if it has not come."""
    came = _coming(episode)
    if came is None:
        return None
    return translatable("It happened. As of {when}: {reason}", when=came.at, reason=came.reason)


def _coming(episode: Episode) -> Transition | None:
    if episode.happening_at is None:
        return None
    return next((t for t in reversed(episode.transitions) if t.kind == "happening"), None)


def message(episode: Episode, language: Language = ENGLISH) -> str:
    """Describe an episode in one line, by a reader's clock: severity, title, asset, reason, next
    step."""
    step = step_with_time(episode) if episode.condition == "open" else None
    texts = [sentence(language.translate(text)) for text in (headline(episode), step) if text]
    return f"{episode.severity.upper()}: {episode.title} on {episode.asset}: {' '.join(texts)}"


def outcome(episode: Episode) -> str | None:
    """Describe the outcome of an episode; None while it is open, or the outcome is unknown."""
    if episode.condition == "open" or episode.outcome_record is None:
        return None
    return OUTCOME_NAMES[episode.outcome_record.outcome]


def last_answer(episode: Episode, actor: str) -> Feedback | None:
    """Return a person's last feedback with a verdict, else the last with an action."""
    answers = [f for f in episode.feedback if f.actor == actor and (f.verdict or f.acted)]
    return max(reversed(answers), key=lambda answer: answer.verdict is not None, default=None)


def last_taken(episode: Episode, actor: str | None = None) -> RecommendationTaken | None:
    """Return the last answer on whether the recommendation was followed, of a person or anyone."""
    answers = (f for f in reversed(episode.feedback) if actor in (None, f.actor))
    return next((f.recommendation_taken for f in answers if f.recommendation_taken), None)


def has_acted(episode: Episode, actor: str) -> bool:
    """Return whether a person has reported an action."""
    return any(f.acted for f in episode.feedback if f.actor == actor)


def answer(feedback: Feedback, language: Language = ENGLISH) -> str:
    """Describe a person's feedback: `right, acted: opened the damper. “It was wide open.”`"""
    parts = [language.translate(VERDICT_NAMES[feedback.verdict])] if feedback.verdict else []
    if feedback.acted:
        parts.append(
            language.say("acted: {action}", action=feedback.action)
            if feedback.action
            else language.say("acted")
        )
    if feedback.recommendation_taken:
        parts.append(language.translate(TAKEN_NAMES[feedback.recommendation_taken]))
    text = ", ".join(parts)
    if not feedback.comment:
        return text
    comment = language.say("“{comment}”", comment=feedback.comment)
    return f"{text}. {comment}" if text else comment


def describe_transition(transition: Transition, language: Language = ENGLISH) -> tuple[str, str]:
    """Return a transition as a heading and its reason, without codes."""
    heading = language.translate(_HAPPENED[transition.kind])
    if transition.outcome is None:
        return heading, language.translate(transition.reason)
    outcome = language.translate(OUTCOME_NAMES[transition.outcome])
    return heading, f"{outcome}: {language.translate(transition.cause)}"


def describe_delivery(notification: Notification, language: Language = ENGLISH) -> tuple[str, str]:
    """Return a notification as a heading and its result."""
    message_name = language.translate(
        MESSAGE_NAMES.get(notification.transition, notification.transition.replace("_", " "))
    )
    if notification.status == "sent":
        why = "" if has_part(notification.reason, FIRST) else notification.reason
        return language.say("Notified: {channel}", channel=notification.channel), (
            language.translate(why) if notification.transition == "raised" else message_name
        )
    heading = language.say("Message to {channel}", channel=notification.channel)
    fault = (
        f": {language.translate(notification.error)}"
        if notification.error and notification.status in ("dead", "failed")
        else ""
    )
    return heading, f"{message_name}: {language.translate(_DELIVERED[notification.status])}{fault}"


def history(
    episode: Episode, notifications: Iterable[Notification], language: Language = ENGLISH
) -> list[tuple[datetime, str, str, str]]:
    """List the history of an episode and its notifications in the order of time.

    Each row: instant, heading, reason, actor (empty for the platform itself). An outcome that
    cannot be known yet is excluded.
    """
    rows = [
        (t.at, *describe_transition(t, language), "" if t.actor == "platform" else t.actor)
        for t in episode.transitions
        if t.outcome != "undetermined"
    ]
    rows += [
        (n.delivered_at or n.created_at, *describe_delivery(n, language), "") for n in notifications
    ]
    # stable: at one instant the transition comes before its messages
    return sorted(rows, key=lambda row: row[0])
