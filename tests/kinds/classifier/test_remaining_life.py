"""The remaining life of a tool: the training prints what live evaluation gives, which is the same
in one go, in chunks, live and in a backtest; it is refused where nothing proves it."""

import json
import re
from dataclasses import replace
from datetime import timedelta
from operator import attrgetter
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from alerting.adapters.scored_files import write_scores
from alerting.definitions.alert_definition import Revision
from alerting.definitions.faults import UserError
from alerting.episodes.lifecycle import ConditionState
from alerting.episodes.remaining_life import RemainingLife
from alerting.kinds.protocol import EvaluationSources, TargetEvaluation, VersionInterval
from alerting.kinds.registry import parse_definition, trained_kind_of
from alerting.kinds.shared_inputs import SharedInputs
from alerting.learning.data.dataset import export_table
from alerting.learning.features.life_features import LIFE_AGE, life_columns
from alerting.learning.models import model_files
from alerting.learning.models.families.contract import get_family
from alerting.learning.models.life_model import with_life
from alerting.learning.models.trained import ModelRefused, model_hash
from alerting.learning.selection.life_training import LifeExperiment, rows_of_lives, train_life
from alerting.ports import EventRow, WantedHistory
from alerting.readings.buckets import HOUR
from alerting.readings.history import from_millis, to_millis
from alerting.reporting.definition.decision_text import unseen_lines
from alerting.usecases.backtest.backtest import backtest, written_subject
from alerting.usecases.definitions.revisions_and_evaluation_plan import apply
from alerting.usecases.evaluation.rounds import evaluate, evaluate_past
from alerting.usecases.explain import why
from alerting.usecases.ingestion.arrived_rows import add_events
from alerting.usecases.make_reports import make_report
from alerting.usecases.model_registry import ModelCache
from alerting.usecases.scoring.past_scores import plan_scoring, score_past
from alerting.usecases.scoring.predict import predict, sent_readings
from alerting.usecases.scoring.remaining_lives import describe_lives, newest_lives
from alerting.usecases.training.compare import compare_run
from alerting.usecases.training.run_files import column_types, load_dataset, read_proposal
from alerting.usecases.training.training_steps import train
from tests.builders import at
from tests.helpers.learning.stored_platforms import stored_platform
from tests.helpers.worn_line import DOCUMENT, EVERY, trained_worn_platform, worn_platform

pytestmark = pytest.mark.models
NAME = DOCUMENT["name"]


def worn(*case):
    """Return a platform of its own with a trained model, its definition, and the note of its
    training on the remaining life."""
    platform = stored_platform(trained_worn_platform, *case)
    (decision,) = platform.decisions.for_definition(NAME)
    proposal = read_proposal(platform.runs, decision.run_id)
    (note,) = [line for line in unseen_lines(proposal.test) if "emaining life" in line]
    return platform, platform.definitions.newest_revision(NAME).definition, proposal, note


def test_the_training_prints_what_evaluation_of_its_test_period_gives():
    platform, definition, proposal, note = worn()
    dataset = load_dataset(platform.runs, proposal.run_id)
    test = dataset.at[dataset.part == "test"]
    start = from_millis(int(test.min()) - 1)
    end = from_millis(int(test.max()))
    evaluate_past(platform, NAME, start, end, model=str(proposal.challenger_version))
    lives, share = re.search(r"on (\d+) unseen lives the interval held (\d+) %", note).groups()
    after = platform.clock.now()
    sentence = describe_lives(platform, definition, start, after)
    assert f"lay in its interval {share} % of the time (80 % stated), on {lives} lives" in sentence
    planned = r"\d of (\d+) planned replacements gave away about [\d.]+ h in all"
    assert re.search(planned, sentence)
    first = platform.readings.span("oven-1")[0]
    # a first part that is put in before any reading replaces none
    add_events(platform, [EventRow("oven-1", "replaced", first, None, "test")], after)
    begun = describe_lives(platform, definition, first - timedelta(days=1), after)
    whole = describe_lives(platform, definition, first, after)
    assert re.search(planned, begun)[1] == re.search(planned, whole)[1]
    beyond = {"life": (1, None, None, None)}
    scores = SimpleNamespace(
        for_interval=lambda *of: [s | beyond for s in platform.scores.for_interval(*of)]
    )
    unknown = describe_lives(replace(platform, scores=scores), definition, start, after)
    assert "gave away" not in unknown, "a median beyond all that was seen is no number"
    page = make_report(platform, NAME, start, after, after).page
    assert "lay in its interval" in page
    # advice against the plan: as often as printed, and never wrong
    kept, outlived, wrong = map(
        int, re.search(r"in (\d+) of (\d+) lives .* wrong in (\d+)", note).groups()
    )
    assert outlived / 2 < kept <= outlived
    assert wrong == 0
    scores = list(platform.scores.for_interval(NAME, start, after))
    assert all("life" in score for score in scores)
    advised = [s["ts"] for s in scores if s["life"][3] is not None]
    assert len(advised) >= kept
    for episode in platform.episodes.find(NAME):
        (score,) = [s for s in scores if s["ts"] == episode.raised_at]
        assert list(episode.life.times_ms) == score["life"]


