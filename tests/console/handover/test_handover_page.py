"""x"""

import re
from dataclasses import replace

import pytest
from fastapi.testclient import TestClient

from alerting.console.app import create_app
from alerting.definitions.asset_documents import Asset
from alerting.episodes.episode import ActorStamp, Feedback, OutcomeRecord
from alerting.operators.account_rules import Account
from alerting.ports import AuditFilter
from tests.builders import at
from tests.helpers.console.api import TOKENS, episode
from tests.helpers.console.pages import lacks, log_in, send_form, text_of
from tests.helpers.console.shifts import SIX, night, plant_with_shifts
from tests.helpers.mutes import mute

NIGHT = "2026-01-13T22:00Z"
PAGE = f"/handover?at={NIGHT}"


@pytest.fixture
def plant():
    return plant_with_shifts()


@pytest.fixture
def browser(plant):
    made = TestClient(create_app(plant, TOKENS, now=lambda: SIX), follow_redirects=False)
    log_in(made)
    return made


def submit(browser, act, **fields):
    return send_form(browser, f"/handover/{act}", PAGE, **{"at": NIGHT, **fields})


def mail_of(plant):
    return plant.channels["mail"].messages[-1].text


def test_the_page_tells_what_the_shift_did_and_leaves(browser):
    sentences = {
        "en": (
            "night · yesterday 22:00 to today 06:00 (8 h)",
            "2 raised, 1 open, 2 not answered, 1 done",
            "nina acted: belt slowed; Too hot, oven-1 (avoided)",
            "on oven-2, since today 05:10, taken over by nina, not answered",
            "Unanswered, of earlier shifts 1",
            "Muted: Too hot on oven-1, today 03:00 to 09:40 (6 h 40 min): sensor is cleaned (nina)",
        ),
        "de": ("nina hat gehandelt",),
        "fr": ("nina a agi",),
    }
    unsaid = {
        code: lacks(text_of(browser.get(PAGE, headers={"accept-language": code})), *said)
        for code, said in sentences.items()
    }
    assert unsaid == {code: [] for code in sentences}


def test_the_message_says_what_the_page_says_with_the_titles_of_assets_once(browser, plant):
    for number in (1, 2):
        asset = plant.assets.get(f"oven-{number}")
        plant.assets.store_assets([asset.model_copy(update={"title": f"Ofen {number}"})])
    submit(browser, "note", text="belt squeaks")
    for _ in range(2):
        answer = submit(browser, "send", route="night")
        assert (answer.status_code, "Sent to 1 recipient of night" in answer.text) == (200, True)
    [mail] = plant.channels["mail"].messages
    head = "Shift from Tue 13 Jan 22:00 to Wed 14 Jan 06:00 (8 h).\n2 raised, 1 open"
    assert mail.text.startswith(head)
    sentences = (
        "otto: belt squeaks",
        "nina acted: belt slowed; Too hot, Ofen 1 (avoided)",
        "on Ofen 2, since Wed 14 Jan 05:10, taken over by nina, not answered",
        "on Ofen 1, Wed 14 Jan 01:20 to 01:25 (5 min), avoided, acted",
        "- Muted: Too hot on Ofen 1, Wed 14 Jan",
        "As of Wed 14 Jan ",
        "oven-",
    )
    assert lacks(mail.text, *sentences) == ["oven-"]
    assert submit(browser, "send", route="no-route").status_code == 404


def test_a_note_is_stored_once_and_a_refused_one_stays_typed(browser, plant):
    for text, because in ((" ", "The note is empty"), ("x" * 2001, "x" * 2001)):
        answer = submit(browser, "note", text=text)
        assert (answer.status_code, because in answer.text) == (422, True)
    for _ in range(2):
        answer = submit(browser, "note", text="belt squeaks")
        assert answer.headers["location"].startswith("/handover?at=2026-01-13T22")
    notes = plant.audit.find(AuditFilter(what="shift note written"), 99)
    assert [one.after for one in notes] == ["belt squeaks"]
    assert submit(browser, "note", text="early", at="2026-01-14T14:00Z").status_code == 422


