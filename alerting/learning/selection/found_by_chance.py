"""Chance in the validation period: how high its problems are ranked, and how many a threshold
finds there."""

from dataclasses import dataclass
from math import log


@dataclass(frozen=True)
class ValidationChance:
    """The validation period, which chose no model, beside chance.

    `found`: of its `problems`, by the `alarms` of the threshold. `share`: probability by chance
    that the rows before its problems score so high (`placed_share`): not of the number found, which
    tells little of a few problems.
    """

    found: int
    problems: int
    alarms: int
    share: float


def combine_shares(first: float, second: float) -> float:
    """Return the probability that chance makes the product of two independent probabilities so
    small (Fisher 1932): of rows that chose a model, and of later ones."""
    product = first * second
    return product * (1 - log(product)) if product else 0.0
