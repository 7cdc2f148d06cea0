"""Pages of imports: their forms, what they refuse, and what they say in each state."""

import html
import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from alerting.adapters.files.upload_folder import UploadFolder
from alerting.ports import ImportJob
from tests.helpers.console.pages import csrf_of
from tests.helpers.console.uploads import (
    ENGINEER_TOKEN,
    URL,
    checked,
    client_of,
    ended,
    european_file,
)
from tests.in_memory_platform import in_memory_platform

AMBIGUOUS = b"ts,t\n01/02/2026 06:00,1\n03/04/2026 06:00,2\n"


@pytest.fixture
def platform():
    return in_memory_platform()


@pytest.fixture
def browser(platform, tmp_path):
    made = client_of(platform, tmp_path / "imports")
    made.post("/login", data={"token": ENGINEER_TOKEN, "next": "/"})
    return made


def form_of(browser):
    return csrf_of(browser.get("/import"))


def sent(browser, content, name="line.csv", **fields):
    data = {"csrf": form_of(browser), **fields}
    return browser.post("/import", data=data, files={"file": (name, content, "text/csv")})


def text_of(answer):
    return html.unescape(" ".join(re.sub(r"<[^>]+>", " ", answer.text).split()))


def page_after(browser, address):
    """Return the page of an import after its work."""
    ended(browser, address.rpartition("/")[2], {})
    return browser.get(address)


def test_a_file_sent_by_the_form_is_on_the_disk_alone_and_leads_to_its_page(browser, tmp_path):
    content = european_file()
    answer = sent(browser, content, asset="oven-1", name="C:\\data\\Linie.csv")
    assert answer.status_code == 303
    (file,) = (tmp_path / "imports").glob("*/file")
    assert file.read_bytes() == content
    text = text_of(page_after(browser, answer.headers["location"]))
    assert "Linie.csv" in text and "C:" not in text
    assert "480 rows of oven-1" in text and "Import 480 rows" in text


def test_a_form_of_another_session_stores_no_file(browser, tmp_path):
    files = {"file": ("line.csv", european_file(), "text/csv")}
    for data in ({"csrf": "0" * 64}, {}):
        answer = browser.post("/import", data=data, files=files)
        assert answer.status_code == 403
        assert "another session" in text_of(answer)
    assert list((tmp_path / "imports").glob("*")) == []


def test_a_field_of_the_session_behind_the_file_comes_too_late(browser, tmp_path):
    csrf = form_of(browser)
    body = (
        b'--b\r\ncontent-disposition: form-data; name="file"; filename="a.csv"\r\n\r\nts,t\r\n'
        b'--b\r\ncontent-disposition: form-data; name="csrf"\r\n\r\n' + csrf.encode() + b"\r\n"
        b"--b--\r\n"
    )
    kind = {"content-type": "multipart/form-data; boundary=b"}
    assert browser.post("/import", content=body, headers=kind).status_code == 403
    assert list((tmp_path / "imports").glob("*")) == []


def test_without_a_file_the_form_says_so(browser, platform):
    answer = sent(browser, b"", name="")
    assert (answer.status_code, platform.import_jobs.all()) == (422, [])
    assert "Choose a file" in text_of(answer)


def test_what_was_typed_stays_when_a_file_is_refused(browser, platform, monkeypatch):
    typed = {"asset": "oven-1", "what": "events"}
    without = sent(browser, b"", name="", **typed)
    monkeypatch.setattr(UploadFolder, "free", lambda _: 1 << 20)
    full = sent(browser, european_file(), **typed)
    assert (without.status_code, full.status_code) == (422, 429)
    assert int(full.headers["retry-after"]) > 0
    assert "too little free space" in text_of(full)
    for page in (without.text, full.text):
        assert '<input name="asset" value="oven-1"' in page
        assert '<option value="events" selected>' in page
    assert platform.import_jobs.all() == []


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("text/csv", b"ts,t\n"),
        ("multipart/form-data", b"ts,t\n"),
        ("multipart/form-data; boundary=b", b"ts,t\n"),
        ("multipart/form-data; boundary=b", b"--b\r\nx: " + b"y" * 9000 + b"\r\n\r\n"),
        ("multipart/form-data; boundary=b", b"--b\r\n\r\n" + b"y" * 9000 + b"\r\n--b--\r\n"),
        ("multipart/form-data; boundary=b", b"--b\r\ncontent-disposition: form-data\r\n\r\nx\r\n"),
    ],
)
def test_a_body_that_is_no_form_with_a_file_is_refused(browser, platform, kind, body):
    answer = browser.post("/import", content=body, headers={"content-type": kind})
    assert answer.status_code == 422
    assert platform.import_jobs.all() == []


