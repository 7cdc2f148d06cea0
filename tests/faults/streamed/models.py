"""The champions of the models in a storm: trained before it, two of each classifier, of which the
second one is promoted in the middle; and the comparison of scores with those of an undisturbed run.

The registry is away all the time: every process reads models from the folder of the home.
"""

import threading
import time
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from pymongo.errors import PyMongoError

from alerting.adapters.mongo.mongo import DatabaseDown, MongoStores, open_stores
from alerting.ports import DecisionRecord, Platform
from alerting.stores.database.documents import ARRIVALS, DECISIONS, SCORES
from alerting.usecases.definitions.revisions_and_evaluation_plan import apply
from alerting.usecases.ingestion.arrived_rows import add_readings
from alerting.usecases.model_registry import load_model
from alerting.usecases.training.promote import promote_run
from alerting.usecases.training.training_steps import train
from benchmarks.helpers import modelled_lines
from tests.faults.account import Account
from tests.faults.lines import (
    CLASSIFIERS,
    LATENCY_S,
    MODELS,
    QUICK,
    SENT,
    STEADY,
    Lines,
    humid_assets,
)
from tests.faults.world import STORMY, World

CLOSE = 1e-12
LONGEST_WINDOW_S = 36
"""Time after a reading in which it can change scores: the longest window, and the stride."""
LEAST_COMPARED = 0.3
"""Share of the scores that no late reading may have changed, in a run that compares enough."""
AHEAD = timedelta(seconds=60)
"""How long before its instant a promotion is recorded: longer than the database is ever away."""
TRAINED = ("moist-quick", "moist-steady")
"""Classifiers with a training of their own; the third has a copy, and each the other's as its
second champion."""


def put_models_into_service(platform: Platform, began: datetime) -> None:
    """Put the lines with models, their past and their definitions into service."""
    platform.assets.store_assets(humid_assets())
    past = [
        replace(row, asset=name)
        for number, name in enumerate((*QUICK, *STEADY, *SENT))
        for row in modelled_lines.past_readings(number, began)
    ]
    add_readings(platform, past, began)
    apply(platform, MODELS, "engineer", began, "fault test")


def train_champions(platform: Platform, began: datetime) -> list[DecisionRecord]:
    """Train the first champions, register the second ones, and cache all. Return the promotions of
    the second ones, which are not recorded yet."""
    for document in MODELS:
        if document["name"] in TRAINED or document["name"] not in CLASSIFIERS:
            decided = train(platform, document["name"], began)
            if decided.waiting:
                decided = promote_run(platform, decided.run_id, approved_by="engineer")
            assert decided.promote, decided.reason
    modelled_lines.promote_copy(platform, TRAINED[0], "moist-sent", began)
    second = [
        modelled_lines.register_copy(platform, TRAINED[name == TRAINED[0]], name, began)
        for name in CLASSIFIERS
    ]
    for document in MODELS:
        definition = platform.definitions.revisions(document["name"])[-1].definition
        for version in platform.models.versions(document["name"]):
            load_model(platform, definition, version)
    return second


def copy_champions(stormy: MongoStores, calm: MongoStores) -> None:
    """Give the undisturbed run the decisions of the storm, at the same instants."""
    calm.database[DECISIONS].insert_many(stormy.database[DECISIONS].find())


@dataclass
class Promotion:
    """Promotes the second champions once, however often the database is away meanwhile.

    `recorded`: those that were recorded in time, before evaluations may have passed their instant.
    """

    world: World
    decisions: Sequence[DecisionRecord]
    recorded: list[str] = field(default_factory=list)
    _thread: threading.Thread | None = None

    def begin(self, now: datetime) -> None:
        """Record the promotions, which are in force a minute later."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._record, args=(now + AHEAD,), daemon=True)
            self._thread.start()

    def check(self, account: Account) -> None:
        """Expect that all are recorded, each before its instant."""
        names = [decision.definition for decision in self.decisions]
        missing = [name for name in names if name not in self.recorded]
        account.expect_none("promotions that were not recorded in time", missing)

    def _record(self, at: datetime) -> None:
        until = time.monotonic() + AHEAD.total_seconds() - 5
        for decision in self.decisions:
            while not self._add(replace(decision, at=at)):
                time.sleep(0.5)
            if time.monotonic() < until:
                self.recorded.append(decision.definition)

    def _add(self, decision: DecisionRecord) -> bool:
        """Record one promotion; return whether it is recorded by now. Idempotent."""
        try:
            with open_stores(self.world.uri, STORMY) as stores:
                stores.decisions.add(decision, rank=2)
        except (PyMongoError, DatabaseDown):
            return False
        return True


class ScoreKey(NamedTuple):
    """A score of a target at an instant."""

    definition: str
    asset: str
    ts: datetime


LateRange = tuple[datetime, datetime]
"""First and last instant of scores that late readings of an asset may have changed."""
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
        return any(first <= key.ts <= last for first, last in late.get(key.asset, ()))

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
                found[part["asset"]].append((part["first"], last))
    return found
