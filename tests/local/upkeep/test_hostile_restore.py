"""Backups that someone has changed: nothing is written outside of the home, and the message names
the file and its fault."""

import gzip
import hashlib
import json
import re
from functools import partial

import pytest
from bson import encode
from typer.testing import CliRunner

from alerting.adapters.mongo.mongo import open_database
from alerting.cli.main import app
from alerting.definitions.faults import UserError
from alerting.local.backup import path_inside, restore_backup
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
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "manifest.json").write_text(json.dumps(document))
    return folder


def refusal(restore):
    """Return the sentence with which a restore is refused, or the word that it was not."""
    try:
        restore()
    except UserError as refused:
        return str(refused)
    return "restored"


def test_no_name_of_a_manifest_leads_out_of_its_place(tmp_path):
    taken = {}
    for number, name in enumerate(OUTSIDE):
        folder = tmp_path / str(number)
        target = folder / "abs"
        target.mkdir(parents=True)
        if name == "secrets/link/x":
            (folder / "backup" / "secrets").mkdir(parents=True)
            (folder / "backup" / "secrets" / "link").symlink_to(target)
            (target / "x").write_bytes(b"key")
        source = backup(folder / "backup", {name.replace("//abs", f"/{target}"): b"key"})
        before = sorted(folder.rglob("*"))
        said = refusal(partial(restore_backup, Settings(home=folder / "home"), source))
        if not re.search(r"outside of|damaged|cannot be read", said) or before != sorted(
            folder.rglob("*")
        ):
            taken[name] = said
    assert taken == {}


def test_a_link_in_a_place_is_not_written_through(tmp_path):
    for place in ("place", "elsewhere"):
        (tmp_path / place).mkdir()
    (tmp_path / "place" / "1").symlink_to(tmp_path / "elsewhere")
    assert path_inside(tmp_path / "place", "2/model") == tmp_path / "place" / "2" / "model"
    with pytest.raises(UserError, match=r"outside of .*place, '1/model'"):
        path_inside(tmp_path / "place", "1/model")


KNOWN = (
    ({"mlflow.db": b"rubbish"}, {}, "MLflow's database in the backup, mlflow.db, cannot be"),
    ({}, {"artifacts": "file:///old"}, "not MLflow's database, mlflow.db"),
    ({}, {"database": {"unknown": 1}}, "no known documents of 'unknown'"),
    ({}, {"database": {"episodes": 1}}, "no known documents of 'episodes'"),
    ({}, {"files": [1]}, "manifest.json cannot be read"),
    ({}, {"files": {"a": {"bytes": float("inf"), "sha256": ""}}}, "manifest.json cannot be read"),
)


def test_what_can_be_known_is_said_before_anything_is_written(tmp_path):
    home = Settings(home=tmp_path / "home")
    said = {}
    for number, (files, changes, message) in enumerate(KNOWN):
        folder = backup(tmp_path / str(number), files, **changes)
        said[message, number] = refusal(partial(restore_backup, home, folder))
    assert {key: text for key, text in said.items() if key[0] not in text} == {}
    folder = tmp_path / "deep"
    folder.mkdir()
    (folder / "manifest.json").write_text("[" * 200_000)
    assert "manifest.json cannot be read" in refusal(partial(restore_backup, home, folder))
    assert not home.home.exists()


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


def test_the_command_names_the_file_and_its_fault(tmp_path, monkeypatch, real_server):
    file = "mongodb/episodes.bson.gz"
    monkeypatch.setenv("ALERTING_MONGODB_URI", real_server)
    monkeypatch.setenv("ALERTING_DATABASE", "hostile")
    wrong = {}
    for kind, (content, message) in DAMAGED.items():
        folder = backup(tmp_path / kind / "backup", {file: content}, {"episodes": 2})
        monkeypatch.setenv("ALERTING_HOME", str(tmp_path / kind / "home"))
        try:
            result = CliRunner().invoke(app, ["restore", str(folder)])
        finally:
            with open_database(real_server, "hostile") as database:
                database.client.drop_database("hostile")
        said = " ".join(result.output.split())
        ended = (result.exit_code, type(result.exception), "Aborted" in said)
        told = kind == "fewer" or file in said, "before the next try delete" in said
        if (*ended, *told) != (1, SystemExit, False, True, True) or not re.search(message, said):
            wrong[kind] = said
    assert wrong == {}
