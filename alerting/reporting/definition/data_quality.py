"""Data and evaluation of a period: gaps, doubtful samples, late readings, what was evaluated."""

from dataclasses import dataclass
from datetime import timedelta
from statistics import median

import numpy as np

from alerting.alarm_kpis.intervals import length
from alerting.readings.instants import to_millis
from alerting.reporting.definition.material import Material

_LATENCY = timedelta(seconds=10)  # of variables that state none, as of the platform by default


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
class VariableQuality:
    """Samples of a variable in the period, and those that the source marks bad or uncertain."""

    asset: str
    variable: str
    samples: int
    bad: int
    uncertain: int


@dataclass(frozen=True)
class DataMetrics:
    """Data and evaluation of the period.

    `variables`: only those with a sample of doubtful quality, the most bad ones first.
    `found_late`: episodes found only in readings that came late; `refuted`: episodes that late
    readings refuted. `detection_s`, `slowest_s`: median and most seconds from the raise of a live
    episode to the moment when the platform knew it; None without any. `late`: live episodes that it
    knew more than two evaluations and the latency after their raise.
    """

    assets: tuple[AssetData, ...]
    variables: tuple[VariableQuality, ...]
    found_late: int
    refuted: int
    detection_s: float | None
    slowest_s: float | None = None
    late: int = 0

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
    live = [
        (e.detected_at - e.raised_at).total_seconds()
        for e in m.raised
        if not e.backfilled and e.late_data_status is None
    ]
    latencies = [
        h.asset.latency(v, _LATENCY) for h in m.histories.values() for v in h.asset.variables
    ]
    usual = (2 * m.definition.schedule.every + max(latencies, default=_LATENCY)).total_seconds()
    doubtful = [q for asset in m.histories for q in _doubtful(m, asset)]
    return DataMetrics(
        assets=tuple(_asset_data(m, asset) for asset in sorted({*m.histories, *m.evaluated})),
        variables=tuple(
            sorted(doubtful, key=lambda q: (-q.bad, -q.uncertain, q.asset, q.variable))
        ),
        found_late=sum(e.late_data_status == "found_late" for e in m.raised),
        refuted=m.withdrawn,
        detection_s=median(live) if live else None,
        slowest_s=max(live, default=None),
        late=sum(seconds > usual for seconds in live),
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


def _doubtful(m: Material, asset: str) -> list[VariableQuality]:
    readings = m.histories[asset].readings
    doubts = m.histories[asset].doubts
    start = to_millis(m.start)
    end = to_millis(m.end)
    samples = readings[(readings.index >= m.start) & (readings.index < m.end)].notna().sum()
    found = []
    for variable in sorted({*doubts.bad, *doubts.uncertain}):
        bad, uncertain = (
            int(np.sum((at >= start) & (at < end)))
            for at in (
                np.asarray(d.get(variable, ()), np.int64) for d in (doubts.bad, doubts.uncertain)
            )
        )
        if bad or uncertain:
            number = int(samples.get(variable, 0))
            found.append(VariableQuality(asset, variable, number, bad, uncertain))
    return found
