"""First-out: find the first of several alarms of one asset that are raised together."""

from collections.abc import Iterable
from datetime import timedelta
from typing import Literal

from alerting.episodes.episode import Episode

TOGETHER = timedelta(minutes=1)
FirstOut = Literal["first", "later"]


def first_out(
    episode: Episode, others: Iterable[Episode], together: timedelta = TOGETHER
) -> FirstOut | None:
    """Return `first` if others of the asset follow within `together` and none came so shortly
    before; else `later`.

    Alarms of the same instant are all first, because their order is unknown. None for an alarm that
    was raised alone.
    """
    gaps = [
        o.raised_at - episode.raised_at
        for o in others
        if o.asset == episode.asset and o.id != episode.id and not o.withdrawn
    ]
    if any(-together <= gap < timedelta(0) for gap in gaps):
        return "later"
    return "first" if any(timedelta(0) <= gap <= together for gap in gaps) else None
