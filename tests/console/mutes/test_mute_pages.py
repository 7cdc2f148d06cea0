"""Pages of mutes: begun in three taps, shown where the alarms are, planned, prolonged, ended."""

from html import unescape

import pytest
from fastapi.testclient import TestClient

from alerting.console.app import create_app
from alerting.definitions.asset_documents import Asset, EventType
from alerting.episodes.episode import episode_id
from alerting.ports import EventRow
from alerting.usecases.definitions.revisions_and_evaluation_plan import apply
from alerting.usecases.ingestion.arrived_rows import add_events
from alerting.usecases.operators.operate import list_mutes
from tests.builders import at, too_hot
from tests.helpers.console.api import TOKENS, episode
from tests.helpers.console.pages import ADMIN_TOKEN, lacks, log_in, send_form, text_of
from tests.helpers.console.trends import swinging  # noqa: F401 - a fixture

ONE = {"kind": "maintenance", "part": "oven-1", "lasting": "1h", "preset": "repair"}
REFUSED = [
    (422, "A reason is required", {"preset": "", "reason": " "}),
    (422, "Say what is muted", {"part": ""}),
    (404, "There is no asset", {"part": "oven-9"}),
    (422, "An end is required", {"lasting": ""}),
    (422, "soon", {"lasting": "soon"}),
    (422, "is not a time", {"until": "soon"}),
    (422, "Choose mute or maintenance", {"kind": "holiday"}),
    (422, "Choose a severity", {"up_to": "urgent"}),
    (404, "There is no event type", {"event": "start"}),
]


@pytest.fixture
def console(swinging):  # noqa: F811
    made = TestClient(create_app(swinging, TOKENS, now=lambda: at(600)), follow_redirects=False)
    log_in(made, ADMIN_TOKEN)
    return made


def begin(console, **fields):
    return send_form(console, "/new-mute", "/new-mute", **{**ONE, **fields})


def unsaid_on(console, words, *paths):
    """Return the pages on which these words do not stand."""
    return [path for path in paths if words not in text_of(console.get(path))]


def test_maintenance_is_begun_shown_prolonged_and_ended(console, swinging):  # noqa: F811
    assert unsaid_on(console, "Nothing is muted", "/mutes") == []
    answer = begin(console, reason="belt 3")
    assert answer.status_code == 303
    own = answer.headers["location"]
    [made] = list_mutes(swinging, at(600)).present
    assert (made.until, made.reason, made.kind) == (at(660), "repair: belt 3", "maintenance")
    pages = ("/", "/?asset=oven-1", "/assets/oven-1", "/mutes", own)
    assert unsaid_on(console, "repair: belt 3", *pages) == []
    open_one = episode(590, condition="open", closed_at=None)
    assert swinging.episodes.insert(open_one)
    marked = "No notifications: maintenance"
    assert unsaid_on(console, marked, f"/episodes/{open_one.id}") == []
    assert send_form(console, f"{own}/prolong", lasting="1h").status_code == 303
    assert list_mutes(swinging, at(600)).present[0].until == at(720)
    assert send_form(console, f"{own}/end").status_code == 303
    assert unsaid_on(console, "over", own) == []
    assert unsaid_on(console, "repair: belt 3", "/") == ["/"]


def test_tiles_carry_its_mark_on_the_front_page(console, swinging):  # noqa: F811
    apply(swinging, [too_hot()], "ada", at(590), "first")
    begin(console)
    tile = console.get("/").text.split('data-asset="oven-1"')[1].split("</li>")[0]
    assert "<svg" in tile.split('data-muted="maintenance"')[1]
    assert "in maintenance" in tile
    (tile,) = console.get("/api/v1/now").json()["tiles"]
    assert tile["muted"] == {"kind": "maintenance", "is_whole": True}


def test_its_page_lists_what_was_raised_meanwhile_and_the_alarm_says_so(console, swinging):  # noqa: F811
    own = begin(console).headers["location"]
    raised = episode(605, definition="too-moist", id=episode_id("too-moist", "oven-1", at(605)))
    marked = raised.with_transition("maintenance", at(605), "maintenance until then", "ada")
    assert swinging.episodes.insert(marked)
    swinging.clock.instant = at(610)
    assert f"/episodes/{marked.id}" in console.get(own).text
    said = ("stays out of learning, outcomes and figures", "Raised in maintenance")
    assert lacks(text_of(console.get(f"/episodes/{marked.id}")), *said) == []


def test_it_is_planned_in_the_time_of_the_plant(console, swinging):  # noqa: F811
    answer = begin(console, since="2026-01-06T06:00", until="2026-01-06T08:00")
    [planned] = list_mutes(swinging, at(600)).planned
    times = (at(1440 + 360), at(1440 + 480))
    assert (answer.status_code, planned.since, planned.until) == (303, *times)
    assert unsaid_on(console, "Nothing is planned", "/mutes") == ["/mutes"]


def test_a_refusal_is_shown_with_what_was_typed(console, swinging):  # noqa: F811
    wrong = []
    for status, refusal, fields in REFUSED:
        answer = begin(console, **{"reason": "belt 3", **fields})
        typed = 'value="belt 3"' in answer.text or "reason" in fields
        if (answer.status_code, refusal in text_of(answer), typed) != (status, True, True):
            wrong.append((fields, answer.status_code))
    assert wrong == []
    assert list_mutes(swinging, at(600)).present == ()


def test_the_event_that_ends_it_and_its_asset_are_told_by_their_titles(console, swinging):  # noqa: F811
    again = "Anlage läuft wieder an"
    swinging.assets.put_event_types([EventType(name="start", title=again, duration="instant")])
    swinging.assets.store_assets([Asset(name="line-9", title="Line 9")])
    assert f'<option value="start">{again}</option>' in unescape(console.get("/new-mute").text)
    own = begin(console, event="start", event_asset="line-9").headers["location"]
    assert unsaid_on(console, f"or {again} on Line 9", "/", "/mutes", own) == []
    add_events(swinging, [EventRow("line-9", "start", at(605), at(605), "plc")], at(606))
    assert unsaid_on(console, f"{again} on Line 9 (", own) == []
