"""The predicted values that were stored, beside the samples, each graded as it came."""

from datetime import datetime, timedelta

from alerting.definitions.assets import Asset
from alerting.definitions.model import TrainedDefinition
from alerting.learning.metrics.graded_values import ServedValues, compare_values
from alerting.ports import Readings, Scores

_MOMENT = timedelta(milliseconds=1)


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
    rows = scores.for_interval(definition.name, start, end + _MOMENT, asset.name)
    return compare_values(rows, history, name, definition.gap, end)
