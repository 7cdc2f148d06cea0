"""Readings of a month as Arrow tables, and back: nothing that a document holds is lost.

Columns are `time (UTC)`, `arrived (UTC)`, `quality (JSON)` of samples that are not good, `other
(JSON)`, and one per variable that the asset declares: number double, boolean, category string. A
value of another type, or of a variable that is not declared, is in `other (JSON)`, as MongoDB
writes it (Extended JSON).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any

from bson import json_util
from bson.json_util import CANONICAL_JSON_OPTIONS

from alerting.adapters.samples.columns import readings_columns, without_bad
from alerting.deferred import np, npt, pa
from alerting.definitions.assets import VariableType
from alerting.ports import Document, ReadingColumns
from alerting.readings.instants import datetimes

# no names of variables
TIME = "time (UTC)"
ARRIVED = "arrived (UTC)"
QUALITY = "quality (JSON)"
OTHER = "other (JSON)"
OWN = (TIME, ARRIVED, QUALITY, OTHER)
_TYPES: Mapping[VariableType, str] = {"number": "double", "boolean": "bool", "category": "string"}


def month_schema(types: Mapping[str, VariableType]) -> Any:
    """Return the schema of a file with these variables."""
    own = [(TIME, _stamp()), (ARRIVED, _stamp()), (QUALITY, pa.string()), (OTHER, pa.string())]
    return pa.schema(
        [*own, *((name, pa.type_for_alias(_TYPES[type_])) for name, type_ in types.items())]
    )


def documents_at_once(schema: Any) -> int:
    """Return how many readings are in memory at once as documents, ten times as large as rows."""
    return max(100, 100_000 // len(schema.names))


def row_groups(documents: Iterable[Document], schema: Any) -> Iterator[Any]:
    """Yield documents as tables of the length of a row group, made of few documents at a time.

    Raises ValueError if one is no reading.
    """
    at_once = documents_at_once(schema)
    found = iter(documents)
    in_group = range(max(1000, min(100_000, 3_000_000 // len(schema.names))) // at_once)
    while tables := [
        month_table(some, schema) for _ in in_group if (some := list(islice(found, at_once)))
    ]:
        yield pa.concat_tables(tables).combine_chunks()


def month_table(documents: Sequence[Document], schema: Any) -> Any:
    """Return documents {ts, v, q, arrived_at}, sorted, as a table.

    Raises ValueError if `v` or `q` of one is no document.
    """
    if not all(
        isinstance(document.get("v", {}), dict) and isinstance(document.get("q", {}), dict)
        for document in documents
    ):
        raise ValueError("its `v` or `q` is no document")
    samples = [document.get("v", {}) for document in documents]
    other: list[Document] = [{} for _ in documents]
    columns = {
        name: _column(name, schema.field(name).type, samples, other)
        for name in schema.names
        if name not in OWN
    }
    if sum(map(len, samples)) > sum(
        len(column) - column.null_count for column in columns.values()
    ) + sum(map(len, other)):
        for values, more in zip(samples, other, strict=True):
            more.update({name: values[name] for name in values.keys() - columns.keys()})
    quality = [json.dumps(document["q"]) if document.get("q") else None for document in documents]
    own = [
        _instants([document["ts"] for document in documents]),
        _instants([document["arrived_at"] for document in documents]),
        pa.array(quality, pa.string()),
        pa.array(
            [
                json_util.dumps(more, json_options=CANONICAL_JSON_OPTIONS) if more else None
                for more in other
            ],
            pa.string(),
        ),
    ]
    return pa.table([*own, *columns.values()], schema=schema)


def _instants(found: Sequence[Any]) -> Any:
    return pa.array(
        np.array([one.replace(tzinfo=None) for one in found], "datetime64[ms]"), pa.timestamp("ms")
    ).cast(_stamp())


def _column(name: str, type_: Any, samples: Sequence[Document], other: Sequence[Document]) -> Any:
    given = [values.get(name) for values in samples]
    try:
        return pa.array(given, type_)
    except (pa.ArrowInvalid, pa.ArrowTypeError, OverflowError):
        wanted: tuple[type, ...] = (
            (str,) if type_ == pa.string() else (bool,) if type_ == pa.bool_() else (float,)
        )
    for i, value in enumerate(given):
        if value is not None and type(value) not in wanted:
            other[i][name] = value
            given[i] = None
    return pa.array(given, type_)


def month_documents(table: Any) -> Iterator[Document]:
    """Yield the rows of a table as documents {ts, v, q, arrived_at}."""
    names = [name for name in table.column_names if name not in OWN]
    times = zip(*(datetimes(_millis(table[name])) for name in (TIME, ARRIVED)), strict=True)
    details = zip(table[QUALITY].to_pylist(), table[OTHER].to_pylist(), strict=True)
    rows = (
        zip(*(table[name].to_pylist() for name in names), strict=True)
        if names
        else iter([()] * len(table))
    )
    for (ts, arrived), (quality, other), values in zip(times, details, rows, strict=True):
        samples = {
            name: value for name, value in zip(names, values, strict=True) if value is not None
        }
        samples |= json_util.loads(other, json_options=CANONICAL_JSON_OPTIONS) if other else {}
        yield {
            "ts": ts,
            "v": samples,
            **({"q": json.loads(quality)} if quality else {}),
            "arrived_at": arrived,
        }


def month_columns(asset: str, table: Any, types: Mapping[str, VariableType]) -> ReadingColumns:
    """Return the rows of a table as readings have them from the database, faults included."""
    is_plain = table[OTHER].null_count == len(table) and all(
        name not in table.column_names
        or (type_ == "category") == (_plain_type(table, name) == pa.string())
        for name, type_ in types.items()
    )
    if not is_plain:
        return readings_columns(asset, month_documents(table), types)
    ts = _millis(table[TIME])
    columns = {name: _values(table, name, type_) for name, type_ in types.items()}
    graded = np.flatnonzero(np.asarray(table[QUALITY].is_valid()))
    quality = table[QUALITY].take(pa.array(graded)).to_pylist()
    doubted = [
        {"ts": at, "q": json.loads(text)}
        for at, text in zip(datetimes(ts[graded]), quality, strict=True)
    ]
    return without_bad(ts, columns, {}, doubted)


def _millis(column: Any) -> npt.NDArray[np.int64]:
    return np.asarray(column.cast(pa.int64()), np.int64)


def _plain_type(table: Any, name: str) -> Any:
    type_ = table.schema.field(name).type
    return type_.value_type if pa.types.is_dictionary(type_) else type_


def _values(table: Any, name: str, type_: VariableType) -> npt.NDArray[Any]:
    """Return a variable's values; equal texts are one object, so a long column is small."""
    if type_ != "category":
        if name not in table.column_names:
            return np.full(len(table), np.nan)
        return np.array(table[name].cast(pa.float64()).to_numpy(), np.float64)
    if name not in table.column_names:
        return np.full(len(table), None, object)
    column = table[name].combine_chunks()
    encoded = column if pa.types.is_dictionary(column.type) else column.dictionary_encode()
    texts = np.array([*encoded.dictionary.to_pylist(), None], dtype=object)
    codes = encoded.indices.fill_null(len(texts) - 1)
    found: npt.NDArray[Any] = texts[np.asarray(codes)]
    return found


class RowsDigest:
    """Hash of rows: the same for equal rows in the same pieces, however a file stores them."""

    def __init__(self) -> None:
        self._hash = hashlib.sha256()

    def update(self, table: Any) -> None:
        """Add the rows of a table."""
        for name in table.column_names:
            column = table[name].combine_chunks()
            self._hash.update(f"{name} {column.type} {len(column)}\n".encode())
            self._hash.update(np.ascontiguousarray(column.is_valid()).tobytes())
            if column.type == pa.string():
                encoded = column.dictionary_encode()
                self._hash.update(json.dumps(encoded.dictionary.to_pylist()).encode())
                self._hash.update(np.asarray(encoded.indices.fill_null(-1)).tobytes())
            else:
                plain = column if column.type == pa.float64() else column.cast(pa.int64())
                self._hash.update(np.asarray(plain.fill_null(0)).tobytes())

    def hexdigest(self) -> str:
        """Return the hash of all rows so far."""
        return self._hash.hexdigest()


def _stamp() -> Any:
    return pa.timestamp("ms", "UTC")
