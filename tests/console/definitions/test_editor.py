"""The editor: faults with their lines, plan, preview, drafts, conflicts, and the form."""

import re
from dataclasses import replace
from html import unescape
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
import yaml
from fastapi.testclient import TestClient

from alerting.console.api.parameters import line_of_path, write_yaml_document
from alerting.console.app import create_app
from alerting.console.documents.definition_api import Previews
from alerting.console.documents.definition_pages import DEFINITION_PAGES
from alerting.console.documents.form import FormGroup, change_form, draw_form, read_form
from alerting.console.documents.starting_texts import list_starts
from alerting.definitions.asset_documents import EventType
from alerting.definitions.revisions import definition_document
from alerting.kinds.registry import parse_definition
from alerting.usecases.definitions.revisions_and_evaluation_plan import apply
from tests.builders import at, oven, too_hot, too_moist
from tests.helpers.console.api import TOKENS
from tests.helpers.console.editor import EDIT, NEW, engineer, send, text_of
from tests.helpers.console.often_hot import DAYS, often_hot
from tests.helpers.console.pages import ADMIN_TOKEN, browser, lacks, log_in, wall
from tests.helpers.moist_line import LINEAR, stored_line

__all__ = ["browser", "engineer", "wall"]
STARTS = [one["name"] for one in list_starts()]
EXAMPLES = [
    document
    for path in sorted(Path("config/examples").rglob("*.yaml"))
    for document in yaml.safe_load_all(path.read_text(encoding="utf-8"))
    if isinstance(document, dict) and {"name", "kind", "assets"} <= {*document}
]


@pytest.fixture
def hot():
    """An engineer on a line that is often too hot, and its platform."""
    made = often_hot(per_day=100)
    client = TestClient(create_app(made, TOKENS), follow_redirects=False)
    log_in(client, ADMIN_TOKEN)
    return client, made


def inputs_of(part):
    """Return the inputs of a form as a browser sends them."""
    if isinstance(part, FormGroup):
        if part.path:
            yield f"{part.mark}:{part.path}", "1"
        for below in (*part.parts, *part.folded):
            yield from inputs_of(below)
        return
    if part.never:
        yield f"z:{part.path}", "1"
    yield part.name, part.value.replace("\n", "\r\n")


def test_a_text_is_checked_and_every_fault_has_its_line_and_a_hint(engineer, platform):
    text = "name: x\nkind: threshold\nassets: [oven-1]\nvariable: temprature\nabov: 3\n"
    page = send(engineer, NEW, "check", text)
    assert (page.status_code, text_of(page)) == (422, text)
    assert lacks(
        page.text,
        "line 5</span> <code>abov</code> is not a field",
        "did you mean above?",
        "line 4</span> <code>variable</code>",
    ) == []  # fmt: skip
    assert platform.definitions.newest_revision("x") is None


def test_a_text_that_is_no_document_is_kept_with_its_fault(engineer):
    texts = ("", "- a", "a: [", "a: 1\na: 2", "[" * 300, "&a [*a]")
    pages = {text: send(engineer, NEW, "check", text) for text in texts}
    found = {text: (page.status_code, text_of(page)) for text, page in pages.items()}
    assert found == {text: (422, text) for text in texts}
    assert [text for text, page in pages.items() if 'role="alert"' not in page.text] == []


def test_a_new_definition_is_applied_with_author_and_reason(engineer, platform):
    text = write_yaml_document(too_hot(name="new-one"))
    answer = send(engineer, NEW, "apply", text, reason="needed")
    assert (answer.status_code, answer.headers["location"]) == (303, "/definitions/new-one")
    made = platform.definitions.newest_revision("new-one")
    assert (made.author, made.reason, made.definition.state) == ("ada", "needed", "active")
    again = send(engineer, NEW, "apply", text)
    assert again.status_code == 412
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
    assert (page.status_code, text_of(page)) == (412, own)
    assert lacks(page.text, "Changed by ben", "less noise", "<ins>220</ins>") == []
    assert platform.definitions.newest_revision("too-hot").number == 2
    seen = re.search(r'name="revision" value="(\d+)"', page.text)[1]
    assert send(engineer, EDIT, "apply", own, revision=seen).status_code == 303
    assert platform.definitions.newest_revision("too-hot").definition.above == 210


def tried(browser, address, text, do="preview", **fields):
    """Return the page of a preview that is over."""
    address = send(browser, address, do, text, weeks="1", **fields).headers["location"]
    while 'http-equiv="refresh"' in (page := browser.get(address)).text:
        pass
    return page


def test_a_preview_that_fails_says_why_on_its_page(hot, monkeypatch):
    browser, platform = hot
    apply(platform, [too_hot(above=240)], "ann", at(0), "first")
    monkeypatch.setattr(browser.app.state, "previews", Previews(longest_s=-1))
    page = tried(browser, EDIT, write_yaml_document(too_hot()), revision="1")
    fault = re.search(r'<p class="fault" role="alert">(.*?)</p>', page.text)[1]
    assert "choose a shorter period" in fault


