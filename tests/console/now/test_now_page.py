import re
from dataclasses import replace
from datetime import timedelta
from html import unescape

import pytest

from alerting.definitions.assets import Asset, Variable
from alerting.episodes.episode import ActorStamp
from alerting.operators.shelves import new_shelf
from alerting.operators.silences import SilenceScope, new_silence
from alerting.ports import ReadingRow
from alerting.ports.platform_alerts import AuditFilter
from alerting.usecases.definitions.sync import apply
from alerting.usecases.evaluation.evaluate import evaluate
from alerting.usecases.ingestion.arrivals import add_readings
from tests.builders import at, too_hot
from tests.helpers.console.api import OPERATOR, VIEWER, episode
from tests.helpers.console.pages import csrf_of, log_in

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


def text_of(page):
    body = re.split("<body[^>]*>", page)[-1]
    return " ".join(re.sub(r"<[^>]*>", " ", body).split())


def tile_of(page, asset):
    tile = re.search(rf'<a class="now-tile ([^"]*)" data-asset="{asset}".*?</a>', page, re.DOTALL)
    return tile[1], text_of("<body>" + tile[0])


def actions_of(page, label):
    """Return address and fields of the first button with this label."""
    button = re.search(rf"<button([^>]*)>{label}</button>", page)[1]
    address = re.search(r'formaction="([^"]*)"', button)
    name = re.search(r'name="([^"]*)" value="([^"]*)"', button)
    return address and address[1], {name[1]: name[2]} if name else {}


def test_a_flood_of_sixty_is_one_cause_and_one_tap_acknowledges_all(plant, browser):
    for n in range(60):
        made = episode(590 + n / 60, OVENS[n % 12], "open", definition=f"d-{n}")
        plant.episodes.insert(replace(made, id=f"{n:024x}"))
    log_in(browser)
    page = browser.get("/").text
    assert page.count('<article class="card') == 1
    assert "first-out" in text_of(page)
    assert "59 alarms followed · 12 assets" in text_of(page)
    earlier = text_of("<body>" + page[page.index('id="earlier"') - 9 :])
    assert earlier.startswith("Earlier Older alarms"), "it does not say that none has ended yet"
    form = re.search(r'<form method="post" class="now-answer".*?</form>', page, re.DOTALL)[0]
    ids = re.findall(r'name="episode" value="(\w+)"', form)
    assert len(ids) == 60
    assert actions_of(form, "Seen: all 60")[0] == "/acknowledge"
    answer = browser.post(
        "/acknowledge",
        data={"csrf": csrf_of(browser.get("/")), "episode": ids, "next": "/?mine=yes"},
    )
    assert answer.headers["location"] == "/?mine=yes"
    assert all(plant.episodes.get(id).acknowledged.actor == "otto" for id in ids)
    entries = plant.audit.find(AuditFilter(), 200)
    assert {e.subject for e in entries if "acknowledge" in e.what} == {*ids}


def test_tiles_tell_apart_what_happens_what_is_expected_and_what_is_unknown(plant, browser):
    predicted = {"is_prediction": True, "valid_until": at(620)}
    plant.episodes.insert(episode(590, "oven-1", "open", severity="critical"))
    plant.episodes.insert(episode(591, "oven-2", "open", **predicted))
    log_in(browser)
    page = browser.get("/").text
    assert tile_of(page, "oven-1") == ("happening critical", "oven-1 happening")
    assert tile_of(page, "oven-2") == ("expected high", "oven-2 expected")
    assert tile_of(page, "mixer") == ("not-evaluated", "Mixer ? not evaluated")
    assert "Not evaluated: here no alarm can come" in text_of(page)
    assert "It was never evaluated." in text_of(page)


def test_a_tile_says_how_many_of_its_alerts_are_not_evaluated(plant, browser):
    rule = too_hot(name="rule", assets=["mixer"])
    apply(plant, [rule], "ann", at(1), "test")
    rows = [ReadingRow("mixer", at(n), {"temperature": 100.0}) for n in range(590, 600)]
    add_readings(plant, rows, at(0))
    evaluate(plant, ["rule"], at(600))
    log_in(browser)
    page = browser.get("/").text
    assert tile_of(page, "mixer") == ("not-evaluated", "Mixer ? 1 of 2 not evaluated")


