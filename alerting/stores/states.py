"""Condition states and watermarks of targets in MongoDB: one document, a shard, for many targets of
one cadence; past states of a target (checkpoints), a document each.

A shard holds the columns of `ConditionTable` with one row per target: names as lists, numbers
(instants in ms) as blocks of 8 bytes each, texts of few kinds as the distinct texts and a number in
each row; conditions that are not normal under their row in `conditions`; the state one step earlier
as one block. An evaluator replaces a shard as a whole, and only if it has read the previous
version.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from struct import iter_unpack

from pymongo import DeleteMany, ReplaceOne, UpdateMany

from alerting.deferred import np
from alerting.definitions.alert_definition import SHARDS, shard_of
from alerting.definitions.wording.language import Translatable, read_template, template_document
from alerting.episodes.evaluation_plan import (
    CarriedState,
    ConditionTable,
    LastingCondition,
    Objects,
    TargetKey,
)
from alerting.episodes.lifecycle import ConditionState
from alerting.ports import Checkpoint, Conflict, Unit
from alerting.readings.history import NO_TIME, to_millis
from alerting.stores.database.documents import (
    CHECKPOINTS,
    STATES,
    Document,
    MongoDatabase,
    from_document,
    good,
    read_one,
    repeated,
    to_bson,
    to_document,
    utc,
    with_ids,
)
from alerting.stores.database.transactions_and_leases import LONGEST_WRITE_MS, conflicts, session_of

_INTEGERS = ("watermark", "at", "since", "unknown_count")
_TEXTS = ("variable", "unknown_reason")


_ID = re.compile(r"\d\d-\d+(-\d+\.\d+)?")
Write = UpdateMany | ReplaceOne[Document] | DeleteMany


class MongoStates:
    """Port `States`: one document per cadence and sixteenth of the definitions, or part of one.

    It remembers each shard, with its version, as it was last read or written here. `parts`: number
    of documents of a sixteenth. After a change of this number, or of the cadence, a state moves to
    its new document when it is next advanced.
    """

    def __init__(self, database: MongoDatabase, parts: int = 1) -> None:
        self._shards = database[STATES]
        self._parts = parts
        self._last: dict[int, dict[str, tuple[int, ConditionTable]]] = {}

    @repeated
    def load_many(self, keys: Sequence[TargetKey]) -> ConditionTable:
        """Return the states of these targets, in this order, whatever the cadence of the
        targets."""
        table = ConditionTable(keys)
        numbers: dict[int, list[int]] = {}
        for row, (definition, _) in enumerate(keys):
            numbers.setdefault(shard_of(definition), []).append(row)
        self._read(numbers)
        for number, rows in numbers.items():
            self._fill(table, number, rows)
        return table

    def _fill(self, table: ConditionTable, number: int, rows: Sequence[int]) -> None:
        """Put the states in the shards of a number into these rows of a table."""
        for _, stored in self._last[number].values():
            stored_rows = _find_rows(stored, [table.keys[row] for row in rows])
            existing = [
                (row, position)
                for row, position in zip(rows, stored_rows, strict=True)
                if position is not None
            ]
            table.put_rows(
                [row for row, _ in existing], stored.take([position for _, position in existing])
            )

    @repeated
    def watermarks(self, keys: Sequence[TargetKey]) -> list[int]:
        ranges = _ranges({shard_of(definition) for definition, _ in keys})
        columns = ["definition", "asset", "watermark"]
        stored = self._shards.find({"$or": ranges}, columns) if ranges else ()
        shards = good(STATES, with_ids(stored), _read_watermarks)
        by_target = {key: watermark for shard in shards for key, watermark in shard.items()}
        return [by_target.get(key, NO_TIME) for key in keys]

    @repeated
    def versions(self) -> str:
        shards = self._shards.find({}, {"version": True}).sort("_id")
        return " ".join(f"{shard['_id']}:{shard.get('version')}" for shard in shards)

    def moves(self, keys: Sequence[TargetKey], every: int) -> bool:
        """Return whether a target of a shard was stored under another cadence or number of parts
        when it was last read."""
        ids = {self._shard_id(definition, every) for definition, _ in keys}
        chosen = set(keys)
        shards = self._shards_of(shard_of(keys[0][0]))
        return any(
            id not in ids and not chosen.isdisjoint(table.keys) for id, (_, table) in shards.items()
        )

    def advance(
        self,
        before: ConditionTable,
        after: ConditionTable,
        unit: Unit | None = None,
        every: int = 0,
    ) -> None:
        """Write the states `after` of targets of a shard. Raises Conflict if the shard or a
        watermark changed."""
        rows: dict[str, list[int]] = {}
        for row, (definition, _) in enumerate(before.keys):
            rows.setdefault(self._shard_id(definition, every), []).append(row)
        if len(rows) == 1:
            self._advance(next(iter(rows)), before, after, unit)
            return
        for shard, of_shard in rows.items():
            self._advance(shard, before.take(of_shard), after.take(of_shard), unit)

    def _advance(
        self, shard: str, before: ConditionTable, after: ConditionTable, unit: Unit | None
    ) -> None:
        shards = self._shards_of(int(shard[:2]))
        moved = set(before.keys)
        version, stored = shards.get(shard, (0, ConditionTable([])))
        others = {
            id: stored_shard
            for id, stored_shard in shards.items()
            if id != shard and not moved.isdisjoint(stored_shard[1].keys)
        }
        for _, origin in others.values():
            stored = _join_tables(
                stored, origin.take([row for row, key in enumerate(origin.keys) if key in moved])
            )
        written = {shard: (version, merge(stored, before, after))}
        for id, (other_version, origin) in others.items():
            written[id] = (
                other_version,
                origin.take([row for row, key in enumerate(origin.keys) if key not in moved]),
            )
        for id, (read_version, table) in written.items():
            self._write(id, read_version, table, unit)
            shards[id] = read_version + 1, table

    def _shard_id(self, definition: str, every: int) -> str:
        whole = f"{shard_of(definition):02}-{every}"
        if self._parts == 1:
            return whole
        return f"{whole}-{shard_of(definition, self._parts) // SHARDS}.{self._parts}"

    def _shards_of(self, number: int) -> dict[str, tuple[int, ConditionTable]]:
        """Return the shards of this number as last read or written, by id, with versions."""
        if number not in self._last:
            self._read([number])
        return self._last[number]

    def _read(self, numbers: Collection[int]) -> None:
        """Read the shards of all cadences of these numbers: one query of the ids' index."""
        ranges = _ranges(numbers)
        self._last.update({number: {} for number in numbers})
        documents = self._shards.find({"$or": ranges}) if ranges else ()
        for id, version, table in good(STATES, with_ids(documents), _read_shard):
            self._last[int(id[:2])][id] = version, table

    def _write(self, shard: str, version: int, table: ConditionTable, unit: Unit | None) -> None:
        """Replace a shard. Raises Conflict if it was written since `version` (0: if it exists)."""
        document = {"_id": shard, "version": version + 1, **to_shard(table)}
        with conflicts():
            replaced = self._shards.find_one_and_replace(
                {"_id": shard, "version": version},
                document,
                projection={"_id": True},
                upsert=version == 0,
                session=session_of(unit),
                maxTimeMS=LONGEST_WRITE_MS,
            )
        if version and replaced is None:
            raise Conflict(f"the shard {shard} has changed since its version {version}")


