"""The page of an episode and the list, as an operator meets them: the drawing, the sentences, the
answer, what ended unseen."""

import re
from datetime import timedelta
from html import unescape

import pytest
from fastapi.testclient import TestClient

from alerting.console.app import create_app
from alerting.definitions.assets import Variable
from alerting.episodes.episode import ActorStamp, Contribution, OutcomeRecord, Quantity, Transition
from alerting.ports import Score
from alerting.usecases.definitions.sync import apply
from alerting.usecases.operators import operate
from tests.builders import at, oven, too_hot, too_moist
from tests.helpers.console.api import TOKENS, episode
from tests.helpers.console.episode_page import browser_of, hot_now, read, risky
from tests.helpers.console.pages import csrf_of
from tests.helpers.notifications import notice
from tests.in_memory_platform import in_memory_platform

pytestmark = pytest.mark.models

ISO = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d")


def text_of(page):
    """Return the text that a person reads: without tags, attributes and hidden parts."""
    return " ".join(unescape(re.sub(r"<[^>]*>", " ", re.split("<body[^>]*>", page)[-1])).split())


@pytest.fixture
def platform():
    made = in_memory_platform()
    made.assets.store_assets([oven()])
    apply(made, [too_hot(title="Oven too hot"), too_moist()], "engineer", at(0), "first")
    made.clock.instant = at(600)
    return made


@pytest.fixture
def browser(platform):
    return browser_of(platform)


def page_of(platform, **options):
    [one] = platform.episodes.find()
    return browser_of(platform, **options).get(f"/episodes/{one.id}").text


# --- the drawing


def test_the_page_draws_the_variable_with_its_limit_the_raise_and_now():
    page = page_of(hot_now())
    assert re.search(r'<path class="line" d="M[\d. HV-]+"', page)
    drawing = re.search(r'<figure class="chart" id.*?</figure>', page, re.DOTALL)[0]
    assert re.search(
        r'aria-label="Zone 2 temperature 205 to 236 °C, last 235 °C, limit 215 °C; from 5 Jan '
        r"08:01",
        drawing,
    )
    for words in ("limit 215 °C", "raised 09:00", "now 10:00"):
        assert words in text_of(f"<body>{drawing}")
    assert 'role="img"' in drawing


def test_for_a_model_risk_with_its_threshold_the_window_and_the_problem_with_its_limit_are_drawn(
    platform, browser
):
    one = risky(platform)
    read(platform, {m: 3.0 + max(0, m - 540) / 50 for m in range(400, 551)}, "moisture")
    platform.scores.add(
        "too-moist",
        "oven-1",
        [Score(at(m), 0.1 if m < 540 else 0.62, 0.31, 3) for m in range(480, 551, 5)],
    )
    platform.clock.instant = at(550)
    page = browser.get(f"/episodes/{one.id}").text
    drawing = text_of(
        "<body>" + re.search(r'<figure class="chart" id.*?</figure>', page, re.DOTALL)[0]
    )
    for words in ("alarm at 31 %", "limit 4.5 %", "raised 09:00", "now 09:10", "predicted time"):
        assert words in drawing
    assert page.count('class="plot"') == 2
    assert page.count('class="expected"') == 2


def test_what_documents_say_is_escaped_in_the_drawing_too():
    platform = hot_now()
    evil = '"><script>alert(1)</script>'
    platform.assets.store_assets([oven(temperature=Variable(title=f"T{evil}", unit="</svg><b>"))])
    page = page_of(platform)
    assert "<script>" not in page
    assert "</svg><b>" not in page
    assert "T&#34;&gt;&lt;script&gt;" in page
    assert 'aria-label="T&#34;' in page


def test_a_page_without_readings_is_shown_without_a_drawing(platform, browser):
    platform.episodes.insert(episode(1))
    page = browser.get(f"/episodes/{episode(1).id}")
    assert page.status_code == 200
    assert "<figure" not in page.text


# --- the sentences


def test_the_advice_is_an_order_while_it_is_open_and_a_record_when_it_is_over(platform, browser):
    platform.episodes.insert(episode(1, condition="open"))
    platform.episodes.insert(episode(2, "oven-2"))
    first, second = (
        text_of(browser.get(f"/episodes/{one.id}").text)
        for one in (episode(1), episode(2, "oven-2"))
    )
    assert "What to do → lower zone 2" in first.replace("What to do lower", "What to do → lower")
    assert "What to do" not in second
    assert "Advice when the alarm came" in second


@pytest.mark.parametrize("guidance", [{}, {"cause": "The filter is old."}, {"action": "Call us."}])
@pytest.mark.parametrize("condition", ["open", "closed"])
def test_advice_is_shown_whatever_guidance_the_definition_has(
    platform, browser, guidance, condition
):
    platform.episodes.insert(episode(1, condition=condition, guidance=guidance))
    page = text_of(browser.get(f"/episodes/{episode(1).id}").text).lower()
    assert "lower zone 2" in page
    assert ("if that is not possible or not enough: call us." in page) is ("action" in guidance)
    assert ("the filter is old." in page) is ("cause" in guidance)


