"""Limits that change by themselves, as they were in force on an asset: for the charts of episodes
and reports."""

from dataclasses import replace
from datetime import datetime

from alerting.definitions.assets import Asset
from alerting.definitions.model import Condition, Definition, ModelDefinition
from alerting.definitions.wording.language import translatable
from alerting.kinds.protocol.evaluation import Models, Sources
from alerting.kinds.protocol.shared_inputs import SharedInputs
from alerting.kinds.registry import moving_kind_of
from alerting.ports import BacktestPorts, ChartPorts, ModelUnavailable, ReportPorts
from alerting.readings.series import Series, series_of
from alerting.reporting.definition.material import Material
from alerting.reporting.figures.episode_chart import NO_MOVING_LEVELS, LevelsInForce
from alerting.usecases.definitions.versions import segments
from alerting.usecases.registry.model_cache import ModelCache


def levels_in_force(
    platform: ChartPorts | ReportPorts | BacktestPorts,
    models: Models,
    definition: Definition,
    asset: Asset,
    start: datetime,
    end: datetime,
) -> LevelsInForce:
    """Return the limits that were in force in (start, end], by revision and version; none of limits
    that do not change."""
    kind = moving_kind_of(definition) if isinstance(definition, ModelDefinition) else None
    if kind is None or start >= end:
        return NO_MOVING_LEVELS

    def read(condition: Condition, since: datetime, until: datetime) -> Series:
        return series_of(
            condition, platform.readings.load(asset, since, until, [condition.variable])
        )

    revisions = platform.definitions.revisions(definition.name)
    decisions = platform.decisions.of(definition.name)
    sources = Sources(platform, models, asset, read, SharedInputs(platform.readings))
    try:
        return LevelsInForce(
            kind.moving_levels(definition, sources, segments(revisions, decisions, start, end))
        )
    except ModelUnavailable as unavailable:
        reason = translatable(
            "the limits in force are not drawn, for they cannot be read: {reason}",
            reason=str(unavailable),
        )
        return LevelsInForce({}, reason)


def with_moving_levels(platform: ReportPorts | BacktestPorts, material: Material) -> Material:
    """Return the material of a report with the limits that change by themselves, found for the
    times that are drawn."""
    models = ModelCache(platform)

    def find(asset: Asset, start: datetime, end: datetime) -> LevelsInForce:
        return levels_in_force(platform, models, material.definition, asset, start, end)

    return replace(material, moving_levels=find)
