"""Columns of numbers from raw batches of documents, without an object for each document."""

from __future__ import annotations

from collections.abc import Collection
from itertools import pairwise
from typing import TypeAlias

from alerting.deferred import np, npt
from alerting.ports import ReadingColumns

_DOUBLE = 0x01
_DOCUMENT = 0x03
_DATE = 0x09
Bytes: TypeAlias = "npt.NDArray[np.uint8]"


def uniform_columns(batch: bytes, names: Collection[str]) -> ReadingColumns | None:
    """Return documents {ts, v} of a batch as columns of numbers, a missing variable as NaN.

    None unless all documents have the same fields, and every value is a float: then each document
    has the same length, and the instants and values lie at the same offsets.
    """
    size = int.from_bytes(batch[:4], "little")
    if not batch or len(batch) % size:
        return None
    offsets = _offsets(batch[:size])
    if offsets is None or "ts" not in offsets:
        return None
    rows = np.frombuffer(batch, np.uint8).reshape(-1, size)
    fixed = np.ones(size, np.bool_)
    for offset in offsets.values():
        fixed[offset : offset + 8] = False
    edges = np.flatnonzero(np.diff(np.r_[False, fixed, False])).tolist()
    for first, last in list(pairwise(edges))[::2]:
        if not (rows[:, first:last] == rows[0, first:last]).all():
            return None
    values = {
        name: _eight(rows, offsets[f"v.{name}"]).view("<f8").astype(np.float64, copy=False)
        if f"v.{name}" in offsets
        else np.full(len(rows), np.nan)
        for name in names
    }
    return ReadingColumns(
        _eight(rows, offsets["ts"]).view("<i8").astype(np.int64, copy=False), values
    )


def _offsets(document: bytes) -> dict[str, int] | None:
    """Return the offset of the eight bytes of each field of a document {ts, v}, or None."""
    found: dict[str, int] = {}
    prefix = ""
    at = 4
    while at < len(document):
        kind = document[at]
        if kind == 0:
            at += 1
            prefix = ""
            continue
        end = document.index(0, at)
        name = document[at + 1 : end].decode()
        at = end + 1
        if kind == _DOCUMENT and not prefix and name == "v":
            prefix = "v."
            at += 4
        elif kind == (_DOUBLE if prefix else _DATE):
            found[prefix + name] = at
            at += 8
        else:
            return None
    return found


def _eight(rows: Bytes, offset: int) -> Bytes:
    return np.ascontiguousarray(rows[:, offset : offset + 8]).reshape(-1)
