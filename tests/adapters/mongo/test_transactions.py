"""Requirements of transactions on a database server: replica set, lifetime, conflicts, unknown
results."""

import pytest
from pymongo.client_session import ClientSession
from pymongo.errors import PyMongoError

from alerting.adapters.mongo import mongod_access
from alerting.adapters.mongo.mongo import MongoStores, open_stores
from alerting.definitions.faults import UserError
from alerting.ports import Conflict
from alerting.settings.environment import Settings
from alerting.wiring import database_warning, prepare_database
from tests.helpers.episodes import episode


def test_a_server_that_is_no_replica_set_is_refused_with_what_to_do(plain_server, tmp_path):
    message = r"replica set.*--replSet.*rs\.initiate\(\)"
    for prepare in (False, True):
        with (
            pytest.raises(UserError, match=message),
            open_stores(plain_server, "test", prepare=prepare),
        ):
            pass
    with pytest.raises(UserError, match=message):
        prepare_database(Settings(home=tmp_path, mongodb_uri=plain_server))


def test_embedded_server_ends_a_transaction_after_ten_seconds_and_a_longer_limit_is_said_at_start(
    real_mongod, tmp_path
):
    settings = Settings(home=tmp_path, mongodb_uri=real_mongod.uri)
    assert database_warning(settings) is None
    with mongod_access.as_server(real_mongod.folder, real_mongod.port) as admin:
        limit = {"setParameter": 1, "transactionLifetimeLimitSeconds": 60}
        before = admin.admin.command(limit)["was"]
        warning = database_warning(settings)
        admin.admin.command({**limit, "transactionLifetimeLimitSeconds": before})
    assert "is 60 s" in warning


@pytest.fixture
def two(real):
    """Return the stores of two processes on one database."""
    return real, MongoStores(real.database)


def test_a_unit_of_work_that_raises_has_written_nothing(two):
    one, other = two
    with pytest.raises(ZeroDivisionError), one.unit_of_work.begin() as unit:
        one.episodes.write([episode(0)], unit)
        assert other.episodes.find() == []
        raise ZeroDivisionError
    assert other.episodes.find() == []
    with one.unit_of_work.begin() as unit:
        one.episodes.write([episode(0)], unit)
    assert other.episodes.find() == [episode(0)]


def test_of_two_units_of_work_that_write_one_document_the_slower_writes_nothing(two):
    one, other = two
    with pytest.raises(Conflict), one.unit_of_work.begin() as slow:
        one.episodes.write([episode(5, asset="oven-2")], slow)
        with other.unit_of_work.begin() as fast:
            other.episodes.write([episode(0)], fast)
        one.episodes.write([episode(0)], slow)
    assert one.episodes.find() == [episode(0)]


def test_a_commit_whose_answer_is_lost_is_repeated_and_takes_effect_once(two):
    one, other = two
    commits = []

    class Lost(ClientSession):
        def commit_transaction(self):
            super().commit_transaction()
            commits.append(True)
            if len(commits) == 1:
                error = PyMongoError("the answer is lost")
                error._add_error_label("UnknownTransactionCommitResult")
                raise error

    with one.unit_of_work.begin() as unit:
        unit.session.__class__ = Lost
        one.episodes.write([episode(0)], unit)
    assert len(commits) == 2
    assert other.episodes.find() == [episode(0)]
