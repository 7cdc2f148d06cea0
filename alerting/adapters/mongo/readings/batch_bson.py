"""A batch of readings as BSON documents, written one column at a time.

All documents of a batch form one matrix of bytes, one row each, laid out as if every row had every
sample and every text were as long as the longest of its column; a mask selects the bytes that are
written.
"""

import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
from bson.raw_bson import RawBSONDocument

from alerting.deferred import pd
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
Sizes = npt.NDArray[np.int64]


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
    head = [
        _values(_key(_OBJECT_ID, "_id"), _new_ids(rows)),
        asset.field_bytes(),
        _values(_key(_DATE, "ts"), batch.at.astype("<i8")),
    ]
    arrival = _values(_key(_DATE, "arrived_at"), np.full(rows, to_millis(arrived_at), "<i8"))
    document = [
        _values(_key(_DOCUMENT, "v"), within.astype("<i4")),
        *samples,
        _values(_END, np.empty((rows, 0), np.uint8)),
    ]
    body = [*head, *document, arrival, _values(_END, np.empty((rows, 0), np.uint8))]
    sizes = _total(body, rows) + 4
    raw = _join([_values(b"", sizes.astype("<i4")), *body])
    return [
        RawBSONDocument(raw[start:end]) for start, end in pairwise([0, *np.cumsum(sizes).tolist()])
    ]


@dataclass(frozen=True)
class _FieldBytes:
    """Bytes of one field, one line per row, of which the first `sizes` (None: all) are written."""

    data: npt.NDArray[np.uint8]
    sizes: Sizes | None = None

    @property
    def is_written(self) -> npt.NDArray[np.bool_]:
        if self.sizes is None:
            return np.ones(self.data.shape, dtype=bool)
        return np.arange(self.data.shape[1]) < self.sizes[:, None]


@dataclass(frozen=True)
class _Texts:
    """Fields of text: the distinct texts, and the index of the text of each row (-1: none)."""

    fields: Sequence[bytes]
    codes: npt.NDArray[np.int64]

    @classmethod
    def encode(cls, key: bytes, values: npt.NDArray[Any]) -> "_Texts":
        codes, different = pd.factorize(values)
        texts = [text.encode() + _END for text in different]
        return cls([key + len(text).to_bytes(4, "little") + text for text in texts], codes)

    @property
    def longest(self) -> int:
        return max(map(len, self.fields), default=0)

    def field_bytes(self) -> _FieldBytes:
        fields = [*self.fields, b""]
        width = self.longest
        data = np.frombuffer(
            b"".join(field.ljust(width, _END) for field in fields), np.uint8
        ).reshape(len(fields), width)
        sizes = np.array([len(field) for field in fields], np.int64)[self.codes]
        return _FieldBytes(data[self.codes], None if (sizes == width).all() else sizes)


def _new_ids(rows: int) -> npt.NDArray[np.uint8]:
    """Return new object ids as of drivers: the second, five random bytes, and a counter."""
    ids = np.empty((rows, 12), np.uint8)
    ids[:, :9] = np.frombuffer(int(time.time()).to_bytes(4, "big") + os.urandom(5), np.uint8)
    ids[:, 9:] = np.arange(rows, dtype=">u4").view(np.uint8).reshape(rows, 4)[:, 1:]
    return ids


def _key(type_: bytes, name: str) -> bytes:
    return type_ + name.encode() + _END


def _sample(name: str, column: SampleColumn) -> _FieldBytes:
    if column.values.dtype == np.bool_:
        return _values(_key(_BOOLEAN, name), column.values, column.present)
    return _values(_key(_DOUBLE, name), column.values.astype("<f8", copy=False), column.present)


def _values(
    key: bytes, values: npt.NDArray[Any], present: npt.NDArray[np.bool_] | None = None
) -> _FieldBytes:
    rows = len(values)
    raw = np.ascontiguousarray(values).view(np.uint8).reshape(rows, -1)
    data = np.empty((rows, len(key) + raw.shape[1]), np.uint8)
    data[:, : len(key)] = np.frombuffer(key, np.uint8)
    data[:, len(key) :] = raw
    if present is None or present.all():
        return _FieldBytes(data)
    return _FieldBytes(data, np.where(present, data.shape[1], 0))


def _total(fields_: Sequence[_FieldBytes], rows: int) -> Sizes:
    total = np.zeros(rows, np.int64)
    for field_bytes in fields_:
        total += field_bytes.data.shape[1] if field_bytes.sizes is None else field_bytes.sizes
    return total


def _join(fields_: Sequence[_FieldBytes]) -> bytes:
    data = np.hstack([field_bytes.data for field_bytes in fields_])
    if all(field_bytes.sizes is None for field_bytes in fields_):
        return data.tobytes()
    return data[np.hstack([field_bytes.is_written for field_bytes in fields_])].tobytes()
