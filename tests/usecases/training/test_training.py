"""From readings to a champion and back: the real learners on a small line, everything else in
memory."""

import json
import re
from contextlib import nullcontext
from dataclasses import asdict, replace
from datetime import timedelta
from itertools import pairwise

import pandas as pd
import pytest
import yaml
from typer.testing import CliRunner

from alerting.cli import document_commands, model_commands
from alerting.cli.main import app
from alerting.definitions.asset_documents import Variable
from alerting.definitions.revisions import question_hash
from alerting.episodes.episode import Feedback
from alerting.kinds.registry import parse_definition
from alerting.learning.features.planning import DerivedFeatures
from alerting.learning.selection.candidates import candidate_from_files
from alerting.ports import TrainingLimits
from alerting.reporting.definition.decision_text import cut_short_lines, decision_markdown
from alerting.usecases.definitions.revisions_and_evaluation_plan import apply
from alerting.usecases.evaluation.rounds import evaluate, evaluate_past
from alerting.usecases.ingestion.arrived_rows import add_readings
from alerting.usecases.make_reports import make_report
from alerting.usecases.model_registry import export_onnx, load_model
from alerting.usecases.operators.operate import give_feedback
from alerting.usecases.training.definition_dataset import dataset_of
from alerting.usecases.training.promote import model_history, promote_run
from alerting.usecases.training.run_files import load_dataset
from alerting.usecases.training.training_steps import fit, prepare, train
from tests.builders import at, classifier, too_moist
from tests.helpers.console.episode_page import browser_of
from tests.helpers.learning.machine_time import time_of_trials
from tests.helpers.learning.training import (
    EVERY,
    MINUTES,
    moisture_after_humidity,
    oven_platform,
    readings_of,
    train_document,
)
from tests.helpers.refusals import assert_refused
from tests.helpers.stores import states_of

pytestmark = pytest.mark.models
FEATURES = {"stride": "5m", "windows": ["15m", "30m", "1h"]}
LIGHTGBM = {"trials": 1, "folds": 2, "candidates": ["lightgbm"]}
LINEAR = {"trials": 1, "folds": 2, "candidates": ["logistic_regression"]}


def cut_short(platform):
    """Return the platform on a machine that takes a second for each trial."""
    return replace(platform, limits=TrainingLimits(read_time=time_of_trials(1)))


@pytest.fixture(scope="module")
def trained():
    """Return a platform and its training, whose searches end after two of five trials."""
    humidity = Variable(unit="%", title="Air humidity", controllable=True, min=30, max=60, step=1)
    platform = oven_platform(humidity=humidity)
    platform.runs.shown = True
    learning = {"trials": 5, "time_budget": "2s", "folds": 2}
    learning |= {"candidates": ["logistic_regression", "lightgbm"]}
    return platform, train_document(
        cut_short(platform), too_moist(learning=learning, features=FEATURES)
    )


@pytest.fixture
def platform(trained):
    return trained[0]


def test_the_first_champion_is_provisional_and_exceeds_chance_and_the_last_known_value(trained):
    platform, result = trained
    assert (result.verdict, result.promote) == ("provisional", True)
    by_family = {line.family: line.ap for line in result.leaderboard}
    assert max(by_family.values()) > by_family["persistence"]
    evidence = platform.decisions.for_definition("too-moist")[0].evidence
    chance = evidence["chance"]
    assert chance["passed"] and chance["ap"] == max(by_family.values()) > chance["bound"] > 0
    assert chance["trials"] == 1 + 2 + 2  # persistence, and two families
    assert platform.models.runs[result.run_id].metrics["chance_bound"] == chance["bound"]
    assert result.test["ap"] > 0.6
    assert platform.models.aliases("too-moist")["champion"] == 1
    assert model_history(platform, "too-moist")["decisions"][0]["reason"] == result.reason
    measured = evidence["importance"]
    assert max(measured["variables"], key=measured["variables"].get) in ("humidity", "moisture")
    assert 0 < measured["rows"] <= 200
    assert result.importance == pytest.approx(measured["variables"])


