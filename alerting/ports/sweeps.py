"""Ports for what grows old: its deletion, or its number, and the archive of readings."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal, Protocol

Log = Literal["audit", "handovers", "platform_alerts", "reports", "backtests", "past_evaluations"]
"""Collections of which documents are deleted by their age alone."""


@dataclass(frozen=True)
class Swept:
    """Documents of one kind that are deleted, or would be. `bytes`: about; None where that is not
    known."""

    what: str
    documents: int
    bytes: int | None


class Sweeps(Protocol):
    """Deletion of old documents. With `dry` nothing is deleted. Idempotent."""

    def readings(self, asset: str, before: datetime, *, dry: bool) -> Swept:
        """Delete readings of an asset that are of before an instant and reached the platform before
        it: an import stays."""

    def scores(self, definition: str, before: datetime, *, dry: bool) -> Swept:
        """Delete the scores of a definition of instants before this one."""

    def log(self, what: Log, before: datetime, keep: Collection[str] = (), *, dry: bool) -> Swept:
        """Delete documents that were written before an instant; of platform alerts those resolved
        before it.

        `keep`: subjects of platform alerts that stay.
        """


class NoSweeps:
    """Port `Sweeps` of stores in memory, which end with their process."""

    def readings(self, asset: str, before: datetime, *, dry: bool) -> Swept:  # noqa: ARG002
        return Swept("readings", 0, 0)

    def scores(self, definition: str, before: datetime, *, dry: bool) -> Swept:  # noqa: ARG002
        return Swept("scores", 0, 0)

    def log(self, what: Log, before: datetime, keep: Collection[str] = (), *, dry: bool) -> Swept:  # noqa: ARG002
        return Swept(what, 0, 0)


NO_SWEEPS = NoSweeps()


FileState = Literal["written", "archived", "restoring", "deleting"]
"""written: its readings may still be in the database too. restoring: they are being put back.
deleting: it is read no more."""


@dataclass(frozen=True)
class ArchivedFile:
    """One file of the archive: readings of an asset and a month that reached the platform before
    `arrived_before`.

    A further file of a month (`number` from 0) has what came later, and its samples replace those
    of the files before it. `sha256`: of the file; `digest`: of its rows, the same for equal rows.
    `bytes`: its size.
    """

    asset: str
    month: str
    number: int
    path: str
    rows: int
    first: datetime
    last: datetime
    bytes: int
    sha256: str
    digest: str
    arrived_before: datetime
    written_at: datetime
    state: FileState = "written"


class Archive(Protocol):
    """Files with old readings, which are read as if they were in the database. Raises UserError if
    it cannot be reached."""

    after: timedelta | None
    """Age at which readings go there; None while none do."""

    @property
    def address(self) -> str:
        """Return where the files are, for people, without secrets."""

    def files(self, asset: str | None = None) -> Sequence[ArchivedFile]:
        """Return the recorded files, by asset, month and number."""

    def due_months(self, asset: str, before: datetime, arrived_before: datetime) -> Sequence[str]:
        """Return the months that end at or before an instant and have readings in the database that
        arrived before another."""

    def write(
        self, asset: str, month: str, number: int, arrived_before: datetime, now: datetime
    ) -> ArchivedFile | None:
        """Write a month of readings as a file, read it back whole, and compare; None without
        readings.

        Raises UserError if the file differs from what was written.
        """

    def record(self, file: ArchivedFile) -> None:
        """Record a written file: from now on it is read. Raises UserError if another process
        recorded one of its number."""

    def delete_readings(self, file: ArchivedFile) -> int:
        """Delete the readings of a file from the database, and mark it `archived`. Return how many.
        Idempotent.

        Raises UserError, with nothing deleted, if the file or the number of readings differs from
        what was recorded.
        """

    def check(self, file: ArchivedFile) -> None:
        """Read a file whole. Raises UserError if it is not what was recorded."""

    def restore(self, file: ArchivedFile, now: datetime) -> int:
        """Put the readings of a file back into the database, where samples of the same instant
        stay. Return how many rows.

        They arrive now, so that they are stored as long as new ones.

        Idempotent. The file is no longer part of the archive afterwards, and is deleted.
        """

    def forget(self, file: ArchivedFile) -> None:
        """Delete a file for good: from now on it is not read. Idempotent.

        If the archive cannot be reached, the record stays until the file is deleted
        (`being_deleted`).
        """

    def being_deleted(self) -> Sequence[ArchivedFile]:
        """Return the files that are no longer read and whose deletion has not ended."""

    def unknown_files(self) -> Sequence[str]:
        """Return the paths of files at the place of the archive that are not recorded."""
