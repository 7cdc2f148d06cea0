"""Refusals of files, and what was recognised in them, are in the language of the reader; programs
read English."""

import html
import re

import pytest

from tests.helpers.console.pages import csrf_of
from tests.helpers.console.uploads import ENGINEER_TOKEN, client_of, ended
from tests.in_memory_platform import in_memory_platform

FAULTY = """Datum;Ofen;Temperatur Zone 1 [°C]
01.03.2026 06:00:00;Ofen 1;201,5
31.02.2026 06:01:00;Ofen 1;202,5
;Ofen 1;202,5
01.03.2026 06:03:00;Ofen 1
heute;Ofen 1;200,1
""".encode("cp1252")


@pytest.fixture
def browser(tmp_path):
    made = client_of(in_memory_platform(), tmp_path / "imports")
    made.post("/login", data={"token": ENGINEER_TOKEN, "next": "/"})
    return made


def import_page(browser, language, **choices):
    """Return the address and text of the page of the faulty file after its check."""
    csrf = csrf_of(browser.get("/import"))
    sent = {"csrf": csrf, **choices}
    address = browser.post(
        "/import", data=sent, files={"file": ("Linie.csv", FAULTY, "text/csv")}
    ).headers["location"]
    ended(browser, address.rpartition("/")[2], {})
    return address, read(browser, address, language)


def read(browser, address, language):
    page = browser.get(address, headers={"accept-language": language}).text
    return html.unescape(" ".join(re.sub(r"<[^>]+>", " ", page).split())).replace("\u00a0", " ")


@pytest.mark.parametrize(
    ("language", "expected"),
    [
        (
            "de",
            [
                "Linie.csv wurde nicht importiert (mit „Fehlerhafte Zeilen“ werden",
                "Zeile 3, Spalte Datum: '31.02.2026 06:01:00' ist kein Datum mit Uhrzeit",
                "Zeile 4, Spalte Datum: die Zeit fehlt",
                "Zeile 5: 2 Felder, die Kopfzeile nennt 3",
                "Zeile 6, Spalte Datum: 'heute' ist kein Zeitpunkt",
            ],
        ),
        (
            "fr",
            [
                "été importé (avec",
                "ligne 4, colonne Datum :",
                "ligne 5 : 2 champs",
            ],
        ),
        ("en", ["Linie.csv was not imported", "line 4, column Datum: there is no time"]),
    ],
)
def test_the_lines_of_a_refused_file_are_told_in_the_language_of_the_reader(
    browser, language, expected
):
    _, text = import_page(browser, language, asset="oven-1")
    for sentence in expected:
        assert sentence in text


def test_a_missing_column_of_the_asset_is_told_with_the_names_of_the_choices(browser):
    _, text = import_page(browser, "de")
    assert "Linie.csv: es gibt keine Spalte 'asset'; nennen Sie sie mit „Spalte der Anlage“" in text
    assert "(oder eine Anlage für alle Zeilen mit „Anlage“)" in text


def test_notes_on_a_file_are_told_in_the_language_of_each_reader(browser):
    address, _ = import_page(browser, "de", asset="Ofen 1")
    csrf = csrf_of(browser.get("/import"))
    browser.post(f"{address}/check", data={"csrf": csrf, "asset": "Ofen 1", "skip_bad": "yes"})
    ended(browser, address.rpartition("/")[2], {})
    expected = {
        "de": "Texte, die keine Namen von Anlagen sind: 'Ofen 1' ist Ofen_1",
        "fr": "Textes qui ne sont pas des noms d\u2019équipements : 'Ofen 1' est Ofen_1",
        "en": "Texts that are no names of assets: 'Ofen 1' is Ofen_1",
    }
    for language, note in expected.items():
        assert note in read(browser, address, language)


def test_programs_read_the_reason_in_english_also_of_a_german_person(browser):
    address, _ = import_page(browser, "de", asset="oven-1")
    found = browser.get(
        f"/api/v1/imports/{address.rpartition('/')[2]}", headers={"accept-language": "de"}
    ).json()
    assert "line 4, column Datum: there is no time" in found["fault"]


def test_the_file_of_rejected_lines_is_in_the_language_of_its_reader(browser):
    address, _ = import_page(browser, "de", asset="oven-1")
    id = address.rpartition("/")[2]
    sent = {"csrf": csrf_of(browser.get("/import")), "asset": "oven-1", "skip_bad": "yes"}
    browser.post(f"{address}/check", data=sent)
    ended(browser, id, {})
    browser.post(f"{address}/write", data={"csrf": sent["csrf"]})
    ended(browser, id, {})
    german = {"accept-language": "de"}
    assert f'href="{address}/rejects"' in browser.get(address, headers=german).text
    lines = browser.get(f"{address}/rejects", headers=german).text.splitlines()
    assert lines[0] == "Zeile der Datei,Spalte,Grund,Ursprüngliche Zeile"
    assert lines[1].startswith("3,Datum,\"'31.02.2026 06:01:00' ist kein Datum mit Uhrzeit")
    assert lines[2].startswith("4,Datum,die Zeit fehlt,")
    program = browser.get(f"/api/v1/imports/{id}/rejects", headers=german).text.splitlines()
    assert program[0] == "line,column,reason,original"
    assert len(program) == len(lines) > 3
