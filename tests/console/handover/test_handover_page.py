import re
from dataclasses import replace
from datetime import timedelta

import pytest
from fastapi.testclient import TestClient

from alerting.console.app import create_app
from alerting.definitions.assets import Asset
from alerting.episodes.episode import ActorStamp
from alerting.operators.silences import SilenceScope, new_silence
from alerting.ports.platform_alerts import AuditFilter
from tests.builders import at
from tests.helpers.console.api import TOKENS, episode
from tests.helpers.console.pages import csrf_of, log_in
from tests.helpers.console.shifts import SIX, night, plant_with_shifts

NIGHT = "2026-01-13T22:00Z"
PAGE = f"/handover?at={NIGHT}"


@pytest.fixture
def plant():
    return plant_with_shifts()


@pytest.fixture
def browser(plant):
    return TestClient(create_app(plant, TOKENS, now=lambda: SIX), follow_redirects=False)


def text_of(page):
    body = re.split("<body[^>]*>", page.text)[-1]
    return " ".join(re.sub(r"<[^>]*>", " ", body).split())


def submit(browser, act, **fields):
    csrf = csrf_of(browser.get(PAGE))
    return browser.post(f"/handover/{act}", data={"csrf": csrf, "at": NIGHT, **fields})


def notes_in(plant):
    return [one.after for one in plant.audit.find(AuditFilter(what="shift note written"), 99)]


def mail_of(plant):
    return plant.channels["mail"].messages[-1].text


def test_the_page_tells_what_the_shift_did_and_leaves(browser):
    log_in(browser)
    text = text_of(browser.get(PAGE))
    assert "night · yesterday 22:00 to today 06:00 (8 h)" in text
    assert "2 raised, 1 open, 2 not answered, 1 done" in text
    assert "nina acted: belt slowed; Too hot, oven-1 (avoided)" in text
    assert "on oven-2, since today 05:10, taken over by nina, not answered" in text
    assert "Unanswered, of earlier shifts 1" in text
    assert "Too hot on oven-1 until today 09:40: sensor is cleaned (nina)" in text


@pytest.mark.parametrize(("language", "said"), [("de", "nina hat gehandelt"), ("fr", "nina a agi")])
def test_what_was_done_is_a_sentence_in_each_language(browser, language, said):
    log_in(browser)
    assert said in text_of(browser.get(PAGE, headers={"accept-language": language}))


def test_the_message_says_what_the_page_says_with_the_titles_of_assets_once(browser, plant):
    for number in (1, 2):
        asset = plant.assets.get(f"oven-{number}")
        plant.assets.store_assets([asset.model_copy(update={"title": f"Ofen {number}"})])
    log_in(browser)
    submit(browser, "note", text="belt squeaks")
    for _ in range(2):
        answer = submit(browser, "send", route="night")
        assert (answer.status_code, "Sent to 1 recipient of night" in answer.text) == (200, True)
    assert len(plant.channels["mail"].messages) == 1
    text = mail_of(plant)
    assert text.startswith(
        "Shift from Tue 13 Jan 22:00 to Wed 14 Jan 06:00 (8 h).\n2 raised, 1 open"
    )
    assert "otto: belt squeaks" in text
    assert "nina acted: belt slowed; Too hot, Ofen 1 (avoided)" in text
    assert "on Ofen 2, since Wed 14 Jan 05:10, taken over by nina, not answered" in text
    assert "on Ofen 1, Wed 14 Jan 01:20 to 01:25 (5 min), avoided, acted" in text
    assert "- Too hot on Ofen 1 until" in text
    assert "As of Wed 14 Jan " in text
    assert "oven-" not in text
    assert submit(browser, "send", route="no-route").status_code == 404


def test_a_note_is_stored_once_and_a_refused_one_stays_typed(browser, plant):
    log_in(browser)
    for text, because in ((" ", "The note is empty"), ("x" * 2001, "x" * 2001)):
        answer = submit(browser, "note", text=text)
        assert (answer.status_code, because in answer.text) == (422, True)
    for _ in range(2):
        answer = submit(browser, "note", text="belt squeaks")
        assert answer.headers["location"].startswith("/handover?at=2026-01-13T22")
    assert notes_in(plant) == ["belt squeaks"]
    assert submit(browser, "note", text="early", at="2026-01-14T14:00Z").status_code == 422


