"""Hosts on named servers use the same keys: none makes its own, another one is refused."""

from dataclasses import replace

import pytest

from alerting.adapters.mongo.mongo import open_database
from alerting.definitions.faults import UserError
from alerting.local.airflow.worker import check_worker
from alerting.local.prepare import prepare
from alerting.settings.environment import LINK_KEY, MODEL_KEY, Settings
from alerting.wiring import open_platform

DATABASE = "keys"


@pytest.fixture
def hosts(real_server, tmp_path):
    """The settings of two hosts, of which the first is prepared."""
    first, second = (
        Settings(
            home=tmp_path / name,
            mongodb_uri=real_server,
            database=DATABASE,
            mlflow_uri="http://127.0.0.1:9",
        )
        for name in ("first", "second")
    )
    prepare(first)
    yield first, second
    with open_database(real_server, DATABASE) as database:
        database.client.drop_database(DATABASE)


def start(settings):
    with open_platform(settings, service=True) as platform:
        return platform.links.answer_links("e1", "shift")


KEYS = [(LINK_KEY, "ALERTING_LINK_KEY_FILE"), (MODEL_KEY, "ALERTING_MODEL_KEY_FILE")]


@pytest.mark.parametrize(("name", "variable"), KEYS)
def test_a_service_with_another_key_or_without_one_is_refused_and_makes_none(hosts, name, variable):
    path = hosts[0].home / "secrets" / name
    path.write_text("another key of at least 32 characters")
    for opening in (start, prepare):
        with pytest.raises(UserError, match=rf"{path} is not the key .*prepare --new-keys"):
            opening(hosts[0])
    prepare(hosts[0], new_keys=True)
    assert start(hosts[0])
    path.unlink()
    with pytest.raises(UserError, match=rf"no key in {path}.* {variable}$"):
        start(hosts[0])
    assert not path.exists()


def test_a_second_host_gets_the_keys_of_the_first_and_is_refused_without(hosts):
    first, second = hosts
    prepare(second)  # all its secrets but these
    assert not (second.home / "secrets" / LINK_KEY).exists()
    model_key = first.home / "secrets" / MODEL_KEY
    with open_platform(
        replace(second, model_key_file=model_key)
    ) as platform:  # a command that makes no link needs none
        assert platform.definitions.documents() == []
    with pytest.raises(UserError, match="no key in"):
        start(second)
    named = replace(
        second,
        model_key_file=model_key,
        delivery=replace(second.delivery, link_key_file=first.home / "secrets" / LINK_KEY),
    )
    assert start(named)


def test_a_worker_without_what_its_tasks_need_is_refused_with_one_sentence(hosts):
    first, second = hosts
    check_worker(first, {})
    files = {"AIRFLOW__CORE__DAGS_FOLDER": str(first.home / "dags")}
    for settings, environ, sentence in (
        (replace(first, mlflow_uri=None), {}, "a worker needs ALERTING_MLFLOW_URI"),
        (replace(first, mongodb_uri=None), {}, "a worker needs ALERTING_MONGODB_URI"),
        (second, {}, rf"{second.home}/dags lacks \S+: set AIRFLOW__CORE__DAGS_FOLDER"),
        (second, files, "ALERTING_LINK_KEY_FILE"),
    ):
        with pytest.raises(UserError, match=sentence):
            check_worker(settings, environ)
