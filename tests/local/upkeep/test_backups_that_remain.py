"""Which backups remain, secrets that are encrypted in them, and settings that are refused."""

from datetime import timedelta

import pytest
from typer.testing import CliRunner

from alerting.adapters.archive.folder import ArchiveFolder
from alerting.cli.main import app
from alerting.definitions.faults import UserError
from alerting.local.upkeep.encrypted import decrypt_files, encrypt_files, read_password
from alerting.local.upkeep.scheduled import back_up, delete_surplus, surplus
from alerting.settings.environment import Settings, SettingsRefused, read_settings
from tests.builders import at


def named(days):
    return (at(0) + timedelta(days=days)).strftime("%Y-%m-%dT%H-%M-%SZ")


def test_the_newest_remain_and_one_of_each_month_of_a_year():
    names = [named(day) for day in range(900)]
    remaining = sorted(set(names) - set(surplus(names, 7)))
    assert remaining[-7:] == names[-7:]
    monthly = [name[:7] for name in remaining[:-7]]
    assert len(set(monthly)) == len(monthly) in (11, 12)  # the last month has newer ones
    assert remaining[0] > named(900 - 366)
    assert surplus(names[:3], 7) == []


def test_backups_without_a_manifest_and_other_folders_are_no_backups(tmp_path):
    for name in (named(0), named(8), named(9), named(10), "2025", "notes"):
        (tmp_path / name).mkdir()
    for name in (named(8), named(9)):
        (tmp_path / name / "manifest.json").touch()
    target = ArchiveFolder(str(tmp_path))
    deleted = delete_surplus(target, 1, at(0) + timedelta(days=10))
    assert deleted == [named(8), named(0)]  # the last one is being written
    assert sorted(p.name for p in tmp_path.iterdir()) == ["2025", named(9), named(10), "notes"]


def test_secrets_are_read_with_their_password_alone():
    files = {"model_key": b"\x00key", "mlflow_password": b"word"}
    encrypted = encrypt_files(files, b"p" * 40)
    assert decrypt_files(encrypted, b"p" * 40) == files
    for content, password in ((encrypted, b"q" * 40), (b"x", b"p" * 40)):
        with pytest.raises(UserError, match="cannot be decrypted"):
            decrypt_files(content, password)
    outside = encrypt_files({"../home.json": b""}, b"p" * 40)
    with pytest.raises(UserError, match="outside of the home"):
        decrypt_files(outside, b"p" * 40)


def test_a_short_password_is_refused(tmp_path):
    (tmp_path / "key").write_text("secret\n")
    with pytest.raises(UserError, match="at least 32"):
        read_password(tmp_path / "key")


def test_a_place_in_the_home_or_none_is_refused_before_anything_is_written(tmp_path):
    (tmp_path / "backups").mkdir()
    with pytest.raises(UserError, match="set ALERTING_BACKUP"):
        back_up(Settings(home=tmp_path), at(0))
    with pytest.raises(UserError, match="in the home that it is to replace"):
        back_up(Settings(home=tmp_path, backup=str(tmp_path / "backups")), at(0))


def test_the_command_without_a_folder_says_what_to_set(tmp_path):
    done = CliRunner().invoke(app, ["backup"], env={"ALERTING_HOME": str(tmp_path)})
    assert (done.exit_code, [*tmp_path.iterdir()]) == (1, [])
    assert "set ALERTING_BACKUP" in done.stderr


def test_settings_of_backups_are_checked(tmp_path):
    environ = {"ALERTING_HOME": str(tmp_path), "ALERTING_BACKUP": "s3://plant/backups"}
    found = read_settings(environ | {"ALERTING_BACKUP_EVERY": "6h", "ALERTING_BACKUP_COPIES": "3"})
    assert (found.backup, found.backup_every) == ("s3://plant/backups", timedelta(hours=6))
    assert found.backup_copies == 3
    wrong = {
        "ALERTING_BACKUP": "backups",
        "ALERTING_BACKUP_EVERY": "1m",
        "ALERTING_BACKUP_COPIES": "0",
        "ALERTING_BACKUP_KEY_FILE": str(tmp_path / "none"),
    }
    with pytest.raises(SettingsRefused) as refused:
        read_settings(environ | wrong)
    assert {fault.path for fault in refused.value.faults} == set(wrong)
