"""First-out: when several alarms of one asset rise together, which one came first."""

from collections.abc import Iterable
from datetime import timedelta
from typing import Literal

from alerting.episodes.episode import Episode

TOGETHER = timedelta(minutes=1)
FirstOut = Literal["first", "later"]


def first_out(episode: Episode, others: Iterable[Episode], together: timedelta = TOGETHER) -> FirstOut | None:
    """`first` when others of the asset follow within `together` and none came so shortly before; `later` when one did.

    Alarms of the same instant are all first: nobody can tell them apart. None for an alarm that rose alone.
    """
    gaps = [
        o.raised_at - episode.raised_at for o in others if o.asset == episode.asset and o.id != episode.id and not o.withdrawn
    ]
    if any(-together <= gap < timedelta(0) for gap in gaps):
        return "later"
    return "first" if any(timedelta(0) <= gap <= together for gap in gaps) else None
