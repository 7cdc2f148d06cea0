"""Sessions of the console that were logged out before they expired, in MongoDB."""

from datetime import datetime

from alerting.adapters.mongo.documents import MongoDatabase, to_bson
from alerting.adapters.mongo.indexes import ENDED_SESSIONS


class MongoEndedSessions:
    """Port `EndedSessions`: one document per session, until the session would have expired."""

    def __init__(self, database: MongoDatabase) -> None:
        self._ended = database[ENDED_SESSIONS]

    def end(self, session: str, expires: datetime, now: datetime) -> None:
        """Refuse this session from now on, and remove expired ones. Idempotent."""
        self._ended.update_one({"_id": session}, {"$set": {"expires": to_bson(expires)}}, upsert=True)
        self._ended.delete_many({"expires": {"$lt": to_bson(now)}})

    def has_ended(self, session: str) -> bool:
        return self._ended.find_one({"_id": session}, {"_id": 1}) is not None
