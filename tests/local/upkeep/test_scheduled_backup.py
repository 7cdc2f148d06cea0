"""Backups by schedule, to a folder and an object store: each is restored on trial, and can be
restored with its secrets."""

import gzip
from dataclasses import replace
from datetime import timedelta

import pytest
from bson import encode

from alerting.adapters.mongo.dump import try_restore
from alerting.adapters.mongo.mongo import open_stores
from alerting.definitions.faults import UserError
from alerting.local.upkeep import scheduled
from alerting.local.upkeep.restore import prove_backup, restore_backup
from alerting.ports.platform_alerts import AuditFilter
from alerting.settings.environment import Settings
from alerting.usecases.platform_health.backups import backup_state
from tests.builders import at, oven
from tests.helpers.file_servers import create_bucket, s3_server  # noqa: F401 - a fixture

DAY = timedelta(days=1)


@pytest.fixture
def settings(real_server, tmp_path):
    """Settings of a platform on a server of its own, with an asset and a secret."""
    home = tmp_path / "home"
    (home / "secrets").mkdir(parents=True)
    (home / "secrets" / "model_key").write_text("the key of models")
    key = tmp_path / "key"
    key.write_text("x" * 40)
    (tmp_path / "backups").mkdir()
    with open_stores(real_server, "scheduled", prepare=True) as stores:
        stores.assets.store_assets([oven()])
        yield Settings(
            home=home,
            mongodb_uri=real_server,
            database="scheduled",
            mlflow_uri="http://127.0.0.1:1",
            backup=str(tmp_path / "backups"),
            backup_copies=1,
            backup_key_file=key,
        )
        for name in ("scheduled", "restored"):
            stores.database.client.drop_database(name)


def state_of(settings, now):
    with open_stores(settings.mongodb_uri, settings.database) as stores:
        return backup_state(stores.audit, settings.backup_every, now)


def test_a_backup_is_proven_replaces_the_one_before_and_is_restored_with_its_secrets(
    settings, tmp_path, real_server
):
    away = replace(settings, backup=str(tmp_path / "not mounted"))
    with pytest.raises(UserError, match="does not exist: mount it"):
        scheduled.back_up(away, at(0))
    assert "not mounted does not exist" in state_of(settings, at(0)).failure
    scheduled.back_up(settings, at(0))
    address, made = scheduled.back_up(settings, at(0) + DAY)

    [folder] = (tmp_path / "backups").iterdir()
    assert str(folder) == address
    assert not [path for path in folder.rglob("*") if b"the key of models" in content(path)]
    with open_stores(real_server, "scheduled") as stores:
        assert stores.database.client["scheduled_proof"].list_collection_names() == []
        [entry] = [
            e
            for e in stores.audit.find(AuditFilter(start=at(0), end=at(9_000_000)), 99)
            if e.subject == address
        ][:1]
    state = state_of(settings, entry.at)
    assert (state.failure, state.bytes) == (None, made.bytes)
    assert state.proven_age < state.allowed

    new = replace(settings, home=tmp_path / "new", database="restored")
    restore_backup(new, folder)
    with open_stores(real_server, "restored") as stores:
        assert stores.assets.get("oven-1") == oven()
    assert (new.home / "secrets" / "model_key").read_text() == "the key of models"
    assert (new.home / "secrets" / "model_key").stat().st_mode & 0o077 == 0


def content(path):
    if not path.is_file():
        return b""
    return gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()


def test_a_backup_that_cannot_be_restored_is_recorded_deleted_and_deletes_no_other(
    settings, tmp_path, monkeypatch
):
    scheduled.back_up(settings, at(0))
    saved = scheduled.write_backup

    def lose_a_document(*arguments, **options):
        made = saved(*arguments, **options)
        return made, (arguments[1] / "mongodb" / "assets.bson.gz").write_bytes(b"")

    monkeypatch.setattr(scheduled, "write_backup", lose_a_document)
    with pytest.raises(UserError, match=r"mongodb/assets.bson.gz lost or changed"):
        scheduled.back_up(settings, at(0) + DAY)
    assert len([*(tmp_path / "backups").iterdir()]) == 1
    assert "assets.bson.gz" in state_of(settings, at(0)).failure


def test_a_restore_on_trial_finds_what_no_hash_of_a_file_shows(real_server, tmp_path):
    file = tmp_path / "silences.bson.gz"
    with open_stores(real_server, "trial", prepare=True) as stores:
        for documents, refused in (
            ([{"_id": 1, "key": "a"}, {"_id": 2, "key": "b"}], None),
            (
                [{"_id": 1, "key": "a"}, {"_id": 2, "key": "a"}],
                "of audit into .*trial_proof failed",
            ),
        ):
            file.write_bytes(gzip.compress(b"".join(map(encode, documents))))
            if refused is None:
                assert trial(stores.database, file) == 2
            else:
                with pytest.raises(UserError, match=refused):
                    trial(stores.database, file)
        assert stores.database["audit"].count_documents({}) == 0
        assert stores.database.client["trial_proof"].list_collection_names() == []
        stores.database.client.drop_database("trial")


def packed(*documents):
    return gzip.compress(b"".join(map(encode, documents)))


def trial(database, file):
    return try_restore(database, "audit", lambda: gzip.open(file), lambda *_: None)


def test_a_backup_in_an_object_store_is_read_back_from_there(
    settings,
    s3_server,  # noqa: F811
    monkeypatch,
):
    create_bucket(s3_server, "backups")
    for name, value in {
        "ENDPOINT_URL": f"http://127.0.0.1:{s3_server}",
        "ACCESS_KEY_ID": "key",
        "SECRET_ACCESS_KEY": "secret",
    }.items():
        monkeypatch.setenv(f"AWS_{name}", value)
    settings = replace(settings, backup="s3://backups/line")
    before, _ = scheduled.back_up(settings, at(0))
    address, made = scheduled.back_up(settings, at(0) + DAY)
    assert [path.name for path in settings.home.iterdir()] == ["secrets"]
    with (
        scheduled.local_backup(address) as folder,
        open_stores(settings.mongodb_uri, settings.database) as stores,
    ):
        assert prove_backup(settings, stores.database, folder) == made
    with (
        pytest.raises(UserError, match="lacks a file"),
        scheduled.local_backup(before),
    ):
        pass
