"""Labels: whether the problem follows each instant, or why that is unknown.

`onset` asks whether a problem starts in (t + gap, t + gap + horizon]; `state` whether the condition
holds at some sample there, or an event goes on. With `horizon: 0s` the window is the stride that
ends at t.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, TypeAlias

from alerting.deferred import np, npt, pd
from alerting.definitions.alert_definition import FeedbackUse, Problem, TrainedDefinition
from alerting.detection.problem_occurrences import (
    NOT_YET,
    Occurrences,
    counted_problems,
    find_occurrences,
    find_problems,
    is_unknown_start,
    problem_delay,
    problem_samples,
    risk_of,
    why_not_counted,
)
from alerting.detection.suppressed_intervals import SuppressedInterval, is_covered
from alerting.episodes.episode import Episode, Verdict
from alerting.episodes.lifecycle import ReportedMiss, acted_within, consensus
from alerting.readings.history import (
    FAR_FUTURE,
    NO_TIME,
    BoolArray,
    Floats,
    History,
    Millis,
    duration_millis,
    millis,
    to_millis,
)

Effect = Literal["left_out", "positive", "weighted", "confirmed"]
EFFECTS: tuple[Effect, ...] = ("left_out", "positive", "weighted", "confirmed")
# per row: 0, or the number of its effect, counted from 1
Effects: TypeAlias = "npt.NDArray[np.int8]"
LEFT_OUT, POSITIVE, WEIGHTED, CONFIRMED = range(1, 5)
_EFFECTS: dict[str, str] = {
    "left_out": "left out",
    "positive": "counted as positive",
    "weighted": "counted as positive with less weight",
}
IMMATURE = "immature"
NO_SAMPLE = "no_sample"


@dataclass(frozen=True)
class Labels:
    """Labels of instants (1 or 0), and which instants count.

    `reason`: why an instant does not count (`why_not_counted`), or why its label is not known: its
    window reaches past the known data (`immature`), or has no sample of the problem's variable
    (`no_sample`: unknown is not negative); "" if the label is known and counts. `counted`: whether
    live evaluation scores the instant. `fit`, `measured`: whether a model may learn from the row,
    and whether metrics count it. `problems`, `occurrences`: results of `counted_problems` and
    `find_occurrences`.
    """

    label: npt.NDArray[np.int8]
    reason: npt.NDArray[np.object_]
    counted: BoolArray
    fit: BoolArray
    measured: BoolArray
    problems: pd.DataFrame
    occurrences: Occurrences


def label_instants(
    definition: TrainedDefinition,
    question: Literal["onset", "state"],
    history: History,
    at: Millis,
    as_of: int,
    suppressed: Sequence[SuppressedInterval] = (),
) -> Labels:
    """Label the instants (increasing) of one asset from the point-in-time view at `as_of` (ms).

    A problem that is known makes the label 1, also if the window reaches past the known data.
    Metrics count such rows only if the recording ended with the problem, because in the last window
    before `as_of` only positive labels are known. For an onset, metrics count the rows between the
    start of a problem and the moment at which it is known, but no model learns from them.
    """
    problem = definition.problem
    problems = find_problems(problem, history, definition.is_of_unit)
    occurrences = find_occurrences(definition, history)
    ts, bad = problem_samples(problem, history)
    after = at + duration_millis(definition.window.after)
    until = at + duration_millis(definition.window.until)
    is_onset = question == "onset"
    positive = _shows(question, problem, problems, ts[bad], after, until)
    determined = until + (duration_millis(problem.hold) if is_onset else 0)
    uncounted = why_not_counted(at, occurrences, is_onset, is_suppressed=is_covered(suppressed, at))
    reason = uncounted.copy()
    mature = determined <= last_known_instant(problem, history, ts, as_of)
    if problem.event is None:
        reason[(uncounted == "") & ~_any_between(ts, after, until)] = NO_SAMPLE
    reason[(uncounted == "") & ~mature & ~positive] = IMMATURE
    is_known = reason == ""
    recorded = _recorded(problem, history, ts)
    ended = (
        bool(len(recorded))
        and bool((occurrences.recovered_at[occurrences.lasted] > recorded[-1]).any())
    ) & (determined <= as_of - _delay(problem, history))
    return Labels(
        label=positive.astype(np.int8),
        reason=reason,
        counted=uncounted == "",
        fit=is_known & ~(is_unknown_start(at, occurrences) & is_onset),
        measured=is_known & (mature | ended),
        problems=counted_problems(problems, occurrences, is_onset),
        occurrences=occurrences,
    )


def _shows(
    question: Literal["onset", "state"],
    problem: Problem,
    problems: pd.DataFrame,
    bad: Millis,
    after: Millis,
    until: Millis,
) -> BoolArray:
    """Return whether each window (after, until] shows the problem. `bad`: samples that meet it."""
    if question == "onset" or problem.event is None:
        return _any_between(millis(problems["start"]) if question == "onset" else bad, after, until)
    end = millis(problems["end"])
    over = np.where(end == NOT_YET, FAR_FUTURE, end)
    begun = np.searchsorted(millis(problems["start"]), until, side="right")
    return np.asarray(begun > np.searchsorted(over, after, side="right"))


def label_modes(
    modes: Mapping[str, Problem],
    is_of_unit: bool,
    question: Literal["onset", "state"],
    history: History,
    after: Millis,
    until: Millis,
) -> BoolArray:
    """Return which modes of the problem each window (after, until] shows (windows x modes)."""
    shown = np.empty((len(after), len(modes)), np.bool_)
    for column, mode in zip(shown.T, modes.values(), strict=True):
        ts, bad = problem_samples(mode, history)
        problems = find_problems(mode, history, is_of_unit)
        column[:] = _shows(question, mode, problems, ts[bad], after, until)
    return shown


def persistence(definition: TrainedDefinition, history: History, at: Millis) -> Floats:
    """Return, for each instant (ms), the risk of the last known value of the problem's variable
    (`risk_of`); NaN without.

    For a problem that is one value, or conditions of several variables, it is 1 where the problem
    was last known to hold, else 0. It is NaN for events, and if the model may not see a variable of
    the problem, because that comparison would be unfair.
    """
    problem = definition.problem
    if not definition.sees_problem:
        return np.full(len(at), np.nan)
    ts, is_met = problem_samples(problem, history)
    risk = is_met.astype(np.float64)
    if problem.variable in history.readings and problem.equals is None:
        risk = risk_of(
            history.readings[problem.variable].dropna().to_numpy(np.float64),
            problem.above,
            problem.below,
        )
    newest = np.searchsorted(ts + _delay(problem, history), at, side="right") - 1
    return np.append(risk, np.nan)[newest]


def _any_between(instants: Millis, after: Millis, until: Millis) -> BoolArray:
    """Return for each row whether any increasing instant lies in (after, until]."""
    return np.searchsorted(instants, until, side="right") > np.searchsorted(
        instants, after, side="right"
    )


def last_known_instant(problem: Problem, history: History, samples: Millis, as_of: int) -> int:
    """Return the instant (ms) up to which the truth is known.

    Events are known as long as the asset has readings: the end of the readings is the end of
    recording.
    """
    samples = _recorded(problem, history, samples)
    if not len(samples):
        return NO_TIME
    due = int(samples[-1]) + max(int(np.median(np.diff(samples))) if len(samples) > 1 else 0, 1)
    return min(as_of - _delay(problem, history), due - 1)


def _recorded(problem: Problem, history: History, samples: Millis) -> Millis:
    """Return the instants at which the truth was recorded: samples of the problem; for events any
    readings."""
    return samples if problem.event is None else millis(pd.DatetimeIndex(history.readings.index))


def _delay(problem: Problem, history: History) -> int:
    return duration_millis(problem_delay(problem, history.asset, history.event_types))


@dataclass(frozen=True)
class FeedbackLabel:
    """Feedback on an episode with the outcome window (`raised`, `ends`]. `acted`: when an operator
    acted in it, or None.

    `missed`: for a reported miss, when the problem happened; `raised` and `ends` then bound the
    rows that should have predicted it.
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
        feedback = [f for f in episode.feedback if f.at <= as_of]
        ends = episode.valid_until or episode.raised_at + definition.gap + definition.horizon
        acted = [f.acted_at or f.at for f in feedback if acted_within([f], episode.raised_at, ends)]
        verdict, _ = consensus(feedback)
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
    """Collect the misses reported by as_of, in which an operator states that a problem came."""
    labels = [
        FeedbackLabel(
            miss.asset,
            to_millis(miss.missed_at - definition.window.until),
            to_millis(miss.missed_at - definition.window.after),
            None,
            "true_alarm",
            to_millis(miss.missed_at),
        )
        for miss in misses
        if miss.at <= as_of
    ]
    return sorted(labels, key=lambda label: (label.raised, label.asset))


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
        after, until = _where_data_decide(definition, answer)
        if kind is None or ((occurred > after) & (occurred <= until)).any():
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
    """Return the effect of a feedback label on rows in doubt; None if the data decide."""
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
    """Select the rows whose window reaches past the action (or the raise), or contains a reported
    miss."""
    if answer.missed is not None:
        return (at >= answer.raised) & (at < answer.ends)
    evaluated_until = duration_millis(max(definition.window.until, -definition.window.after))
    since = answer.raised if answer.acted is None else answer.acted
    return (at + evaluated_until > since) & (at <= answer.ends)


def _rows_before_action(answer: FeedbackLabel, at: Millis) -> BoolArray:
    """Select the rows from the raise to the action, or those that should have predicted a miss."""
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
    """Return the interval (ms) in which an occurrence in the data makes feedback unnecessary."""
    if answer.missed is None:
        return answer.raised, answer.ends
    near = duration_millis(definition.window.length)
    return answer.missed - near, answer.missed + near


def describe_feedback(counts: dict[str, int]) -> str:
    """Describe the feedback: `7 verdicts changed 212 rows: 200 left out, …`, or nothing."""
    if not counts.get("answers"):
        return ""
    changed = sum(counts[kind] for kind in _EFFECTS)
    parts = ", ".join(
        f"{counts[kind]:,} {effect}" for kind, effect in _EFFECTS.items() if counts[kind]
    )
    summary = f"{counts['used']} of {counts['answers']} verdicts changed {changed:,} rows" + (
        f": {parts}" if parts else ""
    )
    if counts["confirmed"]:
        summary += f"; {counts['confirmed']:,} rows stay negative after the operators' verdicts"
    return summary + "."
