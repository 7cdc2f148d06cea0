"""Data and evaluation of a period: gaps, late readings, what was evaluated."""

from dataclasses import dataclass
from datetime import timedelta

from alerting.alarm_kpis.intervals import length
from alerting.reporting.definition.material import Material


@dataclass(frozen=True)
class AssetData:
    """Data of one asset.

    `evaluated_s`: evaluated seconds of the period in which a value was known; `not_evaluated_s`:
    seconds of the period before the first and after the last evaluated instant. `gaps`: intervals
    without any known value in between; `gaps_s`: all of them together, `longest_gap_s`: the
    longest.
    """

    asset: str
    evaluated_s: float
    not_evaluated_s: float
    gaps: int
    gaps_s: float
    longest_gap_s: float


@dataclass(frozen=True)
class DataMetrics:
    """Data and evaluation of the period. `found_late`: episodes found only in readings that came
    late; `refuted`: episodes that late readings refuted."""

    assets: tuple[AssetData, ...]
    found_late: int
    refuted: int

    @property
    def blind_share(self) -> float:
        """Return the share of the time of all assets in which no alarm could come."""
        blind = sum(one.not_evaluated_s + one.gaps_s for one in self.assets)
        whole = blind + sum(one.evaluated_s for one in self.assets)
        return blind / whole if whole else 0.0

    @property
    def longest_gap(self) -> AssetData | None:
        """Return the asset with the longest gap; None without any."""
        found = max(self.assets, key=lambda one: one.longest_gap_s, default=None)
        return found if found is not None and found.gaps else None


def data_metrics(m: Material) -> DataMetrics:
    """Return the metrics of data and evaluation."""
    return DataMetrics(
        assets=tuple(_asset_data(m, asset) for asset in sorted({*m.histories, *m.evaluated})),
        found_late=sum(e.late_data_status == "found_late" for e in m.raised),
        refuted=m.withdrawn,
    )


def _asset_data(m: Material, asset: str) -> AssetData:
    own = m.evaluated.get(asset)
    gaps = m.gaps.get(asset, ())
    whole = own[1] - own[0] if own else timedelta(0)
    missing = length(gaps)
    return AssetData(
        asset=asset,
        evaluated_s=(whole - missing).total_seconds(),
        not_evaluated_s=(m.end - m.start - whole).total_seconds(),
        gaps=len(gaps),
        gaps_s=missing.total_seconds(),
        longest_gap_s=max((b - a for a, b in gaps), default=timedelta(0)).total_seconds(),
    )
