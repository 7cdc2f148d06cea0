import re
from dataclasses import replace
from datetime import timedelta
from html import unescape

import pytest

from alerting.definitions.asset_documents import Asset, Variable
from alerting.episodes.episode import ActorStamp
from alerting.operators.account_rules import Account
from alerting.ports import AuditFilter, ReadingRow
from alerting.usecases.definitions.revisions_and_evaluation_plan import apply
from alerting.usecases.evaluation.rounds import evaluate
from alerting.usecases.ingestion.arrived_rows import add_readings
from tests.builders import at, too_hot
from tests.helpers.console.api import OPERATOR, VIEWER, episode
from tests.helpers.console.pages import VIEWER_TOKEN, lacks, log_in, send_form, text_of
from tests.helpers.mutes import mute

OVENS = [f"oven-{n}" for n in range(1, 13)]


@pytest.fixture
def plant(platform):
    """A plant of two lines: line 1 with twelve ovens, line 2 with a mixer."""
    known = {"temperature": Variable(title="Temperature", unit="°C")}
    platform.assets.store_assets(
        [
            Asset(name="plant", title="Bakery"),
            Asset(name="line-1", title="Line 1", parent="plant"),
            Asset(name="line-2", title="Line 2", parent="plant"),
            *(Asset(name=name, parent="line-1", variables=known) for name in OVENS),
            Asset(name="mixer", title="Mixer", parent="line-2", variables=known),
        ]
    )
    apply(platform, [too_hot(title="Too hot", assets=["oven-*", "mixer"])], "ann", at(1), "test")
    return platform


@pytest.fixture
def browser(browser):
    log_in(browser)
    return browser


def tile_of(page, asset):
    tile = re.search(rf'<a class="now-tile ([^"]*)" data-asset="{asset}".*?</a>', page, re.DOTALL)
    return tile[1], text_of(tile[0])


def actions_of(page, label):
    """Return address and fields of the first button with this label."""
    button = re.search(rf"<button([^>]*)>{label}</button>", page)[1]
    address = re.search(r'formaction="([^"]*)"', button)
    name = re.search(r'name="([^"]*)" value="([^"]*)"', button)
    return address and address[1], {name[1]: name[2]} if name else {}


@pytest.fixture
def alarm(plant):
    """Return an open alarm."""
    made = episode(590, "oven-1", "open")
    plant.episodes.insert(made)
    return made


@pytest.fixture
def flood(plant):
    """Return the ids of a flood: too hot at twelve ovens, then too dry there, first at the mixer;
    and one alarm that is expected."""
    alarms = [
        ("too-dry", "mixer"),
        *((name, oven) for name in ("too-dry", "too-hot") for oven in OVENS),
    ]
    for n, (definition, oven) in enumerate(alarms):
        named = {"definition": definition, "title": definition}
        made = episode(
            590 + n / 60, oven, "open", guidance={"action": "Check the burner."}, **named
        )
        plant.episodes.insert(replace(made, id=f"{n:024x}"))
    predicted = {"is_prediction": True, "valid_until": at(620), "title": "Soon", "severity": "low"}
    plant.episodes.insert(episode(500, "mixer", "open", definition="soon", **predicted))
    rows = [ReadingRow(one, at(599), {"temperature": 220.0 + n}) for n, one in enumerate(OVENS)]
    add_readings(plant, rows, at(600))
    return [f"{n:024x}" for n in range(25)]


