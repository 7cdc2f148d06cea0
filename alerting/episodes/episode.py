"""The episode: one continuous time of trouble of one definition on one asset. People call it an
alert.

Metrics count very many episodes at once, by an extract (`Alarm`) of each.
"""

import hashlib
from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, Literal, get_args

from alerting.definitions.alert_definition import Severity
from alerting.definitions.wording.language import Translatable, translatable
from alerting.detection.evaluation_results_and_texts import UNKNOWN, Evaluation
from alerting.episodes.mode_shares import ModeShare
from alerting.episodes.remaining_life import RemainingLife

PLATFORM = "platform"  # the actor of what people did not do
Condition = Literal["open", "closed"]
TransitionKind = Literal[
    "raised", "severity", "renewed", "revised", "happening", "closed", "feedback", "outcome",
    "corrected", "acknowledged", "confirmed", "commented", "assigned", "muted", "unmuted",
    "reminder", "severity_rose", "escalated", "repeated", "suppressed", "reopened", "maintenance",
]  # fmt: skip
Verdict = Literal["true_alarm", "false_alarm", "unsure"]
Phase = Literal["expected", "happening", "over"]
Outcome = Literal["hit", "avoided", "false_alarm", "undetermined"]
OUTCOMES: tuple[Outcome, ...] = get_args(Outcome)
RecommendationTaken = Literal["yes", "partly", "other", "no"]
Safety = Literal["aim", "threshold", "nominal"]


@dataclass(frozen=True)
class Transition:
    """A change of an episode, with time, actor and reason, and the new severity or outcome where
    one of these changed."""

    kind: TransitionKind
    at: datetime
    actor: str
    reason: str
    severity: Severity | None = None
    outcome: Outcome | None = None

    @property
    def cause(self) -> str:
        """Return the reason behind the change that its sentence states first; empty without one."""
        value = self.reason.values.get("reason") if isinstance(self.reason, Translatable) else ""
        return value if isinstance(value, str) else ""


@dataclass(frozen=True)
class Quantity:
    """The quantity of a variable that a reason names: its level, trend, spread or another statistic
    over a window.

    `usual`, `usual_low`, `usual_high`: as in `Contribution`. `is_unusual`: the value is outside of
    its usual range, or differs from the usual value.
    """

    statistic: str
    window: timedelta | None
    value: float | str | None
    usual: float | str | None
    unit: str | None
    is_unusual: bool
    usual_low: float | None = None
    usual_high: float | None = None


