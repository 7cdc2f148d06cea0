"""Life of an episode in event time: pure functions that advance a condition from one evaluation to
the next, and its outcome.

Live evaluation, catch-up, replay and training metrics call the same functions, so that they agree
to the millisecond.

The outcome follows from one table of problem, action and verdict (record 0012 says what feedback
changes). Reported misses: an operator says that an alert should have been raised.
"""

import hashlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Any, Literal

from alerting.definitions.alert_definition import SEVERITIES, SEVERITY_NAMES, Severity
from alerting.definitions.wording.language import joined, translatable
from alerting.detection.carried_reading import Carried
from alerting.detection.evaluation_results_and_texts import (
    UNKNOWN,
    Evaluation,
    Status,
    StatusInterval,
)
from alerting.episodes.episode import Feedback, Outcome, OutcomeRecord, Verdict


@dataclass(frozen=True)
class SeverityState:
    """Condition of one severity above the least severe one: since when it is pending, met, or
    clearing."""

    severity: Severity
    pending_since: datetime | None = None
    met_since: datetime | None = None
    clearing_since: datetime | None = None


@dataclass(frozen=True, kw_only=True)
class LastingState:
    """Part of a target's state that new readings seldom change.

    `pending_since`: first triggered instant of a condition whose episode is not open yet.
    `raised_at`: of the open episode. `clearing_since`: first clear instant while the episode is
    open. `last_raised_at`, `last_closed_at`: of the previous episode. `severity`: present severity
    of the open episode; `severity_peak`: its worst one; both None for models. `levels`: the
    conditions of all severities above the least severe one, if there are several. `cause`: which
    condition keeps the open episode open (see `StatusInterval`), `unknown` while none is known to;
    None for models and before the first evaluation that knows it. `next_cause`: another one that is
    true since `next_since`, for less than the on-delay.

    Only models have these: `raised_by`: the revision that raised the open episode;
    `happening_since`: when its problem was known to have come; `problem_since`: since when the
    problem's condition is true, if it is at the watermark; `rearm_at`: until when no episode is
    raised after a problem, unless a lower score comes first (1970 without such a problem, None
    before the first evaluation); `last_high_at`: instant of the last score that kept the open or
    the previous episode open; `clearing_since`: instant of the first lower score after that;
    `prediction_ended_at`: end of the prediction of an episode that is still open after it.
    """

    pending_since: datetime | None = None
    raised_at: datetime | None = None
    clearing_since: datetime | None = None
    last_raised_at: datetime | None = None
    last_closed_at: datetime | None = None
    severity: Severity | None = None
    severity_peak: Severity | None = None
    levels: tuple[SeverityState, ...] = ()
    cause: str | None = None
    next_cause: str | None = None
    next_since: datetime | None = None
    raised_by: int | None = None
    happening_since: datetime | None = None
    problem_since: datetime | None = None
    rearm_at: datetime | None = None
    last_high_at: datetime | None = None
    prediction_ended_at: datetime | None = None


@dataclass(frozen=True)
class ConditionState(LastingState):
    """State of one target between two evaluations.

    `watermark`: evaluated up to and including this instant. `carried`: the last evaluated reading,
    carried forward until the next reading or until it is stale. `unknown_count`: number of
    evaluations in a row that ended unknown, `unknown_reason`: why.
    """

    watermark: datetime
    carried: Carried | None = None
    unknown_count: int = 0
    unknown_reason: str | None = None


@dataclass(frozen=True)
class Step:
    """Result of `advance`: an episode was raised, changed its severity, or was closed at this
    instant of event time.

    `severity`: the new severity, None when closed and for models. `follows`: raise of the previous
    episode, if this one continues where that one ended. A `revised` step: another revision
    evaluates the open episode from here on. A `happening` step: the predicted problem is known to
    have come. A `renewed` step: another condition (`cause`) is true. `evaluation`: of a severity or
    a renewed step, from the kind. `prediction_ended_at`: of a happening or closed prediction.
    """

    kind: Literal["raised", "severity", "renewed", "revised", "happening", "closed"]
    at: datetime
    raised_at: datetime
    reason: str
    follows: datetime | None = None
    severity: Severity | None = None
    prediction_ended_at: datetime | None = None
    cause: str | None = None
    evaluation: Evaluation | None = None


