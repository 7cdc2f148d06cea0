"""Remaining lives of parts: the newest estimates, and how estimates did in a period."""

from datetime import datetime, timedelta

import numpy as np

from alerting.definitions.alert_definition import Definition, TrainedDefinition, matching_assets
from alerting.definitions.wording.language import Styled, joined, translatable
from alerting.episodes.remaining_life import RemainingLife
from alerting.learning.features.lives import find_lives
from alerting.learning.models.life_model import STATED
from alerting.ports import EvaluationPorts, ReportPorts, WantedHistory
from alerting.readings.buckets import HOUR
from alerting.readings.history import to_millis

_FRESH = timedelta(hours=1)
"""Time without an estimate after which the last one is no longer shown; at least three strides."""


def newest_lives(
    platform: EvaluationPorts | ReportPorts, definition: Definition, now: datetime
) -> dict[str, RemainingLife]:
    """Return the newest estimate of each asset that has one now."""
    if not isinstance(definition, TrainedDefinition) or definition.life_ends is None:
        return {}
    since = now - max(_FRESH, 3 * definition.stride)
    scores = platform.scores.for_interval(definition.name, since, now + timedelta(milliseconds=1))
    lives = ((s["asset"], RemainingLife.from_times(s["ts"], s.get("life"))) for s in scores)
    return {asset: life for asset, life in lives if life is not None}


def describe_lives(
    platform: ReportPorts, definition: TrainedDefinition, start: datetime, end: datetime
) -> str:
    """Return how often the interval held on the lives that ended in a period with a failure, and
    what planned replacements gave away; empty without an estimate."""
    ends = definition.life_ends
    if ends is None:
        return ""
    shares: list[float] = []
    given_away: list[float] = []
    planned = failures = 0
    for asset in matching_assets(definition, platform.assets.all()):
        lives = find_lives(ends, platform.readings.load(WantedHistory(asset, start, end, [])))
        span = platform.readings.span(asset.name)
        begin = start if span is None else max(start, span[0])  # before, no part was in service
        ended = lives.failed[lives.end > to_millis(begin)]
        failures += int(ended.sum())
        planned += int((~ended).sum())
        stored = platform.scores.for_interval(definition.name, start, end, asset.name)
        in_order = sorted(stored, key=lambda s: s["model_version"])  # the newest model counts
        newest = {to_millis(s["ts"]): s["life"] for s in in_order if s.get("life")}
        at = np.array(sorted(newest), np.int64)
        times = np.array([newest[t] for t in at.tolist()], np.float64).reshape(-1, 4)
        number = np.searchsorted(lives.end, at, side="right")
        for life in np.unique(number[number < len(lives.end)]).tolist():
            low, median, high, _ = times[number == life].T
            time_left = lives.end[life] - at[number == life]
            if lives.failed[life]:
                shares.append(float(((low <= time_left) & ~(time_left > high)).mean()))
            elif not np.isnan(median[-1]):  # beyond the times that the training has seen
                given_away.append(float(median[-1]))
    sentences = []
    if shares:
        sentences.append(
            translatable(
                "the remaining life lay in its interval {share} of the time ({stated} stated), on "
                "{lives} lives that ended with a failure",
                share=Styled(float(np.mean(shares)), "share"),
                stated=Styled(STATED, "share"),
                lives=len(shares),
            )
        )
    if given_away:
        sentences.append(
            translatable(
                "{estimated} of {planned} planned replacements gave away about {hours} in all "
                "(estimated), with {failures} failures between them",
                estimated=len(given_away),
                planned=planned,
                hours=Styled(sum(given_away) / HOUR, ".3g h"),
                failures=failures,
            )
        )
    return joined("; ", *sentences) if sentences else ""
