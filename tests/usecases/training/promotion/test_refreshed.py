"""A training puts the refit of the challenger into service, or of the champion that stays; with the
real learners."""

from datetime import datetime

import pytest

from alerting.definitions.faults import UserError
from alerting.learning.models.files import REFIT
from alerting.usecases.definitions.sync import apply
from alerting.usecases.definitions.versions import champion_at
from alerting.usecases.evaluation.evaluate import evaluate
from alerting.usecases.ingestion.arrivals import add_readings
from alerting.usecases.registry.registration import ModelCache
from alerting.usecases.training.compare import compare_run
from alerting.usecases.training.promote import model_history, promote_run, rollback
from alerting.usecases.training.run import candidate_families
from alerting.usecases.training.train import fit, prepare, train
from tests.builders import at, classifier
from tests.humid_line import DAY, NAME, humid_oven, learned_quickly, line
from tests.in_memory_platform import in_memory_platform

pytestmark = pytest.mark.models
FEW = {"least_events": 1000}  # so that no comparison can tell


def plant(days=9, **changes):
    platform = in_memory_platform()
    platform.assets.store_assets([humid_oven()])
    add_readings(platform, line(days=days), at(0))
    apply(platform, [learned_quickly(**changes)], "engineer", at(0), "test")
    platform.clock.instant = at(days * DAY)
    return platform


def tags(platform, version):
    return platform.models.version_tags(NAME, version)


def cutoff(platform, version):
    return datetime.fromisoformat(tags(platform, version)["refit_cutoff"])


def proposed(platform, as_of):
    run_id = prepare(platform, NAME, as_of)
    for family in candidate_families(platform, run_id):
        fit(platform, run_id, family)
    return run_id, compare_run(platform, run_id)


def test_the_first_champion_serves_as_a_refit_and_every_printed_figure_is_its_twins():
    with_refit = plant()
    without = plant(periods={"refit": "none"})
    results = [train(platform, NAME, at(6 * DAY)) for platform in (with_refit, without)]
    assert results[0].test == results[1].test
    assert results[0].reason == results[1].reason
    assert tags(with_refit, 1)["model_hash"] == tags(without, 1)["model_hash"]
    assert at(5.9 * DAY) < cutoff(with_refit, 1) <= at(6 * DAY)
    files = with_refit.models.model_files(NAME, 1)
    assert {n for n in files if not n.startswith(REFIT)} == without.models.model_files(
        NAME, 1
    ).keys()
    evaluate(with_refit, None, at(7 * DAY))
    assert all(
        "twin" in row for row in with_refit.scores.for_interval(NAME, at(6 * DAY), at(7 * DAY))
    )


def test_a_champion_that_stays_is_refitted_on_newer_rows_with_the_same_twin():
    platform = plant(promotion=FEW)
    train(platform, NAME, at(6 * DAY))
    result = train(platform, NAME, at(9 * DAY))
    assert (
        result.verdict,
        result.promote,
        result.challenger_version,
        result.refreshed_version,
    ) == ("refreshed", True, 2, 3)
    assert "version 3 replaces version 1, with the same twin" in result.reason
    assert tags(platform, 3)["model_hash"] == tags(platform, 1)["model_hash"]
    assert tags(platform, 3)["training_cutoff"] == tags(platform, 1)["training_cutoff"]
    assert at(8.9 * DAY) < cutoff(platform, 3) <= at(9 * DAY)
    assert "refit_cutoff" not in tags(platform, 2), "a refused challenger never serves"
    decision = platform.decisions.for_definition(NAME)[-1]
    assert (decision.challenger_version, decision.champion_version, decision.provisional) == (
        3,
        1,
        True,
    )
    assert (platform.models.alias(NAME, "champion"), platform.models.alias(NAME, "previous")) == (
        3,
        1,
    )
    history = model_history(platform, NAME)
    assert (history["training"]["run_id"], history["unfinished"]) == (result.run_id, None)
    model = ModelCache(platform).get(classifier(), 3)
    assert (model.refit.plan, model.refit.threshold, model.refit.calibration) == (
        model.plan,
        model.threshold,
        model.calibration,
    )
    rollback(platform, NAME, "the newest days were a trial", "ann")
    assert champion_at(platform.decisions.for_definition(NAME), at(10 * DAY), None) == 1


def test_the_recipe_of_a_refreshed_champion_is_that_of_its_own_search_ever_after():
    platform = plant(days=10, promotion=FEW)
    first = train(platform, NAME, at(6 * DAY))
    train(platform, NAME, at(8 * DAY))
    again = train(platform, NAME, at(9 * DAY))
    assert again.refreshed_version == 5
    assert [tags(platform, v).get("search_run") for v in (1, 3, 5)] == [
        None,
        first.run_id,
        first.run_id,
    ]
    assert len({tags(platform, v)["model_hash"] for v in (1, 3, 5)}) == 1
    assert cutoff(platform, 1) < cutoff(platform, 3) < cutoff(platform, 5)


def test_a_training_killed_after_the_registration_of_a_refit_registers_it_once():
    platform = plant(promotion=FEW)
    train(platform, NAME, at(6 * DAY))
    run_id, first = proposed(platform, at(9 * DAY))
    again = compare_run(platform, run_id)
    assert platform.models.versions(NAME) == [1, 2, 3]
    assert again == first
    promote_run(platform, run_id)
    promote_run(platform, run_id)
    assert [d.verdict for d in platform.decisions.for_definition(NAME)] == [
        "provisional",
        "refreshed",
    ]


def test_where_promotions_need_approval_a_newer_refit_waits_for_it_too():
    platform = plant(promotion={**FEW, "mode": "approval"})
    first = train(platform, NAME, at(6 * DAY))
    promote_run(platform, first.run_id, approved_by="ann")
    platform.clock.instant = at(9 * DAY)
    waiting = train(platform, NAME, at(9 * DAY))
    assert (waiting.verdict, waiting.waiting) == ("refreshed", True)
    assert platform.models.alias(NAME, "champion") == 1
    with pytest.raises(UserError, match="a rejection needs a reason"):
        promote_run(platform, waiting.run_id, approved_by="ann", rejected_reason="")
    promote_run(platform, waiting.run_id, approved_by="ann", rejected_reason="not before the audit")
    assert platform.models.alias(NAME, "champion") == 1


@pytest.mark.parametrize(
    ("change", "verdict", "champion"),
    [({"horizon": "40m"}, "provisional", 2), ({"periods": {"refit": "none"}}, "cannot_tell", 1)],
)
def test_a_champion_of_another_question_or_one_that_wants_no_refit_is_not_refitted(
    change, verdict, champion
):
    platform = plant(promotion=FEW)
    train(platform, NAME, at(6 * DAY))
    apply(
        platform, [platform.definitions.documents()[0] | change], "engineer", at(7 * DAY), "changed"
    )
    result = train(platform, NAME, at(9 * DAY))
    assert (result.verdict, result.refreshed_version) == (verdict, None)
    assert platform.models.alias(NAME, "champion") == champion