def _ranges(numbers: Collection[int]) -> list[Document]:
    return [{"_id": {"$gte": f"{number:02}-", "$lt": f"{number:02}."}} for number in numbers]


def _read_watermarks(document: Document) -> dict[TargetKey, int]:
    """Return the watermarks of a shard, without numpy, which most callers do not load."""
    keys = zip(document["definition"], document["asset"], strict=True)
    watermarks = (value for (value,) in iter_unpack("<q", document["watermark"]))
    return dict(zip(keys, watermarks, strict=True))


def _read_shard(document: Document) -> tuple[str, int, ConditionTable]:
    """Return id, version and table of a shard. Raises an error if its columns do not fit."""
    if _ID.fullmatch(document["id"]) is None:  # else its targets would be there twice
        raise ValueError("its _id is not that of a shard")
    version = document["version"]
    table = from_shard(document)
    columns = [
        *(getattr(table, name) for name in (*_INTEGERS, "value", *_TEXTS)),
        *vars(table.earlier).values(),
    ]
    if not isinstance(version, int) or any(len(column) != len(table) for column in columns):
        raise ValueError("its columns have different lengths, or its version is no number")
    return document["id"], version, table


def _join_tables(first: ConditionTable, second: ConditionTable) -> ConditionTable:
    table = ConditionTable([*first.keys, *second.keys])
    table.put_rows(range(len(first)), first)
    table.put_rows(range(len(first), len(table)), second)
    return table


