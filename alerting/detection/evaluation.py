"""Result of an evaluation: triggered, clear or unknown, with value, threshold and reason."""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal, get_args

import numpy as np
import numpy.typing as npt

from alerting.definitions.model import SEVERITIES, Severity
from alerting.readings.instants import Millis, from_millis

Status = Literal["triggered", "clear", "unknown"]
Fact = Literal["waiting", "stale", "frozen", "out_of_range", "bad_quality", "no_rate", "no_limit"]
# what `no_data` decides about
MISSING: tuple[Fact, ...] = ("stale", "frozen", "out_of_range", "bad_quality")
Codes = npt.NDArray[np.int8]
"""Status of each reading: a rank (0 within limits, 1 low ... 4 critical), or a code of a fact."""
SOUND = -1
_FIRST_FACT = 10
_FACTS: tuple[Fact, ...] = get_args(Fact)
WAITING, STALE, FROZEN, OUT_OF_RANGE, BAD_QUALITY, NO_RATE, NO_LIMIT = range(
    _FIRST_FACT, _FIRST_FACT + len(_FACTS)
)


@dataclass(frozen=True)
class Evaluation:
    """Result of evaluating one target at one instant.

    `value` is the evaluated number (a reading, or a probability), None when unknown. `reason` is a
    sentence in plain words. `model_version` is the registry version that scored, None for threshold
    kinds.
    """

    at: datetime
    status: Status
    reason: str
    value: float | None = None
    threshold: float | None = None
    model_version: int | None = None


@dataclass(frozen=True)
class StatusInterval:
    """Interval [start, end) with one status without a break.

    `severity`: of a triggered one, the worst level reached (None: the least severe). `fact`: the
    fault of the data, if any: `waiting` for the first reading, `stale` since the last, `frozen` at
    one value, `out_of_range` of the engineering range, `bad_quality` according to its source,
    `no_rate` without an earlier reading to compare with, `no_limit` where the asset does not state
    it.
    """

    start: datetime
    end: datetime
    status: Status
    severity: Severity | None = None
    fact: Fact | None = None


def intervals_of_codes(
    starts: Millis, codes: Codes, end: int, alert: Severity | None
) -> list[StatusInterval]:
    """Return the intervals from these instants (ms, increasing) to the next, the last to `end`.

    Equal neighbours are one interval. `alert`: the severity that missing data have; None: unknown.
    """
    first = np.flatnonzero(np.append(True, codes[1:] != codes[:-1]))
    bounds = [*starts[first].tolist(), end]
    runs = zip(bounds[:-1], bounds[1:], codes[first].tolist(), strict=True)
    return [
        _status_interval(from_millis(start), from_millis(stop), code, alert)
        for start, stop, code in runs
    ]


def _status_interval(
    start: datetime, end: datetime, code: int, alert: Severity | None
) -> StatusInterval:
    if code == 0:
        return StatusInterval(start, end, "clear")
    if code < _FIRST_FACT:
        return StatusInterval(start, end, "triggered", SEVERITIES[code - 1])
    fact = _FACTS[code - _FIRST_FACT]
    if alert is not None and fact in MISSING:
        return StatusInterval(start, end, "triggered", alert, fact)
    return StatusInterval(start, end, "unknown", fact=fact)
