"""Remaining lives of parts: the newest estimates, and how estimates did in a period."""

from datetime import datetime, timedelta

import numpy as np

from alerting.definitions.alert_definition import Definition, TrainedDefinition, matching_assets
from alerting.definitions.wording.language import Styled, joined, translatable
from alerting.episodes.remaining_life import RemainingLife
from alerting.learning.features.lives import RowLives, find_lives, row_lives
from alerting.learning.models.life_model import STATED, KnownLives, LifeTimes, check_lives
from alerting.ports import ReportPorts
from alerting.readings.buckets import HOUR
from alerting.readings.history import Floats, to_millis

_FRESH = timedelta(hours=1)
"""Time without an estimate after which the last one is no longer shown; at least three strides."""


def newest_lives(
    platform: ReportPorts, definition: Definition, now: datetime
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
    parts = []
    given_away = []
    planned = 0
    failures = 0
    for number, asset in enumerate(matching_assets(definition, platform.assets.all())):
        history = platform.readings.load(asset, start, end, [])
        lives = find_lives(ends, history)
        in_period = lives.end >= to_millis(start)
        failures += int((lives.failed[in_period] == 1).sum())
        planned += int((lives.failed[in_period] == 0).sum())
        stored = platform.scores.for_interval(definition.name, start, end, asset.name)
        newest = {
            to_millis(s["ts"]): s["life"]
            for s in sorted(stored, key=lambda s: s["model_version"])
            if s.get("life")
        }
        at = np.array(sorted(newest), np.int64)
        times = np.array([newest[t] for t in at.tolist()], np.float64).reshape(-1, 4)
        columns = RowLives(*row_lives(ends, history, at).T)
        last = np.append(columns.life[1:] != columns.life[:-1], True)[: len(at)]
        ended = last & (columns.failed == 0) & (columns.life < len(lives.end))
        given_away += np.nan_to_num(times[ended, 1], nan=0.0).tolist()
        came = np.column_stack([columns.age, columns.time_left, columns.life + 1_000_000 * number])
        parts.append(np.column_stack([times, came])[columns.failed == 1])
    rows = np.concatenate(parts) if parts else np.empty((0, 7))
    sentences = []
    if len(rows):
        low, median, high, keep, age, time_left, life = rows.T
        estimates = LifeTimes(low, _or(median, np.inf), _or(high, np.inf), _or(keep, 0.0))
        check = check_lives(estimates, KnownLives(age, time_left, life.astype(np.int64)), None)
        sentences.append(
            translatable(
                "the remaining life lay in its interval {share} of the time ({stated} stated), on "
                "{lives} lives that ended with a failure",
                share=Styled(float(check.coverage.mean()), "share"),
                stated=Styled(STATED, "share"),
                lives=len(check.coverage),
            )
        )
    if given_away:
        sentences.append(
            translatable(
                "{planned} planned replacements gave away about {hours} in all (estimated), with "
                "{failures} failures between them",
                planned=planned,
                hours=Styled(sum(given_away) / HOUR, ".3g h"),
                failures=failures,
            )
        )
    return joined("; ", *sentences) if sentences else ""


def _or(values: Floats, default: float) -> Floats:
    return np.where(np.isnan(values), default, values)
