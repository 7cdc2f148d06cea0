"""Scores of the past: those that evaluation stores, with the reason of each unknown instant;
nothing is written."""

from datetime import timedelta

import pandas as pd
import pytest

from alerting.adapters.files.tables.score_table import write_scores
from alerting.definitions.faults import UserError
from alerting.usecases.definitions.sync import apply
from alerting.usecases.evaluation.evaluate import evaluate_past
from alerting.usecases.scoring import past_scores
from alerting.usecases.scoring.past_scores import plan_scoring, score_past
from tests import small_models
from tests.builders import too_hot
from tests.helpers.learning.small_plant import decided, serve, small_plant

pytestmark = pytest.mark.models

HOUR = timedelta(hours=1)
CUTOFF = small_models.START + 20 * HOUR
END = small_models.START + 150 * HOUR
RECOVERING = {"variable": "moisture", "above": 4.5, "recovery": "2h"}


@pytest.fixture
def platform(monkeypatch):
    data = small_models.dataset(hours=60)
    model = small_models.linear_model(
        data.plan, data.rows, {"humidity.last": 2.0}, threshold=0.5, training_cutoff=CUTOFF
    )
    serve(monkeypatch, {b"1": model})
    made = small_plant(150, decided(END), problem=RECOVERING)
    made.clock.instant = END
    return made


def scored(platform, tmp_path, name="scores.csv", start=None):
    counts = write_scores(
        tmp_path / name,
        score_past(platform, plan_scoring(platform, "too-moist", start, None, None)),
    )
    read = pd.read_csv if name.endswith(".csv") else pd.read_parquet
    frame = read(tmp_path / name)
    return frame.assign(time=pd.to_datetime(frame["time"], utc=True)), counts


def test_past_scores_equal_those_that_evaluation_stores_whatever_the_step(
    platform, tmp_path, monkeypatch
):
    frame, counts = scored(platform, tmp_path)
    monkeypatch.setattr(past_scores, "_LEAST_STEP", timedelta(hours=7))
    by_small_steps, _ = scored(platform, tmp_path, "small.parquet")
    pd.testing.assert_frame_equal(frame, by_small_steps, check_dtype=False)
    assert list(platform.scores.for_interval("too-moist", CUTOFF, END)) == []
    assert platform.episodes.find("too-moist") == []
    evaluate_past(platform, "too-moist", CUTOFF, END, model="champion")
    rows = platform.scores.for_interval("too-moist", CUTOFF, END + HOUR)
    stored = {row["ts"]: row["score"] for row in rows}
    known = frame[frame["reason"].isna()]
    assert dict(zip(known["time"], known["score"], strict=True)) == stored
    assert counts[""] == len(stored) > 50
    assert (set(known["threshold"]), set(frame["asset"])) == ({0.5}, {"oven-1"})


def test_each_instant_without_a_score_has_its_reason(platform, tmp_path):
    frame, counts = scored(platform, tmp_path, start=small_models.START)
    by_reason = frame[frame["score"].isna()].groupby("reason")["time"]
    learned = f"the model has learned from times up to {CUTOFF.isoformat()}"
    assert set(counts) == {
        "",
        learned,
        "the problem has already started",
        "recovery after the problem",
    }
    assert by_reason.max()[learned] <= CUTOFF < frame["time"][frame["score"].notna()].min()
    recovering = by_reason.get_group("recovery after the problem")
    moist = small_models.line(150).readings["moisture"]
    for instant in recovering[::7]:
        before = moist[:instant]
        assert moist[:instant].iloc[-1] <= 4.5
        assert instant - before.index[before > 4.5][-1] <= 2 * HOUR + timedelta(minutes=5)


def test_an_interrupted_file_is_not_left_behind_and_an_earlier_one_stays(platform, tmp_path):
    path = tmp_path / "scores.csv"
    path.write_text("earlier")

    def broken():
        yield from score_past(platform, plan_scoring(platform, "too-moist", None, None, None))
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_scores(path, broken())
    assert [p.name for p in tmp_path.iterdir()] == ["scores.csv"]
    assert path.read_text() == "earlier"


def test_faults_of_the_question_are_named(platform, tmp_path):
    apply(platform, [too_hot(variable="humidity")], "engineer", small_models.START, "test")
    faults = {
        ("too-hot", None, None, None): "of kind threshold, which has no model",
        ("too-moist", None, None, "seven"): "write a version number",
        ("too-moist", None, CUTOFF, None): "has learned from times up to",
        ("too-moist", END, None, None): "must lie before",
    }
    for asked, fault in faults.items():
        with pytest.raises(UserError, match=fault):
            plan_scoring(platform, *asked)
    with pytest.raises(UserError, match=r"ends in \.csv or \.parquet"):
        write_scores(tmp_path / "scores.xlsx", [])
    with pytest.raises(UserError, match="cannot be written"):
        write_scores(tmp_path / "missing" / "scores.csv", [])