def test_a_card_has_one_value_of_one_thing_and_the_page_of_the_alarm_dates_the_other(
    plant, browser
):
    values = [200.0] * 10 + [225.0 + n for n in range(10)]
    rows = [ReadingRow("oven-1", at(n), {"temperature": v}) for n, v in enumerate(values)]
    add_readings(plant, rows, at(20))
    plant.clock.instant = at(20)
    evaluate(plant, ["too-hot"], at(20))
    [alarm] = plant.episodes.find(open_only=True)
    log_in(browser)
    for language, value, dated in (
        ("en", "Temperature: 234 °C, rising", "As of today 00:10: Temperature is 225 °C"),
        ("de", "Temperature: 234 °C", "Stand heute 00:10: "),
        ("fr", "Temperature\u00a0: 234 °C", "État aujourd\u2019hui 00:10\u00a0: "),
    ):
        headers = {"accept-language": language}
        card = unescape(browser.get("/", headers=headers).text)
        assert value in card
        assert not re.search("225.°C", card)
        assert dated in unescape(browser.get(f"/episodes/{alarm.id}", headers=headers).text)


def test_the_present_value_stands_beside_its_limit(plant, browser):
    rows = [ReadingRow("oven-1", at(540 + n), {"temperature": 200 + n / 3}) for n in range(60)]
    add_readings(plant, rows, at(600))
    plant.episodes.insert(episode(590, "oven-1", "open"))
    log_in(browser)
    assert "220 °C, rising limit 215 °C" in text_of(browser.get("/").text)


def test_filters_are_in_the_address(plant, browser):
    plant.episodes.insert(episode(590, "oven-1", "open", severity="low"))
    plant.episodes.insert(
        episode(580, "mixer", "open", acknowledged=ActorStamp("otto", at(581)), severity="critical")
    )
    log_in(browser)

    def shown(address):
        return re.findall(r'<article[^>]*data-asset="([^"]*)"', browser.get(address).text)

    assert shown("/") == ["oven-1", "mixer"]
    assert shown("/?line=line-2") == ["mixer"]
    assert shown("/?severity=high") == ["mixer"]
    assert shown("/?mine=yes") == ["mixer"]
    assert shown("/?asset=oven-1") == ["oven-1"]
    assert shown("/?line=line-1&mine=yes") == []
    assert browser.get("/?severity=worst").status_code == 422


@pytest.mark.parametrize(
    ("query", "alarms"),
    [("line=line-2", 70), ("asset=mixer", 70), ("severity=critical", 2), ("", 140)],
)
def test_earlier_alarms_follow_the_filters_up_to_the_oldest(plant, browser, query, alarms):
    plant.clock.instant = at(600)
    for n in range(70):
        severity = "critical" if n in (3, 69) else "high"
        plant.episodes.insert(episode(n, "mixer", severity=severity))
        plant.episodes.insert(episode(100 + n, "oven-1"))
    log_in(browser)
    address = f"/?{query}"
    ids = set()
    while address:
        page = browser.get(address).text
        earlier = page[page.index('id="earlier"') :]
        ids |= set(re.findall(r'href="/episodes/(\w+)"', page))
        assert "There are no older alarms" not in earlier
        following = re.search(r'<a class="more" href="(/[^"]*cursor=[^"]*)"', earlier)
        address = following and unescape(following[1])
        assert not address or query in address
    assert len(ids) == alarms


def test_the_part_that_changes_is_answered_alone(plant, browser):
    plant.episodes.insert(episode(590, "oven-1", "open"))
    log_in(browser)
    part = browser.get("/now?line=line-1").text
    assert part.strip().startswith('<div id="now" data-unacknowledged="1">')
    assert part.strip() in browser.get("/?line=line-1").text
    assert f'data-episode="{episode(590, "oven-1").id}"' in part


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
def test_an_alarm_is_answered_from_the_list_and_the_answer_is_seen(plant, browser, label, stored):
    plant.episodes.insert(episode(590, "oven-1", "open"))
    log_in(browser)
    first = browser.get("/?line=line-1")
    address, fields = actions_of(first.text, label)
    fields |= {"csrf": csrf_of(first), "next": "/?line=line-1", "lasting": "30m"}
    answer = browser.post(address, data=fields)
    assert (answer.status_code, answer.headers["location"]) == (303, "/?line=line-1")
    [given] = plant.feedback.for_episode(episode(590, "oven-1").id)
    assert (given.verdict, given.acted, given.action) == stored
    assert '<summary class="button">✓ ' in browser.get("/").text


def test_an_answer_leads_back_to_its_alarm_and_seen_to_the_next_one(plant, browser):
    predicted = {"is_prediction": True, "valid_until": at(620)}
    ids = {}
    for section, changes in (("happening", {}), ("expected", predicted)):
        alarm = episode(590 + 3 * len(ids), f"oven-{1 + len(ids)}", "open", **changes)
        plant.episodes.insert(alarm)
        ids[section] = alarm.id
    log_in(browser)
    page = browser.get("/?line=line-1").text
    for section, id in ids.items():
        form = re.search(rf'id="e-{id}".*?(<form.*?</form>)', page, re.DOTALL)[1]
        places = re.findall(r'name="next" value="([^"]*)"', form)
        assert places == [f"/?line=line-1#e-{id}", f"/?line=line-1#{section}"]
        sent = {"csrf": csrf_of(browser.get("/")), "next": places}
        for address, place in (("take", places[:1]), ("ack", places)):
            answer = browser.post(f"/episodes/{id}/{address}", data=sent | {"next": place})
            assert answer.headers["location"] == place[-1]


