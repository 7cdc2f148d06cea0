"""A blend of families: taken only where it wins, kept and explained as any other model."""

from dataclasses import replace

import numpy as np
import pytest

from alerting.definitions.families import BUILT_IN as FAMILIES
from alerting.learning.models.files import model_files, model_from_files
from alerting.learning.models.trained import ModelRefused, model_hash
from alerting.learning.search.candidates import candidate_files, candidate_from_files
from alerting.learning.search.search import search_candidate
from alerting.learning.selection.blending import choose_blend, try_blends
from alerting.learning.selection.challenger import finish_challenger
from alerting.learning.selection.choice import choose
from alerting.recommendation.contributions import explain
from tests import small_models


def silent(*_):
    pass


@pytest.fixture(scope="module")
def data():
    return small_models.dataset()


@pytest.fixture(scope="module")
def definition():
    return small_models.definition(learning={"trials": 1, "folds": 2})


@pytest.fixture(scope="module")
def candidates(data, definition):
    return [search_candidate(data, definition, family, silent) for family in FAMILIES]


@pytest.fixture(scope="module")
def blend(candidates):
    params = [{"family": c.family, "weight": w, "params": c.params} for c, w in zip(candidates, (0.2, 0.3, 0.5), strict=True)]
    return replace(candidates[0], family="blend", params={"members": params})


@pytest.fixture(scope="module")
def model(data, definition, blend):
    return finish_challenger(data, blend, definition)[0]


def test_its_score_is_the_weighted_mean_of_its_members_after_calibration(data, model):
    matrix = model.estimator.columns.matrix(data.rows)
    mean = sum(w * member.probability_of(matrix) for member, w in zip(model.estimator.members, (0.2, 0.3, 0.5), strict=True))
    assert model.score(data.rows) == pytest.approx(model.calibration.probability(mean))
    assert model.family == "blend"


def test_it_is_kept_in_files_and_read_back_bit_for_bit(data, model):
    files = model_files(model)
    assert set(files) == {"model.json", "0-model.skops", "1-model.skops", "2-model-0.txt", "2-model-1.txt", "2-model-2.txt"}
    read = model_from_files(files)
    assert np.array_equal(read.score(data.rows), model.score(data.rows))
    assert read.hash == model.hash


def test_files_with_another_weight_or_without_a_member_are_refused(model):
    files = model_files(model)
    with pytest.raises(ModelRefused, match="do not fit their hash"):
        model_from_files(files | {"model.json": files["model.json"].replace(b"0.3", b"0.4", 1)})
    with pytest.raises(ModelRefused, match="without a readable"):
        model_from_files({name: content for name, content in files.items() if name != "2-model-1.txt"})


def test_the_same_data_gives_the_same_hash_again(data, definition, blend, model):
    again, _ = finish_challenger(data, blend, definition)
    assert again.hash == model.hash
    assert model_hash(again.estimator, again.calibration, again.threshold + 0.1, again.plan) != model.hash


def test_its_reasons_add_up_and_its_importance_is_shared(data, model):
    row = data.rows.iloc[[7]]
    explained = explain(model, row)
    assert explained.shares.sum() == pytest.approx(model.score(row)[0] - explained.usual_score)
    assert model.estimator.importance().sum() == pytest.approx(1)


def test_a_slice_scores_as_the_whole(data, model):
    assert np.array_equal(model.score(data.rows)[10:20], model.score(data.rows.iloc[10:20]))


def test_families_that_say_the_same_are_not_blended(data, definition, candidates):
    same = [replace(c, oof=candidates[2].oof, metrics=candidates[2].metrics) for c in candidates]
    assert try_blends(data, same, same[2], definition).best is None
    assert choose_blend(data, None, same[2], definition).candidate is same[2]


def test_a_blend_that_wins_over_the_folds_must_win_again_on_rows_that_no_search_saw(data, definition, candidates):
    random = np.random.default_rng(0)
    lucky = [replace(c, oof=data.label + random.normal(0, 1, len(data.label))) for c in candidates]
    lucky = [replace(c, oof=np.where(np.isnan(candidates[0].oof), np.nan, c.oof)) for c in lucky]
    taken = choose_blend(data, try_blends(data, lucky, lucky[1], definition).best, lucky[1], definition)
    kept = taken.candidate
    assert len(kept.notes) == len(lucky[1].notes) + 1
    assert kept.family == ("blend" if "was taken" in kept.notes[-1] else "random_forest")
    assert "on the validation period" in kept.notes[-1]
    assert taken.estimator.family == kept.family
    with_fit, _ = finish_challenger(data, kept, definition, taken.estimator)
    assert with_fit.hash == finish_challenger(data, kept, definition)[0].hash


def test_what_was_blended_is_kept_with_the_candidate(blend):
    assert candidate_from_files(candidate_files(blend)).params == blend.params


def test_every_blend_that_was_tried_counts_in_the_test_against_chance(data, definition, candidates):
    blends = try_blends(data, candidates, candidates[0], definition)
    assert blends.tried == 27
    choice = choose(data, definition, candidates)
    assert choice.chance.trials == 30
    assert choice.candidate.family in FAMILIES
    alone = np.quantile(np.max([c.chance for c in candidates], axis=0), 0.975)
    assert choice.chance.bound > alone
