"""A small thing that learns: what it states is enough for folds, search, chance and refit."""

from functools import partial

import numpy as np
import pytest

from alerting.definitions.fields.learning import Learning
from alerting.learning.experiment.chance import share_between_groups
from alerting.learning.experiment.experiment import (
    UNPRUNED_TRIALS,
    Experiment,
    Null,
    Space,
)
from alerting.learning.experiment.folds import cut_by_group, cut_walk_forward
from alerting.learning.experiment.trials import SearchFailed
from tests.helpers.learning.machine_time import time_of_trials

pytestmark = pytest.mark.models
SHARE = 0.9


class UsualValue(Experiment[float]):
    """How far values are above their quantile on other lives, which is to leave SHARE below it."""

    def __init__(self, value, life, failed):
        self.value = value
        self.life = life
        self.failed = failed
        self.rows = len(value)
        self.folds = cut_by_group(life, failed, 3)
        self.fits = []

    def fit(self, params, fold):
        self.fits.append(fold.number)
        return float(np.quantile(self.value[fold.train], params["level"]))

    def predict(self, fitted, params, rows):
        return self.value[rows] - fitted

    def loss(self, predicted, rows):
        return float(np.mean(np.maximum(SHARE * predicted, (SHARE - 1) * predicted)))

    def nulls(self, scores):
        share = share_between_groups(scores, self.failed, self.life)
        yield Null("lives that failed were as usual", share, 0.05)


def lives(lead=3.0, seed=0):
    """Return 12 lives of 30 values, of which those of the 6 that failed lie higher."""
    random = np.random.default_rng(seed)
    life = np.repeat(np.arange(12), 30)
    failed = life % 2 == 0
    return UsualValue(random.normal(size=360) + lead * failed, life, failed)


def suggest(trial, highest=1.0):
    return {
        "level": trial.suggest_float("level", 0.0, highest),
        "name": trial.suggest_categorical("name", ["a", "b"]),
    }


def proven(*levels, name="a"):
    return [{"level": level, "name": name} for level in levels]


def searched(experiment, sets, trials, prunes=False, propose=suggest, read_time=None, **settings):
    learning = Learning(trials=trials, **settings)
    return experiment.search(Space(propose, sets, prunes), learning, read_time=read_time)


def test_predictions_out_of_fold_are_of_fits_that_have_not_seen_the_life():
    experiment = lives()
    scores = experiment.out_of_fold({"level": SHARE})
    for life in range(12):
        (fold,) = [f for f in experiment.folds if life in experiment.life[f.test]]
        others = ~np.isin(experiment.life, experiment.life[fold.test])
        usual = np.quantile(experiment.value[others], SHARE)
        rows = experiment.life == life
        np.testing.assert_array_equal(scores[rows], experiment.value[rows] - usual)
    experiment.folds = cut_walk_forward(np.arange(360), 10, 2)
    assert np.flatnonzero(np.isnan(experiment.out_of_fold({"level": SHARE}))).tolist() == list(
        range(120)
    )


def test_a_null_that_explains_the_scores_is_named_with_its_probability_and_else_none():
    beyond = lives()
    assert beyond.against(beyond.out_of_fold({"level": SHARE})) is None
    chance = lives(lead=0.0)
    null = chance.against(chance.out_of_fold({"level": SHARE}))
    assert null.fault == "lives that failed were as usual"
    assert null.share > null.most == 0.05


def test_a_refit_learns_from_the_rows_that_it_is_given_alone():
    experiment = lives()
    rows = np.flatnonzero(experiment.failed)
    assert experiment.refit({"level": 0.5}, rows) == np.median(experiment.value[rows])


def test_proven_sets_come_first_and_the_best_of_equal_ones_is_the_earlier():
    first = proven(0.2, 0.9)
    experiment = lives()
    reported = []
    space = Space(suggest, [*first, *proven(0.9, name="b")])
    result = experiment.search(space, Learning(trials=6), reported.append)
    assert reported == [1, 2, 3, 4, 5, 6]
    assert [trial.params for trial in result.tried[:3]] == [*first, {"level": 0.9, "name": "b"}]
    assert len(result.tried) == result.end.done == 6
    best = min(result.tried, key=lambda trial: -trial.ap)
    assert result.best is best
    assert result.loss == pytest.approx(-best.ap)
    equal = searched(lives(), [*first, *proven(0.9, name="b")], 3)
    assert equal.best.params == {"level": 0.9, "name": "a"}
    for fold, scores in zip(experiment.folds, result.predicted, strict=True):
        expected = experiment.out_of_fold(best.params)[fold.test]
        np.testing.assert_array_equal(scores, expected)


def test_a_search_is_repeated_exactly_and_a_shorter_one_is_its_beginning():
    whole = searched(lives(), proven(0.9), 8, seed=3)
    assert searched(lives(), proven(0.9), 8, seed=3).tried == whole.tried
    assert searched(lives(), proven(0.9), 5, seed=3).tried == whole.tried[:5]
    assert searched(lives(), proven(0.9), 8, seed=4).tried != whole.tried


def test_a_set_worse_than_the_median_ends_after_a_fold_where_the_space_prunes():
    sets = proven(0.9, 0.91, 0.92, 0.0)
    experiment = lives()
    pruned = searched(experiment, sets, 4, prunes=True)
    assert [t.state for t in pruned.tried] == ["complete"] * UNPRUNED_TRIALS + ["pruned"]
    assert len(pruned.tried[-1].folds) == 1
    assert experiment.fits == [1, 2, 3] * 3 + [1]
    assert {trial.state for trial in searched(lives(), sets, 4).tried} == {"complete"}


def test_a_set_that_fails_is_named_last_with_its_exception_and_ends_no_search():
    wide = partial(suggest, highest=2.0)
    result = searched(lives(), proven(1.5, 0.5, 0.9), 3, propose=wide)
    assert [trial.params["level"] for trial in result.tried] == [0.5, 0.9, 1.5]
    assert result.best.params["level"] == 0.9
    assert [trial.fault for trial in result.tried] == [
        "",
        "",
        "ValueError: Quantiles must be in the range [0, 1]",
    ]
    with pytest.raises(SearchFailed, match=r"^2 of 2 trials failed: ValueError: Quantiles must"):
        searched(lives(), proven(1.5, 1.6), 2, propose=wide)


def test_a_loss_that_is_no_number_is_never_the_best():
    experiment = lives()
    experiment.loss = lambda predicted, _: np.nan if len(experiment.fits) < 4 else abs(predicted[0])
    result = searched(experiment, proven(0.1, 0.9), 2)
    assert result.best.params["level"] == 0.9
    assert result.tried[-1].fault == "ValueError: its loss is not a number"


def test_the_ceiling_ends_a_search_and_is_said():
    result = searched(
        lives(), proven(0.9), 20, read_time=time_of_trials(1.5), time_budget="5s", seed=3
    )
    assert (len(result.tried), result.end.done) == (4, 4)
    assert result.end.describe("usual value", 20) == [
        "the time budget of 5s of CPU time ended the search of usual value after 4 of 20 trials"
    ]
    assert result.tried == searched(lives(), proven(0.9), 4, seed=3).tried
