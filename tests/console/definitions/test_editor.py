"""The editor: faults with their lines, plan, preview, drafts, conflicts, and the form."""

import re
from dataclasses import replace
from html import unescape
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
import yaml
from fastapi.testclient import TestClient

from alerting.console.app import create_app
from alerting.console.definitions.documents import line_of_path, write_yaml_document
from alerting.console.definitions.form import FormGroup, draw_form
from alerting.console.definitions.form_document import change_form, read_form
from alerting.console.definitions.starts import list_starts
from alerting.definitions.assets import EventType
from alerting.definitions.revisions import definition_document
from alerting.kinds.validation import parse_definition
from alerting.usecases.definitions.sync import apply
from tests.builders import at, oven, too_hot, too_moist
from tests.helpers.console.api import TOKENS
from tests.helpers.console.often_hot import DAYS, often_hot
from tests.helpers.console.pages import ADMIN_TOKEN, browser, csrf_of, log_in, wall

__all__ = ["browser", "wall"]
NEW = "/definitions/new"
EDIT = "/definitions/too-hot/edit"
STARTS = [one["name"] for one in list_starts()]
EXAMPLES = [
    document
    for path in sorted(Path("config/examples").rglob("*.yaml"))
    for document in yaml.safe_load_all(path.read_text(encoding="utf-8"))
    if isinstance(document, dict) and {"name", "kind", "assets"} <= {*document}
]


@pytest.fixture
def engineer(browser):
    log_in(browser, ADMIN_TOKEN)
    return browser


@pytest.fixture
def hot():
    """An engineer on a line that is often too hot, and its platform."""
    made = often_hot(per_day=100)
    client = TestClient(create_app(made, TOKENS), follow_redirects=False)
    log_in(client, ADMIN_TOKEN)
    return client, made


def send(browser, address, do, text="", **fields):
    token = csrf_of(browser.get("/account"))
    return browser.post(address, data={"csrf": token, "do": do, "text": text, **fields})


def text_of(page):
    return unescape(re.search(r"<textarea id=\"text\"[^>]*>\n(.*?)</textarea>", page.text, re.S)[1])


def inputs_of(part):
    """Return the inputs of a form as a browser sends them."""
    if isinstance(part, FormGroup):
        if part.path:
            yield f"{part.mark}:{part.path}", "1"
        for below in (*part.parts, *part.rest):
            yield from inputs_of(below)
        return
    if part.never:
        yield f"z:{part.path}", "1"
    yield part.name, part.value.replace("\n", "\r\n")


def test_a_text_is_checked_and_every_fault_has_its_line_and_a_hint(engineer, platform):
    text = "name: x\nkind: threshold\nassets: [oven-1]\nvariable: temprature\nabov: 3\n"
    page = send(engineer, NEW, "check", text)
    assert page.status_code == 422
    assert "line 5</span> <code>abov</code> is not a field" in page.text
    assert "did you mean above?" in page.text
    assert "line 4</span> <code>variable</code>" in page.text
    assert text_of(page) == text
    assert platform.definitions.newest_revision("x") is None


@pytest.mark.parametrize("text", ["", "- a", "a: [", "a: 1\na: 2", "[" * 300, "&a [*a]"])
def test_a_text_that_is_no_document_is_kept_with_its_fault(engineer, text):
    page = send(engineer, NEW, "check", text)
    assert page.status_code == 422
    assert 'role="alert"' in page.text
    assert text_of(page) == text


def test_a_new_definition_is_applied_with_author_and_reason(engineer, platform):
    text = write_yaml_document(too_hot(name="new-one"))
    answer = send(engineer, NEW, "apply", text, reason="needed")
    assert (answer.status_code, answer.headers["location"]) == (303, "/definitions/new-one")
    made = platform.definitions.newest_revision("new-one")
    assert (made.author, made.reason, made.definition.state) == ("ada", "needed", "active")
    again = send(engineer, NEW, "apply", text)
    assert again.status_code == 409
    assert "There is a definition of this name already." in again.text


