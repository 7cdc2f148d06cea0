"""The page of an episode and the list, as an operator meets them: the drawing, the sentences, the
answer, what ended unseen, what is happening and closed by hand, and opposite advice."""

import re
from dataclasses import replace
from datetime import timedelta
from itertools import chain
from zoneinfo import ZoneInfo

import pytest

from alerting.definitions.asset_documents import Variable
from alerting.definitions.wording.language import joined, translatable
from alerting.episodes.episode import (
    ActorStamp,
    Change,
    Contribution,
    OutcomeRecord,
    Quantity,
    RecommendationResult,
    Transition,
)
from alerting.episodes.lifecycle import ConditionState
from alerting.episodes.remaining_life import RemainingLife
from alerting.ports import Score, TargetScores
from alerting.usecases.definitions.revisions_and_evaluation_plan import apply
from alerting.usecases.notification.delivery import deliver_due
from alerting.usecases.notification.message_texts import message
from tests.builders import at, oven
from tests.helpers.console.api import OPERATOR, episode, expect_problem
from tests.helpers.console.api import read as read_api
from tests.helpers.console.episode_page import browser_of, hot_now, read, risky
from tests.helpers.console.pages import (
    ADMIN_TOKEN,
    VIEWER_TOKEN,
    csrf_of,
    lacks,
    log_in,
    send_form,
    text_of,
)
from tests.helpers.notifications import notice
from tests.helpers.worn_line import DOCUMENT, store_worn_asset
from tests.in_memory_platform import Mailbox

pytestmark = pytest.mark.models

ISO = re.compile(r"\d{4}-\d\d-\d\d(T\d\d:\d\d| \d\d:\d\d UTC)")
OWN_SCRIPTS = {
    f'<script type="module" src="/scripts/{name}.js">'
    for name in ("alive", "live", "menu", "language", "install", "chart")
}
ALARM = episode(1, condition="open")
PAGE = f"/episodes/{ALARM.id}"
CLOSE = "Close: it is over"


@pytest.fixture
def browser(platform):
    return browser_of(platform)


@pytest.fixture
def alarm(platform):
    """Return the address of an open alarm."""
    platform.episodes.insert(ALARM)
    return PAGE


def drawing_in(page):
    return re.search(r'<figure class="chart" id.*?</figure>', page, re.DOTALL)[0]


# --- the drawing


def test_the_page_draws_the_variable_with_its_limit_the_raise_and_now():
    platform = hot_now()
    [one] = platform.episodes.find()
    page = browser_of(platform).get(f"/episodes/{one.id}").text
    assert re.search(r'<path class="line" d="M[\d. L-]+"', page)
    drawing = drawing_in(page)
    spoken = "Zone 2 temperature 205 to 236 °C, last 235 °C, limit 215 °C; from 5 Jan 08:01"
    assert lacks(drawing, f'aria-label="{spoken}', 'role="img"') == []
    assert lacks(text_of(drawing), "limit 215 °C", "raised 09:00", "now 10:00") == []
    evil = '"><script>alert(1)</script>'
    platform.assets.store_assets([oven(temperature=Variable(title=f"T{evil}", unit="</svg><b>"))])
    page = browser_of(platform).get(f"/episodes/{one.id}").text
    raw = ["<script>", "</svg><b>"]
    escaped = ("T&#34;&gt;&lt;script&gt;", 'aria-label="T&#34;')
    assert lacks(page, *raw, *escaped) == raw


def test_for_a_model_risk_with_its_threshold_the_window_and_the_problem_with_its_limit_are_drawn(
    platform, browser
):
    one = risky(platform)
    read(platform, {m: 3.0 + max(0, m - 540) / 50 for m in range(400, 551)}, "moisture")
    scores = [Score(at(m), 0.1 if m < 540 else 0.62, 0.31, 3) for m in range(480, 551, 5)]
    platform.scores.add_many([TargetScores("too-moist", "oven-1", scores)])
    platform.clock.instant = at(550)
    page = browser.get(f"/episodes/{one.id}").text
    words = ("alarm at 31 %", "limit 4.5 %", "raised 09:00", "now 09:10", "predicted time")
    drawing = drawing_in(page)
    assert lacks(text_of(drawing), *words) == []
    assert (drawing.count('<svg class="panel"'), drawing.count('class="band expected"')) == (2, 3)


