"""What the spacing of the stored readings says of a definition before it serves."""

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta

from alerting.deferred import np
from alerting.definitions.assets import Asset
from alerting.definitions.checks.trained import training_warnings
from alerting.definitions.model import Definition, TrainedDefinition, matching_assets
from alerting.definitions.wording.language import joined
from alerting.kinds.normal.fields import NormalDefinition
from alerting.kinds.protocol.spacing import (
    LEAST,
    Lasting,
    NeedsSpacing,
    describe_unfulfillable,
)
from alerting.kinds.registry import kind_of
from alerting.ports import PlantPorts
from alerting.readings.history import Millis
from alerting.readings.spacing import value_times

_LENGTHS = (timedelta(hours=1), timedelta(days=1), timedelta(days=30), timedelta(days=365))
"""How far before the last reading values are read, until there are enough."""
_ENOUGH = 200
_MOST_ASSETS = 5


def warnings_of(
    platform: PlantPorts, definition: Definition, until: datetime | None = None
) -> list[str]:
    """Return what an engineer should know of a valid definition before it serves, by its newest
    readings up to `until`, by default all."""
    targets = matching_assets(definition, platform.assets.find_matching(definition.assets))
    return [
        *_warnings_on(definition, targets),
        *_unfulfillable(platform, definition, targets, until),
    ]


def _warnings_on(definition: Definition, targets: Sequence[Asset]) -> Iterable[str]:
    if isinstance(definition, TrainedDefinition):
        return training_warnings(definition, targets)
    if isinstance(definition, NormalDefinition):
        return [*definition.horizon_warnings(targets), *definition.effect_warnings()]
    return []


def _unfulfillable(
    platform: PlantPorts,
    definition: Definition,
    targets: Sequence[Asset],
    until: datetime | None,
) -> Iterator[str]:
    """Yield what can never be fulfilled with the readings as they come, of each of some assets."""
    kind = kind_of(definition)
    needing = kind if isinstance(kind, NeedsSpacing) else None
    problem = definition.problem.combination if definition.problem else None
    for asset in targets[:_MOST_ASSETS]:
        wanted = {*(needing.spacing_variables(definition, asset) if needing else ())}
        wanted |= {*(problem.variables if problem else ())}
        names = sorted(wanted & {*asset.variables})
        span = platform.readings.span(asset.name, until) if names else None
        if span is None:
            continue
        times = {name: _newest_times(platform, asset, name, span[1]) for name in names}
        found = [*needing.describe_spacing(definition, times)] if needing else []
        if problem:
            found += describe_unfulfillable(Lasting(problem, timedelta(0), timedelta(0)), times)
        for sentence in found:
            yield joined(": ", asset.name, sentence) if len(targets) > 1 else sentence


def _newest_times(platform: PlantPorts, asset: Asset, name: str, last: datetime) -> Millis:
    """Return the instants of the newest values of a variable."""
    found: Millis = np.empty(0, np.int64)
    for length in _LENGTHS:
        history = platform.readings.load(asset, last - length, last, [name], with_events=False)
        found = value_times(history, name)
        if len(found) >= (_ENOUGH if length == _LENGTHS[0] else 5 * LEAST):
            break
    return found