def test_an_alarm_is_taken_over_and_shelved_from_the_list(plant, browser):
    plant.episodes.insert(episode(590, "oven-1", "open"))
    log_in(browser)
    page = browser.get("/")
    fields = {"csrf": csrf_of(page), "next": "/", "lasting": "30m"}
    address, named = actions_of(page.text, "I take it over")
    assert browser.post(address, data=fields | named).headers["location"] == "/"
    address, named = actions_of(page.text, "Cleaning")
    assert browser.post(address, data=fields | named).headers["location"] == "/"
    words = text_of(browser.get("/").text)
    assert "taken over by otto" in words
    assert "otto: cleaning" in words
    [shelf] = plant.shelves.in_force()
    assert (shelf.reason, shelf.until) == ("cleaning", at(630))


@pytest.mark.parametrize(
    ("shown", "seen"),
    [
        ("", ["plant", "line-1", "oven-1", "oven-2", "mixer"]),
        ("?asset=oven-1", ["plant", "line-1", "oven-1"]),
        ("?asset=line-1", ["plant", "line-1"]),
        ("?line=line-1", ["plant", "line-1", "oven-1", "oven-2"]),
        ("?line=line-2", ["plant", "mixer"]),
    ],
)
def test_a_filter_shows_what_is_muted_there_alone(plant, browser, shown, seen):
    by = {"notified": (), "author": "otto", "role": "operator", "now": at(590)}
    for part in ("plant", "line-1", "oven-1", "oven-2", "mixer"):
        scope = SilenceScope(part=part)
        why = f"belt of {part}."
        assert plant.silences.insert(new_silence("silence", scope, None, at(700), None, why, **by))
    for asset in ("oven-1", "oven-2", "mixer"):
        over = at(590), at(700), f"shelf of {asset}.", "otto", 0
        assert plant.shelves.insert(new_shelf("too-hot", asset, "shelved", *over))
    log_in(browser)
    words = text_of(browser.get(f"/{shown}").text)
    assert {*re.findall(r"belt of ([\w-]+)\.", words)} == {*seen}
    shelves = {*re.findall(r"shelf of ([\w-]+)\.", words)}
    assert shelves == {*seen} & {"oven-1", "oven-2", "mixer"}


def test_a_miss_is_reported_in_three_taps_from_the_asset(plant, browser):
    log_in(browser)
    page = browser.get("/?asset=mixer").text  # the tile of the asset
    link = re.search(r'href="(/miss[^"]*)">It happened and no alarm came', page)[1]
    form = browser.get(link)
    assert "Too hot" in text_of(form.text)
    sent = {"csrf": csrf_of(form), "asset": "mixer", "ago": "15m", "definition": "too-hot"}
    for seconds in (0, 7):  # the button pressed twice
        plant.clock.instant = at(600) + timedelta(seconds=seconds)
        answer = browser.post("/miss", data=sent)
        assert answer.status_code == 303
    noted = browser.get(answer.headers["location"])
    assert "Noted: Too hot should have come today 09:45." in text_of(noted.text)
    [miss] = plant.misses.for_interval()
    assert (miss.definition, miss.asset, miss.missed_at, miss.actor) == (
        "too-hot",
        "mixer",
        at(585),
        "otto",
    )


@pytest.mark.parametrize("ago", ["", "soon", "9d", "-1h"])
def test_a_miss_without_a_time_is_refused_and_what_was_typed_stays(plant, browser, ago):
    log_in(browser)
    csrf = csrf_of(browser.get("/miss?asset=mixer"))
    sent = {"csrf": csrf, "asset": "mixer", "ago": ago or "x", "definition": "too-hot"}
    answer = browser.post("/miss", data=sent | {"comment": "smoke & steam"})
    assert answer.status_code == 422
    assert 'value="smoke &amp; steam"' in answer.text
    assert plant.misses.for_interval() == []


def test_of_an_alarm_that_did_come_the_page_of_a_miss_leads_to_it(plant, browser):
    came = episode(580, "mixer", "open")
    plant.episodes.insert(came)
    log_in(browser)
    csrf = csrf_of(browser.get("/miss?asset=mixer"))
    sent = {"csrf": csrf, "asset": "mixer", "ago": "15m", "definition": "too-hot"}
    answer = browser.post("/miss", data=sent)
    assert answer.status_code == 422
    assert f"{came.title} did come for that time, today 09:40." in text_of(answer.text)
    assert f'href="/episodes/{came.id}">To the alarm' in answer.text
    assert "alerting feedback" not in answer.text