def test_what_is_ambiguous_is_chosen_on_the_page_with_the_likely_answers_first(browser):
    address = sent(browser, AMBIGUOUS, asset="oven-1").headers["location"]
    page = page_after(browser, address)
    assert "whether the day or the month comes first; choose “Format of times” dd/mm/yyyy" in (
        text_of(page)
    )
    choice = page.text.partition('name="time_format"')[2].partition("</select>")[0]
    values = re.findall(r'value="([^"]*)"', choice)
    assert {*values[1:3]} == {"dd/mm/yyyy", "mm/dd/yyyy"}
    data = {"csrf": csrf_of(page), "asset": "oven-1", "time_format": "mm/dd/yyyy"}
    assert browser.post(f"{address}/check", data=data).headers["location"] == address
    assert "2026-01-02 05:00:00 UTC" in text_of(page_after(browser, address))


def test_events_with_columns_of_any_name_are_chosen_on_the_page(browser):
    """Each choice stands there once: a second, empty one refused what the first had named."""
    stops = b"Anlage;Art;Beginn;Ende\noven-1;Halt;13.01.2026 06:00;13.01.2026 06:10\n"
    address = sent(browser, stops, name="stops.csv", what="events").headers["location"]
    page = page_after(browser, address)
    data = {"what": "events", "asset_column": "Anlage", "type_column": "Art", "time": "Beginn"}
    for further in ({}, {"end_column": "Ende"}):
        fields = re.findall(r'<(?:input|select)[^>]* name="(\w+)"', page.text)
        assert fields.count("type_column") == fields.count("duration") == 1
        browser.post(f"{address}/check", data={**data, **further, "csrf": csrf_of(page)})
        page = page_after(browser, address)
        if not further:
            assert "Name with “Column of the end” the one of the ends" in text_of(page)
    assert "1 row of oven-1" in text_of(page) and "Halt" in text_of(page)


def test_a_name_that_is_none_is_refused_in_a_sentence(browser):
    address = sent(browser, european_file(), asset="oven-1").headers["location"]
    page = page_after(browser, address)
    titles = {"title": "Rezeptur", "before": "Rezeptur", "name": "2 x"}
    data = {"csrf": csrf_of(page), "asset": "oven-1", **titles}
    browser.post(f"{address}/check", data=data)
    assert "'2 x' is not a legal name" in text_of(page_after(browser, address))
    long = {**data, "name": "x" * 300}
    assert browser.post(f"{address}/check", data=long).status_code == 422


def test_a_file_is_written_from_the_page_and_leads_to_its_data_and_to_an_alert(browser):
    address = sent(browser, european_file(), asset="oven-1").headers["location"]
    csrf = csrf_of(page_after(browser, address))
    assert browser.post(f"{address}/write", data={"csrf": csrf}).status_code == 303
    page = page_after(browser, address)
    assert "480 rows are stored." in text_of(page)
    (link,) = re.findall(
        r'href="(/trends\?asset=oven-1&amp;variable=Temperatur_Zone_1&amp;[^"]*)"', page.text
    )
    trend = text_of(browser.get(html.unescape(link)))
    assert "2025-10-25 22:00 to 2025-10-26 06:00" in trend  # not the last 8 hours, to 05:59
    assert 'href="/definitions/new?asset=oven-1&amp;variable=Temperatur_Zone_1"' in page.text
    assert "imported" in text_of(browser.get("/import"))
    browser.post(f"{address}/delete", data={"csrf": csrf})
    assert browser.get(address).status_code == 404


def test_an_alert_of_a_file_with_several_assets_or_variables_is_about_none_of_them_yet(browser):
    of_two = b"ts,asset,a\n2026-01-02T06:00Z,b-1,1\n2026-01-02T06:00Z,b-2,2\n"
    two_variables = b"ts,a,b\n2026-01-02T06:00Z,1,2\n2026-01-02T06:01Z,1,2\n"
    for content, asset, link in (
        (of_two, "", "/definitions/new"),
        (two_variables, "oven-1", "/definitions/new?asset=oven-1"),
    ):
        address = sent(browser, content, asset=asset).headers["location"]
        csrf = csrf_of(page_after(browser, address))
        browser.post(f"{address}/write", data={"csrf": csrf})
        assert (
            f'<a class="go" href="{link}">Make an alert of it' in page_after(browser, address).text
        )


def test_a_write_under_way_shows_its_progress_and_one_without_a_worker_can_be_continued(
    browser, platform
):
    now = datetime.now(UTC)
    job = ImportJob("0" * 12, "line.csv", "emil", now, 9, state="writing", seen_at=now)
    platform.import_jobs.insert(replace(job, step="writing", progress=0.25))
    page = browser.get(f"/import/{job.id}")
    assert 'http-equiv="refresh"' in page.text and 'value="25"' in page.text
    silent = replace(job, version=2, seen_at=now - timedelta(minutes=2))
    assert platform.import_jobs.replace(silent)
    page = browser.get(f"/import/{job.id}")
    assert 'http-equiv="refresh"' not in page.text
    assert "The import was interrupted" in text_of(page)


