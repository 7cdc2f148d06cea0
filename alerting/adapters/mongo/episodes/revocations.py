"""Revoked feedback links, in MongoDB."""

from datetime import datetime

from alerting.adapters.mongo.documents import MongoDatabase, to_bson
from alerting.adapters.mongo.indexes import REVOCATIONS


class MongoRevocations:
    """Port `Revocations`: one document per episode and recipient, where null stands for any."""

    def __init__(self, database: MongoDatabase) -> None:
        self._revocations = database[REVOCATIONS]

    def revoke(self, episode: str | None, recipient: str | None, at: datetime) -> None:
        """Refuse from now on links made until `at`. An earlier revocation stays."""
        key = {"episode": episode, "recipient": recipient}
        self._revocations.update_one(key, {"$max": {"until": to_bson(at)}}, upsert=True)

    def is_revoked(self, episode: str, recipient: str, made_at: datetime) -> bool:
        fits = {"episode": {"$in": [None, episode]}, "recipient": {"$in": [None, recipient]}}
        return self._revocations.count_documents({**fits, "until": {"$gte": to_bson(made_at)}}, limit=1) > 0