def advance(
    state: ConditionState,
    intervals: Sequence[StatusInterval],
    hold: timedelta,
    clear_for: timedelta,
    severities: Sequence[Severity] = ("medium",),
    on_delays: Mapping[Severity, timedelta] = MappingProxyType({}),
) -> tuple[ConditionState, list[Step]]:
    """Advance a condition through consecutive intervals. Return the state at the end of the last
    one and the steps.

    Unknown resets a pending or clearing condition, and an open episode is known to be unknown; it
    changes nothing else. Another condition of an open episode has the same on-delay.

    `severities`: all that an interval may have, the least severe first. The condition of a severity
    is met while an interval is that severe or worse. Each of these conditions has its own on- and
    off-delay (`on_delays`: those other than `hold`), and the worst severity whose condition is met
    is the severity of the episode. Cutting the same intervals at other instants gives the same
    steps.
    """
    delays = [on_delays.get(severity, hold) for severity in severities]
    steps: list[Step] = []
    levels = {level.severity: level for level in state.levels}
    state = replace(state, levels=tuple(levels.get(s, SeverityState(s)) for s in severities[1:]))
    least = _least_severity(state, severities)
    for interval in intervals:
        is_open = state.raised_at is not None
        if not (state.levels or state.next_since or (is_open and interval.status != "clear")):
            after, changed_at = _advance_severity(
                least, interval.status, interval, delays[0], clear_for
            )
            if changed_at is None:  # most intervals: the state as a whole is made once, at the end
                least = after
                continue
        state = _with_least(state, least)
        state = _advance_interval(state, interval, delays, clear_for, severities, steps)
        least = _least_severity(state, severities)
    return _with_least(state, least), steps


def _least_severity(state: ConditionState, severities: Sequence[Severity]) -> SeverityState:
    return SeverityState(severities[0], state.pending_since, state.raised_at, state.clearing_since)


def _with_least(state: ConditionState, least: SeverityState) -> ConditionState:
    return replace(state, pending_since=least.pending_since, clearing_since=least.clearing_since)


def _advance_interval(
    state: ConditionState,
    interval: StatusInterval,
    delays: Sequence[timedelta],
    clear_for: timedelta,
    severities: Sequence[Severity],
    steps: list[Step],
) -> ConditionState:
    """Advance through one interval: first the condition itself, then within it the conditions of
    the worse severities. One of these with a shorter on-delay meets the condition itself."""
    least = _least_severity(state, severities)
    after, changed_at = _advance_severity(least, interval.status, interval, delays[0], clear_for)
    levels = []
    changes = {}
    for level, delay in zip(state.levels, delays[1:], strict=True):
        level_after, at = _advance_severity(
            level, _status_of(level.severity, interval, severities), interval, delay, clear_for
        )
        levels.append(level_after)
        if at is not None:
            changes[level_after.severity] = at
    if least.met_since is None and changes and min(changes.values()) < (changed_at or interval.end):
        changed_at = min(changes.values())
        after = SeverityState(least.severity, met_since=changed_at)
    after_state = replace(
        state,
        pending_since=after.pending_since,
        clearing_since=after.clearing_since,
        raised_at=after.met_since,
        levels=tuple(levels),
    )
    if changed_at is not None and after.met_since is not None:
        since = state.pending_since or interval.start
        reason = translatable("the condition is met")
        if changed_at > since:
            reason = translatable("the condition has held since {since}", since=since)
        severity = _worst({s for s, at in changes.items() if at <= changed_at}, severities)
        cause = interval.cause
        steps.append(Step("raised", changed_at, changed_at, reason, None, severity, cause=cause))
        return _record_severity_changes(
            replace(after_state, severity=severity, severity_peak=severity, cause=cause),
            changed_at,
            severities,
            changes,
            steps,
        )
    if state.raised_at is not None and (changes or state.next_since or interval.status != "clear"):
        open_state = replace(after_state, raised_at=state.raised_at)
        reached = [
            delay
            for severity, delay in zip(severities, delays, strict=True)
            if _status_of(severity, interval, severities) == "triggered"
        ]
        open_state, renewed_at = _advance_cause(
            open_state, interval, min(reached, default=delays[0])
        )
        after_state = _record_severity_changes(
            open_state, interval.start, severities, changes, steps, changed_at, renewed_at
        )
    if changed_at is not None and state.raised_at is not None:
        steps.append(
            Step("closed", changed_at, state.raised_at, translatable("the condition is gone"))
        )
        return without_episode(replace(after_state, raised_at=state.raised_at), changed_at)
    return after_state


