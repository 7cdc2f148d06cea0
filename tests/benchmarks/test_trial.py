"""A tiny trial: the same again, the same after an interruption, and refused for what cannot be
tried."""

import shutil

import pytest

from alerting.adapters.memory.platform import memory_platform
from alerting.definitions.faults import UserError
from alerting.kinds.validation import parse_definition
from benchmarks.trial import walk
from benchmarks.trial.folder import TrialFolder
from benchmarks.trial.records import TrialArguments
from benchmarks.trial.run import run_trial

HOURS = 10
MOIST = parse_definition(
    {
        "name": "biscuits-too-moist",
        "kind": "classifier",
        "assets": ["oven-1"],
        "problem": {"variable": "moisture", "above": 4.5, "for": "5m"},
        "horizon": "30m",
        "exclude": ["belt_speed", "zone_*_temperature"],
        "features": {"stride": "10m", "windows": ["15m"], "aggregations": ["mean", "last"]},
        "learning": {"candidates": ["logistic_regression"], "trials": 1, "folds": 2},
        "operating_point": {"least_precision": 0.4},
    }
)
ARGUMENTS = TrialArguments(weeks=3, seed=4, retrain=2, history=8)

pytestmark = pytest.mark.models


class Interrupted(Exception):
    """The process died here."""


@pytest.fixture(autouse=True)
def short_weeks(monkeypatch):
    monkeypatch.setattr(walk, "WEEK", HOURS * 60)


def run(folder, arguments=ARGUMENTS, progress=lambda *_: None):
    return run_trial(arguments, MOIST, memory_platform, TrialFolder(folder), progress)


@pytest.fixture(scope="module")
def trial_folder(tmp_path_factory):
    return tmp_path_factory.mktemp("trial")


@pytest.fixture(scope="module")
def uninterrupted(trial_folder):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(walk, "WEEK", HOURS * 60)
        return run(trial_folder)


@pytest.mark.night
def test_the_line_that_is_acted_upon_differs_only_by_interventions(uninterrupted):
    assert len(uninterrupted.problems) >= 3
    assert uninterrupted.interventions
    assert all(i.alert + 3 == i.acted < i.released for i in uninterrupted.interventions)
    metres = [
        sum(day.metres for day in line)
        for line in (uninterrupted.left_alone, uninterrupted.acted_upon)
    ]
    assert metres[0] != metres[1]
    before = [p for p in uninterrupted.problems if p.end < uninterrupted.interventions[0].acted]
    assert all(p.happened and not p.intervened for p in before)


@pytest.mark.night
def test_a_trial_in_which_nothing_is_followed_avoids_nothing(tmp_path):
    found = run(tmp_path, TrialArguments(weeks=1, seed=4, follow=0.0, history=8))
    assert found.interventions == ()
    assert found.ignored == found.alerts > 0
    assert all(p.happened for p in found.problems)
    assert [d.metres for d in found.left_alone] == [d.metres for d in found.acted_upon]


@pytest.mark.night
def test_an_interrupted_trial_continues_and_gives_the_same(uninterrupted, tmp_path):
    def stop(step, done, total):
        if step.startswith("week 3: training"):
            raise Interrupted

    with pytest.raises(Interrupted):
        run(tmp_path, progress=stop)
    steps = []
    assert run(tmp_path, progress=lambda step, *_: steps.append(step)) == uninterrupted
    assert not [step for step in steps if step.startswith(("week 1", "week 2"))]


def test_a_folder_of_another_trial_and_impossible_arguments_are_refused(tmp_path):
    TrialFolder(tmp_path).save("trial.json", b'{"trial": "another"}')
    with pytest.raises(UserError, match="other arguments"):
        run(tmp_path)
    with pytest.raises(UserError, match=r"weeks is 0.*seed is -1.*follow is 2.*retrain is -3"):
        run(tmp_path, TrialArguments(weeks=0, seed=-1, follow=2, retrain=-3))


@pytest.mark.parametrize(
    "damaged", ["trial.json", "week-01.json", "week-01-left.npz", "model-1.npz"]
)
def test_a_damaged_folder_is_refused(uninterrupted, trial_folder, tmp_path, damaged):
    folder = shutil.copytree(trial_folder, tmp_path / "copy")
    (folder / damaged).write_bytes(b"[1")
    with pytest.raises(UserError, match="cannot be read: delete the folder"):
        run(folder)


def test_a_problem_whose_physics_a_trial_does_not_know_is_refused(tmp_path):
    """Avoidable means: drier biscuits would have prevented it. Of a problem below a limit that
    would be wrong."""
    too_dry = MOIST.model_copy(
        update={"problem": MOIST.problem.model_copy(update={"above": None, "below": 3.0})}
    )
    with pytest.raises(UserError, match="too moist biscuits only"):
        run_trial(ARGUMENTS, too_dry, memory_platform, TrialFolder(tmp_path))
