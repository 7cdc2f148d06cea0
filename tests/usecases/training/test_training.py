"""From readings to a champion and back: the real learners on a small line, everything else in
memory."""

import json
import re
from contextlib import nullcontext
from dataclasses import asdict
from datetime import timedelta

import pandas as pd
import pytest
from typer.testing import CliRunner

from alerting.cli import models
from alerting.cli.main import app
from alerting.definitions.assets import Variable
from alerting.definitions.faults import UserError
from alerting.episodes.episode import Feedback
from alerting.learning.search.candidates import candidate_from_files
from alerting.ports import ReadingRow
from alerting.usecases.definitions.sync import apply
from alerting.usecases.evaluation.evaluate import evaluate, evaluate_past
from alerting.usecases.ingestion.arrivals import add_readings
from alerting.usecases.operators.feedback import give_feedback
from alerting.usecases.reports.make import make_report
from alerting.usecases.training.promote import model_history, promote_run
from alerting.usecases.training.train import fit, prepare, train
from tests.builders import at, oven, too_moist
from tests.helpers.console.episode_page import browser_of
from tests.helpers.learning.training import EVERY, MINUTES, moisture_after_humidity
from tests.helpers.stores import states_of
from tests.in_memory_platform import Mailbox, in_memory_platform

pytestmark = [pytest.mark.models, pytest.mark.server]


@pytest.fixture(scope="module")
def trained():
    platform = in_memory_platform(Mailbox("mail"))
    controllable = Variable(
        unit="%", title="Air humidity", controllable=True, min=30, max=60, step=1
    )
    platform.assets.store_assets([oven(humidity=controllable)])
    rows = [
        ReadingRow("oven-1", at(int(m)), {"humidity": float(h), "moisture": float(w)})
        for m, h, w in zip(*moisture_after_humidity(), strict=True)
    ]
    add_readings(platform, rows, at(0))
    learning = {"trials": 2, "folds": 2, "candidates": ["logistic_regression", "lightgbm"]}
    document = too_moist(
        learning=learning, features={"stride": "5m", "windows": ["15m", "30m", "1h"]}
    )
    apply(platform, [document], "engineer", at(0), "test")
    platform.clock.instant = at(MINUTES)
    result = train(platform, "too-moist", at(MINUTES))
    return platform, result


def test_the_first_champion_is_provisional_and_exceeds_chance_and_the_last_known_value(trained):
    platform, result = trained
    assert (result.verdict, result.promote) == ("provisional", True)
    by_family = {line.family: line.ap for line in result.leaderboard}
    assert max(by_family.values()) > by_family["persistence"]
    chance = platform.decisions.for_definition("too-moist")[0].evidence["chance"]
    assert chance["passed"] and chance["ap"] == max(by_family.values()) > chance["bound"] > 0
    assert chance["trials"] == 1 + 2 + 2  # persistence, and two families
    assert platform.models.runs[result.run_id].metrics["chance_bound"] == chance["bound"]
    assert result.test["ap"] > 0.6
    assert platform.models.aliases["too-moist", "champion"] == 1
    assert model_history(platform, "too-moist")["decisions"][0]["reason"] == result.reason


def test_a_model_whose_threshold_finds_no_problem_on_validation_waits_for_a_person(trained):
    platform, _ = trained
    learning = {"trials": 1, "folds": 2, "candidates": ["lightgbm"]}
    document = too_moist(
        name="timid",
        learning=learning,
        features={"stride": "5m"},
        operating_point={"max_time_in_alarm": 1e-6},
    )
    apply(platform, [document], "engineer", at(MINUTES), "test")
    result = train(platform, "timid", at(MINUTES))
    assert (result.verdict, result.promote, result.waiting) == ("provisional", True, True)
    assert "Its threshold finds no problem in the validation period" in result.reason
    assert platform.models.alias("timid", "champion") is None
    assert not platform.decisions.for_definition("timid")
    assert promote_run(platform, result.run_id, approved_by="ann").promote
    assert platform.models.alias("timid", "champion") == result.challenger_version


