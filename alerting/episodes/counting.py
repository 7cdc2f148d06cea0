"""How the episodes of a model count: a chain is one hit at most, one in vain is a false alarm for
each window that it began."""

from collections.abc import Sequence
from math import ceil
from typing import NamedTuple


class PredictedEpisode(NamedTuple):
    """One episode of a model (ms): raise, end of the prediction, last high score, and whether it
    continues the one before."""

    raised: int
    ended: int
    last_high: int
    continues: bool = False


class CountedEpisode(NamedTuple):
    """One episode in ms, as metrics count it.

    `last_high`: the last score that held it, from which its prediction window reaches; None: its
    raise. `false_alarms`: how many it is if its problem does not come. `continues`: the one before,
    with which it is one hit at most.
    """

    raised: int
    ended: int
    last_high: int | None = None
    false_alarms: int = 1
    continues: bool = False


def count_episodes(
    episodes: Sequence[PredictedEpisode], gap_ms: int, horizon_ms: int
) -> list[CountedEpisode]:
    """Return the predictions of one asset, in the order of time, as metrics count them.

    Predictions of the unit just made (gap below zero) are each about another unit.
    """
    if gap_ms < 0:
        return [CountedEpisode(e.raised, e.ended) for e in episodes]
    false = false_alarms_of(episodes, gap_ms + horizon_ms)
    return [
        CountedEpisode(e.raised, e.ended, e.last_high, count, e.continues)
        for e, count in zip(episodes, false, strict=True)
    ]


def false_alarms_of(episodes: Sequence[PredictedEpisode], window_ms: int) -> list[int]:
    """Return how many false alarms each episode is, should its problem not come: the prediction
    windows that it has begun.

    Those of a chain of episodes are counted from its first raise, each once. `episodes`: of one
    asset, in the order of time.
    """
    counts = []
    start = counted = 0
    for raised, ended, _, continues in episodes:
        if not continues:
            start = raised
            counted = 0
        begun = max(ceil((ended - start) / window_ms), (raised - start) // window_ms + 1)
        counts.append(max(0, begun - max(counted, (raised - start) // window_ms)))
        counted = max(counted, begun)
    return counts
