"""A score on request, or of the past, equals the one that evaluation stores, for every kind that
has scores; each unknown instant has its reason, and nothing is written."""

import json
from dataclasses import asdict, replace
from datetime import timedelta

import numpy as np
import pandas as pd
import pytest

from alerting.adapters import scored_files as parquet
from alerting.adapters.scored_files import AS_BEFORE, score_file, write_scores
from alerting.definitions.faults import NotFound
from alerting.definitions.file_form import FileForm
from alerting.episodes.advice import split_reasons
from alerting.kinds.protocol import ScoredRows
from alerting.ports import FixedClock, WantedHistory
from alerting.usecases.definitions.revisions_and_evaluation_plan import apply
from alerting.usecases.evaluation.rounds import evaluate_past
from alerting.usecases.explain import why
from alerting.usecases.model_registry import ModelCache
from alerting.usecases.scoring import past_scores
from alerting.usecases.scoring.past_scores import plan_scoring, score_past
from alerting.usecases.scoring.predict import (
    PredictionBatch,
    PredictQuestion,
    predict,
    sent_readings,
)
from tests import small_models
from tests.builders import at, too_hot
from tests.helpers.learning.small_plant import decided, serve, small_plant
from tests.helpers.refusals import assert_refused
from tests.helpers.scored_lines import FORECAST
from tests.humid_line import ASSET, DAY, NAME, humid_oven, learned_quickly
from tests.in_memory_platform import in_memory_platform

pytestmark = pytest.mark.models


def of_asset(platform, asset, start, end):
    """The rows that a program would send for (start, end]."""
    return [
        {
            "ts": ts.isoformat(),
            "values": {name: value for name, value in row.items() if not pd.isna(value)},
        }
        for ts, row in platform.readings.load(
            WantedHistory(platform.assets.get(asset), start, end)
        ).readings.iterrows()
    ]


def test_the_score_of_an_asset_is_the_one_that_evaluation_stored(served):
    kind, platform, name, asset, stored = served
    models = ModelCache(platform)
    before = list(platform.scores.for_interval(name, at(0), at(100 * DAY)))
    highest = max(stored, key=lambda row: row["score"])
    asked = [*stored[::9], highest]
    found = [predict(platform, models, name, asset, row["ts"]) for row in asked]
    expected = [(row["ts"], row["score"], row["model_version"], None) for row in asked]
    assert [(one.at, one.score, one.model_version, one.unknown) for one in found] == expected
    assert [one.would_raise for one in found] == [one.score >= one.threshold for one in found]
    half_a_minute = timedelta(seconds=30)
    later = [predict(platform, models, name, asset, row["ts"] + half_a_minute) for row in asked]
    assert [(one.at, one.score) for one in later] == [known[:2] for known in expected]
    batch = PredictionBatch(
        platform, models, name, [PredictQuestion(asset, row["ts"]) for row in asked]
    )
    assert [batch.answer(PredictQuestion(asset, row["ts"])) for row in reversed(asked)] == found[
        ::-1
    ]
    told = why(platform, name, asset, highest["ts"])
    assert told.score == found[-1].score
    assert {c.message for c in split_reasons(found[-1].contributions)[0]} <= set(told.facts)
    assert bool(found[-1].forecast) == (kind == FORECAST)
    assert all(p.low <= p.median <= p.high for p in found[-1].forecast)
    assert list(platform.scores.for_interval(name, at(0), at(100 * DAY))) == before


def test_rows_that_are_sent_give_the_same_number_as_stored_ones(served):
    _, platform, name, asset, stored = served
    models = ModelCache(platform)
    for row in stored[-40::13]:
        rows = of_asset(platform, asset, row["ts"] - timedelta(days=2), row["ts"])
        found = predict(
            platform, models, name, asset, row["ts"], sent_readings(platform, asset, rows)
        )
        assert (found.at, found.score) == (row["ts"], row["score"])


@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_a_file_of_readings_gives_the_scores_that_evaluation_stored_in_any_chunks(
    served, ending, tmp_path, monkeypatch
):
    _, platform, name, asset, stored = served
    readings = platform.readings.load(
        WantedHistory(platform.assets.get(asset), at(0), at(100 * DAY))
    ).readings
    path = tmp_path / f"readings.{ending}"
    out = tmp_path / f"scores.{ending}"
    shuffled = readings.reset_index().sample(frac=1.0, random_state=1)
    shuffled.to_csv(path, index=False) if ending == "csv" else shuffled.to_parquet(path)
    monkeypatch.setattr(parquet, "MOST_ROWS", 700)
    before = list(platform.assets.all())
    found = score_file(platform, name, path, FileForm(asset=asset), out)
    frame = pd.read_csv(out) if ending == "csv" else pd.read_parquet(out)
    frame["time"] = pd.to_datetime(frame["time"], utc=True)
    rows = frame.dropna(subset="score")
    known = dict(zip(rows["time"], rows["score"], strict=True))
    wanted = {row["ts"]: row["score"] for row in stored if row["ts"] <= readings.index[-1]}
    assert {ts: known[ts] for ts in wanted} == wanted
    assert (found.rows, found.scores, found.scores + sum(found.unknown.values())) == (
        len(readings),
        len(known),
        len(frame),
    )
    assert json.dumps(asdict(found)), "as a predict job stores it"
    assert [p.name for p in sorted(tmp_path.iterdir())] == [path.name, out.name]
    assert list(platform.assets.all()) == before


