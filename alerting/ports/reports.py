"""Ports for performance reports and backtests."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from alerting.definitions.wording.language import LanguageCode
from alerting.ports.definitions import Document


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