def test_one_go_and_chunks_give_the_same_lives_and_a_changed_file_is_refused():
    platform, definition, proposal, _ = worn()
    asset = platform.assets.get("oven-1")
    models = ModelCache(platform)
    cutoff = models.get(definition, proposal.challenger_version).refit.training_cutoff
    begin = cutoff - timedelta(hours=90)
    end = platform.clock.now()

    def evaluated(cuts):
        found = TargetEvaluation(ConditionState(watermark=begin))
        lives = []
        for until in cuts:
            sources = EvaluationSources(
                platform, models, asset, None, SharedInputs(platform.readings)
            )
            revision: Revision = platform.definitions.newest_revision(NAME)
            part = VersionInterval(
                found.state.watermark, until, revision, proposal.challenger_version
            )
            state = TargetEvaluation(found.state)
            found = trained_kind_of(definition).evaluate(definition, sources, part, state)
            for rows in found.scores:
                lives += rows.lives
        return lives

    whole = evaluated([end])
    assert sum(life is not None for life in whole) > 400
    assert evaluated([begin + timedelta(hours=h) for h in (7, 7.5, 31, 32, 60)] + [end]) == whole
    files = platform.models.model_files(NAME, proposal.challenger_version)
    assert sum(name.startswith(("life-", "refit-life-")) for name in files) > 1
    changed = files["model.json"].replace(b'"levels": [\n   0.', b'"levels": [\n   0.0')
    (weights, *_) = [name for name in files if name.startswith("life-")]
    of_refit = {weights: files["refit-" + weights]}  # a model of a life, but not this one's
    for change in ({"model.json": changed}, of_refit):
        with pytest.raises(ModelRefused, match="do not fit their hash"):
            model_files.model_from_files(files | change)


@pytest.mark.parametrize("family", ["lightgbm", "logistic_regression"])
def test_the_files_of_a_life_model_of_each_family_are_read_again(family):
    platform, definition, proposal, _ = worn()
    model = ModelCache(platform).get(definition, proposal.challenger_version)
    dataset = load_dataset(platform.runs, proposal.run_id)
    rows = rows_of_lives(dataset)
    experiment = LifeExperiment(rows, dataset.matrix, dataset.plan, model.life.edges_ms, 0)
    estimator = experiment.refit({"family": family}, np.arange(experiment.rows))
    settings = (model.estimator, model.calibration, model.threshold, model.plan)
    plain = replace(model, life=None, refit=None, hash=model_hash(*settings))
    levels = model.life.levels
    life = replace(model.life, estimators=(estimator,), levels=levels, ageless=levels)
    files = model_files.model_files(with_life(plain, life))
    stored = model_files.model_from_files(files).life
    before = json.loads(files["model.json"])  # as models with one family were stored, and levels
    assert before["life"].pop("ageless") == list(levels)
    (before["life"]["estimator"],) = before["life"].pop("estimators")
    text = json.dumps(before).replace("life-0-", "life-").encode()
    renamed = {name.replace("life-0-", "life-"): data for name, data in files.items()}
    old = model_files.model_from_files(renamed | {"model.json": text}).life
    row = rows.select(np.arange(20))
    times = [
        part.times(dataset.matrix[row.row], row.features, definition.life_ends)
        for part in (stored, old, life)
    ]
    np.testing.assert_array_equal(times[0], times[2])
    np.testing.assert_array_equal(times[1], times[2])


