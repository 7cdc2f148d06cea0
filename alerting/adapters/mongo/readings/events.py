"""Events of an asset from MongoDB: all up to an instant, or only those that matter from another instant on."""

from collections.abc import Collection, Sequence
from datetime import datetime

import pandas as pd

from alerting.adapters.mongo.documents import Document, MongoCollection
from alerting.adapters.samples.columns import events_frame
from alerting.definitions.assets import EventType
from alerting.readings.history import EVENT_COLUMNS

_FIELDS = dict.fromkeys(EVENT_COLUMNS, True)


def load_events(
    events: MongoCollection, asset: str, event_types: Sequence[EventType], end: datetime | None, since: datetime | None = None
) -> pd.DataFrame:
    """Return the events that start at or before `end`, as a frame.

    With `since`, of the events that start at or before it, only the last one of each type and the lasting ones that go on after
    it: without a scan of the others.
    """
    instant = frozenset(type_.name for type_ in event_types if type_.duration == "instant")
    within = {op: at for op, at in (("$gt", since), ("$lte", end)) if at is not None}
    query: Document = {"asset": asset, **({"start": within} if within else {})}
    found = list(events.find(query, _FIELDS).sort([("start", 1), ("type", 1)]))
    earlier = [] if since is None else _earlier(events, asset, instant, since)
    return events_frame([*earlier, *found], instant)


def _earlier(events: MongoCollection, asset: str, instant: Collection[str], since: datetime) -> list[Document]:
    """Return, sorted, the last event of each type at or before an instant, and the lasting ones from before that go on after."""
    last = events.aggregate(
        [
            {"$match": {"asset": asset, "start": {"$lte": since}}},
            {"$sort": {"type": -1, "start": -1}},  # with this order the server looks up one document of each type
            {"$group": {"_id": "$type", "event": {"$first": "$$ROOT"}}},
        ]
    )
    found = {group["event"]["_id"]: group["event"] for group in last}
    lasting = sorted({event["type"] for event in found.values()}.difference(instant))
    if lasting:
        ongoing = {"$or": [{"end": None}, {"end": {"$gt": since}}]}
        query = {"asset": asset, "type": {"$in": lasting}, "start": {"$lte": since}, **ongoing}
        found.update((event["_id"], event) for event in events.find(query, _FIELDS))
    return sorted(found.values(), key=lambda event: (event["start"], str(event["type"])))