def test_without_shifts_usual_hours_are_shown_and_how_to_name_them(browser, plant):
    for name in ("early", "late", "night"):
        plant.routes.remove(name)
    log_in(browser)
    text = text_of(browser.get("/handover"))
    assert "Working shift · yesterday 22:00 to today 06:00 (8 h)" in text
    assert "No route names shifts" in text
    assert "Hand over" not in text_of(browser.get("/"))


def test_around_a_change_the_pages_lead_to_the_shift_that_ends(browser, plant):
    log_in(browser)
    links = {}
    for minute in (449, 450, 480, 510, 511):
        plant.clock.instant = at(night(minute))
        found = re.search(r'href="(/handover\?[^"]*)"', browser.get("/").text)
        links[minute] = found and found[1]
        shown = "early · today 06:00" if minute == 511 else "night · yesterday 22:00"
        assert shown in text_of(browser.get("/handover")), minute
    assert [minute for minute, link in links.items() if link] == [450, 480, 510]
    address = links[510].replace("&amp;", "&")
    assert "night · yesterday 22:00" in text_of(browser.get(address))


def test_notes_of_lines_and_of_the_plant_are_told_apart(browser, plant):
    plant.assets.store_assets([Asset(name="line-2", title="Line 2")])
    plant.assets.store_assets([Asset(name="mixer", parent="line-2")])
    log_in(browser)
    submit(browser, "note", text="of line one", line="line-1")
    submit(browser, "note", text="of line two", line="line-2")
    submit(browser, "note", text="of the plant")
    seen = {
        line: [text for text in ("of line one", "of line two", "of the plant") if text in page]
        for line in ("", "line-1", "line-2")
        for page in (browser.get(f"{PAGE}&line={line}").text,)
    }
    assert seen == {
        "": ["of line one", "of line two", "of the plant"],
        "line-1": ["of line one", "of the plant"],
        "line-2": ["of line two", "of the plant"],
    }
    assert browser.get("/handover?line=line-9").status_code == 404


def test_a_flood_is_folded_and_counted(browser, plant):
    for n in range(70):
        made = episode(night(300 + n), "oven-1", "open", definition=f"d-{n}")
        plant.episodes.insert(replace(made, id=f"{n:024x}"))
    log_in(browser)
    page = text_of(browser.get(PAGE))
    assert ("67 more" in page, "71 open" in page) == (True, True)
    submit(browser, "send", route="night")
    assert "11 more are not listed." in mail_of(plant)


def test_withdrawn_and_later_alarms_are_left_out_and_muted_ones_come_last(browser, plant):
    for number, (minute, changes) in enumerate(
        (
            (305, {"withdrawn": True}),
            (600, {}),
            (310, {"muted_by": "shelf"}),
            (300, {"acknowledged": ActorStamp("ben", at(night(301)))}),
        )
    ):
        made = episode(
            night(minute), "oven-1", "open", title=f"Alarm {number}", definition=f"d{number}"
        )
        plant.episodes.insert(replace(made, id=f"{number:024x}", **changes))
    log_in(browser)
    text = text_of(browser.get(PAGE))
    assert ("Alarm 0" in text, "Alarm 1" in text) == (False, False)
    assert text.index("Alarm 3") < text.index("Alarm 2")
    assert "taken over by ben, not answered" in text
    assert "4 raised, 3 open, 3 not answered, 1 done" in text


def test_silences_of_the_line_stand_on_the_page_and_in_the_message(browser, plant):
    plant.assets.store_assets([Asset(name="line-2", title="Line 2")])
    for part, minute, definition in (
        ("line-1", 450, None),
        ("line-1", 600, "too-hot"),
        ("line-1", 1000, None),
        ("line-2", 450, None),
    ):
        scope = SilenceScope(part, definition)
        start = at(night(minute))
        end = start + timedelta(hours=1)
        made_at = at(night(440))
        made = new_silence(
            "maintenance", scope, start, end, None, "belt change", (), "ann", "engineer", made_at
        )
        plant.silences.insert(made)
    log_in(browser)
    page = text_of(browser.get(f"{PAGE}&line=line-1"))
    assert "Maintenance: Line 1, today 05:30 to 06:30 (1 h): belt change (ann)" in page
    assert "Maintenance: Line 1, Too hot, today 08:00 to 09:00 (1 h): belt change (ann)" in page
    assert page.count("belt change") == 2
    submit(browser, "send", route="night", line="line-1")
    assert "- Maintenance: Line 1, Wed 14 Jan 05:30 to 06:30 (1 h): belt" in mail_of(plant)
