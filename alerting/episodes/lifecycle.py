"""State of a spell between two evaluations, and the pure function that moves it on."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True)
class SpellState:
    """What must be remembered of one definition on one asset from one evaluation to the next.

    `watermark`: evaluated up to and including this instant. `pending_since`: first instant of a triggered spell that is
    not open yet. `raised_at`: of the open episode. `clearing_since`: first clear instant while open.
    `last_episode`: id of the episode closed last, for continuations. `revision`: the one it was judged by.
    """

    watermark: datetime
    pending_since: datetime | None = None
    raised_at: datetime | None = None
    clearing_since: datetime | None = None
    last_value: float | None = None
    last_value_at: datetime | None = None
    last_episode: str | None = None
    last_closed_at: datetime | None = None
    unknown_count: int = 0
    unknown_reason: str | None = None