def test_in_a_flood_one_tap_acknowledges_the_alarms_of_an_alert(plant, browser, flood):
    page = browser.get("/").text
    expected, strip = (text_of(part) for part in page.split('<section id="flood"'))
    assert lacks(expected, "Expected 1", "Soon Mixer") == [], "what is expected stands above"
    head = ("Flood: 25 alarms since 09:50, 13 assets", "Came first: too-dry on Mixer, 09:50")
    worst = "worst: oven-12, 231 °C limit 215 °C"
    assert lacks(strip, *head, "Seen: all 25", worst, "Check the burner.") == []
    groups = re.findall(r'data-group="([^"]*)".*?</article>', page, re.DOTALL)
    assert groups == ["too-hot happening", "too-dry happening"]
    group = re.search(r'data-group="too-dry .*?</article>', page, re.DOTALL)[0]
    chips = re.findall(r'<a class="flood-chip" [^>]*data-asset="([^"]*)"', group)
    assert chips == ["mixer", *OVENS], "in the order in which people count"
    ids = re.findall(r'name="episode" value="(\w+)"', group)
    assert lacks(text_of(group), "Seen: 13") == []
    answer = send_form(browser, "/acknowledge", episode=ids, next="/?mine=yes#flood")
    assert answer.headers["location"] == "/?mine=yes#flood"
    assert {plant.episodes.get(id).acknowledged.actor for id in flood[:13]} == {"otto"}
    assert {plant.episodes.get(id).acknowledged for id in flood[13:]} == {None}
    entries = plant.audit.find(AuditFilter(), 200)
    assert {e.subject for e in entries if "acknowledge" in e.what} == {*flood[:13]}
    again = browser.get("/").text
    assert again.count('class="flood-chip"') == 12, "what was seen is a line"
    assert 'data-group="too-dry happening"' in again[again.index("Seen: 12") :]
    send_form(browser, "/acknowledge", episode=flood, next="/")
    plant.clock.instant = at(9000)
    later = browser.get("/").text
    kept = [later.count(text) for text in ("<article", 'data-group="', 'class="flood-chip"')]
    assert kept == [3, 2, 0], "hours later, all seen: what is expected, and two lines"


def test_a_group_says_whether_a_person_muted_it_or_it_is_suppressed(plant, browser):
    for name, by in (("too-hot", "m1"), ("too-dry", "suppression:2026-01-05")):
        for n, oven in enumerate(OVENS[:5]):
            made = replace(episode(590, oven, "open", definition=name, title=name), muted_by=by)
            plant.episodes.insert(replace(made, id=f"{name}-{n}"))
    articles = re.findall(r"<article.*?</article>", browser.get("/").text, re.DOTALL)
    tags = [
        re.findall(r'<span class="tag">(\w+)</span>', a.split("</summary>")[0]) for a in articles
    ]
    assert sorted(tags) == [["muted"], ["suppressed"]]


def test_who_only_reads_sees_a_flood_without_a_button(plant, browser, flood):
    log_in(browser, VIEWER_TOKEN)
    page = browser.get("/").text
    assert page.count('class="flood-chip"') == 25
    assert "Seen:" not in page


def test_people_are_named_as_they_call_themselves(plant, browser, alarm):
    anna = Account("anna", "operator", at(1), "ada", at(1), display_name="Anna Bauer")
    assert plant.accounts.insert(anna)
    seen = {"acknowledged": ActorStamp("anna", at(595)), "assigned_to": "anna"}
    plant.episodes.insert(replace(episode(591, "mixer", "open", definition="d"), **seen))
    said = ("acknowledged by Anna Bauer", "taken over by Anna Bauer")
    assert lacks(text_of(browser.get("/")), *said) == []
    other = plant.episodes.find(asset="mixer", open_only=True)[0]
    assert "Acknowledged by Anna Bauer" in text_of(browser.get(f"/episodes/{other.id}"))


def test_the_expected_time_of_a_card_counts_down_from_what_the_raise_announced(plant, browser):
    predicted = {"is_prediction": True, "announced_until": at(620), "valid_until": at(629)}
    one = episode(590, "oven-1", "open", **predicted)
    plant.episodes.insert(one)
    pages = {}
    for minute in (599, 605, 625):
        plant.clock.instant = at(minute)
        pages[minute] = [text_of(browser.get(path)) for path in ("/", f"/episodes/{one.id}")]
    times = {
        599: "expected by today 10:20 (in 21 min)",
        605: "expected by today 10:20 (in 15 min)",
        625: "expected by today 10:29 (in 4 min)",
    }
    for minute, shown in times.items():
        assert [lacks(page, shown) for page in pages[minute]] == [[], []]
        late = ["was expected by today 10:20" in page for page in pages[minute]]
        assert late == [minute == 625] * 2


def test_tiles_tell_apart_what_happens_what_is_expected_and_what_is_unknown(plant, browser):
    predicted = {"is_prediction": True, "valid_until": at(620)}
    plant.episodes.insert(episode(590, "oven-1", "open", severity="critical"))
    plant.episodes.insert(episode(591, "oven-2", "open", **predicted))
    page = browser.get("/").text
    assert [tile_of(page, asset) for asset in ("oven-1", "oven-2", "mixer")] == [
        ("happening critical", "oven-1 happening"),
        ("expected high", "oven-2 expected"),
        ("not-evaluated", "Mixer ? not evaluated"),
    ]
    unknown = ("Not evaluated: here no alarm can come", "It was never evaluated.")
    assert lacks(text_of(page), *unknown) == []


