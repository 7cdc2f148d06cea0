"""Read-only ports of the live platform, without data after an instant."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime

import pandas as pd

from alerting.definitions.assets import Asset, EventType
from alerting.definitions.model import Revision
from alerting.episodes.episode import Episode, Feedback
from alerting.episodes.extract import Alarm
from alerting.ports import Assets, Document, Episodes, EventRow, FeedbackLog, ReadingColumns, ReadingRow, Readings, Unit, Wanted
from alerting.readings.history import History
from alerting.usecases.backtest.sandbox.live_write import refuse


class OneDefinition:
    """Port `Definitions` with a single definition, in service from its revision's instant on.

    `others`: further live revisions, of episodes with feedback.
    """

    def __init__(self, revision: Revision, others: Sequence[Revision] = ()) -> None:
        self._revision = revision
        self._all = [*(r for r in others if r.number != revision.number), revision]

    def documents(self) -> list[Document]:
        return []

    def put(self, document: Document) -> None:  # noqa: ARG002 - the port's signature
        refuse("change definitions")

    def mark_faulty(self, name: str, faults: Sequence[str]) -> None:  # noqa: ARG002
        refuse("mark definitions")

    def faulty(self) -> dict[str, list[str]]:
        return {}

    def add_revision(self, revision: Revision) -> bool:  # noqa: ARG002
        refuse("make revisions")

    def revisions(self, name: str) -> list[Revision]:
        return self._all if name == self._revision.name else []

    def newest_revision(self, name: str) -> Revision | None:
        return next(reversed(self.revisions(name)), None)

    def histories(self, names: Collection[str]) -> dict[str, list[Revision]]:
        return {name: self.revisions(name) for name in names if name == self._revision.name}

    def last_number(self, name: str) -> int:
        return max((revision.number for revision in self.revisions(name)), default=0)

    def latest(self, having: str | None = None) -> list[Revision]:
        return [self._revision] if having is None or getattr(self._revision.definition, having) is not None else []


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


class LiveEpisodesUntil:
    """Port `Episodes`, read-only: live episodes before an instant. Training must know the ones that operators acted upon."""

    def __init__(self, live: Episodes, until: datetime) -> None:
        self._live, self._until = live, until

    def insert(self, episode: Episode) -> bool:  # noqa: ARG002
        refuse("raise episodes while it trains")

    def write(self, episodes: Sequence[Episode], unit: Unit) -> None:  # noqa: ARG002
        refuse("raise episodes while it trains")

    def size(self, episode: Episode) -> int:  # noqa: ARG002
        return 0

    def replace(self, episode: Episode) -> bool:  # noqa: ARG002
        refuse("change live episodes")

    def get(self, id: str) -> Episode | None:
        return self._live.get(id)

    def get_many(self, ids: Collection[str]) -> dict[str, Episode]:
        return self._live.get_many(ids)

    def muted(self) -> list[Episode]:
        return []

    def over_unacknowledged(self, limit: int) -> list[Episode]:  # noqa: ARG002
        return []

    def starting_with(self, prefix: str) -> list[Episode]:
        return self._live.starting_with(prefix)

    def find(
        self,
        definition: str | None = None,
        asset: str | None = None,
        start: datetime | None = None,
        end: datetime | None = None,
        open_only: bool = False,
        limit: int | None = None,
        before: tuple[datetime, str] | None = None,
    ) -> list[Episode]:
        until = self._until if end is None else min(end, self._until)
        return self._live.find(definition, asset, start, until, open_only, limit, before)

    def alarms(self, start: datetime, end: datetime, active_from: datetime | None = None) -> list[Alarm]:
        return self._live.alarms(start, min(end, self._until), active_from)

    def with_due_outcomes(self, as_of: datetime) -> list[Episode]:  # noqa: ARG002
        return []


class PointInTimeFeedback:
    """Port `FeedbackLog`, read-only."""

    def __init__(self, live: FeedbackLog) -> None:
        self._live = live

    def append(self, feedback: Feedback, once: str | None = None) -> Feedback:  # noqa: ARG002
        refuse("give feedback")

    def of(self, episode: str) -> list[Feedback]:
        return self._live.of(episode)
