"""Pages of imports: their forms, what they refuse, and what they say in each state; and their
files: the same answers as the command, within bounds, and without traces."""

import html
import io
import json
import logging
import os
import re
import threading
from contextlib import nullcontext
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import openpyxl
import pytest
from fastapi import HTTPException
from pymongo.errors import AutoReconnect
from typer.testing import CliRunner

from alerting.cli.main import app
from alerting.console.plant import import_jobs as module
from alerting.console.plant.import_jobs import Choices, Imports, file_name
from alerting.definitions.faults import NotFound, UserError
from alerting.definitions.wording.clean_text import clean_line
from alerting.ports import AuditFilter, WantedHistory
from tests.builders import at
from tests.helpers.console.pages import csrf_of, lacks, text_of
from tests.helpers.console.uploads import (
    act,
    browser_of,
    european_file,
    page_of,
    sent,
)
from tests.helpers.hostile_files import GOOD, NAMES, UNREADABLE, contents
from tests.in_memory_platform import in_memory_platform

STOPS = (
    b"asset,type,start,end,operator\n"
    b"oven-1,stop,2026-01-05T00:10:00Z,2026-01-05T00:20:00Z,otto\n"
    b"oven-1,stop,2026-01-05T01:10:00Z,,anna\n"
)
FAULTY = """Datum;Ofen;Temperatur Zone 1 [°C]
01.03.2026 06:00:00;Ofen 1;201,5
31.02.2026 06:01:00;Ofen 1;202,5
;Ofen 1;202,5
01.03.2026 06:03:00;Ofen 1
heute;Ofen 1;200,1
""".encode("cp1252")


@pytest.fixture
def platform():
    return in_memory_platform()


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "imports"


@pytest.fixture
def browser(platform, folder):
    return browser_of(platform, folder)


def test_a_european_file_is_recognised_written_once_and_leads_to_its_data_until_it_is_deleted(
    browser, platform, folder
):
    content = european_file()
    answer = sent(browser, content, asset="oven-1", name="C:\\data\\Linie.csv")
    (file,) = folder.glob("*/file")
    assert (file.read_bytes(), folder.stat().st_mode & 0o77) == (content, 0)
    page = page_of(browser, answer)
    recognised = (
        "Linie.csv",
        "480 rows of oven-1, 2025-10-25 22:00:00 UTC to 2025-10-26 05:59:00 UTC",
        "Import 480 rows",
        "local time of Europe/Berlin",
        "60 stamps are of its first time and 60 of its second",
        "Encoding cp1252",
        "Temperatur_Zone_1 °C",
        "C:",
    )
    assert lacks(text_of(page), *recognised) == ["C:"]
    assert platform.assets.all() == []
    page = act(browser, page, "write")
    stored = ("480 rows are stored. 480 of them are new.", "New assets: oven-1")
    assert lacks(text_of(page), *stored) == []
    begin = datetime(2025, 10, 25, 22, tzinfo=UTC)
    span = (begin, begin + timedelta(hours=7, minutes=59))
    assert platform.readings.span("oven-1") == span
    path = page.request.url.path
    again = browser.post(f"{path}/write", data={"csrf": csrf_of(page)})
    assert again.status_code == 422
    (entry,) = platform.audit.find(AuditFilter(what="readings imported"), 9)
    assert (entry.actor, entry.subject) == ("emil", "Linie.csv")
    assert entry.origin.startswith("console ")
    draft = "/definitions/new?asset=oven-1&variable=Temperatur_Zone_1"
    links = map(html.unescape, re.findall(r'href="([^"]*Temperatur_Zone_1[^"]*)"', page.text))
    trend, new = sorted(links, reverse=True)
    shown = "2025-10-25 22:00 to 2025-10-26 06:00"  # not the last 8 hours, to 05:59
    assert (shown in text_of(browser.get(trend)), new) == (True, draft)
    assert "imported" in text_of(browser.get("/import"))
    twice = act(browser, page_of(browser, sent(browser, content, asset="oven-1")), "write")
    assert "480 rows are stored. 0 of them are new." in text_of(twice)
    for one in (page, twice):
        browser.post(f"{one.request.url.path}/delete", data={"csrf": csrf_of(page)})
    assert browser.get(path).status_code == 404
    assert list(folder.iterdir()) == []


