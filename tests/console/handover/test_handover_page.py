import re
from dataclasses import replace

import pytest
from fastapi.testclient import TestClient

from alerting.console.app import create_app
from alerting.definitions.assets import Asset
from alerting.episodes.episode import Feedback
from alerting.operators.silences import SilenceScope, new_silence
from alerting.ports.platform_alerts import AuditFilter
from alerting.usecases.operators.feedback import give_feedback
from tests.builders import at
from tests.helpers.console.api import ADMIN, OPERATOR, TOKENS, VIEWER, episode
from tests.helpers.console.pages import ADMIN_TOKEN, VIEWER_TOKEN, csrf_of, log_in
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


def test_the_page_tells_what_the_shift_did_and_leaves(browser):
    log_in(browser)
    text = text_of(browser.get(PAGE))
    assert "night · yesterday 22:00 to today 06:00 (8 h)" in text
    assert "nina acted: belt slowed Too hot oven-1 avoided" in text
    assert "Too hot oven-2 taken over by nina not answered since today 05:10" in text
    assert "Unanswered, left by late 1" in text
    assert "nina: sensor is cleaned until today 09:40" in text
    assert "Not signed yet." in text


def test_what_was_done_is_a_sentence_in_each_language(browser):
    log_in(browser)
    for language, said in (("de", "nina hat gehandelt: belt"), ("fr", "nina a agi: belt")):
        page = browser.get(PAGE, headers={"accept-language": language})
        assert said in text_of(page)


def test_the_message_says_the_titles_of_assets(browser, plant):
    for number in (1, 2):
        asset = plant.assets.get(f"oven-{number}")
        titled = asset.model_copy(update={"title": f"Ofen {number}"})
        plant.assets.store_assets([titled])
    log_in(browser, ADMIN_TOKEN)
    assert submit(browser, "send", route="night").status_code == 200
    text = plant.channels["mail"].messages[-1].text
    assert "nina acted: belt slowed; Too hot, Ofen 1 (avoided)" in text
    assert "Too hot on Ofen 2, since" in text
    assert "- Too hot on Ofen 1 until" in text
    assert "\nAs of Wed 14 Jan " in text
    assert "oven-" not in text


def test_the_page_shows_what_changes_as_the_front_page_does(browser):
    log_in(browser)
    for path in (PAGE, "/"):
        assert re.search('<body data-refresh="60" data-live="\\*">', browser.get(path).text), path


def test_a_refused_note_stays_typed_and_nothing_is_stored(browser, plant):
    log_in(browser)
    answer = submit(browser, "note", text=" ")
    assert answer.status_code == 422
    assert "The note is empty" in answer.text
    answer = submit(browser, "note", text="x" * 2001)
    assert (answer.status_code, "x" * 2001 in answer.text) == (422, True)
    assert plant.handovers.find() == []


def test_a_note_that_is_sent_twice_is_one(browser, plant):
    log_in(browser)
    for _ in range(2):
        answer = submit(browser, "note", text="belt squeaks", asset="oven-1")
        assert answer.headers["location"].startswith("/handover?at=2026-01-13T22")
    [stored] = plant.handovers.find()
    assert [(note.text, note.actor, note.asset) for note in stored.notes] == [
        ("belt squeaks", "otto", "oven-1")
    ]
    assert submit(browser, "note", text="b", asset="no-oven").status_code == 404


def test_the_two_sides_are_signed_by_two_people_and_audited(browser, plant):
    log_in(browser)
    assert submit(browser, "sign", side="leaving").status_code == 303
    page = browser.get(PAGE)
    assert 'value="coming"' not in page.text
    assert "Handed over by otto, today 05:40" in text_of(page)
    refused = submit(browser, "sign", side="coming")
    assert (refused.status_code, "another person must sign" in refused.text) == (422, True)
    plant.clock.instant = SIX
    log_in(browser, ADMIN_TOKEN)
    assert submit(browser, "sign", side="coming").status_code == 303
    assert "Taken over by ada, today 06:10" in text_of(browser.get(PAGE))
    entries = plant.audit.find(AuditFilter(subject="night 2026-01-13T22:00+00:00"), 9)
    assert [(e.actor, e.what) for e in entries] == [
        ("ada", "shift taken over"),
        ("otto", "shift handed over"),
    ]


def test_what_comes_after_the_signature_stands_below_what_was_signed(browser, plant):
    log_in(browser)
    submit(browser, "sign", side="leaving")
    open_now = plant.episodes.find(open_only=True)[0]
    plant.clock.instant = at(night(470))
    given = Feedback(open_now.id, "true_alarm", True, "valve opened", None, "nina", at(night(470)))
    give_feedback(plant, given)
    signed, since = text_of(browser.get(PAGE)).split("Since the signature")
    assert "valve opened" not in signed
    assert "taken over by nina not answered" in signed
    assert "nina acted : valve opened" in since or "nina acted: valve opened" in since


def test_a_viewer_reads_and_writes_nothing(browser, plant):
    log_in(browser, VIEWER_TOKEN)
    page = browser.get(PAGE)
    assert "/handover/note" not in page.text
    assert submit(browser, "note", text="a").status_code == 403
    client = {"headers": VIEWER, "json": {"side": "leaving"}}
    assert browser.post("/api/v1/handover/signatures", **client).status_code == 403
    assert plant.handovers.find() == []