def test_live_and_backtest_raise_the_same_alarms_with_the_same_remaining_life():
    platform, minute = worn_platform()
    trained_at = int(0.8 * minute) // EVERY * EVERY
    document = DOCUMENT | {"schedule": {"retrain": None, "report": None}}
    walked, _ = worn_platform()
    made = backtest(walked, written_subject(walked, document), at(trained_at), at(minute), "never")
    apply(platform, [document], "engineer", at(trained_at), "test")
    platform.clock.instant = at(trained_at)
    evaluate(platform, None, at(trained_at))
    train(platform, NAME, at(trained_at))
    for now in (*range(trained_at + 170, minute, 170), minute):
        platform.clock.instant = at(now)
        evaluate(platform, None, at(now))
    told = attrgetter("raised_at", "life")
    live = [e for e in platform.episodes.find(NAME) if e.raised_at <= at(minute)]
    assert len(live) > 10
    assert all(e.life is not None for e in live)
    assert dict(map(told, made.episodes)) == dict(map(told, live))
    assert any(e.present and e.present.life != e.life for e in live)
    definition = platform.definitions.newest_revision(NAME).definition
    expected = max(platform.scores.for_interval(NAME, at(0), at(minute)), key=lambda s: s["ts"])
    (newest,) = newest_lives(platform, definition, expected["ts"]).values()
    assert list(newest.times_ms) == expected["life"]
    assert newest_lives(platform, definition, at(minute + 600)) == {}
    facts = why(platform, NAME, "oven-1", newest.at).facts
    assert [fact.count(newest.sentence) for fact in facts if "still lasts" in fact] == [1]


@pytest.mark.parametrize(
    ("lives", "expected"),
    [
        (34, "No remaining life is estimated: there are 6 lives with a failure to check it"),
        (60, "Remaining life: on 1"),
    ],
)
def test_few_lives_refuse_the_interval_or_the_advice_and_the_alarm_stays(
    monkeypatch, lives, expected
):
    """Without an interval no window of a life is read."""
    platform, definition, proposal, note = worn(lives)
    assert note.startswith(expected)
    model = ModelCache(platform).get(definition, proposal.challenger_version)
    assert (model.life is None) == note.startswith("No remaining")
    assert model.life is None or model.life.levels.keep is None
    assert proposal.promote

    def read(*request, **settings):
        requests.append(settings)
        return load(*request, **settings)

    requests = []
    load = SharedInputs.load
    monkeypatch.setattr(SharedInputs, "load", read)
    end = platform.clock.now()
    version = str(proposal.challenger_version)
    evaluate_past(platform, NAME, end - timedelta(hours=2), end, model=version)
    assert ({"with_events": False} in requests) == (model.life is not None)
    assert list(platform.scores.for_interval(NAME, end - timedelta(hours=2), end))


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"problem": {"variable": "moisture", "above": 4.5}}, "needs a problem that is an event"),
        ({"remaining_life": False}, "write remaining_life: true"),
        ({"replaced_every": "0s"}, "must be longer than 0s"),
    ],
)
def test_faults_of_the_definition_are_named(changes, fault):
    with pytest.raises(UserError, match=re.escape(fault)):
        parse_definition(DOCUMENT | changes)


@pytest.mark.parametrize(("broken", "is_left"), [(1, True), (2, False)])
def test_a_family_of_lives_whose_last_fit_fails_gives_way_with_its_reason(
    monkeypatch, broken, is_left
):
    def fail(*arguments):
        calls.append(arguments)
        if len(calls) <= broken:
            raise ValueError("Input X contains infinity")
        return refit(*arguments)

    calls = []
    refit = LifeExperiment.refit
    platform, definition, proposal, _ = worn()
    monkeypatch.setattr(LifeExperiment, "refit", fail)
    model = ModelCache(platform).get(definition, proposal.challenger_version)
    dataset = load_dataset(platform.runs, proposal.run_id)
    cutoff = to_millis(model.training_cutoff)
    life, note = train_life(dataset, definition.life_ends, definition.learning, cutoff)
    assert note.count("failed (ValueError: Input X contains infinity)") == broken
    assert note.startswith("No remaining life is estimated: ") != is_left
    assert is_left or life is None


@pytest.mark.parametrize(
    ("broken", "sentence"),
    [
        (["lightgbm"], " lightgbm failed (ValueError: Input X contains infinity); it is left out."),
        (
            ["lightgbm", "logistic_regression"],
            "No remaining life is estimated: logistic_regression failed (ValueError: Input X "
            "contains infinity), lightgbm failed (ValueError: Input X contains infinity).",
        ),
    ],
)
def test_a_family_of_lives_that_cannot_be_fitted_is_left_out_with_its_reason(
    monkeypatch, broken, sentence
):
    def fail(*_):
        raise ValueError("Input X contains infinity")

    platform, definition, proposal, _ = worn()
    for family in broken:
        monkeypatch.setattr(type(get_family(family)), "fit", fail)
    model = ModelCache(platform).get(definition, proposal.challenger_version)
    dataset = load_dataset(platform.runs, proposal.run_id)
    cutoff = to_millis(model.training_cutoff)
    life, note = train_life(dataset, definition.life_ends, definition.learning, cutoff)
    assert sentence in note
    left = None if broken[1:] else ("logistic_regression",)
    assert (life and tuple(e.family for e in life.estimators)) == left


