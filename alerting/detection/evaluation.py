"""Result of an evaluation: triggered, clear or unknown, with value, threshold and reason."""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from alerting.definitions.model import Severity

Status = Literal["triggered", "clear", "unknown"]
Fact = Literal["waiting", "stale", "frozen", "out_of_range", "bad_quality", "no_rate", "no_limit"]
# what `no_data` decides about
MISSING: tuple[Fact, ...] = ("stale", "frozen", "out_of_range", "bad_quality")


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
