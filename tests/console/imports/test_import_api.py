"""Imports over the REST API: recognised, refused with what is to be chosen, written, gone on."""

import logging
import threading
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from pymongo.errors import AutoReconnect

from alerting.adapters.files.upload_folder import UploadFolder
from alerting.ports import AuditFilter, ImportJob
from alerting.usecases.ingestion import uploads
from tests.helpers.console.api import OPERATOR, SENDER, VIEWER, expect_problem
from tests.helpers.console.uploads import (
    EMIL,
    URL,
    checked,
    client_of,
    ended,
    european_file,
    send,
    written,
)
from tests.in_memory_platform import in_memory_platform

GOOD = b"ts,t\n2026-01-05T06:00:00Z,1.5\n2026-01-05T06:01:00Z,2.5\n"
BAD_LINE = GOOD + b"never,3\n"


@pytest.fixture
def platform():
    return in_memory_platform()


@pytest.fixture
def client(platform, tmp_path):
    return client_of(platform, tmp_path / "imports")


def test_a_european_file_is_recognised_and_nothing_is_written_before_one_says_so(client, platform):
    found = checked(client, european_file(), asset="oven-1", name="../x/Linie 1.csv")
    assert (found["state"], found["name"], found["fault"]) == ("checked", "Linie 1.csv", None)
    form = found["understood"]["form"]
    assert (form["separator"], form["decimal"], form["encoding"]) == (";", ",", "cp1252")
    assert (form["time_format"], form["zone"]) == ("dd.mm.yyyy", "Europe/Berlin")
    number, text = found["understood"]["columns"]
    assert (number["name"], number["unit"], number["type"]) == ("Temperatur_Zone_1", "°C", "number")
    assert (text["name"], text["type"]) == ("Rezeptur", "category")
    assert "60 stamps are of its first time and 60 of its second" in found["understood"]["notes"][0]
    assert found["preview"][0] == {
        "asset": "oven-1",
        "ts": "2025-10-25T22:00:00Z",
        "values": {"Temperatur_Zone_1": 200.5, "Rezeptur": "A0"},
        "type": None,
        "end": None,
    }
    assert platform.assets.all() == []


def test_a_checked_file_is_written_once_and_its_counts_are_shown(client, platform, tmp_path):
    found = checked(client, european_file(), asset="oven-1")
    done = written(client, found["id"])
    assert done["state"] == "done"
    counts = {name: done["result"][name] for name in ("rows", "new", "created", "assets")}
    assert counts == {"rows": 480, "new": 480, "created": ["oven-1"], "assets": ["oven-1"]}
    assert platform.readings.span("oven-1") == (
        datetime(2025, 10, 25, 22, tzinfo=UTC),
        datetime(2025, 10, 26, 5, 59, tzinfo=UTC),
    )
    assert UploadFolder(tmp_path / "imports").has_file(found["id"])  # to take it back
    again = expect_problem(client.post(f"{URL}/{found['id']}:write", headers=EMIL), 422)
    assert "imported already" in again
    twice = written(client, checked(client, european_file(), asset="oven-1")["id"])
    assert (twice["result"]["rows"], twice["result"]["new"]) == (480, 0)
    (entry,) = platform.audit.find(AuditFilter(what="readings imported"), 9)
    assert (entry.actor, entry.subject) == ("emil", "file")
    assert entry.origin.startswith("console ")


def test_a_large_file_does_not_stay_after_it_was_written(client, tmp_path, monkeypatch):
    monkeypatch.setattr("alerting.usecases.ingestion.uploads.MOST_LEFT", 1000)
    found = checked(client, european_file(), asset="oven-1")
    written(client, found["id"])
    assert not UploadFolder(tmp_path / "imports").has_file(found["id"])
    url = f"{URL}/{found['id']}:check"
    refused = client.post(url, json={"take_back": True}, headers=EMIL)
    assert "imported already" in expect_problem(refused, 422)


@pytest.mark.parametrize(
    ("content", "asks", "choices"),
    [
        (european_file(), {"asset"}, {"asset": "oven-1"}),
        (b"ts,t\n01/02/2026 06:00,1\n03/04/2026 06:00,2\n", {"time_format"},
         {"asset": "x", "time_format": "dd/mm/yyyy"}),
        (b"begun,ended,t\n2026-01-05T06:00:00Z,2026-01-05T07:00:00Z,1\n", {"time"},
         {"asset": "x", "time": "begun"}),
        (b"ts,a b,a-b!\n2026-01-05T06:00:00Z,1,2\n", set(), {"asset": "x"}),
        (BAD_LINE, {"skip_bad"}, {"asset": "x", "skip_bad": True}),
        (GOOD + b"2026-01-05T06:01:00Z,9\n", {"duplicates"}, {"asset": "x", "duplicates": "mean"}),
    ],
)  # fmt: skip
def test_what_is_ambiguous_is_asked_for_and_the_choice_settles_it(client, content, asks, choices):
    start = {"asset": "x"} if "asset" not in asks else {}
    found = checked(client, content, **start)
    if asks:
        assert found["state"] == "refused"
        assert asks <= {*found["asks"]}
        assert "--" not in found["fault"]
    again = client.post(f"{URL}/{found['id']}:check", json=choices, headers=EMIL)
    assert again.status_code == 202
    found = ended(client, found["id"])
    assert (found["state"], found["fault"]) == ("checked", None)
    assert found["choices"]["asset"] == choices["asset"]


