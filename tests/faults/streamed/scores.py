"""Comparison of the scores of a storm with those of an undisturbed run."""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from alerting.adapters.mongo.indexes import ARRIVALS, SCORES
from alerting.adapters.mongo.mongo import MongoStores
from tests.faults.account import Account
from tests.faults.lines import LATENCY_S, MODELS, Lines

CLOSE = 1e-12
LONGEST_WINDOW_S = 36
"""Time after a reading in which it can change scores: the longest window, and the stride."""
LEAST_COMPARED = 0.3
"""Share of the scores that no late reading may have changed, in a run that compares enough."""


class ScoreKey(NamedTuple):
    """A score of a target at an instant."""

    definition: str
    asset: str
    ts: datetime


class LateRange(NamedTuple):
    """Instants of scores that late readings of an asset may have changed."""

    first: datetime
    last: datetime


Scores = Mapping[ScoreKey, Sequence[Mapping[str, Any]]]


def compare_scores(
    account: Account, stormy: MongoStores, calm: MongoStores, began: datetime, line: Lines
) -> None:
    """Expect the same scores as undisturbed, each once. A stored score does not change with late
    data, so that one before which readings came late may differ; it is there all the same."""
    until = max(ts for _, ts in line.sent)
    found, expected = (_read_scores(stores, began, until) for stores in (stormy, calm))
    names = Counter(key.definition for key in found)
    missing = [document["name"] for document in MODELS if not names[document["name"]]]
    account.expect_none("definitions without a score", missing)
    check_scores(account, found, expected, _late_ranges(stormy, began))


def check_scores(
    account: Account, found: Scores, expected: Scores, late: Mapping[str, Sequence[LateRange]]
) -> None:
    """Expect the same scores, beside those that late readings may have changed."""

    def is_late(key: ScoreKey) -> bool:
        return any(one.first <= key.ts <= one.last for one in late.get(key.asset, ()))

    timely = [key for key in found.keys() & expected.keys() if not is_late(key)]
    versions = {row["model_version"] for rows in found.values() for row in rows}
    account.counts |= {
        "scores of an undisturbed run": len(expected),
        "versions that scored": sorted(versions),
        "scores compared": dict(Counter(key.definition for key in timely)),
    }
    account.expect_none("scores missing", sorted(expected.keys() - found.keys()))
    extra = [key for key in found.keys() - expected.keys() if not is_late(key)]
    account.expect_none("scores only in the storm", sorted(extra))
    account.expect_none("scores doubled", sorted(key for key in found if len(found[key]) > 1))
    differing = [
        (key, dict(found[key][0]), dict(expected[key][0]))
        for key in sorted(timely)
        if not _is_same(found[key][0], expected[key][0])
    ]
    account.expect_none("scores that differ", differing)
    few = len(timely) < LEAST_COMPARED * len(expected)
    account.expect_none("scores that could be compared: too few", [len(timely)] if few else [])


def _is_same(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    names = ("score", "twin", "threshold")
    pairs = [(one.get(name), other.get(name)) for name in names]
    return one["model_version"] == other["model_version"] and all(
        a == b or (a is not None and b is not None and abs(a - b) <= CLOSE) for a, b in pairs
    )


def _read_scores(stores: MongoStores, began: datetime, until: datetime) -> Scores:
    found: dict[ScoreKey, list[Mapping[str, Any]]] = defaultdict(list)
    for row in stores.database[SCORES].find({"ts": {"$gt": began, "$lte": until}}, {"_id": False}):
        key = ScoreKey(row.pop("definition"), row.pop("asset"), row.pop("ts"))
        found[key].append(row)
    return found


def _late_ranges(stores: MongoStores, began: datetime) -> Mapping[str, list[LateRange]]:
    """Return, by asset, the instants after readings that came later than they are waited for: their
    arrival records stay."""
    found: dict[str, list[LateRange]] = defaultdict(list)
    for record in stores.database[ARRIVALS].find():
        for part in record["parts"]:
            waits = timedelta(seconds=LATENCY_S.get(part["asset"], 1))
            routed = record.get("routed_at")
            if part["last"] > began and (routed is None or routed - part["first"] > waits):
                last = part["last"] + timedelta(seconds=LONGEST_WINDOW_S)
                found[part["asset"]].append(LateRange(part["first"], last))
    return found
