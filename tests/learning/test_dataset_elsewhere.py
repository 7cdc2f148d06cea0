"""A dataset is the same wherever it is built."""

import subprocess
import sys

import pytest

from tests.helpers.learning import dataset

pytestmark = pytest.mark.models


def test_another_process_gives_the_same_hash():
    script = (
        "import importlib.util as u, sys; s = u.spec_from_file_location('t', sys.argv[1]); m = "
        "u.module_from_spec(s); "
        "s.loader.exec_module(m); print(m.built().hash)"
    )
    other = subprocess.run(
        [sys.executable, "-c", script, dataset.__file__], capture_output=True, text=True, check=True
    )
    assert other.stdout.strip() == dataset.built().hash
