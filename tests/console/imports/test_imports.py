"""Files of the import page: the same answers as the command, within bounds, and without traces."""

import json
import logging
import os
import re
import threading
from contextlib import nullcontext
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from fastapi import HTTPException
from pymongo.errors import AutoReconnect
from typer.testing import CliRunner

from alerting.cli.main import app
from alerting.console.imports import imports as module
from alerting.console.imports.imports import Choices, Imports, file_name
from alerting.definitions.faults import NotFound, UserError
from alerting.definitions.wording.clean_text import clean_line
from alerting.definitions.wording.language import ENGLISH
from tests.helpers.hostile_files import GOOD, NAMES, UNREADABLE, contents
from tests.in_memory_platform import in_memory_platform

FILES = contents() | {name: content for name, (content, _) in UNREADABLE.items()}
FOR_SECONDS = {"a quotation mark that never closes", "table, 3,000 columns"}
"""Files whose reading takes seconds; the tests of the command have them."""
A_HANG_S = 120


@pytest.fixture
def platform():
    return in_memory_platform()


@pytest.fixture
def imports(tmp_path):
    return Imports(tmp_path / "imports")


def arrived(imports, content):
    """Return an import whose file has arrived."""
    one = imports.admit("line.csv", "emil", len(content), Choices(asset="oven-1"))
    one.file.write_bytes(content)
    return one


def checked(imports, platform, content):
    one = arrived(imports, content)
    imports.check(platform, one, one.choices)
    assert one.over.wait(A_HANG_S)
    return one


def written(imports, platform, one):
    imports.write(platform, one, "emil", ENGLISH)
    assert one.over.wait(A_HANG_S)
    return one


def by_command(file, monkeypatch):
    """Return the assets that the command has made of a file, and why it refused it, if it did."""
    platform = in_memory_platform()
    monkeypatch.setattr("alerting.wiring.open_platform", lambda *_, **__: nullcontext(platform))
    words = ["import", "readings", "--asset", "oven-1", "--json", "--", str(file)]
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
    imports.write(replace(platform, assets=gate), one, "emil", ENGLISH)
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
