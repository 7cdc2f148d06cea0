"""Documents of readings and events as frames, by the conventions of `readings.history`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Any, TypeAlias

from alerting.deferred import np, npt, pd
from alerting.definitions.asset_documents import Asset, VariableType, types_of
from alerting.definitions.faults import UserError
from alerting.ports import Document, ReadingColumns, ReadingRow, WantedHistory
from alerting.readings.history import (
    NO_DOUBTS,
    Doubts,
    History,
    column_index,
    find_members,
    has_data,
    millis_of,
    no_events,
)

CHUNK = 10_000
Column: TypeAlias = "npt.NDArray[Any]"


def sample_fields(row: ReadingRow) -> Document:
    """Return the fields {v, q} of a row; `q` only if the quality of a sample is not good."""
    return {"v": dict(row.values), **({"q": dict(row.quality)} if row.quality else {})}


def merge_rows(earlier: ReadingRow, later: ReadingRow) -> ReadingRow:
    """Return rows of one instant as one: a later sample replaces value and quality."""
    replaced = later.values.keys() | later.quality.keys()
    values = {name: value for name, value in earlier.values.items() if name not in replaced}
    quality = {name: grade for name, grade in earlier.quality.items() if name not in replaced}
    return replace(later, values={**values, **later.values}, quality={**quality, **later.quality})


def readings_frame(
    asset: str, documents: Iterator[Document], types: Mapping[str, VariableType]
) -> tuple[pd.DataFrame, Doubts]:
    """Return documents {ts, v, q}, sorted, as one row per instant and one column per name in
    `types`, and the samples that are not good.

    Raises UserError if a value is not of its variable's type.
    """
    return _frame_without_faults(readings_columns(asset, documents, types))


def joined_frame(
    pieces: Sequence[ReadingColumns], types: Mapping[str, VariableType]
) -> tuple[pd.DataFrame, Doubts]:
    """Join consecutive pieces of readings, each of some rows, into the result of `readings_frame`.
    Raises UserError if a value is not of its variable's type."""
    return _frame_without_faults(
        join_columns(pieces, types, sum(len(piece.ts) for piece in pieces))
    )


def _frame_without_faults(columns: ReadingColumns) -> tuple[pd.DataFrame, Doubts]:
    """Return columns as a frame. Raises UserError for the first column with a fault."""
    for fault in columns.faults.values():
        raise UserError(fault)
    return frame_of(columns), columns.doubts


def join_columns(
    pieces: Iterable[ReadingColumns], types: Mapping[str, VariableType], most_rows: int
) -> ReadingColumns:
    """Join consecutive pieces into one. Beside the result, only one piece at a time is in memory.

    `most_rows`: an upper bound of the rows of all pieces together.
    """
    ts = np.empty(most_rows, np.int64)
    rows = 0
    columns = {name: np.empty(most_rows, _empty(type_).dtype) for name, type_ in types.items()}
    faults: dict[str, str] = {}
    bad: dict[str, list[Column]] = {}
    uncertain: dict[str, list[Column]] = {}
    for piece in pieces:
        until = rows + len(piece.ts)
        ts[rows:until] = piece.ts
        for name, column in piece.values.items():
            columns[name][rows:until] = column
        faults = {**piece.faults, **faults}
        for of_all, of_piece in ((bad, piece.doubts.bad), (uncertain, piece.doubts.uncertain)):
            for name, instants in of_piece.items():
                of_all.setdefault(name, []).append(instants)
        rows = until
    values = {name: column[:rows] for name, column in columns.items() if name not in faults}
    doubts = Doubts(_concatenate(bad), _concatenate(uncertain))
    return ReadingColumns(ts[:rows], values, faults, doubts)


def _concatenate(pieces: Mapping[str, list[Column]]) -> dict[str, Column]:
    return {name: np.concatenate(columns) for name, columns in pieces.items()}


_NO_VALUES: Document = {}
_FEW_ROWS = 1_000  # of which a copy costs less than a series for each column


def frame_of(readings: ReadingColumns) -> pd.DataFrame:
    """Return columns of readings as a frame of the core."""
    index = pd.DatetimeIndex(readings.ts.view("datetime64[ms]"), name="ts").tz_localize("UTC")
    columns = readings.values
    if len(index) <= _FEW_ROWS and columns and all(c.dtype == np.float64 for c in columns.values()):
        block = np.empty((len(index), len(columns)), order="F")
        for position, column in enumerate(columns.values()):
            block[:, position] = column
        return pd.DataFrame(block, index, column_index(tuple(columns)), copy=False)
    series = {name: pd.Series(column, index, column.dtype) for name, column in columns.items()}
    return pd.DataFrame(series, index=index)


def readings_columns(
    asset: str, documents: Iterator[Document], types: Mapping[str, VariableType]
) -> ReadingColumns:
    """Return documents {ts, v, q}, sorted, as columns. A value with the quality bad counts as
    missing.

    The documents are read a chunk at a time, so that a long history is not in memory twice.
    """
    instants: list[Column] = [np.array([], np.int64)]
    columns: dict[str, list[Column]] = {name: [_empty(type_)] for name, type_ in types.items()}
    faults: dict[str, str] = {}
    doubted: list[Document] = []
    while chunk := list(islice(documents, CHUNK)):
        instants.append(millis_of([document["ts"] for document in chunk]))
        doubted += [document for document in chunk if "q" in document]
        values = [document.get("v", _NO_VALUES) for document in chunk]
        for name, type_ in types.items():
            try:
                columns[name].append(_make_column(asset, name, type_, chunk, values))
            except UserError as refusal:
                faults.setdefault(name, str(refusal))
    joined = {name: np.concatenate(parts) for name, parts in columns.items() if name not in faults}
    return without_bad(np.concatenate(instants), joined, faults, doubted)


