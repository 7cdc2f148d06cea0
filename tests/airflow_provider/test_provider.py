"""The provider as Airflow finds it, and its hook, operators and notifier against the API itself."""

from functools import partial
from importlib.metadata import entry_points

import httpx
import pytest
from airflow.sdk.definitions.connection import Connection
from airflow.sdk.exceptions import AirflowFailException

from alerting import optional_folders
from alerting.airflow_provider import get_provider_info, hooks
from alerting.airflow_provider.hooks import AlertingHook
from alerting.airflow_provider.notifier import AlertingNotifier
from alerting.airflow_provider.task_operators import ApplyOperator, PredictOperator
from alerting.client import ApiProblem, Client
from alerting.ports import WantedHistory
from tests.builders import at
from tests.helpers.console.api import ADMIN, client, episode, platform  # noqa: F401 - fixtures

ADDRESS = "https://plant.example"
TOKEN = ADMIN["authorization"].removeprefix("Bearer ")
HOT = {"kind": "threshold", "assets": ["oven-1"], "variable": "temperature"}
TWO = """\
name: hot-1
kind: threshold
assets: [oven-1]
variable: temperature
above: 215
---
name: hot-2
kind: threshold
assets: [oven-1]
variable: temperature
above: 220
"""


@pytest.fixture
def connect(client, monkeypatch):  # noqa: F811
    """Return a function that makes the connection, to the API in this process."""

    def pass_on(request):
        answer = client.request(
            request.method, str(request.url), content=request.read(), headers=dict(request.headers)
        )
        return httpx.Response(answer.status_code, headers=answer.headers, content=answer.content)

    monkeypatch.setattr(hooks, "Client", partial(Client, transport=httpx.MockTransport(pass_on)))

    def make(**fields):
        given = {"conn_id": "alerting_default", "conn_type": "alerting", "host": ADDRESS}
        made = Connection(**given | {"password": TOKEN} | fields)
        monkeypatch.setattr(AlertingHook, "get_connection", lambda *_: made)

    make()
    return make


def test_airflow_finds_the_provider_and_every_class_that_it_names():
    from airflow.sdk.providers_manager_runtime import ProvidersManagerTaskRuntime

    (point,) = (p for p in entry_points(group="apache_airflow_provider") if "alerting" in p.value)
    assert point.load()() == get_provider_info()
    hook = ProvidersManagerTaskRuntime().hooks["alerting"]
    assert (hook.hook_name, hook.connection_id_attribute_name) == (
        "Alerting platform",
        "alerting_conn_id",
    )


def test_airflow_starts_where_the_folder_of_the_provider_is_deleted(monkeypatch):
    from airflow.providers_manager import _create_provider_info_schema_validator

    assert optional_folders.provider_info() == get_provider_info()
    monkeypatch.setattr(optional_folders, "find_spec", lambda _: None)
    info = optional_folders.provider_info()
    _create_provider_info_schema_validator().validate(info)
    assert info["package-name"] == "alerting"
    assert "connection-types" not in info


def test_a_connection_is_tried_and_says_what_is_wrong(connect):
    is_well, text = AlertingHook().test_connection()
    assert is_well, text
    connect(host="plant.example")
    assert AlertingHook().test_connection() == (
        False,
        "connection alerting_default: its host is no address, e.g. https://alerting.plant.example",
    )
    connect(host="plant.example", schema="https", port=443)
    assert AlertingHook().test_connection()[0]
    connect(password="wrong-token-0123456789")
    assert "401" in AlertingHook().test_connection()[1]
    connect(password="")
    assert "token" in AlertingHook().test_connection()[1]


def test_documents_are_applied_once_and_their_faults_fail_the_task(connect, platform):  # noqa: F811
    def apply(documents, **options):
        return ApplyOperator(task_id="apply", documents=documents, **options).execute({})

    first = apply(TWO)
    assert [(one["name"], one["revision"]) for one in first] == [("hot-1", 1), ("hot-2", 1)]
    changed = apply([HOT | {"name": "hot-1", "above": 216}], reason="agreed with the shift")
    assert changed[0]["revision"] == 2
    assert platform.definitions.newest_revision("hot-1").reason == "agreed with the shift"
    assert apply([HOT | {"name": "hot-1", "above": 216}])[0]["revision"] == 2
    assert apply([{"name": "oven-9"}], sort="asset")[0]["name"] == "oven-9"
    with pytest.raises(AirflowFailException, match="variable: "):
        apply([HOT | {"name": "hot-3", "variable": "temperatur", "above": 1}])
    with pytest.raises(AirflowFailException, match="a mapping with a name"):
        apply("just a text")
    with pytest.raises(AirflowFailException, match="not YAML"):
        apply("name: [hot")
    assert apply("---\n") == []


def test_what_another_try_may_change_is_tried_again(connect, monkeypatch):
    operator = ApplyOperator(task_id="apply", documents=TWO)
    operator.execute({})
    monkeypatch.setattr(operator, "_expected", lambda *_: {"if_match": '"7"'})
    operator.documents = [HOT | {"name": "hot-1", "above": 230}]
    with pytest.raises(ApiProblem) as refusal:
        operator.execute({})
    assert refusal.value.status == 412


def test_predictions_come_by_asset_and_a_fault_fails_the_task(connect, monkeypatch):
    answer = {"definition": "moist", "score": 0.4, "unknown": None}
    asked = []

    def call(self, *given):
        asked.append(given)
        fault = "it has no champion" if len(asked) > 1 else None
        return {
            "answers": [
                {"asset": "oven-1", "prediction": answer, "fault": None},
                {"asset": "oven-2", "prediction": None if fault else answer, "fault": fault},
            ]
        }

    operator = PredictOperator(
        task_id="ask", definition="moist", assets=["oven-1", "oven-2"], at=at(0)
    )
    with pytest.raises(AirflowFailException, match="there is no definition 'moist'"):
        operator.execute({})
    monkeypatch.setattr(AlertingHook, "call", call)
    assert operator.execute({}) == {"oven-1": answer, "oven-2": answer}
    assert asked == [("predict_batch", "moist", {"assets": ["oven-1", "oven-2"], "at": at(0)})]
    with pytest.raises(AirflowFailException, match="oven-2: it has no champion"):
        operator.execute({})


def test_a_failure_becomes_a_reading_and_a_refused_one_is_an_error(connect, platform):  # noqa: F811
    asset = next(one for one in platform.assets.all() if one.name == "oven-1")
    since = platform.clock.now()
    AlertingNotifier(asset="oven-1", variable="temperature")({})
    AlertingNotifier(asset="oven-1", variable="temperature", value=0)({})
    found = platform.readings.load(
        WantedHistory(asset, since.replace(year=1990), since.replace(year=2190))
    )
    assert found.readings["temperature"].dropna().tolist()[-2:] == [1.0, 0.0]
    with pytest.raises(ValueError, match="hot"):
        AlertingNotifier(asset="oven-1", variable="temperature", value="hot")({})
