"""Backups that someone has changed: nothing is written outside of the home, and the message names
the file and its fault."""

import gzip
import hashlib
import json
import re

import pytest
from bson import encode
from typer.testing import CliRunner

from alerting.adapters.mongo.mongo import open_database
from alerting.cli.main import app
from alerting.definitions.faults import UserError
from alerting.local.upkeep.backup import path_inside, restore_backup
from alerting.settings.environment import Settings

OUTSIDE = [
    *("", "/", ".", "..", "/etc/x", "//etc/x", "../x", "a/../../x", "secrets//abs/x", "secrets/"),
    *(
        "secrets/./x",
        "secrets/../x",
        "secrets/../../x",
        "secrets/x/",
        "artifacts//x",
        "./x",
        "a//b",
    ),
    *(
        "artifacts/..",
        "artifacts/../secrets/x",
        "secrets//",
        "secrets/x\0y",
        "\ud800",
        "mlflow.db/",
    ),
    *("secrets", "artifacts", "/secrets/x", "///", "secrets/a/..", "secrets/link/x"),
]


def backup(folder, written, database=None, **changes):
    """Write a backup with a manifest of these files by name, as one would who knows its form."""
    stored = {}
    for name, content in written.items():
        plain = "\0" not in name and name.isprintable() and name[-1:] not in ("", "/", ".")
        path = folder / name.lstrip("/") if plain else None
        if path is not None and path.resolve().is_relative_to(folder.resolve()):
            path.parent.mkdir(parents=True, exist_ok=True)
            if not path.is_dir():
                path.write_bytes(content)
        digest = hashlib.sha256(content).hexdigest()
        stored[name] = {"bytes": len(content), "sha256": digest}
    document = {"version": "1", "at": "2026-01-05", "database": database or {}, "variables": []}
    document |= {"artifacts": None, "files": stored, "format": 1, **changes}
    folder.mkdir(exist_ok=True)
    (folder / "manifest.json").write_text(json.dumps(document))
    return folder


@pytest.mark.parametrize("name", OUTSIDE)
def test_no_name_of_a_manifest_leads_out_of_its_place(tmp_path, name):
    home = tmp_path / "home"
    target = tmp_path / "abs"
    target.mkdir()
    if name == "secrets/link/x":
        (tmp_path / "backup" / "secrets").mkdir(parents=True)
        (tmp_path / "backup" / "secrets" / "link").symlink_to(target)
        (target / "x").write_bytes(b"key")
    folder = backup(tmp_path / "backup", {name.replace("//abs", f"/{target}"): b"key"})
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(UserError, match=r"outside of|damaged|cannot be read"):
        restore_backup(Settings(home=home), folder)
    assert sorted(tmp_path.rglob("*")) == before


def test_a_link_in_a_place_is_not_written_through(tmp_path):
    for place in ("place", "elsewhere"):
        (tmp_path / place).mkdir()
    (tmp_path / "place" / "1").symlink_to(tmp_path / "elsewhere")
    assert path_inside(tmp_path / "place", "2/model") == tmp_path / "place" / "2" / "model"
    with pytest.raises(UserError, match=r"outside of .*place, '1/model'"):
        path_inside(tmp_path / "place", "1/model")


@pytest.mark.parametrize(
    ("files", "changes", "message"),
    [
        ({"mlflow.db": b"rubbish"}, {}, "MLflow's database in the backup, mlflow.db, cannot be"),
        ({}, {"artifacts": "file:///old"}, "not MLflow's database, mlflow.db"),
        ({}, {"database": {"unknown": 1}}, "no known documents of 'unknown'"),
        ({}, {"database": {"episodes": 1}}, "no known documents of 'episodes'"),
        ({}, {"files": [1]}, "manifest.json cannot be read"),
        (
            {},
            {"files": {"a": {"bytes": float("inf"), "sha256": ""}}},
            "manifest.json cannot be read",
        ),
    ],
)
def test_what_can_be_known_is_said_before_anything_is_written(tmp_path, files, changes, message):
    folder = backup(tmp_path / "backup", files, **changes)
    with pytest.raises(UserError, match=message):
        restore_backup(Settings(home=tmp_path / "home"), folder)
    assert not (tmp_path / "home").exists()


def test_a_manifest_of_endless_depth_is_a_sentence(tmp_path):
    (tmp_path / "manifest.json").write_text("[" * 200_000)
    with pytest.raises(UserError, match=r"manifest\.json cannot be read"):
        restore_backup(Settings(home=tmp_path / "home"), tmp_path)


ONE = encode({"_id": 1})
DAMAGED = {
    "cut": (gzip.compress(ONE * 99)[:-9], "cannot be unpacked"),
    "bits": (gzip.compress(ONE)[:10] + b"\xff" * 30, "cannot be unpacked"),
    "plain": (ONE, "cannot be unpacked"),
    "no documents": (gzip.compress(b"x" * 99), "cannot be read"),
    "half a document": (gzip.compress(ONE[:-3]), "cannot be read"),
    "rubbish inside": (gzip.compress(b"\x10\0\0\0" + b"\xff" * 11 + b"\0"), "cannot be"),
    "twice": (gzip.compress(ONE + ONE), "cannot be stored.*duplicate key"),
    "fewer": (gzip.compress(ONE), "has 1 documents of episodes instead of 2"),
}


@pytest.mark.server
@pytest.mark.parametrize("kind", DAMAGED)
def test_the_command_names_the_file_and_its_fault(tmp_path, monkeypatch, real_server, kind):
    content, message = DAMAGED[kind]
    file = "mongodb/episodes.bson.gz"
    folder = backup(tmp_path / "backup", {file: content}, {"episodes": 2})
    monkeypatch.setenv("ALERTING_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("ALERTING_MONGODB_URI", real_server)
    monkeypatch.setenv("ALERTING_DATABASE", "hostile")
    try:
        result = CliRunner().invoke(app, ["restore", str(folder)])
    finally:
        with open_database(real_server, "hostile") as database:
            database.client.drop_database("hostile")
    said = " ".join(result.output.split())
    assert result.exit_code == 1
    assert isinstance(result.exception, SystemExit)
    assert "Aborted" not in said
    assert kind == "fewer" or file in said
    assert "before the next try delete" in said
    assert re.search(message, said), said
