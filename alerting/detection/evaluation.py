"""What one judgement says: triggered, clear or unknown, with value, threshold and reason."""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

Status = Literal["triggered", "clear", "unknown"]
Side = Literal["above", "below"]


@dataclass(frozen=True)
class Evaluation:
    """One judgement of one asset at one instant.

    `value` is the judged number (a reading, or a probability), None when unknown. `reason` is a sentence in plain words.
    `model_version` is the registry version that scored, None for threshold kinds.
    """

    at: datetime
    status: Status
    reason: str
    value: float | None = None
    threshold: float | None = None
    model_version: int | None = None


@dataclass(frozen=True)
class Stretch:
    """A status that held from `start` (inclusive) to `end` (exclusive), without a break."""

    start: datetime
    end: datetime
    status: Status
