"""Changes of an asset over the API and on its page: what they would change, who was first, and how
they agree with the import of assets by the command."""

import re
from html import unescape

import pytest

from alerting.definitions.assets import Asset, Variable
from alerting.ports import EventRow, ReadingRow
from alerting.usecases.definitions.sync import apply
from alerting.usecases.ingestion.arrivals import add_events, add_readings
from alerting.usecases.ingestion.assets import GivenAsset, import_assets
from tests.builders import at, too_hot
from tests.helpers.console.api import ADMIN, VIEWER
from tests.helpers.console.forms import expect_detail, fields_of
from tests.helpers.console.pages import ADMIN_TOKEN, OPERATOR_TOKEN, log_in
from tests.helpers.stores import audit_entries

URL = "/api/v1/assets"
EDIT = "/assets/oven-1/edit"


@pytest.fixture(autouse=True)
def oven(platform):
    declared = {"temperature": Variable(unit="°C", low=0, high=400), "moisture": Variable()}
    platform.assets.store_assets([Asset(name="line", title="The line")])
    platform.assets.store_assets([Asset(name="oven-1", parent="line", variables=declared)])
    apply(platform, [too_hot()], "ann", at(0), "first")


def document_of(client, name="oven-1"):
    return client.get(f"{URL}/{name}", headers=VIEWER).json()["document"]


def tag_of(client, name="oven-1"):
    return client.get(f"{URL}/{name}", headers=VIEWER).headers["etag"]


def test_a_check_names_the_definitions_that_read_a_changed_variable_or_become_faulty(
    client, platform
):
    document = document_of(client)
    document["variables"]["temperature"]["unit"] = "°F"
    found = client.post(f"{URL}:check", json=document, headers=ADMIN).json()
    assert found["action"] == "changed"
    assert found["changes"] == [
        {"field": "variables.temperature.unit", "before": "°C", "after": "°F"}
    ]
    hot = next(one for one in found["affected"] if one["name"] == "too-hot")
    assert (hot["variables"], hot["applies"], hot["faults"]) == (["temperature"], "stays", [])

    del document["variables"]["temperature"]
    found = client.post(f"{URL}:check", json=document, headers=ADMIN).json()
    assert found["dropped"] == ["temperature"]
    hot = found["affected"][0]
    assert (hot["name"], hot["faults"][0]["path"]) == ("too-hot", "variable")
    assert platform.assets.get("oven-1").variables["temperature"].unit == "°C"


def test_every_fault_is_named_with_its_place(client):
    wrong = {"name": "oven-1", "parent": "lin", "relations": [{"variable": "x", "of": "moisture"}]}
    found = client.post(f"{URL}:check", json=wrong, headers=ADMIN).json()
    assert {fault["path"] for fault in found["faults"]} == {"relations.0.kind"}
    wrong["relations"][0]["kind"] = "equal"
    found = client.post(f"{URL}:check", json=wrong, headers=ADMIN).json()
    hints = {fault["path"]: fault["hint"] for fault in found["faults"]}
    assert hints["parent"] == "did you mean line?"
    assert "relations.0" in hints
    circle = {**document_of(client, "line"), "parent": "oven-1"}
    found = client.post(f"{URL}:check", json=circle, headers=ADMIN).json()
    assert [fault["path"] for fault in found["faults"]] == ["parent"]


def test_a_type_cannot_change_once_there_are_readings(client, platform):
    add_readings(platform, [ReadingRow("oven-1", at(0), {"moisture": 1.0})], at(1))
    document = document_of(client)
    document["variables"]["moisture"] = {"type": "category"}
    found = client.post(f"{URL}:check", json=document, headers=ADMIN).json()
    assert [fault["path"] for fault in found["faults"]] == ["variables.moisture.type"]


def test_who_was_second_learns_who_was_first_and_that_also_of_an_import(client, platform):
    tag = tag_of(client)
    document = document_of(client)
    document["title"] = "Oven one"
    answer = client.put(
        f"{URL}/oven-1?reason=named", json=document, headers=ADMIN | {"if-match": tag}
    )
    assert (answer.status_code, answer.json()["action"]) == (200, "changed")
    assert answer.headers["etag"] == tag_of(client) != tag
    expect_detail(
        client.put(f"{URL}/oven-1", json=document, headers=ADMIN | {"if-match": tag}), 412, "ada"
    )
    expect_detail(client.put(f"{URL}/oven-1", json=document, headers=ADMIN), 428, "If-Match")
    tag = answer.headers["etag"]
    given = GivenAsset("line 1", {"name": "oven-1", "title": "By a file"})
    import_assets("assets.yaml", [given], platform, now=at(900), actor="cleo")
    refused = client.put(f"{URL}/oven-1", json=document, headers=ADMIN | {"if-match": tag})
    expect_detail(refused, 412, "changed by cleo")
    entry = next(e for e in audit_entries(platform) if e["what"] == "asset applied")
    assert (entry["subject"], entry["why"]) == ("oven-1", "named")
    assert entry["after"]["title"] == "Oven one"