LATE = (
    b'--b\r\ncontent-disposition: form-data; name="file"; filename="a.csv"\r\n\r\nts,t\r\n'
    b'--b\r\ncontent-disposition: form-data; name="csrf"\r\n\r\n'
)
"""A form that names its session after its file."""
WITH_BOUNDARY = "multipart/form-data; boundary=b"
NO_FORMS = [
    ("text/csv", b"ts,t\n"),
    ("multipart/form-data", b"ts,t\n"),
    (WITH_BOUNDARY, b"ts,t\n"),
    (WITH_BOUNDARY, b"--b\r\nx: " + b"y" * 9000 + b"\r\n\r\n"),
    (WITH_BOUNDARY, b"--b\r\n\r\n" + b"y" * 9000 + b"\r\n--b--\r\n"),
    (WITH_BOUNDARY, b"--b\r\ncontent-disposition: form-data\r\n\r\nx\r\n"),
]


def test_a_form_of_another_session_or_none_or_on_a_full_disk_stores_no_file(
    browser, folder, monkeypatch
):
    files = {"file": ("line.csv", european_file(), "text/csv")}
    for data in ({"csrf": "0" * 64}, {}):
        answer = browser.post("/import", data=data, files=files)
        assert (answer.status_code, "another session" in text_of(answer)) == (403, True)
    late = LATE + csrf_of(browser.get("/import")).encode() + b"\r\n--b--\r\n"
    answers = [
        browser.post("/import", content=body, headers={"content-type": kind}).status_code
        for kind, body in [(WITH_BOUNDARY, late), *NO_FORMS]
    ]
    assert answers == [403] + [422] * len(NO_FORMS)
    imports = browser.app.state.import_files
    real = imports.require_space
    monkeypatch.setattr("alerting.console.plant.import_jobs._ASKED_EVERY", 1000)
    sizes = iter([0, 1 << 60, 1 << 60])  # it fills while the file comes
    monkeypatch.setattr(imports, "require_space", lambda size=0: real(next(sizes)))
    assert sent(browser, european_file()).status_code == 429
    assert list(folder.glob("*")) == []


@pytest.mark.parametrize(
    ("content", "asked", "choices"),
    [
        (european_file(), "Asset", {"asset": "oven-1"}),
        (b"ts,t\n01/02/2026 06:00,1\n03/04/2026 06:00,2\n", "Format of times",
         {"time_format": "dd/mm/yyyy"}),
        (b"begun,ended,t\n2026-01-05T06:00:00Z,2026-01-05T07:00:00Z,1\n", "Column of the time",
         {"time": "begun"}),
        (GOOD + b"never,3\n", "Bad lines", {"skip_bad": "yes"}),
        (GOOD + b"2026-01-05T06:01:00Z,9\n", "Lines of the same time", {"duplicates": "mean"}),
    ],
)  # fmt: skip
def test_what_is_ambiguous_is_asked_for_and_the_choice_settles_it(browser, content, asked, choices):
    start = {} if "asset" in choices else {"asset": "x"}
    page = page_of(browser, sent(browser, content, **start))
    words = ("This file cannot be read like this", f"“{asked}”", "--")
    assert lacks(text_of(page), *words) == ["--"]
    assert re.search(rf'<label class="asked">{asked}\n', page.text)
    page = act(browser, page, "check", **start, **choices)
    assert re.search("Import [0-9]+ rows?", text_of(page))


