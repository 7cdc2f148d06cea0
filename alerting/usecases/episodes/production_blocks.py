"""The production to block because of an alarm, from stored readings, and what later samples show
of it."""

from __future__ import annotations

import logging
from datetime import datetime, timedelta

from alerting.definitions.alert_definition import TrainedDefinition
from alerting.definitions.faults import UserError
from alerting.detection.problem_occurrences import problem_lookback
from alerting.episodes.episode import Episode
from alerting.episodes.touched_production import (
    LONGEST_BACK,
    ProductionBlock,
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

_FAULTS_OF_DATA = (UserError, ValueError, ArithmeticError, LookupError, TypeError)


def production_block(
    platform: OutcomePorts | MaterialPorts, episode: Episode, at: datetime
) -> ProductionBlock | None:
    """Return the production to block because of an episode, as known at an instant; None if its
    definition blocks none, its asset is gone, or its readings have a fault, which must stop neither
    a page nor a message."""
    try:
        return _find_block(platform, episode, at)
    except _FAULTS_OF_DATA:
        logging.getLogger(__name__).exception("no block of episode %s", episode.id)
        return None


def _find_block(
    platform: OutcomePorts | MaterialPorts, episode: Episode, at: datetime
) -> ProductionBlock | None:
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
        episode.raised_at,
        touched_production(time, made, at),
        bad_production(samples, time, made, at),
    )