def test_its_page_shows_what_it_uses_and_that_its_time_budget_cut_the_search_short(trained):
    platform, result = trained
    done = {one.family: (one.trials, one.trials_asked) for one in result.leaderboard}
    assert done == {"persistence": (1, 1), "logistic_regression": (2, 5), "lightgbm": (2, 5)}
    (said,) = cut_short_lines(result.leaderboard)
    assert "logistic regression after 2 of 5, lightgbm after 2 of 5" in said
    assert said[1:] in decision_markdown(result)
    page = browser_of(platform).get("/models/too-moist").text
    shown = (
        said,
        "cut short by the time budget (trials: logistic regression 2/5, lightgbm 2/5)",
        'class="drawing rows"',
        "Air humidity",
    )
    assert [words for words in shown if words not in page] == []
    files = platform.runs.files(result.run_id, "evidence")
    drawn = {name for name, data in files.items() if data.startswith(b"\x89PNG")}
    names = ("threshold", "calibration", "importance", "shap_beeswarm")
    assert drawn == {f"{name}.png" for name in names}


def test_the_champion_is_stored_as_onnx_with_the_same_probabilities_and_so_it_is_exported(trained):
    onnxruntime = pytest.importorskip("onnxruntime", reason="pip install onnx onnxruntime")
    platform, result = trained
    rows = load_dataset(platform.runs, result.run_id).rows.iloc[-50:]
    champion = load_model(platform, classifier(), 1).refit
    stored = platform.runs.files(result.run_id, "onnx")["model.onnx"]
    session = onnxruntime.InferenceSession(stored, providers=["CPUExecutionProvider"])
    [found] = session.run(None, {"features": champion.estimator.columns.matrix(rows)})
    assert found[:, 0] == pytest.approx(champion.score(rows), abs=1e-12)
    assert export_onnx(platform, classifier(), 1) == stored


def test_a_model_whose_threshold_finds_no_problem_on_validation_waits_for_a_person(platform):
    document = too_moist(name="timid", learning=LIGHTGBM, features={"stride": "5m"})
    result = train_document(platform, document | {"operating_point": {"max_time_in_alarm": 1e-6}})
    assert (result.verdict, result.promote, result.waiting) == ("provisional", True, True)
    assert "no threshold finds a problem in the validation period" in result.reason
    assert platform.models.aliases("timid").get("champion") is None
    assert not platform.decisions.for_definition("timid")
    assert promote_run(platform, result.run_id, approved_by="ann").promote
    assert platform.models.aliases("timid").get("champion") == result.challenger_version


def test_a_model_without_a_problem_on_validation_serves_by_a_threshold_of_other_rows():
    minutes, humidity, moisture = moisture_after_humidity()
    quiet = minutes > 0.6 * MINUTES
    moisture[quiet] = 3.5
    humidity[quiet] = 40 + (minutes[quiet] % 35) / 35
    platform = oven_platform((minutes, humidity, moisture))
    result = train_document(platform, too_moist(learning=LIGHTGBM, features=FEATURES))
    assert (result.promote, result.waiting, result.objection) == (True, False, None)
    assert result.details.endswith(
        "The validation period has no rows both with and without a problem ahead, so its threshold "
        "was chosen on the rows out of fold of the training period."
    )
    assert "0 of 0" not in result.reason
    assert result.test["n_episodes"] == 0


def test_the_next_search_starts_from_the_champions_parameters(trained):
    platform, first = trained
    children = {run.tags["family"]: run.id for run in platform.runs.searches(first.run_id)}
    best = candidate_from_files(platform.runs.files(children["logistic_regression"], "candidate"))
    run_id = prepare(platform, "too-moist", at(MINUTES + 60))
    fit(cut_short(platform), run_id, "logistic_regression")
    (child,) = (run.id for run in platform.runs.searches(run_id))
    found = candidate_from_files(platform.runs.files(child, "candidate"))
    assert (best.warm_start, found.warm_start) == ({}, best.params)
    assert best.params in [trial.params for trial in found.tried[:2]]