def test_a_reason_shows_the_quantity_that_moved_with_its_usual_range(platform, browser):
    trend = Quantity("slope", timedelta(hours=1), 33.0, 0.1, "%/h", True, -0.8, 1.0)
    found = Contribution("moisture", 0.26, 56.55, 50.0, "rising", 45.1, 56.6, trend)
    platform.episodes.insert(episode(1, contributions=(found,)))
    page = browser.get(f"/episodes/{episode(1).id}").text
    assert "<small>trend over 1 h</small>" in page
    assert "33 %/h <small>usual -0.8 to 1 %/h</small>" in page
    assert "56.55" not in page


def test_no_stamp_of_a_machine_and_no_code_is_read_on_the_pages(platform, browser):
    stamp = at(700).isoformat()
    seen = (
        Transition(
            "raised", at(1), "platform", f"the condition has held since {at(0).isoformat()}"
        ),
        Transition("muted", at(2), "ann", f"shelved until {stamp} by ann: cleaning"),
        Transition("feedback", at(3), "otto", "true_alarm and acted"),
        Transition("outcome", at(4), "platform", f"undetermined: the outcome is known at {stamp}"),
    )
    unknown = OutcomeRecord(
        "undetermined", f"the outcome is known at {stamp}", None, None, False, False, 1
    )
    platform.episodes.insert(episode(1, transitions=seen, outcome_record=unknown))
    platform.episodes.insert(
        episode(2, "oven-2", condition="open", transitions=seen, outcome_record=unknown)
    )
    platform.platform_alerts.report("odd", "too-moist", f"unreadable since {stamp}", at(0))
    for path in ("/", f"/episodes/{episode(1).id}", f"/episodes/{episode(2, 'oven-2').id}"):
        words = text_of(browser.get(path).text)
        assert not ISO.search(words)
        assert "true_alarm" not in words
    assert "right and acted" in words.lower()
    assert "shelved until today 11:40 by ann" in words.replace("Shelved", "shelved")


def test_an_open_alert_does_not_wear_an_outcome(platform, browser):
    platform.episodes.insert(episode(1, condition="open"))
    path = f"/episodes/{episode(1).id}"
    browser.post(f"{path}/feedback", data={"csrf": csrf_of(browser.get(path)), "acted": "yes"})
    assert platform.episodes.get(episode(1).id).outcome_record.outcome == "undetermined"
    for words in (text_of(browser.get(path).text), text_of(browser.get("/").text)):
        assert "undetermined" not in words
        assert "outcome not known" not in words
        assert "Outcome:" not in words


def test_what_happened_is_told_in_the_order_of_time(platform, browser):
    moves = (
        Transition("raised", at(1), "platform", "first-move"),
        Transition("acknowledged", at(9), "otto", "last-move"),
    )
    moves += (Transition("severity", at(3), "platform", "medium → high: middle-move"),)
    platform.episodes.insert(episode(1, condition="open", transitions=moves))
    platform.notifications.add(
        [notice("k", 2, status="sent", delivered_at=at(4), episode=episode(1).id)]
    )
    words = text_of(browser.get(f"/episodes/{episode(1).id}").text).lower()
    history = words.partition("history")[2]
    places = [
        history.index(said) for said in ("first-move", "middle-move", "notified: mail", "last-move")
    ]
    assert places == sorted(places)


# --- the answer


def pressed(page):
    """Return the verdicts that are seen as chosen, in the form and in the bar of a phone alike."""
    pattern = r'<button name="verdict" value="(\w+)"[^>]*aria-pressed="true"'
    form, _, bar = page.partition('class="now-bar"')
    assert re.findall(pattern, form) == re.findall(pattern, bar)
    return re.findall(pattern, form)


def test_the_chosen_answer_stays_visible_and_can_be_changed(platform, browser):
    platform.episodes.insert(episode(1, condition="open"))
    path = f"/episodes/{episode(1).id}"
    assert pressed(browser.get(path).text) == []
    for verdict, words in (("true_alarm", "right"), ("false_alarm", "wrong")):
        browser.post(
            f"{path}/feedback",
            data={"csrf": csrf_of(browser.get(path)), "verdict": verdict, "acted": "yes"},
        )
        page = browser.get(path).text
        assert pressed(page) == [verdict]
        assert f"Your answer: {words}." in text_of(page)
        assert re.search(r'name="acted" value="yes" checked', page)
    assert [f.verdict for f in platform.feedback.for_episode(episode(1).id)] == [
        "true_alarm",
        "false_alarm",
    ]


def test_the_answer_of_somebody_else_is_not_shown_as_mine(platform, browser):
    platform.episodes.insert(episode(1, condition="open"))
    path = f"/episodes/{episode(1).id}"
    browser.post(
        f"{path}/feedback", data={"csrf": csrf_of(browser.get(path)), "verdict": "true_alarm"}
    )
    other = TestClient(create_app(platform, TOKENS))
    other.post("/login", data={"token": list(TOKENS)[2]})
    page = other.get(path).text
    assert pressed(page) == []
    assert "otto : right" in text_of(page)


# --- what ended unseen, and the list


