"""Changes of an asset over the API and on its page: what they would change, who was first, and how
they agree with the import of assets by the command."""

import re
from html import unescape

import pytest

from alerting.definitions.asset_documents import Asset, Variable
from alerting.ports import EventRow, ReadingRow
from alerting.usecases.definitions.revisions_and_evaluation_plan import apply
from alerting.usecases.ingestion.arrived_rows import add_events, add_readings
from alerting.usecases.ingestion.asset_import import GivenAsset, import_assets
from tests.builders import at, too_hot
from tests.helpers.console.api import ADMIN, VIEWER, read
from tests.helpers.console.forms import expect_detail, fields_of
from tests.helpers.console.pages import ADMIN_TOKEN, OPERATOR_TOKEN, lacks, log_in
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
    return read(client, f"assets/{name}")["document"]


def tag_of(client, name="oven-1"):
    return client.get(f"{URL}/{name}", headers=VIEWER).headers["etag"]


def checked(client, document):
    return client.post(f"{URL}:check", json=document, headers=ADMIN).json()


def apply_at(client, document, name="oven-1", **match):
    headers = ADMIN | {key.replace("_", "-"): value for key, value in match.items()}
    return client.put(f"{URL}/{name}?reason=named", json=document, headers=headers)


def test_a_check_names_the_definitions_that_read_a_changed_variable_or_become_faulty(
    client, platform
):
    document = document_of(client)
    document["variables"]["temperature"]["unit"] = "°F"
    found = checked(client, document)
    change = {"field": "variables.temperature.unit", "before": "°C", "after": "°F"}
    assert (found["action"], found["changes"]) == ("changed", [change])
    hot = next(one for one in found["affected"] if one["name"] == "too-hot")
    assert (hot["variables"], hot["applies"], hot["faults"]) == (["temperature"], "stays", [])

    del document["variables"]["temperature"]
    found = checked(client, document)
    hot = found["affected"][0]
    faulty = (found["dropped"], hot["name"], hot["faults"][0]["path"])
    assert faulty == (["temperature"], "too-hot", "variable")
    assert platform.assets.get("oven-1").variables["temperature"].unit == "°C"


def test_every_fault_is_named_with_its_place(client):
    wrong = {"name": "oven-1", "parent": "lin", "relations": [{"variable": "x", "of": "moisture"}]}
    circle = {**document_of(client, "line"), "parent": "oven-1"}
    for document, path in ((wrong, "relations.0.kind"), (circle, "parent")):
        assert [fault["path"] for fault in checked(client, document)["faults"]] == [path]
    wrong["relations"][0]["kind"] = "equal"
    hints = {fault["path"]: fault["hint"] for fault in checked(client, wrong)["faults"]}
    assert (hints["parent"], "relations.0" in hints) == ("did you mean line?", True)


def test_a_type_cannot_change_once_there_are_readings(client, platform):
    add_readings(platform, [ReadingRow("oven-1", at(0), {"moisture": 1.0})], at(1))
    document = document_of(client)
    document["variables"]["moisture"] = {"type": "category"}
    faults = checked(client, document)["faults"]
    assert [fault["path"] for fault in faults] == ["variables.moisture.type"]


def test_who_was_second_learns_who_was_first_and_that_also_of_an_import(client, platform):
    tag = tag_of(client)
    document = {**document_of(client), "title": "Oven one"}
    answer = apply_at(client, document, if_match=tag)
    assert (answer.status_code, answer.json()["action"]) == (200, "changed")
    assert answer.headers["etag"] == tag_of(client) != tag
    expect_detail(apply_at(client, document, if_match=tag), 412, "ada")
    expect_detail(apply_at(client, document), 428, "If-Match")
    given = GivenAsset("line 1", {"name": "oven-1", "title": "By a file"})
    import_assets("assets.yaml", [given], platform, now=at(900), actor="cleo")
    refused = apply_at(client, document, if_match=answer.headers["etag"])
    expect_detail(refused, 412, "changed by cleo")
    entry = next(e for e in audit_entries(platform) if e["what"] == "asset applied")
    found = (entry["subject"], entry["why"], entry["after"]["title"])
    assert found == ("oven-1", "named", "Oven one")


def test_a_document_that_is_read_and_applied_again_changes_nothing(client, platform):
    odd = Asset(name="odd", variables={"a": Variable(type="number"), "b": Variable()})
    platform.assets.store_assets([odd])
    before = platform.assets.get("odd")
    document = document_of(client, "odd")
    assert document["variables"] == {"a": {"type": "number"}, "b": {}}
    answer = apply_at(client, document, "odd", if_match=tag_of(client, "odd"))
    assert answer.json()["action"] == "unchanged"
    assert platform.assets.get("odd") == before


