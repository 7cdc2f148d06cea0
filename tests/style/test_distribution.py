"""The list of test files that start Airflow is whole, and these are dealt first."""

from collections import OrderedDict
from pathlib import Path
from unittest.mock import Mock

import pytest

ROOT = Path(__file__).parents[2]


def test_all_files_that_start_airflow_run_in_one_process():
    distribution = pytest.importorskip("tests.distribution", reason="needs pytest-xdist")
    files = [file for file in (ROOT / "tests").rglob("test_*.py") if file.parent.name != "style"]
    starting = [
        file
        for file in files
        if "running_airflow" in (text := file.read_text())
        or '.follow_until("demo-line is ready"' in text
        or "RunningPlatform(" in text
        or "running_cluster(" in text
    ]
    assert {str(file.relative_to(ROOT)) for file in starting} == distribution.START_AIRFLOW


def test_the_share_that_starts_airflow_is_dealt_first_and_then_the_long_files():
    distribution = pytest.importorskip("tests.distribution", reason="needs pytest-xdist")
    assert [file for file in distribution.LONG if not (ROOT / file).exists()] == []
    tests = [
        "tests/unit/test_a.py::test_a",
        "tests/scenarios/platform/test_faults.py::test_b",
        "tests/scenarios/platform/test_scheduler.py::test_c",
    ]
    shares = distribution.FileShares.__new__(distribution.FileShares)
    shares.workqueue = OrderedDict((shares._split_scope(test), {test: False}) for test in tests)
    shares.assigned_work = {}
    worker = Mock()
    shares.registered_collections = {worker: tests}
    for _ in tests:
        shares._assign_work_unit(worker)
    assert [call.args for call in worker.send_runtest_some.call_args_list] == [
        ([2],),
        ([1],),
        ([0],),
    ]
