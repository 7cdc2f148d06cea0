"""The production to block because of an alarm, from stored readings; and what later samples show of
it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from alerting.definitions.alert_definition import TrainedDefinition
from alerting.detection.problem_occurrences import problem_lookback
from alerting.episodes.episode import Episode
from alerting.episodes.touched_production import (
    LONGEST_BACK,
    BadProduction,
    TouchedProduction,
    bad_production,
    known_samples,
    longest_pause,
    touched_production,
    touched_time,
    variable_that,
)
from alerting.ports import MaterialPorts, OutcomePorts
from alerting.readings.history import with_older
from alerting.usecases.definitions.versions import find_revision, with_stored_features


@dataclass(frozen=True)
class ProductionBlock:
    """The production that an episode touched, and how much of it was bad, as known at an
    instant."""

    episode: str
    asset: str
    production: TouchedProduction
    bad: BadProduction


def production_block(
    platform: OutcomePorts | MaterialPorts, episode: Episode, at: datetime
) -> ProductionBlock | None:
    """Return the production to block because of an episode, as known at an instant; None if its
    definition blocks none, or its asset is gone."""
    revision = find_revision(platform.definitions, episode.definition, episode.revision)
    asset = platform.assets.get(episode.asset)
    if revision is None or asset is None or not revision.definition.blocks_production:
        return None
    definition = revision.definition.for_assets([asset])
    if isinstance(definition, TrainedDefinition):
        definition = with_stored_features(platform.derived_features, definition)
    earlier = problem_lookback(definition.problem) if definition.problem else timedelta(0)
    history = platform.readings.load(
        asset,
        episode.raised_at - LONGEST_BACK - earlier,
        at,
        definition.quality_variables,
        with_events=False,
    )
    samples = known_samples(definition, history, at)
    expected_from = episode.raised_at + min(definition.window.after, timedelta(0))
    time = touched_time(samples, episode, expected_from, at)
    counts = variable_that(asset, "counts")
    lots = variable_that(asset, "names")
    names = [name for name in (counts, lots) if name is not None]
    start = time.start - (longest_pause(asset, counts) if counts else timedelta(0))
    made = platform.readings.load(asset, start, at, names, with_events=False)
    if lots is not None:
        in_force = platform.readings.newest_values(asset, {lots: start - LONGEST_BACK}, start)
        made = with_older(made, in_force)
    return ProductionBlock(
        episode.id,
        asset.name,
        touched_production(time, made, at),
        bad_production(samples, time, made, at),
    )
