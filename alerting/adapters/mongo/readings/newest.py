"""The newest value of a variable, found through a separate index for variables that are carried
forward.

The index makes the search independent of the number of later readings without the variable. It is
made when a model that needs it is put into service.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime

from pymongo import ASCENDING, DESCENDING
from pymongo.collection import Collection
from pymongo.errors import OperationFailure

from alerting.adapters.mongo.documents import Document, utc
from alerting.adapters.samples.columns import readings_frame
from alerting.deferred import pd
from alerting.definitions.assets import Asset, types_of
from alerting.readings.cleaning import has_data
from alerting.readings.history import History


def newest_readings(
    readings: Collection[Document], asset: Asset, since: Mapping[str, datetime], until: datetime
) -> pd.DataFrame:
    """Return the newest value of each variable in (since, until] within its engineering range, as
    readings of a history.

    Raises UserError if a stored value is not of its variable's type.
    """
    found: dict[datetime, Document] = {}
    for name, start in since.items():
        document = _newest_of_bucket(readings, asset, name, start, until)
        if document is not None:
            found.setdefault(utc(document["ts"]), {}).update(document.get("v", {}))
    documents = ({"ts": ts, "v": found[ts]} for ts in sorted(found))
    return readings_frame(asset.name, documents, types_of(asset, since))[0]


def index_newest(readings: Collection[Document], names: Iterable[str]) -> None:
    """Create the index of each variable, unless the server refuses it. Idempotent."""
    keys = [("asset", ASCENDING), ("ts", DESCENDING)]
    for name in names:
        try:
            readings.create_index(
                keys, name=_index(name), partialFilterExpression={f"v.{name}": {"$exists": True}}
            )
        except OperationFailure as error:
            # codes of Unauthorized and CannotCreateIndex: a collection has at most 64
            if error.code not in (13, 67):
                raise


def _newest_of_bucket(
    readings: Collection[Document], asset: Asset, name: str, start: datetime, until: datetime
) -> Document | None:
    """Return the newest good reading of a variable, through its index or by a slower search."""
    field = f"v.{name}"
    query: Document = {
        "asset": asset.name,
        "ts": {"$gt": start, "$lte": until},
        field: {"$exists": True},
    }
    cursor = (
        readings.find(query, {"_id": False, "ts": True, "q": True, field: True})
        .sort("ts", DESCENDING)
        .batch_size(10)
    )
    try:
        return _first_present(cursor.clone().hint(_index(name)), asset, name)
    except OperationFailure as error:
        if error.code != 2:  # BadValue: the hint names no index
            raise
        return _first_present(cursor, asset, name)


def _first_present(documents: Iterable[Document], asset: Asset, name: str) -> Document | None:
    for document in documents:
        frame, _ = readings_frame(asset.name, iter([document]), types_of(asset, [name]))
        if has_data(History(asset, frame), name)[0]:
            return document
    return None


def _index(name: str) -> str:
    return f"newest_{name}"
