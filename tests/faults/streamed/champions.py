"""The champions of the models in a storm: trained before it, two of each classifier, of which the
second one is promoted in the middle.

The registry is away all the time: every process reads them from the folder of the home.
"""

import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from pymongo.errors import PyMongoError

from alerting.adapters.mongo.indexes import DECISIONS
from alerting.adapters.mongo.mongo import DatabaseDown, MongoStores, open_stores
from alerting.adapters.platform import Platform
from alerting.ports import DecisionRecord
from alerting.usecases.definitions.sync import apply
from alerting.usecases.ingestion.arrivals import add_readings
from alerting.usecases.registry.registration import load_model
from alerting.usecases.training.promote import promote_run
from alerting.usecases.training.train import train
from benchmarks.helpers import modelled_lines
from tests.faults.account import Account
from tests.faults.lines import CLASSIFIERS, MODELS, QUICK, SENT, STEADY, humid_assets
from tests.faults.world import STORMY, World

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
