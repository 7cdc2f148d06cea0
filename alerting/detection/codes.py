"""Codes of the status of each reading, and the intervals of one status that follow from them."""

from __future__ import annotations

from datetime import datetime
from typing import TypeAlias, get_args

from alerting.deferred import np, npt
from alerting.definitions.model import SEVERITIES, Severity
from alerting.detection.evaluation import MISSING, Fact, StatusInterval
from alerting.readings.history import Millis, from_millis

Codes: TypeAlias = "npt.NDArray[np.int8]"
"""Status of each reading: a rank (0 within limits, 1 low ... 4 critical), or a code of a fact."""
SOUND = -1
_FIRST_FACT = 10
_FACTS: tuple[Fact, ...] = get_args(Fact)
WAITING, STALE, FROZEN, OUT_OF_RANGE, BAD_QUALITY, NO_RATE, NO_LIMIT = range(
    _FIRST_FACT, _FIRST_FACT + len(_FACTS)
)


def intervals_of_codes(
    starts: Millis, codes: Codes, end: int, alert: Severity | None
) -> list[StatusInterval]:
    """Return the intervals from these instants (ms, increasing) to the next, the last to `end`.

    Equal neighbours are one interval. `alert`: the severity that missing data have; None: unknown.
    """
    first = np.flatnonzero(np.append(True, codes[1:] != codes[:-1]))
    bounds = [from_millis(at) for at in (*starts[first].tolist(), end)]
    runs = zip(bounds[:-1], bounds[1:], codes[first].tolist(), strict=True)
    return [_status_interval(start, stop, code, alert) for start, stop, code in runs]


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
