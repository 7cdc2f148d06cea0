"""People and programs with a scope: what every page and endpoint shows them, and refuses."""

from datetime import timedelta

import pytest
from fastapi.testclient import TestClient

from alerting.console.app import create_app
from alerting.definitions.assets import Asset, Variable
from alerting.operators.people import Account
from alerting.usecases.definitions.sync import apply
from tests.builders import at, too_hot
from tests.helpers.console.api import episode
from tests.helpers.console.pages import log_in
from tests.in_memory_platform import HandClock, Mailbox, in_memory_platform

TOKENS = {
    "whole-plant-0123456789": ("ada", "engineer"),
    "line-one-engineer-01234": ("anna", "engineer"),
    "line-one-gateway-012345": ("gateway-1", "sender"),
}
ADA, ANNA, GATEWAY = ({"authorization": f"Bearer {token}"} for token in TOKENS)
HEAT = {"temperature": Variable(unit="°C")}


@pytest.fixture
def platform():
    made = in_memory_platform(Mailbox("hall-1"), Mailbox("hall-2"))
    made.assets.store_assets(
        [
            Asset(name="line-1"),
            Asset(name="line-2"),
            Asset(name="oven-1", parent="line-1", variables=HEAT),
            Asset(name="oven-2", parent="line-2", variables=HEAT),
        ]
    )
    apply(made, [too_hot(), too_hot(name="hot-2", assets=["oven-2"])], "ada", at(0), "first")
    for minute in range(6):
        made.episodes.insert(episode(10 * minute))
        hidden = episode(10 * minute + 5, "oven-2")
        made.episodes.insert(hidden)
    for name in ("anna", "gateway-1"):
        account = Account(name, "engineer", at(0), "x", at(0), kind="service", scope=("line-1",))
        made.accounts.insert(account)
    made.clock.instant = at(600)
    return made


@pytest.fixture
def client(platform):
    return TestClient(create_app(platform, TOKENS), raise_server_exceptions=False)


def hidden_id(platform):
    return platform.episodes.find(asset="oven-2")[0].id


def test_a_list_of_a_scope_has_full_pages_and_an_exact_end(client):
    pages = []
    cursor = ""
    while cursor is not None:
        answer = client.get(f"/api/v1/episodes?limit=2{cursor}", headers=ANNA).json()
        pages.append([one["asset"] for one in answer["items"]])
        cursor = answer["next"] and f"&cursor={answer['next']}"
    assert pages == [["oven-1"] * 2] * 3
    assert len(client.get("/api/v1/episodes", headers=ADA).json()["items"]) == 12


@pytest.mark.parametrize(
    "address",
    [
        "/api/v1/episodes/{id}", "/api/v1/episodes/{id}/state", "/episodes/{id}",
        "/api/v1/definitions/hot-2", "/api/v1/definitions/hot-2/trainings", "/models/hot-2",
        "/reports?definition=hot-2", "/api/v1/why?definition=hot-2&asset=oven-2",
        "/api/v1/why?definition=too-hot&asset=oven-2",
    ],
)  # fmt: skip
def test_what_is_out_of_scope_does_not_exist(platform, client, address):
    path = address.format(id=hidden_id(platform))
    assert client.get(path, headers=ADA).status_code in (200, 404)
    refused = client.get(path, headers=ANNA)
    unknown = client.get(
        path.replace(hidden_id(platform), "no-such-id").replace("hot-2", "no-such"), headers=ANNA
    )
    assert refused.status_code == unknown.status_code == 404
    assert "line-2" not in refused.text


@pytest.mark.parametrize(
    "address",
    [
        "/", "/kpi", "/reports", "/sources", "/suppressed", "/account", "/api/v1/definitions",
        "/api/v1/kpi?from=2026-01-05T00:00:00Z&to=2026-01-05T09:00:00Z", "/api/v1/shelves",
        "/api/v1/misses", "/api/v1/platform-alerts", "/api/v1/suppressions", "/api/v1/predict-jobs",
        "/api/v1/reports", "/api/v1/episodes",
    ],
)  # fmt: skip
def test_a_page_of_everything_names_nothing_out_of_scope(client, address):
    answer = client.get(address, headers=ANNA)
    assert answer.status_code in (200, 503)
    for name in ("oven-2", "line-2", "hot-2"):
        assert name not in answer.text


@pytest.mark.parametrize(
    "address", ["/metrics", "/platform", "/routes", "/api/v1/routes", "/audit"]
)
def test_what_concerns_the_whole_plant_is_refused_and_not_in_the_menu(client, address):
    assert client.get(address, headers=ADA).status_code == 200
    assert client.get(address, headers=ANNA).status_code == 403
    assert f'href="{address}"' not in client.get("/", headers=ANNA).text


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/api/v1/episodes/{id}/ack", {}),
        ("/api/v1/episodes/{id}/comment", {"comment": "seen"}),
        ("/api/v1/episodes/{id}/assign", {"to": "anna"}),
        ("/api/v1/episodes/{id}/feedback", {"verdict": "true_alarm"}),
        ("/api/v1/shelves", {"definition": "hot-2", "asset": "oven-2", "for": "1h", "reason": "x"}),
        (
            "/api/v1/shelves",
            {"definition": "too-hot", "asset": "oven-2", "for": "1h", "reason": "x"},
        ),
        (
            "/api/v1/misses",
            {"definition": "hot-2", "asset": "oven-2", "at": "2026-01-05T03:00:00Z"},
        ),
        ("/api/v1/definitions/hot-2/predict", {"asset": "oven-2"}),
        ("/api/v1/definitions/hot-2/predict-batch", {"assets": ["oven-2"]}),
    ],
)
def test_no_write_reaches_what_is_out_of_scope(platform, client, path, body):
    before = platform.episodes.find()
    answer = client.post(path.format(id=hidden_id(platform)), json=body, headers=ANNA)
    assert answer.status_code == 404
    assert platform.episodes.find() == before
    assert platform.shelves.in_force() == []
    assert platform.misses.for_interval() == []