def test_a_card_has_one_value_of_one_thing_and_the_page_of_the_alarm_dates_the_other(
    plant, browser
):
    values = [200.0] * 10 + [225.0 + n for n in range(10)]
    rows = [ReadingRow("oven-1", at(n), {"temperature": v}) for n, v in enumerate(values)]
    add_readings(plant, rows, at(20))
    plant.clock.instant = at(20)
    evaluate(plant, ["too-hot"], at(20))
    [alarm] = plant.episodes.find(open_only=True)
    card = text_of(browser.get("/"))
    value = "Temperature: 234 °C, rising limit 215 °C"
    assert lacks(card, value, "225 °C") == ["225 °C"]
    dated = "As of today 00:10: Temperature is 225 °C"
    assert dated in text_of(browser.get(f"/episodes/{alarm.id}"))


def test_filters_are_in_the_address(plant, browser):
    plant.episodes.insert(episode(590, "oven-1", "open", severity="low"))
    mine = {"acknowledged": ActorStamp("otto", at(581)), "severity": "critical"}
    plant.episodes.insert(episode(580, "mixer", "open", **mine))
    expected = {
        "": ["oven-1", "mixer"],
        "?line=line-2": ["mixer"],
        "?severity=high": ["mixer"],
        "?mine=yes": ["mixer"],
        "?asset=oven-1": ["oven-1"],
        "?line=line-1&mine=yes": [],
    }
    assert expected == {
        address: re.findall(r'<article[^>]*data-asset="([^"]*)"', browser.get(f"/{address}").text)
        for address in expected
    }
    assert browser.get("/?severity=worst").status_code == 422


def test_earlier_alarms_follow_the_filters_up_to_the_oldest(plant, browser):
    for n in range(70):
        severity = "critical" if n in (3, 69) else "high"
        plant.episodes.insert(episode(n, "mixer", severity=severity))
        plant.episodes.insert(episode(100 + n, "oven-1"))
    expected = {"line=line-2": 70, "asset=mixer": 70, "severity=critical": 2, "": 140}
    found = {query: set() for query in expected}
    for query, ids in found.items():
        address = f"/?{query}"
        while address:
            page = browser.get(address).text
            earlier = page[page.index('id="earlier"') :]
            ids |= set(re.findall(r'href="/episodes/(\w+)"', page))
            assert "There are no older alarms" not in earlier
            following = re.search(r'<a class="more" href="(/[^"]*cursor=[^"]*)"', earlier)
            address = following and unescape(following[1])
            assert not address or query in address
    assert {query: len(ids) for query, ids in found.items()} == expected


def test_the_part_that_changes_is_answered_alone_and_not_sent_again(plant, browser, alarm):
    part = browser.get("/now?line=line-1").text.strip()
    assert part.startswith('<div id="now" data-unacknowledged="1">')
    assert part in browser.get("/?line=line-1").text
    assert f'data-episode="{alarm.id}"' in part
    for address in ("/", "/now"):
        tag = {"If-None-Match": browser.get(address).headers["etag"]}
        again = browser.get(address, headers=tag)
        assert (again.status_code, again.content) == (304, b"")
        plant.episodes.insert(episode(590, OVENS[len(address)], "open", definition=address[-1]))
        assert browser.get(address, headers=tag).status_code == 200


@pytest.mark.parametrize(
    ("label", "stored"),
    [
        ("Right", ("true_alarm", False, None)),
        ("Wrong", ("false_alarm", False, None)),
        ("I did this: Open the damper.", (None, True, "Open the damper.")),
        ("I did something else", (None, True, None)),
        ("I followed the advice", (None, True, None)),
    ],
)
def test_an_alarm_is_answered_from_the_list_and_the_answer_is_seen(
    plant, browser, alarm, label, stored
):
    page = "/?line=line-1"
    address, fields = actions_of(browser.get(page).text, label)
    answer = send_form(browser, address, next=page, lasting="30m", **fields)
    assert (answer.status_code, answer.headers["location"]) == (303, page)
    [given] = plant.feedback.for_episode(alarm.id)
    assert (given.verdict, given.acted, given.action) == stored
    assert '<summary class="button">✓ ' in browser.get("/").text


