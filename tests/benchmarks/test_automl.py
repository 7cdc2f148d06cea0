"""The comparison with other searches: measured once, resampled in whole events and days, lost only
beyond chance."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from benchmarks.automl.cells import System, cell
from benchmarks.automl.comparison import compare, table
from benchmarks.automl.metrics import compute_metrics, interval, resampled
from benchmarks.automl.tasks import Task, export_task, reload
from tests import small_models

pytestmark = pytest.mark.models


@pytest.fixture(scope="module")
def task():
    return Task("roasting", 0, small_models.dataset(), Path("unused"), "0123456789")


def system(folder, answer="", exit_code=0, version="1"):
    """Something that answers as a peer does, and counts how often it is asked."""
    script = folder / "python"
    script.write_text(
        f"#!/bin/sh\necho asked >> {folder}/asked\necho '{answer}' > \"$4\"\nexit {exit_code}\n"
    )
    script.chmod(0o700)
    return System("flaml", str(script), {"flaml": version})


def asked(folder):
    return (folder / "asked").read_text().count("asked")


def test_what_was_measured_is_not_measured_again_until_something_changes(tmp_path, task):
    answer = json.dumps({"score": [0.1], "seconds": 1.0})
    peer = system(tmp_path, answer)
    first = cell(tmp_path, task, peer, 60, 0, core=0)
    assert cell(tmp_path, task, peer, 60, 0, core=0) == first
    assert asked(tmp_path) == 1
    assert first["score"] == [0.1]
    for other in ((system(tmp_path, answer, version="2"), 60, 0), (peer, 180, 0), (peer, 60, 1)):
        cell(tmp_path, task, *other, core=0)
    assert asked(tmp_path) == 4


def test_a_task_is_read_back_as_it_was_exported(tmp_path):
    whole = small_models.dataset()
    whole = replace(whole, part=whole.part[::-1].copy())
    task = export_task(tmp_path, "ai4i-folds", 0, small_models.definition(), whole)
    definition, dataset = reload(task.folder)
    assert definition == small_models.definition()
    assert dataset.part.tolist() == whole.part.tolist()
    pd.testing.assert_frame_equal(dataset.rows, whole.rows)
    pd.testing.assert_frame_equal(dataset.occurrences, whole.occurrences)


def test_a_system_that_fails_is_left_out_and_tried_again_next_time(tmp_path, task, capsys):
    peer = system(tmp_path, exit_code=3)
    assert cell(tmp_path, task, peer, 60, 0, core=0) is None
    assert cell(tmp_path, task, peer, 60, 0, core=0) is None
    assert asked(tmp_path) == 2
    assert "roasting, flaml, 60 s, seed 0" in capsys.readouterr().err


def test_the_better_system_is_told_apart_and_equal_ones_are_not(task):
    test = task.dataset.measured_in("test")
    label = task.dataset.label[test]
    random = np.random.default_rng(0)
    good = label + random.normal(0, 0.3, len(label))
    poor = label + random.normal(0, 2.0, len(label))
    drawn = resampled(
        [task], {0: {"ours": [good, good], "same": [good], "peer": [poor, poor]}}, samples=200
    )
    assert interval(drawn["ours"] - drawn["peer"])[0] > 0
    assert interval(drawn["ours"] - drawn["same"]) == [0, 0]
    assert compute_metrics(task, good)["ap"] > compute_metrics(task, poor)["ap"]


def test_a_task_without_data_is_skipped_and_says_so(monkeypatch, tmp_path):
    monkeypatch.delenv("ALERTING_REAL_DATA", raising=False)
    result = compare("azure", 60, 3, kept=tmp_path)
    assert "ALERTING_REAL_DATA" in result["skipped"]
    assert result["met"] is None
    assert "ALERTING_REAL_DATA" in table([result])
