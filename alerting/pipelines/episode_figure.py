"""The figure that goes with a message: the readings of the episode's variable around its raise."""

from datetime import datetime, timedelta

from alerting.definitions.model import ThresholdDefinition
from alerting.episodes.episode import Episode
from alerting.pipelines.ports import Picture, Platform

_BEFORE = (timedelta(hours=1), timedelta(hours=6), timedelta(days=1), timedelta(days=7))
_ENOUGH = 12


def episode_figure(platform: Platform, episode: Episode, now: datetime) -> Picture | None:
    """From an hour before the raise (more where readings are rare) until now or the end; None without numbers to draw."""
    from alerting.reporting.episode_drawing import drawn_variable, episode_drawing

    revision = next((r for r in platform.definitions.revisions(episode.definition) if r.number == episode.revision), None)
    asset = platform.assets.get(episode.asset)
    judged = revision.definition.variable if revision and isinstance(revision.definition, ThresholdDefinition) else None
    variable = drawn_variable(episode, judged)
    if asset is None or variable is None:
        return None
    end = min(now, episode.closed_at + timedelta(minutes=10)) if episode.closed_at else now
    for before in _BEFORE:
        history = platform.readings.load(asset, episode.raised_at - before, max(end, episode.raised_at), [variable])
        if len(history.readings) >= _ENOUGH or before == _BEFORE[-1]:
            drawn = episode_drawing(episode, history, variable)
            return None if drawn is None else Picture(*drawn)
    return None
