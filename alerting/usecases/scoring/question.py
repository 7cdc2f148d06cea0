"""A question about the score of an asset, as programs ask it, and its answer."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NamedTuple

from alerting.episodes.episode import Contribution


class PredictQuestion(NamedTuple):
    """A question about the score of an asset at the last evaluated instant up to `at`; now less the
    latency when left out, and at most that."""

    asset: str
    at: datetime | None = None


@dataclass(frozen=True)
class PredictedValue:
    """A value predicted at a time ahead; 90 % of its distribution lie between `low` and `high`."""

    lead: timedelta
    low: float
    median: float
    high: float


@dataclass(frozen=True)
class Prediction:
    """The answer about one asset. `at`: the instant that was scored, None without.

    `score` is None where it is `unknown`, which then says why, and of a model whose values serve
    without an alarm. `would_raise`: whether the score is at or above the threshold. `revision`,
    `model_version`: the versions that answer; None where there is none.
    """

    definition: str
    asset: str
    at: datetime | None
    score: float | None
    threshold: float | None
    would_raise: bool | None
    unknown: str | None
    revision: int | None
    model_version: int | None
    contributions: tuple[Contribution, ...] = ()
    forecast: tuple[PredictedValue, ...] = ()
