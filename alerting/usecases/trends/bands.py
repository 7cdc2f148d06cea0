"""Events and episodes of an asset over a span, as bands behind its trend."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from alerting.deferred import pd
from alerting.definitions.assets import Asset, event_titles
from alerting.episodes.episode import Episode
from alerting.ports import EpisodePorts, PlantPorts
from alerting.usecases.trends.series import find_asset, require_span

MOST_BANDS = 1_000
_ACTIVE_FOR = timedelta(days=92)
"""Longest time before the span at which an episode that is over may have been raised."""


@dataclass(frozen=True)
class EventBand:
    """An event of the asset or of one above it; `end` is None while it goes on. `title`: of its
    type."""

    asset: str
    type: str
    title: str
    start: datetime
    end: datetime | None


@dataclass(frozen=True)
class Bands:
    """Events and episodes of a span, oldest first; `cut`: only the newest thousand of each."""

    events: list[EventBand]
    episodes: list[Episode]
    cut: bool


def find_bands(platform: EpisodePorts, asset: str, start: datetime, end: datetime) -> Bands:
    """Return the events and episodes that overlap [start, end). Raises NotFound for an unknown
    asset, UserError for a wrong span."""
    found = find_asset(platform, asset)
    require_span(start, end)
    titles = event_titles(platform.assets.event_types())
    events = [
        event
        for one in _with_ancestors(platform, found)
        for event in _events(platform, one, titles, start, end)
    ]
    events.sort(key=lambda event: (event.start, event.asset, event.type))
    alarms = [
        alarm
        for alarm in platform.episodes.alarms(start, end, start - _ACTIVE_FOR, {found.name})
        if alarm.closed_at is None or alarm.closed_at > start
    ]
    newest = [alarm.id for alarm in alarms[-MOST_BANDS:]]
    episodes = platform.episodes.get_many(newest)
    return Bands(
        events[-MOST_BANDS:],
        [episodes[id] for id in newest if id in episodes],
        max(len(events), len(alarms)) > MOST_BANDS,
    )


def _with_ancestors(platform: PlantPorts, asset: Asset) -> list[Asset]:
    found = [asset]
    while (parent := platform.assets.get(found[-1].parent or "")) is not None:
        if parent in found:
            break
        found.append(parent)
    return found


def _events(
    platform: PlantPorts, asset: Asset, titles: Mapping[str, str], start: datetime, end: datetime
) -> list[EventBand]:
    events = platform.readings.load(asset, end, end, (), events_since=start).events
    return [
        EventBand(
            asset.name,
            type_,
            titles.get(type_, type_),
            first.to_pydatetime(),
            None if is_open else last.to_pydatetime(),
        )
        for type_, first, last, is_open in zip(
            events["type"], events["start"], events["end"], pd.isna(events["end"]), strict=True
        )
        if first < end and (is_open or last >= start)
    ]
