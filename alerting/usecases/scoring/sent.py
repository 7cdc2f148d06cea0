"""Readings sent with a question, checked as a whole against their asset."""

from collections.abc import Iterator, Sequence

from alerting.definitions.assets import Asset
from alerting.definitions.faults import UserError, name_hint, shown
from alerting.definitions.sources.source import HttpSource
from alerting.ports import BacktestPorts, Readings, Record
from alerting.readings.column_titles import units_by_name
from alerting.usecases.episodes.store import require_asset
from alerting.usecases.ingestion.arrivals import add_readings
from alerting.usecases.sources.deliver import fit_readings
from alerting.usecases.sources.records import map_readings

_SHOWN = 20


def sent_readings(platform: BacktestPorts, asset_name: str, records: Sequence[Record]) -> Readings:
    """Return rows of `ts`, `values` and perhaps `quality` as readings of an asset, in memory.

    Raises UserError that names every fault: a row that cannot be read, and a variable that the
    asset does not have.
    """
    asset = require_asset(platform.assets, asset_name)
    source = HttpSource(name="sent", kind="http", asset=asset.name, quality="quality")
    found = fit_readings(
        platform.assets,
        source,
        map_readings(source, records, platform.zone, lambda: units_by_name([asset])),
        None,
    )
    faults = [f"row {refused.line}: {refused.reason}" for refused in found.refused]
    faults += [f for changed in found.assets for f in _unknown(asset, changed)]
    if faults:
        more = [f"and {len(faults) - _SHOWN} more"] if len(faults) > _SHOWN else []
        raise UserError("; ".join([*faults[:_SHOWN], *more]))
    memory = platform.in_memory()
    add_readings(memory, found.readings, platform.clock.now())
    return memory.readings


def _unknown(asset: Asset, changed: Asset) -> Iterator[str]:
    for name in sorted(changed.variables.keys() - asset.variables.keys()):
        yield (
            f"{asset.name} has no variable {shown(name)}; "
            f"{name_hint(name, asset.variables, 'its variables')}"
        )