def test_a_preview_shows_what_the_draft_would_have_raised_beside_what_serves(hot):
    browser, platform = hot
    apply(platform, [too_hot(above=240)], "ann", at(0), "first")
    text = write_yaml_document(too_hot())
    page = tried(browser, EDIT, text, revision="1")
    assert text_of(page) == text
    assert lacks(
        page.text,
        f"It would have raised {12 * DAYS} alarms",
        f"<strong>0</strong> in both, <strong>{12 * DAYS}</strong> only here",
        "limit 215 °C",
    ) == []  # fmt: skip
    assert page.text.count('<rect class="band draft"') == 12 * DAYS + 1  # and in the legend
    other = TestClient(browser.app, follow_redirects=False)
    log_in(other, "viewer-token-0123456789")
    assert other.get(page.url.path).status_code == 403


UNLIKE = {"name": "unlike", "kind": "anomaly", "assets": ["oven-1"]}


@pytest.mark.parametrize(
    ("document", "status", "shown"),
    [
        (too_hot(), 303, ()),
        (
            too_hot(above="4,5"),
            422,
            ("line 5</span> <code>above</code>", "write 4.5, with a point"),
        ),
        (
            too_hot(**{"for": "5 min"}),
            422,
            ("<code>for</code> '5 min' is not a duration; write 5m",),
        ),
        (UNLIKE, 200, ("No faults.", "Applying makes a new definition.")),
    ],
)
def test_a_page_asks_for_a_preview_by_itself_and_gets_the_review_where_there_is_none(
    hot, document, status, shown
):
    engineer, _ = hot
    page = send(engineer, NEW, "preview", write_yaml_document(document), live="1")
    assert (page.status_code, lacks(unescape(page.text), *shown)) == (status, [])
    assert 'id="preview"' not in page.text


def test_only_a_page_that_shows_a_whole_text_for_the_first_time_asks_by_itself(engineer, platform):
    platform.assets.store_assets([oven(), oven().model_copy(update={"name": "a-first"})])
    start = f"{NEW}?start={STARTS[0]}"
    pages = {
        "stored": engineer.get(EDIT),
        "chosen": engineer.get(f"{start}&asset=oven-1&variable=moisture"),
        "to choose": engineer.get(start),
        "checked": send(engineer, EDIT, "check", write_yaml_document(too_hot()), revision="1"),
    }
    assert [name for name, page in pages.items() if "data-fresh" in page.text] == [
        *("stored", "chosen")
    ]


def test_variables_are_offered_with_unit_and_newest_value(hot):
    engineer, _ = hot
    page = send(engineer, NEW, "form", write_yaml_document(too_hot()))
    options = page.text.partition('<datalist id="variables">')[2].partition("</datalist>")[0]
    assert lacks(
        unescape(options),
        '<option value="temperature">Zone 2 temperature, 200 °C</option>',
        '<option value="moisture">%</option>',
    ) == []  # fmt: skip


def test_a_switch_declares_in_the_asset_what_operators_can_set(engineer, platform):
    text = write_yaml_document(too_moist())
    off, on = (
        f'aria-checked="{state}" name="do" value="settable:temperature"'
        for state in ("false", "true")
    )
    assert off in send(engineer, NEW, "check", text).text
    page = send(engineer, NEW, "settable:temperature", text)
    assert (text_of(page), on in page.text) == (text, True)
    assert platform.assets.get("oven-1").variables["temperature"].controllable
    needs = too_moist(recommendation={"variables": {"temperature": {"min": 100, "max": 200}}})
    apply(platform, [needs], "ann", at(1), "advice")
    refused = send(engineer, NEW, "settable:temperature", text)
    assert (refused.status_code, on in refused.text) == (422, True)
    assert "needs this variable to be set by operators" in refused.text
    assert platform.assets.get("oven-1").variables["temperature"].controllable
    assert "settable:" not in send(engineer, NEW, "check", write_yaml_document(too_hot())).text


def test_every_question_leads_to_a_text_that_can_be_applied(engineer):
    of = "asset=oven-1&variable=temperature"
    addresses = [f"{NEW}?start={start}&{of}" for start in STARTS]
    links = [f'href="{address}"' for address in addresses]
    assert lacks(unescape(engineer.get(f"{NEW}?{of}").text), *links) == []
    texts = {address: text_of(engineer.get(address)) for address in addresses}
    checked = {one: send(engineer, NEW, "check", text).status_code for one, text in texts.items()}
    assert checked == dict.fromkeys(addresses, 200)
    unknown = ("none", f"{STARTS[0]}&asset=oven-9", f"{STARTS[0]}&variable=colour")
    assert {engineer.get(f"{NEW}?start={query}").status_code for query in unknown} == {404}


