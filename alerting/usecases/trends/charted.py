"""Values that charts show beside the readings: limits that change by themselves, as they were in
force, and the predicted values that were stored, each graded as it came."""

from datetime import datetime, timedelta

from alerting.definitions.alert_definition import (
    Condition,
    Definition,
    ModelDefinition,
    TrainedDefinition,
)
from alerting.definitions.asset_documents import Asset
from alerting.definitions.wording.language import translatable
from alerting.kinds.protocol import EvaluationSources, LoadedModels
from alerting.kinds.registry import moving_kind_of
from alerting.kinds.shared_inputs import SharedInputs
from alerting.learning.metrics.graded_values import ServedValues, compare_values
from alerting.ports import ChartPorts, ModelUnavailable, Readings, ReportPorts, SandboxPorts, Scores
from alerting.readings.variable_series import Series, series_of
from alerting.reporting.variable_charts import NO_MOVING_LEVELS, LevelsInForce
from alerting.usecases.definitions.versions import segments


def levels_in_force(
    platform: ChartPorts | ReportPorts | SandboxPorts,
    models: LoadedModels,
    definition: Definition,
    asset: Asset,
    start: datetime,
    end: datetime,
) -> LevelsInForce:
    """Return the limits in force in (start, end]; none of limits that do not change."""
    kind = moving_kind_of(definition) if isinstance(definition, ModelDefinition) else None
    if kind is None or start >= end:
        return NO_MOVING_LEVELS

    def read(condition: Condition, since: datetime, until: datetime) -> Series:
        return series_of(
            condition, platform.readings.load(asset, since, until, [condition.variable])
        )

    revisions = platform.definitions.revisions(definition.name)
    decisions = platform.decisions.for_definition(definition.name)
    sources = EvaluationSources(platform, models, asset, read, SharedInputs(platform.readings))
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


def load_served_values(
    scores: Scores,
    readings: Readings,
    definition: TrainedDefinition,
    asset: Asset,
    start: datetime,
    end: datetime,
) -> ServedValues | None:
    """Return the values said of an asset in [start, end], with the samples known at `end`; None if
    none was said."""
    name = definition.must_know
    if name is None or name not in asset.variables:
        return None
    before = start - asset.delay(name) - definition.gap - 2 * definition.horizon
    history = readings.load(asset, before, end, [name])
    rows = scores.for_interval(definition.name, start, end + timedelta(milliseconds=1), asset.name)
    return compare_values(rows, history, name, definition.gap, end)
