"""Fixtures of this folder."""

import os
import sys
from pathlib import Path

import pytest

from tests.helpers.forked_script import alerting_script
from tests.helpers.stores import in_memory, real, stores  # noqa: F401 - fixtures


@pytest.fixture(scope="session")
def shell_path():
    """Return a PATH whose `alerting` is forked from a process that has imported its libraries."""
    with alerting_script() as folder:
        yield f"{folder}:{Path(sys.executable).parent}:{os.environ['PATH']}"
