"""Alerts about the platform itself in MongoDB, open and resolved ones."""

from datetime import datetime

from pymongo.errors import DuplicateKeyError

from alerting.adapters.mongo.documents import MongoDatabase, from_document, to_bson
from alerting.adapters.mongo.indexes import PLATFORM_ALERTS
from alerting.ports import PlatformAlert


class MongoPlatformAlerts:
    """Port `PlatformAlerts`. `open_key` exists while the alert is open: one per kind and subject."""

    def __init__(self, database: MongoDatabase) -> None:
        self._alerts = database[PLATFORM_ALERTS]

    def open(self) -> list[PlatformAlert]:
        found = self._alerts.find({"open_key": {"$exists": True}}).sort([("opened_at", 1), ("open_key", 1)])
        return [from_document(PlatformAlert, document) for document in found]

    def of(self, subject: str) -> list[PlatformAlert]:
        found = self._alerts.find({"subject": subject}).sort([("opened_at", 1), ("_id", 1)])
        return [from_document(PlatformAlert, document) for document in found]

    def resolved_since(self, since: datetime) -> list[PlatformAlert]:
        found = self._alerts.find({"resolved_at": {"$gt": to_bson(since)}}).sort([("resolved_at", 1), ("_id", 1)])
        return [from_document(PlatformAlert, document) for document in found]

    def report(self, kind: str, subject: str, reason: str, at: datetime) -> None:
        key = f"{kind}|{subject}"
        first = {"kind": kind, "subject": subject, "opened_at": to_bson(at), "resolved_at": None}
        try:
            self._alerts.update_one({"open_key": key}, {"$set": {"reason": reason}, "$setOnInsert": first}, upsert=True)
        except DuplicateKeyError:  # another process has opened it meanwhile
            self._alerts.update_one({"open_key": key}, {"$set": {"reason": reason}})

    def resolve(self, kind: str, subject: str, at: datetime) -> None:
        change = {"$set": {"resolved_at": to_bson(at)}, "$unset": {"open_key": ""}}
        self._alerts.update_one({"open_key": f"{kind}|{subject}"}, change)