# --- the sentences


def test_an_episode_page_shows_why_what_to_do_and_what_happened_as_people_name_it(platform):
    platform.assets.store_assets([oven(zone_2=Variable(title="Zone 2 burner", unit="°C"))])
    platform.episodes.insert(episode(1, title="<script>alert(1)</script>"))
    browser = browser_of(platform, zone=ZoneInfo("Europe/Berlin"))
    page = browser.get(PAGE).text
    words = ("lower zone 2 to 224 °C", "is 12 °C above its usual", "+31 points", "232 °C", "sent")
    named = ("<strong>Zone 2 burner</strong>", "usual 220 °C")
    done = ("Open the damper.", "The condition is met.")
    times = ("Raised today 01:01 to 01:06 (5 min)", "Times: Europe/Berlin", "UTC")
    assert lacks(page, *words, *named, *done, *times) == ["UTC"]
    for shown in (page, browser.get("/").text):
        assert {*re.findall("<script[^>]*>", shown)} <= OWN_SCRIPTS
        assert lacks(shown, "&lt;script&gt;", "Times: Europe/Berlin") == []


def test_the_advice_is_an_order_while_it_is_open_and_a_record_when_it_is_over(platform, browser):
    """Whatever guidance the definition has; without readings there is no drawing."""
    said = "if that is not possible or not enough: call us."
    order = "What to do"
    record = "Advice when the alarm came"
    for number, guidance in enumerate(({}, {"cause": "Old filter."}, {"action": "Call us."})):
        for condition in ("open", "closed"):
            one = episode(1, f"oven-{number}-{condition}", condition=condition, guidance=guidance)
            platform.episodes.insert(one)
            page = browser.get(f"/episodes/{one.id}").text
            text = text_of(page)
            assert ("<figure" in page, "lower zone 2" in text.lower()) == (False, True)
            assert (said in text.lower()) is ("action" in guidance)
            assert ("Old filter." in text) is ("cause" in guidance)
            assert lacks(text, order, record) == [record if condition == "open" else order]


def test_a_reason_shows_the_quantity_that_moved_with_its_usual_range(platform, browser):
    trend = Quantity("slope", timedelta(hours=1), 33.0, 0.1, "%/h", True, -0.8, 1.0)
    found = Contribution("moisture", 0.26, 56.55, 50.0, "rising", 45.1, 56.6, trend)
    platform.episodes.insert(episode(1, contributions=(found,)))
    page = browser.get(f"/episodes/{episode(1).id}").text
    moved = ("<small>trend over 1 h</small>", "33 %/h <small>usual -0.8 to 1 %/h</small>")
    assert lacks(page, *moved, "56.55") == ["56.55"]


def test_a_reason_of_variables_that_move_together_names_all_of_them(platform, browser):
    found = Contribution(
        "moisture", 0.26, 56.5, 50.0, "high", 45.1, 56.6, members=("fan", "moisture")
    )
    platform.episodes.insert(episode(1, contributions=(found,)))
    assert "<strong>moisture, fan</strong>" in browser.get(f"/episodes/{episode(1).id}").text


