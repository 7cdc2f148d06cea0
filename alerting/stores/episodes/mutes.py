"""Mutes in MongoDB. Ended mutes stay, with actor and reason."""

from collections.abc import Iterable
from dataclasses import fields
from datetime import datetime

from pydantic import TypeAdapter, ValidationError

from alerting.definitions.faults import DocumentRefused, Fault
from alerting.definitions.wording.fault_messages import model_faults
from alerting.operators.mutes import Mute
from alerting.stores.documents import (
    MUTES,
    Document,
    MongoDatabase,
    good,
    insert_new,
    to_identified,
    with_ids,
)

_MUTE = TypeAdapter(Mute)


class MongoMutes:
    """Port `Mutes`. A faulty document is left out: it mutes nothing. `end`: when it is over."""

    def __init__(self, database: MongoDatabase) -> None:
        self._mutes = database[MUTES]

    def insert(self, mute: Mute) -> bool:
        return insert_new(self._mutes, {**to_identified(mute), "end": mute.end})

    def replace(self, mute: Mute) -> bool:
        stored = {"_id": mute.id, "version": mute.version - 1}
        document = {**to_identified(mute), "end": mute.end}
        return self._mutes.replace_one(stored, document).matched_count == 1

    def get(self, id: str) -> Mute | None:
        return next(iter(_read(self._mutes.find({"_id": id}))), None)

    def not_ended(self) -> list[Mute]:
        return _read(self._mutes.find({"ended_at": None}).sort([("since", 1), ("_id", 1)]))

    def overlapping(self, start: datetime | None, end: datetime, limit: int = 0) -> list[Mute]:
        query: Document = {"since": {"$lt": end}}
        if start is not None:
            query["end"] = {"$gt": start}
        return _read(self._mutes.find(query).sort([("since", -1), ("_id", -1)]).limit(limit))


def parse_mute(document: Document) -> Mute:
    """Return the mute of a document. Raises DocumentRefused with every fault."""
    try:
        mute = _MUTE.validate_python(document)
    except ValidationError as error:
        raise DocumentRefused(document.get("id"), model_faults(error.errors()), "mute") from error
    instants = [(one.name, getattr(mute, one.name)) for one in fields(mute)]
    naive = [name for name, at in instants if isinstance(at, datetime) and at.tzinfo is None]
    if naive:
        faults = [Fault(name, "is an instant without a time zone") for name in naive]
        raise DocumentRefused(mute.id, faults, "mute")
    return mute


def _read(documents: Iterable[Document]) -> list[Mute]:
    return good(MUTES, with_ids(documents), parse_mute)