def test_a_draft_is_stored_and_not_in_service(engineer, platform):
    send(engineer, NEW, "draft", write_yaml_document(too_hot(name="new-one")))
    assert platform.definitions.newest_revision("new-one").definition.state == "draft"
    assert "Save as draft" in engineer.get("/definitions/new-one/edit").text
    assert "Save as draft" not in engineer.get(EDIT).text


def test_of_two_engineers_the_second_gets_the_difference_and_keeps_the_text(engineer, platform):
    own = write_yaml_document(too_hot(above=210))
    apply(platform, [too_hot(title="Oven too hot", above=220)], "ben", at(5), "less noise")
    page = send(engineer, EDIT, "apply", own, revision="1")
    assert page.status_code == 409
    assert "Changed by ben" in page.text
    assert "less noise" in page.text
    assert "<ins>220</ins>" in page.text
    assert text_of(page) == own
    assert platform.definitions.newest_revision("too-hot").number == 2
    seen = re.search(r'name="revision" value="(\d+)"', page.text)[1]
    assert send(engineer, EDIT, "apply", own, revision=seen).status_code == 303
    assert platform.definitions.newest_revision("too-hot").definition.above == 210


def test_a_preview_shows_what_the_draft_would_have_raised_beside_what_serves(hot):
    browser, platform = hot
    apply(platform, [too_hot(above=240)], "ann", at(0), "first")
    text = write_yaml_document(too_hot())
    started = send(browser, EDIT, "preview", text, revision="1", weeks="1")
    address = started.headers["location"]
    while 'http-equiv="refresh"' in (page := browser.get(address)).text:
        pass
    assert text_of(page) == text
    assert f"It would have raised {12 * DAYS} alarms" in page.text
    assert f"<strong>0</strong> in both, <strong>{12 * DAYS}</strong> only here" in page.text
    assert "limit 215 °C" in page.text
    assert page.text.count('<rect class="only"') == 12 * DAYS
    other = TestClient(browser.app, follow_redirects=False)
    log_in(other, "viewer-token-0123456789")
    assert other.get(address).status_code == 403


def test_every_question_leads_to_a_text_that_can_be_applied(engineer):
    of = "asset=oven-1&variable=temperature"
    questions = unescape(engineer.get(f"{NEW}?{of}").text)
    for one in list_starts():
        address = f"/definitions/new?start={one['name']}&{of}"
        assert f'href="{address}"' in questions
        page = send(engineer, NEW, "check", text_of(engineer.get(address)))
        assert page.status_code == 200, one
    assert engineer.get("/definitions/new?start=none").status_code == 404
    assert engineer.get(f"{NEW}?start={STARTS[0]}&asset=oven-9").status_code == 404
    assert engineer.get(f"{NEW}?start={STARTS[0]}&variable=colour").status_code == 404


@pytest.mark.parametrize("start", STARTS)
def test_a_new_definition_is_about_what_was_named_and_nothing_is_guessed(engineer, platform, start):
    platform.assets.store_assets([oven(), oven().model_copy(update={"name": "a-first"})])

    def text(query):
        page = engineer.get(f"{NEW}?start={start}{query}")
        return yaml.safe_load(text_of(page)), unescape(page.text)

    nothing, page = text("")
    assert nothing["assets"] == []
    assert f"/definitions/new?start={start}&asset=oven-1" in page
    assert "temperature" not in str(nothing)
    asset, page = text("&asset=oven-1")
    assert asset["assets"] == ["oven-1"]
    assert "temperature" not in str(asset)
    named, of_both = text("&asset=oven-1&variable=moisture")
    assert named["assets"] == ["oven-1"]
    assert 'id="about"' not in of_both
    if named != asset:
        assert f"/definitions/new?start={start}&asset=oven-1&variable=moisture" in page
        assert "moisture" in str(named)
    variable, page = text("&variable=moisture")
    assert variable["assets"] == []
    assert f"/definitions/new?start={start}&asset=oven-1&variable=moisture" in page


