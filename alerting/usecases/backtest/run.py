"""Subject, cadence of training and result of a backtest."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from alerting.definitions.faults import format_duration
from alerting.definitions.model import Definition, Revision
from alerting.episodes.episode import Episode
from alerting.ports import Document

Retrain = timedelta | Literal["scheduled", "never"]


@dataclass(frozen=True)
class Subject:
    """The tested definition: as of a revision, or as it would be if it were applied."""

    revision: Revision
    applied: bool

    @property
    def definition(self) -> Definition:
        """Return the definition as given."""
        return self.revision.definition


@dataclass(frozen=True)
class Backtest:
    """A finished backtest. `resumed`: segments restored; `is_stored`: all was stored already."""

    id: str
    definition: str
    start: datetime
    end: datetime
    headline: str
    segments: tuple[Document, ...]
    metrics: Document
    events: Document | None
    load: Document | None
    cost: Document | None
    episodes: tuple[Episode, ...]
    page: str
    finished_at: datetime
    resumed: int = 0
    is_stored: bool = False


def cadence(retrain: Retrain) -> str:
    """Return the cadence as text: a duration, "scheduled" or "never"."""
    return format_duration(retrain) if isinstance(retrain, timedelta) else retrain
