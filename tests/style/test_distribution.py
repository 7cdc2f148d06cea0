"""The list of test files that start Airflow is whole."""

from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def test_all_files_that_start_airflow_run_in_one_process():
    distribution = pytest.importorskip("tests.distribution", reason="needs pytest-xdist")
    files = [
        file
        for folder in ("e2e", "integration", "dags")
        for file in (ROOT / "tests" / folder).rglob("test_*.py")
    ]
    starting = [
        file
        for file in files
        if "running_airflow" in (text := file.read_text())
        or '.wait_for("demo-line is ready"' in text
    ]
    assert {str(file.relative_to(ROOT)) for file in starting} == distribution.START_AIRFLOW
