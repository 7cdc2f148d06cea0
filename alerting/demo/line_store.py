"""The demo line in MongoDB: one document per asset with its state and its pending requests."""

from collections.abc import Sequence
from dataclasses import dataclass

from pymongo import ReturnDocument

from alerting.demo.line import DemoLineState
from alerting.stores.documents import (
    LINES,
    Document,
    MongoDatabase,
    from_document,
    good,
    insert_new,
    to_document,
)


@dataclass(frozen=True)
class SetPointRequest:
    """A set-point that a person requests; the line applies it at the next minute it computes."""

    id: str
    variable: str
    value: float
    actor: str


@dataclass(frozen=True)
class StoredLine:
    """A line as stored. `version` counts the writes of its state."""

    state: DemoLineState
    version: int
    requests: tuple[SetPointRequest, ...] = ()


class MongoLines:
    """Demo lines, one per asset."""

    def __init__(self, database: MongoDatabase) -> None:
        self._lines = database[LINES]

    def load(self, asset: str) -> StoredLine | None:
        found = self._lines.find_one({"_id": asset})
        return next(iter(good(LINES, [] if found is None else [found], _read_line)), None)

    def save(
        self,
        asset: str,
        before: StoredLine | None,
        state: DemoLineState,
        taken: Sequence[SetPointRequest] = (),
    ) -> StoredLine | None:
        """Replace the state if its version fits; requests that came meanwhile stay."""
        if before is None:
            first = {"_id": asset, "version": 1, "state": to_document(state), "requests": []}
            return StoredLine(state, 1) if insert_new(self._lines, first) else None
        after = self._lines.find_one_and_update(
            {"_id": asset, "version": before.version},
            {
                "$set": {"state": to_document(state), "version": before.version + 1},
                "$pull": {"requests": {"id": {"$in": [request.id for request in taken]}}},
            },
            return_document=ReturnDocument.AFTER,
        )
        return None if after is None else _read_line(after)

    def ask(self, asset: str, request: SetPointRequest) -> bool:
        return (
            self._lines.update_one(
                {"_id": asset}, {"$push": {"requests": to_document(request)}}
            ).matched_count
            == 1
        )


def _read_line(document: Document) -> StoredLine:
    requests = tuple(from_document(SetPointRequest, request) for request in document["requests"])
    return StoredLine(
        from_document(DemoLineState, document["state"]), document["version"], requests
    )