HEAD = b"Press 4;a;b\nExported;c;d\nDate;Temp;Speed\n2026-01-05T06:00Z;1,5;2\n"
LONG = b"ts,name,text,value\n" + b"".join(
    b"2026-01-05T06:%02dZ,%s,x,%d.5\n" % (minute, name, minute)
    for minute in range(20)
    for name in (b"temp", b"speed")
)
QUALITY = b"ts,t,t q,u\n2026-01-05T06:00Z,1,bad,3\n2026-01-05T06:01Z,2,good,4\n"
MENDED = {
    "line of titles": (HEAD, {"header_line": "3"}, "3 titles Date;Temp;Speed"),
    "line tapped": (HEAD, {"tapped_line": "3", "header_line": "1"}, "3 titles Date;Temp;Speed"),
    "no titles": (b"2026-01-05T06:00Z;1\n2026-01-05T06:01Z;2\n",
                  {"header_line": "0", "columns": "ts, speed"}, "1 row 2026-01-05T06:00Z;1"),
    "long form": (LONG, {"variable_column": "name", "value_column": "value"},
                  "Variable name Value value"),
    "wide form": (LONG, {"is_wide": "yes", "duplicates": "last"}, "Import 20 rows"),
    "some columns": (QUALITY, {"only": "t"}, "Variables Column Name Type Unit Values Empty t new "
                     "as recognised number"),
    "quality": (QUALITY, {"quality_suffix": " q"}, "1 sample is of bad quality"),
    "sequence": (b"t\n1\n2\n", {"sequence": "1m", "start": "2026-01-05T06:00:00Z"},
                 "2026-01-05 06:01:00 UTC"),
    "steps and bad lines": (b"t\n1\n2\n", {"sequence": "1m", "skip_bad": "yes"},
                            "instead of “Bad lines”"),
}  # fmt: skip


def test_every_field_of_the_reading_plan_is_mended_on_the_page(browser):
    wrong = {}
    for name, (content, choices, expected) in MENDED.items():
        page = page_of(browser, sent(browser, content, asset="oven-1"))
        shown = text_of(act(browser, page, "check", asset="oven-1", **choices))
        if expected not in re.sub(r"number \(as recognised\)", "as recognised", shown):
            wrong[name] = shown
    assert wrong == {}


def test_a_type_and_a_name_stay_until_they_are_emptied_also_after_a_refusal(browser):
    page = page_of(browser, sent(browser, b"ts,a b,a_b\n2026-01-05T06:00Z,1,2\n", asset="x"))
    assert "would both be called a_b; rename one with “Name”" in text_of(page)
    row = {"title": ["a b", "a_b"], "before": ["", ""], "name": ["", "second"]}
    page = act(browser, page, "check", asset="x", **row, column_type=["category", ""])
    assert lacks(page.text, "Import 1 row", "<option selected>category") == []
    row = {"title": ["a b", "a_b"], "before": ["a_b", "second"], "name": ["a_b", ""]}
    page = act(browser, page, "check", asset="x", **row, column_type=["", ""])
    assert "would both be called" in text_of(page)
    assert "<option selected>" not in page.text


def test_the_first_lines_are_shown_cut_and_marked(browser):
    content = b"Report <b>;;\n" + b"ts;t;" + b"u" * 300 + b"\n;bar;\n2026-01-05T06:00Z;1;2\n"
    page = page_of(browser, sent(browser, content, asset="oven-1"))
    lines = re.findall(r'<tr class="([a-z-]+)"><th.*?<code>(.*?)</code>', page.text)
    marks = [mark for mark, _ in lines]
    assert marks == ["unread", "titles", "units", "row"]
    assert lines[0][1] == "Report &lt;b&gt;;;"
    assert len(lines[1][1]) == 200


def test_a_tab_is_called_so_before_and_after_the_choice(browser):
    content = b"ts\tt\n01/02/2026 06:00\t1\n03/04/2026 06:00\t2\n"
    page = page_of(browser, sent(browser, content, asset="x"))
    assert lacks(text_of(page), "“Format of times”", "Separator tab") == []
    page = act(browser, page, "check", asset="x", time_format="dd/mm/yyyy")
    assert lacks(text_of(page), "Import 2 rows", "Separator tab") == []


