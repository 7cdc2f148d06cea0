"""Read-only ports of the live platform, without data after an instant."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import NoReturn

import pandas as pd

from alerting.definitions.assets import Asset, EventType
from alerting.episodes.episode import Feedback
from alerting.ports import Assets, EventRow, FeedbackLog, ReadingColumns, ReadingRow, Readings, Wanted
from alerting.readings.history import History


class LiveWrite(Exception):
    """A sandbox was asked for an operation that only a live platform may do: a fault in the program."""


def refuse(what: str) -> NoReturn:
    raise LiveWrite(f"a sandbox does not {what}")


class PointInTimeAssets:
    """Port `Assets`, read-only."""

    def __init__(self, live: Assets) -> None:
        self._live = live

    def all(self) -> list[Asset]:
        return self._live.all()

    def get(self, name: str) -> Asset | None:
        return self._live.get(name)

    def faulty(self) -> dict[str, list[str]]:
        return self._live.faulty()

    def put(self, assets: Sequence[Asset]) -> None:  # noqa: ARG002
        refuse("change assets")

    def event_types(self) -> list[EventType]:
        return self._live.event_types()

    def put_event_types(self, types: Sequence[EventType]) -> None:  # noqa: ARG002
        refuse("change event types")


class ReadingsUntil:
    """Port `Readings`, read-only. A request beyond the instant returns the readings up to it."""

    def __init__(self, live: Readings, until: datetime) -> None:
        self._live, self._until = live, until

    def add_readings(self, rows: Sequence[ReadingRow], arrived_at: datetime) -> int:  # noqa: ARG002
        refuse("write readings")

    def add_events(self, rows: Sequence[EventRow], arrived_at: datetime) -> int:  # noqa: ARG002
        refuse("write events")

    def load(
        self,
        asset: Asset,
        start: datetime | None,
        end: datetime | None,
        variables: Iterable[str] | None = None,
        events_since: datetime | None = None,
    ) -> History:
        return self._live.load(asset, start, self._until if end is None else min(end, self._until), variables, events_since)

    def load_many(self, wanted: Sequence[Wanted], end: datetime) -> dict[str, ReadingColumns]:
        return self._live.load_many(wanted, min(end, self._until))

    def newest(self, asset: Asset, since: Mapping[str, datetime], until: datetime) -> pd.DataFrame:
        return self._live.newest(asset, since, min(until, self._until))

    def index_newest(self, variables: Iterable[str]) -> None:
        """Create nothing: the search for values is slower without an index, and as right."""

    def newest_instants(self) -> dict[str, datetime]:
        spans = {asset: self.span(asset) for asset in self._live.newest_instants()}
        return {asset: span[1] for asset, span in spans.items() if span is not None}

    def span(self, asset: str) -> tuple[datetime, datetime] | None:
        span = self._live.span(asset)
        return None if span is None or span[0] > self._until else (span[0], min(span[1], self._until))


class PointInTimeFeedback:
    """Port `FeedbackLog`, read-only."""

    def __init__(self, live: FeedbackLog) -> None:
        self._live = live

    def append(self, feedback: Feedback, once: str | None = None) -> Feedback:  # noqa: ARG002
        refuse("give feedback")

    def of(self, episode: str) -> list[Feedback]:
        return self._live.of(episode)
