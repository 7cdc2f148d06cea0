"""Commands that need no model never load the libraries of models: that alone would take longer than
all they do."""

import json
import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta

import pytest
import yaml

from alerting.adapters.mongo.mongo import open_stores
from alerting.ports import ReadingRow
from alerting.usecases.definitions.sync import apply
from alerting.usecases.evaluation.evaluate import evaluate
from alerting.usecases.ingestion.arrivals import add_readings
from tests.builders import oven, too_hot, too_moist
from tests.in_memory_platform import HandClock, platform_on

DATABASE = "light-commands"
NOT_WITHOUT_NEED = {
    *("lightgbm", "sklearn", "scipy", "skops", "shap", "optuna", "threadpoolctl"),
    *("mlflow", "sqlalchemy", "matplotlib", "airflow", "fastapi", "uvicorn", "httpx"),
}
# The commands in one fresh interpreter, light ones first; a line for each: exit code, output, what
# is loaded by then.
RUN = """
import json, sys
from typer.testing import CliRunner
from alerting.cli.main import app
for command in json.loads(sys.argv[1]):
    result = CliRunner().invoke(app, command)
    there = {name for name, module in sys.modules.items() if module is not None}
    loaded = sorted({name.partition(".")[0] for name in there})
    print(json.dumps([command, result.exit_code, result.output, loaded]))
"""
COMMANDS = (
    *("check FILE", "apply FILE", "list", "show too-hot", "show", "episodes", "episodes ID"),
    *("why too-hot oven-1", "list routes", "list sources", "list dead", "evaluate too-hot"),
)
WITHOUT_ARRAYS = ("list", "show", "list routes", "show too-hot")


@pytest.fixture(scope="module")
def plant(real_server, tmp_path_factory):
    """An open threshold episode on a real server; gives its id and the environment of commands."""
    home = tmp_path_factory.mktemp("light")
    with open_stores(real_server, DATABASE, prepare=True) as stores:
        now = datetime.now(UTC)
        platform = platform_on(stores, (), HandClock(now - timedelta(minutes=10)))
        platform.assets.store_assets([oven()])
        apply(
            platform,
            [too_hot(stale_after="10h"), too_moist()],
            "engineer",
            platform.clock.now(),
            "test",
        )
        add_readings(
            platform, [ReadingRow("oven-1", now - timedelta(minutes=5), {"temperature": 230})], now
        )
        platform.clock.instant = now
        evaluate(platform, ["too-hot"], now)
        [episode] = platform.episodes.find()
        environ = {**os.environ, "ALERTING_MONGODB_URI": real_server, "ALERTING_DATABASE": DATABASE}
        yield (
            episode.id,
            home,
            {**environ, "ALERTING_HOME": str(home), "PYTHONPATH": os.pathsep.join(sys.path)},
        )
        stores.database.client.drop_database(DATABASE)


def run(commands, environ):
    """Return the output of each command, and the modules loaded after it; every one of them must
    succeed."""
    given = [sys.executable, "-c", RUN, json.dumps(commands)]
    done = subprocess.run(
        given, check=False, env=environ, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert [(command, code, output) for command, code, output, _ in lines if code] == []
    return [(command, set(loaded)) for command, _, _, loaded in lines]


@pytest.mark.server
def test_a_command_that_needs_no_model_loads_no_library_of_models(plant):
    id, home, environ = plant
    file = home / "too-hot.yaml"
    file.write_text(yaml.safe_dump(too_hot(stale_after="10h")), encoding="utf-8")
    words = {"FILE": str(file), "ID": id}
    for command, loaded in run(
        [[words.get(word, word) for word in command.split()] for command in COMMANDS], environ
    ):
        assert not NOT_WITHOUT_NEED & loaded, command


@pytest.mark.server
def test_a_command_that_reads_no_readings_loads_no_library_of_arrays(plant):
    _, _, environ = plant
    for command, loaded in run([command.split() for command in WITHOUT_ARRAYS], environ):
        assert not {"numpy", "pandas"} & loaded, command


def test_help_needs_neither_the_libraries_of_tables_nor_that_of_the_database():
    for command, loaded in run(
        [["--help"], ["train", "--help"], ["import", "readings", "--help"]], dict(os.environ)
    ):
        assert not ({"numpy", "pandas", "pymongo"} | NOT_WITHOUT_NEED) & loaded, command