# The form


@pytest.mark.parametrize("document", EXAMPLES, ids=lambda one: one["name"])
def test_an_example_goes_through_the_form_and_back_unchanged(document):
    made = parse_definition(read_form(inputs_of(draw_form(document))))
    assert made == parse_definition(document)
    whole = made.model_dump(mode="json", by_alias=True)
    assert parse_definition(read_form(inputs_of(draw_form(whole)))) == parse_definition(whole)


@pytest.mark.parametrize("document", EXAMPLES, ids=lambda one: one["name"])
def test_an_example_is_written_as_yaml_and_read_unchanged(document):
    written = write_yaml_document(definition_document(parse_definition(document)))
    assert parse_definition(yaml.safe_load(written)) == parse_definition(document)


def test_a_form_has_only_the_branches_in_use():
    assert len(list(inputs_of(draw_form(too_hot())))) < 40
    changed = change_form(too_hot(), "add", "suppression")
    changed = change_form(changed, "add", "suppression.when")
    assert changed["suppression"] == {"when": [{}]}
    learned = change_form(too_hot(), "way", "above", 2)
    assert learned["above"] == {"learned": {"quantile": ""}}
    assert read_form(inputs_of(draw_form(learned))) == learned
    assert change_form(learned, "remove", "above") == change_form(learned, "way", "above", 0)


def test_null_that_means_never_is_a_state_of_its_own():
    document = {**EXAMPLES[0], "schedule": {"retrain": None}}
    assert read_form(inputs_of(draw_form(document)))["schedule"] == {"retrain": None}
    usual = {**EXAMPLES[0], "schedule": {}}
    assert read_form(inputs_of(draw_form(usual)))["schedule"] == {}


def test_text_and_form_change_each_other_over_the_server(engineer, platform):
    text = write_yaml_document(too_hot(above=210))
    form = send(engineer, EDIT, "form", text, revision="1")
    assert form.status_code == 200
    assert 'name="n:above" value="210"' in form.text
    inputs = dict(inputs_of(draw_form(too_hot(above=210)))) | {"n:above": "212,5"}
    page = send(engineer, EDIT, "yaml", revision="1", shape="form", **inputs)
    assert "above: 212.5" in text_of(page)
    answer = send(engineer, EDIT, "apply", revision="1", shape="form", **inputs)
    assert answer.status_code == 303
    assert platform.definitions.newest_revision("too-hot").definition.above == 212.5


def test_an_event_type_is_offered_with_its_title_and_described_with_it(engineer, platform):
    stop = EventType(name="Stoerung_3", title="Störung Band 3", duration="lasting")
    platform.assets.put_event_types([stop])
    document = too_moist(problem={"event": "Stoerung_3"})
    form = send(engineer, NEW, "form", write_yaml_document(document))
    offered = re.search(r'name="s:problem.event"[^>]* list="([^"]+)"', form.text)[1]
    options = form.text.partition(f'<datalist id="{offered}">')[2].partition("</datalist>")[0]
    assert options == '<option value="Stoerung_3">Störung Band 3</option>'
    apply(platform, [document], "ann", at(1), "x")
    assert "Event Störung Band 3, 30 min ahead" in engineer.get("/definitions/too-moist").text


def test_a_fault_stands_beside_its_field_in_the_form(engineer):
    inputs = dict(inputs_of(draw_form(too_hot()))) | {"n:above": "hot"}
    page = send(engineer, EDIT, "check", revision="1", shape="form", **inputs)
    assert page.status_code == 422
    assert re.search(r'value="hot".*?<small class="fault"', page.text, re.S)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("n:" + ".".join(["a"] * 99), "1"),
        ("y:problem", "!!python/object:os.system {}"),
        ("y:problem", "[" * 500),
        ("n:above", "1e999"),
        ("s:..", "x"),
        ("l:assets.0.1.2", "x"),
        ("g:above", "1"),
        ("a:name", "1"),
        ("i:" + "9" * 200, "9" * 400),
    ],
)
def test_a_form_that_the_console_did_not_draw_breaks_nothing(engineer, name, value):
    inputs = dict(inputs_of(draw_form(too_hot()))) | {name: value}
    page = send(engineer, EDIT, "check", revision="1", shape="form", **inputs)
    assert page.status_code in (200, 422)