@dataclass(frozen=True)
class Contribution:
    """Share of one variable in one score, in probability; all shares add up to score minus the
    usual score.

    `value`: level of the variable. `usual`: its median over the training rows, or its most frequent
    level; `usual_low`, `usual_high`: its 10 and 90 % quantiles, None if it is no number.
    `quantity`: the quantity of the variable that the message names. `members`: of variables that
    move together, whose share this is, all of them, those that operators can set first; empty for
    a variable by itself.
    """

    variable: str
    share: float
    value: float | str | None
    usual: float | str | None
    message: str
    usual_low: float | None = None
    usual_high: float | None = None
    quantity: Quantity | None = None
    members: tuple[str, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """Return the variables of the reason, the one that its message names first."""
        return tuple(dict.fromkeys((self.variable, *self.members)))


def reasons_by_variable(contributions: Iterable[Contribution]) -> dict[str, tuple[str, ...]]:
    """Return the reason of each variable of these contributions, whichever models they are of: the
    sorted names of all variables that are of one reason with it in any of them."""
    reasons: dict[str, tuple[str, ...]] = {}
    for contribution in contributions:
        joined = {n for name in contribution.names for n in reasons.get(name, (name,))}
        reasons |= dict.fromkeys(joined, tuple(sorted(joined)))
    return reasons


def fold_reasons(
    contributions: Sequence[Contribution],
    reasons: Mapping[str, tuple[str, ...]],
    named: Container[str] = (),
) -> dict[tuple[str, ...], Contribution]:
    """Return an episode's contributions by reason (`reasons_by_variable`): one with the sum of the
    shares, otherwise that of a variable in `named` if there is one, else the largest."""
    return {
        names: replace(
            max(parts, key=lambda part: (part.variable in named, abs(part.share))),
            share=sum(part.share for part in parts),
        )
        for names in dict.fromkeys(reasons[part.variable] for part in contributions)
        for parts in [[part for part in contributions if reasons[part.variable] == names]]
    }


@dataclass(frozen=True)
class Change:
    """One change of a recommendation: of a set-point, a switch (0 or 1) or a category (text).

    `takes`: duration of the ramp, if the variable has a rate; None for a change at once.
    """

    variable: str
    before: float | str
    after: float | str
    unit: str | None
    takes: timedelta | None = None


@dataclass(frozen=True)
class Alternative:
    """A further answer of the what-if, with more effort than the recommended one.

    `effort`, `unusual`, `safety`, `moves`: as in RecommendationResult.
    """

    changes: tuple[Change, ...]
    risk_after: float
    message: str
    effort: float
    unusual: float | None = None
    safety: Safety | None = None
    moves: tuple[Change, ...] = ()


@dataclass(frozen=True)
class LeverReport:
    """One controllable variable in the search: the number of its settings, and why it is not part
    of the answer.

    `share`: contribution of the variable and of the variables that follow it, which orders the
    search. `reason`: empty if the variable is part of the answer.
    """

    variable: str
    share: float
    settings: int
    reason: str


@dataclass(frozen=True)
class RecommendationResult:
    """Result of a model's what-if: the change, and the risk before and after; or why there is no
    change.

    `effort`: sum over the changes of (share of the variable's range + 0.08) times the variable's
    cost. `unusual`: share of the normal training rows that are less unusual than the line after the
    change (0.95: as unusual as 1 in 20 of them); None if the model does not know. `safety`: even if
    each setting is missed by its tolerance, the score stays under the aimed score (aim) or under
    the threshold (threshold); or it is under the threshold only if settings are exact (nominal).
    `moves`: variables that follow the change, with their last value. `alternatives`: up to two more
    answers, by effort. `search`: no answer has less effort among the allowed settings (least), or
    the search was too large to know (best_found). `scorings`: rows scored. `levers`: all
    controllable variables, in the order of the search. `background`: further information on the
    advice, which an operator does not need to follow it.
    """

    changes: tuple[Change, ...]
    risk_before: float
    risk_after: float
    helps: bool
    message: str
    effort: float | None = None
    unusual: float | None = None
    safety: Safety | None = None
    moves: tuple[Change, ...] = ()
    alternatives: tuple[Alternative, ...] = ()
    search: Literal["least", "best_found"] | None = None
    scorings: int = 0
    levers: tuple[LeverReport, ...] = ()
    background: str = ""


@dataclass(frozen=True)
class EarlierAdvice:
    """Advice that has been replaced: in force from `since` on, with the risk of the instant at
    which other advice replaced it."""

    since: datetime
    until: datetime
    risk: float
    changes: tuple[Change, ...]
    message: str


@dataclass(frozen=True)
class PresentAdvice:
    """Reasons and advice of a prediction, computed again at its newest evaluated instant `at` as
    long as the problem is expected.

    `since`: the first instant from which the platform has given this same advice. `earlier`: the
    last pieces of advice that were replaced, oldest first. `advised_at`: the instant of reasons and
    advice if `at` gave none and earlier ones stay; None: `at`. `life`: the remaining life at `at`.
    """

    at: datetime
    since: datetime
    risk: float
    threshold: float | None
    model_version: int | None
    contributions: tuple[Contribution, ...]
    recommendation: RecommendationResult
    earlier: tuple[EarlierAdvice, ...] = ()
    advised_at: datetime | None = None
    life: RemainingLife | None = None


@dataclass(frozen=True)
class Feedback:
    """An operator's feedback on an episode; never overwritten.

    `recommendation_taken`: whether the operator followed the recommendation, followed it in part,
    changed something else, or changed nothing.
    """

    episode: str
    verdict: Verdict | None
    acted: bool
    action: str | None
    comment: str | None
    actor: str
    at: datetime
    acted_at: datetime | None = None
    recommendation_taken: RecommendationTaken | None = None


@dataclass(frozen=True)
class ActorStamp:
    """The first actor of some action on an episode, and the time of that action."""

    actor: str
    at: datetime


@dataclass(frozen=True)
class OutcomeRecord:
    """The derived outcome of an episode, with its reason and the version of the rules. `modes`: the
    named problems that came; None if there are none, or no problem came. `known_at`: when the data
    will show it, while that is to come."""

    outcome: Outcome
    reason: str
    occurred: bool | None
    problem_at: datetime | None
    too_late: bool
    acted: bool
    rules: int
    modes: tuple[str, ...] | None = None
    known_at: datetime | None = None


@dataclass(frozen=True)
class Episode:
    """One continuous time of trouble of one target.

    `raised_at` is event time, `detected_at` when the platform knew. `backfilled`: found in past
    times, notified to no recipient. `withdrawn`: reprocessing of its time did not find it again.
    `severity` follows the condition while the episode is open; `severity_peak` is the worst one.
    `outcome_due_at`: when to determine the outcome (again), None when only new feedback can change
    it. `muted_by`: the mute or suppression that holds back its notifications; they follow when it
    ends. `condition_started_at`: when it would have been raised if all data had come in time; only
    if that differs from `raised_at`. `renewals`: of each other condition that kept it open, and of
    `unknown`, the newest evaluation, oldest first. `late_data_status`: found only in late data, or
    refuted by late data. `is_prediction`: raised before its problem, which is expected in the
    prediction window. `contributions` and `recommendation` are those of the raise.

    Predictions alone have these: `happening_at`: when the problem was known to have come, None if
    it did not come; `prediction_ended_at`: `happening_at`, or else `valid_until`; `present`:
    reasons and advice of the newest evaluated instant after the raise, None before there is one.
    `modes`: at the raise, which of the named problems it probably is, the most probable first.
    `closed_at` is the end for people, `prediction_ended_at` the end for metrics of the model.
    `life`: the remaining life of the part at the raise. `announced_until`: the end of the
    prediction window as the raise announced it; `valid_until` moves on while the risk is high.
    """

    id: str
    definition: str
    revision: int
    kind: str
    asset: str
    title: str
    severity: Severity
    raised_at: datetime
    detected_at: datetime
    condition: Condition
    closed_at: datetime | None
    evaluation: Evaluation
    valid_until: datetime | None = None
    continues: str | None = None
    model_version: int | None = None
    backfilled: bool = False
    withdrawn: bool = False
    inputs: dict[str, Any] = field(default_factory=dict)
    contributions: tuple[Contribution, ...] = ()
    recommendation: RecommendationResult | None = None
    guidance: dict[str, str] = field(default_factory=dict)
    transitions: tuple[Transition, ...] = ()
    feedback: tuple[Feedback, ...] = ()
    outcome_record: OutcomeRecord | None = None
    outcome_due_at: datetime | None = None
    acknowledged: ActorStamp | None = None
    confirmed: ActorStamp | None = None
    assigned_to: str | None = None
    muted_by: str | None = None
    version: int = 1
    severity_peak: Severity | None = None
    condition_started_at: datetime | None = None
    late_data_status: Literal["found_late", "refuted"] | None = None
    is_prediction: bool = False
    happening_at: datetime | None = None
    prediction_ended_at: datetime | None = None
    present: PresentAdvice | None = None
    modes: tuple[ModeShare, ...] = ()
    life: RemainingLife | None = None
    renewals: tuple[Evaluation, ...] = ()
    announced_until: datetime | None = None

    def __post_init__(self) -> None:
        if self.severity_peak is None:
            object.__setattr__(self, "severity_peak", self.severity)

    def with_transition(
        self, kind: TransitionKind, at: datetime, reason: str, actor: str = PLATFORM, **changes: Any
    ) -> "Episode":
        """Return the episode after a transition, with these fields changed."""
        record = changes.get("outcome_record") if kind == "outcome" else None
        made = Transition(
            kind,
            at,
            actor,
            reason,
            changes.get("severity") if kind == "severity" else None,
            record.outcome if record else None,
        )
        return replace(self, transitions=(*self.transitions, made), **changes)

    def with_renewal(self, evaluation: Evaluation) -> "Episode":
        """Return the episode with the evaluation of the condition that is true from here on; with a
        transition if it is a condition that was not true before in this episode."""
        others = [r for r in self.renewals if r.cause != evaluation.cause]
        after = replace(self, renewals=(*others[-50:], evaluation))
        if not self.is_new(evaluation.cause):
            return after
        now = translatable("now: {reason}", reason=evaluation.reason)
        return after.with_transition("renewed", evaluation.at, now)

    def is_new(self, cause: str | None) -> bool:
        """Return whether a cause contains a condition that was not true before in this episode."""
        if cause in (None, UNKNOWN) or self.evaluation.cause is None:
            return False
        causes = (e.cause or "" for e in (self.evaluation, *self.renewals))
        return not set(cause.split("+")) <= {part for c in causes for part in c.split("+")}

    @property
    def current(self) -> Evaluation:
        """Return the evaluation that states why the episode is open now; after its end that of the
        last other condition, else that of the raise."""
        evaluations = [self.evaluation, *(r for r in self.renewals if r.status == "triggered")]
        if self.condition == "closed":
            return evaluations[-1 if any(t.kind == "renewed" for t in self.transitions) else 0]
        last = self.renewals[-1] if self.renewals else self.evaluation
        if last.status != "unknown":
            return last
        reason = translatable(
            "not known since {when}: {why}; it was: {reason}",
            when=last.at,
            why=last.reason,
            reason=evaluations[-1].reason,
        )
        return replace(last, reason=reason)

    @property
    def phase(self) -> Phase:
        """Return whether the episode's problem is expected, happening or over. An open alarm that
        is no prediction is happening."""
        if self.condition == "closed":
            return "over"
        return "expected" if self.is_prediction and self.happening_at is None else "happening"

    @property
    def maintenance(self) -> str | None:
        """Return the maintenance in which the episode was raised; None if there was none. Learning,
        outcomes and metrics leave out episodes raised in maintenance."""
        return next((t.reason for t in self.transitions if t.kind == "maintenance"), None)

    @property
    def advice(self) -> RecommendationResult | None:
        """Return the newest advice: the advice of the raise until advice is computed again."""
        return self.present.recommendation if self.present else self.recommendation

    @property
    def remaining_life(self) -> RemainingLife | None:
        """Return the newest estimate of the remaining life, None without one."""
        return self.present.life if self.present and self.present.life else self.life

    @property
    def life_message(self) -> str:
        """Return how long the part still lasts while the problem is expected; empty otherwise."""
        life = self.remaining_life if self.phase == "expected" else None
        return "" if life is None else life.message

    def expected_until(self, now: datetime) -> datetime | None:
        """Return until when the problem is expected: the end that the raise announced, so that it
        comes nearer; once that has passed, the end by the newest high risk. None without one."""
        announced = self.announced_until
        if self.valid_until is None or announced is None or announced <= now:
            return self.valid_until
        return min(announced, self.valid_until)

    @property
    def advised_at(self) -> datetime:
        """Return the instant for which the newest reasons and advice were computed."""
        return (
            self.raised_at if self.present is None else self.present.advised_at or self.present.at
        )

    @property
    def ended_at(self) -> datetime | None:
        """Return the end for metrics: the end of the prediction if this is one, else the end of the
        episode."""
        return self.prediction_ended_at or self.closed_at


def episode_id(definition: str, asset: str, raised_at: datetime) -> str:
    """Return the id of an episode, which is the same for every evaluation of the same history."""
    return hashlib.sha256(f"{definition}|{asset}|{raised_at.isoformat()}".encode()).hexdigest()[:24]


@dataclass(frozen=True)
class ExpectedWindow:
    """The times between which a problem is expected. `announced`: the end that the raise announced,
    if the problem has not come by then; else None."""

    start: datetime
    end: datetime
    announced: datetime | None = None


def expected_window(episode: Episode, horizon: timedelta, now: datetime) -> ExpectedWindow | None:
    """Return when the problem of an episode is expected; None if its phase is another one.

    The window is the one that the raise announced. Once that is over it is that of the risk: from
    the last high score + gap to that + gap + horizon.
    """
    if episode.phase != "expected" or episode.valid_until is None:
        return None
    end = episode.expected_until(now) or episode.valid_until
    start = max(episode.raised_at, end - horizon)
    announced = episode.announced_until
    is_over = announced is not None and announced < end
    return ExpectedWindow(min(start, end), end, announced if is_over else None)


TOGETHER = timedelta(minutes=1)
AT_ONCE = timedelta(seconds=1)
"""Of alarms with less time between them, none came first."""
FirstOut = Literal["first", "later"]


def first_out(
    episode: Episode, others: Iterable[Episode], together: timedelta = TOGETHER
) -> FirstOut | None:
    """Return `first` if other alarms of the asset follow within `together`, and none came within
    `together` before or within the same second; else `later`.

    Returns None for an alarm without any other within `together`.
    """
    gaps = [
        o.raised_at - episode.raised_at
        for o in others
        if o.asset == episode.asset and o.id != episode.id and not o.withdrawn
    ]
    if any(-together <= gap < AT_ONCE for gap in gaps):
        return "later"
    return "first" if any(gap <= together for gap in gaps if gap > timedelta(0)) else None


# transitions without a notification
_OF_ITSELF: tuple[TransitionKind, ...] = (
    "closed",
    "severity",
    "renewed",
    "revised",
    "outcome",
)


@dataclass(frozen=True, slots=True)
class Alarm:
    """Extract of an episode.

    `silent`: no recipient was notified (see `was_silent`), or the alarm was raised in maintenance.
    `suppressed`: by design, at some time. `in_maintenance`: raised in maintenance, and so counted
    in no metric. `withdrawn`: false if only late data withdrew the episode, because recipients were
    notified of it; `is_refuted`: late data did. `outcome`: None while it is not determined.
    """

    id: str
    definition: str
    asset: str
    severity: Severity
    raised_at: datetime
    closed_at: datetime | None
    backfilled: bool
    withdrawn: bool
    silent: bool
    suppressed: bool
    outcome: Outcome | None = None
    in_maintenance: bool = False
    title: str = ""
    is_refuted: bool = False


def alarm_of(episode: Episode | Alarm) -> Alarm:
    """Return the extract of an episode."""
    if isinstance(episode, Alarm):
        return episode
    transitions = [(t.kind, t.at) for t in episode.transitions]
    return Alarm(
        id=episode.id,
        definition=episode.definition,
        asset=episode.asset,
        severity=episode.severity,
        raised_at=episode.raised_at,
        closed_at=episode.closed_at,
        backfilled=episode.backfilled,
        withdrawn=episode.withdrawn and episode.late_data_status is None,
        silent=was_silent(transitions, episode.detected_at),
        suppressed=was_suppressed(transitions),
        outcome=episode.outcome_record.outcome if episode.outcome_record else None,
        in_maintenance=was_in_maintenance(transitions),
        title=episode.title,
        is_refuted=episode.withdrawn and episode.late_data_status is not None,
    )


def was_silent(
    transitions: Sequence[tuple[TransitionKind, datetime]], detected_at: datetime
) -> bool:
    """Return whether an alarm was muted as soon as it was known and never notified afterwards, or
    was raised in maintenance, even if it was notified when the maintenance ended.

    Suppression counts like a mute. An alarm that was notified first and muted later is not silent.
    """
    if was_in_maintenance(transitions):
        return True
    kinds = [(kind, at) for kind, at in transitions if kind not in _OF_ITSELF]
    if len(kinds) < 2 or any(kind == "unmuted" for kind, _ in kinds):
        return False
    kind, at = kinds[1]
    return kind in ("muted", "suppressed") and at <= detected_at


def was_suppressed(transitions: Sequence[tuple[TransitionKind, datetime]]) -> bool:
    """Return whether an alarm was suppressed by design at some time."""
    return any(kind == "suppressed" for kind, _ in transitions)


def was_in_maintenance(transitions: Sequence[tuple[TransitionKind, datetime]]) -> bool:
    """Return whether an alarm was raised in maintenance."""
    return any(kind == "maintenance" for kind, _ in transitions)
