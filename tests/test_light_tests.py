"""An evaluation loads no library of models, in a fresh process."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]


def test_an_evaluation_loads_no_library_of_models_or_statistics():
    program = (
        "import sys, alerting.usecases.evaluation.rounds\n"
        "from alerting.kinds.registry import kind_of\n"
        "from tests.builders import threshold\n"
        "kind_of(threshold())\n"  # loads all kinds
        "print(sorted({'scipy', 'sklearn', 'lightgbm'} & set(sys.modules)))"
    )
    found = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert found.stdout.splitlines()[-1] == "[]", found.stdout