def test_the_line_of_a_field_is_that_of_the_nearest_one_above_it():
    text = "name: x\nany:\n- variable: a\n  above: 1\n- variable: b\n"
    assert line_of_path(text, "any.0.above") == 4
    assert line_of_path(text, "any.1.above") == 5
    assert line_of_path(text, "above") is None


SCENARIO = """
- title: hot for ten minutes
  every: 5m
  readings: {temperature: [200, 220, 220, 200]}
  expect: [{at: 5m, raised: medium}, {at: 15m, closed: true}]
- title: never hot
  every: 5m
  readings: {temperature: [200, 220, 220, 200]}
  expect: []
"""


def test_scenarios_of_a_draft_are_run_in_the_editor(hot):
    engineer, platform = hot
    text = write_yaml_document(too_hot())
    page = send(engineer, NEW, "test", text, scenarios=SCENARIO)
    assert page.status_code == 200
    assert "1 of 2 scenarios passed" in page.text
    assert "+ 5m  raised: medium" in page.text
    assert "never hot" in page.text.split('name="scenarios"')[1]  # and it is there to be changed
    assert platform.definitions.documents() == []
    ran = send(engineer, NEW, "test", text, scenarios=f"definition: too-hot\nscenarios:{SCENARIO}")
    assert "1 of 2 scenarios passed" in ran.text


def test_check_preview_and_page_say_what_can_never_be_fulfilled_and_the_zone_of_the_hours():
    made = replace(often_hot(per_day=100), zone=ZoneInfo("Europe/Berlin"))
    engineer = TestClient(create_app(made, TOKENS), follow_redirects=False)
    log_in(engineer, ADMIN_TOKEN)
    hours = {"windows": [{"from": "22:00", "to": "06:00"}]}
    text = write_yaml_document(too_hot(stale_after="1m", suppression=hours, **{"for": "3m"}))
    never = "longer than stale_after 1m: `for: 3m` can never be fulfilled; write stale_after: 10m"
    in_zone = "uppressed: daily 22:00 to 06:00 Europe/Berlin"
    checked = unescape(send(engineer, NEW, "check", text).text)
    tried = engineer.get(send(engineer, NEW, "preview", text, weeks="1").headers["location"])
    for page in (checked, unescape(tried.text)):
        assert never in page
        assert in_zone in page
    scenario = '- {title: Hot, every: 5m, readings: {temperature: ["250 x 9"]}, expect: []}'
    assert never in unescape(send(engineer, NEW, "test", text, scenarios=scenario).text)
    send(engineer, NEW, "apply", text, accept_load="known")
    assert in_zone in engineer.get("/definitions/too-hot").text


def test_a_draft_that_predicts_shows_where_how_long_and_whether_that_is_enough(hot):
    engineer, _ = hot
    problem = {"variable": "temperature", "above": 215}
    text = write_yaml_document(too_moist(problem=problem))
    page = engineer.get(send(engineer, NEW, "preview", text, weeks="1").headers["location"])
    assert "The problem happened 36 times" in page.text
    assert "On 1 asset." in page.text
    assert "It lasted 10 min" in page.text
    assert "few to learn from" not in page.text
    assert 'data-path="problem.above"' in page.text
    rare = write_yaml_document(too_moist(problem={"variable": "temperature", "above": 500}))
    page = engineer.get(send(engineer, NEW, "preview", rare, weeks="1").headers["location"])
    assert "The problem happened 0 times" in page.text
    assert "few to learn from" in page.text