TOASTS = {
    "ack": ({}, "Seen: 1 alarm, with your name and the time", None),
    "feedback": ({"verdict": "true_alarm"}, "Your answer: right Wrong instead", "false_alarm"),
    "mute": ({"preset": "cleaning", "lasting": "30m"}, "Muted until today 10:30 Undo", None),
}


@pytest.mark.parametrize("name", TOASTS)
def test_the_page_says_once_what_was_done_and_offers_what_can_be_undone(
    plant, browser, alarm, name
):
    fields, words, verdict = TOASTS[name]
    send_form(browser, f"/episodes/{alarm.id}/{name}", next="/", **fields)
    fetched = browser.get("/", headers={"sec-fetch-mode": "cors"}).text
    assert lacks(fetched, 'class="toast"') == ['class="toast"'], "another page of the browser"
    toast = browser.get("/").text.partition('<div class="toast"')[2].partition("</div>")[0]
    assert text_of(f"<body><div{toast}") == words
    assert 'class="toast"' not in browser.get("/").text
    if name == "ack":  # it is stored for ever
        return
    address = re.search(r'action="([^"]*)"', toast)[1]
    send_form(browser, address, next="/", **({"verdict": verdict} if verdict else {}))
    answers = [given.verdict for given in plant.feedback.for_episode(alarm.id)]
    assert (answers[-1:], plant.mutes.not_ended()) == ([verdict] if verdict else [], [])


def test_tiles_and_head_show_the_last_value_and_its_age(plant, browser):
    rows = [
        ReadingRow("oven-3", at(590 + n / 2), {"temperature": 200.0 + n / 2}) for n in range(20)
    ]
    add_readings(plant, rows, at(600))
    evaluate(plant, ["too-hot"], at(600))
    page = browser.get("/").text
    assert tile_of(page, "oven-3") == ("normal", "oven-3 normal, 210 °C")
    assert "Readings 30 s old" in text_of(page)


def test_an_answer_leads_back_to_its_alarm_and_seen_to_the_next_one(plant, browser, alarm):
    predicted = {"is_prediction": True, "valid_until": at(620)}
    expected = episode(593, "oven-2", "open", **predicted)
    plant.episodes.insert(expected)
    page = browser.get("/?line=line-1").text
    for section, id in {"happening": alarm.id, "expected": expected.id}.items():
        form = re.search(rf'id="e-{id}".*?(<form.*?</form>)', page, re.DOTALL)[1]
        places = re.findall(r'name="next" value="([^"]*)"', form)
        assert places == [f"/?line=line-1#e-{id}", f"/?line=line-1#{section}"]
        for address, place in (("take", places[:1]), ("ack", places)):
            answer = send_form(browser, f"/episodes/{id}/{address}", next=place)
            assert answer.headers["location"] == place[-1]


def test_an_alarm_is_taken_over_and_muted_from_the_list(plant, browser, alarm):
    page = browser.get("/").text
    for label in ("I take it over", "Cleaning"):
        address, named = actions_of(page, label)
        answer = send_form(browser, address, next="/", lasting="30m", **named)
        assert answer.headers["location"] == "/"
    words = text_of(browser.get("/"))
    assert lacks(words, "taken over by otto", "otto: cleaning") == []
    [mute] = plant.mutes.not_ended()
    assert (mute.reason, mute.until) == ("cleaning", at(630))


def test_a_filter_shows_what_is_muted_there_alone(plant, browser):
    assets = {"oven-1", "oven-2", "mixer"}
    for part in ("plant", "line-1", *assets):
        assert plant.mutes.insert(mute(590, 700, part=part, reason=f"belt of {part}."))
    for asset in assets:
        alone = {"asset": asset, "definition": "too-hot", "reason": f"alarm of {asset}."}
        assert plant.mutes.insert(mute(590, 700, **alone))
    expected = {
        "": {"plant", "line-1", "oven-1", "oven-2", "mixer"},
        "?asset=oven-1": {"plant", "line-1", "oven-1"},
        "?asset=line-1": {"plant", "line-1"},
        "?line=line-1": {"plant", "line-1", "oven-1", "oven-2"},
        "?line=line-2": {"plant", "mixer"},
    }
    words = {shown: text_of(browser.get(f"/{shown}")) for shown in expected}
    belts = {shown: {*re.findall(r"belt of ([\w-]+)\.", text)} for shown, text in words.items()}
    assert belts == expected
    alone = {shown: {*re.findall(r"alarm of ([\w-]+)\.", text)} for shown, text in words.items()}
    assert alone == {shown: seen & assets for shown, seen in expected.items()}