def test_the_page_of_a_miss_names_what_is_unknown_or_not_watched(plant, browser):
    log_in(browser)
    assert browser.get("/miss?asset=nothing").status_code == 404
    assert "No alarm watches Line 1 yet." in text_of(browser.get("/miss?asset=line-1").text)


def test_programs_read_the_same_present_state(plant, client):
    plant.episodes.insert(episode(590, "oven-1", "open", severity="critical"))
    plant.episodes.insert(replace(episode(590.2, "oven-2", "open"), id="f" * 24))
    plant.episodes.insert(episode(300, "mixer"))
    found = client.get("/api/v1/now", headers=VIEWER).json()
    [cause] = found["happening"]
    assert cause["first"]["episode"]["asset"] == "oven-1"
    assert [other["episode"]["asset"] for other in cause["others"]] == ["oven-2"]
    assert [one["asset"] for one in found["over"]] == ["mixer"]
    assert found["unacknowledged"] == 3
    states = {tile["asset"]: tile["state"] for tile in found["tiles"]}
    assert (states["oven-1"], states["oven-3"]) == ("happening", "not evaluated")
    assert {gap["kind"] for gap in found["not_evaluated"]} == {"never", "no model"}
    lines = client.get("/api/v1/now?line=line-2", headers=VIEWER).json()
    assert (lines["happening"], [t["asset"] for t in lines["tiles"]]) == ([], ["mixer"])


def test_what_helped_last_time_stands_on_the_page_and_is_one_tap(plant, browser, client):
    for minute in (100, 200, 300):
        plant.episodes.insert(episode(minute, "oven-1"))
        client.post(
            f"/api/v1/episodes/{episode(minute, 'oven-1').id}/feedback",
            headers=OPERATOR,
            json={"acted": True, "action": "Slowed the belt"},
        )
    now = episode(590, "oven-1", "open")
    plant.episodes.insert(now)
    log_in(browser)
    page = browser.get(f"/episodes/{now.id}")
    helped = page.text.partition('id="helped"')[2].partition("</section>")[0]
    assert "3 alarms like this" in text_of("<body><p " + helped)
    assert "<strong>Slowed the belt</strong>" in helped
    browser.post(
        f"/episodes/{now.id}/feedback", data={"csrf": csrf_of(page), "action": "Slowed the belt"}
    )
    assert "✓ I did this" in browser.get(f"/episodes/{now.id}").text
    found = client.get(f"/api/v1/episodes/{now.id}/experience", headers=VIEWER).json()
    assert [(a["action"], a["uses"]) for a in found["actions"]] == [("Slowed the belt", 3)]
    assert found["answered"] == 3


def test_a_page_that_shows_the_present_already_is_not_sent_again(plant, browser):
    log_in(browser)
    for address in ("/", "/now"):
        first = browser.get(address)
        tag = {"If-None-Match": first.headers["etag"]}
        again = browser.get(address, headers=tag)
        assert (again.status_code, again.content) == (304, b"")
        plant.episodes.insert(episode(590, OVENS[len(address)], "open", definition=address[-1]))
        assert browser.get(address, headers=tag).status_code == 200


def test_single_assets_have_their_tiles_and_no_filter_beside_each(plant, browser):
    plant.assets.store_assets([Asset(name=name) for name in ("fan-1", "fan-2")])
    watched = too_hot(title="Too hot", assets=["oven-*", "mixer", "fan-*"], above=216)
    apply(plant, [watched], "ann", plant.clock.now(), "not evaluated yet, and not late")
    log_in(browser)
    page = browser.get("/").text
    lines = re.findall(r'class="now-chip" href="/[?]line=([^"&]+)', page)
    assert lines == ["plant"]
    assert {"fan-1", "fan-2"} <= set(re.findall(r'data-asset="([^"]+)"', page))


def test_lines_without_an_alarm_are_normal_where_assets_are_too_many_to_show_each(plant, browser):
    names = [f"oven-{n}" for n in range(20, 90)]
    plant.assets.store_assets([Asset(name=name, parent="line-1") for name in names])
    watched = too_hot(title="Too hot", assets=["oven-*", "mixer"], above=216)
    apply(plant, [watched], "ann", plant.clock.now(), "not evaluated yet, and not late")
    log_in(browser)
    page = browser.get("/").text
    chips = re.search('<div class="now-filters".*?(?=<details)', page, re.DOTALL)[0]
    assert text_of("<body>" + chips).endswith("Line 2 normal")
