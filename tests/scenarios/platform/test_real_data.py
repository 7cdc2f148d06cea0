"""The documented commands on public industrial data, word for word, and the figures that they must
reach."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
DATA = os.environ.get("ALERTING_REAL_DATA")

pytestmark = [
    pytest.mark.server,
    pytest.mark.real_data,
    pytest.mark.skipif(
        DATA is None, reason="ALERTING_REAL_DATA names no folder with the public data sets"
    ),
    pytest.mark.timeout(0),  # each command has a limit of its own
]


class Documented:
    """Runs the shell blocks of a README as its reader would."""

    def __init__(self, home, folder, data):
        self.readme = ROOT / "config" / "examples" / folder / "README.md"
        self.environ = os.environ | {
            "ALERTING_HOME": str(home),
            "DATA": str(Path(DATA) / data),
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            "COLUMNS": "200",
        }
        self.home = home

    def run(self):
        self.shell("alerting prepare")
        for block in re.findall(r"```sh\n(.*?)```", self.readme.read_text(), re.S):
            self.shell(block.replace(" --out ", f" --out {self.home}/"))
        return self

    def shell(self, commands):
        done = subprocess.run(
            ["/bin/bash", "-e", "-c", commands],
            env=self.environ,
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
            timeout=1800,
        )
        assert done.returncode == 0, done.stderr[-3000:]
        return done.stdout

    def answer(self, commands):
        return json.loads(self.shell(commands))


@pytest.fixture(scope="module")
def azure(tmp_path_factory):
    return Documented(tmp_path_factory.mktemp("azure"), "azure", "azure_pdm_subset").run()


@pytest.fixture(scope="module")
def roasting(tmp_path_factory):
    return Documented(
        tmp_path_factory.mktemp("roasting"), "roasting", "roasting_production_quality"
    ).run()


def report(documented, name, start, end):
    return documented.answer(
        f"alerting report {name} --from {start} --to {end} --json --out "
        f"{documented.home}/{name}.html"
    )


def test_failures_are_announced_perfectly_only_because_of_the_error_events(azure):
    told = report(azure, "machine-failure", "2015-03-14T05:12Z", "2015-04-01T05:00Z")
    assert told["rows"]["ap"] > 0.99
    assert told["event_recall"]["value"] == 1.0
    honest = report(
        azure, "machine-failure-without-errors", "2015-03-14T05:12Z", "2015-04-01T05:00Z"
    )
    assert 0.35 < honest["rows"]["ap"] < 0.8
    assert honest["rows"]["roc_auc"] > 0.95
    assert honest["event_recall"]["value"] >= 0.6


def test_low_quality_is_predicted_better_than_by_the_last_known_value(roasting):
    figures = report(roasting, "quality-low", "2015-10-20T14:24Z", "2016-01-01T00:00Z")
    assert figures["rows"]["ap"] > 0.85
    assert figures["rows"]["ap"] > figures["rows"]["persistence_ap"] + 0.05
    assert figures["rows"]["prevalence"] == pytest.approx(0.12, abs=0.03)


def test_importing_again_changes_nothing(roasting):
    again = roasting.shell(
        "alerting import readings $DATA/roasting_hourly_2015.csv --time hour_start --asset "
        "roaster-1 --only AH_hour"
    )
    assert "0 new of 8,688" in again