@pytest.fixture
def edit(browser):
    """Return a function that sends the editor of the asset as an engineer."""
    log_in(browser, ADMIN_TOKEN)
    return lambda fields, do, **more: browser.post(EDIT, data={**fields, "do": do, **more})


def test_a_variable_is_edited_as_a_form_and_the_rest_of_the_asset_stays(browser, edit, platform):
    high = "n:variables.temperature.high"
    fields = fields_of(browser.get(f"{EDIT}?part=temperature").text)
    assert fields["s:variables.temperature.unit"] == "°C"
    fields |= {high: "350", "reason": "new sensor"}
    checked = edit(fields, "check")
    assert checked.status_code == 200
    shown = ("variables.temperature.high", '<a href="/definitions/too-hot">')
    assert lacks(checked.text, *shown) == []
    assert platform.assets.get("oven-1").variables["temperature"].high == 400
    applied = edit(fields, "apply")
    assert (applied.status_code, applied.headers["location"]) == (303, "/assets/oven-1")
    found = platform.assets.get("oven-1")
    assert found.variables["temperature"].high == 350
    assert (found.parent, set(found.variables)) == ("line", {"temperature", "moisture"})
    assert "new sensor" in browser.get("/assets/oven-1").text

    late = edit(fields | {high: "300"}, "apply")
    assert (late.status_code, "was changed by" in late.text) == (412, True)
    assert fields_of(late.text)[high] == "300"
    assert edit(fields_of(late.text), "apply").status_code == 303
    assert platform.assets.get("oven-1").variables["temperature"].high == 300


def test_a_variable_is_added_and_removed_and_shown_as_yaml(browser, edit, platform):
    page = edit(fields_of(browser.get(EDIT).text), "add:variables", part="speed")
    fields = fields_of(page.text) | {"s:variables.speed.title": "Belt speed"}
    page = edit(fields, "part:moisture")
    for do in ("remove:variables.moisture", "yaml"):
        page = edit(fields_of(page.text), do)
    assert "speed: {title: Belt speed}" in unescape(page.text)
    assert edit(fields_of(page.text), "apply").status_code == 303
    assert set(platform.assets.get("oven-1").variables) == {"temperature", "speed"}


def test_a_fault_stands_at_its_field_and_what_was_typed_stays(browser, edit):
    fields = fields_of(browser.get(f"{EDIT}?part=temperature").text)
    page = edit(fields | {"n:variables.temperature.high": "warm"}, "apply")
    assert page.status_code == 422
    assert lacks(page.text, 'value="warm"', "variables.temperature.high") == []


def test_the_page_shows_what_is_now_what_watches_it_and_the_past(browser, platform):
    rows = [ReadingRow("oven-1", at(m), {"temperature": 200.0 + m % 7}) for m in range(0, 600, 5)]
    add_readings(platform, rows, at(600))
    stops = [EventRow("oven-1", "stop", at(m), at(m + 5), "test") for m in (60, 180, 300)]
    add_events(platform, stops, at(600))
    platform.clock.instant = at(600)
    log_in(browser, OPERATOR_TOKEN)
    page = unescape(browser.get("/assets/oven-1").text)
    shown = (
        '<path d="M',
        'href="/trends?asset=oven-1&variable=temperature',
        '<a class="asset-line asset-watching" href="/definitions/too-hot">',
    )
    assert lacks(page, *shown, "/edit") == ["/edit"]
    words = re.sub(r"(<[^>]+>|\s)+", " ", page)
    # without values: the moisture
    told = ("temperature", "5 min ago", "no value for a day", "3 times · every 2 h on average")
    assert lacks(words, *told) == []
    assert "1 silent" in re.sub(r"(<[^>]+>|\s)+", " ", browser.get("/assets").text)
    assert browser.get("/assets?text=nothing-like-it").status_code == 200
    assert browser.get("/assets/no-such").status_code == 404


def test_what_was_written_a_moment_ago_is_on_the_next_page_of_assets(browser, platform):
    log_in(browser, OPERATOR_TOKEN)
    assert "Sieve" not in browser.get("/assets").text
    assert "Sieve" not in browser.get("/assets/line").text
    platform.assets.store_assets([Asset(name="sieve", title="Sieve", parent="line")])
    assert "Sieve" in browser.get("/assets").text
    assert "Sieve" in browser.get("/assets/line").text
