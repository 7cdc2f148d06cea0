"""A batch of readings as BSON documents, written one column at a time.

All documents of a batch form one matrix of bytes, one row each, laid out as if every row had every
sample and every text were as long as the longest of its column; a mask selects the bytes that are
written.
"""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from typing import Any, TypeAlias

from bson.raw_bson import RawBSONDocument

from alerting.deferred import np, npt, pd
from alerting.ports import ReadingBatch, SampleColumn
from alerting.readings.history import to_millis

LARGEST = 1 << 26  # bytes of the matrix
_DOUBLE = b"\x01"
_STRING = b"\x02"
_DOCUMENT = b"\x03"
_OBJECT_ID = b"\x07"
_BOOLEAN = b"\x08"
_DATE = b"\x09"
_END = b"\x00"
Sizes: TypeAlias = "npt.NDArray[np.int64]"


def batch_documents(batch: ReadingBatch, arrived_at: datetime) -> list[RawBSONDocument] | None:
    """Return the documents {_id, asset, ts, v, arrived_at} of a batch without qualities, new ids
    included.

    Return None if the matrix would be larger than `LARGEST`, because of a long text.
    """
    rows = len(batch)
    asset = _Texts.encode(_key(_STRING, "asset"), batch.assets)
    texts = {
        n: _Texts.encode(_key(_STRING, n), c.values)
        for n, c in batch.columns.items()
        if c.values.dtype == object
    }
    if rows * (asset.longest + sum(text.longest for text in texts.values())) > LARGEST:
        return None
    samples = [
        texts[n].field_bytes() if n in texts else _sample(n, column)
        for n, column in batch.columns.items()
    ]
    within = _total(samples, rows) + 4 + len(_END)
    end = _FieldBytes(_END, np.empty(rows, "V0"))
    body = [
        _FieldBytes(_key(_OBJECT_ID, "_id"), _new_ids(rows)),
        asset.field_bytes(),
        _FieldBytes(_key(_DATE, "ts"), batch.at.astype("<i8", copy=False)),
        _FieldBytes(_key(_DOCUMENT, "v"), within.astype("<i4")),
        *samples,
        end,
        _FieldBytes(_key(_DATE, "arrived_at"), np.full(rows, to_millis(arrived_at), "<i8")),
        end,
    ]
    sizes = _total(body, rows) + 4
    raw = _join([_FieldBytes(b"", sizes.astype("<i4")), *body], rows)
    return [
        RawBSONDocument(raw[start:end]) for start, end in pairwise([0, *np.cumsum(sizes).tolist()])
    ]


@dataclass(frozen=True)
class _FieldBytes:
    """One field of all rows: the same key, then the bytes of one item of `values` each, of which
    together the first `sizes` (None: all) are written."""

    key: bytes
    values: npt.NDArray[Any]
    sizes: Sizes | None = None

    @property
    def width(self) -> int:
        return len(self.key) + self.values.itemsize


@dataclass(frozen=True)
class _Texts:
    """Fields of text: the distinct texts, and the index of the text of each row (-1: none)."""

    fields: Sequence[bytes]
    codes: npt.NDArray[np.int64]

    @classmethod
    def encode(cls, key: bytes, values: npt.NDArray[Any]) -> _Texts:
        codes, different = pd.factorize(values)
        texts = [text.encode() + _END for text in different]
        return cls([key + len(text).to_bytes(4, "little") + text for text in texts], codes)

    @property
    def longest(self) -> int:
        return max(map(len, self.fields), default=0)

    def field_bytes(self) -> _FieldBytes:
        fields = [*self.fields, b""]
        data = np.array(fields, f"V{self.longest}")
        sizes = np.array([len(field) for field in fields], np.int64)[self.codes]
        return _FieldBytes(b"", data[self.codes], None if (sizes == self.longest).all() else sizes)


def _new_ids(rows: int) -> npt.NDArray[np.void]:
    """Return new object ids as of drivers: the second, five random bytes, and a counter."""
    ids = np.empty((rows, 12), np.uint8)
    ids[:, :9] = np.frombuffer(int(time.time()).to_bytes(4, "big") + os.urandom(5), np.uint8)
    ids[:, 9:] = np.arange(rows, dtype=">u4").view(np.uint8).reshape(rows, 4)[:, 1:]
    return ids.view("V12").reshape(rows)


def _key(type_: bytes, name: str) -> bytes:
    return type_ + name.encode() + _END


def _sample(name: str, column: SampleColumn) -> _FieldBytes:
    is_boolean = column.values.dtype == np.bool_
    key = _key(_BOOLEAN if is_boolean else _DOUBLE, name)
    values = column.values if is_boolean else column.values.astype("<f8", copy=False)
    if column.present.all():
        return _FieldBytes(key, values)
    return _FieldBytes(key, values, np.where(column.present, len(key) + values.itemsize, 0))


def _total(fields: Sequence[_FieldBytes], rows: int) -> Sizes:
    total = np.zeros(rows, np.int64)
    for field in fields:
        total += field.width if field.sizes is None else field.sizes
    return total


def _join(fields: Sequence[_FieldBytes], rows: int) -> bytes:
    starts = np.cumsum([0, *(field.width for field in fields)]).tolist()
    data = np.empty((rows, starts[-1]), np.uint8)
    keys = b"".join(field.key + bytes(field.values.itemsize) for field in fields)
    data[:] = np.frombuffer(keys, np.uint8)
    for field, start in zip(fields, starts, strict=False):
        at = start + len(field.key)
        item = np.dtype(
            {
                "names": ["one"],
                "formats": [field.values.dtype],
                "offsets": [at],
                "itemsize": starts[-1],
            }
        )
        data.reshape(-1).view(item)["one"] = field.values
    if all(field.sizes is None for field in fields):
        return data.tobytes()
    is_written = np.ones(data.shape, dtype=bool)
    for field, start in zip(fields, starts, strict=False):
        if field.sizes is not None:
            is_written[:, start : start + field.width] = (
                np.arange(field.width) < field.sizes[:, None]
            )
    return data[is_written].tobytes()
