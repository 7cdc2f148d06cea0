"""Outcome of an episode: one table from problem, action and verdict (record 0012 says what feedback
changes); and reported misses: an operator says that an alert should have been raised."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from alerting.definitions.wording.language import joined, translatable
from alerting.episodes.episode import Feedback, Outcome, OutcomeRecord, Verdict

# 1: the outcome window of a prediction ended gap + horizon after its raise; 2: a problem at
# raised_at + gap was in time
RULES = 3
IN_TIME_FROM_GAP = 2  # the last version by which a problem at raised_at + gap was in time
Occurred = Literal["in_time", "too_late", "no", "unknown"]


@dataclass(frozen=True)
class Observed:
    """Evidence of the data on the outcome window (raised_at, last high score + gap + horizon].

    `too_late` means that the problem came at or before raised_at + gap. `reason`: why the
    occurrence is unknown, if it is.
    """

    occurred: Occurred
    problem_at: datetime | None = None
    reason: str = ""


def consensus(feedback: Sequence[Feedback]) -> tuple[Verdict | None, bool]:
    """Return one verdict of many, and whether people disagree, which makes it unsure.

    The last verdict of each person counts.
    """
    last = {f.actor: f.verdict for f in feedback if f.verdict is not None}
    verdicts = set(last.values())
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
    rules: int = RULES,
) -> OutcomeRecord:
    """Determine the outcome. `has_problem`: the definition names a problem that data can confirm.
    `rules`: the version by which the outcome window was found."""
    outcome, reason = _by_data(observed, acted, verdict) if has_problem else _by_word(verdict)
    occurred = {"in_time": True, "too_late": True, "no": False, "unknown": None}[observed.occurred]
    return OutcomeRecord(
        outcome=outcome,
        reason=reason,
        occurred=occurred if has_problem else None,
        problem_at=observed.problem_at,
        too_late=has_problem and observed.occurred == "too_late",
        acted=acted,
        rules=rules,
    )


def outcome_in_maintenance(feedback: Sequence[Feedback]) -> OutcomeRecord:
    """Return the outcome of an episode that was raised in maintenance: none, whatever came."""
    return OutcomeRecord(
        outcome="undetermined",
        reason=translatable("raised in maintenance: left out of outcomes and figures"),
        occurred=None,
        problem_at=None,
        too_late=False,
        acted=any(one.acted for one in feedback),
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


def _by_data(observed: Observed, acted: bool, verdict: Verdict | None) -> tuple[Outcome, str]:
    if observed.occurred == "unknown":
        return "undetermined", observed.reason
    if observed.occurred != "no":
        in_time = observed.occurred == "in_time"
        parts = [
            translatable("the problem occurred")
            if in_time
            else translatable("the problem occurred, too late to act")
        ]
        if acted:
            parts.append(translatable("an operator acted without preventing it"))
        if verdict == "false_alarm":
            parts.append(translatable("conflict: the operator says it was wrong"))
        return "hit", joined("; ", *parts)
    return _without_problem(acted, verdict)


def _without_problem(acted: bool, verdict: Verdict | None) -> tuple[Outcome, str]:
    match verdict:
        case "unsure":
            return "undetermined", translatable(
                "the problem did not occur, and the operator is unsure"
            )
        case "false_alarm":
            nothing = translatable("the operator acted and found nothing")
            return "false_alarm", nothing if acted else translatable(
                "the operator says it was wrong"
            )
    if acted:
        return "avoided", translatable("an operator acted, and the problem did not occur")
    if verdict == "true_alarm":
        return "hit", translatable("the operator says it was right; the problem did not occur")
    return "false_alarm", translatable("the problem did not occur")


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
        """Return its id: the same for the same definition, asset and time of the problem."""
        key = f"miss|{self.definition}|{self.asset}|{self.missed_at.isoformat()}"
        return hashlib.sha256(key.encode()).hexdigest()[:16]
