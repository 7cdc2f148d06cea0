"""Feedback labels: how operators' feedback changes the labels of a training.

An alert that prevents its problem must not teach a model that there was none. A row is in doubt if
the data label it negative and feedback says that the data cannot show the problem: an action
prevented it, or an operator saw it where no sensor does. Rows in doubt are excluded, or count as
positive where the definition says so; they never count as negative. Where the problem occurred, the
data decide.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

import numpy as np
import numpy.typing as npt

from alerting.definitions.model import FeedbackUse, TrainedDefinition
from alerting.detection.problems import BoolArray
from alerting.episodes.episode import Episode, Verdict
from alerting.episodes.misses import ReportedMiss
from alerting.episodes.outcome import acted_within, consensus
from alerting.readings.history import Millis, duration_millis, to_millis

Effect = Literal["left_out", "positive", "weighted", "confirmed"]
EFFECTS: tuple[Effect, ...] = ("left_out", "positive", "weighted", "confirmed")
Effects = npt.NDArray[np.int8]  # per row: 0, or the number of its effect, counted from 1
LEFT_OUT, POSITIVE, WEIGHTED, CONFIRMED = range(1, 5)
_EFFECTS: dict[str, str] = {
    "left_out": "left out",
    "positive": "counted as positive",
    "weighted": "counted as positive with less weight",
}


@dataclass(frozen=True)
class FeedbackLabel:
    """Feedback on an episode. Its outcome window: (`raised`, `ends`]; `acted` inside or None.

    `missed`: of a reported miss, when the problem happened; `raised` and `ends` then bound the rows
    that should predict it.
    """

    asset: str
    raised: int
    ends: int
    acted: int | None
    verdict: Verdict | None
    missed: int | None = None


def collect_feedback_labels(
    episodes: Sequence[Episode], definition: TrainedDefinition, as_of: datetime
) -> list[FeedbackLabel]:
    """Collect the feedback given at as_of, by the time of the raise."""
    answers = []
    for episode in episodes:
        given = [f for f in episode.feedback if f.at <= as_of]
        ends = episode.valid_until or episode.raised_at + definition.gap + definition.horizon
        acted = [f.acted_at or f.at for f in given if acted_within([f], episode.raised_at, ends)]
        verdict, _ = consensus(given)
        if acted or verdict is not None:
            first = to_millis(min(acted)) if acted else None
            answers.append(
                FeedbackLabel(
                    episode.asset, to_millis(episode.raised_at), to_millis(ends), first, verdict
                )
            )
    return sorted(answers, key=lambda a: (a.raised, a.asset))


def collect_misses(
    misses: Sequence[ReportedMiss], definition: TrainedDefinition, as_of: datetime
) -> list[FeedbackLabel]:
    """Return the misses reported by as_of: an operator's word that a problem came."""
    window = definition.window
    found = []
    for miss in misses:
        if miss.at <= as_of:
            first = to_millis(miss.missed_at - window.until)
            last = to_millis(miss.missed_at - window.after)
            found.append(
                FeedbackLabel(
                    miss.asset, first, last, None, "true_alarm", to_millis(miss.missed_at)
                )
            )
    return sorted(found, key=lambda label: (label.raised, label.asset))


@dataclass(frozen=True)
class FeedbackEffects:
    """The effect of feedback on each row, and the count of feedback labels that changed any row."""

    effect: Effects
    used: int


def relabel(
    definition: TrainedDefinition,
    answers: Sequence[FeedbackLabel],
    at: Millis,
    negative: BoolArray,
    occurred: Millis,
) -> FeedbackEffects:
    """Compute the effect of one asset's feedback on its rows.

    `negative`: rows that the data label negative; feedback changes no other row. `occurred`:
    instants at which the problem occurred. Where outcome windows of several feedback labels
    overlap, positive takes precedence over excluded, and excluded over confirmed.
    """
    effect = np.zeros(len(at), np.int8)
    used = 0
    for answer in answers:
        kind = _effect_of(definition.feedback, answer)
        if kind is None or _any_in(occurred, *_where_data_decide(definition, answer)):
            continue
        doubtful = negative & _in_doubt(definition, answer, at)
        if kind == "confirmed":
            effect[doubtful & (effect == 0)] = CONFIRMED
            continue
        used += bool(doubtful.any())
        effect[doubtful & ((effect == 0) | (effect == CONFIRMED))] = LEFT_OUT
        if kind != "left_out":
            effect[negative & _rows_before_action(answer, at)] = EFFECTS.index(kind) + 1
    return FeedbackEffects(effect, used)


def _effect_of(use: FeedbackUse, answer: FeedbackLabel) -> Effect | None:
    """Return a label's effect on rows in doubt; None where the data decide."""
    if answer.verdict == "false_alarm":
        return "confirmed"
    if answer.acted is None:
        if answer.verdict != "true_alarm":
            return None
        return "positive" if use.confirmed == "positive" else "left_out"
    if use.avoided == "positive" and answer.verdict == "true_alarm":
        return "positive"
    if use.avoided == "weight" and answer.verdict != "unsure":
        return "weighted"
    return "left_out"


def _in_doubt(definition: TrainedDefinition, answer: FeedbackLabel, at: Millis) -> BoolArray:
    """Select rows whose window looks past the action (or raise), or holds a reported miss."""
    if answer.missed is not None:
        return (at >= answer.raised) & (at < answer.ends)
    evaluated_until = duration_millis(max(definition.window.until, -definition.window.after))
    since = answer.raised if answer.acted is None else answer.acted
    return (at + evaluated_until > since) & (at <= answer.ends)


def _rows_before_action(answer: FeedbackLabel, at: Millis) -> BoolArray:
    """Select the rows from the raise to the action, or those that should tell a miss."""
    if answer.missed is not None:
        return (at >= answer.raised) & (at < answer.ends)
    first = int(np.searchsorted(at, answer.raised))
    last = int(
        np.searchsorted(at, answer.raised if answer.acted is None else answer.acted, side="right")
    )
    predicted = np.zeros(len(at), np.bool_)
    predicted[first : max(last, first + 1)] = True
    return predicted & (at <= answer.ends)


def _where_data_decide(definition: TrainedDefinition, answer: FeedbackLabel) -> tuple[int, int]:
    """Return where an occurrence in the data makes feedback unnecessary."""
    if answer.missed is None:
        return answer.raised, answer.ends
    near = duration_millis(definition.window.length)
    return answer.missed - near, answer.missed + near


def _any_in(instants: Millis, after: int, until: int) -> bool:
    return bool(((instants > after) & (instants <= until)).any())


def describe_feedback(counts: dict[str, int]) -> str:
    """Describe the feedback: `7 verdicts changed 212 rows: 200 left out, …`, or nothing."""
    if not counts.get("answers"):
        return ""
    changed = sum(counts[kind] for kind in _EFFECTS)
    parts = ", ".join(
        f"{counts[kind]} {effect}" for kind, effect in _EFFECTS.items() if counts[kind]
    )
    summary = f"{counts['used']} of {counts['answers']} verdicts changed {changed} rows" + (
        f": {parts}" if parts else ""
    )
    if counts["confirmed"]:
        summary += f"; {counts['confirmed']} rows stay negative after the operators' verdicts"
    return summary + "."
