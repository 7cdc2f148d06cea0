"""Deletion of old documents from MongoDB, in slices of bounded length."""

from collections.abc import Collection
from datetime import datetime, timedelta
from typing import Any, Literal

from alerting.ports import Swept
from alerting.readings.variable_series import SKEW
from alerting.stores.database.documents import (
    AUDIT,
    BACKTESTS,
    DECISIONS,
    MUTES,
    NOTIFICATIONS,
    PAST_EVALUATIONS,
    PLATFORM_ALERTS,
    READINGS,
    REPORTS,
    REVISIONS,
    SCORES,
    SINK_REVISIONS,
    SOURCE_PROGRESS,
    SOURCE_REVISIONS,
    Document,
    MongoCollection,
    MongoDatabase,
    to_bson,
)
from alerting.stores.reports import Backtests

Log = Literal["audit", "platform_alerts", "reports", "backtests", "past_evaluations"]
"""Collections of which documents are deleted by their age alone."""
_LOGS: dict[Log, tuple[str, str]] = {
    "audit": (AUDIT, "at"),
    "platform_alerts": (PLATFORM_ALERTS, "resolved_at"),
    "reports": (REPORTS, "at"),
    "backtests": (BACKTESTS, "begun_at"),
    "past_evaluations": (PAST_EVALUATIONS, "at"),
}
"""Collection, and the field with the instant by which its documents grow old."""


_INSTANTS = (
    (REVISIONS, "at"),
    (DECISIONS, "at"),
    (SOURCE_REVISIONS, "at"),
    (SINK_REVISIONS, "at"),
    (SOURCE_PROGRESS, "arrived_at"),
    *(
        (NOTIFICATIONS, field)
        for field in ("created_at", "failed_at", "failing_since", "delivered_at")
    ),
)
"""Collection, and the field with the instant of what happened: it lies in the past."""
_BACK_BY = timedelta(minutes=10)


class Sweeps:
    """Deletion of old documents. With `dry` nothing is deleted. Idempotent.

    Bytes are estimated: the mean size of a document of the collection, times the number of
    documents.
    """

    def __init__(self, database: MongoDatabase) -> None:
        self._database = database

    def bring_back(self, now: datetime) -> None:
        """Date what was written under a clock that was ahead ten minutes before `now`, so that it
        is in force; send what was to be sent since then; shift mutes, except planned ones.
        Idempotent."""
        earlier = to_bson(now - _BACK_BY)
        is_in_future: Document = {"$gt": to_bson(now + SKEW)}
        waits_ahead = [
            {"created_at": is_in_future},
            {"failed_at": is_in_future},
            {"status": "claimed", "next_attempt_at": {"$gt": to_bson(now + _BACK_BY)}},
        ]
        self._database[NOTIFICATIONS].update_many(
            {"next_attempt_at": is_in_future, "$or": waits_ahead},
            {"$set": {"next_attempt_at": earlier}},
        )
        for collection, field in _INSTANTS:
            self._database[collection].update_many(
                {field: is_in_future}, {"$set": {field: earlier}}
            )
        mutes = self._database[MUTES]
        mutes.update_many(
            {"ended_at": is_in_future}, {"$set": {"ended_at": earlier, "end": earlier}}
        )
        ahead = {
            "$cond": [
                {"$gt": ["$since", "$made_at"]},  # planned for a time that a person has named
                0,
                {"$subtract": ["$made_at", to_bson(now)]},
            ]
        }
        moved = {name: {"$subtract": [f"${name}", ahead]} for name in ("since", "until", "end")}
        mutes.update_many({"made_at": is_in_future}, [{"$set": {**moved, "made_at": to_bson(now)}}])

    def readings(self, asset: str, before: datetime, *, dry: bool) -> Swept:
        """Delete from the oldest reading on, and stop at the first slice without any reading to
        delete.

        So a long history that was imported a short time ago costs one slice a day, and the readings
        after it wait for it.
        """
        readings = self._database[READINGS]
        limit = to_bson(before)
        count = 0
        within: Document = {}
        while (last := _end_of_slice(readings, asset, {**within, "$lt": limit})) is not None:
            old: Document = {
                "asset": asset,
                "ts": {**within, "$lte": last},
                "arrived_at": {"$lt": limit},
            }
            in_slice = (
                readings.count_documents(old) if dry else readings.delete_many(old).deleted_count
            )
            if not in_slice:
                break
            count += in_slice
            within = {"$gt": last}
        return self._swept("readings", READINGS, count)

    def scores(self, definition: str, before: datetime, *, dry: bool) -> Swept:
        return self._sweep(
            "scores", SCORES, {"definition": definition, "ts": {"$lt": to_bson(before)}}, dry
        )

    def log(self, kind: Log, before: datetime, keep: Collection[str] = (), *, dry: bool) -> Swept:
        """Delete documents that were written before an instant; of platform alerts only the ones
        that were resolved before it.

        `keep`: subjects of platform alerts that stay.
        """
        collection, field = _LOGS[kind]
        old: Document = {
            field: {"$lt": to_bson(before)},
            **({"subject": {"$nin": list(keep)}} if keep else {}),
        }
        if kind == "backtests" and not dry:
            backtests = Backtests(self._database)
            ids = [
                backtest["_id"] for backtest in self._database[collection].find(old, {"_id": True})
            ]
            for id in ids:
                backtests.forget(id)
            return self._swept(kind, collection, len(ids))
        return self._sweep(kind, collection, old, dry)

    def _sweep(self, kind: str, collection: str, old: Document, dry: bool) -> Swept:
        stored = self._database[collection]
        return self._swept(
            kind,
            collection,
            stored.count_documents(old) if dry else stored.delete_many(old).deleted_count,
        )

    def _swept(self, kind: str, collection: str, count: int) -> Swept:
        if not count:
            return Swept(kind, 0, 0)
        sizes = next(
            iter(self._database[collection].aggregate([{"$collStats": {"storageStats": {}}}]))
        )["storageStats"]
        return Swept(kind, count, count * int(sizes.get("avgObjSize", 0)))


def _end_of_slice(readings: MongoCollection, asset: str, within: Document) -> Any | None:
    """Return the instant of the last reading of the first slice; None without readings."""
    documents = (
        readings.find({"asset": asset, "ts": within}, {"_id": False, "ts": True})
        .sort("ts", 1)
        .limit(10_000)
    )
    instants = [document["ts"] for document in documents]
    return instants[-1] if instants else None
