"""Precision under another share of problems than that of the period which set the threshold.

Where only the share of problems changes (label shift), the odds of a right alarm change as those of
a problem do (Saerens, Latinne and Decaestecker 2002); share found and false alarms in normal time
stay.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from math import hypot, sqrt
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from alerting.definitions.wording.spoken import format_threshold
from alerting.learning.metrics.metrics import Labels
from alerting.learning.selection.operating_point import ThresholdChoice

_CLEARLY = 2.576  # standard deviations: a difference that chance makes in 1 of 100 comparisons
_LEAST_BLOCKS = 5  # of each period; fewer tell nothing of their spread
_MOST_POINTS = 20
_LEAST_ALARMS = 5  # of a threshold in validation; a precision of fewer is hardly one
_WORTH_SAYING = 0.05  # change of precision


@dataclass(frozen=True)
class PrecisionPoint:
    """A threshold, and what it gave in validation: number of `alarms`, share of them that were
    right, share of the problems found."""

    threshold: float
    precision: float
    found: float
    alarms: int


class ProblemShare(NamedTuple):
    """The share of rows with a problem ahead, and its standard error."""

    value: float
    error: float

    def differs(self, other: "ProblemShare") -> bool:
        """Return whether two periods differ in it beyond chance."""
        return abs(self.value - other.value) > _CLEARLY * hypot(self.error, other.error)


@dataclass(frozen=True)
class BaseRate:
    """The share of rows with a problem ahead in validation, and what thresholds gave there.

    `threshold`: the chosen one. `wanted`: the least precision that the definition asks for, None
    without. `points`: by rising threshold, at most twenty.
    """

    share: ProblemShare
    threshold: float
    wanted: float | None
    points: tuple[PrecisionPoint, ...]

    @property
    def chosen(self) -> PrecisionPoint | None:
        """Return what the chosen threshold gave; None where it raised no alarm."""
        return next((p for p in self.points if p.threshold == self.threshold), None)

    def to_document(self) -> dict[str, Any]:
        """Return the same as JSON-able values."""
        return {**asdict(self), "share": list(self.share)}

    @staticmethod
    def from_document(document: Mapping[str, Any]) -> "BaseRate":
        """Read what `to_document` returned."""
        points = tuple(PrecisionPoint(**point) for point in document["points"])
        return BaseRate(
            ProblemShare(*document["share"]), document["threshold"], document["wanted"], points
        )


@dataclass(frozen=True)
class BaseRateShift:
    """Another share of problems, `now`, and what it does to precision.

    `right`: precision in validation, `expected`: at the new share, both at the chosen threshold.
    `keeps`: the point of validation that keeps the `wanted` precision, None if none with at
    least five alarms does. `asked`: whether the definition asks for it; otherwise it is that of
    validation.
    """

    before: BaseRate
    now: float
    right: float
    expected: float
    wanted: float
    asked: bool
    keeps: PrecisionPoint | None

    @property
    def least_precision(self) -> float:
        """Return the precision to ask for in validation, for the wanted one at the new share."""
        return scale_precision(self.wanted, self.now, self.before.share.value)

    def describe(self) -> str:
        """Return the shift in a sentence: what to expect, and the threshold that would hold."""
        change = "rarer" if self.now < self.before.share.value else "more frequent"
        text = (
            f"Problems are {change} in the test period than in validation "
            f"({self.now:.1%} of the rows instead of {self.before.share.value:.1%}): at the "
            f"threshold {format_threshold(self.before.threshold)}, {self.right:.0%} of the alarms "
            f"were right in validation, about {self.expected:.0%} are to be expected now."
        )
        if self.expected >= self.wanted:
            return text
        wanted = f"the {self.wanted:.0%} {'asked' if self.asked else 'of validation'}"
        if self.keeps is None:
            return (
                f"{text} No threshold with at least {_LEAST_ALARMS} alarms in validation keeps "
                f"{wanted}."
            )
        chosen = self.before.chosen
        instead = "" if chosen is None else f" instead of {chosen.found:.0%}"
        return (
            f"{text} The threshold {format_threshold(self.keeps.threshold)} keeps {wanted} and "
            f"finds {self.keeps.found:.0%} of the problems{instead}; "
            f"`operating_point.least_precision: {self.least_precision:.2g}` asks for it."
        )


def measure_base_rate(
    share: ProblemShare | None, choice: ThresholdChoice, wanted: float | None
) -> BaseRate | None:
    """Return the share of problems in validation, with the thresholds that raised alarms there;
    None without a share.

    Of many thresholds twenty stay, evenly by share found, the chosen one among them.
    """
    if share is None:
        return None
    points = [
        PrecisionPoint(
            row["threshold"],
            row["episode_precision"],
            row["event_recall"] or 0.0,
            row["n_episodes"],
        )
        for row in choice.curve
        if row["episode_precision"] is not None
    ]
    kept = {
        min(points, key=lambda point: abs(point.found - level))
        for level in np.linspace(0, 1, _MOST_POINTS - 1).tolist()
        if points
    } | {point for point in points if point.threshold == choice.threshold}
    ordered = tuple(sorted(kept, key=lambda point: point.threshold))
    return BaseRate(share, choice.threshold, wanted, ordered)


def scale_precision(precision: float, before: float, now: float) -> float:
    """Return the precision at the share `now` of an alarm with this one at the share `before`."""
    if not 0 < before < 1 or not 0 < now < 1 or not 0 < precision < 1:
        return precision
    odds = precision / (1 - precision) * (now / (1 - now)) / (before / (1 - before))
    return odds / (1 + odds)


def shift_base_rate(before: BaseRate, share: ProblemShare | None) -> BaseRateShift | None:
    """Return what another share of problems does to precision.

    None where it differs no more than by chance, changes precision by less than five points, is 0
    or 1, or the threshold raised no alarm in validation.
    """
    chosen = before.chosen
    if chosen is None or share is None or not before.share.differs(share):
        return None
    now = share.value
    expected = scale_precision(chosen.precision, before.share.value, now)
    if abs(expected - chosen.precision) < _WORTH_SAYING:
        return None
    wanted = chosen.precision if before.wanted is None else before.wanted
    keeps = [
        point
        for point in before.points
        if point.alarms >= _LEAST_ALARMS
        and scale_precision(point.precision, before.share.value, now) >= wanted
    ]
    return BaseRateShift(
        before=before,
        now=now,
        right=chosen.precision,
        expected=expected,
        wanted=wanted,
        asked=before.wanted is not None,
        keeps=max(keeps, key=lambda point: (point.found, point.threshold), default=None),
    )


def measure_share(label: Labels, block: npt.NDArray[np.int64]) -> ProblemShare | None:
    """Return the share of rows with a problem ahead; None in fewer than five blocks.

    Rows of one `block` of time count together, because they are not independent.
    """
    if len(np.unique(block)) < _LEAST_BLOCKS:
        return None
    share = float(label.mean())
    off = np.bincount(block, label - share)
    return ProblemShare(share, float(sqrt((off**2).sum()) / len(label)))
