"""A benchmark of public data where they are not named: a sentence, and no failure."""

import json

import pytest

from benchmarks.helpers.public_data import ABSENT
from benchmarks.run import main

pytestmark = pytest.mark.models

OF_PUBLIC_DATA = ("anomaly", "forecast", "recommend")


@pytest.mark.parametrize("name", OF_PUBLIC_DATA)
def test_a_benchmark_without_its_data_says_so_and_does_not_fail(
    name, monkeypatch, capsys, tmp_path
):
    monkeypatch.delenv("ALERTING_REAL_DATA", raising=False)
    monkeypatch.setenv("ALERTING_BENCH_KEPT", str(tmp_path))
    assert main([name]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["benchmark"] == name
    assert found["met"] is None
    assert ABSENT in json.dumps(found)