def test_an_alarm_of_a_wider_definition_is_shown_and_answered_and_the_definition_is_not(
    platform, client
):
    apply(platform, [too_hot(name="all-hot", assets=["oven-1", "oven-2"])], "ada", at(1), "wide")
    wide = episode(100, id="wide-1", definition="all-hot", condition="open")
    platform.episodes.insert(wide)
    assert client.post("/api/v1/episodes/wide-1/ack", json={}, headers=ANNA).status_code == 200
    for address in ("/episodes/wide-1", "/api/v1/episodes/wide-1", "/api/v1/episodes/wide-1/state"):
        answer = client.get(address, headers=ANNA)
        assert answer.status_code == 200
        assert "oven-2" not in answer.text
    for address in (
        "/api/v1/definitions/all-hot",
        "/models/all-hot",
        "/reports?definition=all-hot",
    ):
        assert client.get(address, headers=ADA).status_code == 200
        assert client.get(address, headers=ANNA).status_code == 404
    asked = client.post(
        "/api/v1/definitions/all-hot/predict", json={"asset": "oven-1"}, headers=ANNA
    )
    assert asked.status_code == 404
    why = client.get("/api/v1/why?definition=all-hot&asset=oven-1", headers=ANNA)
    assert why.status_code == 404
    target = {"definition": "all-hot", "for": "1h", "reason": "noise"}
    made = client.post("/api/v1/shelves", json={**target, "asset": "oven-1"}, headers=ANNA)
    refused = client.post("/api/v1/shelves", json={**target, "asset": "oven-2"}, headers=ANNA)
    assert (made.status_code, refused.status_code) == (200, 404)


def test_the_form_of_a_silence_says_why_it_names_no_channel(client):
    found = []
    for token in list(TOKENS)[:2]:
        page = TestClient(client.app)
        log_in(page, token)
        form = page.get("/new-silence").text
        found.append(("hall-2" in form, "Channels are of the whole plant" in form))
    assert found == [(True, False), (False, True)]


def test_a_silence_above_the_own_line_is_marked_on_its_tiles(platform, client):
    asked = {"kind": "maintenance", "part": "line-2", "for": "1h", "reason": "noise"}
    platform.assets.store_assets([Asset(name="hall"), Asset(name="line-1", parent="hall")])
    for part, marked in (("line-2", []), ("hall", ["oven-1"])):
        sent = {**asked, "part": part}
        assert client.post("/api/v1/silences", json=sent, headers=ADA).status_code == 200
        tiles = client.get("/api/v1/now", headers=ANNA).json()["tiles"]
        assert [t["asset"] for t in tiles if t["silenced"]] == marked


def test_acts_on_the_own_line_work(platform, client):
    own = platform.episodes.find(asset="oven-1")[0].id
    assert client.post(f"/api/v1/episodes/{own}/ack", json={}, headers=ANNA).status_code == 200
    said = client.post(
        f"/api/v1/episodes/{own}/feedback", json={"verdict": "true_alarm"}, headers=ANNA
    )
    assert said.status_code == 200
    shelf = client.post(
        "/api/v1/shelves",
        json={"definition": "too-hot", "asset": "oven-1", "for": "1h", "reason": "noise"},
        headers=ANNA,
    )
    assert shelf.status_code == 200
    ended = client.post(f"/api/v1/shelves/{shelf.json()['id']}/end", json={}, headers=ANNA)
    assert ended.status_code == 200
    assert client.get(f"/episodes/{own}", headers=ANNA).status_code == 200


def test_a_sender_writes_its_own_line_only(platform, client):
    rows = [
        {"ts": at(minute).isoformat(), "asset": asset, "values": {"temperature": 200.0}}
        for minute, asset in enumerate(("oven-1", "oven-2"))
    ]
    answer = client.post("/api/v1/readings", json=rows, headers=GATEWAY).json()
    assert (answer["rows"], [line["line"] for line in answer["lines"]]) == (1, [2])
    assert platform.readings.span("oven-2") is None


def test_an_asset_that_moves_is_out_of_scope_after_a_second(platform):
    clock = HandClock(at(0))
    client = TestClient(create_app(platform, TOKENS, now=clock.now))
    own = platform.episodes.find(asset="oven-1")[0].id
    assert client.get(f"/api/v1/episodes/{own}", headers=ANNA).status_code == 200
    line = platform.assets.get("oven-1").model_copy(update={"parent": "line-2"})
    platform.assets.store_assets([line])
    clock.instant += timedelta(seconds=1)
    assert client.get(f"/api/v1/episodes/{own}", headers=ANNA).status_code == 404
