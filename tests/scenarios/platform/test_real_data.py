"""The documented commands on public industrial data, word for word, and the figures that they must
reach.

Of the three trainings that of the roasting machine searches as documented, all families with all
trials; the others fit one model.
"""

import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
DATA = os.environ.get("ALERTING_REAL_DATA")

pytestmark = [
    pytest.mark.night,
    pytest.mark.real_data,
    pytest.mark.skipif(
        DATA is None, reason="ALERTING_REAL_DATA names no folder with the public data sets"
    ),
    pytest.mark.timeout(0),  # each command has a limit of its own
]


class Documented:
    """Runs the shell blocks of a README as its reader would, on a copy of its folder."""

    def __init__(self, home, folder, data, path):
        self.root = home / "project"
        self.folder = self.root / "config" / "examples" / folder
        shutil.copytree(ROOT / "config" / "examples" / folder, self.folder)
        self.environ = os.environ | {
            "ALERTING_HOME": str(home),
            "DATA": str(Path(DATA) / data),
            "PATH": path,
            "COLUMNS": "200",
        }
        self.home = home

    def run(self):
        """Run all blocks. Each report also prints its figures, into a file."""
        self.shell("alerting prepare")
        readme = (self.folder / "README.md").read_text()
        for block in re.findall(r"```sh\n(.*?)```", readme, re.S):
            self.shell(
                re.sub(
                    r"--out (\S+)\.html",
                    rf"--out {self.home}/\1.html --json >{self.home}/\1.json",
                    block,
                )
            )
        return self

    def figures(self, name):
        return json.loads((self.home / f"{name}.json").read_text())

    def shell(self, commands):
        done = subprocess.run(
            ["/bin/bash", "-e", "-c", commands],
            env=self.environ,
            cwd=self.root,
            capture_output=True,
            text=True,
            check=False,
            timeout=1800,
        )
        assert done.returncode == 0, done.stderr[-3000:]
        return done.stdout


def test_failures_are_announced_perfectly_only_because_of_the_error_events(tmp_path, shell_path):
    azure = Documented(tmp_path, "azure", "azure_pdm_subset", shell_path)
    with (azure.folder / "failure-24h-no-errors.yaml").open("a") as file:
        file.write("learning: {candidates: [lightgbm], trials: 1}\n")
    azure.run()
    told = azure.figures("machine-failure")
    assert told["rows"]["ap"] > 0.99
    assert told["event_recall"]["value"] == 1.0
    honest = azure.figures("machine-failure-without-errors")
    assert 0.35 < honest["rows"]["ap"] < 0.8
    assert honest["rows"]["roc_auc"] > 0.95
    assert honest["event_recall"]["value"] >= 0.6


def test_low_quality_is_predicted_better_than_by_the_last_known_value(tmp_path, shell_path):
    roasting = Documented(tmp_path, "roasting", "roasting_production_quality", shell_path)
    rows = roasting.run().figures("quality-low")["rows"]
    assert rows["ap"] > 0.85
    assert rows["ap"] > rows["persistence_ap"] + 0.05
    assert rows["prevalence"] == pytest.approx(0.12, abs=0.03)