def test_the_test_period_is_judged_anew_explained_and_reported_and_never_what_was_learned(platform):
    training_cutoff = platform.models.version_tags("too-moist", 1)["training_cutoff"]
    assert evaluate_past(platform, "too-moist", at(0), at(MINUTES), model="champion").raised > 0
    episodes = platform.episodes.find("too-moist")
    assert min(e.raised_at.isoformat() for e in episodes) > training_cutoff
    assert_refused(
        "has learned from times up to",
        evaluate_past,
        platform,
        "too-moist",
        at(0),
        at(60),
        model="champion",
    )
    first = episodes[-1]
    assert first.contributions[0].variable in ("humidity", "moisture")
    assert first.recommendation.risk_before == pytest.approx(first.evaluation.value)
    assert {e.outcome_record.outcome for e in episodes} <= {"hit", "false_alarm", "undetermined"}
    report = make_report(platform, "too-moist", at(MINUTES * 0.7), at(MINUTES), at(MINUTES))
    assert sum(report.metrics["outcomes"].values()) == sum(
        e.raised_at >= at(MINUTES * 0.7) for e in episodes
    )
    assert report.metrics["rows"]["ap"] > 0.6
    assert 'aria-label="Importance of each variable for the model' in report.page


def test_live_evaluation_uses_the_champion_in_force_and_feedback_settles_it(platform):
    minutes = range(0, 180, EVERY)
    humid = [55.0 if 30 <= m < 100 else 40.0 for m in minutes]
    add_readings(
        platform, readings_of((minutes, humid, [3.5] * len(minutes)), MINUTES), at(MINUTES)
    )
    for m in range(MINUTES + 10, MINUTES + 180, 10):
        platform.clock.instant = at(m)
        evaluate(platform, None, at(m))
    oldest = [e for e in platform.episodes.find("too-moist") if not e.backfilled][-1]
    assert at(MINUTES + 30) <= oldest.raised_at <= at(MINUTES + 70)
    acted = oldest.raised_at + timedelta(minutes=5)
    said = Feedback(oldest.id, "true_alarm", True, "opened the flap", None, "ann", at(m), acted)
    assert give_feedback(platform, said).outcome_record.outcome == "avoided"


def test_a_training_says_what_the_answers_changed_on_its_run_and_beside_the_leaderboard(platform):
    result = train(cut_short(platform), "too-moist", at(MINUTES + 175))
    changed = re.fullmatch(r"1 of 1 verdicts changed (\d+) rows: \d+ left out\.", result.answers)
    run = platform.models.runs[result.run_id]
    assert run.tags["answers"] == result.answers
    assert run.metrics["answers_left_out"] == int(changed[1]) > 0
    kept = json.loads(run.files["dataset"]["quality.json"])
    assert kept == [asdict(finding) for finding in result.findings]
    assert kept[-1]["kind"] == "answers"
    before = prepare(platform, "too-moist", at(MINUTES))
    assert "answers" not in platform.runs.tags(before), "nobody had answered by then"


def call(platform, monkeypatch, *words):
    """Return what a command on this platform prints."""
    for module in (document_commands, model_commands):
        monkeypatch.setattr(module, "platform", lambda: nullcontext(platform))
    result = CliRunner().invoke(app, words)
    assert result.exit_code == 0, result.output
    return result.stdout


def test_the_dataset_command_shows_exports_and_tells_oddities(platform, monkeypatch, tmp_path):
    out = tmp_path / "rows.parquet"
    monkeypatch.setattr(platform.clock, "instant", at(MINUTES + 175))
    asked = ("dataset", "too-moist", "--as-of", at(MINUTES + 175).isoformat())
    document = json.loads(call(platform, monkeypatch, *asked, "--json", "--out", str(out)))
    table = pd.read_parquet(out)
    assert {p["part"]: p["rows"] for p in document["parts"]} == table[
        "part"
    ].value_counts().to_dict()
    assert str(table["ts"].dt.tz) == "UTC"
    assert re.search("verdicts.*left out", call(platform, monkeypatch, *asked), re.DOTALL)
    assert f"{len(table):,} rows written" in call(platform, monkeypatch, *asked, "--out", str(out))
    assert (
        CliRunner().invoke(app, [*asked, "--out", str(tmp_path / "no" / "f.parquet")]).exit_code
        == 1
    )