def test_without_shifts_usual_hours_are_shown_and_how_to_name_them(browser, plant):
    for name in ("early", "late", "night"):
        plant.routes.remove(name)
    log_in(browser)
    text = text_of(browser.get("/handover"))
    assert "Working shift · yesterday 22:00 to today 06:00 (8 h)" in text
    assert "No route names shifts" in text
    text = text_of(browser.get("/handover?hours=12"))
    assert "yesterday 18:00 to today 06:00 (12 h)" in text
    assert "Hand over" not in text_of(browser.get("/"))


def test_the_front_page_leads_to_the_shift_that_changes(browser, plant):
    log_in(browser)
    links = {}
    for minute in (449, 450, 480, 510, 511):
        plant.clock.instant = at(night(minute))
        found = re.search(r'href="(/handover\?[^"]*)"', browser.get("/").text)
        links[minute] = found and found[1]
    assert [minute for minute, link in links.items() if link] == [450, 480, 510]
    address = links[510].replace("&amp;", "&")
    assert "night · yesterday 22:00" in text_of(browser.get(address))


def test_the_page_and_a_signature_without_an_instant_are_of_the_shift_that_has_just_ended(
    browser, plant
):
    log_in(browser)
    for minute in (450, 479, 480, 510):  # from half an hour before the change to half an hour after
        plant.clock.instant = at(night(minute))
        assert "night · yesterday 22:00 to today 06:00" in text_of(browser.get("/handover")), minute
    plant.clock.instant = at(night(485))
    body = {"side": "leaving"}
    sent = browser.post("/api/v1/handover/signatures", headers=OPERATOR, json=body)
    assert sent.status_code == 200
    [stored] = plant.handovers.find()
    assert (stored.shift, stored.start) == ("night", at(night(0)))
    asked = browser.get("/handover?shift=early")
    assert "early · today 06:00 to 14:00" in text_of(asked), "the one that is named"
    plant.clock.instant = at(night(511))
    assert "early · today 06:00 to 14:00" in text_of(browser.get("/handover"))


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


def test_the_same_content_is_sent_once_and_goes_to_the_route_that_is_named(browser, plant):
    mails = plant.channels["mail"].messages
    body = {"at": NIGHT, "route": "early"}
    answers = [
        browser.post("/api/v1/handover/messages", headers=OPERATOR, json=body) for _ in range(2)
    ]
    assert [answer.json() for answer in answers] == [{"recipients": 1}] * 2
    assert len(mails) == 1
    assert "Shift from Tue 13 Jan 22:00 to Wed 14 Jan 06:00 (8 h)." in mails[0].text
    body["route"] = "no-route"
    assert browser.post("/api/v1/handover/messages", headers=ADMIN, json=body).status_code == 404


def test_a_flood_is_folded_and_counted(browser, plant):
    for n in range(70):
        made = episode(night(300 + n), "oven-1", "open", definition=f"d-{n}")
        plant.episodes.insert(replace(made, id=f"{n:024x}"))
    found = browser.get(f"/api/v1/handover?at={NIGHT}", headers=VIEWER).json()
    assert (len(found["summary"]["open"]), found["summary"]["omitted"]) == (60, 11)
    log_in(browser)
    page = text_of(browser.get(PAGE))
    assert "56 more" in page
    assert "71 open" in page


def test_the_message_says_what_the_page_says(browser, plant):
    log_in(browser)
    submit(browser, "sign", side="leaving")
    late = episode(night(475), "oven-1", "open", title="Belt stands still")
    plant.episodes.insert(late)
    plant.clock.instant = SIX
    assert submit(browser, "send", route="night").status_code == 200
    text = plant.channels["mail"].messages[-1].text
    assert "\n2 raised, 1 open, 2 not answered, 1 done.\nAs signed Wed 14 Jan 05:40.\n" in text
    assert "Too hot on oven-2, since Wed 14 Jan 05:10; taken over by nina; not answered" in text
    assert "Too hot on oven-1, Wed 14 Jan 01:20 to 01:25 (5 min); avoided; acted" in text
    assert "Too hot on oven-2, Tue 13 Jan 20:20 to 20:25 (5 min); not answered" in text
    since = text.split("Since the signature:")[1]
    assert "Belt stands still on oven-1, since Wed 14 Jan 05:55; taken over by no one" in since


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
        end = at(night(minute + 60))
        made_at = at(night(440))
        made = new_silence(
            "maintenance", scope, start, end, None, "belt change", (), "ann", "engineer", made_at
        )
        plant.silences.insert(made)
    log_in(browser)
    page = text_of(browser.get(f"{PAGE}&line=line-1"))
    present = "Maintenance: Line 1 ann: belt change today 05:30 to 06:30 (1 h)"
    planned = "Maintenance: Line 1, Too hot ann: belt change today 08:00 to 09:00 (1 h)"
    assert (present in page, planned in page) == (True, True), page
    assert page.count("belt change") == 2
    assert submit(browser, "send", route="night", line="line-1").status_code == 200
    text = plant.channels["mail"].messages[-1].text
    assert "- Maintenance: Line 1, Wed 14 Jan 05:30 to 06:30 (1 h): belt change (ann)\n" in text
    assert "- Maintenance: Line 1, Too hot, Wed 14 Jan 08:00 to 09:00 (1 h): belt" in text