def test_no_stamp_of_a_machine_and_no_code_is_read_on_the_pages(platform, browser):
    known = translatable("the outcome is known at {when}", when=at(700))
    held = translatable("the condition has held since {since}", since=at(0))
    muted = translatable("muted until {when} by ann: cleaning", when=at(700))
    seen = (
        Transition("raised", at(1), "platform", held),
        Transition("muted", at(2), "ann", muted),
        Transition("feedback", at(3), "otto", "right and acted"),
        Transition(
            "outcome",
            at(4),
            "platform",
            joined(": ", "undetermined", known),
            outcome="undetermined",
        ),
    )
    unknown = OutcomeRecord("undetermined", known, None, None, False, False, 1)
    said = {"transitions": seen, "outcome_record": unknown}
    shown = [episode(1, **said), episode(2, "oven-2", condition="open", **said)]
    for one in shown:
        platform.episodes.insert(one)
    unread = translatable("unreadable since {when}", when=at(700))
    platform.platform_alerts.report("odd", "too-moist", unread, at(0))
    paths = ("/", *(f"/episodes/{one.id}" for one in shown))
    texts = [text_of(browser.get(path)) for path in paths]
    assert [ISO.findall(text) + re.findall("true_alarm", text) for text in texts] == [[], [], []]
    words = texts[-1].lower()
    assert lacks(words, "right and acted", "muted until today 11:40 by ann") == []


def test_what_happened_is_told_in_the_order_of_time(platform, browser):
    moves = (
        Transition("raised", at(1), "platform", "first-move"),
        Transition("acknowledged", at(9), "otto", "last-move"),
        Transition("severity", at(3), "platform", "medium → high: middle-move", severity="high"),
    )
    one = episode(1, condition="open", transitions=moves)
    platform.episodes.insert(one)
    sent = notice("k", 2, status="sent", delivered_at=at(4), episode=one.id)
    platform.notifications.add([sent])
    history = text_of(browser.get(f"/episodes/{one.id}")).lower().partition("history")[2]
    order = ["first-move", "middle-move", "notified: mail", "last-move"]
    assert re.findall("|".join(order), history) == order


# --- the answer


def pressed(page):
    """Return the verdicts that are seen as chosen, in the form and in the bar of a phone alike."""
    pattern = r'<button name="verdict" value="(\w+)"[^>]*aria-pressed="true"'
    form, _, bar = page.partition('class="now-bar"')
    assert re.findall(pattern, form) == re.findall(pattern, bar)
    return re.findall(pattern, form)


def test_the_chosen_answer_stays_visible_to_its_author_and_can_be_changed(platform, browser, alarm):
    said = {"action": "opened the damper", "comment": ""}
    for verdict, words in (("true_alarm", "right"), ("false_alarm", "wrong")):
        answer = send_form(browser, f"{alarm}/feedback", alarm, verdict=verdict, **said)
        assert (answer.status_code, answer.headers["location"]) == (303, f"{alarm}#said")
        page = browser.get(alarm).text
        assert pressed(page) == [verdict]
        assert lacks(text_of(page), f"Your answer: {words}.", "opened the damper") == []
        assert re.search(r'name="acted" value="yes" checked', page)
    stored = [
        (given.actor, given.verdict, given.acted, given.action, given.comment)
        for given in platform.feedback.for_episode(ALARM.id)
    ]
    assert stored == [
        ("otto", verdict, True, "opened the damper", None)
        for verdict in ("true_alarm", "false_alarm")
    ]
    other = browser_of(platform)
    log_in(other, ADMIN_TOKEN)
    page = other.get(alarm).text
    assert (pressed(page), "otto : wrong" in text_of(page)) == ([], True)


def test_an_open_alert_does_not_wear_an_outcome(platform, browser, alarm):
    assert pressed(browser.get(alarm).text) == []
    send_form(browser, f"{alarm}/feedback", alarm, acted="yes")
    assert platform.episodes.get(ALARM.id).outcome_record.outcome == "undetermined"
    outcomes = ["undetermined", "outcome not known", "Outcome:"]
    for path in (alarm, "/"):
        assert lacks(text_of(browser.get(path)), *outcomes) == outcomes