def merge(stored: ConditionTable, before: ConditionTable, after: ConditionTable) -> ConditionTable:
    """Return the stored shard with `after` in its rows. Raises Conflict for another watermark."""
    stored_rows = _find_rows(stored, before.keys)
    watermarks = [NO_TIME if row is None else stored.watermark[row] for row in stored_rows]
    if (np.array(watermarks, np.int64) != before.watermark).any():
        raise Conflict("another evaluator has advanced some of these targets")
    new = [row for row, stored_row in enumerate(stored_rows) if stored_row is None]
    table = _join_tables(stored, after.take(new))
    existing = [
        (row, stored_row) for row, stored_row in enumerate(stored_rows) if stored_row is not None
    ]
    table.put_rows(
        [stored_row for _, stored_row in existing], after.take([row for row, _ in existing])
    )
    return table


def to_shard(table: ConditionTable) -> Document:
    """Return a table as the columns of a shard."""
    earlier = table.earlier
    numbers = [earlier.watermark, earlier.at, earlier.value.view(np.int64), earlier.since]
    return {
        "definition": [definition for definition, _ in table.keys],
        "asset": [asset for _, asset in table.keys],
        **{name: getattr(table, name).astype("<i8").tobytes() for name in _INTEGERS},
        "value": table.value.astype("<f8").tobytes(),
        **{name: _to_texts(getattr(table, name)) for name in _TEXTS},
        "earlier": np.array(numbers).tobytes(),
        "earlier_conditions": {
            str(row): _sparse(c)
            for row, c in enumerate(table.earlier_conditions.tolist())
            if c is not None
        },
        "conditions": {str(row): _sparse(table.conditions[row]) for row in table.special_rows()},
    }


def from_shard(document: Document) -> ConditionTable:
    """Return the table of a shard."""
    table = ConditionTable(list(zip(document["definition"], document["asset"], strict=True)))
    for name in _INTEGERS:
        setattr(table, name, np.frombuffer(document[name], "<i8").astype(np.int64))
    table.value = np.frombuffer(document["value"], "<f8").astype(np.float64)
    for name in _TEXTS:
        setattr(table, name, _from_texts(document[name]))
    for row, condition in document["conditions"].items():
        table.conditions[int(row)] = from_document(LastingCondition, condition)
    watermark, at, value, since = np.frombuffer(document["earlier"], np.int64).reshape(4, -1).copy()
    table.earlier = CarriedState(watermark, at, value.view(np.float64), since)
    for row, condition in document["earlier_conditions"].items():
        table.earlier_conditions[int(row)] = from_document(LastingCondition, condition)
    return table


def _to_texts(column: Objects) -> Document:
    """Return a column of few different texts: each text once, and its number in every row; beside
    the English text, template and values for other languages."""
    rows = column.tolist()
    numbers = {text: number for number, text in enumerate(dict.fromkeys(rows))}
    templates = {
        str(number): template_document(text)
        for text, number in numbers.items()
        if isinstance(text, Translatable) and text.template
    }
    return {
        "texts": [None if text is None else str(text) for text in numbers],
        "rows": np.array([numbers[text] for text in rows], "<i4").tobytes(),
        **({"templates": templates} if templates else {}),
    }


def _from_texts(column: Document) -> Objects:
    texts: Objects = np.array(column["texts"], object)
    for number, template in column.get("templates", {}).items():
        with suppress(LookupError, TypeError, ValueError, AttributeError):  # English remains
            texts[int(number)] = read_template(template, texts[int(number)])
    values: Objects = texts[np.frombuffer(column["rows"], "<i4")]
    return values


