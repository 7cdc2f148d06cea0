"""Which of several named problems is coming: trained, named by an alarm, and counted."""

from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest

from alerting.definitions.asset_documents import Variable
from alerting.definitions.wording.language import language
from alerting.episodes.mode_shares import probable_mode
from alerting.kinds.classifier.kind import KIND
from alerting.kinds.classifier.training import TRAINING
from alerting.learning.models.mode_model import describe_row
from alerting.learning.models.trained import ModelRefused
from alerting.learning.selection import mode_training
from alerting.ports import ReadingRow
from alerting.readings.history import from_millis
from alerting.usecases.backtest.backtest import backtest, named_subject
from alerting.usecases.definitions.revisions_and_evaluation_plan import apply
from alerting.usecases.episodes.outcomes import determine_due_outcomes
from alerting.usecases.evaluation.rounds import evaluate, evaluate_past
from alerting.usecases.explain import why
from alerting.usecases.ingestion.arrived_rows import add_readings
from alerting.usecases.make_reports import make_report
from alerting.usecases.model_registry import load_model
from alerting.usecases.notification.message_texts import message
from alerting.usecases.training.run_files import load_dataset, read_proposal
from alerting.usecases.training.training_steps import train
from tests.builders import at, oven
from tests.helpers.learning.stored_platforms import stored_platform
from tests.helpers.notifications import notice
from tests.in_memory_platform import in_memory_platform

pytestmark = pytest.mark.models
UNITS = 2000
NAME = "unit-bad"
HOT = {"torque": 62.0, "wear": 5.0}
WORN = {"torque": 38.0, "wear": 99.0}
DOCUMENT = {
    "name": NAME,
    "kind": "classifier",
    "assets": ["oven-1"],
    "modes": {
        "too-hot": {"variable": "burnt", "equals": 1.0, "action": "Lower the torque."},
        "worn-tool": {"variable": "torn", "equals": 1.0},
        "mishap": {"variable": "mishap", "equals": 1.0},
    },
    "horizon": "0s",
    "guidance": {"action": "Stop it."},
    "learning": {"trials": 1, "folds": 2, "candidates": ["lightgbm"]},
    "operating_point": {"least_precision": 0.6},
    "features": {"windows": ["10m"], "aggregations": ["last"]},
    "schedule": {"retrain": None},
}


def trained_units():
    """Return a plant whose units burn by their torque, tear by their wear, or fail by chance."""
    random = np.random.default_rng(7)
    torque = random.normal(40, 8, UNITS)
    wear = random.uniform(0, 100, UNITS)
    signs = {
        "burnt": torque + random.normal(0, 1, UNITS) > 55,
        "torn": wear + random.normal(0, 1, UNITS) > 97,
        "mishap": random.random(UNITS) < 0.01,
    }
    platform = in_memory_platform()
    variables = dict.fromkeys(signs, Variable())
    torque_of = Variable(title="Torque", unit="Nm")
    platform.assets.store_assets([oven(torque=torque_of, wear=Variable(), **variables)])
    rows = [
        ReadingRow(
            "oven-1",
            at(n),
            {"torque": float(torque[n]), "wear": float(wear[n])}
            | {name: float(shown[n]) for name, shown in signs.items()},
        )
        for n in range(UNITS)
    ]
    add_readings(platform, rows, at(0))
    apply(platform, [DOCUMENT], "engineer", at(0), "test")
    platform.clock.instant = at(UNITS + 24 * 60)
    train(platform, NAME, platform.clock.instant)
    return platform


def units():
    platform = stored_platform(trained_units)
    (decision,) = platform.decisions.for_definition(NAME)
    return platform, read_proposal(platform.runs, decision.run_id)


def test_of_unseen_units_the_mode_is_named_rightly_and_live_counts_what_the_training_printed():
    platform, result = units()
    notes = {note.partition(":")[0]: note for note in result.test["notes"]}
    dataset = load_dataset(platform.runs, result.run_id)
    assert not {"burnt", "torn", "mishap"}.intersection(dataset.plan.variables)
    test = dataset.at[dataset.part == "test"]
    start = from_millis(int(test.min()) - 1)
    end = from_millis(int(test.max()))
    evaluate_past(platform, NAME, start, end, model=str(result.challenger_version))
    determine_due_outcomes(platform, platform.clock.now())
    now = platform.clock.now()
    metrics = make_report(platform, NAME, start, end + timedelta(minutes=1), now).metrics
    rows = {row["mode"]: row for row in metrics["modes"]}
    for mode in ("too-hot", "worn-tool"):
        row = rows[mode]
        assert notes[mode] == (
            f"{mode}: {row['alarms']} alarms, {row['right']} right, "
            f"{row['alarms'] - row['of_right']} false"
            + f", {row['of_right'] - row['right']} before another mode"
            * (row["of_right"] > row["right"])
            + f"; {row['missed']} of {row['problems']} of its problems missed."
        )
        assert row["right"] >= 0.9 * row["of_right"] > 5
    assert rows["mishap"]["alarms"] == 0 < rows["mishap"]["missed"]
    assert "mishap is left to the others, never named" in notes
    assert (
        "nothing announces it beyond chance" in notes["mishap is left to the others, never named"]
    )
    hits = [e for e in platform.episodes.find(NAME) if e.outcome_record.outcome == "hit"]
    assert {mode for e in hits for mode in e.outcome_record.modes} >= {"too-hot", "worn-tool"}


def add_units(platform, minute, *units):
    for number, values in enumerate(units):
        add_readings(platform, [ReadingRow("oven-1", at(minute + number), values)], at(minute))