@pytest.mark.parametrize("start", STARTS)
def test_a_new_definition_is_about_what_was_named_and_nothing_is_guessed(engineer, platform, start):
    platform.assets.store_assets([oven(), oven().model_copy(update={"name": "a-first"})])
    address = f"{NEW}?start={start}"
    both = "&asset=oven-1&variable=moisture"
    pages = {
        query: engineer.get(address + query)
        for query in ("", "&asset=oven-1", both, "&variable=moisture")
    }
    nothing, asset, named, variable = (yaml.safe_load(text_of(page)) for page in pages.values())
    assets = [one["assets"] for one in (nothing, asset, named, variable)]
    assert assets == [[], ["oven-1"], ["oven-1"], []]
    assert lacks(f"{nothing} {asset}", "temperature", "moisture") == ["temperature", "moisture"]
    shown = [unescape(page.text) for page in pages.values()]
    assert (f"{address}&asset=oven-1" in shown[0], 'id="about"' in shown[2]) == (True, False)
    assert f"{address}{both}" in shown[3]
    if named != asset:
        assert f"{address}{both}" in shown[1]
        assert "moisture" in str(named)


# The form


OF_MODES = {
    "name": "too-moist",
    "kind": "classifier",
    "assets": ["oven-1"],
    "modes": {
        "wet": {"variable": "moisture", "above": 4.5},
        "hot": {"variable": "temperature", "above": 240},
    },
    "horizon": "30m",
}


def drawn(document):
    return draw_form(document, DEFINITION_PAGES.form_schema(document))


def changed_form(document, act, path, way=0):
    return change_form(document, act, path, way, DEFINITION_PAGES.form_schema(document))


def through_form(document):
    return parse_definition(read_form(inputs_of(drawn(document))))


def test_each_example_goes_through_the_form_and_through_yaml_and_back_unchanged():
    changed = []
    for document in (*EXAMPLES, OF_MODES):
        made = parse_definition(document)
        whole = made.model_dump(mode="json", by_alias=True)
        written = yaml.safe_load(write_yaml_document(definition_document(made)))
        ways = (through_form(document), through_form(whole), parse_definition(written))
        if ways != (made, parse_definition(whole), made):
            changed.append((document, ways))
    assert changed == []


def test_a_form_has_only_the_branches_in_use():
    assert len(list(inputs_of(drawn(too_hot())))) < 40
    changed = changed_form(too_hot(), "add", "suppression")
    changed = changed_form(changed, "add", "suppression.when")
    assert changed["suppression"] == {"when": [{}]}
    learned = changed_form(too_hot(), "way", "above", 2)
    assert learned["above"] == {"learned": {"quantile": ""}}
    assert read_form(inputs_of(drawn(learned))) == learned
    assert changed_form(learned, "remove", "above") == changed_form(learned, "way", "above", 0)


def test_null_that_means_never_is_a_state_of_its_own():
    for schedule in ({"retrain": None}, {}):
        document = {**EXAMPLES[0], "schedule": schedule}
        assert read_form(inputs_of(drawn(document)))["schedule"] == schedule


@pytest.mark.parametrize(
    ("typed", "read"),
    [
        ("n:4,5", 4.5),
        ("n:-1.234,5", -1234.5),
        ("n:1 234", 1234),
        ("n:1,2,3", "1,2,3"),
        ("n:4,5 °C", "4,5 °C"),
        ("d:90m", "90m"),
        ("d:5 min", "5m"),
        ("d:1,5 h", "1h30m"),
        ("d:2 Std. 10 Minuten", "2h10m"),
        ("d:1 jour", "1d"),
        ("d:5", "5"),
        ("d:0,5 s", "0,5 s"),
        ("d:5 months", "5 months"),
    ],
)
def test_the_form_reads_numbers_and_durations_as_people_write_them(typed, read):
    letter, _, text = typed.partition(":")
    assert read_form([(f"{letter}:field", text)]) == {"field": read}


def test_text_and_form_change_each_other_over_the_server(engineer, platform):
    text = write_yaml_document(too_hot(above=210))
    form = send(engineer, EDIT, "form", text, revision="1")
    assert form.status_code == 200
    assert 'name="n:above" value="210"' in form.text
    inputs = dict(inputs_of(drawn(too_hot(above=210)))) | {"n:above": "212,5"}
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
    inputs = dict(inputs_of(drawn(too_hot()))) | {"n:above": "hot"}
    page = send(engineer, EDIT, "check", revision="1", shape="form", **inputs)
    assert page.status_code == 422
    assert re.search(r'value="hot".*?<small class="fault"', page.text, re.S)


