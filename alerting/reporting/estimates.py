"""An estimate in a report: a number with unit, 95 % interval, basis, and a doubt where there is one."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import bdtr

from alerting.learning.metrics.confidence import poisson_interval, wilson_interval

LEAST_EVENTS = 5
_TAIL = 0.025
_PLURAL = re.compile(r"(?<=\w)s\b")  # of the first noun, whose plural ends with s


@dataclass(frozen=True)
class Estimate:
    """`value` in `unit` with its 95 % interval; `basis` states its cases, e.g. "7 of 9 problems".

    `value` is None if there are no data to compute it from. A `doubt` is the reason against any conclusion from it: pages print
    "cannot tell" and show value and interval only beside that.
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


def counted(number: int, of: str) -> str:
    """Return a number of cases as text: `3 episodes with an outcome`, `1 episode with an outcome`."""
    return f"{number} {_PLURAL.sub('', of, count=1) if number == 1 else of}"


def share(count: int, total: int, of: str) -> Estimate:
    """Estimate a share of `total` cases with its Wilson interval; doubtful below five cases."""
    if total == 0:
        return nothing("%", f"no {of}")
    low, high = wilson_interval(count, total)
    doubt = f"only {counted(total, of)}" if total < LEAST_EVENTS else ""
    return Estimate(count / total, low, high, "%", f"{count} of {counted(total, of)}", doubt)


def rate_per_week(count: int, weeks: float, of: str) -> Estimate:
    """Estimate cases per evaluated week of one asset with the exact Poisson interval (Garwood 1936); doubtful below one week."""
    unit = "per week and asset"
    if weeks <= 0:
        return nothing(unit, "no time was evaluated")
    low, high = (bound / weeks for bound in poisson_interval(count))
    doubt = f"only {weeks * 7:.1f} asset-days were evaluated" if weeks < 1 else ""
    return Estimate(count / weeks, low, high, unit, f"{counted(count, of)} in {weeks:.1f} asset-weeks", doubt)


def median(values: Sequence[float], unit: str, of: str) -> Estimate:
    """Estimate the median with its interval from order statistics (exact, no assumption on the distribution)."""
    n = len(values)
    if n == 0:
        return nothing(unit, f"no {of}")
    ordered = np.sort(np.asarray(values, float))
    rank = max(int(np.searchsorted(bdtr(np.arange(n + 1.0), n, 0.5), _TAIL)), 1)
    doubt = f"only {counted(n, of)}" if n < LEAST_EVENTS else ""
    return Estimate(float(np.median(ordered)), float(ordered[rank - 1]), float(ordered[n - rank]), unit, counted(n, of), doubt)
