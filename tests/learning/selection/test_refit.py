"""The refit: the twin's parameters on all mature rows, stored with the twin, and compared with it
later."""

from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest

from alerting.learning.data.dataset import build_dataset
from alerting.learning.data.findings import Finding
from alerting.learning.data.row_limit import THINNED
from alerting.learning.models.files import META, REFIT, model_files, model_from_files
from alerting.learning.models.trained import ModelRefused, model_hash
from alerting.learning.selection.challenger import finish_challenger
from alerting.learning.selection.refit import compare_with_twin, refit
from alerting.readings.history import from_millis
from tests import small_models
from tests.helpers.learning.trained import chosen

pytestmark = pytest.mark.models

HOUR = timedelta(hours=1)
FAMILY = "logistic_regression"


@pytest.fixture(scope="module")
def data():
    return small_models.dataset()


@pytest.fixture(scope="module")
def twin(data):
    return finish_challenger(data, chosen(FAMILY), small_models.definition())[0]


def refitted(data, twin):
    return refit(data, twin, small_models.definition())


@pytest.fixture(scope="module")
def model(data, twin):
    return refitted(data, twin)


def test_the_refit_takes_plan_calibration_and_threshold_of_its_twin_and_other_weights(twin, model):
    assert replace(model, refit=None) == twin
    carried = ("plan", "calibration", "threshold", "params", "horizon", "gap")
    assert all(getattr(model.refit, name) == getattr(twin, name) for name in carried)
    assert model.refit.hash != twin.hash


def test_it_has_learned_up_to_the_newest_mature_label_and_not_beyond_what_was_known(
    data, twin, model
):
    newest = int(data.at[data.fit].max())
    assert model.refit.training_cutoff == from_millis(newest) + timedelta(minutes=30) <= data.as_of
    assert model.refit.training_cutoff > twin.training_cutoff


@pytest.mark.parametrize("part", ["train", "validation", "test", "purged"])
def test_every_mature_row_teaches_the_refit(data, twin, model, part):
    rows = data.part == part
    assert rows.any()
    upside_down = replace(data, label=np.where(rows, 1 - data.label, data.label).astype(np.int8))
    assert refitted(upside_down, twin).refit.hash != model.refit.hash


def test_rows_that_feedback_put_in_doubt_teach_it_nothing(data, twin):
    doubtful = data.part == "test"
    without = replace(data, fit=data.fit & ~doubtful)
    upside_down = replace(
        without, label=np.where(doubtful, 1 - data.label, data.label).astype(np.int8)
    )
    assert refitted(upside_down, twin).refit.hash == refitted(without, twin).refit.hash


def test_readings_after_as_of_change_nothing_of_it(twin):
    definition = small_models.definition()
    known = small_models.line(200)
    until = small_models.START + 150 * HOUR
    longer = build_dataset(definition, 1, [known], until)
    shorter = build_dataset(
        definition, 1, [replace(known, readings=known.readings.loc[:until])], until
    )
    early = replace(twin, training_cutoff=small_models.START)
    hashes = {refit(dataset, early, definition).refit.hash for dataset in (longer, shorter)}
    assert len(hashes) == 1


def test_a_thinned_training_is_refitted_on_rows_thinned_throughout(data, twin):
    turn = data.at // data.plan.stride_ms % 2 == 0
    thinned = replace(
        data, findings=(*data.findings, Finding(THINNED, None, 2.0, "left out", "every 2. instant"))
    )
    assert (
        refitted(thinned, twin).refit.hash
        == refitted(replace(data, fit=data.fit & turn), twin).refit.hash
    )


def test_without_newer_rows_there_is_nothing_to_refit(data, model):
    assert refitted(data, model) is None


def test_it_is_fitted_the_same_again_bit_for_bit(data, twin, model):
    assert refitted(data, twin).refit.hash == model.refit.hash


def test_each_instant_is_served_by_the_refit_only_after_its_own_cutoff(twin, model):
    cutoff = model.refit.training_cutoff
    assert model.serving(cutoff) is model
    assert model.serving(cutoff + timedelta(milliseconds=1)) is model.refit
    assert twin.serving(cutoff + HOUR) is twin


def test_both_are_read_from_the_files_of_one_version_bit_for_bit(data, model):
    files = model_files(model)
    read = model_from_files(files)
    assert read.refit.hash == model.refit.hash
    assert np.array_equal(read.score(data.rows), model.score(data.rows))
    assert np.array_equal(read.refit.score(data.rows), model.refit.score(data.rows))
    assert not np.array_equal(read.refit.score(data.rows), read.score(data.rows))
    assert {name for name in files if name.startswith(REFIT)} == {
        REFIT + name for name in files if not name.startswith(REFIT)
    }


def threshold_of_its_own(refit):
    return replace(
        refit,
        threshold=0.123,
        hash=model_hash(refit.estimator, refit.calibration, 0.123, refit.plan),
    )


@pytest.mark.parametrize(
    "other",
    [threshold_of_its_own, lambda refit: replace(refit, gap=HOUR)],
    ids=["threshold", "gap"],
)
def test_a_refit_that_does_not_fit_its_twin_is_refused(model, other):
    with pytest.raises(ModelRefused, match="does not fit its twin"):
        model_from_files(model_files(replace(model, refit=other(model.refit))))


def test_a_damaged_or_lost_file_of_the_refit_refuses_the_version(model):
    files = model_files(model)
    for name in (name for name in files if name.startswith(REFIT)):
        with pytest.raises(ModelRefused):
            model_from_files(files | {name: files[name][:-20]})
        if name != REFIT + META:
            with pytest.raises(ModelRefused):
                model_from_files({other: data for other, data in files.items() if other != name})
    with pytest.raises(ModelRefused):
        model_from_files({name: data for name, data in files.items() if name != REFIT + META})


# --- worse than the twin
# ------------------------------------------------------------------------------------------------


def weighted(data, weight, cutoff):
    return small_models.linear_model(
        data.plan, data.rows, {"humidity.last": weight}, training_cutoff=cutoff
    )


@pytest.fixture(scope="module")
def later():
    """A week after the cutoffs of both."""
    return small_models.line(200), small_models.START + 40 * HOUR


def compared(data, later, twin_weight, refit_weight, until=200, **promotion):
    history, cutoff = later
    both = replace(
        weighted(data, twin_weight, cutoff - 20 * HOUR), refit=weighted(data, refit_weight, cutoff)
    )
    as_of = small_models.START + until * HOUR
    return compare_with_twin(
        small_models.definition(promotion=promotion), both, [history], [], as_of, {}
    )


def test_a_refit_that_is_worse_beyond_chance_gives_way_with_the_figures(data, later):
    found = compared(data, later, 2.0, -1.0)
    assert (found.verdict, found.promote) == ("gave_way", True)
    assert found.evidence["twin_ap"] > found.evidence["refit_ap"] + 0.2
    assert found.evidence["events"] >= 5
    assert found.evidence["window"]["start"] > later[1].isoformat()
    assert found.reason.startswith(
        "The refit gives way to its twin, which serves from now on: since 2026-01-"
    )


def test_a_refit_as_good_or_better_stays_and_so_does_one_with_too_few_problems_to_tell(data, later):
    assert compared(data, later, 2.0, 2.5) is None
    assert compared(data, later, -1.0, 2.0) is None
    assert compared(data, later, 2.0, -1.0, least_events=1000) is None
    assert compared(data, later, 2.0, -1.0, until=41) is None
    assert (
        compare_with_twin(
            small_models.definition(), weighted(data, 2.0, later[1]), [], [], data.as_of, {}
        )
        is None
    )
