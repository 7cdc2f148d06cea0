"""The job of Compose that makes the secrets of every service."""

import getpass
import importlib.util
import os
import stat
from pathlib import Path
from types import ModuleType

import pytest

pytestmark = pytest.mark.fast

FILE = Path(__file__).parents[1] / "config" / "docker" / "make_secrets.py"
FOLDERS = {"SERVICES": "alerting", "MONGODB": "mongodb", "POSTGRES": "postgres", "BROKER": "broker"}


@pytest.fixture
def job(tmp_path, monkeypatch) -> ModuleType:
    spec = importlib.util.spec_from_file_location("make_secrets", FILE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    for name, folder in FOLDERS.items():
        monkeypatch.setattr(module, name, tmp_path / folder)
    monkeypatch.setattr(module, "OWNER", getpass.getuser())
    return module


def files_in(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): path.read_text()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def test_a_second_start_changes_no_secret_and_makes_what_is_missing(job, tmp_path):
    job.make()
    before = files_in(tmp_path)
    assert before["alerting/broker_password"] in before["broker/redis.conf"]
    assert before["postgres/airflow"] == before["alerting/airflow_database_password"]
    (tmp_path / "postgres" / "mlflow").unlink()
    job.make()
    assert files_in(tmp_path) == before
    modes = {stat.S_IMODE(path.stat().st_mode) for path in tmp_path.rglob("*") if path.is_file()}
    assert modes == {0o600}


def test_without_a_volume_for_a_broker_all_other_secrets_are_made(job, tmp_path, monkeypatch):
    monkeypatch.setattr(os, "access", lambda path, mode: False)  # the root file system is read-only
    job.make()
    assert {path.name for path in tmp_path.iterdir()} == {"alerting", "mongodb", "postgres"}
    (tmp_path / "broker").mkdir()  # the file for several workers mounts one
    job.make()
    password = (tmp_path / "alerting" / "broker_password").read_text()
    assert (tmp_path / "broker" / "redis.conf").read_text() == f"requirepass {password}\n"


def test_what_people_need_to_sign_in_is_shown_with_the_tokens_of_the_api(job, capsys, tmp_path):
    job.make()
    job.show()
    shown = capsys.readouterr().out
    password = (tmp_path / "alerting" / "mlflow_password").read_text()
    assert f"MLflow   alerting / {password}\n" in shown
    assert [line.split()[0] for line in shown.splitlines()][:3] == ["Airflow", "MLflow", "API"]
