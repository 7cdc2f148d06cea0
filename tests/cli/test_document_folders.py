"""A folder of documents of all kinds, as of a repository: checked and applied with one plan."""

import json
import os
from pathlib import Path

import pytest
import yaml

from alerting.cli import document_files
from alerting.cli.document_files import read_documents
from alerting.definitions.faults import UserError
from tests.builders import too_hot
from tests.helpers.command_line import output, run

OVEN = {"title": "Oven 9", "parent": "line-9", "variables": {"temperature": {"unit": "°C"}}}
FOLDER = {
    "alerts/hot.yaml": too_hot(name="hot-9", assets=["oven-9"]),
    "alerts/hot.test.yaml": {"definition": "hot.yaml", "scenarios": []},
    "alerts/deep/er/very-hot.yml": too_hot(
        name="very-hot",
        assets=["oven-9"],
        above=240,
        suppression={"while": {"definition": "hot-9"}},
    ),
    "assets.yaml": {"oven-9": OVEN, "line-9": {"title": "Line 9"}},
    "gateway.json": {"name": "gateway", "kind": "http"},
    "night.yaml": {"name": "night", "channels": ["mail"]},
    "sinks/bi.yaml": {"name": "bi", "kind": "sql", "url": {"env": "BI_URL"}, "sends": ["alarms"]},
    ".git/config.yaml": {"not": "a document"},
    "notes.txt": "no document",
}
IN_ORDER = ["asset", "asset", "sink", "route", "definition", "definition", "source"]


def write_folder(root, **changed):
    for path, document in (FOLDER | changed).items():
        file = Path(root, path)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(document if isinstance(document, str) else yaml.safe_dump(document))
    return root


def said(*words, code=0):
    done = run(*words, columns=400)
    assert done.exit_code == code, done.output
    return done.output


def stored(plant):
    """All stored documents."""
    stores = (plant.assets, plant.sinks, plant.routes, plant.definitions, plant.sources)
    return [document for store in stores for document in store.documents()]


def test_a_folder_is_checked_shown_applied_once_and_then_changes_nothing(plant, tmp_path):
    folder = write_folder(tmp_path / "plant")
    before = stored(plant)
    checked = said("check", folder)
    shown = said("apply", folder, "--dry-run")
    for name in ("oven-9", "line-9", "bi", "night", "hot-9", "very-hot", "gateway"):
        assert name in checked
        assert f"{name} " in shown
    assert "left out: 1 of scenarios (*.test.yaml), for `alerting test`" in shown
    assert "dry run: no asset and no sink and no route and no definition and no source" in shown
    assert stored(plant) == before
    rows = json.loads(output("apply", folder, "--json"))["plan"]
    assert [row["kind"] for row in rows] == IN_ORDER
    assert {row["action"] for row in rows} == {"new"}
    assert plant.assets.get("oven-9").parent == "line-9"
    assert "applied: 0 of 7 changed" in said("apply", folder)


def test_what_rows_have_declared_of_an_asset_stays(plant, tmp_path):
    folder = write_folder(tmp_path / "plant")
    said("apply", folder)
    declared = {"name": "oven-9", "variables": {"door": {"type": "boolean"}}}
    said("import", "assets", write_folder(tmp_path, **{"more.yaml": declared}) / "more.yaml")
    assert "applied: 0 of 7 changed" in said("apply", folder)
    assert {*plant.assets.get("oven-9").variables} == {"temperature", "door"}


def test_all_faults_of_all_documents_are_told_and_nothing_is_written(plant, tmp_path):
    folder = write_folder(
        tmp_path / "plant",
        **{
            "assets.yaml": {"oven-9": OVEN | {"parent": "nowhere"}},
            "night.yaml": {"name": "night", "channels": ["pager"]},
            "alerts/hot.yaml": too_hot(name="hot-9", assets=["oven-9"], variable="humidity"),
            "alerts/again.yaml": too_hot(name="very-hot", assets=["oven-9"]),
        },
    )
    before = stored(plant)
    for words in (("check", folder), ("apply", folder), ("apply", folder, "--dry-run")):
        refused = " ".join(said(*words, code=1).split())
        for file, fault in (
            ("assets.yaml", "there is no asset 'nowhere'"),
            ("night.yaml", "pager"),
            ("alerts/hot.yaml", "humidity"),
        ):
            assert f"{folder / file}: " in refused
            assert fault in refused
        assert f"({folder / 'alerts/again.yaml'}) and " in refused
    assert stored(plant) == before


def test_all_files_that_cannot_be_read_are_told(plant, tmp_path):
    folder = write_folder(tmp_path / "plant", **{"a.yaml": "a: [", "z.yaml": "- 5"})
    refused = said("apply", folder, code=1)
    assert f"{folder / 'a.yaml'}: is not YAML or JSON" in refused
    assert f"{folder / 'z.yaml'}: entry 1 is 5, not a document" in refused


def test_a_link_does_not_lead_out_of_the_folder(tmp_path):
    outside = write_folder(tmp_path / "outside")
    folder = tmp_path / "plant"
    (folder / "..data").mkdir(parents=True)
    (folder / "..data" / "in.yaml").write_text("name: in")
    (folder / "in.yaml").symlink_to(Path("..data", "in.yaml"))  # as Kubernetes mounts them
    (folder / "out.yaml").symlink_to(outside / "night.yaml")
    (folder / "all").symlink_to(outside)
    (folder / "gone.yaml").symlink_to(folder / "nothing")
    os.mkfifo(folder / "pipe.yaml")
    assert read_documents([folder]) == [({"name": "in"}, str(folder / "in.yaml"))]


@pytest.mark.parametrize(("limit", "least"), [("MOST_FILES", 5), ("MOST_BYTES", 100)])
def test_a_folder_is_bounded(monkeypatch, tmp_path, limit, least):
    monkeypatch.setattr(document_files, limit, least)
    with pytest.raises(UserError, match="name the folder that holds the documents alone"):
        read_documents([write_folder(tmp_path)])


def test_a_folder_without_documents_is_refused(plant, tmp_path):
    (tmp_path / "empty").mkdir()
    assert "has no YAML or JSON file" in said("apply", tmp_path / "empty", code=1)


def test_a_folder_that_cannot_be_read_is_told_and_not_left_out(plant, monkeypatch, tmp_path):
    folder = write_folder(tmp_path / "plant")
    before = stored(plant)
    real = os.scandir

    def scandir(path):
        if str(path) == str(folder / "sinks"):
            raise PermissionError(13, "Permission denied", str(path))
        return real(path)

    monkeypatch.setattr(os, "scandir", scandir)
    refused = said("apply", folder, code=1)
    assert f"{folder / 'sinks'}: cannot be read (Permission denied)" in refused
    assert stored(plant) == before
