"""The newest scored instant of each prediction while its problem is expected: where reasons and
advice are computed again.

A model of the onset is not asked while the condition of the problem is true: whether it will begin
means nothing there.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime

import numpy as np

from alerting.detection.classifier import Scores
from alerting.episodes.lifecycle import ConditionState, Step
from alerting.episodes.predictions import PredictionRule
from alerting.readings.history import Millis, to_millis


def ends_of_predictions(
    before: ConditionState, steps: Sequence[Step], of_open: PredictionRule, rule: PredictionRule
) -> dict[datetime, int]:
    """Return the end (ms) of each prediction that a part contains, by its raise: the one open
    before it, and those it raises."""
    found = {
        step.at: rule.course(to_millis(step.at)).ended_at for step in steps if step.kind == "raised"
    }
    if before.raised_at is not None and before.happening_since is None:
        found[before.raised_at] = of_open.course(to_millis(before.raised_at)).ended_at
    return found


def refreshed_rows(
    ends: Mapping[datetime, int], at: Millis, score: Scores, rule: PredictionRule
) -> dict[datetime, int]:
    """Return, by raise, the row of the last known score after it and before the end of its
    prediction; none without one.

    Instants at which the condition is already true count only for a model of the state. The row
    depends on what is evaluated, and not on how many evaluations that took.
    """
    means_nothing = np.isnan(score)
    if not rule.state:
        means_nothing |= rule.occurrences.hold_at(at)
    known = np.flatnonzero(~means_nothing)
    found = {}
    for raised_at, end in ends.items():
        last = int(np.searchsorted(at[known], end)) - 1
        if last >= 0 and at[known[last]] > to_millis(raised_at):
            found[raised_at] = int(known[last])
    return found
