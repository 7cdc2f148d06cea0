"""Ports for performance reports and backtests."""

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from alerting.episodes.episode import Episode
from alerting.ports.documents import Document, Files


class Reports(Protocol):
    """Performance reports."""

    def put(self, definition: str, start: datetime, end: datetime, metrics: Document, page: str, at: datetime) -> str:
        """Store a report; return its id."""

    def of(self, definition: str) -> list[Document]: ...

    def names(self, start: datetime, end: datetime) -> set[str]:
        """Return the definitions that have a report on this period."""

    def newest(self, limit: int) -> list[Document]:
        """Return reports of the latest periods of all definitions, newest first; their metrics hold only the judgement."""

    def page(self, id: str) -> str | None: ...


class Backtests(Protocol):
    """Backtests, separate from live data: progress that survives an interruption, then metrics, episodes and page.

    A run is one document under its id; each finished segment stores files of bytes by name.
    """

    def begin(self, id: str, document: Document) -> Document:
        """Open a run, or find the existing one; return its document with `segments` (summaries, oldest first)."""

    def store_segment(self, id: str, number: int, summary: Document, files: Files) -> None:
        """Store a finished segment: files first, then its summary under its number. Idempotent."""

    def segment_files(self, id: str, number: int) -> dict[str, bytes]: ...

    def finish(self, id: str, results: Document, episodes: Sequence[Episode], page: str) -> None:
        """Store the results and drop the files of the segments, which only an unfinished run needs."""

    def get(self, id: str) -> Document | None:
        """Return the document of a run, finished (with `finished_at`) or not."""

    def of(self, definition: str) -> list[Document]:
        """Return runs of a definition, newest first."""

    def episodes(self, id: str) -> list[Episode]:
        """Return the simulated episodes of a finished run, oldest first."""

    def page(self, id: str) -> str | None: ...

    def forget(self, id: str) -> None:
        """Remove a run with its episodes and files."""
