"""The model of a control chart: the fitted chart of each asset with its account of phase I, as one
file of plain numbers."""

import hashlib
import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from datetime import timedelta
from typing import Any

from alerting.definitions.wording.language import spoken_duration
from alerting.detection.control_charts.chart import Chart
from alerting.detection.control_charts.phase_one import LeftOut
from alerting.kinds.normal.model import NormalModel, read_header
from alerting.ports import Files
from alerting.readings.history import from_millis

FILE = "control_chart.json"
_MOST_LEFT_OUT = 20
_SHOWN = 5
_WARM_UP = 100  # points


@dataclass(frozen=True)
class FittedChart:
    """The chart of one asset. `interval_ms`: usual time between two readings. `run_length`: the
    chosen one, in points.

    Of phase I: `used` readings; `outliers`, single ones left out; `left_out`, stretches out of
    control; `deviation`, standard deviation of the used readings.
    """

    chart: Chart
    interval_ms: int
    run_length: float
    deviation: float
    used: int
    outliers: int
    left_out: tuple[LeftOut, ...]

    @property
    def stale_after(self) -> timedelta:
        """Return after which time a reading is stale by default: ten usual intervals."""
        return timedelta(milliseconds=10 * self.interval_ms)

    @property
    def clear_for(self) -> timedelta:
        """Return the off-delay by default: ten usual intervals of points."""
        return timedelta(milliseconds=10 * self.interval_ms * self.chart.subgroup)

    @property
    def warm_up(self) -> timedelta:
        """Return the time before its first reading that a chart begins with: a hundred points."""
        return timedelta(milliseconds=_WARM_UP * self.interval_ms * self.chart.subgroup)

    def describe(self, asset: str) -> Iterable[str]:
        """Yield sentences on phase I and on the limits."""
        chart = self.chart
        limits = self.chart.limits
        yield (
            f"{asset}: {chart.statistic}, centre line {limits.centre:.6g}, limits "
            f"{limits.lower:.6g} and {limits.upper:.6g}, "
            f"standard deviation {chart.sigma:.4g}, from {self.used} readings"
        )
        if chart.coefficients:
            coefficients = ", ".join(f"{c:.3g}" for c in chart.coefficients)
            order = len(chart.coefficients)
            yield (
                f"{asset}: readings depend on the {order} before them: residuals are charted (AR "
                f"coefficients {coefficients})"
            )
        often = spoken_duration(
            timedelta(milliseconds=self.run_length * self.interval_ms * chart.subgroup)
        )
        yield (
            f"{asset}: at most one false alarm in {self.run_length:.0f} points on average "
            f"({often}), all rules together"
        )
        if self.outliers:
            yield f"{asset}: {self.outliers} single readings far from the others are left out"
        for stretch in self.left_out[:_SHOWN]:
            start = from_millis(stretch.start)
            end = from_millis(stretch.end)
            yield (
                f"{asset}: out of control, left out: {start:%Y-%m-%d %H:%M} to "
                f"{end:%Y-%m-%d %H:%M} UTC, mean {stretch.mean:.6g} "
                f"of {stretch.readings} readings"
            )
        if len(self.left_out) > _SHOWN:
            yield f"{asset}: {len(self.left_out) - _SHOWN} more stretches are left out"


@dataclass(frozen=True)
class ControlChartModel(NormalModel[FittedChart]):
    """The charts by asset."""

    @property
    def hash(self) -> str:
        """Return the hash of all numbers that decide a signal."""
        charts = {
            asset: (asdict(one.chart), one.interval_ms)
            for asset, one in sorted(self.by_asset.items())
        }
        settings = [self.family, self.training_cutoff.isoformat(), charts]
        return hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()


def to_files(model: ControlChartModel) -> Files:
    """Return the file of a model."""
    charts = {
        asset: {**asdict(fitted), "left_out": [list(s) for s in fitted.left_out[:_MOST_LEFT_OUT]]}
        for asset, fitted in sorted(model.by_asset.items())
    }
    return {FILE: json.dumps({**model.header, "charts": charts}, sort_keys=True, indent=1).encode()}


def from_files(files: Files) -> ControlChartModel:
    """Return the model of its file."""
    document: dict[str, Any] = json.loads(files[FILE])
    charts = {asset: _fitted(of_asset) for asset, of_asset in document["charts"].items()}
    return ControlChartModel(**read_header(document), by_asset=charts)


def _fitted(document: dict[str, Any]) -> FittedChart:
    of_chart = document.pop("chart")
    document.pop("runs", None)  # of a version before 0.2.0
    spread = of_chart.pop("spread")
    chart = Chart(
        **of_chart
        | {
            "coefficients": tuple(of_chart["coefficients"]),
            "rules": tuple(of_chart["rules"]),
            "spread": None if spread is None else tuple(spread),
        }
    )
    left_out = tuple(LeftOut(*one) for one in document["left_out"])
    return FittedChart(
        chart=chart,
        **document | {"left_out": left_out},
    )