# --- an alarm that did not come

MISSED = {"asset": "mixer", "ago": "15m", "definition": "too-hot"}
MISS = "/miss?asset=mixer"


def test_a_miss_is_reported_in_three_taps_from_the_asset(plant, browser):
    page = browser.get("/?asset=mixer").text  # the tile of the asset
    link = re.search(r'href="(/miss[^"]*)">It happened and no alarm came', page)[1]
    assert f'href="{link}">It happened' in browser.get("/assets/mixer").text, "and from its page"
    assert "Too hot" in text_of(browser.get(link))
    for seconds in (0, 7):  # the button pressed twice
        plant.clock.instant = at(600) + timedelta(seconds=seconds)
        answer = send_form(browser, "/miss", link, **MISSED)
        assert answer.status_code == 303
    noted = browser.get(answer.headers["location"])
    assert "Noted: Too hot should have come today 09:45." in text_of(noted)
    [miss] = plant.misses.for_interval()
    found = (miss.definition, miss.asset, miss.missed_at, miss.actor)
    assert found == ("too-hot", "mixer", at(585), "otto")


def test_a_miss_without_a_time_or_of_what_is_unknown_is_refused_and_what_was_typed_stays(
    plant, browser
):
    for ago in ("x", "soon", "9d", "-1h"):
        answer = send_form(
            browser, "/miss", MISS, **MISSED | {"ago": ago, "comment": "smoke & steam"}
        )
        typed = 'value="smoke &amp; steam"' in answer.text
        assert (answer.status_code, typed) == (422, True), ago
    assert plant.misses.for_interval() == []
    assert browser.get("/miss?asset=nothing").status_code == 404
    assert "No alarm watches Line 1 yet." in text_of(browser.get("/miss?asset=line-1"))


def test_of_an_alarm_that_did_come_the_page_of_a_miss_leads_to_it(plant, browser):
    came = episode(580, "mixer", "open")
    plant.episodes.insert(came)
    answer = send_form(browser, "/miss", MISS, **MISSED)
    assert answer.status_code == 422
    assert f"{came.title} did come for that time, today 09:40." in text_of(answer)
    link = f'href="/episodes/{came.id}">To the alarm'
    assert lacks(answer.text, link, "alerting feedback") == ["alerting feedback"]


def test_programs_read_the_same_present_state(plant, client):
    plant.episodes.insert(episode(590, "oven-1", "open", severity="critical"))
    plant.episodes.insert(replace(episode(590.2, "oven-2", "open"), id="f" * 24))
    plant.episodes.insert(episode(300, "mixer"))
    found = client.get("/api/v1/now", headers=VIEWER).json()
    [cause] = found["happening"]
    others = [other["episode"]["asset"] for other in cause["others"]]
    assert (cause["first"]["episode"]["asset"], others) == ("oven-1", ["oven-2"])
    assert [one["asset"] for one in found["over"]] == ["mixer"]
    assert found["unacknowledged"] == 3
    states = {tile["asset"]: tile["state"] for tile in found["tiles"]}
    assert (states["oven-1"], states["oven-3"]) == ("happening", "not evaluated")
    assert {gap["kind"] for gap in found["not_evaluated"]} == {"never", "no model"}
    lines = client.get("/api/v1/now?line=line-2", headers=VIEWER).json()
    assert (lines["happening"], [t["asset"] for t in lines["tiles"]]) == ([], ["mixer"])


def test_what_helped_last_time_stands_on_the_page_and_is_one_tap(plant, browser, alarm, client):
    for minute in (100, 200, 300):
        plant.episodes.insert(episode(minute, "oven-1"))
        address = f"/api/v1/episodes/{episode(minute, 'oven-1').id}/feedback"
        body = {"acted": True, "action": "Slowed the belt"}
        client.post(address, headers=OPERATOR, json=body)
    page = f"/episodes/{alarm.id}"
    helped = browser.get(page).text.partition('id="helped"')[2].partition("</section>")[0]
    assert lacks(helped, "3 alarms like this", "<strong>Slowed the belt</strong>") == []
    send_form(browser, f"{page}/feedback", page, action="Slowed the belt")
    assert "✓ I did this" in browser.get(page).text
    found = client.get(f"/api/v1{page}/experience", headers=VIEWER).json()
    assert [(a["action"], a["uses"]) for a in found["actions"]] == [("Slowed the belt", 3)]
    assert found["answered"] == 3
