"""An estimate: a number with unit, 95 % interval, basis, and a doubt where there is one."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from alerting.definitions.wording.language import (
    Styled,
    Translatable,
    template,
    templates,
    translatable,
    translatable_count,
)
from alerting.learning.metrics.confidence import (
    poisson_interval,
    weighted_median,
    wilson_interval,
)

LEAST_EVENTS = 5
_TAIL = 0.025


class Cases(NamedTuple):
    """Texts for one case and several: `{number} problems`, `{count} of {number} problems`, none."""

    number: tuple[str, str]
    share: tuple[str, str]
    none: str


@dataclass(frozen=True)
class Estimate:
    """`value` in `unit` with its 95 % interval; `basis` states its cases, e.g. "7 of 9 problems".

    `value` is None if there are no data to compute it from. A `doubt` is the reason against any
    conclusion from it: pages print "cannot tell" and show value and interval only beside that.
    """

    value: float | None
    low: float | None
    high: float | None
    unit: str
    basis: str
    doubt: str = ""


def nothing(unit: str, reason: str) -> Estimate:
    """Return an estimate without a value, with the reason."""
    return Estimate(None, None, None, unit, reason, reason)


def counted(number: int, of: Cases) -> Translatable:
    """Return a number of cases as text: `3 episodes with an outcome`."""
    return translatable_count(*of.number, number)


def share(count: int, total: int, of: Cases) -> Estimate:
    """Estimate a share of `total` cases with its Wilson interval; doubtful below five cases."""
    if total == 0:
        return nothing("%", translatable(of.none))
    low, high = wilson_interval(count, total)
    return Estimate(
        count / total,
        low,
        high,
        "%",
        translatable_count(*of.share, total, count=count),
        _too_few(total, of),
    )


def rate_per_week(count: int, weeks: float, of: Cases) -> Estimate:
    """Estimate cases per week and asset, exact Poisson interval (Garwood 1936)."""
    unit = template("per week and asset")
    if weeks <= 0:
        return nothing(unit, translatable("no time was evaluated"))
    low, high = (bound / weeks for bound in poisson_interval(count))
    days = Styled(weeks * 7, ".1f")
    doubt = translatable("only {days} asset-days were evaluated", days=days) if weeks < 1 else ""
    basis = translatable(
        "{cases} in {weeks} asset-weeks", cases=counted(count, of), weeks=Styled(weeks, ".1f")
    )
    return Estimate(count / weeks, low, high, unit, basis, doubt)


def median(values: Sequence[float], unit: str, of: Cases) -> Estimate:
    """Estimate the median with its exact interval from order statistics."""
    n = len(values)
    if n == 0:
        return nothing(unit, translatable(of.none))
    ordered = np.sort(np.asarray(values, float))
    from scipy.special import bdtr  # noqa: PLC0415 - takes 15 MB; only reports estimate

    rank = max(int(np.searchsorted(bdtr(np.arange(n + 1.0), n, 0.5), _TAIL)), 1)
    low = float(ordered[rank - 1])
    high = float(ordered[n - rank])
    middle = float(weighted_median(ordered, np.ones((1, n)))[0])
    return Estimate(middle, low, high, unit, counted(n, of), _too_few(n, of))


def _too_few(number: int, of: Cases) -> str:
    return translatable("only {cases}", cases=counted(number, of)) if number < LEAST_EVENTS else ""


CASES_FALSE_ALARMS = Cases(
    templates("{number} false alarm", "{number} false alarms"),
    templates("{count} of {number} false alarm", "{count} of {number} false alarms"),
    template("no false alarms"),
)
CASES_WITH_OUTCOME = Cases(
    templates("{number} alarm with an outcome", "{number} alarms with an outcome"),
    templates(
        "{count} of {number} alarm with an outcome", "{count} of {number} alarms with an outcome"
    ),
    template("no alarms with an outcome"),
)
CASES_WITHOUT_AVOIDED = Cases(
    templates(
        "{number} alarm with an outcome, without the avoided ones",
        "{number} alarms with an outcome, without the avoided ones",
    ),
    templates(
        "{count} of {number} alarm with an outcome, without the avoided ones",
        "{count} of {number} alarms with an outcome, without the avoided ones",
    ),
    template("no alarms with an outcome, without the avoided ones"),
)
# where an alarm counts more than once, or several as one: `counted_outcomes`
CASES_COUNTED = Cases(
    templates("{number} counted alarm", "{number} counted alarms"),
    templates("{count} of {number} counted alarm", "{count} of {number} counted alarms"),
    template("no counted alarms"),
)
