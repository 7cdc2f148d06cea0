"""A line of which a model predicts the problem: its true course, its scores, and their evaluation
in any chunks."""

from dataclasses import replace
from datetime import timedelta
from itertools import pairwise

import numpy as np

from alerting.detection.problem_occurrences import (
    ConditionSamples,
    KnownProblem,
    occurrences_of_samples,
    why_not_counted,
)
from alerting.episodes.lifecycle import ConditionState
from alerting.episodes.prediction_rule import (
    AlarmEnd,
    PredictionRule,
    RiskSeries,
    advance_predictions,
    predicted_episodes,
    rearm,
)
from alerting.readings.history import duration_millis, to_millis
from tests.builders import at

WINDOW = timedelta(minutes=30)
END = 400


class Line:
    """A line whose moisture is beyond its limit in these minutes (start, end), and a model with
    these high scores; at minutes `held` the score is under the threshold, and not low, at `unknown`
    there is none. In minutes `band` (start, end) the moisture is within its limit and not back at
    `clear`; problems less than `merge` minutes apart are one."""

    def __init__(
        self,
        high,
        *bad,
        hold=0,
        delay=0,
        recovery=0,
        state=False,
        every=1,
        held=(),
        unknown=(),
        clear_for=10,
        longest=120,
        band=None,
        merge=0,
    ):
        self.high = set(high)
        self.held = set(held) - self.high
        self.unknown = set(unknown)
        self.alarm_end = AlarmEnd(0.3, clear_for * 60_000, longest * 60_000)
        self.state = state
        self.hold = hold * 60_000
        self.delay = delay * 60_000
        self.recovery = recovery * 60_000
        self.merge = merge * 60_000
        self.samples = {m: any(a <= m < b for a, b in bad) for m in range(0, END, every)}
        self.band = None if band is None else {m for a, b in band for m in range(a, b)}

    def rule(self, until, before=None):
        """The rule by the samples up to an instant, as an evaluation reads them."""
        known = [m for m in self.samples if m <= until]
        bad = np.array([self.samples[m] for m in known], bool)
        back = None
        if self.band is not None:
            back = ~bad & np.array([m not in self.band for m in known], bool)
        samples = ConditionSamples(instants(known), bad, back)
        occurrences = occurrences_of_samples(
            samples, self.hold, self.delay, before, self.recovery, self.merge
        )
        window = duration_millis(WINDOW)
        return PredictionRule(occurrences, window, window, self.alarm_end, self.state)

    def score(self, grid, rule, recovered_at=None):
        """The score at these minutes, and why it is unknown."""
        reason = why_not_counted(instants(grid), rule.occurrences, not self.state, recovered_at)
        score = np.array([1.0 if m in self.high else 0.4 * (m in self.held) for m in grid])
        score[[m in self.unknown for m in grid]] = np.nan
        counts = np.where(reason == "", score, np.nan)
        return RiskSeries(instants(grid), counts, 0.5), dict(
            zip(grid, reason.tolist(), strict=True)
        )

    def evaluate(self, *cuts):
        """The steps of an evaluation that is cut at these minutes, why each instant does not count,
        and the last high score of each episode."""
        state = ConditionState(at(0))
        found = []
        reasons = {}
        last_high = {}
        rearm_at = 0
        for start, end in pairwise([0, *cuts]):
            grid = [m for m in range(0, END, 5) if start < m <= end]
            rule = self.rule(end, KnownProblem(at(start), state.problem_since, is_first=start == 0))
            risk, why = self.score(grid, rule, rearm_at - rule.horizon_ms)
            may_raise, rearm_at = rearm(risk, rule, to_millis(at(end)), rearm_at)
            advanced = advance_predictions(state, risk, may_raise, rule, at(end))
            state = replace(
                advanced.state,
                watermark=at(end),
                problem_since=rule.occurrences.start_at(at(end)),
            )
            found += advanced.steps
            last_high |= {t: c.last_high_at for t, c in advanced.courses.items()}
            reasons |= why
        return found, reasons, last_high

    def advance(self, *cuts):
        return self.evaluate(*cuts)[0]


def instants(minutes):
    return to_millis(at(0)) + np.array(minutes, np.int64) * 60_000


def expect_same_however_cut(line, cuts):
    """Expect the same steps and reasons from any chunks, and the episodes that training counts."""
    whole, reasons, last_high = line.evaluate(END - 1)
    assert line.evaluate(*cuts, END - 1) == (whole, reasons, last_high)
    opened = None
    for step in whole:  # never two at once, and each in the order expected, happening, over
        assert (step.kind == "raised") == (opened is None)
        opened = None if step.kind == "closed" else step.at
    grid = range(5, END, 5)
    rule = line.rule(END)
    risk, same = line.score(grid, rule)
    assert same == {**reasons}
    counted = predicted_episodes(risk, rule)
    raised = [s for s in whole if s.kind == "raised"]
    assert [(e.raised, e.last_high, e.continues) for e in counted] == [
        (to_millis(s.at), last_high[s.at], s.follows is not None) for s in raised
    ]
    ended = [
        (to_millis(s.raised_at), to_millis(s.prediction_ended_at))
        for s in whole
        if s.kind == "closed"
    ]
    assert [(e.raised, e.ended) for e in counted][: len(ended)] == ended