def test_what_ended_unacknowledged_is_marked_and_can_be_acknowledged(platform, browser):
    platform.episodes.insert(episode(1))
    path = f"/episodes/{episode(1).id}"
    assert "over, not acknowledged" in text_of(browser.get(path).text)
    answer = browser.post(f"{path}/ack", data={"csrf": csrf_of(browser.get(path))})
    assert (answer.status_code, answer.headers["location"]) == (303, path)
    assert "over, not acknowledged" not in text_of(browser.get(path).text)
    assert "Acknowledged by otto today 10:00" in text_of(browser.get(path).text)


def test_the_list_groups_what_happens_what_is_expected_what_is_unseen_and_the_rest_with_counts(
    platform, browser
):
    seen = ActorStamp("otto", at(10))
    platform.episodes.insert(episode(1, "oven-1", condition="open"))
    come = Transition(
        "happening",
        at(9),
        "platform",
        "Moisture is 4.7 %, limit 4.5 %, since 2026-01-05T00:07:00+00:00",
    )
    predicted = {
        "kind": "classifier",
        "condition": "open",
        "valid_until": at(31),
        "is_prediction": True,
    }
    platform.episodes.insert(episode(1, "oven-8", **predicted))
    platform.episodes.insert(
        episode(1, "oven-9", **predicted, happening_at=at(9), transitions=(come,))
    )
    for minute in (2, 3):
        platform.episodes.insert(episode(minute, f"oven-{minute}"))
    for minute in (4, 5, 6):
        platform.episodes.insert(episode(minute, f"oven-{minute}", acknowledged=seen))
    platform.episodes.insert(episode(7, "oven-7", backfilled=True))
    platform.episodes.insert(episode(8, "oven-8", withdrawn=True))
    page = browser.get("/").text
    words = text_of(page)
    assert [
        title in words
        for title in ("Happening 2", "Expected 1", "Over, not acknowledged 2", "Earlier 5")
    ] == [True] * 4
    assert (
        "It is happening. As of today 00:09: Moisture is 4.7 %, limit 4.5 %, since today 00:07."
        in words
    )
    sections = re.split(r'<section id="(?:happening|expected|unacknowledged|earlier)">', page)[1:]
    shown = [
        re.findall(r"class=\"title\" href=\"/episodes/([0-9a-f]{24})", section)
        or re.findall(r"href=\"/episodes/([0-9a-f]{24})", section)
        for section in sections
    ]
    assert {*shown[0]} == {episode(1, "oven-1").id, episode(1, "oven-9").id}
    assert shown[1] == [episode(1, "oven-8").id]
    assert shown[2:] == [
        [episode(m, f"oven-{m}").id for m in group] for group in ((3, 2), (8, 7, 6, 5, 4))
    ]


def test_from_the_list_one_is_acknowledged_or_all_of_it(platform, browser):
    for minute in (2, 3, 4):
        platform.episodes.insert(episode(minute, f"oven-{minute}"))
    ids = [episode(minute, f"oven-{minute}").id for minute in (2, 3, 4)]
    csrf = csrf_of(browser.get("/"))
    answer = browser.post(
        f"/episodes/{ids[0]}/ack", data={"csrf": csrf, "next": "/#unacknowledged"}
    )
    assert (answer.status_code, answer.headers["location"]) == (303, "/#unacknowledged")
    assert "Over, not acknowledged 2" in text_of(browser.get("/").text)
    assert browser.post("/acknowledge", data={"csrf": "0", "episode": ids}).status_code == 403
    assert (
        browser.post("/acknowledge", data={"csrf": csrf, "episode": [*ids, "gone"]}).status_code
        == 303
    )
    assert "Over, not acknowledged" not in text_of(browser.get("/").text)
    assert all(platform.episodes.get(id).acknowledged.actor == "otto" for id in ids)


# --- the shelf


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"preset": "cleaning"}, "cleaning"),
        ({"preset": "sensor fault", "reason": "probe 3"}, "sensor fault: probe 3"),
        ({"reason": "a visit"}, "a visit"),
    ],
)
def test_a_shelf_is_given_its_reason_by_a_tap_in_words_or_both(platform, browser, fields, reason):
    platform.episodes.insert(episode(1, condition="open"))
    path = f"/episodes/{episode(1).id}"
    page = browser.get(path)
    presets = re.findall(r'name="preset" value="([^"]+)"', page.text)
    assert {"maintenance", "cleaning", "sensor fault", "nuisance alarm"} <= set(presets)
    answer = browser.post(f"{path}/shelve", data={"csrf": csrf_of(page), "lasting": "2h", **fields})
    assert answer.status_code == 303
    [shelf] = operate.shelves_now(platform.shelves, at(600))
    assert shelf.reason == reason


def test_a_shelf_without_a_reason_is_refused_on_the_page(platform, browser):
    platform.episodes.insert(episode(1, condition="open"))
    path = f"/episodes/{episode(1).id}"
    answer = browser.post(
        f"{path}/shelve", data={"csrf": csrf_of(browser.get(path)), "lasting": "2h"}
    )
    assert answer.status_code == 422
    assert "a reason is required" in answer.text


# --- the messages of a whole episode
