"""What the spacing of the stored readings says of a definition before it serves."""

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta

from alerting.deferred import np
from alerting.definitions.assets import Asset
from alerting.definitions.checks.trained import training_warnings
from alerting.definitions.durations import format_duration
from alerting.definitions.matching import matching_assets
from alerting.definitions.model import Condition, Definition, TrainedDefinition
from alerting.definitions.wording.language import joined, translatable
from alerting.kinds.anomaly.definition import AnomalyDefinition
from alerting.kinds.control_chart.definition import ControlChartDefinition
from alerting.kinds.normal.fields import NormalDefinition
from alerting.kinds.threshold.definition import ThresholdDefinition
from alerting.kinds.threshold.reach import (
    LEAST,
    Lasting,
    Times,
    describe_unreachable,
    lasting_condition,
    usual_distance,
)
from alerting.ports import PlantPorts
from alerting.readings.history import Millis
from alerting.readings.spacing import value_times

_LENGTHS = (timedelta(hours=1), timedelta(days=1), timedelta(days=30), timedelta(days=365))
"""How far before the last reading values are read, until there are enough."""
_ENOUGH = 200
_MOST_ASSETS = 5
_MOST_VARIABLES = 20
_POINTS = 10  # usual distances of the usual off-delay of a chart, and of a window


def warnings_of(platform: PlantPorts, definition: Definition) -> list[str]:
    """Return what an engineer should know of a valid definition before it serves."""
    targets = matching_assets(definition, platform.assets.find_matching(definition.assets))
    return [*_warnings_on(definition, targets), *_unreachable(platform, definition, targets)]


def _warnings_on(definition: Definition, targets: Sequence[Asset]) -> Iterable[str]:
    if isinstance(definition, TrainedDefinition):
        return training_warnings(definition, targets)
    if isinstance(definition, NormalDefinition):
        return [*definition.horizon_warnings(targets), *definition.effect_warnings()]
    return []


def _unreachable(
    platform: PlantPorts, definition: Definition, targets: Sequence[Asset]
) -> Iterator[str]:
    """Yield what can never be fulfilled with the readings as they come, of each of some assets."""
    for asset in targets[:_MOST_ASSETS]:
        names = _names(definition, asset)
        span = platform.readings.span(asset.name) if names else None
        if span is None:
            continue
        times = {name: _newest_times(platform, asset, name, span[1]) for name in names}
        for one in lasting_conditions(definition, times):
            for sentence in describe_unreachable(one, times):
                yield joined(": ", asset.name, sentence) if len(targets) > 1 else sentence
        if isinstance(definition, AnomalyDefinition):
            yield from _empty_windows(definition, times)


def _names(definition: Definition, asset: Asset) -> list[str]:
    """Return the variables of an asset whose spacing decides."""
    found = {leaf.variable for one in lasting_conditions(definition, {}) for leaf in one.leaves()}
    if isinstance(definition, AnomalyDefinition) and definition.windows:
        found |= {*sorted(definition.numbers_of(asset))[:_MOST_VARIABLES]}
    return sorted(found & {*asset.variables})


def lasting_conditions(definition: Definition, times: Times) -> list[Lasting]:
    """Return the conditions of a definition and of its problem that the spacing of readings, known
    by some of their times, can make impossible."""
    found = []
    if isinstance(definition, ThresholdDefinition):
        found.append(lasting_condition(definition))
    elif isinstance(definition, ControlChartDefinition) and definition.stale_after is not None:
        of = Condition.model_construct(
            variable=definition.variable, stale_after=definition.stale_after
        )
        usual = usual_distance(times.get(definition.variable, ()))
        found.append(Lasting(of, timedelta(0), definition.off_delay(_POINTS * usual)))
    if definition.problem is not None and (combination := definition.problem.combination):
        found.append(Lasting(combination, timedelta(0), timedelta(0)))
    return found


def _empty_windows(definition: AnomalyDefinition, times: Times) -> Iterator[str]:
    """Yield that the windows are shorter than most variables need, if they are."""
    longest = max(definition.windows or (), default=timedelta(0))
    distances = sorted(usual_distance(ts) for ts in times.values() if len(ts) >= LEAST)
    if distances and (usual := distances[(len(distances) - 1) // 2]) > longest:
        yield translatable(
            "most variables come every {usual} or more seldom, and windows of {duration} hold no "
            "value of them: nothing is ever evaluated; write windows: [{enough}]",
            usual=format_duration(usual),
            duration=format_duration(longest),
            enough=format_duration(_POINTS * usual),
        )


def _newest_times(platform: PlantPorts, asset: Asset, name: str, last: datetime) -> Millis:
    """Return the instants of the newest values of a variable."""
    found: Millis = np.empty(0, np.int64)
    for length in _LENGTHS:
        history = platform.readings.load(asset, last - length, last, [name], with_events=False)
        found = value_times(history, name)
        if len(found) >= (_ENOUGH if length == _LENGTHS[0] else 5 * LEAST):
            break
    return found
