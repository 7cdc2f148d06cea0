"""Upkeep between evaluations: outcomes, edited documents, episodes whose definition went out of service."""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from alerting.definitions.model import Revision
from alerting.episodes.episode import Episode, Transition
from alerting.pipelines.dead_letters import dead_letters
from alerting.pipelines.definitions import sync
from alerting.pipelines.load_gate import check_edited
from alerting.pipelines.muting import tend_shelves
from alerting.pipelines.ports import Platform
from alerting.pipelines.routes import read_routes
from alerting.pipelines.settle import settle_due, update
from alerting.pipelines.watching import current_watchlist

_LATE_KEPT = timedelta(days=1)  # at least: that long `alerting late` looks back


def maintain(platform: Platform, as_of: datetime) -> dict[str, Any]:
    """Do what is due. Doing it again changes nothing."""
    synced = sync(platform, as_of)
    tend_shelves(platform, as_of)
    return {
        "new_revisions": [f"{r.name} r{r.number}" for r in synced.new],
        "over_budget": check_edited(platform, as_of),
        "faulty": synced.faulty,
        "closed": close_orphans(platform, as_of),
        "settled": settle_due(platform, as_of),
        "forgotten_late": forget_late(platform, as_of),
        "dead_letters": len(dead_letters(platform)),
        "faulty_routes": read_routes(platform)[1],
    }


def forget_late(platform: Platform, as_of: datetime) -> int:
    """Take out of the journal of late data what no definition would judge again any more. Returns how many deliveries."""
    longest = max((watch.mutability for watch in current_watchlist(platform).watches), default=0)
    return platform.arrivals.forget(as_of - max(timedelta(milliseconds=longest), _LATE_KEPT))


def close_orphans(platform: Platform, as_of: datetime) -> int:
    """Close open episodes of definitions that are not in service any more. Returns how many."""
    idle = [r for r in platform.definitions.latest() if r.definition.state != "active"]
    return sum(_close_all(platform, revision, as_of) for revision in idle)


def _close_all(platform: Platform, revision: Revision, as_of: datetime) -> int:
    reason = f"the definition is {revision.definition.state} since {revision.at.isoformat()}"

    def closed(episode: Episode) -> Episode:
        if episode.condition == "closed":
            return episode
        transition = Transition("closed", as_of, "platform", reason)
        return replace(episode, condition="closed", closed_at=as_of, transitions=(*episode.transitions, transition))

    open_ones = platform.episodes.find(definition=revision.name, open_only=True)
    for episode in open_ones:
        update(platform, episode.id, closed)
    return len(open_ones)
