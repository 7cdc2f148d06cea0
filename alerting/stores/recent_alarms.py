"""Episodes of a process that shows their extracts again and again: those of the last weeks stay in
memory, and each call first takes over what was committed since."""

import logging
from collections.abc import Callable, Collection
from datetime import datetime, timedelta
from itertools import chain
from threading import RLock
from time import monotonic

from pymongo.change_stream import CollectionChangeStream
from pymongo.errors import PyMongoError

from alerting.definitions.faults import first_line
from alerting.episodes.episode import Alarm
from alerting.ports import Episodes
from alerting.readings.history import LAST_INSTANT
from alerting.stores.database.documents import EPISODES, Document, good
from alerting.stores.episodes import EXTRACT, MongoEpisodes, read_extract

MOST_ALARMS = 200_000
"""Alarms in memory, some 90 MB; of a plant with more, each answer is read from the database."""
_LONGEST_S = 60.0
"""After so long without a question all is read again, in the background: the database would take
longer to look through all that was written meanwhile."""
_LONGEST_TIME = timedelta(days=92)
"""Who asks for a longer time than lists show is answered by the database."""
_PIPELINE: list[Document] = [
    {
        "$project": {
            "operationType": True,
            "documentKey": True,
            **{f"fullDocument.{field}": True for field in ("_id", *EXTRACT)},
        }
    }
]
_WRITES = frozenset({"insert", "update", "replace", "delete"})
_log = logging.getLogger(__name__)


def with_recent_alarms(
    episodes: Episodes, later: Callable[[Callable[[], None]], object]
) -> Episodes:
    """Return episodes of the database with the newest alarms in memory; others as they are."""
    return RecentEpisodes(episodes, later) if isinstance(episodes, MongoEpisodes) else episodes


class RecentEpisodes(MongoEpisodes):
    """Port `Episodes` with the newest alarms in memory, by definition and id.

    A write that the database has acknowledged, also one of another process, is in the next answer:
    the change stream is read up to its end before each. Where it breaks, and before alarms are
    read, answers come from the database.
    """

    def __init__(
        self, stored: MongoEpisodes, later: Callable[[Callable[[], None]], object]
    ) -> None:
        """`later`: begins work in the background."""
        super().__init__(stored.episodes.database)
        self._later = later
        self._lock = RLock()
        self._stream: CollectionChangeStream[Document] | None = None
        self._alarms: dict[str, dict[str, Alarm]] = {}
        self._since: datetime | None = None
        self._asked_s = 0.0
        self._is_reading = False

    def alarms(
        self,
        start: datetime,
        end: datetime,
        active_from: datetime | None = None,
        assets: Collection[str] | None = None,
        definitions: Collection[str] | None = None,
    ) -> list[Alarm]:
        if active_from is None and end - start <= _LONGEST_TIME:
            with self._lock:
                if self._is_current(start):
                    names = self._alarms if definitions is None else definitions
                    chosen = [
                        alarm
                        for alarm in chain.from_iterable(
                            self._alarms[name].values() for name in names if name in self._alarms
                        )
                        if start <= alarm.raised_at < end
                        and (assets is None or alarm.asset in assets)
                    ]
                    return sorted(chosen, key=lambda alarm: (alarm.raised_at, alarm.id))
        return super().alarms(start, end, active_from, assets, definitions)

    def _is_current(self, start: datetime) -> bool:
        """Return whether all alarms since an instant are in memory, as they are committed now. If
        not, begin to read them."""
        idle_s = monotonic() - self._asked_s
        self._asked_s += idle_s
        if idle_s > _LONGEST_S:
            self._since = None  # no later question reads the long stream, either
        if self._covers(start) and self._take_over():
            return True
        if not self._is_reading:
            self._is_reading = True
            self._later(lambda: self._read_again(start))
        return False

    def _covers(self, at: datetime) -> bool:
        return self._since is not None and self._since <= at

    def _read_again(self, start: datetime) -> None:
        """Take all alarms into memory since an instant, if they are not too many."""
        try:
            is_after = {"raised_at": {"$gte": start}}
            if self.episodes.count_documents(is_after, limit=MOST_ALARMS + 1) > MOST_ALARMS:
                return
            # what is committed while alarms are read is in the stream, too
            stream = self.episodes.watch(
                _PIPELINE, full_document="updateLookup", max_await_time_ms=1
            )
            by_definition: dict[str, dict[str, Alarm]] = {}
            for alarm in super().alarms(start, LAST_INSTANT):
                by_definition.setdefault(alarm.definition, {})[alarm.id] = alarm
        except PyMongoError as fault:
            _log.warning("alarms cannot be read: %s", first_line(fault))
        else:
            with self._lock:
                before = self._stream
                self._stream = stream
                self._alarms = by_definition
                self._since = start
                self._asked_s = monotonic()
            if before is not None:
                before.close()
        finally:
            self._is_reading = False

    def _take_over(self) -> bool:
        """Take over what was committed since. Return whether the stream goes on."""
        try:
            while self._stream is not None and (event := self._stream.try_next()) is not None:
                if event["operationType"] not in _WRITES:
                    raise LookupError(f"{event['operationType']} of all episodes")
                if isinstance(id := event["documentKey"]["_id"], str):  # no other is of an alarm
                    self._change(id, event.get("fullDocument"))
        except (PyMongoError, LookupError) as fault:
            _log.warning("alarms are read again: %s", first_line(fault))
            self._since = None
        if sum(map(len, self._alarms.values())) > MOST_ALARMS:
            self._since = None
        return self._since is not None

    def _change(self, id: str, document: Document | None) -> None:
        """Replace the alarm of this id by its document as it is now, None if it was deleted. A
        faulty one is no alarm."""
        read = [] if document is None else good(EPISODES, [{**document, "id": id}], read_extract)
        if not read:
            for alarms in self._alarms.values():
                alarms.pop(id, None)
        for alarm in read:
            if self._covers(alarm.raised_at):
                self._alarms.setdefault(alarm.definition, {})[id] = alarm