def test_a_model_without_a_problem_on_validation_serves_by_a_threshold_of_other_rows():
    platform = in_memory_platform(Mailbox("mail"))
    platform.assets.store_assets([oven(humidity=Variable(unit="%"))])
    minutes, humidity, moisture = moisture_after_humidity()
    quiet = minutes > 0.6 * MINUTES
    moisture[quiet] = 3.5
    humidity[quiet] = 40 + (minutes[quiet] % 35) / 35
    rows = [
        ReadingRow("oven-1", at(int(m)), {"humidity": float(h), "moisture": float(w)})
        for m, h, w in zip(minutes, humidity, moisture, strict=True)
    ]
    add_readings(platform, rows, at(0))
    learning = {"trials": 1, "folds": 2, "candidates": ["lightgbm"]}
    document = too_moist(
        learning=learning, features={"stride": "5m", "windows": ["15m", "30m", "1h"]}
    )
    apply(platform, [document], "engineer", at(0), "test")
    platform.clock.instant = at(MINUTES)
    result = train(platform, "too-moist", at(MINUTES))
    assert (result.promote, result.waiting, result.objection) == (True, False, None)
    assert result.reason.endswith(
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
    fit(platform, run_id, "logistic_regression")
    (child,) = (run.id for run in platform.runs.searches(run_id))
    found = candidate_from_files(platform.runs.files(child, "candidate"))
    assert best.warm_start == {}
    assert found.warm_start == best.params
    assert best.params in [trial.params for trial in found.tried[:2]]


def test_the_test_period_is_judged_anew_by_the_named_model_and_never_what_it_has_seen(trained):
    platform, _ = trained
    training_cutoff = platform.models.version_tags("too-moist", 1)["training_cutoff"]
    counts = evaluate_past(platform, "too-moist", at(0), at(MINUTES), model="champion")
    assert counts.raised > 0
    assert all(
        e.raised_at.isoformat() > training_cutoff for e in platform.episodes.find("too-moist")
    )
    with pytest.raises(UserError, match="has learned from times up to"):
        evaluate_past(platform, "too-moist", at(0), at(60), model="champion")


def test_a_model_episode_explains_itself_settles_and_is_reported(trained):
    platform, _ = trained
    evaluate_past(platform, "too-moist", at(0), at(MINUTES), model="champion")
    episodes = platform.episodes.find("too-moist")
    first = episodes[-1]
    top = first.contributions[0]
    assert top.variable in ("humidity", "moisture")
    assert first.recommendation.risk_before == pytest.approx(first.evaluation.value)
    assert {e.outcome_record.outcome for e in episodes} <= {"hit", "false_alarm", "undetermined"}
    report = make_report(platform, "too-moist", at(MINUTES * 0.7), at(MINUTES), at(MINUTES))
    counted = sum(report.metrics["outcomes"].values())
    assert counted == sum(e.raised_at >= at(MINUTES * 0.7) for e in episodes)
    assert report.metrics["rows"]["ap"] > 0.6
    assert "too-moist" in report.page
    assert 'aria-label="Importance of each variable for the model' in report.page


def test_what_the_model_uses_is_measured_on_validation_rows_and_shown_on_its_page(trained):
    platform, result = trained
    measured = platform.decisions.for_definition("too-moist")[0].evidence["importance"]
    assert max(measured["variables"], key=measured["variables"].get) in ("humidity", "moisture")
    assert 0 < measured["rows"] <= 200
    assert result.importance == pytest.approx(measured["variables"])
    browser = browser_of(platform)
    page = browser.get("/models/too-moist").text
    assert 'class="barplot"' in page
    assert "Air humidity" in page
    assert browser.get("/models/nothing").status_code == 404


def test_live_evaluation_uses_the_champion_in_force_and_feedback_settles_it(trained):
    platform, _ = trained
    minutes = range(MINUTES, MINUTES + 180, EVERY)
    humid = [55.0 if 30 <= m - MINUTES < 100 else 40.0 for m in minutes]
    rows = [
        ReadingRow("oven-1", at(m), {"humidity": h, "moisture": 3.5})
        for m, h in zip(minutes, humid, strict=True)
    ]
    add_readings(platform, rows, at(MINUTES))
    for m in range(MINUTES + 10, MINUTES + 180, 10):
        platform.clock.instant = at(m)
        evaluate(platform, None, at(m))
    live = [e for e in platform.episodes.find("too-moist") if not e.backfilled]
    assert live
    oldest = live[-1]
    assert at(MINUTES + 30) <= oldest.raised_at <= at(MINUTES + 70)
    acted = oldest.raised_at + timedelta(minutes=5)
    after = give_feedback(
        platform,
        Feedback(
            episode=oldest.id,
            verdict="true_alarm",
            acted=True,
            action="opened the flap",
            comment=None,
            actor="ann",
            at=platform.clock.now(),
            acted_at=acted,
        ),
    )
    assert after.outcome_record.outcome == "avoided"


def test_a_training_says_what_the_answers_changed_on_its_run_and_beside_the_leaderboard(trained):
    platform, _ = trained
    result = train(platform, "too-moist", at(MINUTES + 175))
    assert re.match(r"1 of 1 verdicts changed \d+ rows: \d+ left out\.", result.answers)
    run = platform.models.runs[result.run_id]
    assert run.tags["answers"] == result.answers
    assert (
        run.metrics["answers_left_out"]
        == int(re.search(r"changed (\d+) rows", result.answers).group(1))
        > 0
    )
    kept = json.loads(run.files["dataset"]["quality.json"])
    assert kept == [asdict(finding) for finding in result.findings]
    assert kept[-1]["kind"] == "answers"
    before = prepare(platform, "too-moist", at(MINUTES))
    assert "answers" not in platform.runs.tags(before), "nobody had answered by then"


def test_the_dataset_command_shows_exports_and_tells_oddities(trained, monkeypatch, tmp_path):
    platform, _ = trained
    monkeypatch.setattr(models, "platform", lambda: nullcontext(platform))
    out = tmp_path / "rows.parquet"
    monkeypatch.setattr(platform.clock, "instant", at(MINUTES + 175))
    instant = at(MINUTES + 175).isoformat()
    told = CliRunner().invoke(
        app, ["dataset", "too-moist", "--out", str(out), "--as-of", instant, "--json"]
    )
    assert told.exit_code == 0, told.output
    document = json.loads(told.stdout)
    table = pd.read_parquet(out)
    assert {p["part"]: p["rows"] for p in document["parts"]} == table[
        "part"
    ].value_counts().to_dict()
    assert str(table["ts"].dt.tz) == "UTC"
    shown = CliRunner().invoke(app, ["dataset", "too-moist", "--as-of", instant])
    assert "verdicts" in shown.stdout
    assert "left out" in shown.stdout
    nowhere = CliRunner().invoke(
        app,
        ["dataset", "too-moist", "--out", str(tmp_path / "no" / "f.parquet"), "--as-of", instant],
    )
    assert nowhere.exit_code == 1


def test_a_model_that_cannot_be_read_holds_the_watermark_and_says_so(trained):
    platform, _ = trained
    before = states_of(platform, "too-moist", ["oven-1"])["oven-1"]
    platform.models.reachable = False
    counts = evaluate(platform, None, at(MINUTES + 400))
    platform.models.reachable = True
    assert "the model cannot be read" in counts.unknown["too-moist on oven-1"]
    assert states_of(platform, "too-moist", ["oven-1"])["oven-1"].watermark == before.watermark


def test_what_cannot_be_learned_from_is_refused_with_the_reason(trained):
    platform, _ = trained
    with pytest.raises(UserError, match="no definition 'nothing'"):
        prepare(platform, "nothing", at(10))
    with pytest.raises(UserError):
        prepare(platform, "too-moist", at(30))
