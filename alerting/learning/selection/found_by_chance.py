"""Chance at the operating point: the problems that the episodes of a threshold find where their
scores are shifted against the labels."""

from dataclasses import dataclass
from math import ceil, log

import numpy as np

from alerting.learning.metrics.metrics import Floats, count_found
from alerting.learning.selection.operating_point import ObservedRows, asset_episodes

SHIFTS = 200


@dataclass(frozen=True)
class EpisodeChance:
    """The problems `found` by the episodes of a threshold, of `problems`, beside chance.

    `by_chance`: how many the same scores find on average, shifted in time. `share`: probability of
    at least as many, if each problem is found with that of the shifts (binomial): shifts that find
    many together, as where problems come at regular intervals, say nothing of the score.
    """

    found: int
    problems: int
    by_chance: float
    share: float


def combine_shares(first: float, second: float) -> float:
    """Return the probability that chance makes the product of two independent probabilities so
    small (Fisher 1932): of rows that chose a model, and of later ones."""
    product = first * second
    return product * (1 - log(product)) if product else 0.0


def compare_with_chance(
    observed: ObservedRows, score: Floats, threshold: float, stride_ms: int, seed: int
) -> EpisodeChance:
    """Compare the problems that a threshold finds with those that it finds on SHIFTS shifts.

    Scores are shifted circularly among the rows of each asset, by at least gap + horizon where rows
    allow. So the rule of episodes, their times and the time in alarm stay: a score that is always
    high finds as many problems on every shift. `score`: of the rows of `observed`.
    """
    random = np.random.default_rng(seed)
    near = max(1, ceil((observed.gap_ms + observed.horizon_ms) / stride_ms))
    found = 0
    problems = 0
    shifted = np.zeros(SHIFTS, np.int64)
    for name, own in observed.problems.items():
        if not own.counted.any():
            continue
        rows = np.flatnonzero(observed.asset == name)
        least = min(near, len(rows) // 4)
        offsets = random.integers(least, max(len(rows) - least, least + 1), size=SHIFTS)
        counts = [
            count_found(
                asset_episodes(observed, name, rows, np.roll(score[rows], offset), threshold),
                own,
                observed.gap_ms,
                observed.horizon_ms,
            )
            for offset in (0, *offsets.tolist())
        ]
        found += counts[0]
        problems += int(own.counted.sum())
        shifted += counts[1:]
    by_chance = float(shifted.mean())
    from scipy.special import bdtrc  # noqa: PLC0415 - takes 15 MB; only trainings judge by chance

    share = float(bdtrc(found - 1, problems, by_chance / problems)) if found else 1.0
    return EpisodeChance(found, problems, by_chance, share)
