"""Changes of episodes, mutes, faults of the platform and access, from one change stream."""

from collections.abc import Iterator
from contextlib import contextmanager
from time import monotonic
from typing import Any

from bson.timestamp import Timestamp
from pymongo.change_stream import DatabaseChangeStream

from alerting.definitions.alert_definition import SEVERITIES
from alerting.ports import ChangedThing, LiveChange, LiveEpisode
from alerting.stores.database.documents import (
    ACCESS_TOKENS,
    ACCOUNTS,
    EPISODES,
    MUTES,
    PLATFORM_ALERTS,
    SESSIONS,
    Document,
    MongoDatabase,
)

_THINGS: dict[str, ChangedThing] = {
    EPISODES: "episode",
    MUTES: "mute",
    PLATFORM_ALERTS: "platform",
}
_ACCESS = (ACCOUNTS, ACCESS_TOKENS, SESSIONS)
_FIELDS = (
    *("definition", "asset", "severity", "condition", "is_prediction", "happening_at"),
    *("acknowledged.at", "muted_by", "backfilled", "part"),
)
_PIPELINE: list[Document] = [
    {
        "$match": {
            "$or": [
                {
                    "ns.coll": {"$in": list(_THINGS)},
                    "operationType": {"$in": ["insert", "update", "replace"]},
                    "fullDocument.backfilled": {"$ne": True},
                },
                {
                    "ns.coll": {"$in": list(_ACCESS)},
                    "operationType": {"$in": ["update", "replace", "delete"]},
                },
            ]
        }
    },
    {
        "$project": {
            "ns.coll": True,
            "documentKey": True,
            "clusterTime": True,
            **{f"fullDocument.{field}": True for field in _FIELDS},
        }
    },
]
_WAIT_MS = 100
_GATHER_S = 0.05
_MOST = 2000
"""Changes of one answer: more follow in the next one."""


class ChangeFeed:
    """Changes of the database as they are committed."""

    def __init__(self, database: MongoDatabase) -> None:
        self._database = database

    @contextmanager
    def read(self) -> Iterator["ChangeReader"]:
        """Yield a reader of the changes from now on."""
        # the driver resumes after an election; where it cannot, the next stream begins with
        # what is open
        stream = self._database.watch(_PIPELINE, max_await_time_ms=_WAIT_MS)
        with stream:
            yield ChangeReader(self._database, stream)


class ChangeReader:
    """The changes from one instant on."""

    def __init__(self, database: MongoDatabase, stream: DatabaseChangeStream[Document]) -> None:
        self._database = database
        self._stream = stream
        hello = database.client.admin.command("hello")
        self._mark = _mark(hello.get("operationTime") or Timestamp(0, 0))

    def open_episodes(self) -> list[LiveEpisode]:
        query = {"condition": "open", "backfilled": False}
        found = self._database[EPISODES].find(query, dict.fromkeys(_FIELDS, True))
        return [made for one in found if (made := _episode(one["_id"], one)) is not None]

    def mark(self) -> str:
        return self._mark

    def next(self) -> list[LiveChange]:
        """Return the changes since the last call, in their order; none after a short wait."""
        found: list[LiveChange] = []
        until = None
        while len(found) < _MOST and (change := self._stream.try_next()) is not None:
            found += _changes(change)
            until = until or monotonic() + _GATHER_S
            if monotonic() >= until:
                break
        if found:
            self._mark = found[-1].mark
        return found


def _changes(change: Document) -> list[LiveChange]:
    """Return the change in an event of the stream; none for a document that cannot be read."""
    mark = _mark(change["clusterTime"])
    if change["ns"]["coll"] in _ACCESS:
        return [LiveChange(mark, "access", access=str(change["documentKey"]["_id"]))]
    thing = _THINGS[change["ns"]["coll"]]
    document = change.get("fullDocument") or {}
    if thing == "episode":
        episode = _episode(change["documentKey"]["_id"], document)
        return [] if episode is None else [LiveChange(mark, thing, episode.asset, episode)]
    asset = document.get("asset") or document.get("part")
    return [LiveChange(mark, thing, asset if isinstance(asset, str) else None)]


def _mark(time: Timestamp) -> str:
    return f"{time.time:010d}.{time.inc:010d}"


def _episode(id: Any, document: Document) -> LiveEpisode | None:
    """Return the episode in a document; None for one that people have spoiled."""
    definition = document.get("definition")
    asset = document.get("asset")
    severity = document.get("severity")
    if not all(isinstance(text, str) for text in (id, definition, asset, severity)):
        return None
    if severity not in SEVERITIES:
        return None
    is_expected = document.get("is_prediction") and document.get("happening_at") is None
    is_open = document.get("condition") == "open"
    return LiveEpisode(
        id,
        str(definition),
        str(asset),
        SEVERITIES[SEVERITIES.index(severity)],
        ("expected" if is_expected else "happening") if is_open else "over",
        document.get("acknowledged") is not None,
        document.get("muted_by") is not None,
    )
