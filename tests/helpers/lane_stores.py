"""The stores without a twin in memory, for platforms in memory: on the server of the lane, in a
database that a platform takes with its first use of one and gives back when it is gone."""

import gc
import weakref
from collections import deque
from collections.abc import Callable

import pymongo

from alerting.adapters.mongo.mongo import MongoStores
from alerting.stores.database import indexes
from tests.helpers.databases import empty_database

WITHOUT_TWIN = (
    *("accounts", "access_tokens", "sessions", "reports", "backtests", "rollups", "feedback"),
    *("sources", "deliveries", "dead_messages", "leases", "sinks", "sink_deliveries"),
    *("sweeps", "changes", "sink_feed", "file_forms"),
)
COLLECTIONS = (
    *(indexes.ACCOUNTS, indexes.ACCESS_TOKENS, indexes.SESSIONS, indexes.WRONG_ATTEMPTS),
    *(indexes.REPORTS, indexes.BACKTESTS, indexes.BACKTEST_EPISODES, indexes.BACKTEST_FILES),
    *(indexes.ROLLUPS, indexes.ROLLUP_STATES, indexes.FEEDBACK, indexes.SINK_ALARMS),
    *(indexes.SOURCES, indexes.SOURCE_REVISIONS, indexes.SOURCE_FILES, indexes.DEAD_MESSAGES),
    *(indexes.SINKS, indexes.SINK_REVISIONS, indexes.SINK_LETTERS, indexes.FILE_FORMS),
)
ENOUGH = 5  # databases, before a collection of all garbage costs less than one more
MADE: list[MongoStores] = []
RETURNED: deque[MongoStores] = deque()
SERVER: list[Callable[[], str]] = []
"""Returns the address of the lane's server: `conftest.py` puts it in."""


class Place:
    """The database of one platform in memory, once it needs one."""

    def __init__(self):
        self._stores = None

    def __reduce__(self):
        return Place, ()

    def stores(self):
        """Return the stores of this platform, empty at first."""
        if self._stores is None:
            if not RETURNED and len(MADE) >= ENOUGH:
                gc.collect()  # platforms that are gone, in cycles, give theirs back
            self._stores = RETURNED.popleft() if RETURNED else new_stores()
            empty_database(self._stores.database)
            weakref.finalize(self, RETURNED.append, self._stores).atexit = False
        return self._stores


class LaneStore:
    """A store of the lane's server, under the name that platforms give it."""

    def __init__(self, place, name):
        self.__dict__.update(place=place, name=name)

    def __reduce__(self):
        return LaneStore, (self.place, self.name)

    def __getattr__(self, attribute):
        if attribute.startswith("__"):
            raise AttributeError(attribute)
        return getattr(getattr(self.place.stores(), self.name), attribute)


def lane_stores():
    """Return every store without a twin in memory by its name, empty, for one platform.

    The server starts here, not in a thread of the test: it ends with the thread that started it.
    """
    for address in SERVER:
        address()
    place = Place()
    return {name: LaneStore(place, name) for name in WITHOUT_TWIN}


def new_stores():
    """Return the stores of a new database with the indexes that they need.

    Without those by which the server deletes what is old: it does so by its own clock, and the
    clock of a test stands in the past.
    """
    (address,) = SERVER
    client = pymongo.MongoClient(address(), tz_aware=True)
    stores = MongoStores(client[f"lane-{len(MADE)}"])
    MADE.append(stores)
    for name in COLLECTIONS:
        stores.database.create_collection(name)
        wanted = [one for one in indexes.INDEXES[name] if "expireAfterSeconds" not in one.document]
        if wanted:
            stores.database[name].create_indexes(wanted)
    return stores