def test_a_sheet_of_a_workbook_is_chosen_from_its_sheets_and_chosen_again_for_the_next(browser):
    made = openpyxl.Workbook()
    for sheet in (made.active, made.create_sheet("Line 2")):
        sheet.append(["Zeit", "Temp [°C]"])
        for minute in range(3):
            sheet.append([datetime(2026, 1, 5, 6, minute), 20.5])  # noqa: DTZ001
    made.active.title = "Line 1"
    content = io.BytesIO()
    made.save(content)
    page = page_of(browser, sent(browser, content.getvalue(), asset="x", name="week.xlsx"))
    assert "week.xlsx holds tables on several sheets: 'Line 1', 'Line 2'; " in text_of(page)
    options = r'<label class="asked">Sheet\s*<select name="sheet">.*value="Line 2">Line 2</option>'
    assert re.search(options, page.text)
    page = act(browser, page, "check", asset="x", sheet="Line 2")
    words = ("Sheet Line 2", "Import 3 rows", "3 row 2026-01-05 06:01:00 20.5", "Encoding utf-8")
    assert lacks(text_of(page), *words) == ["Encoding utf-8"]
    act(browser, page, "write")
    made["Line 2"]["B2"] = 30
    made.save(content)
    page = page_of(browser, sent(browser, content.getvalue(), asset="x", name="next.xlsx"))
    assert "Sheet Line 2" in text_of(page)


def test_what_was_stated_fills_the_choices_of_the_next_file_of_the_form(browser, platform):
    lines = b"When;Temp\n01/02/2026 06:00;1,5\n01/03/2026 06:00;2,5\n"
    page = page_of(browser, sent(browser, lines, name="press.csv", asset="press-1"))
    stated = {"time_format": "dd/mm/yyyy", "title": "Temp", "before": "Temp", "name": "t"}
    page = act(browser, page, "check", asset="press-1", missing="ERR\r\noff", **stated)
    act(browser, page, "write")
    page = page_of(browser, sent(browser, lines, name="next.csv", asset="press-2"))
    note = "Read like press.csv of 2026-01-05: “Format of times” dd/mm/yyyy, “Name” Temp=t"
    assert lacks(text_of(page), note, "Import 2 rows", "--") == ["--"]
    assert ('value="t"' in page.text, ">ERR\noff</textarea>" in page.text) == (True, True)
    emptied = {"title": "Temp", "before": "t", "name": ""}
    page = act(browser, page, "check", asset="press-2", time_format="mm/dd/yyyy", **emptied)
    assert "Read like" not in text_of(page)
    act(browser, page, "write")
    assert set(platform.assets.get("press-2").variables) == {"Temp"}
    page = page_of(browser, sent(browser, lines, name="third.csv", asset="press-3"))
    assert "Read like next.csv of 2026-01-05: “Format of times” mm/dd/yyyy; change" in text_of(page)


def test_events_are_recognised_by_their_columns_and_written(browser, platform):
    page = page_of(browser, sent(browser, STOPS, name="stops.csv"))
    row = "2026-01-05 00:10:00 UTC 2026-01-05 00:20:00 UTC stop otto"
    assert lacks(text_of(page), "stop (lasting)", "operator", row) == []
    assert platform.assets.event_types() == []
    assert "2 rows are stored" in text_of(act(browser, page, "write"))
    oven = platform.assets.get("oven-1")
    events = platform.readings.load(
        WantedHistory(oven, at(600), at(600), (), events_since=at(0))
    ).events
    assert list(events["type"]) == ["stop", "stop"]


def test_columns_get_the_names_that_a_person_gives_them(browser, platform):
    alike = sent(browser, b"ts,a b,a-b!\n2026-01-05T06:00:00Z,1,2\n", asset="x")
    assert "Import 1 row" in text_of(page_of(browser, alike))
    page = page_of(browser, sent(browser, european_file(), asset="oven-1"))
    row = {"title": "Temperatur Zone 1 [°C]", "before": "Temperatur_Zone_1", "asset": "oven-1"}
    page = act(browser, page, "check", **row, name="2 x")
    assert "'2 x' is not a legal name" in text_of(page)
    page = act(browser, page, "check", **row, name="zone_1")
    page = act(browser, page, "check", asset="oven-1", zone="Europe/Berlin")  # the name stays
    act(browser, page, "write")
    assert platform.assets.get("oven-1").variables["zone_1"].title == "Temperatur Zone 1"


