"""The prediction window of an episode: when its problem is expected."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from alerting.episodes.episode import Episode


@dataclass(frozen=True)
class ExpectedWindow:
    """The times between which a problem is expected."""

    start: datetime
    end: datetime


def expected_window(episode: Episode, horizon: timedelta) -> ExpectedWindow | None:
    """Return when the problem of an episode is expected; None unless it is.

    The window moves with the risk: from the last high score + gap to that + gap + horizon.
    """
    if episode.phase != "expected" or episode.valid_until is None:
        return None
    start = max(episode.raised_at, episode.valid_until - horizon)
    return ExpectedWindow(min(start, episode.valid_until), episode.valid_until)
