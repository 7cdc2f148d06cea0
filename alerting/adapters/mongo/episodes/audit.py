"""The audit log in MongoDB; never overwritten."""

from contextlib import suppress
from datetime import datetime
from typing import Any

from pymongo.errors import DuplicateKeyError

from alerting.adapters.mongo.documents import MongoDatabase, fingerprint, to_bson
from alerting.adapters.mongo.indexes import AUDIT


class MongoAudit:
    """Port `Audit`."""

    def __init__(self, database: MongoDatabase) -> None:
        self._audit = database[AUDIT]

    def add(
        self, actor: str, what: str, subject: str, at: datetime, before: Any = None, after: Any = None, why: str = ""
    ) -> None:
        """Store an entry. Idempotent."""
        entry = to_bson(
            {"actor": actor, "what": what, "subject": subject, "at": at, "before": before, "after": after, "why": why}
        )
        with suppress(DuplicateKeyError):
            self._audit.insert_one({**entry, "key": fingerprint(entry)})
