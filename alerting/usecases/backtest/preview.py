"""Preview of a draft: a bounded backtest of which nothing is stored."""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import pandas as pd

from alerting.definitions.assets import Asset
from alerting.definitions.durations import format_duration
from alerting.definitions.faults import UserError
from alerting.definitions.model import ModelDefinition
from alerting.episodes.episode import Episode
from alerting.ports import (
    BacktestPorts,
    Document,
    NewestReading,
    Progress,
    ReadingColumns,
    Readings,
    Wanted,
)
from alerting.readings.history import History
from alerting.usecases.backtest.backtest import backtest
from alerting.usecases.backtest.run import Subject

LONGEST_PREVIEW = timedelta(days=92)
MOST_PREVIEW_READINGS = 10_000_000
"""Readings that a preview may load, counted each time: four weeks at one a second are about 5
million."""


EPISODES_SHOWN = 200


@dataclass(frozen=True)
class PreviewedAlarms:
    """The alarms that a draft would have raised: how many, the newest of them, and their load."""

    episodes: int
    newest: tuple[Episode, ...]
    load: Document


def require_preview(subject: Subject, start: datetime, end: datetime, now: datetime) -> None:
    """Raise UserError for a draft that must be trained first, and for a period that is empty, too
    long or not over."""
    if isinstance(subject.definition, ModelDefinition):
        raise UserError(
            f"definition {subject.definition.name!r} needs a model, which a preview does not "
            "train: apply it as a draft and run `alerting backtest`"
        )
    if start >= end:
        raise UserError(f"from {start.isoformat()} must lie before to {end.isoformat()}")
    if end > now:
        raise UserError(f"to {end.isoformat()} lies after now, {now.isoformat()}")
    if end - start > LONGEST_PREVIEW:
        raise UserError(
            f"a preview covers at most {format_duration(LONGEST_PREVIEW)}; choose a shorter "
            "period, or run `alerting backtest`"
        )


def preview(
    platform: BacktestPorts,
    subject: Subject,
    start: datetime,
    end: datetime,
    progress: Progress,
    require_time: Callable[[], None],
    most_readings: int = MOST_PREVIEW_READINGS,
) -> PreviewedAlarms:
    """Return the alarms of a draft over (start, end], by a backtest of which nothing is stored.

    `require_time`: called often; raises to end the preview. Raises UserError without readings, and
    beyond `most_readings`.
    """

    def report_progress(step: str, done: int, total: int | None) -> None:
        require_time()
        progress(step, done, total)

    bounded = replace(
        platform,
        readings=CountedReadings(platform.readings, most_readings, require_time),
        backtests=platform.in_memory().backtests,
    )
    made = backtest(bounded, subject, start, end, progress=report_progress)
    newest = sorted(made.episodes, key=lambda e: (e.raised_at, e.id), reverse=True)
    return PreviewedAlarms(len(newest), tuple(newest[:EPISODES_SHOWN]), made.load or {})


class CountedReadings:
    """Port `Readings` that loads a number of readings in all. Raises UserError beyond it."""

    def __init__(self, live: Readings, most: int, require_time: Callable[[], None]) -> None:
        self._live = live
        self._left = most
        self._most = most
        self._require_time = require_time

    def load(
        self,
        asset: Asset,
        start: datetime | None,
        end: datetime | None,
        variables: Iterable[str] | None = None,
        events_since: datetime | None = None,
    ) -> History:
        self._require_time()
        found = self._live.load(asset, start, end, variables, events_since)
        self._count(len(found.readings))
        return found

    def load_many(self, wanted: Sequence[Wanted], end: datetime) -> dict[str, ReadingColumns]:
        self._require_time()
        found = self._live.load_many(wanted, end)
        self._count(sum(len(columns.ts) for columns in found.values()))
        return found

    def newest_values(
        self, asset: Asset, since: Mapping[str, datetime], until: datetime
    ) -> pd.DataFrame:
        return self._live.newest_values(asset, since, until)

    def index_newest(self, variables: Iterable[str]) -> None:
        """Create nothing, as every backtest."""

    def newest_readings(
        self, until: datetime | None = None, assets: Collection[str] | None = None
    ) -> dict[str, NewestReading]:
        return self._live.newest_readings(until, assets)

    def span(self, asset: str) -> tuple[datetime, datetime] | None:
        return self._live.span(asset)

    def _count(self, loaded: int) -> None:
        self._left -= loaded
        if self._left < 0:
            raise UserError(
                f"this preview needs more than {self._most} readings; choose a shorter period or "
                "fewer assets, or run `alerting backtest`"
            )
