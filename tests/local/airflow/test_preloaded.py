"""A tick loads no module of ours: Airflow has loaded all before it forks the task."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from alerting.adapters.mongo.mongo import open_database
from alerting.local.prepare import prepare
from alerting.ports import ReadingRow
from alerting.settings.environment import Settings
from alerting.usecases.definitions.sync import apply
from alerting.usecases.ingestion.arrivals import add_readings
from alerting.wiring import open_platform
from tests.builders import at, oven, too_hot

pytestmark = pytest.mark.server
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
from alerting.usecases.evaluation.evaluate import evaluate_shard, plan_round
from alerting.usecases.notification.deliver import deliver_now
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


@pytest.mark.parametrize("modules", [LOCAL, CELERY], ids=["LocalExecutor", "Celery"])
def test_a_tick_finds_every_module_and_the_hash_of_the_code_loaded(settings, modules):
    environ = {
        "ALERTING_HOME": str(settings.home),
        "ALERTING_MONGODB_URI": settings.mongodb_uri,
        "ALERTING_DATABASE": DATABASE,
        "AIRFLOW_HOME": str(settings.home / "airflow"),
    }
    command = [sys.executable, "-c", TICK, at(6).isoformat(), ",".join(modules)]
    done = subprocess.run(
        command, capture_output=True, text=True, env=os.environ | environ, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    targets, hashed, late = json.loads(done.stdout.splitlines()[-1])
    assert targets == 1
    assert hashed == 1
    assert not late, " ".join(late)