def test_a_model_that_cannot_be_read_holds_the_watermark_and_says_so(platform):
    before = states_of(platform, "too-moist", ["oven-1"])["oven-1"]
    platform.models.reachable = False
    counts = evaluate(platform, None, at(MINUTES + 400))
    platform.models.reachable = True
    assert "the model cannot be read" in counts.unknown["too-moist on oven-1"]
    assert states_of(platform, "too-moist", ["oven-1"])["oven-1"].watermark == before.watermark


def test_what_cannot_be_learned_is_refused_and_leaves_its_reason(platform):
    document = too_moist(
        name="never", learning=LIGHTGBM, problem={"variable": "moisture", "above": 99}
    )
    assert_refused("no two classes to separate", train_document, platform, document)
    (record,) = platform.trainings.for_definitions(["never"])
    assert "no two classes to separate" in record.failure
    assert platform.models.versions("never") == {}


AHEAD = too_moist(horizon="1h", learning=LINEAR)
"""A definition that states no stride and no windows."""
DERIVED = "Stride 5m and windows 30m, 2h, 6h were derived from the data: the finest sampling is 5m."


@pytest.fixture(scope="module")
def derived():
    platform = oven_platform()
    return platform, train_document(platform, AHEAD)


def stride_minutes(platform, name="too-moist"):
    return dataset_of(platform, name, platform.clock.now()).plan.stride_ms / 60_000


def test_the_stride_is_the_sampling_and_the_champion_is_evaluated_at_it(derived):
    platform, result = derived
    assert stride_minutes(platform) == EVERY  # a sixth of the horizon would be 10 minutes
    assert result.promote
    evaluate(platform, None, at(MINUTES))
    minutes = range(EVERY, 130, EVERY)
    more = minutes, [40.0] * len(minutes), [3.5] * len(minutes)
    platform.clock.instant = end = at(MINUTES + 130)
    add_readings(platform, readings_of(more, MINUTES), end)
    evaluate(platform, None, end)
    stored = platform.scores.for_interval("too-moist", at(MINUTES + 30), at(MINUTES + 120))
    assert {b - a for a, b in pairwise(s["ts"] for s in stored)} == {at(EVERY) - at(0)}


def test_a_retraining_keeps_the_stride_whatever_the_data_now_suggest_and_a_stated_one_wins(derived):
    platform, _ = derived
    document = AHEAD | {"name": "kept"}
    question = question_hash(parse_definition(document))
    first = DerivedFeatures(timedelta(minutes=10), (timedelta(hours=1),), "of an earlier training")
    platform.derived_features.fix("kept", question, first)
    apply(platform, [document], "engineer", at(0), "test")
    run = prepare(platform, "kept", at(MINUTES))
    assert any("Stride 10m and windows 1h" in n for n in load_dataset(platform.runs, run).notes)
    assert platform.derived_features.get("kept", question) == first
    strides = [stride_minutes(platform, "kept")]
    for change in ({"title": "Moist"}, {"features": {"stride": "15m"}}, {"horizon": "90m"}):
        apply(platform, [document | change], "engineer", at(len(strides)), "test")
        strides.append(stride_minutes(platform, "kept"))
    assert strides == [10, 10, 15, EVERY]


def test_check_train_and_show_say_what_was_derived_and_why(derived, monkeypatch, tmp_path):
    platform, result = derived
    assert any(DERIVED in note for note in result.dataset.notes)
    own = too_moist(name="own", features={"stride": "5m", "windows": ["1h"]})
    file = tmp_path / "definitions.yaml"
    file.write_text(yaml.safe_dump_all([AHEAD, too_moist(name="new", horizon="2h"), own]))
    checked = re.sub(r"\s+#?\s*", " ", call(platform, monkeypatch, "check", str(file)))
    assert f"too-moist: {DERIVED}" in checked
    assert "new: Not trained yet; a training now would fix: Stride" in checked
    assert not re.search("own: (Stride|Not trained yet)", checked)
    shown = call(platform, monkeypatch, "show", "too-moist")
    assert DERIVED in re.sub(r"\s+#?\s*", " ", shown)
