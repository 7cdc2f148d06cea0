"""Condition states and watermarks of targets in MongoDB: those of many targets in one document, a shard.

Written: a list per column of `ConditionTable` with one row per target; instants as milliseconds; conditions that are not normal
under their row in `conditions`; the state one step earlier as a block of numbers. An evaluator replaces a shard as a whole,
and only if it read the version before. Two evaluators that advance different targets of one shard preserve each other's work.
"""

from collections.abc import Mapping, Sequence

import numpy as np
from pymongo.errors import DuplicateKeyError

from alerting.adapters.mongo.documents import Document, MongoDatabase, from_document, to_document
from alerting.adapters.mongo.indexes import STATES
from alerting.episodes.lifecycle import ConditionState
from alerting.episodes.state_table import NORMAL, CarriedState, Condition, ConditionTable, TargetKey, shard_of
from alerting.readings.instants import NO_TIME
from alerting.readings.ragged import Flags

_INSTANTS = ("watermark", "at", "since")


class MongoStates:
    """Port `States`: one document per shard of definitions."""

    def __init__(self, database: MongoDatabase) -> None:
        self._shards = database[STATES]
        self._read_last: dict[int, tuple[int, ConditionTable]] = {}

    def load(self, definition: str, assets: Sequence[str]) -> dict[str, ConditionState]:
        """Return states by asset; an asset never evaluated is absent."""
        table = self.load_many([(definition, asset) for asset in assets])
        states = {asset: table.state(row) for row, (_, asset) in enumerate(table.keys)}
        return {asset: state for asset, state in states.items() if state is not None}

    def advance(self, definition: str, asset: str, before: ConditionState | None, after: ConditionState) -> bool:
        """Write `after` if the stored watermark is still that of `before` (None: if there is no state yet)."""
        old, new = ConditionTable([(definition, asset)]), ConditionTable([(definition, asset)])
        if before is not None:
            old.put(0, before)
        new.put(0, after)
        return bool(self.advance_many(old, new)[0])

    def load_many(self, keys: Sequence[TargetKey]) -> ConditionTable:
        """Return the states of these targets, in this order."""
        table = ConditionTable(keys)
        for shard, rows in _rows_by_shard(keys).items():
            version, stored = self._read(shard)
            self._read_last[shard] = version, stored
            stored_rows = _find_rows(stored, [keys[row] for row in rows])
            existing = [(row, stored_row) for row, stored_row in zip(rows, stored_rows, strict=True) if stored_row is not None]
            table.put_rows([row for row, _ in existing], stored.take([stored_row for _, stored_row in existing]))
        return table

    def advance_many(self, before: ConditionTable, after: ConditionTable) -> Flags:
        """Write `after` for each target whose stored watermark is still that of `before`; return the mask of these targets."""
        advanced = np.zeros(len(before), np.bool_)
        for shard, rows in _rows_by_shard(before.keys).items():
            advanced[rows] = self._advance_shard(shard, before.take(rows), after.take(rows))
        return advanced

    def _advance_shard(self, shard: int, before: ConditionTable, after: ConditionTable) -> Flags:
        version, stored = self._read_last.pop(shard) if shard in self._read_last else self._read(shard)
        while True:
            changed, advanced = merge(stored, before, after)
            if not advanced.any() or self._write(shard, version, changed):
                return advanced
            version, stored = self._read(shard)

    def _read(self, shard: int) -> tuple[int, ConditionTable]:
        document = self._shards.find_one({"_id": shard})
        return (0, ConditionTable([])) if document is None else (document["version"], from_shard(document))

    def _write(self, shard: int, version: int, table: ConditionTable) -> bool:
        """Replace a shard; return False if another evaluator has written it since `version` (0: if it did not exist)."""
        document = {"_id": shard, "version": version + 1, **to_shard(table)}
        if version:
            return self._shards.replace_one({"_id": shard, "version": version}, document).matched_count == 1
        try:
            self._shards.insert_one(document)
        except DuplicateKeyError:
            return False
        return True


