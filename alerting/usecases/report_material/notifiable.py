"""What of the data of a report is counted: outside of suppressed times and of maintenance."""

from __future__ import annotations

from datetime import datetime

import numpy as np

from alerting.deferred import pd
from alerting.definitions.model import Definition
from alerting.detection.suppression import first_free, is_covered
from alerting.episodes.episode import Episode
from alerting.learning.selection.promotion import IntervalsByAsset
from alerting.readings.history import millis


def notifiable_scores(scores: pd.DataFrame, suppressed: IntervalsByAsset) -> pd.DataFrame:
    """Return the scores outside suppressed intervals, which training leaves out too."""
    if not any(suppressed.values()) or scores.empty:
        return scores
    is_suppressed = np.zeros(len(scores), np.bool_)
    for asset, intervals in suppressed.items():
        here = (scores["asset"] == asset).to_numpy()
        is_suppressed[here] = is_covered(intervals, millis(pd.DatetimeIndex(scores["ts"][here])))
    return scores[~is_suppressed].reset_index(drop=True)


def is_in_maintenance(maintenance: IntervalsByAsset, episode: Episode) -> bool:
    """Return whether an episode was raised in maintenance, also one that was found later."""
    raised = episode.raised_at
    times = maintenance.get(episode.asset, ())
    return episode.maintenance is not None or first_free(times, raised) > raised


def notifiable_problems(
    problems: pd.DataFrame,
    suppressed: IntervalsByAsset,
    maintenance: IntervalsByAsset,
    definition: Definition,
) -> pd.DataFrame:
    """Return the problems whose warning time was not suppressed throughout, and that did not begin
    in maintenance."""
    if not any(suppressed.values()) or problems.empty:
        return problems

    def is_suppressed(asset: str, start: datetime) -> bool:
        if first_free(maintenance.get(asset, ()), start) > start:
            return True
        latest = start - definition.window.after
        return first_free(suppressed.get(asset, ()), latest - definition.window.length) >= latest

    notifiable = [
        not is_suppressed(str(a), s.to_pydatetime())
        for a, s in zip(problems["asset"], problems["start"], strict=True)
    ]
    return problems[notifiable].reset_index(drop=True)