def test_windows_that_are_too_short_for_the_lives_are_named():
    platform, definition, proposal, note = worn()
    assert "fifth" not in note
    dataset = load_dataset(platform.runs, proposal.run_id)
    stride = dataset.plan.stride_ms
    short = replace(dataset, plan=replace(dataset.plan, life_windows_ms=(stride, 2 * stride)))
    model = ModelCache(platform).get(definition, proposal.challenger_version)
    cutoff = to_millis(model.training_cutoff)
    _, note = train_life(short, definition.life_ends, definition.learning, cutoff)
    assert "not of a fifth of the usual life, of which each evaluation would read too much" in note


@pytest.mark.parametrize(("lives", "has_life"), [(34, False), (60, True)])
def test_inputs_in_the_registry_have_a_life_where_the_model_that_scores_has_one(
    monkeypatch, lives, has_life
):
    platform, _, proposal, _ = worn(lives)
    plan = load_dataset(platform.runs, proposal.run_id).plan
    registered = []
    monkeypatch.setattr(
        platform.models, "register", lambda *of, **given: registered.append((of, given)) or 1
    )
    compare_run(platform, proposal.run_id)
    of_life = {*life_columns(plan)} if has_life else set()
    assert plan.life_windows_ms
    (((*_, inputs), _),) = registered
    assert {*inputs} == {*plan.columns, *of_life}
    bare = replace(plan, life_windows_ms=())
    assert {*column_types(bare, has_life=True)} == {*plan.columns, LIFE_AGE}


def test_an_estimate_is_the_same_by_each_way_out(tmp_path):
    platform, definition, proposal, _ = worn()
    version = proposal.challenger_version
    end = platform.clock.now()
    start = end - timedelta(hours=12)
    evaluate_past(platform, NAME, start, end, model=str(version))
    stored = {s["ts"]: s["life"] for s in platform.scores.for_interval(NAME, start, end)}
    hours = np.array([life[:3] for life in stored.values()], np.float64) / HOUR
    file = tmp_path / "scores.parquet"
    write_scores(file, score_past(platform, plan_scoring(platform, NAME, start, end, str(version))))
    table = pd.read_parquet(file)
    table = table[table["score"].notna()]
    assert list(table["time"]) == list(stored)
    np.testing.assert_array_equal(table[["low", "median", "high"]], hours)
    newest = RemainingLife.from_times(max(stored), stored[max(stored)])
    # not in service then, but evaluated
    explained = why(platform, NAME, "oven-1", newest.at)
    assert explained.verdict == "unknown"
    assert [newest.sentence in fact for fact in explained.facts if "lasts" in fact] == [True]
    models = ModelCache(platform)
    readings = platform.readings.load(
        WantedHistory(platform.assets.get("oven-1"), None, end)
    ).readings
    rows = [{"ts": ts.isoformat(), "values": dict(row)} for ts, row in readings.iterrows()]
    sent = sent_readings(platform, "oven-1", rows)
    predicted = predict(platform, models, NAME, "oven-1", newest.at, sent)
    assert predicted.remaining_life == newest
    # from a row of features, as MLflow serves it
    dataset = load_dataset(platform.runs, proposal.run_id)
    serving = models.get(definition, version)
    columns = export_table(dataset).tail(50)
    scored = trained_kind_of(definition).score_rows(serving, columns)
    assert {*columns} >= {*column_types(dataset.plan, has_life=True)} > {LIFE_AGE}
    life = columns[list(life_columns(dataset.plan))].to_numpy()
    matrix = columns[list(dataset.plan.columns)].to_numpy()
    expected = serving.refit.life.times(matrix, life, definition.life_ends)[:, :3] / HOUR
    np.testing.assert_array_equal(scored[["low", "median", "high"]], expected)
    bare = columns.drop(columns=list(life_columns(dataset.plan)))
    without = trained_kind_of(definition).score_rows(serving, bare)
    assert without["low"].notna().all()
    assert (without["low"] != scored["low"]).any()