def _advance_cause(
    state: ConditionState, interval: StatusInterval, hold: timedelta
) -> tuple[ConditionState, datetime | None]:
    """Return the state with another condition that is true, if any, and the instant in the interval
    from which that keeps the episode open: after its on-delay, but at once if none is known to be
    true, or one is again."""
    cause = UNKNOWN if interval.status == "unknown" else interval.cause
    if interval.status == "clear" or cause == state.cause:
        return replace(state, next_cause=None, next_since=None), None
    since = (state.next_since if state.next_cause == cause else None) or interval.start
    at_once = cause == UNKNOWN or state.cause in (None, UNKNOWN)
    due = interval.start if at_once else max(since + hold, interval.start)
    pending = replace(state, next_cause=cause, next_since=since)
    return pending, due if due < interval.end else None


def without_episode(state: ConditionState, closed_at: datetime) -> ConditionState:
    """Return the state after its open episode has ended. A model's next episode continues that
    episode only if its problem has not come."""
    return replace(
        state,
        raised_at=None,
        raised_by=None,
        clearing_since=None,
        happening_since=None,
        prediction_ended_at=None,
        severity=None,
        severity_peak=None,
        cause=None,
        next_cause=None,
        next_since=None,
        levels=tuple(SeverityState(level.severity) for level in state.levels),
        last_raised_at=None if state.happening_since else state.raised_at,
        last_closed_at=closed_at,
    )


def forget_after(state: ConditionState, at: datetime) -> ConditionState:
    """Return a state, evaluated to a later instant, as one evaluated to `at`: without what it has
    of later instants."""

    def without_later(part: LastingState | SeverityState) -> dict[str, Any]:
        return {
            name: None
            for name, value in vars(part).items()
            if isinstance(value, datetime) and value > at
        }

    changes: dict[str, Any] = {
        **without_later(state),
        "watermark": at,
        "carried": None if state.carried is None else state.carried.at_earlier(at),
        "levels": tuple(replace(level, **without_later(level)) for level in state.levels),
    }
    if "raised_at" in changes:
        changes |= {"severity": None, "severity_peak": None}
    return replace(state, **changes)


def _advance_severity(
    condition: SeverityState,
    status: Status,
    interval: StatusInterval,
    hold: timedelta,
    clear_for: timedelta,
) -> tuple[SeverityState, datetime | None]:
    """Return the condition of a severity at the end of the interval, and the instant in it at which
    the condition became met or ceased to be met; None if neither happened."""
    triggered = status == "triggered"
    if status == "unknown" or triggered == (condition.met_since is not None):
        if condition.pending_since is None and condition.clearing_since is None:
            return condition, None
        return SeverityState(condition.severity, met_since=condition.met_since), None
    since = (condition.pending_since if triggered else condition.clearing_since) or interval.start
    due = max(since + (hold if triggered else clear_for), interval.start)
    if due >= interval.end:
        pending = since if triggered else condition.pending_since
        clearing = condition.clearing_since if triggered else since
        return SeverityState(condition.severity, pending, condition.met_since, clearing), None
    return SeverityState(condition.severity, met_since=due if triggered else None), due


