"""Pages of silences: begun in three taps, shown where the alarms are, planned, extended, ended."""

import re
from html import unescape

import pytest
from fastapi.testclient import TestClient

from alerting.console.app import create_app
from alerting.definitions.assets import Asset, EventType
from alerting.episodes.episode import episode_id
from alerting.ports import EventRow
from alerting.usecases.definitions.sync import apply
from alerting.usecases.ingestion.arrivals import add_events
from alerting.usecases.operators.silencing import list_silences
from tests.builders import at, too_hot
from tests.helpers.console.api import TOKENS, episode
from tests.helpers.console.pages import ADMIN_TOKEN, log_in
from tests.helpers.console.trends import swinging  # noqa: F401 - a fixture

ONE = {"kind": "maintenance", "part": "oven-1", "lasting": "1h", "preset": "repair"}


@pytest.fixture
def console(swinging):  # noqa: F811
    swinging.clock.instant = at(600)
    return client(swinging, ADMIN_TOKEN)


def client(platform, token):
    made = TestClient(create_app(platform, TOKENS, now=lambda: at(600)), follow_redirects=False)
    log_in(made, token)
    return made


def send(console, path, **fields):
    page = console.get("/new-silence").text
    csrf = re.search(r'name="csrf" value="([0-9a-f]+)"', page)[1]
    return console.post(path, data={"csrf": csrf, **fields})


def text(console, path):
    return unescape(console.get(path).text)


def test_maintenance_is_begun_shown_extended_and_ended(console, swinging):  # noqa: F811
    assert "Nothing is silenced" in text(console, "/silences")
    answer = send(console, "/new-silence", **ONE, reason="belt 3")
    assert answer.status_code == 303
    own = answer.headers["location"]
    [made] = list_silences(swinging, at(600)).present
    assert (made.until, made.reason, made.kind) == (at(660), "repair: belt 3", "maintenance")
    for path in ("/", "/?asset=oven-1", "/assets/oven-1", "/silences", own):
        assert "repair: belt 3" in text(console, path), path
    open_one = episode(590, condition="open", closed_at=None)
    assert swinging.episodes.insert(open_one)
    assert "No notifications: maintenance" in text(console, f"/episodes/{open_one.id}")
    assert send(console, f"{own}/extend", lasting="1h").status_code == 303
    assert list_silences(swinging, at(600)).present[0].until == at(720)
    assert send(console, f"{own}/end").status_code == 303
    assert "over" in text(console, own)
    assert "repair: belt 3" not in text(console, "/")


def test_tiles_carry_its_mark_on_the_front_page(console, swinging):  # noqa: F811
    apply(swinging, [too_hot()], "ada", at(590), "first")
    send(console, "/new-silence", **ONE)
    tile = text(console, "/").split('data-asset="oven-1"')[1].split("</li>")[0]
    assert "<svg" in tile.split('data-silenced="maintenance"')[1]
    assert "in maintenance" in tile
    (tile,) = console.get("/api/v1/now").json()["tiles"]
    assert tile["silenced"] == {"kind": "maintenance", "is_whole": True}


def test_its_page_lists_what_was_raised_meanwhile_and_the_alarm_says_so(console, swinging):  # noqa: F811
    own = send(console, "/new-silence", **ONE).headers["location"]
    raised = episode(605, definition="too-moist", id=episode_id("too-moist", "oven-1", at(605)))
    marked = raised.with_transition("maintenance", at(605), "maintenance until then", "ada")
    assert swinging.episodes.insert(marked)
    swinging.clock.instant = at(610)
    assert f"/episodes/{marked.id}" in text(console, own)
    page = text(console, f"/episodes/{marked.id}")
    assert "stays out of learning, outcomes and figures" in page
    assert "Raised in maintenance" in page


def test_it_is_planned_in_the_time_of_the_plant(console, swinging):  # noqa: F811
    times = {"since": "2026-01-06T06:00", "until": "2026-01-06T08:00"}
    assert send(console, "/new-silence", **ONE, **times).status_code == 303
    [planned] = list_silences(swinging, at(600)).planned
    assert (planned.since, planned.until) == (at(1440 + 360), at(1440 + 480))
    assert "Nothing is planned" not in text(console, "/silences")


@pytest.mark.parametrize(
    ("fields", "status", "refusal"),
    [
        ({"preset": "", "reason": " "}, 422, "A reason is required"),
        ({"part": ""}, 422, "Say what is silenced"),
        ({"part": "oven-9"}, 404, "There is no asset"),
        ({"lasting": ""}, 422, "An end is required"),
        ({"lasting": "soon"}, 422, "soon"),
        ({"until": "soon"}, 422, "is not a time"),
        ({"kind": "holiday"}, 422, "Choose maintenance or silence"),
        ({"up_to": "urgent"}, 422, "Choose a severity"),
        ({"event": "start"}, 404, "There is no event type"),
    ],
)
def test_a_refusal_is_shown_with_what_was_typed(console, swinging, fields, status, refusal):  # noqa: F811
    answer = send(console, "/new-silence", **{**ONE, "reason": "belt 3", **fields})
    page = unescape(answer.text)
    assert 'value="belt 3"' in page or "reason" in fields
    assert answer.status_code == status
    assert refusal in page
    assert list_silences(swinging, at(600)).present == ()


def test_the_event_that_ends_it_and_its_asset_are_told_by_their_titles(console, swinging):  # noqa: F811
    swinging.assets.put_event_types(
        [EventType(name="start", title="Anlage läuft wieder an", duration="instant")]
    )
    swinging.assets.store_assets([Asset(name="line-9", title="Line 9")])
    form = text(console, "/new-silence")
    assert '<option value="start">Anlage läuft wieder an</option>' in form
    sent = send(console, "/new-silence", **ONE, event="start", event_asset="line-9")
    for path in ("/", "/silences", sent.headers["location"]):
        assert "or Anlage läuft wieder an on Line 9" in text(console, path), path
    row = EventRow("line-9", "start", at(605), at(605), "plc")
    add_events(swinging, [row], at(606))
    assert "Anlage läuft wieder an on Line 9 (" in text(console, sent.headers["location"])
