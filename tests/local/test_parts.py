import json
import os
import subprocess
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path

import pytest

from alerting.adapters.airflow.dag_files import write_dag_files
from alerting.local import parts
from alerting.local.prepare import load_or_create
from alerting.settings.environment import Settings

pytestmark = pytest.mark.fast


@pytest.fixture
def settings(tmp_path):
    return Settings(home=tmp_path, mongodb_uri="mongodb://db.example:27017")


@pytest.fixture
def secrets(tmp_path):
    return load_or_create(tmp_path / "secrets")


def test_without_the_demo_nothing_of_it_is_started(settings, secrets):
    names = {part.name for part in parts.all_parts(settings, secrets, {}, False)}
    assert names == {
        "mlflow",
        "prepare",
        "airflow-database",
        "api",
        "airflow-api",
        "airflow-scheduler",
        "airflow-dags",
        "clean",
        "stream",
        "windows",
    }


def test_one_setting_starts_the_triggerer(settings, secrets):
    names = [
        [part.name for part in parts.airflow_parts(replace(settings, triggerer=number), {}, ())]
        for number in (0, 1)
    ]
    assert names[1] == [*names[0], "airflow-triggerer"]


def test_airflow_reads_the_dags_of_others_in_a_folder_in_which_the_platform_removes_nothing(
    settings, secrets
):
    environ = parts.airflow_environment(settings, secrets, {})
    bundles = json.loads(environ["AIRFLOW__DAG_PROCESSOR__DAG_BUNDLE_CONFIG_LIST"])
    (own,) = (Path(one["kwargs"]["path"]) for one in bundles if "path" in one["kwargs"])
    write_dag_files(settings.home)
    (own / "report.py").write_text("")
    write_dag_files(settings.home)
    assert (own / "report.py").exists()
    assert not own.is_relative_to(environ["AIRFLOW__CORE__DAGS_FOLDER"])


def test_a_start_compiles_feature_windows_for_the_evaluations_and_no_part_waits_for_it(
    settings, secrets, tmp_path
):
    started = {part.name: part for part in parts.all_parts(settings, secrets, {}, True)}
    job = started["windows"]
    assert job.once
    assert not job.needs
    assert [name for name, part in started.items() if job.name in part.needs] == []
    cache = {"NUMBA_CACHE_DIR": str(tmp_path / "compiled")}
    subprocess.run(job.command, env={**os.environ, **cache}, check=True)
    assert {file.name.partition("-")[0] for file in tmp_path.rglob("compiled/**/*.nbc")} == {
        "compiled.write_newest",
        "compiled.write_windows",
    }


def test_the_stream_service_starts_after_all_that_people_wait_for_and_is_ready_once_it_works(
    settings, secrets
):
    part = next(
        part for part in parts.all_parts(settings, secrets, {}, False) if part.name == "stream"
    )
    assert (part.needs, part.ready()) == (("airflow-dags",), False)
    alive = Path(part.command[part.command.index("--alive") + 1])
    alive.parent.mkdir(exist_ok=True)
    alive.touch()
    assert part.ready()
    os.utime(alive, (0, 0))  # of an earlier run
    assert not part.ready()


def test_airflow_prepares_its_database_and_pool_once_for_each_version_and_size(settings, secrets):
    environ = parts.airflow_environment(settings, secrets, {})
    assert [part.name for part in parts.airflow_migration(settings, environ)] == [
        "airflow-database"
    ]
    stamp = settings.home / "airflow" / "migrated_to"
    stamp.parent.mkdir()
    stamp.write_text(
        f"{version('apache-airflow-core')} with {settings.background_slots} background slots "
        "and a predict pool"
    )
    assert parts.airflow_migration(settings, environ) == []
    more = replace(settings, background_slots=settings.background_slots + 1)
    (job,) = parts.airflow_migration(more, environ)
    pools = json.loads(Path(job.command[-1]).read_text())
    assert (pools["background"]["slots"], pools["predict"]["slots"]) == (more.background_slots, 1)
    stamp.write_text("3.3.0")
    assert len(parts.airflow_migration(settings, environ)) == 1


def test_a_full_pool_of_trainings_leaves_slots_for_every_shard_of_an_evaluation(settings, secrets):
    for slots in (1, 16):
        environ = parts.airflow_environment(replace(settings, background_slots=slots), secrets, {})
        assert int(environ["AIRFLOW__CORE__PARALLELISM"]) - slots > min(8, os.cpu_count() or 1)


def test_everything_listens_on_the_loopback_address(settings, secrets):
    environ = parts.airflow_environment(settings, secrets, {})
    mlflow = parts.mlflow_part(settings, {}).command
    assert environ["AIRFLOW__API__HOST"] == "127.0.0.1"
    assert mlflow[mlflow.index("--host") + 1] == "127.0.0.1"
    scheduler = next(
        part
        for part in parts.airflow_parts(settings, environ, ())
        if part.name == "airflow-scheduler"
    )
    assert "--skip-serve-logs" in scheduler.command  # that server would listen on all addresses
