"""`in_plant` shows of every list what an account with the plant as its scope sees, in its zone."""

import re

import pytest
from fastapi.testclient import TestClient

from alerting.console.app import create_app
from alerting.definitions.fields.plant import PlantSettings
from tests.builders import at
from tests.helpers.console.two_lines import (
    FIRST,
    NOW,
    PLANT,
    SECOND,
    TOKENS_FILE,
    add_sessions,
    in_a_browser,
    of_the_plant,
    plant,
    sender,
)

LISTS = (
    "/api/v1/episodes",
    "/api/v1/definitions",
    "/api/v1/assets",
    "/api/v1/now",
    "/api/v1/kpi",
    "/api/v1/plant",
    "/api/v1/reports",
    "/api/v1/silences",
    "/api/v1/models",
)
PAGES = ("/", "/definitions", "/plant", "/reports", "/kpi", "/assets", "/models")


@pytest.fixture(scope="module")
def client():
    """A console of two lines, each of which is a plant."""
    made = plant(FIRST, SECOND)
    assets = {one.name: one for one in made.assets.all()}
    zones = {FIRST: "Asia/Tokyo", SECOND: "America/New_York"}
    made.assets.store_assets(
        [
            assets[line].model_copy(update={"plant": PlantSettings(time_zone=zone)})
            for line, zone in zones.items()
        ]
    )
    add_sessions(made)
    app = create_app(made, TOKENS_FILE, now=lambda: at(NOW))
    with TestClient(app, follow_redirects=False) as client:
        yield client


@pytest.mark.parametrize("path", LISTS)
def test_a_list_of_a_plant_is_that_of_an_account_with_this_scope(client, path):
    own = client.get(path, headers=sender("viewer").headers)
    chosen = client.get(f"{path}?in_plant={FIRST}", headers=of_the_plant("viewer").headers)
    everything = client.get(path, headers=of_the_plant("viewer").headers)
    assert own.status_code == chosen.status_code == everything.status_code == 200
    assert chosen.json() == own.json()
    assert SECOND in everything.text
    assert SECOND not in chosen.text


@pytest.mark.parametrize("path", PAGES)
def test_a_page_shows_one_plant_and_says_so(client, path):
    headers = in_a_browser(of_the_plant("viewer")).headers
    page = client.get(f"{path}?in_plant={FIRST}", headers=headers)
    assert page.status_code == 200
    assert "Asia/Tokyo" in page.text
    menu = page.text.partition("</nav>")[0]
    assert f"Plant {FIRST}" in menu
    assert SECOND not in page.text
    entries = re.findall(r'<a href="(/[^"]*)"', menu.partition("menu-entries")[2])
    assert entries
    assert all(f"in_plant={FIRST}" in entry for entry in entries if "account" not in entry)


def test_an_account_within_one_plant_sees_its_zone_without_asking(client):
    page = client.get("/", headers=in_a_browser(sender("viewer")).headers)
    assert "Asia/Tokyo" in page.text


def test_the_front_page_offers_each_plant(client):
    page = client.get("/", headers=in_a_browser(of_the_plant("viewer")).headers)
    assert f'href="/?in_plant={FIRST}"' in page.text
    assert f'href="/?in_plant={SECOND}"' in page.text


@pytest.mark.parametrize("name", ["nowhere", PLANT, SECOND, "x" * 300])
def test_an_asset_that_is_no_plant_or_not_visible_is_refused_with_one_answer(client, name):
    who = sender("viewer") if name == SECOND else of_the_plant("viewer")
    answer = client.get(f"/api/v1/episodes?in_plant={name}", headers=who.headers)
    assert answer.status_code == 422
    assert "there is no plant" in answer.json()["detail"]


def test_the_description_states_the_parameter_of_every_list(client):
    paths = client.get("/api/v1/openapi.json", headers=of_the_plant("viewer").headers).json()
    for path in LISTS:
        names = [one["name"] for one in paths["paths"][path]["get"]["parameters"]]
        assert "in_plant" in names, path