def _status_of(
    severity: Severity, interval: StatusInterval, severities: Sequence[Severity]
) -> Status:
    if interval.status != "triggered":
        return interval.status
    reached = interval.severity or severities[0]
    return "triggered" if SEVERITIES.index(reached) >= SEVERITIES.index(severity) else "clear"


def _record_severity_changes(
    state: ConditionState,
    start: datetime,
    severities: Sequence[Severity],
    changes: dict[Severity, datetime],
    steps: list[Step],
    closed_at: datetime | None = None,
    renewed_at: datetime | None = None,
) -> ConditionState:
    """Record every change of severity and of the cause of an open episode from `start` on.

    `changes`: when a worse condition began or ended; `renewed_at`: when the next cause is the
    cause. At `start` itself the severity can differ
    because another revision evaluates from here on. A condition that ends at the instant of the
    close is no change; it was met until then.
    """
    raised_at = state.raised_at
    if raised_at is None:
        return state
    ends = {level.severity for level in state.levels if level.met_since is not None}
    severity = state.severity
    peak = state.severity_peak
    instants = {start, renewed_at or start, *(t for t in changes.values() if t > start)}
    for at in sorted(t for t in instants if closed_at is None or t < closed_at):
        if at == renewed_at:
            cause = state.next_cause
            state = replace(state, cause=cause, next_cause=None, next_since=None)
            steps.append(Step("renewed", at, raised_at, "", None, severity, cause=cause))
        now = _worst(ends ^ {s for s, changed in changes.items() if changed > at}, severities)
        if severity not in (None, now):
            change = translatable(
                "{before} → {after}", before=SEVERITY_NAMES[severity], after=SEVERITY_NAMES[now]
            )
            steps.append(Step("severity", at, raised_at, change, None, now, cause=state.cause))
            peak = worse(peak, now)
        severity = now
    return replace(state, severity=severity, severity_peak=peak)


def worse(first: Severity | None, second: Severity) -> Severity:
    """Return the worse of two severities."""
    return second if first is None else max(first, second, key=SEVERITIES.index)


def _worst(met: Collection[Severity], severities: Sequence[Severity]) -> Severity:
    return next((s for s in reversed(severities) if s in met), severities[0])


RULES = 4  # the version of the rules that determine outcomes
Occurred = Literal["in_time", "too_late", "during", "no", "unknown"]


@dataclass(frozen=True)
class Observed:
    """What the data show of the outcome window (raised_at, last high score + gap + horizon].

    `too_late`: the problem came at or before raised_at + gap. `during`: it was going on when a
    detector raised the alarm. `reason`: why it is unknown whether the problem occurred, if it is.
    """

    occurred: Occurred
    problem_at: datetime | None = None
    reason: str = ""


def consensus(feedback: Sequence[Feedback]) -> tuple[Verdict | None, bool]:
    """Return the common verdict of several people, and whether they disagree, which makes the
    verdict unsure.

    The last verdict of each person counts.
    """
    verdicts = set({f.actor: f.verdict for f in feedback if f.verdict is not None}.values())
    if len(verdicts) > 1:
        return "unsure", True
    return (verdicts.pop() if verdicts else None), False


def acted_within(feedback: Sequence[Feedback], raised_at: datetime, window_end: datetime) -> bool:
    """Return whether an operator acted within the outcome window.

    An action without its own time counts at the time of its report.
    """
    return any(f.acted and raised_at <= (f.acted_at or f.at) <= window_end for f in feedback)


