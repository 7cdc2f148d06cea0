"""The refit: the twin's parameters on all mature rows, stored with the twin, and compared with it
later."""

from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest

from alerting.learning.data.dataset_rows import THINNED
from alerting.learning.data.findings import Finding
from alerting.learning.models.model_files import REFIT, model_files, model_from_files
from alerting.learning.models.trained import ModelRefused, model_hash
from alerting.learning.selection.challenger import compare_with_twin, refit
from alerting.readings.history import from_millis
from tests import small_models
from tests.helpers.learning.trained import finished

pytestmark = pytest.mark.models

HOUR = timedelta(hours=1)
FAMILY = "logistic_regression"


@pytest.fixture(scope="module")
def twin():
    return finished(FAMILY)[0]


def refitted(data, twin):
    return refit(data, twin, small_models.definition())


@pytest.fixture(scope="module")
def model(data, twin):
    return refitted(data, twin)


def test_the_refit_takes_plan_calibration_and_threshold_of_its_twin_and_other_weights(
    data, twin, model
):
    assert replace(model, refit=None) == replace(twin, refit=None)
    carried = ("plan", "calibration", "threshold", "params", "horizon", "gap")
    assert [n for n in carried if getattr(model.refit, n) != getattr(twin, n)] == []
    assert model.refit.hash != twin.hash
    assert refitted(data, twin).refit.hash == model.refit.hash, "the same again, bit for bit"
    assert refitted(data, model) is None, "there is nothing newer"


def test_it_has_learned_up_to_the_newest_mature_label_and_not_beyond_what_was_known(
    data, twin, model
):
    newest = int(data.at[data.fit].max())
    assert model.refit.training_cutoff == from_millis(newest) + timedelta(minutes=30) <= data.as_of
    assert model.refit.training_cutoff > twin.training_cutoff


def upside_down(data, part):
    """Return the data with the opposite labels in a part."""
    rows = data.part == part
    assert rows.any()
    return replace(data, label=np.where(rows, 1 - data.label, data.label).astype(np.int8))


def test_every_mature_row_teaches_the_refit_and_none_that_feedback_put_in_doubt(data, twin, model):
    parts = ("train", "validation", "test", "purged")
    hashes = {part: refitted(upside_down(data, part), twin).refit.hash for part in parts}
    assert model.refit.hash not in hashes.values()
    doubtful = {"fit": data.fit & (data.part != "test")}
    without, other = (replace(one, **doubtful) for one in (data, upside_down(data, "test")))
    assert refitted(without, twin).refit.hash == refitted(other, twin).refit.hash


def test_a_thinned_training_is_refitted_on_rows_thinned_throughout(data, twin):
    turn = data.at // data.plan.stride_ms % 2 == 0
    thinned = replace(
        data, findings=(*data.findings, Finding(THINNED, None, 2.0, "left out", "every 2. instant"))
    )
    assert (
        refitted(thinned, twin).refit.hash
        == refitted(replace(data, fit=data.fit & turn), twin).refit.hash
    )


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


def test_a_refit_that_does_not_fit_its_twin_is_refused(model):
    for other in (threshold_of_its_own(model.refit), replace(model.refit, gap=HOUR)):
        with pytest.raises(ModelRefused, match="does not fit its twin"):
            model_from_files(model_files(replace(model, refit=other)))


def test_a_damaged_or_lost_file_of_the_refit_refuses_the_version(model):
    files = model_files(model)
    own = [name for name in files if name.startswith(REFIT)]
    damaged = [files | {name: files[name][:-20]} for name in own]
    lost = [{n: data for n, data in files.items() if n != name} for name in own]
    for given in damaged + lost:
        with pytest.raises(ModelRefused):
            model_from_files(given)


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
    assert found.reason.startswith("Fitted on all data, the model did worse than the same one")
    assert found.details.startswith("Since 2026-01-")
    assert "the twin is better in 100 % of 500 samples" in found.details


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
