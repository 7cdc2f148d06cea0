"""A training gives the same model on an idle and on a busy machine, and one that its time budget
ended is repeated exactly."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import replace

import pytest
from typer.testing import CliRunner

from alerting.cli import models
from alerting.cli.main import app
from alerting.definitions.faults import UserError
from alerting.ports import ReadingRow, TrainingLimits
from alerting.reporting.page.decision_text import cut_short_lines, decision_markdown
from alerting.settings.machine import read_time
from alerting.usecases.definitions.sync import apply
from alerting.usecases.ingestion.arrivals import add_readings
from alerting.usecases.reports.make import make_report
from alerting.usecases.training.repeat import repeat_run
from alerting.usecases.training.train import train
from tests.builders import at, oven, too_moist
from tests.helpers.console.episode_page import browser_of
from tests.helpers.learning.machine_time import time_of_trials
from tests.helpers.learning.training import MINUTES, moisture_after_humidity
from tests.in_memory_platform import Mailbox, in_memory_platform

pytestmark = [pytest.mark.models, pytest.mark.server]

NAME = "too-moist"
BUSY = 4  # processes beside, on the two cores of a small machine


@pytest.fixture(scope="module")
def line():
    platform = in_memory_platform(Mailbox("mail"))
    platform.assets.store_assets([oven()])
    rows = [
        ReadingRow("oven-1", at(int(m)), {"humidity": float(h), "moisture": float(w)})
        for m, h, w in zip(*moisture_after_humidity(), strict=True)
    ]
    add_readings(platform, rows, at(0))
    platform.clock.instant = at(MINUTES)
    return platform


@pytest.fixture(scope="module")
def cut(line):
    """The platform with a training that its time budget ended after two of five trials. People see
    its runs, as those of MLflow."""
    line.runs.shown = True
    return line, trained(line, NAME, time_of_trials(1), trials=5, time_budget="2s")


def trained(platform, name, measured, **learning):
    document = too_moist(
        name=name,
        learning={"folds": 2, "candidates": ["logistic_regression", "lightgbm"]} | learning,
        features={"stride": "5m"},
    )
    apply(platform, [document], "engineer", at(MINUTES), "test")
    limits = TrainingLimits(read_time=measured)
    return train(replace(platform, limits=limits), name, at(MINUTES))


def hash_of(platform, result):
    tags = platform.models.version_tags(result.definition, result.challenger_version)
    return tags["model_hash"]


@contextmanager
def busy_machine() -> Iterator[None]:
    """Other programs that compute all the time."""
    others = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(BUSY)]
    try:
        yield
    finally:
        for other in others:
            other.kill()
            other.wait()


def test_a_busy_machine_trains_the_same_model(line):
    idle = trained(line, "idle", read_time, trials=2)
    with busy_machine():
        busy = trained(line, "busy", read_time, trials=2)
    assert hash_of(line, busy) == hash_of(line, idle)
    assert busy.leaderboard == idle.leaderboard
    assert not any(one.cut_short for one in busy.leaderboard)


def test_a_training_that_its_time_budget_ended_is_repeated_exactly(cut):
    platform, result = cut
    done = {one.family: (one.trials, one.trials_asked) for one in result.leaderboard}
    assert done == {
        "persistence": (1, 1),
        "logistic_regression": (2, 5),
        "lightgbm": (2, 5),
    }
    again = repeat_run(platform, result.run_id)
    assert again.model_hash == hash_of(platform, result)
    assert again.version == result.challenger_version
    assert again.trials == {family: trials for family, (trials, _) in done.items()}
    assert repeat_run(platform, NAME) == repeat_run(platform, result.run_id[:6]) == again
    assert platform.models.versions(NAME) == [result.challenger_version]
    assert len(platform.decisions.for_definition(NAME)) == 1


def test_whoever_sees_the_model_sees_that_it_was_cut_short_and_how_to_repeat_it(cut, monkeypatch):
    platform, result = cut
    command = f"alerting model repeat {result.run_id}"
    (line,) = cut_short_lines(result.leaderboard, result.run_id)
    assert "logistic regression after 2 of 5, lightgbm after 2 of 5" in line and command in line
    assert line[1:] in decision_markdown(result)
    monkeypatch.setattr(models, "platform", lambda: nullcontext(platform))
    shown = CliRunner().invoke(app, ["models", NAME]).stdout
    assert command in " ".join(shown.split())
    told = CliRunner().invoke(app, ["model", "repeat", result.run_id])
    assert told.exit_code == 0, told.output
    assert f"the same model, version 1, hash {hash_of(platform, result)}" in told.stdout
    page = browser_of(platform).get(f"/models/{NAME}").text
    assert page.count(command) == 2  # beside the candidates, and with the decision
    report = make_report(platform, NAME, at(0), at(MINUTES + 1), at(MINUTES + 1))
    assert command in report.page


def test_another_model_is_refused_by_its_hash(line):
    result = trained(line, "changed", None, trials=1)
    hash_before = hash_of(line, result)
    line.models.registered["changed"][0].tags["model_hash"] = "0" * 64
    with pytest.raises(UserError, match=f"gives another model now: {hash_before}, and was 0000"):
        repeat_run(line, "changed")


def test_a_run_whose_dataset_is_lost_cannot_be_repeated_and_says_so(line):
    result = trained(line, "lost", None, trials=1)
    del line.runs.runs[result.run_id].files["dataset"]
    with pytest.raises(UserError, match="is no longer in the registry; train again"):
        repeat_run(line, "lost")


def test_what_has_no_training_is_answered_with_what_to_do(line):
    apply(line, [too_moist(name="untrained")], "engineer", at(MINUTES), "test")
    with pytest.raises(UserError, match="no training with a result yet: `alerting train untr"):
        repeat_run(line, "untrained")
    with pytest.raises(UserError, match="no run begins with 'abcdef'"):
        repeat_run(line, "abcdef")