def said(episodes):
    return sorted((e.raised_at, e.evaluation.reason, e.modes, e.guidance) for e in episodes)


def test_live_catch_up_and_backtest_name_the_same_mode_with_its_first_step():
    told = {}
    first = UNITS + 24 * 60 + 10
    sent = [HOT, {"torque": 40.0, "wear": 50.0}, WORN]
    for way, rounds in {"live": (1, 2, 3, 20), "catch-up": (20,)}.items():
        platform, _ = units()
        evaluate(platform, None, at(first - 1))
        add_units(platform, first, *sent)
        for minute in rounds:
            platform.clock.instant = at(first + minute)
            evaluate(platform, None, at(first + minute))
        told[way] = said(platform.episodes.find(NAME, start=at(first - 1)))
    end = at(first + 20)
    run = backtest(platform, named_subject(platform, NAME), at(first - 1), end, "never")
    told["backtest"] = said(run.episodes)
    assert told["live"] == told["catch-up"] == told["backtest"]
    (hot, worn) = told["live"]
    assert "; probable mode: too-hot " in hot[1]
    assert "(by Torque" in hot[1]
    assert hot[3] == {"action": "Lower the torque."}
    assert "; probable mode: worn-tool " in worn[1]
    assert worn[3] == {"action": "Stop it."}
    (episode,) = platform.episodes.find(NAME, start=at(first + 2), end=at(first + 3))
    note = notice("key", first)
    german = message(episode, note, language=language("de")).text
    assert "wahrscheinliche Fehlerart: worn-tool " in german
    answer = why(platform, NAME, "oven-1", at(first))
    assert [fact for fact in answer.facts if fact.startswith("probable mode: too-hot ")]


def test_a_model_with_modes_is_read_from_its_files_and_changed_files_are_refused():
    platform, result = units()
    files = platform.models.model_files(NAME, result.challenger_version)
    model = KIND.load(files)
    for version in (model, model.refit):
        named = {mode.name for mode in version.modes if mode.estimator is not None}
        assert named == {"too-hot", "worn-tool"}
    assert KIND.load(TRAINING.save(model)).hash == model.hash
    for values, mode in ((HOT, "too-hot"), (WORN, "worn-tool")):
        shares = describe_row(model.modes, np.array([[*values.values()]]))
        assert probable_mode(shares) == mode
        assert sum(stated.share for stated in shares) == pytest.approx(1, abs=0.01)
    dataset = load_dataset(platform.runs, result.run_id)
    asked = platform.definitions.newest_revision(NAME).definition
    before = replace(model, refit=None, modes=())  # of a training without modes
    after = TRAINING.refit(dataset, before, asked)
    assert after.modes == ()
    assert {mode.name: mode.estimator is None for mode in after.refit.modes} == {
        "too-hot": False,
        "worn-tool": False,
        "mishap": True,
    }
    name = next(name for name in files if name.startswith("mode-0"))
    forged = files | {name: files[name].replace(b"leaf_value=", b"leaf_value=1")}
    with pytest.raises(ModelRefused, match="do not fit their hash"):
        KIND.load(forged)


def test_a_model_of_other_modes_raises_alarms_without_naming_one():
    platform, _ = units()
    fewer = {name: DOCUMENT["modes"][name] for name in ("too-hot", "worn-tool")}
    problem = {"any": [{"variable": v, "equals": 1.0} for v in ("burnt", "torn", "mishap")]}
    apply(platform, [{**DOCUMENT, "modes": fewer, "problem": problem}], "engineer", at(1), "fewer")
    first = UNITS + 24 * 60 + 10
    add_units(platform, first, HOT)
    platform.clock.instant = at(first + 5)
    evaluate(platform, None, at(first + 5))
    (episode,) = platform.episodes.find(NAME, start=at(first - 1))
    assert episode.modes == ()
    assert "probable mode" not in episode.evaluation.reason
    assert episode.guidance == {"action": "Stop it."}


def test_a_mode_whose_fit_fails_is_left_to_the_others_with_its_reason(monkeypatch):
    def fail(self, *arguments):
        if (self.shown == dataset.modes[:, 0]).all():
            raise ValueError("Input X contains infinity")
        return fit(self, *arguments)

    platform, proposal = units()
    dataset = load_dataset(platform.runs, proposal.run_id)
    definition = platform.definitions.newest_revision(NAME).definition
    twin = load_model(platform, definition, proposal.challenger_version)
    fit = mode_training.ModeExperiment.fit
    monkeypatch.setattr(mode_training.ModeExperiment, "fit", fail)
    modes, notes = mode_training.train_modes(dataset, definition, twin)
    first, *others = definition.mode_problems
    assert [mode.name for mode in modes if mode.estimator is not None] == others[:1]
    reason = "its fit failed (ValueError: Input X contains infinity)"
    assert f"{first} is left to the others, never named: {reason}." in notes


def test_a_mode_that_none_of_the_fitted_rows_shows_has_the_rate_of_half_a_row():
    platform, proposal = units()
    dataset = load_dataset(platform.runs, proposal.run_id)
    definition = platform.definitions.newest_revision(NAME).definition
    experiment = mode_training.ModeExperiment(dataset, definition, dataset.modes[:, 0])
    without = np.flatnonzero(~dataset.modes[:, 0])[:40]
    assert experiment.rate(without) == 0.5 / 40
    assert experiment.rate(np.append(without, np.flatnonzero(dataset.modes[:, 0])[0])) > 0.5 / 41