def _sparse(condition: LastingCondition) -> Document:
    return {
        name: to_bson(value)
        for name, value in vars(condition).items()
        if value not in (None, ()) and value is not False
    }


def _find_rows(table: ConditionTable, keys: list[TargetKey]) -> Sequence[int | None]:
    if table.keys == keys:  # as nearly always
        return range(len(keys))
    rows = {key: row for row, key in enumerate(table.keys)}
    return [rows.get(key) for key in keys]


class MongoCheckpoints:
    """Port `Checkpoints`: one document per definition, asset and watermark."""

    def __init__(self, database: MongoDatabase) -> None:
        self._checkpoints = database[CHECKPOINTS]

    def write(
        self, refuted: Mapping[TargetKey, datetime], checkpoints: Sequence[Checkpoint], unit: Unit
    ) -> None:
        """Drop refuted states, store new states, and drop states from which no reprocessing can
        begin.

        Each state stores the watermark of its successor (`next_at`): it is needed until the
        successor can take its place.
        """
        dropped: list[Write] = []
        updated: list[Write] = []
        obsolete: list[Write] = []
        for (definition, asset), start in refuted.items():
            key = {"definition": definition, "asset": asset}
            begin = to_bson(start)
            dropped.append(DeleteMany({**key, "watermark": {"$gte": begin}}))
            updated.append(
                UpdateMany({**key, "next_at": {"$gte": begin}}, {"$unset": {"next_at": True}})
            )
        for checkpoint in checkpoints:
            key = {"definition": checkpoint.definition, "asset": checkpoint.asset}
            document = {**key, **to_document(checkpoint.state)}
            earlier = {**key, "next_at": None, "watermark": {"$lt": document["watermark"]}}
            updated.append(UpdateMany(earlier, {"$set": {"next_at": document["watermark"]}}))
            updated.append(
                ReplaceOne({**key, "watermark": document["watermark"]}, document, upsert=True)
            )
            obsolete.append(
                DeleteMany({**key, "next_at": {"$lt": to_bson(checkpoint.needed_from)}})
            )
        writes = [*dropped, *updated, *obsolete]  # in this order: each kind is one request
        if writes:
            with conflicts():
                self._checkpoints.bulk_write(writes, session=session_of(unit))

    @repeated
    def states_before(
        self, instants: Mapping[TargetKey, datetime]
    ) -> dict[TargetKey, ConditionState]:
        """Return the latest state of each target before its instant, by one query for all targets
        of an hour."""
        hours: dict[int, dict[TargetKey, datetime]] = {}
        for key, instant in instants.items():
            hours.setdefault(to_millis(instant) // 3_600_000, {})[key] = instant
        latest = {
            key: document
            for hour in hours.values()
            for key, document in self._find_before(hour).items()
        }
        states = {
            key: read_one(CHECKPOINTS, ConditionState, document) for key, document in latest.items()
        }
        return {key: state for key, state in states.items() if state is not None}

    def _find_before(self, instants: Mapping[TargetKey, datetime]) -> dict[TargetKey, Document]:
        """Return the latest states before neighbouring instants, and no older states."""
        names = list(dict.fromkeys(definition for definition, _ in instants))
        query: Document = {
            "definition": {"$in": names},
            "asset": {"$in": list(dict.fromkeys(asset for _, asset in instants))},
            "watermark": {"$lt": to_bson(max(instants.values()))},
        }
        query["$or"] = [{"next_at": None}, {"next_at": {"$gte": to_bson(min(instants.values()))}}]
        latest_by_target: dict[TargetKey, Document] = {}
        for document in self._checkpoints.find(query).batch_size(10_000):
            key = document["definition"], document["asset"]
            at = document["watermark"]
            latest = latest_by_target.get(key)
            if not (isinstance(at, datetime) and key in instants):
                continue
            if utc(at) < instants[key] and (latest is None or latest["watermark"] < at):
                latest_by_target[key] = document
        return latest_by_target

    def state_after(self, definition: str, asset: str, instant: datetime) -> ConditionState | None:
        query = {"definition": definition, "asset": asset, "watermark": {"$gte": to_bson(instant)}}
        document = self._checkpoints.find_one(query, sort=[("watermark", 1)])
        return read_one(CHECKPOINTS, ConditionState, document)
