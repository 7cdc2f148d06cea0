"""Ports for performance reports and backtests."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from alerting.definitions.wording.language import LanguageCode
from alerting.episodes.episode import Episode
from alerting.ports.definitions import Document, Files


@dataclass(frozen=True)
class ReportHead:
    """A stored report without its content. `definition` is None for the report on the whole plant.

    `period`: name of its calendar period, None for an interval that a person chose. `empty`: there
    was nothing to report. `as_of`: the instant of its point-in-time view. `unseen`: it is on the
    test period of a training, which no model had seen. `sentences`: the most important ones.
    `announced`: its recipients have their notifications. `language`: of its page and sentences.
    """

    id: str
    definition: str | None
    start: datetime
    end: datetime
    as_of: datetime
    period: str | None = None
    empty: bool = False
    unseen: bool = False
    trust: str = "cannot_tell"
    sentences: tuple[str, ...] = ()
    key_metrics: Mapping[str, str] = field(default_factory=dict)
    announced: bool = True
    language: LanguageCode = "en"

    @property
    def headline(self) -> str:
        """Return its first sentence."""
        return self.sentences[0] if self.sentences else ""


@dataclass(frozen=True)
class ReportContent:
    """The content of a report: all metrics, the page, its tables {name: {columns, rows}}, and its
    time line as a PNG for mails, empty where nothing happened."""

    metrics: Document
    page: str
    tables: Mapping[str, Document] = field(default_factory=dict)
    picture: bytes = b""


class Reports(Protocol):
    """Performance reports. A correction of a period is another report; of a head only `announced`
    changes."""

    def add(self, head: ReportHead, content: ReportContent) -> bool:
        """Store a report; return False if one of its id is stored."""

    def store_report(self, head: ReportHead, content: ReportContent) -> None:
        """Store a report on an interval that a person chose, in place of one of its id."""

    def mark_announced(self, id: str) -> None:
        """Record that the recipients of a report have their notifications."""

    def get(self, id: str) -> ReportHead | None: ...

    def content(self, id: str) -> ReportContent | None: ...

    def page(self, id: str) -> str | None: ...

    def for_definition(self, definition: str | None) -> list[ReportHead]:
        """Return the reports on a definition, or on the plant, newest first."""

    def of_period(self, period: str, as_of: datetime | None = None) -> dict[str | None, ReportHead]:
        """Return the newest report on a calendar period, by its definition; at `as_of`: of those
        stored by then."""

    def metrics_of(self, ids: Collection[str]) -> dict[str, Document]:
        """Return the metrics of stored reports, by id."""

    def newest_reports(
        self, limit: int, definitions: Collection[str] | None = None
    ) -> list[ReportHead]:
        """Return reports of the latest periods of all definitions and of the plant, or of these
        definitions, newest first, without empty ones."""

    def unannounced(self, limit: int) -> list[ReportHead]:
        """Return reports that are not announced yet, oldest first, without empty ones."""


class Backtests(Protocol):
    """Backtests, separate from live data: progress that survives an interruption, then metrics,
    episodes and page.

    A run is one document under its id; each finished segment stores files of bytes by name.
    """

    def begin(self, id: str, document: Document) -> Document:
        """Open a run, or find the existing one; return its document with `segments` (summaries,
        oldest first)."""

    def store_segment(self, id: str, number: int, summary: Document, files: Files) -> None:
        """Store a finished segment: files first, then its summary under its number. Idempotent."""

    def segment_files(self, id: str, number: int) -> dict[str, bytes]: ...

    def finish(self, id: str, results: Document, episodes: Sequence[Episode], page: str) -> None:
        """Store the results and drop the files of the segments, which only an unfinished run
        needs."""

    def get(self, id: str) -> Document | None:
        """Return the document of a run, finished (with `finished_at`) or not."""

    def for_definition(self, definition: str) -> list[Document]:
        """Return runs of a definition, newest first."""

    def episodes(self, id: str) -> list[Episode]:
        """Return the simulated episodes of a finished run, oldest first."""

    def page(self, id: str) -> str | None: ...

    def forget(self, id: str) -> None:
        """Remove a run with its episodes and files."""