def test_a_document_that_is_read_and_applied_again_changes_nothing(client, platform):
    platform.assets.store_assets(
        [Asset(name="odd", variables={"a": Variable(type="number"), "b": Variable()})]
    )
    before = platform.assets.get("odd")
    document = document_of(client, "odd")
    assert document["variables"] == {"a": {"type": "number"}, "b": {}}
    answer = client.put(
        f"{URL}/odd", json=document, headers=ADMIN | {"if-match": tag_of(client, "odd")}
    )
    assert answer.json()["action"] == "unchanged"
    assert platform.assets.get("odd") == before


def test_a_new_asset_is_made_once(client, platform):
    new = {"variables": {"speed": {"unit": "m/s"}}}
    made = client.put(f"{URL}/belt", json=new, headers=ADMIN | {"if-none-match": "*"})
    assert (made.status_code, made.json()["action"]) == (201, "new")
    again = client.put(f"{URL}/belt", json=new, headers=ADMIN | {"if-none-match": "*"})
    expect_detail(again, 412, "already one of this name")
    assert platform.assets.get("belt").variables["speed"].unit == "m/s"


def test_a_variable_is_edited_as_a_form_and_the_rest_of_the_asset_stays(browser, platform):
    log_in(browser, ADMIN_TOKEN)
    page = browser.get(f"{EDIT}?variable=temperature")
    fields = fields_of(page.text)
    assert fields["s:variables.temperature.unit"] == "°C"
    fields |= {"n:variables.temperature.high": "350", "reason": "new sensor"}
    checked = browser.post(EDIT, data={**fields, "do": "check"})
    assert checked.status_code == 200
    assert "variables.temperature.high" in checked.text
    assert '<a href="/definitions/too-hot">' in checked.text
    assert platform.assets.get("oven-1").variables["temperature"].high == 400
    applied = browser.post(EDIT, data={**fields, "do": "apply"})
    assert (applied.status_code, applied.headers["location"]) == (303, "/assets/oven-1")
    found = platform.assets.get("oven-1")
    assert found.variables["temperature"].high == 350
    assert (found.parent, set(found.variables)) == ("line", {"temperature", "moisture"})
    page = browser.get("/assets/oven-1").text
    assert "new sensor" in page

    late = browser.post(EDIT, data={**fields, "n:variables.temperature.high": "300", "do": "apply"})
    assert late.status_code == 412
    assert "was changed by" in late.text
    assert fields_of(late.text)["n:variables.temperature.high"] == "300"
    again = browser.post(EDIT, data={**fields_of(late.text), "do": "apply"})
    assert again.status_code == 303
    assert platform.assets.get("oven-1").variables["temperature"].high == 300


def test_a_variable_is_added_and_removed_and_shown_as_yaml(browser, platform):
    log_in(browser, ADMIN_TOKEN)
    fields = fields_of(browser.get(EDIT).text)
    page = browser.post(EDIT, data={**fields, "do": "add:variables", "part": "speed"})
    fields = fields_of(page.text) | {"s:variables.speed.title": "Belt speed"}
    page = browser.post(EDIT, data={**fields, "do": "part:moisture"})
    page = browser.post(EDIT, data={**fields_of(page.text), "do": "remove:variables.moisture"})
    page = browser.post(EDIT, data={**fields_of(page.text), "do": "yaml"})
    assert "speed: {title: Belt speed}" in unescape(page.text)
    assert browser.post(EDIT, data={**fields_of(page.text), "do": "apply"}).status_code == 303
    assert set(platform.assets.get("oven-1").variables) == {"temperature", "speed"}


def test_a_fault_stands_at_its_field_and_what_was_typed_stays(browser):
    log_in(browser, ADMIN_TOKEN)
    fields = fields_of(browser.get(f"{EDIT}?variable=temperature").text)
    page = browser.post(
        EDIT, data={**fields, "n:variables.temperature.high": "warm", "do": "apply"}
    )
    assert page.status_code == 422
    assert 'value="warm"' in page.text
    assert "variables.temperature.high" in page.text


def test_the_page_shows_what_is_now_what_watches_it_and_the_past(browser, platform):
    rows = [ReadingRow("oven-1", at(m), {"temperature": 200.0 + m % 7}) for m in range(0, 600, 5)]
    add_readings(platform, rows, at(600))
    stops = [EventRow("oven-1", "stop", at(m), at(m + 5), "test") for m in (60, 180, 300)]
    add_events(platform, stops, at(600))
    platform.clock.instant = at(600)
    log_in(browser, OPERATOR_TOKEN)
    page = unescape(browser.get("/assets/oven-1").text)
    words = re.sub(r"<[^>]+>|\s+", " ", page)
    assert "temperature" in words
    assert "5 min ago" in words
    assert '<path d="M' in page
    assert 'href="/trends?asset=oven-1&variable=temperature' in page
    assert "no value for a day" in words  # of the moisture
    assert '<a class="asset-line asset-watching" href="/definitions/too-hot">' in page
    assert "3 times · every 2 h on average" in re.sub(r" +", " ", words)
    assert "/edit" not in page
    tree = re.sub(r"<[^>]+>|\s+", " ", browser.get("/assets").text)
    assert "1 silent" in tree
    assert browser.get("/assets?text=nothing-like-it").status_code == 200
    assert browser.get("/assets/no-such").status_code == 404
