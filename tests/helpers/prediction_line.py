"""A line of which a model predicts the problem: its true course, its scores, and their evaluation
in any chunks."""

from dataclasses import replace
from datetime import timedelta
from itertools import pairwise

import numpy as np

from alerting.detection.counted_times import why_not_counted
from alerting.detection.occurrences import KnownProblem, occurrences_of_samples
from alerting.episodes.lifecycle import ConditionState
from alerting.episodes.predictions import (
    PredictionRule,
    advance_predictions,
    predicted_intervals,
    rearm,
)
from alerting.readings.instants import duration_millis, to_millis
from tests.builders import at

STRIDE = timedelta(minutes=5)
WINDOW = timedelta(minutes=30)
END = 400


class Line:
    """A line whose moisture is beyond its limit in these minutes (start, end), and a model with
    these high scores."""

    def __init__(self, high, *bad, hold=0, delay=0, recovery=0, state=False, every=1):
        self.high = set(high)
        self.state = state
        self.hold = hold * 60_000
        self.delay = delay * 60_000
        self.recovery = recovery * 60_000
        self.samples = {m: any(a <= m < b for a, b in bad) for m in range(0, END, every)}

    def rule(self, until, before=None):
        """The rule by the samples up to an instant, as an evaluation reads them."""
        known = [m for m in self.samples if m <= until]
        bad = np.array([self.samples[m] for m in known], bool)
        occurrences = occurrences_of_samples(
            instants(known), bad, self.hold, self.delay, before, self.recovery
        )
        return PredictionRule(
            occurrences, duration_millis(WINDOW), duration_millis(WINDOW), self.state
        )

    def score(self, grid, rule, recovered_at=None):
        """The score at these minutes, and why it is unknown."""
        reason = why_not_counted(instants(grid), rule.occurrences, not self.state, recovered_at)
        score = np.array([float(m in self.high) for m in grid])
        return np.where(reason == "", score, np.nan), dict(zip(grid, reason.tolist(), strict=True))

    def evaluate(self, *cuts):
        """The steps of an evaluation that is cut at these minutes, and why each instant does not
        count."""
        state = ConditionState(at(0))
        found = []
        reasons = {}
        rearm_at = 0
        for start, end in pairwise([0, *cuts]):
            grid = [m for m in range(0, END, 5) if start < m <= end]
            rule = self.rule(end, KnownProblem(at(start), state.problem_since, is_first=start == 0))
            score, why = self.score(grid, rule, rearm_at - rule.horizon_ms)
            may_raise, rearm_at = rearm(
                instants(grid), score, 0.5, rule, to_millis(at(end)), rearm_at
            )
            state, steps = advance_predictions(
                state, instants(grid), may_raise, rule, STRIDE, at(end)
            )
            state = replace(state, watermark=at(end), problem_since=rule.occurrences.since(at(end)))
            found += steps
            reasons |= why
        return found, reasons

    def advance(self, *cuts):
        return self.evaluate(*cuts)[0]


def instants(minutes):
    return to_millis(at(0)) + np.array(minutes, np.int64) * 60_000


def expect_same_however_cut(line, cuts):
    """Expect the same steps and reasons from any chunks, and the intervals that training counts."""
    whole, reasons = line.evaluate(END - 1)
    assert line.evaluate(*cuts, END - 1) == (whole, reasons)
    opened = None
    for step in whole:  # never two at once, and each in the order expected, happening, over
        assert (step.kind == "raised") == (opened is None)
        opened = None if step.kind == "closed" else step.at
    grid = range(5, END, 5)
    rule = line.rule(END)
    score, same = line.score(grid, rule)
    assert same == reasons
    counted = predicted_intervals(instants(grid), score, 0.5, rule)
    ended = [
        (to_millis(s.raised_at), to_millis(s.prediction_ended_at))
        for s in whole
        if s.kind == "closed"
    ]
    assert counted[: len(ended)] == ended
    assert [raised for raised, _ in counted] == [
        to_millis(s.at) for s in whole if s.kind == "raised"
    ]
