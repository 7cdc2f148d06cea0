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
    pytest.mark.server,
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


@pytest.fixture(scope="module")
def azure(tmp_path_factory, shell_path):
    made = Documented(tmp_path_factory.mktemp("azure"), "azure", "azure_pdm_subset", shell_path)
    honest = made.folder / "failure-24h-no-errors.yaml"
    with honest.open("a") as file:
        file.write("learning: {candidates: [lightgbm], trials: 1}\n")
    return made.run()


@pytest.fixture(scope="module")
def roasting(tmp_path_factory, shell_path):
    home = tmp_path_factory.mktemp("roasting")
    return Documented(home, "roasting", "roasting_production_quality", shell_path).run()


def test_failures_are_announced_perfectly_only_because_of_the_error_events(azure):
    told = azure.figures("machine-failure")
    assert told["rows"]["ap"] > 0.99
    assert told["event_recall"]["value"] == 1.0
    honest = azure.figures("machine-failure-without-errors")
    assert 0.35 < honest["rows"]["ap"] < 0.8
    assert honest["rows"]["roc_auc"] > 0.95
    assert honest["event_recall"]["value"] >= 0.6


def test_low_quality_is_predicted_better_than_by_the_last_known_value(roasting):
    figures = roasting.figures("quality-low")
    assert figures["rows"]["ap"] > 0.85
    assert figures["rows"]["ap"] > figures["rows"]["persistence_ap"] + 0.05
    assert figures["rows"]["prevalence"] == pytest.approx(0.12, abs=0.03)
