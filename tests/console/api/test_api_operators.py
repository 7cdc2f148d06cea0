"""Actions of operators, through the REST API and by the buttons of the page."""

from datetime import timedelta

import pytest

from tests.helpers.console.api import ADMIN, OPERATOR, episode, expect_problem, read
from tests.helpers.console.pages import csrf_of, lacks, log_in
from tests.helpers.refusals import lacking

ID = episode(590).id
PAGE = f"/episodes/{ID}"
MUTE = {"definition": "too-hot", "asset": "oven-1", "for": "2h", "reason": "cleaning"}


@pytest.fixture(autouse=True)
def an_open_episode(platform):
    platform.episodes.insert(episode(590, condition="open"))


def act(client, what, headers=OPERATOR, **body):
    return client.post(f"/api/v1/{what}", headers=headers, json=body or None)


def test_acknowledging_is_kept_once_and_shown_by_its_standard_name(client, platform):
    assert read(client, f"episodes/{ID}/state")["state"] == "unacknowledged"
    first = act(client, f"episodes/{ID}/ack", note="on my way").json()
    assert first == act(client, f"episodes/{ID}/ack", ADMIN).json()
    assert (first["state"], first["acknowledged"]["actor"]) == ("acknowledged", "otto")
    assert told(platform) == [("acknowledged", "on my way")]


def told(platform):
    """Return what was done since the raise."""
    return [(done.kind, done.reason) for done in platform.episodes.get(ID).transitions[1:]]


def test_confirming_counts_as_acted_and_as_seen(client, platform):
    answer = act(client, f"episodes/{ID}/confirm", action="opened the damper").json()
    assert answer["confirmed"]["actor"] == answer["acknowledged"]["actor"] == "otto"
    [kept] = platform.feedback.for_episode(ID)
    assert (kept.acted, kept.action, kept.verdict) == (True, "opened the damper", None)


def test_comments_and_the_person_in_charge_stay_with_the_episode(client, platform):
    act(client, f"episodes/{ID}/comment", comment="third time today")
    assert act(client, f"episodes/{ID}/assign", to="bob").json()["assigned_to"] == "bob"
    assert told(platform) == [("commented", "third time today"), ("assigned", "to bob")]


def test_a_mute_is_listed_and_can_be_ended(client, platform):
    made = act(client, "mutes", **MUTE).json()
    assert (made["until"], made["actor"]) == ("2026-01-05T12:00:00Z", "otto")
    assert read(client, "mutes")["present"] == [made]
    of_others = [
        read(client, "mutes", **{name: "x"})["present"] for name in ("definition", "asset")
    ]
    assert of_others == [[], []]
    assert read(client, f"mutes/{made['id']}")["phase"] == "present"
    assert read(client, f"episodes/{ID}/state")["state"] == "shelved"
    ended = act(client, f"mutes/{made['id']}/end", reason="done").json()
    assert (ended["ended_by"], ended["end_reason"]) == ("otto", "done")
    assert read(client, "mutes")["present"] == []
    assert told(platform)[-1][1] == "its muting has ended: done (otto)"


def test_a_mute_that_must_not_be_is_refused_with_the_reason(client, platform):
    """The rules of each role are in `tests/scenarios/test_operators.py`."""
    refused = {
        "at most 8 h": ({"for": "9h"}, 403),
        "not both": ({"until": "2026-01-06T00:00:00Z"}, 422),
        "not a duration": ({"for": "soon"}, 422),
        "does not apply to": ({"asset": "oven-9"}, 404),
        "engineer": ({"kind": "out_of_service"}, 403),
    }
    found = {
        words: expect_problem(act(client, "mutes", **MUTE | changes), status)
        for words, (changes, status) in refused.items()
    }
    assert lacking(found, {words: words for words in refused}) == {}
    assert platform.mutes.not_ended() == []


# The page


@pytest.fixture
def send(browser):
    """Return a function that sends a form of an operator."""
    log_in(browser)
    csrf = csrf_of(browser.get(PAGE))
    return lambda path, **data: browser.post(path, data={"csrf": csrf, **data})


def test_the_buttons_acknowledge_mute_and_unmute(browser, send, platform):
    assert send(f"{PAGE}/ack").status_code == 303
    page = browser.get(PAGE).text
    assert ("Acknowledged by otto" in page, "I have seen it" in page) == (True, False)
    assert send(f"{PAGE}/mute", lasting="2h", reason="<b>cleaning").status_code == 303
    [mute] = platform.mutes.not_ended()
    prolong = f"/mutes/{mute.id}/prolong"
    for address in ("/", PAGE):  # what is muted stands on the first screen
        assert lacks(browser.get(address).text, "&lt;b&gt;cleaning", prolong) == []
    later = send(prolong, lasting="1h", next=PAGE)
    assert later.headers["location"] == PAGE
    [longer] = platform.mutes.not_ended()
    assert (longer.until, longer.reason) == (mute.until + timedelta(hours=1), "<b>cleaning")
    assert send(f"/mutes/{mute.id}/end").status_code == 303
    assert "Muted" not in browser.get("/").text
    ended = send(prolong, lasting="1h")
    assert (ended.status_code, "is over already" in ended.text) == (422, True)
    assert platform.mutes.not_ended() == []


def test_an_operator_prolongs_a_mute_by_no_more_than_the_role_may_mute(send, platform):
    assert send(f"{PAGE}/mute", lasting="8h", reason="cleaning").status_code == 303
    [mute] = platform.mutes.not_ended()
    for lasting, words in (("1h", "at most 8 h"), ("soon", "is not a duration")):
        refused = send(f"/mutes/{mute.id}/prolong", lasting=lasting)
        assert (refused.status_code >= 400, words in refused.text) == (True, True), refused.text
    assert platform.mutes.not_ended() == [mute]


def test_the_first_of_alarms_that_rise_together_is_marked(client, browser, platform):
    second = episode(590.5, definition="too-moist", condition="open", title="Too moist")
    platform.episodes.insert(second)
    assert read(client, f"episodes/{ID}/state")["first_out"] == "first"
    log_in(browser)
    assert "came first" in browser.get(PAGE).text