def test_feedback_that_says_nothing_or_comes_from_others_is_refused(platform, browser, alarm):
    refused = [{}, {"verdict": "maybe"}, {"comment": "x" * 2001}]
    answers = [send_form(browser, f"{alarm}/feedback", **fields) for fields in refused]
    form = browser.get(alarm).text.partition('class="feedback"')[2].partition("</form>")[0]
    # the enter key in a field presses the first, which gives no verdict
    verdicts = ["", "true_alarm", "false_alarm", "unsure", ""]
    assert re.findall(r'<button name="verdict" value="(\w*)"', form) == verdicts
    # a cookie alone changes nothing through the API
    assert browser.get("/api/v1/episodes").status_code == 200
    by_cookie = browser.post(f"/api/v1{alarm}/feedback", json={"verdict": "true_alarm"})
    assert by_cookie.status_code == 401
    log_in(browser, VIEWER_TOKEN)
    assert 'name="verdict"' not in browser.get(alarm).text
    answers.append(send_form(browser, f"{alarm}/feedback", verdict="true_alarm"))
    answers.append(browser.get("/episodes/nope"))
    shown = [(a.status_code, a.headers["content-type"].split(";")[0]) for a in answers]
    assert shown == [(status, "text/html") for status in (422, 422, 422, 403, 404)]
    assert "There is no alarm" in answers[-1].text
    assert platform.feedback.for_episode(ALARM.id) == []


# --- what ended unseen, and the list


def test_the_list_groups_what_happens_what_is_expected_what_is_unseen_and_the_rest_with_counts(
    platform, browser
):
    reason = translatable("Moisture is 4.7 %, limit 4.5 %, since {since}", since=at(7))
    come = {"happening_at": at(9), "transitions": (Transition("happening", at(9), "p", reason),)}
    predicted = {"kind": "classifier", "condition": "open", "valid_until": at(31)}
    predicted["is_prediction"] = True
    seen = {"acknowledged": ActorStamp("otto", at(10))}
    groups = {
        "happening": [episode(1, "oven-9", **predicted, **come), episode(1, condition="open")],
        "expected": [episode(1, "oven-8", **predicted)],
        "unacknowledged": [episode(minute, f"oven-{minute}") for minute in (3, 2)],
        "earlier": [
            episode(8, "oven-8", withdrawn=True),
            episode(7, "oven-7", backfilled=True),
            *(episode(minute, f"oven-{minute}", **seen) for minute in (6, 5, 4)),
        ],
    }
    for one in chain(*groups.values()):
        platform.episodes.insert(one)
    page = browser.get("/").text
    heads = ("Happening 2", "Expected 1", "Over, not acknowledged 2", "Earlier 5")
    since = "As of today 00:09: Moisture is 4.7 %, limit 4.5 %, since today 00:07."
    assert lacks(text_of(page), *heads, f"It is happening. {since}") == []
    sections = re.split(r'<section id="(happening|expected|unacknowledged|earlier)">', page)[1:]
    shown = {
        name: re.findall(r"class=\"title\" href=\"/episodes/([0-9a-f]{24})", section)
        or re.findall(r"href=\"/episodes/([0-9a-f]{24})", section)
        for name, section in zip(sections[::2], sections[1::2], strict=True)
    }
    shown["happening"] = sorted({*shown["happening"]})
    expected = {name: [one.id for one in group] for name, group in groups.items()}
    assert shown == expected | {"happening": sorted(expected["happening"])}


def test_what_ended_unacknowledged_is_acknowledged_on_its_page_in_the_list_or_all_at_once(
    platform, browser
):
    minutes = (2, 3, 4, 5)
    for minute in minutes:
        platform.episodes.insert(episode(minute, f"oven-{minute}"))
    ids = [episode(minute, f"oven-{minute}").id for minute in minutes]
    path = f"/episodes/{ids[0]}"
    unseen = "over, not acknowledged"
    assert unseen in text_of(browser.get(path))
    answer = send_form(browser, f"{path}/ack", path)
    assert (answer.status_code, answer.headers["location"]) == (303, path)
    words = text_of(browser.get(path))
    assert lacks(words, unseen, "Acknowledged by otto today 10:00") == [unseen]
    answer = send_form(browser, f"/episodes/{ids[1]}/ack", next="/#unacknowledged")
    assert (answer.status_code, answer.headers["location"]) == (303, "/#unacknowledged")
    assert "Over, not acknowledged 2" in text_of(browser.get("/"))
    assert browser.post("/acknowledge", data={"csrf": "0", "episode": ids}).status_code == 403
    assert send_form(browser, "/acknowledge", episode=[*ids, "gone"]).status_code == 303
    assert "Over, not acknowledged" not in text_of(browser.get("/"))
    assert {platform.episodes.get(id).acknowledged.actor for id in ids} == {"otto"}


