"""Leases: what one process does at a time, by the clock of the database, so that the clocks of
several machines need not agree."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pymongo import ReturnDocument
from pymongo.database import Database
from pymongo.errors import DuplicateKeyError

from alerting.definitions.sources import LEASE_LASTS

LEASES = "leases"
STREAM = "stream"
"""The lease of the stream service. That of a polled source is `source` and its name."""


@dataclass(frozen=True)
class Lease:
    """The holder of a lease, its last renewal, and the sources that it reads."""

    holder: str
    seen_at: datetime
    reads: Sequence[str] = ()


class Leases:
    """Leases by name. One that is not renewed for LEASE_LASTS is free: its holder was killed."""

    def __init__(self, database: Database[dict[str, Any]]) -> None:
        self._leases = database[LEASES]

    def claim(self, name: str, holder: str, reads: Collection[str] = ()) -> bool:
        """Take a lease, or renew it. Return False while another holder has it."""
        gone = {"$subtract": ["$$NOW", LEASE_LASTS.total_seconds() * 1000]}
        is_own = {"$eq": ["$holder", {"$literal": holder}]}
        is_free = {"$or": [is_own, {"$lte": [{"$ifNull": ["$at", None]}, gone]}]}
        taken = {"holder": {"$literal": holder}, "at": "$$NOW", "reads": {"$literal": list(reads)}}
        change = {key: {"$cond": [is_free, new, f"${key}"]} for key, new in taken.items()}
        while True:
            try:
                found = self._leases.find_one_and_update(
                    {"_id": name},
                    [{"$set": change}],
                    upsert=True,
                    return_document=ReturnDocument.AFTER,
                )
            except DuplicateKeyError:  # another process inserts it now
                continue
            return found is not None and bool(found["holder"] == holder)

    def release(self, name: str, holder: str) -> None:
        """End a lease, unless another holder has taken it since."""
        self._leases.delete_one({"_id": name, "holder": holder})

    def find(self, name: str) -> Lease | None:
        """Return a lease of the last day, also one that is over; None without one."""
        found = self._leases.find_one({"_id": name, "at": {"$type": "date"}})
        if found is None:
            return None
        return Lease(str(found["holder"]), found["at"], found.get("reads", ()))
