"""A tick, or the reading of a DAG file, loads no module of ours: Airflow has loaded all before it
forks the process."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from alerting.adapters.airflow.dag_files import dag_folder, write_dag_files
from alerting.adapters.mongo.mongo import open_database
from alerting.local.prepare import prepare
from alerting.ports import ReadingRow
from alerting.settings.environment import Settings
from alerting.usecases.definitions.revisions_and_evaluation_plan import apply
from alerting.usecases.ingestion.arrived_rows import add_readings
from alerting.wiring import open_platform
from tests.builders import at, oven, too_hot

DATABASE = "preloaded"
CONFIG = Path(__file__).parents[3] / "config"
LOCAL = re.search(r"FORKSERVER_PRELOAD=(.*)", (CONFIG / "airflow.env").read_text())[1].split(",")
CELERY = json.loads(
    re.search(r"EXTRA_CELERY_CONFIG=(.*)", (CONFIG / "cluster.env").read_text())[1]
)["imports"]
TICK = """
import importlib, json, os, sys
for name in sys.argv[2].split(","):
    importlib.import_module(name)
loaded = set(sys.modules)

from datetime import datetime, timedelta
from airflow.dag_processing.dagbag import BundleDagBag
from airflow.sdk.execution_time.supervisor import supervise_task
from alerting.adapters.mongo.prepare import code_hash
from alerting.settings.environment import read_settings
from alerting.usecases.evaluation.rounds import evaluate_shard, plan_round
from alerting.usecases.notification.delivery import deliver_now
from alerting.wiring import open_platform

minute, now = timedelta(minutes=1), datetime.fromisoformat(sys.argv[1])
hashed = code_hash.cache_info().currsize
with open_platform(read_settings(os.environ), service=True) as platform:
    plan = plan_round(platform, minute, 1, now)
    counts = evaluate_shard(platform, minute, 0, 1, now, plan.source_hash, has_requests=False)
    deliver_now(platform, now)
late = [name for name in sys.modules if name not in loaded and name.split(".")[0] in (
    "alerting", "airflow", "pymongo", "mlflow", "pandas", "sqlalchemy")]
print(json.dumps([counts.targets, hashed, late]))
"""
READ = """
import json, runpy, sys
from pathlib import Path
from alerting.local.airflow import dag_reader

def read_files(*_, **__):
    loaded = set(sys.modules)
    sys.path.insert(0, FOLDER)
    files = sorted(Path(FOLDER).glob("*.py"))
    for file in files:
        runpy.run_path(str(file))
    late = [name for name in sys.modules if name not in loaded and name.split(".")[0] in (
        "alerting", "pymongo")]
    print(json.dumps([len(files), late]))

FOLDER = sys.argv[1]
dag_reader.runpy.run_module = read_files
dag_reader.main()
"""


@pytest.fixture
def settings(real_server, tmp_path):
    """The settings of a platform with one open alarm, whose next tick is due."""
    found = Settings(home=tmp_path, mongodb_uri=real_server, database=DATABASE)
    prepare(found)
    with open_platform(found) as platform:
        platform.assets.store_assets([oven()])
        apply(platform, [too_hot()], "test", at(0), "test")
        rows = [ReadingRow("oven-1", at(m), {"temperature": 220.0}) for m in range(5)]
        add_readings(platform, rows, at(5))
    yield found
    with open_database(real_server, DATABASE) as database:
        database.client.drop_database(DATABASE)


def run(settings, script, *arguments):
    """Return what a script prints at its end on this platform."""
    environ = {
        "ALERTING_HOME": str(settings.home),
        "ALERTING_MONGODB_URI": settings.mongodb_uri,
        "ALERTING_DATABASE": DATABASE,
        "AIRFLOW_HOME": str(settings.home / "airflow"),
    }
    command = [sys.executable, "-c", script, *arguments]
    done = subprocess.run(
        command, capture_output=True, text=True, env=os.environ | environ, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.parametrize("modules", [LOCAL, CELERY], ids=["LocalExecutor", "Celery"])
def test_a_tick_finds_every_module_and_the_hash_of_the_code_loaded(settings, modules):
    targets, hashed, late = run(settings, TICK, at(6).isoformat(), ",".join(modules))
    assert targets == 1
    assert hashed == 1
    assert not late, " ".join(late)


def test_a_dag_file_finds_every_module_loaded(settings):
    write_dag_files(settings.home)
    read, late = run(settings, READ, str(dag_folder(settings.home)))
    assert read > 20
    assert not late, " ".join(late)
