"""Fixtures of stores in memory and on a real server."""

import inspect
import pickle
import traceback
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields

import pytest

from alerting.adapters.memory.episodes import MemoryAudit
from alerting.adapters.mongo.mongo import MongoStores
from alerting.episodes.lifecycle import ConditionState
from alerting.ports import Platform
from alerting.stores.database.documents import SCHEMA, MongoDatabase
from tests.helpers.contracts import is_without_store
from tests.helpers.databases import empty_database
from tests.helpers.twins import sandbox_platform
from tests.in_memory_platform import memory_platform

IN_MEMORY = ("alerting.adapters", "tests.helpers.twins")
"""Modules of stores in memory."""


@pytest.fixture
def real(two_prepared) -> Iterator[MongoStores]:
    """Return stores of an empty database on the real server."""
    yield MongoStores(two_prepared[0].database)
    empty_database(two_prepared[0].database, {SCHEMA})


@pytest.fixture
def another_real(two_prepared) -> Iterator[MongoStores]:
    """Return stores of a second empty database on the real server."""
    yield MongoStores(two_prepared[1].database)
    empty_database(two_prepared[1].database, {SCHEMA})


@pytest.fixture
def in_memory() -> Platform:
    """Return new stores in memory."""
    return memory_platform()


@pytest.fixture(params=["in_memory", "real"])
def stores(request) -> MongoStores | Platform:
    """Return new, empty stores in memory and on the real server."""
    return request.getfixturevalue(request.param)


def broken_in_memory(module: Mapping[str, object]) -> dict[str, str]:
    """Return the claims of a contract that new stores in memory break, each with its error.

    A claim is a test function of the module that takes `stores`.
    """
    broken = {}
    for name, claim in module.items():
        wanted = inspect.signature(claim).parameters if name.startswith("test_") else {}
        if "stores" not in wanted:
            continue
        with pytest.MonkeyPatch.context() as patch:
            given = {"stores": sandbox_platform(), "monkeypatch": patch}
            try:
                claim(**{parameter: given[parameter] for parameter in wanted})
            except (Exception, pytest.fail.Exception) as error:
                if is_without_store(error):
                    continue
                broken[name] = "".join(traceback.format_exception(error)[-3:])
    return broken


def states_of(
    platform: Platform | MongoStores, definition: str, assets: Sequence[str]
) -> dict[str, ConditionState]:
    """Return the states of a definition by asset; an asset never evaluated is absent."""
    table = platform.states.load_many([(definition, asset) for asset in assets])
    states = {asset: table.state(row) for row, asset in enumerate(assets)}
    return {asset: state for asset, state in states.items() if state is not None}


def contents(platform: Platform) -> dict[str, object]:
    """Return everything that is stored, without backtests, to see whether it changes."""
    if isinstance(platform.audit, MemoryAudit):
        stores = [
            f.name
            for f in fields(platform)
            if type(getattr(platform, f.name)).__module__.startswith(
                ("alerting.adapters", "tests.helpers.twins")
            )
        ]
        in_memory = {
            name: pickle.dumps(getattr(platform, name))
            for name in stores
            if name not in ("models", "links")
        }
        return in_memory | _documents(platform.accounts.place.stores().database)
    return _documents(platform.audit._audit.database)


def _documents(database: MongoDatabase) -> dict[str, object]:
    names = [name for name in database.list_collection_names() if not name.startswith("backtest")]
    return {name: sorted(map(str, database[name].find())) for name in names}


def audit_entries(platform: Platform | MongoStores) -> list[dict[str, object]]:
    """Return the entries of the audit log, oldest first."""
    if isinstance(platform.audit, MemoryAudit):
        return sorted(platform.audit.entries, key=lambda entry: entry["at"])
    return list(platform.audit._audit.find({}, {"_id": False, "key": False}).sort("at"))
