"""Readings of the training of a control chart: of its normal period, and unseen ones after it. They are read once."""

import hashlib
import io
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from alerting.definitions.assets import Asset
from alerting.definitions.faults import UserError
from alerting.definitions.fields.learning import Dates
from alerting.detection.suppression import is_covered
from alerting.kinds.control_chart.definition import ControlChartDefinition
from alerting.kinds.training import Interval, TrainingSource
from alerting.learning.selection.proposal import DatasetProfile, PartProfile
from alerting.ports import Files
from alerting.readings.cleaning import present
from alerting.readings.history import Millis, duration_millis, from_millis, millis, to_millis

UNSEEN = timedelta(days=28)
"""The newest unseen time, after a normal period with dates, that counts false alarms."""
_SEEN = 0.8  # of a normal period without dates; the rest counts false alarms
_PERIODS, _READINGS = "periods.json", "readings.npz"
_EVER = datetime.min.replace(tzinfo=UTC)


class Series(NamedTuple):
    """Readings of one asset: instants (ms), increasing, and values."""

    at: Millis
    values: npt.NDArray[np.float64]

    def within(self, interval: Interval) -> "Series":
        """Return the readings after the start of an interval, up to its end."""
        inside = (self.at > to_millis(interval.start)) & (self.at <= to_millis(interval.end))
        return Series(self.at[inside], self.values[inside])


@dataclass(frozen=True)
class ChartReadings:
    """Possible values outside of suppressed times, by asset: of the `normal` period, and unseen ones after it."""

    normal: Interval
    unseen: Interval
    series: Mapping[str, Series]

    @property
    def profile(self) -> DatasetProfile:
        """Return their composition: the readings to learn from, and the unseen ones."""
        parts = {}
        for name, interval in (("train", self.normal), ("unseen", self.unseen)):
            rows = sum(len(one.within(interval).at) for one in self.series.values())
            if rows:
                parts[name] = PartProfile(rows=rows, positives=0, start=interval.start, end=interval.end)
        return DatasetProfile(
            hash=self._hash, parts=parts, assets=len(self.series), problems=0, variables=1, columns=0, dropped={}, notes=()
        )

    @property
    def _hash(self) -> str:
        digest = hashlib.sha256()
        for asset, series in sorted(self.series.items()):
            digest.update(asset.encode() + b"\0" + series.at.tobytes() + series.values.tobytes())
        return digest.hexdigest()

    def to_files(self) -> Files:
        """Return the readings as files."""
        periods = [[moment.isoformat() for moment in interval] for interval in (self.normal, self.unseen)]
        arrays = {
            f"{number}.{name}": values for number, of in enumerate(self.series.values()) for name, values in of._asdict().items()
        }
        stored = io.BytesIO()
        np.savez_compressed(stored, allow_pickle=False, **arrays)
        document = {"periods": periods, "assets": list(self.series)}
        return {_PERIODS: json.dumps(document).encode(), _READINGS: stored.getvalue()}

    @staticmethod
    def from_files(files: Files) -> "ChartReadings":
        """Read the files of `to_files`."""
        document = json.loads(files[_PERIODS])
        normal, unseen = (Interval(*map(datetime.fromisoformat, moments)) for moments in document["periods"])
        with np.load(io.BytesIO(files[_READINGS]), allow_pickle=False) as arrays:
            series = {name: Series(arrays[f"{n}.at"], arrays[f"{n}.values"]) for n, name in enumerate(document["assets"])}
        return ChartReadings(normal, unseen, series)


def collect_readings(definition: ControlChartDefinition, source: TrainingSource) -> ChartReadings:
    """Read the normal period and the unseen time after it, as known at the instant of a training, one asset after the other.

    Raises UserError without readings.
    """
    last = max(_newest(definition, source), default=None)
    if last is None:
        names = ", ".join(asset.name for asset in source.assets) or f"assets that match {', '.join(definition.assets)}"
        raise UserError(f"{definition.name}: no readings of {definition.variable} on {names}; import readings, or check assets")
    if isinstance(definition.normal, Dates):
        cutoff = min(definition.normal.end or last, last)
        normal, unseen = Interval(definition.normal.start, cutoff), Interval(max(cutoff, last - UNSEEN), last)
        return ChartReadings(normal, unseen, _read(definition, source, [normal, unseen]))
    series = _read(definition, source, [Interval(last - definition.normal, last)])
    first = min((int(one.at[0]) - 1 for one in series.values() if len(one.at)), default=to_millis(last))
    start = from_millis(first)
    cutoff = from_millis(round(first + _SEEN * duration_millis(last - start)))
    return ChartReadings(Interval(start, cutoff), Interval(cutoff, last), series)


def _newest(definition: ControlChartDefinition, source: TrainingSource) -> Iterator[datetime]:
    """Yield the instant of the newest known reading of each asset that has one."""
    for asset in _charted(definition, source):
        until = source.as_of - definition.delay(asset)
        found = source.readings.newest(asset, {definition.variable: _EVER}, until)
        yield from (from_millis(int(at)) for at in millis(pd.DatetimeIndex(found.index)))


def _charted(definition: ControlChartDefinition, source: TrainingSource) -> list[Asset]:
    return [asset for asset in source.assets if definition.variable in asset.variables]


def _read(definition: ControlChartDefinition, source: TrainingSource, intervals: list[Interval]) -> dict[str, Series]:
    suppressed = source.suppressed(intervals[0].start)
    found = {}
    for asset in _charted(definition, source):
        parts = []
        for start, end in intervals:
            history = source.readings.load(asset, start, min(end, source.as_of - definition.delay(asset)), [definition.variable])
            known = present(history, definition.variable)
            at = millis(pd.DatetimeIndex(history.readings.index))[known]
            free = ~is_covered(suppressed.get(asset.name, ()), at)
            parts.append((at[free], history.readings[definition.variable].to_numpy(np.float64)[known][free]))
        at, values = (np.concatenate(arrays) for arrays in zip(*parts, strict=True))
        found[asset.name] = Series(at, values)
    return found