def test_bad_lines_are_told_left_out_when_one_says_so_and_sent_with_their_reasons(browser):
    of_no_asset = page_of(browser, sent(browser, FAULTY, name="Linie.csv"), "de")
    assert "Linie.csv: there is no column 'asset'; name it with" in text_of(of_no_asset)
    answer = sent(browser, FAULTY, name="Linie.csv", asset="oven-1")
    page = page_of(browser, answer)
    refused = ("Linie.csv was not imported", "line 4, column Datum: there is no time")
    assert lacks(text_of(page), *refused) == []
    path = page.request.url.path
    assert browser.get(f"{path}/rejects").status_code == 404
    page = act(browser, page, "check", asset="oven-1", skip_bad="yes")
    assert "4 of the lines are left out" in text_of(page)
    browser.post(f"{path}/write", data={"csrf": csrf_of(page)})
    page = page_of(browser, browser.post(f"{path}/take-back", data={"csrf": csrf_of(page)}))
    assert browser.get(f"{path}/rejects").text.startswith("line,column,reason,original")


def test_a_cell_of_a_hostile_file_is_text_on_the_page(browser):
    rows = "".join(f"2026-01-05T06:{n:02}:00Z,{n},<b>x</b>\n" for n in range(20))
    bad = "2026-01-05T07:00:00Z,<script>alert(1)</script>,y\n"
    content = f"ts,t,<i>title</i>\n{rows}{bad}".encode()
    page = page_of(browser, sent(browser, content, asset="oven-1", name="<u>a</u>.csv"))
    marks = ["<script>", "<b>", "<i>", "<u>"]
    assert lacks(page.text, *marks, "&lt;script&gt;") == marks
    assert "line 22, column t" in text_of(page)


def test_readings_of_a_wrong_zone_are_removed_and_read_in_the_right_one(browser, platform):
    lines = b"ts,t\n2026-01-05 06:00,1.5\n2026-01-05 06:01,1.6\n"
    page = page_of(browser, sent(browser, lines, asset="oven-1"))
    page = act(browser, page, "check", asset="oven-1", zone="UTC")
    page = act(browser, act(browser, page, "write"), "take-back")
    assert "2 rows are stored exactly as in this file." in text_of(page)
    page = act(browser, page, "write")
    assert "2 rows were removed." in text_of(page)
    assert platform.readings.span("oven-1") is None
    right = {"asset": "oven-1", "zone": "Europe/Berlin"}
    page = act(browser, page, "check", take_back="yes", **right)
    none = "0 rows are stored exactly as in this file. To find them, read the file as"
    assert lacks(text_of(page), none, "Remove 0 rows") == ["Remove 0 rows"]
    page = act(browser, page, "check", **right)
    assert "2 rows are stored." in text_of(act(browser, page, "write"))
    assert platform.readings.span("oven-1")[0] == datetime(2026, 1, 5, 5, tzinfo=UTC)


FILES = contents() | {name: content for name, (content, _) in UNREADABLE.items()}
FOR_SECONDS = {"a quotation mark that never closes", "table, 3,000 columns"}
"""Files whose reading takes seconds; the tests of the command have them."""
A_HANG_S = 120


@pytest.fixture
def imports(tmp_path):
    return Imports(tmp_path / "imports")


def arrived(imports, content):
    """Return an import whose file has arrived."""
    one = imports.admit("line.csv", "emil", len(content), Choices(stated={"asset": ("oven-1",)}))
    one.file.write_bytes(content)
    return one


def checked(imports, platform, content):
    one = arrived(imports, content)
    imports.check(platform, one, one.choices)
    assert one.over.wait(A_HANG_S)
    return one


def written(imports, platform, one):
    imports.write(platform, one, "emil")
    assert one.over.wait(A_HANG_S)
    return one


def by_command(file, monkeypatch):
    """Return the assets that the command has made of a file, and why it refused it, if it did."""
    platform = in_memory_platform()
    words = ["import", "readings", "--asset", "oven-1", "--json", "--", str(file)]
    with monkeypatch.context() as patch:  # undone here: a patch keeps what it replaces
        patch.setattr("alerting.wiring.open_platform", lambda *_, **__: nullcontext(platform))
        done = CliRunner().invoke(app, words)
    assert done.exit_code in (0, 1), done.output[:500]
    return platform.assets.all(), json.loads(done.stdout)["refused"] if done.exit_code else ""


