"""Notifications held back on purpose: floods on a channel of their own, and targets that are
shelved from the start.

When they are told depends on when somebody looked, which differs in the storm. That they are told,
and when not, does not.
"""

from collections.abc import Collection, Iterable, Mapping
from datetime import datetime, timedelta

from alerting.adapters.platform import Platform
from alerting.episodes.episode import Episode
from alerting.notifications.notification import Notification
from alerting.operators.shelves import Shelf
from alerting.usecases.operators.operate import Actor
from alerting.usecases.operators.shelving import shelve

CROWD = "crowd"
ROUTE = {"name": "crowd", "channels": [CROWD], "flood": {"more_than": 1, "within": "3m"}}
SHELVED = {
    ("too-hot", "oven-9"): timedelta(minutes=5),
    ("too-hot", "oven-10"): timedelta(minutes=7),
    ("shaking", "oven-10"): timedelta(minutes=60),
    ("low-pressure", "oven-9"): timedelta(minutes=60),
}
"""Length of these shelves, from the start of the plant on."""
_ANN = Actor("ann", "engineer")


def put_on_shelves(platform: Platform, start: datetime) -> None:
    """Shelve the pairs."""
    for (definition, asset), lasting in SHELVED.items():
        shelve(platform, definition, asset, _ANN, start, start + lasting, "fault test")


def untold_in_floods(notices: Collection[Notification]) -> list[str]:
    """Keys of what a summary should have told and none that was delivered has."""
    summaries = [
        n.content
        for n in notices
        if n.key.startswith("flood:") and n.status == "sent" and n.content
    ]
    told = {key for summary in summaries for key in summary.payload["notifications"]}
    return [
        n.key
        for n in notices
        if n.status == "grouped" and n.postponed_by == "flood" and n.key not in told
    ]


def told_on_shelves(
    episodes: Mapping[str, Episode], notices: Iterable[Notification], shelves: Iterable[Shelf]
) -> list[str]:
    """Keys of what was made known of a shelved pair while it was shelved."""
    ends = {(s.definition, s.asset): s.until for s in shelves}
    sent = ((episodes[n.episode], n) for n in notices if n.episode and n.status == "sent")
    return [
        n.key
        for e, n in sent
        if (until := ends.get((e.definition, e.asset))) and n.created_at < until
    ]


def untold_after_shelves(
    episodes: Mapping[str, Episode],
    notices: Iterable[Notification],
    shelves: Iterable[Shelf],
    longest_gap: timedelta,
) -> list[str]:
    """Episodes without a notification that lasted long enough after the end of their shelf for
    one."""
    ends = {(s.definition, s.asset): s.ended_at for s in shelves}
    told = {n.episode for n in notices if n.status == "sent"}
    return [
        e.id
        for e in episodes.values()
        if (end := ends.get((e.definition, e.asset))) is not None
        and e.raised_at < end
        and (e.closed_at is None or e.closed_at - end > longest_gap)
        and e.id not in told
    ]


def not_ended(shelves: Iterable[Shelf], now: datetime) -> list[str]:
    """Shelves whose time is over, and which nobody has ended."""
    return [s.id for s in shelves if s.until is not None and s.until <= now and s.ended_at is None]