def test_columns_get_the_names_that_a_person_gives_them(client, platform):
    found = checked(client, european_file(), asset="oven-1")
    choices = {"asset": "oven-1", "rename": {"Temperatur Zone 1 [°C]": "zone_1"}}
    client.post(f"{URL}/{found['id']}:check", json=choices, headers=EMIL)
    assert ended(client, found["id"])["preview"][0]["values"]["zone_1"] == 200.5
    assert written(client, found["id"])["result"]["variables"] == {
        "zone_1": "number",
        "Rezeptur": "category",
    }
    assert platform.assets.get("oven-1").variables["zone_1"].title == "Temperatur Zone 1"


def test_bad_lines_are_left_out_when_one_says_so_and_sent_with_their_reasons(client):
    found = checked(client, BAD_LINE, asset="x")
    expect_problem(client.get(f"{URL}/{found['id']}/rejects", headers=EMIL), 404)
    client.post(f"{URL}/{found['id']}:check", json={"asset": "x", "skip_bad": True}, headers=EMIL)
    assert ended(client, found["id"])["understood"]["rows"] == 2
    done = written(client, found["id"])
    assert (done["result"]["new"], done["result"]["rejected"]) == (2, 1)
    rejects = client.get(done["rejects"], headers=EMIL).text.splitlines()
    assert rejects[0] == "line,column,reason,original"
    assert rejects[1].startswith("4,ts,") and "never" in rejects[1]


def test_cells_that_are_no_number_are_named_with_line_and_reason(client):
    rows = [f"2026-01-05T06:{minute:02}:00Z,{minute}" for minute in range(20)]
    content = "\n".join(["ts,t", *rows, "2026-01-05T07:00:00Z,ERR", ""]).encode()
    (column,) = checked(client, content, asset="x")["understood"]["columns"]
    assert (column["values"], column["bad"]) == (20, 1)
    assert column["bad_cells"] == [{"text": "ERR", "count": 1}]
    assert column["first_bad"][0].startswith("22, column t: ")


def test_a_write_that_was_killed_goes_on_when_it_is_asked_for_again(platform, tmp_path):
    """The process ends after some rows: its import stays as `writing`, and nobody is at it."""
    client = client_of(platform, tmp_path / "imports")
    id = checked(client, european_file(), asset="oven-1")["id"]
    job = platform.import_jobs.get(id)
    long_ago = datetime.now(UTC) - timedelta(minutes=2)
    killed = replace(job, state="writing", seen_at=long_ago, ended_at=None, version=job.version + 1)
    assert platform.import_jobs.replace(killed)
    half = european_file(hours=4)
    first = checked(client_of(platform, tmp_path / "other"), half, asset="oven-1")
    written(client_of(platform, tmp_path / "other"), first["id"])
    assert client.get(f"{URL}/{id}", headers=EMIL).json()["state"] == "interrupted"
    done = written(client, id)
    assert (done["state"], done["result"]["rows"], done["result"]["new"]) == ("done", 480, 240)


def test_an_import_shows_on_a_second_replica_which_says_that_the_file_is_elsewhere(
    platform, tmp_path
):
    id = checked(client_of(platform, tmp_path / "one"), GOOD, asset="x")["id"]
    other = client_of(platform, tmp_path / "two")
    assert other.get(f"{URL}/{id}", headers=EMIL).json()["state"] == "checked"
    refused = expect_problem(other.post(f"{URL}/{id}:write", headers=EMIL), 422)
    assert "not on this server" in refused


class Turnstile:
    """A platform whose assets wait at a gate, so that an import is under way until it opens."""

    def __init__(self, assets):
        self._assets = assets
        self.opened = threading.Event()
        self.reached = threading.Event()

    def all(self):
        if threading.current_thread().name == "import":
            self.reached.set()
            assert self.opened.wait(60)
        return self._assets.all()

    def __getattr__(self, name):
        return getattr(self._assets, name)


@pytest.fixture
def gate(platform):
    return Turnstile(platform.assets)


