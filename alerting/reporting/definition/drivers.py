"""Drivers: the variables that made the scores of episodes high, against the period before."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from alerting.episodes.episode import Episode


@dataclass(frozen=True)
class Driver:
    """A variable with the mean size of its contribution (SHAP) over the episodes of a period.

    `episodes`: those with the variable among their contributions. `before`: the mean of the period
    before; None without episodes there. The mean is over all episodes with contributions: a
    variable absent from one counts as 0 in it.
    """

    variable: str
    share: float
    episodes: int
    before: float | None


def drivers(episodes: Sequence[Episode], earlier: Sequence[Episode] | None) -> tuple[Driver, ...]:
    """Return the strongest drivers, the largest first. `earlier`: of the period before, if any."""
    now, counts = _mean_sizes(episodes)
    before, _ = _mean_sizes(earlier or ())
    return tuple(
        Driver(name, now[name], counts[name], before.get(name, 0.0) if before else None)
        for name in sorted(now, key=lambda name: (-now[name], name))[:10]
    )


def _mean_sizes(episodes: Sequence[Episode]) -> tuple[dict[str, float], dict[str, int]]:
    explained = [e for e in episodes if e.contributions]
    sums: dict[str, float] = defaultdict(float)
    counts: dict[str, int] = defaultdict(int)
    for episode in explained:
        for contribution in episode.contributions:
            sums[contribution.variable] += abs(contribution.share)
            counts[contribution.variable] += 1
    return {name: total / len(explained) for name, total in sums.items()}, counts
