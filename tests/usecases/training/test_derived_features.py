"""Stride and windows that nobody stated: derived at the first training, kept by retrainings, used
live, and said."""

import re
from contextlib import nullcontext
from datetime import timedelta
from itertools import pairwise

import pytest
import yaml
from typer.testing import CliRunner

from alerting.cli import documents as files
from alerting.cli import lists
from alerting.cli.main import app
from alerting.definitions.revisions import question_hash
from alerting.kinds.validation import parse_definition
from alerting.learning.features.planning import DerivedFeatures
from alerting.ports import ReadingRow
from alerting.usecases.definitions.sync import apply
from alerting.usecases.evaluation.evaluate import evaluate
from alerting.usecases.ingestion.arrivals import add_readings
from alerting.usecases.training.dataset import dataset_of
from alerting.usecases.training.train import train
from tests.builders import at, oven, too_moist
from tests.helpers.learning.training import EVERY, MINUTES, moisture_after_humidity
from tests.in_memory_platform import Mailbox, in_memory_platform

pytestmark = pytest.mark.models
LEARNING = {"trials": 1, "folds": 2, "candidates": ["logistic_regression"]}


@pytest.fixture(scope="module")
def trained():
    platform = in_memory_platform(Mailbox("mail"))
    platform.assets.store_assets([oven()])
    add_readings(platform, rows(moisture_after_humidity()), at(0))
    apply(platform, [too_moist(horizon="1h", learning=LEARNING)], "engineer", at(0), "test")
    platform.clock.instant = at(MINUTES)
    return platform, train(platform, "too-moist", at(MINUTES))


def rows(line, after=0):
    return [
        ReadingRow("oven-1", at(after + int(m)), {"humidity": float(h), "moisture": float(w)})
        for m, h, w in zip(*line, strict=True)
    ]


def strides(platform, name="too-moist"):
    minute = 60_000
    return dataset_of(platform, name, platform.clock.now()).plan.stride_ms / minute


def test_the_stride_is_the_sampling_and_the_champion_is_evaluated_at_it(trained):
    platform, result = trained
    assert strides(platform) == EVERY  # a sixth of the horizon would be 10 minutes
    assert result.promote
    evaluate(platform, None, at(MINUTES))
    more = [(m, 40.0, 3.5) for m in range(EVERY, 130, EVERY)]
    add_readings(platform, rows(zip(*more, strict=True), MINUTES), at(MINUTES + 130))
    platform.clock.instant = at(MINUTES + 130)
    evaluate(platform, None, at(MINUTES + 130))
    scored = [
        s["ts"]
        for s in platform.scores.for_interval("too-moist", at(MINUTES + 30), at(MINUTES + 120))
    ]
    assert {b - a for a, b in pairwise(scored)} == {at(EVERY) - at(0)}


def test_a_retraining_keeps_the_stride_whatever_the_data_now_suggest_and_a_stated_one_wins(trained):
    platform, _ = trained
    document = too_moist(name="kept", horizon="1h", learning=LEARNING)
    question = question_hash(parse_definition(document))
    first = DerivedFeatures(timedelta(minutes=10), (timedelta(hours=1),), "of an earlier training")
    platform.derived_features.fix("kept", question, first)
    apply(platform, [document], "engineer", at(0), "test")
    result = train(platform, "kept", at(MINUTES))
    assert strides(platform, "kept") == 10
    assert any("Stride 10m and windows 1h" in note for note in result.dataset.notes)
    assert platform.derived_features.get("kept", question) == first
    apply(platform, [document | {"title": "Moist"}], "engineer", at(1), "test")
    assert strides(platform, "kept") == 10
    apply(platform, [document | {"features": {"stride": "15m"}}], "engineer", at(2), "test")
    assert strides(platform, "kept") == 15
    apply(platform, [document | {"horizon": "90m"}], "engineer", at(3), "test")
    assert strides(platform, "kept") == EVERY


def test_check_train_and_show_say_what_was_derived_and_why(trained, monkeypatch, tmp_path):
    platform, result = trained
    for module in (files, lists):
        monkeypatch.setattr(module, "platform", lambda: nullcontext(platform))
    said = (
        "Stride 5m and windows 30m, 2h, 6h were derived from the data: the finest sampling is 5m."
    )
    assert any(said in note for note in result.dataset.notes)
    documents = [too_moist(horizon="1h", learning=LEARNING), too_moist(name="new", horizon="2h"),
    too_moist(name="own", features={"stride": "5m", "windows": ["1h"]})]  # fmt: skip
    file = tmp_path / "definitions.yaml"
    file.write_text(yaml.safe_dump_all(documents))
    shown = unwrapped(CliRunner().invoke(app, ["check", str(file)]))
    assert f"too-moist: {said}" in shown
    assert "new: Not trained yet; a training now would fix: Stride" in shown
    assert "own: Stride" not in shown
    assert "own: Not trained yet" not in shown
    assert said in unwrapped(CliRunner().invoke(app, ["show", "too-moist"]))


def unwrapped(result):
    assert result.exit_code == 0, result.output
    return re.sub(r"\s+#?\s*", " ", result.output)