def test_a_deleted_import_stops_and_its_file_is_gone(platform, gate, tmp_path):
    client = client_of(replace(platform, assets=gate), tmp_path / "imports")
    gate.opened.set()
    id = checked(client, european_file(), asset="oven-1")["id"]
    gate.opened.clear()
    gate.reached.clear()
    assert client.post(f"{URL}/{id}:write", headers=EMIL).status_code == 202
    assert gate.reached.wait(60)
    worker = client.app.state.import_worker
    assert client.delete(f"{URL}/{id}", headers=EMIL).status_code == 204
    gate.opened.set()
    worker.wait(id, 60)
    expect_problem(client.get(f"{URL}/{id}", headers=EMIL), 404)
    assert not (tmp_path / "imports" / id).exists()
    assert platform.import_jobs.all() == []


def test_an_import_whose_file_was_removed_says_so_and_logs_no_traceback(
    platform, gate, tmp_path, caplog
):
    client = client_of(replace(platform, assets=gate), tmp_path / "imports")
    id = send(client, GOOD, asset="oven-1").json()["id"]
    assert gate.reached.wait(60)
    (tmp_path / "imports" / id / "file").unlink()
    gate.opened.set()
    found = ended(client, id)
    assert (found["state"], found["fault"]) == (
        "failed",
        "the uploaded file is no longer there; import it again",
    )
    assert [r for r in caplog.records if r.exc_info or r.levelno >= logging.WARNING] == []


def test_a_person_has_four_files_under_way_at_once(platform, gate, tmp_path):
    client = client_of(replace(platform, assets=gate), tmp_path / "imports")
    ids = [send(client, GOOD, asset="x").json()["id"] for _ in range(4)]
    full = send(client, GOOD, asset="x")
    assert "4 of your files" in expect_problem(full, 429)
    assert int(full.headers["retry-after"]) > 0
    busy = expect_problem(client.post(f"{URL}/{ids[0]}:write", headers=EMIL), 422)
    assert "being checked" in busy
    gate.opened.set()
    assert {ended(client, id)["state"] for id in ids} == {"checked"}
    assert send(client, GOOD, asset="x").status_code == 202


def test_a_file_is_refused_when_the_disk_is_full_and_leaves_nothing(client, platform, monkeypatch):
    monkeypatch.setattr(UploadFolder, "free", lambda _: 1 << 20)
    assert "too little free space" in expect_problem(send(client, GOOD), 429)
    assert platform.import_jobs.all() == []


def test_what_others_have_announced_takes_no_room_until_it_comes(client, platform, monkeypatch):
    monkeypatch.setattr(UploadFolder, "free", lambda _: 3 << 30)
    for n in range(9):
        told = ImportJob(f"{n}" * 12, "a.csv", f"p{n}", datetime.now(UTC), 2 << 30)
        platform.import_jobs.insert(told)
    assert send(client, GOOD, asset="x").status_code == 202


def test_a_disk_that_fills_while_a_file_comes_ends_the_upload(client, platform, monkeypatch):
    room = iter([2 << 30, 1 << 20])
    monkeypatch.setattr(UploadFolder, "free", lambda _: next(room))
    large = GOOD + b"#" * 1000
    assert "too little free space" in expect_problem(send(client, large), 429)
    assert platform.import_jobs.all() == []


def test_a_file_larger_than_two_gib_is_refused_before_it_is_sent(client):
    headers = {**EMIL, "content-length": str(3 << 30)}
    expect_problem(client.post(URL, content=b"", headers=headers), 413)


def test_imports_of_yesterday_and_files_without_an_import_are_removed(tmp_path, platform):
    folder = UploadFolder(tmp_path / "imports")
    now = datetime(2026, 1, 5, 12, tzinfo=UTC)
    old, new = (
        ImportJob(id * 12, "a.csv", "emil", now - age, 5, state="checked")
        for id, age in (("a", timedelta(days=2)), ("b", timedelta(hours=2)))
    )
    for job in (old, new):
        platform.import_jobs.insert(job)
        folder.create(job.id).write_bytes(GOOD)
    folder.create("c" * 12).write_bytes(GOOD)
    uploads.tidy(platform.import_jobs, folder, now)
    assert platform.import_jobs.all() == [new]
    assert folder.ids() == [new.id]


@pytest.mark.parametrize("headers", [VIEWER, OPERATOR, SENDER])
def test_only_engineers_import(client, headers):
    expect_problem(send(client, GOOD, headers), 403)


def test_a_fault_of_the_database_leaves_an_import_that_can_be_continued(
    client, platform, monkeypatch
):
    id = checked(client, GOOD, asset="x")["id"]

    def away(*_):
        raise AutoReconnect("away")

    monkeypatch.setattr(platform.reading_writes, "insert", away)
    failed = written(client, id)
    assert failed["state"] == "failed"
    assert "continue the import" in failed["fault"]
    monkeypatch.undo()
    assert written(client, id)["state"] == "done"
