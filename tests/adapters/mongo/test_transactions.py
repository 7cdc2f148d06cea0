"""Requirements of transactions on a database server: replica set, lifetime, conflicts, unknown
results."""

import subprocess
from contextlib import contextmanager

import pytest
from pymongo import MongoClient
from pymongo.client_session import ClientSession
from pymongo.errors import PyMongoError

from alerting.adapters.embedded import mongod_access
from alerting.adapters.embedded.embedded_mongod import EmbeddedMongod, find_mongod
from alerting.adapters.mongo.mongo import open_stores as open_stores_of
from alerting.definitions.faults import UserError
from alerting.ports import Conflict
from alerting.settings.environment import Settings
from alerting.wiring import database_warning, prepare_database
from tests.helpers.episodes import episode
from tests.support import free_port, require_real_server

pytestmark = pytest.mark.server


@pytest.fixture(autouse=True)
def _with_the_wheel():
    require_real_server()


@contextmanager
def plain_server(folder):
    """Run a server that belongs to no replica set, as many people start one; yield its URI."""
    port = free_port()
    options = [
        "--dbpath",
        str(folder),
        "--port",
        str(port),
        "--bind_ip",
        "127.0.0.1",
        "--nounixsocket",
    ]
    with subprocess.Popen([find_mongod(), *options], stdout=subprocess.DEVNULL) as process:
        uri = f"mongodb://127.0.0.1:{port}"
        try:
            with MongoClient(uri) as client:
                client.admin.command("ping")
            yield uri
        finally:
            process.kill()


def test_a_server_that_is_no_replica_set_is_refused_with_what_to_do(tmp_path):
    message = r"replica set.*--replSet.*rs\.initiate\(\)"
    with plain_server(tmp_path) as uri:
        for prepare in (False, True):
            with (
                pytest.raises(UserError, match=message),
                open_stores_of(uri, "test", prepare=prepare),
            ):
                pass
        with pytest.raises(UserError, match=message):
            prepare_database(Settings(home=tmp_path / "home", mongodb_uri=uri))


def test_embedded_server_ends_a_transaction_after_ten_seconds_and_a_longer_limit_is_said_at_start(
    tmp_path,
):
    with EmbeddedMongod(tmp_path / "data", free_port()) as server:
        settings = Settings(home=tmp_path / "home", mongodb_uri=server.uri)
        assert database_warning(settings) is None
        with mongod_access.as_server(server.folder, server.port) as admin:
            admin.admin.command({"setParameter": 1, "transactionLifetimeLimitSeconds": 60})
        assert "is 60 s" in database_warning(settings)


@pytest.fixture
def two(real_server):
    """Yield the stores of two processes on one database."""
    with (
        open_stores_of(real_server, "transactions", prepare=True) as one,
        open_stores_of(real_server, "transactions", prepare=True) as other,
    ):
        yield one, other
        one.database["episodes"].delete_many({})


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
