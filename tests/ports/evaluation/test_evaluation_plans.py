"""Port `EvaluationPlans`."""

from functools import partial

import pytest

from alerting.definitions.revisions import question_of
from alerting.detection.threshold_batch import limits_of
from alerting.episodes.evaluation_plan import EvaluationPlan, EvaluationTarget
from alerting.ports import DecisionRecord
from alerting.stores import evaluation
from alerting.usecases.definitions import revisions_and_evaluation_plan
from alerting.usecases.definitions.revisions_and_evaluation_plan import (
    apply,
    current_plan,
    source_hash_of,
    sync,
    sync_edited,
)
from alerting.usecases.evaluation.rounds import evaluate
from tests.builders import at, classifier, oven, revision, threshold, too_hot, too_moist
from tests.helpers.stores import broken_in_memory
from tests.in_memory_platform import HandClock, platform_on

LIST = EvaluationPlan(
    ("moist", "hot", "fast", "late"),
    (
        EvaluationTarget("moist", "oven-1", 5, 60_000),
        EvaluationTarget(
            "hot", "oven-1", 6, 60_000, "temperature", limits_of(threshold(), oven()), ("medium",)
        ),
        EvaluationTarget(
            "fast", "oven-2", 7, 300_000, "temperature", None, ("high", "critical"), 900_000
        ),
        EvaluationTarget(
            "late",
            "oven-2",
            8,
            60_000,
            revision=3,
            has_outcome=True,
            also_reads=("moisture", "speed"),
            events=("stop", "jam *"),
        ),
    ),
)


def test_a_list_comes_back_equal_for_just_what_it_was_made_of_whole_or_of_wanted_definitions(
    stores, monkeypatch
):
    monkeypatch.setattr(evaluation, "_PART", 3)
    plans = stores.evaluation_plans
    plans.store_plan("a", LIST)
    wanted = ({"moist", "fast"}, {"late"}, set[str]())
    own = [LIST.select_definitions(names) for names in wanted]
    for _ in range(2):  # the second time the whole plan was read before
        assert [plans.get("a", names.__contains__) for names in wanted] == own
        assert [LIST.select(names.__contains__) for names in wanted] == own
        assert plans.get("a") == LIST
    assert plans.get("b") is None
    hot = EvaluationPlan(("hot",), LIST.targets[1:2])
    plans.store_plan("b", hot)
    assert [plans.get(hash) for hash in "ab"] == [None, hot]


def test_a_list_of_which_a_part_is_of_somebody_else_is_none(real, monkeypatch):
    monkeypatch.setattr(evaluation, "_PART", 2)
    real.evaluation_plans.store_plan("a", LIST)
    real.database["evaluation_plans"].update_one({"_id": 1}, {"$set": {"source_hash": "b"}})
    assert [real.evaluation_plans.get(hash) for hash in "ab"] == [None, None]


def plant(stores):
    platform = platform_on(stores, [], HandClock())
    platform.assets.store_assets([oven().model_copy(update={"attributes": {"limit": 215.0}})])
    apply(
        platform,
        [too_hot(), too_hot(name="own", above={"attribute": "limit"})],
        "engineer",
        at(0),
        "test",
    )
    return platform


def limits(platform):
    return {w.definition: w.limits.above for w in current_plan(platform).targets}


def test_what_was_written_is_told_apart_from_before_and_is_in_the_plan_of_the_next_run(stores):
    platform = plant(stores)
    own = too_hot(name="own", above={"attribute": "limit"})
    limited = oven().model_copy(update={"attributes": {"limit": 230.0}})
    first = current_plan(platform)
    assert stores.evaluation_plans.get(source_hash_of(platform)) == first
    evaluate(platform, None, at(1))
    assert current_plan(platform) == first
    seen = [stores.evaluation_plans.source_hash()]
    planned = [limits(platform)]
    for minute, change in enumerate(
        (
            lambda: apply(platform, [too_hot(above=216)], "engineer", at(2), "test"),
            lambda: apply(platform, [too_hot(above=215)], "engineer", at(3), "back again"),
            lambda: stores.assets.store_assets([limited]),
            lambda: stores.assets.store_assets([oven().model_copy(update={"name": "oven-2"})]),
            lambda: stores.definitions.store_document(own | {"severity": "high"}),
            lambda: stores.definitions.store_document(too_hot(above=240.0)),
            lambda: apply(platform, [own | {"state": "retired"}], "engineer", at(8), "test"),
        ),
        2,
    ):
        change()
        platform.clock.instant = at(minute)
        planned.append(limits(platform))
        seen.append(stores.evaluation_plans.source_hash())
    assert [of.get("too-hot") for of in planned] == [215, 216, 215, 215, 215, 215, 240, 240]
    assert [of.get("own") for of in planned] == [215, 215, 215, 230, 230, 230, 230, None]
    assert len({*seen}) == len(planned)
    evaluate(platform, None, at(9))
    assert [r.number for r in platform.definitions.revisions("too-hot")] == [1, 2, 3, 4]


def promotion(version, minute, of):
    question = question_of(revision(classifier(**of)))
    shared = (version, None, True, False, "promote", "better", {}, f"run-{version}", "platform")
    return DecisionRecord("too-moist", at(minute), 1, *shared, question)


def test_a_promotion_leaves_the_plan_in_force_unless_an_edited_definition_waits_for_it(stores):
    platform = plant(stores)
    apply(platform, [too_moist()], "engineer", at(0), "test")
    first = current_plan(platform)
    before = source_hash_of(platform)
    assert stores.decisions.add(promotion(1, 1, {}), rank=1)
    assert source_hash_of(platform) != before
    assert stores.evaluation_plans.get(source_hash_of(platform)) == first
    apply(platform, [too_moist(horizon="2h")], "engineer", at(2), "further ahead")
    platform.clock.instant = at(3)
    edited = current_plan(platform)
    assert edited != first
    assert stores.evaluation_plans.get(source_hash_of(platform)) == edited
    assert stores.decisions.add(promotion(2, 3, {"horizon": "2h"}), rank=2)
    assert stores.evaluation_plans.get(source_hash_of(platform)) is None
    assert current_plan(platform) is not None


@pytest.mark.parametrize("is_whole", [True, False])
def test_what_is_written_while_an_edit_gets_its_revision_is_in_the_plan(
    is_whole, real, monkeypatch
):
    platform = plant(real)
    first = current_plan(platform)
    platform.definitions.store_document(too_hot(above=230))

    def raced(sync, *given):
        synced = sync(*given)
        assert synced.new
        apply(platform, [too_hot(assets=["oven-*"], above=240)], "engineer", at(1), "wider")
        platform.assets.store_assets([oven().model_copy(update={"name": "oven-2"})])
        return synced

    if is_whole:
        platform.evaluation_plans.store_plan("another", LIST)
        monkeypatch.setattr(revisions_and_evaluation_plan, "sync", partial(raced, sync))
    else:
        monkeypatch.setattr(
            revisions_and_evaluation_plan, "sync_edited", partial(raced, sync_edited)
        )
    edited = current_plan(platform)
    hot = [(one.asset, one.limits.above) for one in edited.targets if one.definition == "too-hot"]
    assert hot == [("oven-1", 240.0), ("oven-2", 240.0)]
    assert edited != first
    monkeypatch.undo()
    assert current_plan(platform) == edited


def test_the_stores_in_memory_keep_this_contract():
    assert broken_in_memory(globals()) == {}
