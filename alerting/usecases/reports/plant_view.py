"""The page of the plant: its figures of a period, twelve weeks, proposals, and each alert."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime

from alerting.definitions.matching import AssetIndex
from alerting.ports import OfferPorts, PlantSummaries, ReportHead
from alerting.reporting.plant.overview import PlantSums, sum_plant
from alerting.reporting.plant.summary import DefinitionNumbers, summary_from_document
from alerting.usecases.ingestion.assets import require_asset
from alerting.usecases.notification.routes import read_routes
from alerting.usecases.reports.offered import Offered, open_offers
from alerting.usecases.reports.running import (
    LENGTHS,
    PeriodLength,
    ShownPeriod,
    known_summaries,
    shown_period,
    shown_weeks,
)

_NEWEST_REPORTS = 200


@dataclass(frozen=True)
class PlantPeriod:
    """A period with its figures, None while there are none."""

    period: ShownPeriod
    sums: PlantSums | None


@dataclass(frozen=True)
class PlantView:
    """The plant, or a part of it, in figures.

    `periods`: the present shift, week and month; `is_shift`: a route names the shift, which
    otherwise is the day; `definitions`: the numbers of each over the chosen period, those with most
    false alarms and misses first; `reports`: the newest of each definition, None: of the plant;
    `parts`: name and title of assets with others below them, by which it can be narrowed.
    """

    at: datetime
    chosen: PeriodLength
    periods: Mapping[PeriodLength, PlantPeriod]
    is_shift: bool
    weeks: tuple[PlantPeriod, ...]
    offered: Offered
    definitions: tuple[DefinitionNumbers, ...]
    reports: Mapping[str | None, ReportHead]
    part: str | None
    parts: tuple[tuple[str, str], ...]

    @property
    def sums(self) -> PlantSums | None:
        """Return the figures of the chosen period."""
        return self.periods[self.chosen].sums


def read_plant(platform: OfferPorts, chosen: PeriodLength, part: str | None) -> PlantView:
    """Return the plant over the present shift, week and month. `part`: an asset; definitions count
    of which every asset lies in it. Raises NotFound for an unknown one. Writes nothing."""
    now = platform.clock.now()
    assets = platform.assets.all()
    names: Collection[str] | None = None
    if part is not None:
        require_asset(platform.assets, part)
        index = AssetIndex(assets)
        within = index.at_or_below(part)
        names = {
            one.name
            for one in platform.definitions.latest_revisions()
            if within.issuperset(a.name for a in index.find_matching(one.definition.assets))
        }
    routes = [route for route in read_routes(platform.routes)[0] if route.shifts]
    present = {one: shown_period(one, routes, platform.zone, now) for one in LENGTHS}
    weeks = shown_weeks(platform.zone, now)
    known = known_summaries(platform, [*present.values(), *weeks])
    newest: dict[str | None, ReportHead] = {}
    for head in platform.reports.newest_reports(_NEWEST_REPORTS):
        newest.setdefault(head.definition, head)

    def with_sums(period: ShownPeriod) -> PlantPeriod:
        return PlantPeriod(period, _sum_up(known.get(period.name), names))

    return PlantView(
        at=now,
        chosen=chosen,
        periods={length: with_sums(period) for length, period in present.items()},
        is_shift=bool(routes),
        weeks=tuple(with_sums(week) for week in weeks),
        offered=open_offers(platform, now, names),
        definitions=tuple(
            sorted(
                _numbers(known.get(present[chosen].name), names),
                key=lambda s: (-(s.false_alarms + s.problems - s.announced), s.title),
            )
        ),
        reports=newest,
        part=part,
        parts=_parts(AssetIndex(assets)),
    )


def _parts(index: AssetIndex) -> tuple[tuple[str, str], ...]:
    """Return name and title of the assets that have others below them, at most fifty, the upper
    ones first."""
    above = {asset.parent for asset in index.assets if asset.parent}
    found = [asset for asset in index.assets if asset.name in above]
    found.sort(key=lambda asset: (len(index.ancestors(asset)), asset.name))
    return tuple((asset.name, asset.title or asset.name) for asset in found[:50])


def _numbers(
    stored: PlantSummaries | None, names: Collection[str] | None
) -> list[DefinitionNumbers]:
    if stored is None:
        return []
    return [
        summary_from_document(one)
        for name, one in stored.summaries.items()
        if names is None or name in names
    ]


def _sum_up(stored: PlantSummaries | None, names: Collection[str] | None) -> PlantSums | None:
    if stored is None:
        return None
    failed = [name for name in stored.failed if names is None or name in names]
    return sum_plant(stored.start, stored.end, stored.as_of, _numbers(stored, names), failed)
