"""Cards of definitions and the preview name an asset by its title, as other pages do."""

import pytest
from fastapi.testclient import TestClient

from alerting.console.app import create_app
from alerting.console.definitions.documents import write_yaml_document
from alerting.definitions.assets import Asset, asset_document
from alerting.usecases.definitions.sync import apply
from tests.builders import at, too_hot
from tests.helpers.console.api import TOKENS
from tests.helpers.console.often_hot import often_hot
from tests.helpers.console.pages import ADMIN_TOKEN, csrf_of, log_in

TITLE = "Ofen 1 (Halle B)"


@pytest.fixture
def platform():
    made = often_hot(per_day=2)
    (oven,) = made.assets.find_matching(["oven-1"])
    made.assets.store_assets([Asset.model_validate({**asset_document(oven), "title": TITLE})])
    apply(made, [too_hot(assets=["oven-1", "oven-*"])], "ann", at(0), "first")
    return made


@pytest.fixture
def engineer(platform):
    client = TestClient(create_app(platform, TOKENS), follow_redirects=False)
    log_in(client, ADMIN_TOKEN)
    return client


@pytest.mark.parametrize("address", ["/definitions", "/definitions/too-hot"])
def test_a_definition_is_shown_with_the_titles_of_its_assets_and_with_patterns_as_written(
    engineer, address
):
    assert f"{TITLE}, oven-*" in engineer.get(address).text


def test_a_preview_names_the_asset_by_its_title(engineer):
    form = {
        "csrf": csrf_of(engineer.get("/account")),
        "do": "preview",
        "text": write_yaml_document(too_hot(name="hotter")),
        "weeks": "1",
    }
    address = engineer.post("/definitions/new", data=form).headers["location"]
    while 'http-equiv="refresh"' in (page := engineer.get(address)).text:
        pass
    assert f"<small>{TITLE}</small></figcaption>" in page.text
    assert f"<td>{TITLE}</td>" in page.text
    assert "<td>oven-1</td>" not in page.text
