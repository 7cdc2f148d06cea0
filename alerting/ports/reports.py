"""Ports for performance reports and backtests."""

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from alerting.episodes.episode import Episode
from alerting.ports.documents import Document, Files


class Reports(Protocol):
    """Performance reports."""

    def put(self, definition: str, start: datetime, end: datetime, figures: Document, page: str, at: datetime) -> str:
        """Keep a report; returns its id."""
        ...

    def of(self, definition: str) -> list[Document]: ...

    def newest(self, limit: int) -> list[Document]:
        """Reports of the latest periods of all definitions, newest first, with nothing of their figures but the judgement."""
        ...

    def page(self, id: str) -> str | None: ...


class Backtests(Protocol):
    """Backtests in a place of their own: progress that survives an interruption, then figures, episodes and page.

    A run is one document under its id; what a finished segment leaves behind are files of bytes by name.
    """

    def begin(self, id: str, document: Document) -> Document:
        """Open a run, or find the one there; its document with `segments` (summaries, oldest first)."""
        ...

    def keep_segment(self, id: str, number: int, summary: Document, files: Files) -> None:
        """Keep a finished segment: files first, then its summary under its number; again, it changes nothing."""
        ...

    def segment_files(self, id: str, number: int) -> dict[str, bytes]: ...

    def finish(self, id: str, results: Document, episodes: Sequence[Episode], page: str) -> None:
        """Keep the results and drop the files of the segments, which only a run that goes on needs."""
        ...

    def get(self, id: str) -> Document | None:
        """The document of a run, finished (with `finished_at`) or not."""
        ...

    def of(self, definition: str) -> list[Document]:
        """Runs of a definition, newest first."""
        ...

    def episodes(self, id: str) -> list[Episode]:
        """Episodes that a finished run would have raised, oldest first."""
        ...

    def page(self, id: str) -> str | None: ...

    def forget(self, id: str) -> None:
        """Remove a run with all that belongs to it."""
        ...