def test_an_upload_gets_the_answer_of_the_command(tmp_path, monkeypatch, imports):
    monkeypatch.delenv("ALERTING_TIMEZONE", raising=False)
    file = tmp_path / "line.csv"
    wrong = {}
    states = set()
    for name in FILES.keys() - FOR_SECONDS:
        content = FILES[name]
        file.write_bytes(content)
        assets, refused = by_command(file, monkeypatch)
        platform = in_memory_platform()
        one = checked(imports, platform, content)
        if one.state == "checked":
            written(imports, platform, one)
        states.add(one.state)
        said = re.sub(rf"{re.escape(str(one.file))}|line\.csv", "", one.fault)
        if platform.assets.all() != assets or said != refused.replace(str(file), ""):
            wrong[name] = (refused, one.fault)
        imports.remove(one)
    assert (wrong, states) == ({}, {"done", "refused"})


def test_no_name_of_a_file_leads_out_of_its_folder_or_stops_a_page():
    shown = {name: file_name(os.fsdecode(raw)) for name, raw in NAMES.items()}
    cleaned = {name: clean_line(text).replace("/", "") for name, text in shown.items()}
    assert shown == cleaned
    assert "" not in shown.values()


class Turnstile:
    """Assets that wait at a gate, so that an import is under way until it opens."""

    def __init__(self, assets):
        self._assets = assets
        self.opened = threading.Event()
        self.reached = threading.Event()

    def all(self):
        self.reached.set()
        assert self.opened.wait(60)
        return self._assets.all()

    def __getattr__(self, name):
        return getattr(self._assets, name)


@pytest.fixture
def gate(platform):
    return Turnstile(platform.assets)


def test_four_files_are_under_way_at_once(imports, platform, gate):
    slow = replace(platform, assets=gate)
    for _ in range(module.MOST_AT_ONCE):
        one = arrived(imports, GOOD)
        imports.check(slow, one, one.choices)
    with pytest.raises(HTTPException, match="4 files are being imported"):
        arrived(imports, GOOD)
    with pytest.raises(UserError, match="being worked at"):
        imports.check(slow, one, one.choices)
    gate.opened.set()
    for one in imports.all():
        assert one.over.wait(A_HANG_S)
        assert one.state == "checked"
    arrived(imports, GOOD)


def test_the_oldest_of_twenty_imports_makes_room_and_a_day_or_a_new_process_removes_all(
    imports, platform, tmp_path
):
    found = [checked(imports, platform, GOOD) for _ in range(module.MOST_IMPORTS + 1)]
    assert imports.all() == found[:0:-1]
    files = tmp_path / "imports"
    assert len(list(files.iterdir())) == module.MOST_IMPORTS
    imports.tidy(datetime.now(UTC) + timedelta(hours=23))
    assert len(imports.all()) == module.MOST_IMPORTS
    imports.tidy(datetime.now(UTC) + timedelta(hours=25))
    assert list(files.iterdir()) == []
    one = checked(imports, platform, GOOD)
    with pytest.raises(NotFound):
        Imports(files).find(one.id)
    assert not one.file.exists()


def test_a_deleted_import_stops_and_its_file_is_gone(imports, platform, gate, tmp_path, caplog):
    one = checked(imports, platform, GOOD)
    imports.write(replace(platform, assets=gate), one, "emil")
    assert gate.reached.wait(60)
    imports.remove(one)
    gate.opened.set()
    assert one.over.wait(A_HANG_S)
    assert platform.readings.span("oven-1") is None
    assert list((tmp_path / "imports").iterdir()) == []
    assert [r for r in caplog.records if r.levelno >= logging.WARNING] == []


def test_a_fault_of_the_database_leaves_an_import_that_can_be_continued(
    imports, platform, monkeypatch
):
    one = checked(imports, platform, GOOD)

    def away(*_):
        raise AutoReconnect("away")

    monkeypatch.setattr(platform.reading_writes, "insert", away)
    assert written(imports, platform, one).state == "failed"
    assert "continue the import" in one.fault
    monkeypatch.undo()
    assert written(imports, platform, one).state == "done"