def test_a_file_that_lacks_what_the_model_reads_says_so_and_others_are_refused(served, tmp_path):
    _, platform, name, asset, _ = served
    readings = platform.readings.load(
        WantedHistory(platform.assets.get(asset), at(0), at(100 * DAY))
    ).readings
    path = tmp_path / "readings.csv"
    out = tmp_path / "scores.csv"
    readings.iloc[:, :1].to_csv(path)
    notes = score_file(platform, name, path, FileForm(asset=asset), out).notes
    assert "which the file lacks: missing in every row" in notes[-1]
    assert_refused(
        f"applies to {asset}, and the file has readings of pump-3",
        score_file,
        platform,
        name,
        path,
        FileForm(asset="pump-3"),
        out,
    )
    assert_refused(
        "no such folder",
        score_file,
        platform,
        name,
        path,
        FileForm(asset=asset),
        tmp_path / "none" / "scores.csv",
    )
    readings[:3].to_csv(path)
    assert_refused(
        "learned from times up to", score_file, platform, name, path, FileForm(asset=asset), out
    )


def test_what_cannot_be_known_says_why_and_is_not_a_number(served, monkeypatch):
    _, platform, name, asset, stored = served
    models = ModelCache(platform)
    before = predict(platform, models, name, asset, at(10))
    assert (before.score, before.would_raise, before.contributions) == (None, None, ())
    assert before.unknown in ("no model is in service yet", "the definition is not in service")
    assert predict(replace(platform, clock=FixedClock(at(200 * DAY))), models, name, asset).unknown
    alone = sent_readings(platform, asset, of_asset(platform, asset, at(0), at(DAY)))
    assert predict(platform, models, name, asset, sent=alone).unknown
    monkeypatch.setattr(platform.models, "reachable", False)
    lost = predict(platform, ModelCache(platform), name, asset, stored[-1]["ts"])
    assert (lost.score, lost.unknown) == (
        None,
        "the model cannot be read: the registry does not answer",
    )


def test_questions_without_an_answer_are_refused():
    platform = in_memory_platform()
    platform.assets.store_assets([humid_oven()])
    apply(
        platform,
        [too_hot(variable="humidity", assets=[ASSET]), learned_quickly()],
        "engineer",
        at(0),
        "test",
    )
    models = ModelCache(platform)
    assert_refused(
        "of kind threshold, which has no model", predict, platform, models, "too-hot", ASSET
    )
    assert_refused("no asset 'oven-7'", predict, platform, models, NAME, "oven-7", fault=NotFound)
    assert_refused("there is no definition", predict, platform, models, "nothing", ASSET)
    rows = [
        {"ts": "noon", "values": {"humidity": 1.0}},
        {"ts": 1767614400, "values": {"humidty": 1.0}},
    ]
    assert_refused(
        r"row 1: ts: 'noon' is not a time.*no variable 'humidty'; did you mean humidity\?",
        sent_readings,
        platform,
        ASSET,
        rows,
    )


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
    stored = {
        row["ts"]: row["score"]
        for row in platform.scores.for_interval("too-moist", CUTOFF, END + HOUR)
    }
    known = frame[frame["reason"].isna()]
    assert dict(zip(known["time"], known["score"], strict=True)) == stored
    assert counts[""] == len(stored) > 50
    assert (set(known["threshold"]), set(frame["asset"])) == ({0.5}, {"oven-1"})


def test_each_instant_without_a_score_has_its_reason(platform, tmp_path):
    frame, counts = scored(platform, tmp_path, start=small_models.START)
    by_reason = frame[frame["score"].isna()].groupby("reason")["time"]
    learned = f"the model has learned from times up to {CUTOFF:%Y-%m-%d %H:%M} UTC"
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


def test_the_names_of_many_silent_variables_are_written_once_for_each_asset_and_silence(tmp_path):
    many = ", ".join(f"sensor_{number}" for number in range(9)) + " have no value in the last 10m"
    few = "sensor_1 has no value in the last 10m"
    reasons = np.array([many, many, "", many, few, few], object)
    step = ScoredRows(np.arange(6), np.full(6, np.nan), np.full(6, np.nan), reasons, None, 1, 1.0)
    counts = write_scores(tmp_path / "scores.csv", [("a", step), ("b", step)])
    written = pd.read_csv(tmp_path / "scores.csv", keep_default_na=False)["reason"]
    assert [*written] == 2 * [many, AS_BEFORE, "", many, few, few]
    assert counts == {many: 6, "": 2, few: 4}


def test_faults_of_the_question_are_named(platform, tmp_path):
    apply(platform, [too_hot(variable="humidity")], "engineer", small_models.START, "test")
    faults = {
        ("too-hot", None, None, None): "of kind threshold, which has no model",
        ("too-moist", None, None, "seven"): "write a version number",
        ("too-moist", None, CUTOFF, None): "has learned from times up to",
        ("too-moist", END, None, None): "must lie before",
    }
    for asked, fault in faults.items():
        assert_refused(fault, plan_scoring, platform, *asked)
    assert_refused(r"ends in \.csv or \.parquet", write_scores, tmp_path / "scores.xlsx", [])
    assert_refused("cannot be written", write_scores, tmp_path / "missing" / "scores.csv", [])