# --- the mute


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"preset": "cleaning"}, "cleaning"),
        ({"preset": "sensor fault", "reason": "probe 3"}, "sensor fault: probe 3"),
        ({"reason": "a visit"}, "a visit"),
    ],
)
def test_a_mute_is_given_its_reason_by_a_tap_in_words_or_both(
    platform, browser, alarm, fields, reason
):
    page = browser.get(alarm).text
    presets = re.findall(r'name="preset" value="([^"]+)"', page)
    assert {"maintenance", "cleaning", "sensor fault", "nuisance alarm"} <= set(presets)
    refused = send_form(browser, f"{alarm}/mute", lasting="2h")
    assert (refused.status_code, "a reason is required" in refused.text) == (422, True)
    assert send_form(browser, f"{alarm}/mute", lasting="2h", **fields).status_code == 303
    [mute] = platform.mutes.not_ended()
    assert mute.reason == reason


# --- what is happening, and closed by hand


def evaluated(platform, one):
    """Store the state of an evaluation that has just seen an open episode."""
    before = platform.states.load_many([(one.definition, one.asset)])
    after = before.take([0])
    after.write_state(0, ConditionState(at(600), raised_at=one.raised_at))
    platform.states.advance(before, after)
    return one


@pytest.fixture
def happening(platform):
    """Return the id of an alert whose problem came at 09:05; at 10:00 its sensor has been silent
    for a long time."""
    reason = translatable("Moisture is 4.7 %, limit 4.5 %, since {since}", since=at(540))
    come = Transition("happening", at(545), "platform", reason)
    one = risky(platform, happening_at=at(545), prediction_ended_at=at(545), transitions=(come,))
    read(platform, dict.fromkeys(range(540, 550), 4.7), "moisture")
    return evaluated(platform, one).id


def test_the_form_closes_it_once_with_the_reason_and_who_did_it(platform, browser, happening):
    path = f"/episodes/{happening}"
    page = browser.get(path)
    assert lacks(page.text, CLOSE, "Not known since") == []
    form = {"csrf": csrf_of(page), "reason": "the sensor is removed"}
    assert browser.post(f"{path}/close", data=form | {"csrf": "0" * 64}).status_code == 403
    unsaid = browser.post(f"{path}/close", data=form | {"reason": " "})
    assert "say why it is over" in unsaid.text
    assert platform.episodes.get(happening).condition == "open"
    assert browser.post(f"{path}/close", data=form).status_code == 303
    closed = platform.episodes.get(happening)
    ends = (closed.condition, closed.closed_at, closed.prediction_ended_at)
    assert ends == ("closed", at(600), at(545))
    moves = [(t.actor, t.reason) for t in closed.transitions if t.kind == "closed"]
    audited = [(e["actor"], e["why"]) for e in platform.audit.entries if e["what"] == "close"]
    assert moves == audited == [("otto", "the sensor is removed")]
    assert CLOSE not in browser.get(path).text
    again = browser.post(f"{path}/close", data=form)
    assert (again.status_code, "no episode is open" in again.text) == (422, True)
    assert platform.episodes.get(happening) == closed


def test_while_its_problem_is_known_nobody_ends_it(platform, browser, happening):
    path = f"/episodes/{happening}"
    read(platform, dict.fromkeys(range(550, 600), 4.8), "moisture")
    assert CLOSE not in browser.get(path).text
    refused = send_form(browser, f"{path}/close", path, reason="dry")  # of an outdated page
    known = "which still goes on: Moisture is 4.8"
    assert (refused.status_code, known in refused.text) == (422, True)
    assert platform.episodes.get(happening).condition == "open"


