"""A question about the score of an asset, as programs ask it."""

from datetime import datetime
from typing import NamedTuple


class PredictQuestion(NamedTuple):
    """A question about the score of an asset at the last evaluated instant up to `at`; now less the
    latency when left out, and at most that."""

    asset: str
    at: datetime | None = None