def merge(stored: ConditionTable, before: ConditionTable, after: ConditionTable) -> tuple[ConditionTable, Flags]:
    """Return the stored shard with `after` in the rows whose stored watermark is that of `before`, and a mask of those rows."""
    stored_rows = _find_rows(stored, before.keys)
    watermarks = np.array(
        [NO_TIME if stored_row is None else stored.watermark[stored_row] for stored_row in stored_rows], np.int64
    )
    advanced: Flags = watermarks == before.watermark
    new = [row for row, stored_row in enumerate(stored_rows) if stored_row is None and advanced[row]]
    table = ConditionTable([*stored.keys, *(before.keys[row] for row in new)])
    table.put_rows(range(len(stored)), stored)
    table.put_rows(range(len(stored), len(table)), after.take(new))
    existing = [(row, stored_row) for row, stored_row in enumerate(stored_rows) if stored_row is not None and advanced[row]]
    table.put_rows([stored_row for _, stored_row in existing], after.take([row for row, _ in existing]))
    return table, advanced


def to_shard(table: ConditionTable) -> Document:
    """Return a table as the columns of a shard."""
    instants = {name: [None if at == NO_TIME else at for at in getattr(table, name).tolist()] for name in _INSTANTS}
    return {
        "definition": [definition for definition, _ in table.keys],
        "asset": [asset for _, asset in table.keys],
        **instants,
        "variable": table.variable,
        "value": [None if value != value else value for value in table.value.tolist()],  # noqa: PLR0124 - NaN
        "unknown_count": table.unknown_count.tolist(),
        "unknown_reason": table.unknown_reason,
        "earlier": _to_bytes(table.earlier),
        "earlier_conditions": {str(row): _sparse(c) for row, c in enumerate(table.earlier_conditions) if c is not None},
        "conditions": {str(row): _sparse(c) for row, c in enumerate(table.conditions) if c is not NORMAL},
    }


def from_shard(document: Document) -> ConditionTable:
    """Return the table of a shard."""
    table = ConditionTable(list(zip(document["definition"], document["asset"], strict=True)))
    for name in _INSTANTS:
        setattr(table, name, np.array([NO_TIME if at is None else at for at in document[name]], np.int64))
    table.value = np.array([np.nan if value is None else value for value in document["value"]], np.float64)
    table.unknown_count = np.array(document["unknown_count"], np.int64)
    table.variable, table.unknown_reason = document["variable"], document["unknown_reason"]
    for row, condition in document["conditions"].items():
        table.conditions[int(row)] = from_document(Condition, condition)
    table.earlier = _from_bytes(document["earlier"])
    for row, condition in document["earlier_conditions"].items():
        table.earlier_conditions[int(row)] = from_document(Condition, condition)
    return table


def _to_bytes(carried: CarriedState) -> bytes:
    return np.array([carried.watermark, carried.at, carried.value.view(np.int64), carried.since]).tobytes()


def _from_bytes(data: bytes) -> CarriedState:
    watermark, at, value, since = np.frombuffer(data, np.int64).reshape(4, -1).copy()
    return CarriedState(watermark, at, value.view(np.float64), since)


def _sparse(condition: Condition) -> Document:
    return {
        name: value for name, value in to_document(condition).items() if value is not None and value is not False and value != []
    }


def _rows_by_shard(keys: Sequence[TargetKey]) -> Mapping[int, list[int]]:
    shards: dict[int, list[int]] = {}
    for row, (definition, _) in enumerate(keys):
        shards.setdefault(shard_of(definition), []).append(row)
    return shards


def _find_rows(table: ConditionTable, keys: Sequence[TargetKey]) -> list[int | None]:
    """Return the row of each target in the table; None for a target without one."""
    rows = {key: row for row, key in enumerate(table.keys)}
    return [rows.get(key) for key in keys]
