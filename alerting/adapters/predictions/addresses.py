"""Readings of a predict job: bytes from outside, and addresses that a job may name."""

import hashlib
import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from threading import BoundedSemaphore
from typing import BinaryIO, Literal

from alerting.adapters.predictions.s3_objects import ObjectState, S3Objects
from alerting.definitions.faults import UserError
from alerting.ports import Progress
from alerting.settings.buckets import Parts, address_parts

LARGEST = 1 << 30
LONGEST_FETCH_S = 1800.0
_AT_ONCE = 2  # questions to the store by the server of pages
_MAGIC = b"PAR1"


class IncomingReadings:
    """Bytes of a Parquet file that arrive in pieces: written to a file, counted, hashed."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._hash = hashlib.sha256()
        self.size = 0
        self._first = b""
        self._last = b""

    def write(self, piece: bytes) -> None:
        """Add the next bytes."""
        self._file.write(piece)
        self._hash.update(piece)
        self.size += len(piece)
        self._first = (self._first + piece[:4])[:4]
        self._last = (self._last + piece[-4:])[-4:]

    def finish(self, size: int, what: str) -> str:
        """Return the SHA-256. Raises UserError unless it is a Parquet file of this size."""
        if self.size != size:
            raise UserError(
                f"{what} was cut off, or is longer than it should be: {self.size} bytes instead of "
                f"{size}"
            )
        if (self._first, self._last) != (_MAGIC, _MAGIC):
            raise UserError(f"{what} is not a Parquet file: it neither begins nor ends with PAR1")
        return self._hash.hexdigest()


class StoreBusy(UserError):
    """Refusal: too many questions to the object store are under way."""


@dataclass(frozen=True)
class JobAddresses:
    """The object store of predict jobs. `readable`, `writable`: folders that the operator allows;
    none by default.

    An address is compared with them whenever it is used, so a changed setting holds for jobs that
    wait, too.
    """

    readable: Sequence[Parts] = ()
    writable: Sequence[Parts] = ()
    environ: Mapping[str, str] = field(default_factory=lambda: os.environ, repr=False)
    _free: BoundedSemaphore = field(
        default_factory=lambda: BoundedSemaphore(_AT_ONCE), repr=False, compare=False
    )

    def state(self, address: str, scores_to: str | None) -> ObjectState:
        """Return the state of the object at an address that a job may read.

        Raises UserError if it or `scores_to` is not allowed, if there is none, or if it is too
        large, and Unreachable if the store does not answer.
        """
        place = self._allowed("read", address)
        if scores_to is not None:
            self._allowed("write", scores_to)
        if not self._free.acquire(blocking=False):
            raise StoreBusy(
                f"{_AT_ONCE} questions to the object store are under way; send this one again"
            )
        try:
            found = S3Objects(self.environ).state(place)
        finally:
            self._free.release()
        if found.size > LARGEST:
            raise UserError(
                f"{address} has {found.size} bytes; at most {LARGEST} are read: order it in "
                "several files"
            )
        return found

    def fetch(self, address: str, state: ObjectState, path: Path, progress: Progress) -> str:
        """Copy an object to a file, which appears whole; return its SHA-256. Raises UserError as
        `state` does.

        And if it was replaced since its state was read, is no Parquet file, or takes longer than
        half an hour.
        """
        place = self._allowed("read", address)
        until = time.monotonic() + LONGEST_FETCH_S
        part = path.with_name(f"{path.name}.part")
        with part.open("wb") as file:
            arriving = IncomingReadings(file)
            for piece in S3Objects(self.environ).read(place, state.etag):
                arriving.write(piece)
                progress("fetching", arriving.size, state.size)
                if arriving.size > state.size:
                    break
                if time.monotonic() > until:
                    raise UserError(
                        f"{address}: it took longer than {LONGEST_FETCH_S / 60:g} minutes to read"
                    )
            sha256 = arriving.finish(state.size, address)
        part.replace(path)
        return sha256

    def write(self, folder: str, id: str, scores: Path) -> str:
        """Store scores in a folder under a new name; return the address.

        Raises UserError if the folder is not allowed, or the store does not take them.
        """
        place = (*self._allowed("write", folder), f"scores-{id}.parquet")
        S3Objects(self.environ).write(place, scores)
        return "s3://" + "/".join(place)

    def _allowed(self, use: Literal["read", "write"], address: str) -> Parts:
        """Return the parts of an address. Raises UserError unless it lies in one of the folders."""
        folders, setting = (
            (self.readable, "ALERTING_PREDICTIONS_FROM")
            if use == "read"
            else (self.writable, "ALERTING_PREDICTIONS_TO")
        )
        try:
            place = address_parts(address)
        except ValueError as fault:
            raise UserError(str(fault)) from None
        if use == "read" and len(place) == 1:
            raise UserError("the address names a bucket and no object in it")
        if not folders:
            raise UserError(
                f"predict jobs {use} no object store: the operator allows folders by "
                f"{setting}=s3://bucket/folder"
            )
        if not any(place[: len(folder)] == folder for folder in folders):
            raise UserError(
                f"predict jobs may not {use} {address}: it is in none of the folders of {setting}"
            )
        return place


NO_ADDRESSES = JobAddresses()
