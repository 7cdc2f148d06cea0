"""The newest scored instant of each prediction while its problem is expected: where reasons and
advice are computed again.

A model of the onset is not asked while the condition of the problem is true: whether it will begin
means nothing there.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime

import numpy as np
import pandas as pd

from alerting.definitions.model import TrainedDefinition
from alerting.detection.classifier import Scores
from alerting.episodes.lifecycle import ConditionState, Step
from alerting.episodes.predictions import PredictionRule
from alerting.kinds.protocol.evaluation import Raise, Refresh
from alerting.kinds.protocol.shared_inputs import SharedInputs
from alerting.learning.models.trained import TrainedModel
from alerting.readings.history import History, Millis, from_millis, to_millis


def courses_of(
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


def refreshes_of(
    ends: Mapping[datetime, int],
    definition: TrainedDefinition,
    model: TrainedModel,
    version: int | None,
    at: Millis,
    score: Scores,
    rows: pd.DataFrame,
    history: History,
    shared: SharedInputs,
    rule: PredictionRule,
) -> dict[datetime, Refresh]:
    """Return, by raise, the last instant with a score after the raise and before the end of the
    prediction; none without one.

    Instants at which the condition is already true count only for a model of the state. It depends
    on what is evaluated, and not on how many evaluations that took.
    """
    means_nothing = np.isnan(score)
    if not rule.state:
        means_nothing |= rule.occurrences.hold_at(at)
    known = np.flatnonzero(~means_nothing)
    found = {}
    for raised_at, end in ends.items():
        last = int(np.searchsorted(at[known], end)) - 1
        if last >= 0 and at[known[last]] > to_millis(raised_at):
            row = int(known[last])
            instant = from_millis(int(at[row]))
            values = Raise(
                float(score[row]),
                None,
                rows.iloc[[row]],
                model.serving(instant),
                version,
                history,
                shared,
            )
            found[raised_at] = Refresh(instant, values, definition)
    return found
