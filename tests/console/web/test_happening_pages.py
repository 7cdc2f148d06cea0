"""An alert that is happening, on the pages and by the API: closed by hand, and next to one with the
opposite advice."""

from dataclasses import replace
from datetime import timedelta

import pytest

from alerting.episodes.episode import Change, RecommendationResult, Transition
from alerting.episodes.lifecycle import ConditionState
from alerting.usecases.notification.deliver import deliver_due
from tests.builders import at
from tests.helpers.console.api import OPERATOR, episode, expect_problem
from tests.helpers.console.episode_page import read, risky
from tests.helpers.console.pages import csrf_of, log_in
from tests.helpers.notifications import notice
from tests.in_memory_platform import Mailbox

CLOSE = "Close: it is over"


def evaluated(platform, one, minute=600):
    """Store the state of an evaluation that has just seen an open episode."""
    before = platform.states.load_many([(one.definition, one.asset)])
    after = before.take([0])
    after.write_state(0, ConditionState(at(minute), raised_at=one.raised_at))
    platform.states.advance(before, after)
    return one


def happening(platform, silent=True):
    """An alert whose problem came at 09:05; at 10:00 its sensor has been silent for a long time, or
    has not."""
    come = Transition(
        "happening",
        at(545),
        "platform",
        f"Moisture is 4.7 %, limit 4.5 %, since {at(540).isoformat()}",
    )
    one = risky(platform, happening_at=at(545), prediction_ended_at=at(545), transitions=(come,))
    evaluated(platform, one)
    read(platform, dict.fromkeys(range(540, 550 if silent else 600), 4.7), "moisture")
    return one.id


def test_the_form_closes_it_once_with_the_reason_and_who_did_it(platform, browser):
    id = happening(platform)
    log_in(browser)
    page = browser.get(f"/episodes/{id}")
    assert CLOSE in page.text
    assert "Not known since" in page.text
    form = {"csrf": csrf_of(page), "reason": "the sensor is removed"}
    assert browser.post(f"/episodes/{id}/close", data=form | {"csrf": "0" * 64}).status_code == 403
    assert (
        "say why it is over"
        in browser.post(f"/episodes/{id}/close", data=form | {"reason": " "}).text
    )
    assert platform.episodes.get(id).condition == "open"
    assert browser.post(f"/episodes/{id}/close", data=form).status_code == 303
    closed = platform.episodes.get(id)
    assert (closed.condition, closed.closed_at, closed.prediction_ended_at) == (
        "closed",
        at(600),
        at(545),
    )
    assert [(t.actor, t.reason) for t in closed.transitions if t.kind == "closed"] == [
        ("otto", "the sensor is removed")
    ]
    assert [(e["actor"], e["why"]) for e in platform.audit.entries if e["what"] == "close"] == [
        ("otto", "the sensor is removed")
    ]
    assert CLOSE not in browser.get(f"/episodes/{id}").text
    again = browser.post(f"/episodes/{id}/close", data=form)
    assert (again.status_code, "no episode is open" in again.text) == (422, True)
    assert platform.episodes.get(id) == closed


def test_while_its_problem_is_known_the_page_offers_no_end_and_an_outdated_page_says_why(
    platform, browser
):
    id = happening(platform)
    log_in(browser)
    outdated = csrf_of(browser.get(f"/episodes/{id}"))
    read(platform, dict.fromkeys(range(550, 600), 4.8), "moisture")
    assert CLOSE not in browser.get(f"/episodes/{id}").text
    answer = browser.post(f"/episodes/{id}/close", data={"csrf": outdated, "reason": "dry"})
    assert (answer.status_code, "which still goes on: Moisture is 4.8" in answer.text) == (
        422,
        True,
    )
    assert platform.episodes.get(id).condition == "open"


def test_an_alert_that_has_not_come_or_predicts_nothing_is_not_closed_by_hand(platform, client):
    too_hot = episode(1, condition="open")
    platform.episodes.insert(too_hot)
    for one in (too_hot, risky(platform)):
        id = evaluated(platform, one).id
        refused = client.post(
            f"/api/v1/episodes/{id}/close", headers=OPERATOR, json={"reason": "x"}
        )
        assert "only an alert whose predicted problem has come" in expect_problem(refused, 422)


def test_an_alert_that_nothing_evaluates_is_closed_on_its_page_and_by_the_api(
    platform, browser, client
):
    one = episode(1, condition="open")
    platform.episodes.insert(one)
    evaluated(platform, one, 30)
    log_in(browser)
    page = browser.get(f"/episodes/{one.id}").text
    assert CLOSE in page
    assert "Nothing ends it by itself: nothing has been evaluated since" in page
    body = {"reason": "looked at it: it is cold"}
    client.post(f"/api/v1/episodes/{one.id}/close", headers=OPERATOR, json=body)
    assert platform.episodes.get(one.id).condition == "closed"
    state = platform.states.load_many([(one.definition, one.asset)]).state(0)
    assert (state.raised_at, state.last_closed_at) == (None, at(600))
    assert CLOSE not in browser.get(f"/episodes/{one.id}").text


def advising(minute, before, after, asset="oven-1", title="Too moist", variable="belt", **changes):
    advice = RecommendationResult(
        (Change(variable, before, after, None),), 0.8, 0.2, True, "change it"
    )
    definition = "too-moist" if title == "Too moist" else "too-hot"
    made = {"condition": "open", "title": title, "definition": definition, "recommendation": advice}
    return episode(minute, asset, **made | changes)


def test_opposite_advice_of_open_alerts_of_one_asset_stands_on_list_page_and_message(
    platform, browser
):
    slower = advising(1, 2.0, 1.5)
    faster = advising(2, 2.0, 2.5, title="Too dark")
    for one in (slower, faster):
        platform.episodes.insert(one)
    said = (
        "Opposite advice: this alert says lower belt, “Too dark” says raise it. Decide which "
        "matters more."
    )
    other = (
        "Opposite advice: this alert says raise belt, “Too moist” says lower it. Decide which "
        "matters more."
    )
    log_in(browser)
    assert said in browser.get("/").text
    assert other in browser.get("/").text
    page = browser.get(f"/episodes/{slower.id}").text
    assert said in page
    assert other not in page
    platform.channels["mail"] = mail = Mailbox("mail")
    waiting = notice("k", 2, episode=slower.id, channel="mail")
    platform.notifications.add([replace(waiting, next_attempt_at=at(3))])
    deliver_due(platform, at(600) + timedelta(minutes=1))
    assert [said in m.text for m in mail.messages] == [True]


@pytest.mark.parametrize(
    "other",
    [
        advising(2, 2.0, 1.8, title="Too dark"),
        advising(2, 2.0, 2.5, "oven-2", title="Too dark"),
        advising(2, 2.0, 2.5, variable="setpoint", title="Too dark"),
        advising(2, 2.0, 2.5, title="Too dark", condition="closed"),
    ],
    ids=["the same direction", "another asset", "another variable", "over"],
)
def test_other_advice_is_no_conflict(platform, browser, other):
    one = advising(1, 2.0, 1.5)
    for each in (one, other):
        platform.episodes.insert(each)
    log_in(browser)
    assert "Opposite advice" not in browser.get("/").text + browser.get(f"/episodes/{one.id}").text
