"""The newest value of a variable, found through a separate index for variables that are carried forward.

The index makes the search independent of the number of later readings without the variable.
"""

from collections.abc import Mapping
from datetime import datetime

import pandas as pd
from pymongo import ASCENDING, DESCENDING
from pymongo.collection import Collection
from pymongo.errors import OperationFailure

from alerting.adapters.mongo.documents import Document, utc
from alerting.adapters.mongo.readings.columns import readings_frame, types_of
from alerting.definitions.assets import Asset
from alerting.readings.cleaning import present
from alerting.readings.history import History

_NO_INDEX = (13, 67)  # codes of Unauthorized and CannotCreateIndex: a collection has at most 64


def newest_readings(readings: Collection[Document], asset: Asset, since: Mapping[str, datetime], until: datetime) -> pd.DataFrame:
    """Return the newest value of each variable in (since, until] within its engineering range, as readings of a history.

    Raises UserError if a stored value is not of its variable's type.
    """
    found: dict[datetime, Document] = {}
    for name, start in since.items():
        document = _newest(readings, asset, name, start, until)
        if document is not None:
            found.setdefault(utc(document["ts"]), {}).update(document["v"])
    documents = ({"ts": ts, "v": found[ts]} for ts in sorted(found))
    return readings_frame(asset.name, documents, types_of(asset, since))[0]


def _newest(readings: Collection[Document], asset: Asset, name: str, start: datetime, until: datetime) -> Document | None:
    field = f"v.{name}"
    query: Document = {"asset": asset.name, "ts": {"$gt": start, "$lte": until}, field: {"$exists": True}}
    cursor = readings.find(query, {"_id": False, "ts": True, "q": True, field: True}).sort("ts", DESCENDING).batch_size(10)
    if (index := _index(readings, name)) is not None:
        cursor = cursor.hint(index)
    for document in cursor:
        frame, _ = readings_frame(asset.name, iter([document]), types_of(asset, [name]))
        if present(History(asset, frame), name)[0]:
            return document
    return None


def _index(readings: Collection[Document], name: str) -> str | None:
    """Return the index of readings that have a variable, made at its first use.

    Return None if the index cannot be made; the search is then slower.
    """
    field = f"v.{name}"
    keys = [("asset", ASCENDING), ("ts", DESCENDING)]
    try:
        return readings.create_index(keys, name=f"newest_{name}", partialFilterExpression={field: {"$exists": True}})
    except OperationFailure as error:
        if error.code not in _NO_INDEX:
            raise
        return None