def test_without_shifts_usual_hours_are_shown_and_how_to_name_them(browser, plant):
    for name in ("early", "late", "night"):
        plant.routes.remove(name)
    usual = ("Working shift · yesterday 22:00 to today 06:00 (8 h)", "No route names shifts")
    assert lacks(text_of(browser.get("/handover")), *usual) == []
    assert "Hand over" not in text_of(browser.get("/"))


def test_around_a_change_the_pages_lead_to_the_shift_that_ends(browser, plant):
    links = {}
    for minute in (449, 450, 480, 510, 511):
        plant.clock.instant = at(night(minute))
        found = re.search(r'href="(/handover\?[^"]*)"', browser.get("/").text)
        links[minute] = found and found[1].replace("&amp;", "&")
        shown = "early · today 06:00" if minute == 511 else "night · yesterday 22:00"
        assert shown in text_of(browser.get("/handover")), minute
    assert [minute for minute, link in links.items() if link] == [450, 480, 510]
    assert "night · yesterday 22:00" in text_of(browser.get(links[510]))


def test_notes_of_lines_and_of_the_plant_are_told_apart(browser, plant):
    mixer = Asset(name="mixer", parent="line-2")
    plant.assets.store_assets([Asset(name="line-2", title="Line 2"), mixer])
    notes = {"line-1": "of line one", "line-2": "of line two", "": "of the plant"}
    for line, text in notes.items():
        submit(browser, "note", text=text, **({"line": line} if line else {}))
    unseen = {
        line: lacks(browser.get(f"{PAGE}&line={line}").text, *notes.values()) for line in notes
    }
    assert unseen == {"": [], "line-1": ["of line two"], "line-2": ["of line one"]}
    assert browser.get("/handover?line=line-9").status_code == 404


def test_a_flood_is_folded_and_counted(browser, plant):
    for n in range(70):
        made = episode(night(300 + n), "oven-1", "open", definition=f"d-{n}")
        plant.episodes.insert(replace(made, id=f"{n:024x}"))
    assert lacks(text_of(browser.get(PAGE)), "67 more", "71 open") == []
    submit(browser, "send", route="night")
    assert "11 more are not listed." in mail_of(plant)


def test_many_alarms_of_one_definition_are_one_line_below_what_is_expected(browser, plant):
    """On the page and in the message; *taken over* is said only of an alarm that somebody took."""
    nina = Account("nina", "operator", at(1), "ada", at(1), display_name="Nina Berg")
    assert plant.accounts.insert(nina)
    hot = {"definition": "press-hot", "title": "Press hot", "severity": "high"}
    for n in range(1, 31):
        made = episode(night(300 + n / 60), f"press-{n}", "open", **hot)
        seen = ActorStamp("nina", at(night(310))) if n > 2 else None
        plant.episodes.insert(replace(made, id=f"{n:024x}", acknowledged=seen))
    soon = {"definition": "soon", "title": "Soon moist"}
    made = episode(night(305), "oven-1", "open", **soon, is_prediction=True, valid_until=SIX)
    plant.episodes.insert(replace(made, acknowledged=ActorStamp("nina", at(night(310)))))
    submit(browser, "send", route="night")
    names = ", ".join(f"press-{n}" for n in range(1, 13))
    soon = "high: Soon moist on oven-1, since {}, expected by {}, seen by Nina Berg, not answered"
    group = "high: Press hot, 30 alarms since {}, 2 not seen: " + names + ", 18 more"
    taken = "on oven-2, since {}, taken over by Nina Berg, not answered"
    said = {
        text_of(browser.get(PAGE)): ("today 03:05", "today 06:10", "today 03:00", "today 05:10"),
        mail_of(plant): (
            "Wed 14 Jan 03:05",
            "Wed 14 Jan 06:10",
            "Wed 14 Jan 03:00",
            "Wed 14 Jan 05:10",
        ),
    }
    for text, (began, ends, hot_since, taken_since) in said.items():
        lines = (soon.format(began, ends), group.format(hot_since), taken.format(taken_since))
        assert lacks(text, *lines) == []
        places = [text.index(line) for line in lines]
        assert places == sorted(places)
    assert lacks(text_of(browser.get(PAGE)), "Open 32") == []