def determine_outcome(
    has_problem: bool,
    observed: Observed,
    acted: bool,
    verdict: Verdict | None,
) -> OutcomeRecord:
    """Determine the outcome. `has_problem`: the definition names a problem that data confirm."""
    outcome, reason = _by_data(observed, acted, verdict) if has_problem else _by_word(verdict)
    occurred = {"no": False, "unknown": None}.get(observed.occurred, True)
    return OutcomeRecord(
        outcome=outcome,
        reason=reason,
        occurred=occurred if has_problem else None,
        problem_at=observed.problem_at,
        too_late=has_problem and observed.occurred == "too_late",
        acted=acted,
        rules=RULES,
    )


def outcome_in_maintenance(feedback: Sequence[Feedback]) -> OutcomeRecord:
    """Return the outcome of an episode that was raised in maintenance: undetermined, whatever the
    data show."""
    return OutcomeRecord(
        outcome="undetermined",
        reason=translatable("raised in maintenance: left out of outcomes and figures"),
        occurred=None,
        problem_at=None,
        too_late=False,
        acted=any(answer.acted for answer in feedback),
        rules=RULES,
    )


def undetermined_reason(has_problem: bool) -> str:
    """Return why an episode without an outcome has none."""
    return translatable("the outcome is not known yet") if has_problem else _by_word(None)[1]


def _by_word(verdict: Verdict | None) -> tuple[Outcome, str]:
    if verdict == "true_alarm":
        return "hit", translatable("the operator says it was right")
    if verdict == "false_alarm":
        return "false_alarm", translatable("the operator says it was wrong")
    return "undetermined", translatable("no operator gave a verdict")


_UNSURE: tuple[Outcome, str] = (
    "undetermined",
    translatable("the problem did not occur, and the operator is unsure"),
)
_AVOIDED: tuple[Outcome, str] = (
    "avoided",
    translatable("an operator acted, and the problem did not occur"),
)
# By whether an operator acted, and the verdict.
_WITHOUT_PROBLEM: Mapping[tuple[bool, Verdict | None], tuple[Outcome, str]] = {
    (False, "unsure"): _UNSURE,
    (True, "unsure"): _UNSURE,
    (False, "false_alarm"): ("false_alarm", translatable("the operator says it was wrong")),
    (True, "false_alarm"): ("false_alarm", translatable("the operator acted and found nothing")),
    (False, "true_alarm"): (
        "hit",
        translatable("the operator says it was right; the problem did not occur"),
    ),
    (True, "true_alarm"): _AVOIDED,
    (False, None): ("false_alarm", translatable("the problem did not occur")),
    (True, None): _AVOIDED,
}


def _by_data(observed: Observed, acted: bool, verdict: Verdict | None) -> tuple[Outcome, str]:
    if observed.occurred == "unknown":
        return "undetermined", observed.reason
    if observed.occurred == "no":
        return _WITHOUT_PROBLEM[acted, verdict]
    parts = [
        {
            "in_time": translatable("the problem occurred"),
            "during": translatable("the problem was going on"),
            "too_late": translatable("the problem occurred, too late to act"),
        }[observed.occurred]
    ]
    if acted:
        parts.append(translatable("an operator acted without preventing it"))
    if verdict == "false_alarm":
        parts.append(translatable("conflict: the operator says it was wrong"))
    return "hit", joined("; ", *parts)


@dataclass(frozen=True)
class ReportedMiss:
    """A problem without an alert: `missed_at` is when it happened, `at` when `actor` reported it.
    Never overwritten."""

    definition: str
    asset: str
    missed_at: datetime
    comment: str
    actor: str
    at: datetime

    @property
    def id(self) -> str:
        """Return the id, which is the same for the same definition, asset and time of the
        problem."""
        key = f"miss|{self.definition}|{self.asset}|{self.missed_at.isoformat()}"
        return hashlib.sha256(key.encode()).hexdigest()[:16]
