"""Hostile files of the import tests through an upload: the same answers as the command."""

import json
import os
from contextlib import nullcontext

import pytest
from typer.testing import CliRunner

from alerting.adapters.files.upload_folder import UploadFolder
from alerting.cli.main import app
from alerting.console.imports.import_answers import LABELS, name_choices
from alerting.definitions.faults import storable
from alerting.definitions.wording.clean_text import clean_line
from tests.helpers.console.pages import csrf_of
from tests.helpers.console.uploads import (
    ENGINEER_TOKEN,
    checked,
    client_of,
    ended,
    send,
    written,
)
from tests.helpers.hostile_files import GOOD, NAMES, UNREADABLE, contents
from tests.in_memory_platform import in_memory_platform

FILES = contents() | {name: content for name, (content, _) in UNREADABLE.items()}
NAMED = {field: field for field in LABELS}


def by_command(file, monkeypatch):
    """Return the assets that the command has made of a file, and why it refused it, if it did."""
    platform = in_memory_platform()
    monkeypatch.setattr("alerting.wiring.open_platform", lambda *_, **__: nullcontext(platform))
    words = ["import", "readings", "--asset", "oven-1", "--json", "--", str(file)]
    done = CliRunner().invoke(app, words)
    assert done.exit_code in (0, 1), done.output[:500]
    refused = None
    if done.exit_code:
        refused = json.loads(done.stdout)["refused"]
    return platform.assets.all(), refused


def sent_by_form(client, platform):
    """Return what comes of an empty file that a browser sends."""
    client.post("/login", data={"token": ENGINEER_TOKEN, "next": "/"})
    data = {"csrf": csrf_of(client.get("/import")), "asset": "oven-1"}
    page = client.post("/import", data=data, files={"file": ("line.csv", b"", "text/csv")})
    found = ended(client, page.headers["location"].rpartition("/")[2], {})
    return platform.assets.all(), found["fault"], found["state"]


def by_upload(content, folder):
    """Return the same of an upload, and the state of the import."""
    platform = in_memory_platform()
    client = client_of(platform, folder, zone=None)
    if not content:  # an empty body is none; an empty file of a form is refused as by the command
        return sent_by_form(client, platform)
    found = checked(client, content, asset="oven-1", name="line.csv")
    if found["state"] == "checked":
        found = written(client, found["id"])
    return platform.assets.all(), found["fault"], found["state"]


@pytest.mark.parametrize("part", range(8))
def test_an_upload_gets_the_answer_of_the_command(tmp_path, monkeypatch, part):
    monkeypatch.delenv("ALERTING_TIMEZONE", raising=False)
    file = tmp_path / "line.csv"
    wrong = {}
    states = set()
    for name in [*FILES][part::8]:
        file.write_bytes(FILES[name])
        assets, refused = by_command(file, monkeypatch)
        own_assets, fault, state = by_upload(FILES[name], tmp_path / "imports")
        said = refused and name_choices(
            storable(refused.replace(str(file), "line.csv"), 4000), NAMED
        )
        states.add(state)
        if (own_assets, fault, state) != (assets, said, "refused" if said else "done"):
            wrong[name] = (said, fault, state)
    assert wrong == {}
    assert states == {"done", "refused"}


@pytest.mark.parametrize("name", NAMES)
def test_no_name_of_a_file_leads_out_of_its_folder_or_stops_a_page(tmp_path, name):
    sent = os.fsdecode(NAMES[name])
    client = client_of(in_memory_platform(), tmp_path / "imports")
    answer = send(client, GOOD, asset="x", name=storable(sent))
    assert answer.status_code in (202, 422), answer.text
    if answer.status_code == 202:
        shown = answer.json()["name"]
        assert shown == clean_line(shown) and "/" not in shown
    folders = UploadFolder(tmp_path / "imports").ids()
    assert len(folders) == (answer.status_code == 202)