def test_a_group_of_ended_alarms_has_its_worst_severity_though_it_fell(browser, plant):
    for n in range(1, 6):
        made = episode(night(300 + n), f"press-{n}", definition="press-hot", title="Press hot")
        made = replace(made, severity="medium", severity_peak="critical" if n == 3 else "medium")
        plant.episodes.insert(replace(made, id=f"{n:024x}", closed_at=at(night(310))))
    assert lacks(text_of(browser.get(PAGE)), "critical: Press hot, 5 alarms since") == []


def test_an_answer_is_one_word(browser, plant):
    said = OutcomeRecord("false_alarm", "nothing came", False, None, False, True, 1)
    for n, (verdict, record) in enumerate((("false_alarm", said), ("false_alarm", None))):
        made = episode(night(300 + n), "oven-1", definition=f"d-{n}", title=f"Alarm {n}")
        answer = Feedback(made.id, verdict, None, None, None, "nina", made.closed_at)
        plant.episodes.insert(replace(made, feedback=(answer,), outcome_record=record))
    text = text_of(browser.get(PAGE))
    found = [re.search(rf"Alarm {n} on oven-1, .*?\), (false alarm|\w+)", text)[1] for n in (0, 1)]
    assert found == ["false alarm", "wrong"]
    assert "false alarm, wrong" not in text


def test_withdrawn_and_later_alarms_are_left_out_and_muted_ones_come_last(browser, plant):
    for number, (minute, changes) in enumerate(
        (
            (305, {"withdrawn": True}),
            (600, {}),
            (310, {"muted_by": "mute"}),
            (300, {"acknowledged": ActorStamp("ben", at(night(301)))}),
        )
    ):
        named = {"title": f"Alarm {number}", "definition": f"d{number}"}
        made = episode(night(minute), "oven-1", "open", **named)
        plant.episodes.insert(replace(made, id=f"{number:024x}", **changes))
    text = text_of(browser.get(PAGE))
    assert re.findall(r"Alarm \d", text) == ["Alarm 3", "Alarm 2"]
    said = ("seen by ben, not answered", "4 raised, 3 open, 3 not answered, 1 done")
    assert lacks(text, *said) == []


def test_mutes_of_the_line_stand_on_the_page_and_in_the_message(browser, plant):
    plant.assets.store_assets([Asset(name="line-2", title="Line 2")])
    for part, minute, definition in (
        ("line-1", 450, None),
        ("line-1", 600, "too-hot"),
        ("line-1", 1000, None),
        ("line-2", 450, None),
    ):
        times = (night(minute), night(minute + 60), "maintenance", "ann", night(440))
        about = {"part": part, "definition": definition, "reason": "belt change"}
        plant.mutes.insert(mute(*times, **about))
    page = text_of(browser.get(f"{PAGE}&line=line-1"))
    both = (
        "Maintenance: Line 1, today 05:30 to 06:30 (1 h): belt change (ann)",
        "Maintenance: Line 1, Too hot, today 08:00 to 09:00 (1 h): belt change (ann)",
    )
    assert (lacks(page, *both), page.count("belt change")) == ([], 2)
    submit(browser, "send", route="night", line="line-1")
    assert "- Maintenance: Line 1, Wed 14 Jan 05:30 to 06:30 (1 h): belt" in mail_of(plant)
