"""Promotion decisions, as a report shows them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime


@dataclass(frozen=True)
class DecisionMade:
    """A promotion decision of the period. `expected`: metrics at the decision by name, on data that the model had not seen."""

    at: datetime
    verdict: str
    promoted: bool
    version: int | None
    champion: int | None
    reason: str
    actor: str
    run_id: str | None
    expected: Mapping[str, float] = field(default_factory=dict)