def test_a_form_that_the_console_did_not_draw_breaks_nothing(engineer):
    usual = dict(inputs_of(drawn(too_hot())))
    odd = {
        "n:" + ".".join(["a"] * 99): "1",
        "y:problem": "!!python/object:os.system {}",
        "y:model": "[" * 500,
        "n:above": "1e999",
        "s:..": "x",
        "l:assets.0.1.2": "x",
        "g:above": "1",
        "a:name": "1",
        "i:" + "9" * 200: "9" * 400,
    }
    found = {
        name: send(engineer, EDIT, "check", revision="1", shape="form", **usual | {name: value})
        for name, value in odd.items()
    }
    assert {
        n: page.status_code for n, page in found.items() if page.status_code not in (200, 422)
    } == {}


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
    assert lacks(page.text, "1 of 2 scenarios passed", "+ 5m  raised: medium") == []
    assert "never hot" in page.text.split('name="scenarios"')[1]  # and it is there to be changed
    assert platform.definitions.documents() == []
    ran = send(engineer, NEW, "test", text, scenarios=f"definition: too-hot\nscenarios:{SCENARIO}")
    assert "1 of 2 scenarios passed" in ran.text


def test_more_alarms_than_the_budget_ask_for_a_reason_and_with_it_the_draft_is_applied():
    engineer = TestClient(create_app(often_hot(per_day=5), TOKENS), follow_redirects=False)
    log_in(engineer, ADMIN_TOKEN)
    text = write_yaml_document(too_hot())
    assert 'name="accept_load"' in send(engineer, NEW, "apply", text).text
    assert engineer.get("/definitions/too-hot").status_code == 404
    send(engineer, NEW, "apply", text, accept_load="first week")
    assert engineer.get("/definitions/too-hot").status_code == 200


def test_check_preview_and_page_say_what_can_never_be_fulfilled_and_the_zone_of_the_hours():
    made = replace(often_hot(per_day=100), zone=ZoneInfo("Europe/Berlin"))
    engineer = TestClient(create_app(made, TOKENS), follow_redirects=False)
    log_in(engineer, ADMIN_TOKEN)
    hours = {"windows": [{"from": "22:00", "to": "06:00"}]}
    text = write_yaml_document(too_hot(stale_after="1m", suppression=hours, **{"for": "3m"}))
    never = "longer than stale_after 1m: `for: 3m` can never be fulfilled; write stale_after: 10m"
    in_zone = "uppressed: daily 22:00 to 06:00 Europe/Berlin"
    pages = (send(engineer, NEW, "check", text), tried(engineer, NEW, text))
    assert [lacks(unescape(page.text), never, in_zone) for page in pages] == [[], []]
    scenario = '- {title: Hot, every: 5m, readings: {temperature: ["250 x 9"]}, expect: []}'
    assert never in unescape(send(engineer, NEW, "test", text, scenarios=scenario).text)
    send(engineer, NEW, "apply", text, accept_load="known")
    assert in_zone in engineer.get("/definitions/too-hot").text


def test_a_draft_that_predicts_shows_where_how_long_and_whether_that_is_enough(hot):
    engineer, _ = hot

    def page_of(**problem):
        text = write_yaml_document(too_moist(problem={"variable": "temperature", **problem}))
        return tried(engineer, NEW, text).text

    often = ("The problem happened 36 times", "On 1 asset.", "It lasted 10 min")
    few = "few to learn from"
    assert lacks(page_of(above=215), *often, 'data-path="problem.above"', few) == [few]
    assert lacks(page_of(above=500), "The problem happened 0 times", few) == []


def test_a_draft_with_a_model_is_trained_on_its_page_and_nothing_of_it_stays():
    platform = stored_line()
    engineer = TestClient(create_app(platform, TOKENS), follow_redirects=False)
    log_in(engineer, ADMIN_TOKEN)
    text = write_yaml_document(LINEAR)
    button = 'value="train">Train this draft</button>'
    assert button in send(engineer, NEW, "check", text).text
    assert button not in send(engineer, NEW, "check", write_yaml_document(too_hot())).text
    page = tried(engineer, NEW, text, do="train").text
    shown = ("On 2 unseen days (test): 14 of 14 problems announced", "Learned from 2,160 rows")
    honest = ("The chart shows the time that this model had not seen.", "Apply trains again")
    assert lacks(unescape(page), *shown, *honest, "14 alarms", button) == []
    for band in ("draft", "problem"):
        assert page.count(f'<rect class="band {band}"') == 2 * 14 + 1, "both plots, and the legend"
    assert platform.definitions.newest_revision("too-moist") is None
    assert platform.models.versions("too-moist") == {}
    refused = send(engineer, NEW, "train", write_yaml_document(too_hot()))
    assert refused.status_code == 422
    assert "is a threshold definition; trained are" in unescape(refused.text)
