"""The tutorial, word for word in an empty folder: its files, its commands, and what it says they
print. Figures of models may differ between versions, so numbers are compared as numbers alone."""

import os
import re
import subprocess
from pathlib import Path

import pytest

from tests.support import free_port

ROOT = Path(__file__).parents[3]
PAGE = ROOT / "docs" / "tutorial.md"

pytestmark = pytest.mark.timeout(900)


def written_files(page):
    """Return the name and content of each file that the page shows: **name**: and a block."""
    return re.findall(r"\*\*([\w.-]+)\*\*:\n\n```(?:python|yaml)\n(.*?)```", page, re.DOTALL)


def shown_runs(page):
    """Yield each command of the page with the lines that it is said to print."""
    for block in re.findall(r"```console\n(.*?)```", page, re.DOTALL):
        for run in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
            command, _, printed = run.partition("\n")
            yield command, printed.splitlines()


def without_figures(line):
    """Return a line with `#` for each number or id, and single blanks."""
    return " ".join(re.sub(r"\b(?=\w*\d)[\da-f][\w.,:-]*", "#", line).split())


@pytest.mark.night
def test_the_tutorial_does_what_it_says(tmp_path, shell_path):
    page = PAGE.read_text(encoding="utf-8")
    ports = {
        f"ALERTING_{name}_PORT": str(free_port())
        for name in ("MONGODB", "MLFLOW", "AIRFLOW", "API")
    }
    environ = {name: value for name, value in os.environ.items() if name != "ALERTING_HOME"}
    environ |= ports | {
        "PATH": shell_path,
        "XDG_STATE_HOME": str(tmp_path / "state"),
        "COLUMNS": "110",
    }
    for name, content in written_files(page):
        (tmp_path / name).write_text(content, encoding="utf-8")
    for command, expected in shown_runs(page):
        done = subprocess.run(
            ["/bin/bash", "-c", command],
            env=environ,
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, (command, done.stderr[-3000:])
        printed = {without_figures(line) for line in (done.stdout + done.stderr).splitlines()}
        for line in expected:
            if line != "…":
                assert without_figures(line) in printed, (command, line, done.stdout[-3000:])
    assert (tmp_path / "report.html").stat().st_size > 10_000