def test_a_cell_of_a_hostile_file_is_text_on_the_page(browser):
    rows = "".join(f"2026-01-05T06:{n:02}:00Z,{n},<b>x</b>\n" for n in range(20))
    bad = "2026-01-05T07:00:00Z,<script>alert(1)</script>,y\n"
    content = f"ts,t,<i>title</i>\n{rows}{bad}".encode()
    address = sent(browser, content, asset="oven-1", name="<u>a</u>.csv").headers["location"]
    page = page_after(browser, address).text
    for mark in ("<script>", "<b>", "<i>", "<u>"):
        assert mark not in page


def test_the_page_shows_stored_values_to_their_last_digit(browser):
    content = b"ts,t\n2026-01-05T06:00:00Z,1234.5678\n2026-01-05T06:01:00Z,200.5\n"
    found = checked(browser, content, asset="oven-1")
    assert browser.get(f"{URL}/{found['id']}").json()["preview"][0]["values"] == {"t": 1234.5678}
    german = browser.get(f"/import/{found['id']}", headers={"accept-language": "de"})
    assert "1234,5678" in german.text and "200,5" in german.text


def test_events_of_a_wrong_import_are_removed_from_its_page_after_they_are_counted(
    browser, platform
):
    stops = (
        b"asset,type,start,end\noven-1,stop,2026-01-05T00:10:00Z,2026-01-05T00:20:00Z\n"
        b"oven-1,stop,2026-01-05T01:10:00Z,\n"
    )
    address = sent(browser, stops, name="stops.csv").headers["location"]
    form = {"csrf": csrf_of(page_after(browser, address))}
    browser.post(f"{address}/write", data=form)
    assert "Remove these rows" in text_of(page_after(browser, address))
    browser.post(f"{address}/take-back", data=form)
    asked = text_of(page_after(browser, address))
    assert "2 rows are stored exactly as in this file. Nothing is removed yet." in asked
    assert platform.reading_writes.has_events("stop")
    assert "Remove 2 rows" in asked and "Import 2 rows" not in asked
    browser.post(f"{address}/write", data=form)
    done = text_of(page_after(browser, address))
    assert "2 rows were removed." in done and "Remove these rows" not in done
    assert not platform.reading_writes.has_events("stop")
    # to read it rightly and import it again, the file is still here
    assert "Read the file in another way" in done
    browser.post(f"{address}/read-again", data=form)
    assert "Import 2 rows" in text_of(page_after(browser, address))


def test_readings_of_a_wrong_zone_are_removed_and_read_in_the_right_one(browser, platform):
    lines = b"ts,t\n2026-01-05 06:00,1.5\n2026-01-05 06:01,1.6\n"
    address = sent(browser, lines, asset="oven-1").headers["location"]
    form = {"csrf": csrf_of(page_after(browser, address)), "asset": "oven-1"}
    browser.post(f"{address}/check", data={**form, "zone": "UTC"})
    page_after(browser, address)
    browser.post(f"{address}/write", data=form)
    page_after(browser, address)
    browser.post(f"{address}/take-back", data=form)
    assert "2 rows are stored exactly as in this file." in text_of(page_after(browser, address))
    browser.post(f"{address}/write", data=form)
    assert "2 rows were removed." in text_of(page_after(browser, address))
    assert platform.readings.span("oven-1") is None
    browser.post(f"{address}/check", data={**form, "zone": "Europe/Berlin"})
    page_after(browser, address)
    browser.post(f"{address}/write", data=form)
    assert "2 rows are stored." in text_of(page_after(browser, address))
    assert platform.readings.span("oven-1")[0] == datetime(2026, 1, 5, 5, tzinfo=UTC)


def test_a_file_that_is_not_stored_has_nothing_to_remove(browser):
    address = sent(browser, european_file(), asset="oven-1").headers["location"]
    form = {"csrf": csrf_of(page_after(browser, address)), "asset": "oven-1", "take_back": "yes"}
    browser.post(f"{address}/check", data=form)
    text = text_of(page_after(browser, address))
    assert "0 rows are stored exactly as in this file. To find them, read the file as" in text
    assert "Remove 0 rows" not in text


def test_rows_that_stay_stored_are_said_with_what_to_do(browser, platform, monkeypatch):
    address = sent(browser, european_file(), asset="oven-1").headers["location"]
    form = {"csrf": csrf_of(page_after(browser, address)), "asset": "oven-1"}
    browser.post(f"{address}/write", data=form)
    page_after(browser, address)
    browser.post(f"{address}/take-back", data=form)
    asked = text_of(page_after(browser, address))
    monkeypatch.setattr(platform.reading_writes, "delete_samples", lambda rows: None)
    browser.post(f"{address}/write", data=form)
    done = text_of(page_after(browser, address))
    found = re.search(r"(\d+) rows are stored exactly as in this file", asked)[1]
    assert "0 rows were removed." in done
    assert f"{found} rows are still stored: those of archived months stay. Mark their" in done