def test_an_alert_that_has_not_come_or_predicts_nothing_is_not_closed_by_hand(
    platform, client, alarm
):
    why = {"its readings still show it": ALARM, "its problem is expected": risky(platform)}
    for sentence, one in why.items():
        address = f"/api/v1/episodes/{evaluated(platform, one).id}/close"
        refused = client.post(address, headers=OPERATOR, json={"reason": "x"})
        assert sentence in expect_problem(refused, 422)


# --- opposite advice


def advising(minute, after, title="Too dark", asset="oven-1", variable="belt", **changes):
    change = Change(variable, 2.0, after, None)
    advice = RecommendationResult((change,), 0.8, 0.2, True, "change it")
    definition = "too-moist" if title == "Too moist" else "too-hot"
    made = {"condition": "open", "title": title, "definition": definition, "recommendation": advice}
    return episode(minute, asset, **made | changes)


SLOWER = advising(1, 1.5, "Too moist")


def test_opposite_advice_of_open_alerts_of_one_asset_stands_on_list_page_and_message(
    platform, browser
):
    for one in (SLOWER, advising(2, 2.5)):
        platform.episodes.insert(one)
    said = "Opposite advice: this alert says lower belt, “Too dark” says raise it."
    reply = "Opposite advice: this alert says raise belt, “Too moist” says lower it."
    assert lacks(browser.get("/").text, said, reply, "Decide which matters more.") == []
    assert lacks(browser.get(f"/episodes/{SLOWER.id}").text, said, reply) == [reply]
    platform.channels["mail"] = mail = Mailbox("mail")
    waiting = notice("k", 2, episode=SLOWER.id, channel="mail")
    platform.notifications.add([replace(waiting, next_attempt_at=at(3))])
    deliver_due(platform, at(600) + timedelta(minutes=1))
    assert [said in m.text for m in mail.messages] == [True]


@pytest.mark.parametrize(
    "other",
    [
        advising(2, 1.8),
        advising(2, 2.5, asset="oven-2"),
        advising(2, 2.5, variable="setpoint"),
        advising(2, 2.5, condition="closed"),
    ],
    ids=["the same direction", "another asset", "another variable", "over"],
)
def test_other_advice_is_no_conflict(platform, browser, other):
    for one in (SLOWER, other):
        platform.episodes.insert(one)
    shown = browser.get("/").text + browser.get(f"/episodes/{SLOWER.id}").text
    assert "Opposite advice" not in shown


def test_page_message_api_and_definition_say_how_long_the_part_lasts_and_not_to_replace_it(
    platform, browser, client
):
    life = RemainingLife(
        at(540), timedelta(hours=6), timedelta(hours=9), timedelta(hours=14), at(540 + 60 * 30)
    )
    alarm = risky(platform, life=life)
    wanted = ["The part still lasts 6 h to 14 h (four of five times)", "do not replace before"]
    page = text_of(browser.get(f"/episodes/{alarm.id}").text)
    assert lacks(page, *wanted) == []
    assert not ISO.search(page)
    platform.clock.instant = at(541)
    text = message(alarm, notice("n", 541)).text
    assert lacks(text, *wanted) == []
    assert read_api(client, f"episodes/{alarm.id}")["remaining_life"]["low"] == "PT6H"
    store_worn_asset(platform)
    apply(platform, [DOCUMENT], "engineer", at(0), "test")
    score = Score(at(540), 0.1, 0.5, 3, life=life)
    platform.scores.add_many([TargetScores("too-moist", "oven-1", [score])])
    page = text_of(browser.get("/definitions/too-moist").text)
    assert lacks(page, "Remaining life", *wanted) == []
    assert replace(alarm, happening_at=at(550)).life_message == ""
