"""Commands that need no model never load the libraries of models: that alone would take longer than
all they do."""

import json
import os
import subprocess
import sys

import yaml

from alerting.adapters.mongo.mongo import open_stores
from tests.builders import oven, too_hot

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

WITHOUT_ARRAYS = ("list", "show", "list routes")
COMMANDS = (
    *WITHOUT_ARRAYS,
    *("check hot.yaml", "apply hot.yaml"),
    *("show too-hot", "evaluate too-hot", "episodes", "why too-hot oven-1"),
    *("list sources", "list dead"),
)
HELP = ("--help", "import readings --help", "train --help")


def loaded_after(commands, environ, folder="."):
    """Return the modules that are loaded after each command; every one of them must succeed."""
    given = [sys.executable, "-c", RUN, json.dumps([command.split() for command in commands])]
    done = subprocess.run(
        given, check=False, env=environ, capture_output=True, text=True, cwd=folder
    )
    assert done.returncode == 0, done.stderr
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert [(command, output) for command, code, output, _ in lines if code] == []
    return {name: set(line[3]) for name, line in zip(commands, lines, strict=True)}


def test_a_command_loads_no_library_of_models_and_without_readings_none_of_arrays(
    real_server, tmp_path
):
    (tmp_path / "hot.yaml").write_text(yaml.safe_dump(too_hot()), encoding="utf-8")
    named = {"ALERTING_MONGODB_URI": real_server, "ALERTING_DATABASE": "light-commands"}
    own = {"ALERTING_HOME": str(tmp_path / "home"), "PYTHONPATH": os.pathsep.join(sys.path)}
    with open_stores(real_server, "light-commands", prepare=True) as stores:
        stores.assets.store_assets([oven()])
        found = loaded_after(COMMANDS, os.environ | named | own, tmp_path)
        stores.database.client.drop_database("light-commands")
    heavy = {name: loaded & NOT_WITHOUT_NEED for name, loaded in found.items()}
    assert {name: modules for name, modules in heavy.items() if modules} == {}
    arrays = {"numpy", "pandas"}
    assert [name for name in WITHOUT_ARRAYS if found[name] & arrays] == []


def test_help_needs_neither_the_library_of_tables_nor_that_of_the_database():
    heavy = {"pandas", "pymongo"} | NOT_WITHOUT_NEED
    found = loaded_after(HELP, dict(os.environ))
    assert "numpy" not in found["import readings --help"]
    assert {name: loaded & heavy for name, loaded in found.items() if loaded & heavy} == {}
