"""Reported misses: an operator says that an alert should have been raised."""

import hashlib
from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True)
class ReportedMiss:
    """A problem without an alert: `missed_at` is when it happened, `at` when `actor` reported it.
    Never overwritten."""

    definition: str
    asset: str
    missed_at: datetime
    comment: str
    actor: str
    at: datetime

    @property
    def id(self) -> str:
        """Return its id: the same for the same definition, asset and time of the problem."""
        key = f"miss|{self.definition}|{self.asset}|{self.missed_at.isoformat()}"
        return hashlib.sha256(key.encode()).hexdigest()[:16]
