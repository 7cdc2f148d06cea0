"""Tests of the pure core load no library of frames or models, in a fresh process, also not while
they run."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
HEAVY = {"pandas", "sklearn", "lightgbm"}
PROGRAM = """
import sys, pytest
failed = pytest.main(["-q", "-p", "no:xdist", "-p", "no:cacheprovider", "-m", "fast", sys.argv[1]])
print(int(failed), sorted(set(sys.argv[2:]) & set(sys.modules)))
"""


@pytest.mark.parametrize("folder", ["definitions", "episodes", "operators", "notifications"])
def test_the_tests_of_a_pure_folder_run_without_them(folder):
    command = [sys.executable, "-c", PROGRAM, f"tests/{folder}", *HEAVY]
    found = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert found.stdout.splitlines()[-1] == "0 []", found.stdout


def test_an_evaluation_loads_no_library_of_models_or_statistics():
    program = (
        "import sys, alerting.usecases.evaluation.evaluate\n"
        "from alerting.kinds.registry import kind_of\n"
        "from tests.builders import threshold\n"
        "kind_of(threshold())\n"  # loads all kinds
        "print(sorted({'scipy', 'sklearn', 'lightgbm'} & set(sys.modules)))"
    )
    found = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert found.stdout.splitlines()[-1] == "[]", found.stdout
