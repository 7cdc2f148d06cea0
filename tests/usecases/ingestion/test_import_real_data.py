"""Public data of units, imported by the commands that their README documents, and trained on."""

import os
import re
import shlex
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from alerting.adapters.mongo.mongo import open_stores
from alerting.kinds.validation import parse_definition
from alerting.learning.data.dataset import build_dataset
from alerting.learning.search.search import search_candidate
from alerting.learning.selection.challenger import finish_challenger
from alerting.ports import silent

ROOT = Path(__file__).parents[3]
EXAMPLE = ROOT / "config" / "examples" / "ai4i"
DATA = os.environ.get("ALERTING_REAL_DATA")
pytestmark = [
    pytest.mark.models,
    pytest.mark.server,
    pytest.mark.real_data,
    pytest.mark.skipif(
        not DATA or not Path(DATA).is_dir(), reason="needs the folder named by ALERTING_REAL_DATA"
    ),
]


@pytest.fixture
def run(real_server, tmp_path, monkeypatch):
    """Runs the first block of commands in an example's README; returns their outputs."""
    monkeypatch.chdir(ROOT)
    monkeypatch.setenv("ALERTING_MONGODB_URI", real_server)
    monkeypatch.setenv("ALERTING_DATABASE", "examples")
    monkeypatch.setenv("ALERTING_HOME", str(tmp_path))
    from alerting.cli.main import app

    def invoke(*words):
        result = CliRunner(env={"COLUMNS": "300"}).invoke(app, words)
        assert result.exit_code == 0, (words, result.output)
        return result.stdout

    def run():
        readme = (EXAMPLE / "README.md").read_text()
        block = re.findall(r"```sh\n(.*?)```", readme, re.DOTALL)[0]
        lines = block.replace("$DATA", str(Path(DATA) / "ai4i2020")).splitlines()
        return [invoke(*shlex.split(line)[1:]) for line in lines if line.strip()]

    invoke("prepare")
    return run


def test_ai4i_is_trained_on_the_unit_just_made_as_documented(run, real_server):
    told = run()[0]
    assert "10,000 new of 10,000 readings of 1 asset, 2000-01-01 00:00 UTC to 2000-01-07 22" in told
    assert "units by their number in 'UDI', 1m apart from 2000-01-01T00:00:00Z" in told
    assert "\n0 new of" in run()[0]
    document = yaml.safe_load((EXAMPLE / "machine-fails.yaml").read_text())
    learning = {"learning": {"trials": 1, "candidates": ["lightgbm"]}}
    definition = parse_definition(document | learning)
    with open_stores(real_server, "examples", prepare=True) as stores:
        history = stores.readings.load(stores.assets.get("mill-1"), None, None)
    dataset = build_dataset(definition, 1, [history], datetime(2000, 1, 8, tzinfo=UTC))
    assert {variable.name for variable in dataset.plan.numbers} == {
        "Air_temperature",
        "Process_temperature",
        "Rotational_speed",
        "Torque",
        "Tool_wear",
    }
    assert len(dataset.problems) == dataset.label.sum() == 339
    candidate = search_candidate(dataset, definition, "lightgbm", silent)
    challenger, evidence = finish_challenger(dataset, candidate, definition)
    assert (candidate.ap > 0.5, evidence.rows["test"]["ap"] > 0.6) == (True, True)
    assert evidence.events["test"].n_found >= 20
    assert challenger.gap == challenger.horizon == timedelta(0)
