"""Rollups in MongoDB: a document per asset, variable and day (minutes) or month (hours), in which
each hour is a field of packed buckets."""

from collections.abc import Collection, Iterable
from datetime import datetime, timedelta
from typing import Any

from pymongo import UpdateOne

from alerting.adapters.mongo.documents import Document, MongoDatabase, to_document, upsert, utc
from alerting.adapters.mongo.each import read_stored
from alerting.adapters.mongo.indexes import ROLLUP_STATES, ROLLUPS
from alerting.ports.readings import HourlyParts
from alerting.readings.buckets import HOUR
from alerting.readings.instants import from_millis, month_interval, month_of, to_millis
from alerting.readings.rollups import RollupSize, RollupState

_DAY = timedelta(days=1)
_OFFSETS = {str(hour): hour * HOUR for hour in range(31 * 24)}  # looked up faster than computed
_LONGEST = 31 * 24 * HOUR  # span of a document


class MongoRollups:
    """Port `Rollups`."""

    def __init__(self, database: MongoDatabase) -> None:
        self._rollups = database[ROLLUPS]
        self._states = database[ROLLUP_STATES]

    def state(self, asset: str) -> RollupState | None:
        found = read_stored(ROLLUP_STATES, RollupState, self._states.find({"asset": asset}))
        return found[0] if found else None

    def states(self) -> dict[str, RollupState]:
        found = read_stored(ROLLUP_STATES, RollupState, self._states.find())
        return {state.asset: state for state in found}

    def store_state(self, state: RollupState) -> None:
        document = to_document(state)
        one = {"asset": state.asset}
        upsert(lambda: self._states.replace_one(one, document, upsert=True))

    def store(self, asset: str, size: RollupSize, parts: HourlyParts) -> None:
        updates = [
            UpdateOne(
                {"asset": asset, "variable": variable, "size": size, "start": start},
                _change(hours),
                upsert=any(hours.values()),
            )
            for variable, of in parts.items()
            for start, hours in _by_document(size, of).items()
        ]
        if updates:
            upsert(lambda: self._rollups.bulk_write(updates, ordered=False))

    def load(
        self, asset: str, variables: Collection[str], size: RollupSize, start: int, end: int
    ) -> dict[str, dict[int, bytes]]:
        first, _ = _document_span(size, from_millis(start))
        query: Document = {
            "asset": asset,
            "variable": {"$in": list(variables)},
            "size": size,
            "start": {"$gte": first, "$lt": from_millis(end)},
        }
        found: dict[str, dict[int, bytes]] = {name: {} for name in variables}
        fields = {"_id": False, "variable": True, "start": True, "parts": True}
        for document in self._rollups.find(query, fields):
            begin = to_millis(utc(document["start"]))
            parts = document.get("parts", {})
            at = map(begin.__add__, map(_OFFSETS.__getitem__, parts))
            hours: Iterable[tuple[int, bytes]] = zip(at, parts.values(), strict=True)
            if begin < start or begin + _LONGEST > end:
                hours = ((hour, part) for hour, part in hours if start <= hour < end)
            found[document["variable"]].update(hours)
        return found

    def forget(self, asset: str, before: int, variables: Collection[str] | None = None) -> int:
        of: Document = {} if variables is None else {"variable": {"$in": list(variables)}}
        limit = from_millis(before)
        deleted = 0
        for size, longest in (("minutes", limit - _DAY), ("hours", _month_before(limit))):
            old = {"asset": asset, **of, "size": size, "start": {"$lte": longest}}
            deleted += self._rollups.delete_many(old).deleted_count
        return deleted


def _change(hours: dict[str, bytes]) -> Document:
    filled = {f"parts.{key}": part for key, part in hours.items() if part}
    empty = {f"parts.{key}": "" for key, part in hours.items() if not part}
    return {**({"$set": filled} if filled else {}), **({"$unset": empty} if empty else {})}


def _by_document(size: RollupSize, parts: Any) -> dict[datetime, dict[str, bytes]]:
    found: dict[datetime, dict[str, bytes]] = {}
    for at, part in parts.items():
        start, _ = _document_span(size, from_millis(at))
        found.setdefault(start, {})[str((at - to_millis(start)) // HOUR)] = part
    return found


def _document_span(size: RollupSize, at: datetime) -> tuple[datetime, datetime]:
    if size == "hours":
        return month_interval(month_of(at))
    start = at.replace(hour=0, minute=0, second=0, microsecond=0)
    return start, start + _DAY


def _month_before(limit: datetime) -> datetime:
    """Return the beginning of the last month that ends by an instant."""
    start, _ = month_interval(month_of(limit))
    return month_interval(month_of(start - _DAY))[0]