def without_bad(
    ts: Column, columns: dict[str, Column], faults: Mapping[str, str], doubted: Sequence[Document]
) -> ReadingColumns:
    """Return columns with bad samples missing. `doubted`: documents {ts, q} of the samples that are
    not good."""
    doubts = _doubts(doubted, [*columns, *faults]) if doubted else NO_DOUBTS
    for name in doubts.bad.keys() & columns.keys():
        columns[name][find_members(ts, doubts.bad[name])] = (
            np.nan if columns[name].dtype == np.float64 else None
        )
    return ReadingColumns(ts, columns, faults, doubts)


def newest_frame(
    load: Callable[[WantedHistory], History],
    asset: Asset,
    since: Mapping[str, datetime],
    until: datetime,
) -> pd.DataFrame:
    """Return each variable's newest value in (since, until] within its range."""
    by_instant: dict[datetime, Document] = {}
    for name, start in since.items():
        length = timedelta(hours=1)
        while True:  # a value of long ago is searched for in lengths that grow tenfold
            begin = start if until - start <= length else until - length
            history = load(WantedHistory(asset, begin, until, [name]))
            newest = history.readings[name][has_data(history, name)].iloc[-1:]
            if len(newest) or begin <= start:
                break
            length *= 10
        for ts, value in newest.items():
            by_instant.setdefault(pd.Timestamp(str(ts)).to_pydatetime(), {})[name] = value
    documents = ({"ts": ts, "v": by_instant[ts]} for ts in sorted(by_instant))
    return readings_frame(asset.name, documents, types_of(asset, since))[0]


def joined_newest(measured: pd.DataFrame, computed: pd.DataFrame) -> pd.DataFrame:
    """Return newest values of variables as a frame, a row per instant; a missing text is None."""
    index = measured.index.union(computed.index).rename("ts")
    columns = {name: frame[name].reindex(index) for frame in (measured, computed) for name in frame}
    texts = {
        name: column.where(column.notna(), None)
        for name, column in columns.items()
        if column.dtype == object
    }
    return pd.DataFrame(columns | texts, index=index)


def events_frame(documents: Iterable[Document], instant_types: frozenset[str]) -> pd.DataFrame:
    """Return documents {type, start, end} as a frame with a row for each; instant events end where
    they start."""
    events = list(documents)
    if not events:
        return no_events()
    ends = [
        d["start"] if d["end"] is None and d["type"] in instant_types else d["end"] for d in events
    ]
    types = pd.Series([d["type"] for d in events], dtype=object)
    return pd.DataFrame(
        {"type": types, "start": _instants([d["start"] for d in events]), "end": _instants(ends)}
    )


def _instants(values: Sequence[datetime | None]) -> pd.Series:
    return pd.to_datetime(pd.Series(np.array(values, dtype=object)), utc=True).dt.as_unit("ms")


def _doubts(documents: Sequence[Document], names: Iterable[str]) -> Doubts:
    bad: dict[str, list[datetime]] = {name: [] for name in names}
    uncertain: dict[str, list[datetime]] = {name: [] for name in bad}
    for document in documents:
        for name, quality in document["q"].items():
            if name in bad:
                instants = uncertain if quality == "uncertain" else bad
                instants[name].append(document["ts"].replace(tzinfo=None))
    return Doubts(_millis_by_name(bad), _millis_by_name(uncertain))


def _millis_by_name(instants: Mapping[str, Sequence[datetime]]) -> dict[str, Column]:
    return {
        name: np.array(ats, "datetime64[ms]").view(np.int64)
        for name, ats in instants.items()
        if ats
    }


def _empty(type_: VariableType) -> Column:
    return np.array([], dtype=object if type_ == "category" else np.float64)


def _numbers(values: Sequence[Any]) -> Column | None:
    """Return values as float64; None if one of them is no number, such as None or a list."""
    try:
        array = np.array(values)
    except ValueError:  # lists of different lengths
        return None
    is_numbers = array.dtype.kind in "fiub" and array.ndim == 1
    return array.astype(np.float64, copy=False) if is_numbers else None


def _make_column(
    asset: str,
    name: str,
    type_: VariableType,
    chunk: Sequence[Document],
    values: Sequence[Document],
) -> Column:
    if type_ == "category":
        texts = [value.get(name) for value in values]
        _require(
            asset, name, chunk, "text", [text is None or isinstance(text, str) for text in texts]
        )
        return np.array(texts, dtype=object)
    numbers = [value.get(name, np.nan) for value in values]
    column = _numbers(numbers)
    if column is None:
        _require(
            asset,
            name,
            chunk,
            "a number",
            [number is None or isinstance(number, int | float) for number in numbers],
        )
        column = np.array(numbers, dtype=np.float64)
    return column


def _require(
    asset: str, name: str, chunk: Sequence[Document], type_text: str, right: Sequence[bool]
) -> None:
    if all(right):
        return
    document = chunk[right.index(False)]
    at = document["ts"].replace(tzinfo=UTC).isoformat()
    value = document["v"][name]
    raise UserError(
        f"the reading of {asset!r} at {at} has {value!r} as {name}, which is not {type_text}: "
        "correct the reading in collection `readings`, or the type of the variable in the asset"
    )
