"""The newest scored instant of each prediction while its problem is expected: where reasons and
advice are computed again, once a minute. A stride of seconds has the first instant of each minute.

A model of the onset is not asked while the condition of the problem is true: whether it will begin
means nothing there.
"""

from collections.abc import Mapping
from datetime import datetime

import numpy as np

from alerting.detection.classifier import Scores
from alerting.episodes.lifecycle import ConditionState
from alerting.episodes.predictions import Course, PredictionRule
from alerting.readings.history import Millis, to_millis

_REFRESHED_EVERY = 60_000  # ms


def ends_of_predictions(
    before: ConditionState, courses: Mapping[datetime, Course]
) -> dict[datetime, int]:
    """Return the end (ms) of each prediction that a part contains, by its raise: the one open
    before it, if its problem had not come, and those it raises."""
    return {
        raised_at: course.ended_at
        for raised_at, course in courses.items()
        if raised_at != before.raised_at or before.happening_since is None
    }


def refreshed_rows(
    ends: Mapping[datetime, int], at: Millis, score: Scores, rule: PredictionRule, stride: int
) -> dict[datetime, int]:
    """Return, by raise, the row of the last known score after it and before the end of its
    prediction, of those that are the first in their minute; none without one. `stride`: between two
    scored instants (ms).

    Instants at which the condition is already true count only for a model of the state. The row
    depends on what is evaluated, and not on how many evaluations that took.
    """
    means_nothing = np.isnan(score) | (at % _REFRESHED_EVERY >= stride)
    if not rule.state:
        means_nothing |= rule.occurrences.hold_at(at)
    known = np.flatnonzero(~means_nothing)
    found = {}
    for raised_at, end in ends.items():
        last = int(np.searchsorted(at[known], end)) - 1
        if last >= 0 and at[known[last]] > to_millis(raised_at):
            found[raised_at] = int(known[last])
    return found
