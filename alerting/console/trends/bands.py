"""Times that are marked in a trend: alarms of the asset, and its events."""

from datetime import timedelta

import pandas as pd

from alerting.adapters.platform import Platform
from alerting.console.trends.picture import Band, Span
from alerting.definitions.assets import Asset
from alerting.definitions.wording.language import Language

_BEFORE = timedelta(days=7)
"""An alarm that was raised longer before the shown time is not looked for."""
MOST_BANDS = 100


def bands_of(platform: Platform, asset: Asset, shown: Span, language: Language) -> list[Band]:
    """Return the newest alarms and events within a time, at most a hundred of each."""
    episodes = platform.episodes.find(
        asset=asset.name, start=shown.start - _BEFORE, end=shown.end, limit=2 * MOST_BANDS
    )
    alarms = [
        Band(
            "alarm",
            language.translate(e.title),
            max(e.raised_at, shown.start),
            min(e.closed_at or shown.end, shown.end),
            f"/episodes/{e.id}",
        )
        for e in episodes
        if (e.closed_at or shown.end) >= shown.start and not e.withdrawn
    ][:MOST_BANDS]
    history = platform.readings.load(asset, shown.end, shown.end, (), events_since=shown.start)
    events = [
        Band(
            "event",
            str(row.type),
            max(row.start.to_pydatetime(), shown.start),
            shown.end if pd.isna(row.end) else min(row.end.to_pydatetime(), shown.end),
        )
        for row in history.events.itertuples()
        if pd.isna(row.end) or row.end.to_pydatetime() >= shown.start
    ][-MOST_BANDS:]
    return [*alarms, *events]
