"""Open episodes that no evaluation will end: each ends at once with the reason, and is raised again
when its target is evaluated again and the condition still holds."""

from datetime import timedelta

import pytest

from alerting.definitions.faults import UserError
from alerting.usecases.data_upkeep import maintain
from alerting.usecases.definitions.revisions_and_evaluation_plan import apply
from alerting.usecases.evaluation.rounds import close_orphans, plan_round
from alerting.usecases.notification.delivery import deliver_due
from alerting.usecases.operators import operate
from tests.builders import at, too_hot
from tests.helpers.ovens import EVE, feed, oven_platform, ovens, run
from tests.helpers.stores import real  # noqa: F401 - a fixture
from tests.in_memory_platform import Mailbox

RULE = too_hot(assets=["oven-1", "oven-2"], stale_after="2h")


@pytest.fixture
def platform(real):  # noqa: F811 - a fixture
    made = oven_platform(Mailbox("mail"), on=real, count=2, stale_after="2h", assets=RULE["assets"])
    feed(made, 1, 230.0, count=2)
    run(made, 10)
    assert [e.condition for e in made.episodes.find()] == ["open", "open"]
    return made


def of_asset(platform, asset="oven-2"):
    return [(e.raised_at, e.closed_at) for e in platform.episodes.find(asset=asset)[::-1]]


def close(platform, asset, minute, why):
    operate.close(platform, platform.episodes.find(asset=asset)[0].id, EVE, at(minute), why)


def delete(platform, collection, **query):
    platform.episodes.episodes.database[collection].delete_many(query)


def change(platform, collection, name, **fields):
    documents = platform.episodes.episodes.database[collection]
    documents.update_one({"name": name}, {"$set": fields}, bypass_document_validation=True)


def rename(platform):
    delete(platform, "assets", name="oven-2")
    platform.assets.store_assets([ovens(1)[0].model_copy(update={"name": "oven-two"})])


def delete_definition(platform):
    delete(platform, "alert_definitions", name="too-hot")
    delete(platform, "definition_revisions", name="too-hot")


def plan_one_round(platform, minute):
    platform.clock.instant = at(minute)
    plan_round(platform, timedelta(minutes=1), 1, at(minute))


def maintain_at(platform, minute):
    platform.clock.instant = at(minute)
    maintain(platform, at(minute))


UNNAMED = "does not name oven-2 any more, since revision 2"
NO_ASSET = "there is no asset oven-2 any more"
WAYS = {
    "applied without the asset": (
        lambda p: apply(p, [RULE | {"assets": ["oven-1"]}], "ada", at(20), "x"),
        run,
        UNNAMED,
    ),
    "edited in the database": (
        lambda p: change(p, "alert_definitions", "too-hot", assets=["oven-1"]),
        plan_one_round,
        UNNAMED,
    ),
    "retired in the database": (
        lambda p: change(p, "alert_definitions", "too-hot", state="retired"),
        maintain_at,
        "the definition is retired since",
    ),
    "a draft in the database": (
        lambda p: change(p, "alert_definitions", "too-hot", state="draft"),
        run,
        "the definition is a draft since",
    ),
    "asset deleted in the database": (
        lambda p: delete(p, "assets", name="oven-2"),
        plan_one_round,
        NO_ASSET,
    ),
    "asset renamed": (rename, run, NO_ASSET),
    "definition deleted in the database": (
        delete_definition,
        maintain_at,
        "there is no definition of this name any more",
    ),
}


@pytest.mark.parametrize("way", WAYS)
def test_an_episode_that_nothing_evaluates_any_more_ends_at_once_with_the_reason(platform, way):
    happens, ends, reason = WAYS[way]
    happens(platform)
    ends(platform, 20)
    [(raised_at, closed_at)] = of_asset(platform)
    assert closed_at is not None
    assert raised_at <= closed_at <= at(20)
    assert reason in str(platform.episodes.find(asset="oven-2")[0].transitions[-1].reason)
    deliver_due(platform, at(21))
    told = [m.subject for m in platform.channels["mail"].messages if "oven-2" in m.subject]
    is_told = way != "definition deleted in the database"
    assert told == ["MEDIUM: too-hot on oven-2", *["Over: too-hot on oven-2"] * is_told]


def test_named_again_it_is_raised_again_if_it_still_holds_and_not_for_the_time_between(platform):
    apply(platform, [RULE | {"assets": ["oven-1"]}], "ada", at(20), "x")
    run(platform, 20)
    for minute, value in ((25, 100.0), (30, 230.0)):
        feed(platform, minute, value, count=2)
    apply(platform, [RULE], "ada", at(40), "x")
    feed(platform, 42, 230.0, count=2)
    run(platform, 45)
    assert of_asset(platform) == [(at(1), at(20)), (at(42), None)]


def test_what_is_evaluated_goes_on(platform):
    ways = ({"schedule": {"every": "5m"}}, {"severity": "high"}, {"above": 225}, {"title": "Hot"})
    for minute, way in enumerate(ways, 20):
        apply(platform, [RULE | way], "ada", at(minute), "x")
        run(platform, minute + 0.5)
        assert close_orphans(platform, at(minute + 0.5)) == 0
    assert of_asset(platform) == [(at(1), None)]


def test_a_faulty_definition_or_asset_ends_nothing_and_an_operator_can_close_it(platform):
    change(platform, "alert_definitions", "too-hot", above="much")
    run(platform, 20)
    assert of_asset(platform) == [(at(1), None)], "its last valid revision stays in force"
    change(platform, "assets", "oven-2", variables="none")
    run(platform, 30)
    assert of_asset(platform) == [(at(1), None)]
    close(platform, "oven-2", 31, "looked at it: cold")
    assert of_asset(platform) == [(at(1), at(31))]


def test_a_variable_that_became_a_category_stops_only_its_own_target(platform):
    change(platform, "assets", "oven-2", **{"variables.temperature.type": "category"})
    feed(platform, 20, 100.0)
    run(platform, 30)
    assert of_asset(platform, "oven-1") == [(at(1), at(20))]
    assert of_asset(platform) == [(at(1), None)]
    state = platform.states.load_many([("too-hot", "oven-2")]).state(0)
    assert "'temperature' is a category; a limit needs a number" in str(state.unknown_reason)


def test_an_operator_closes_what_is_unknown_or_not_evaluated_and_it_is_raised_again(platform):
    with pytest.raises(
        UserError,
        match=r"its readings still show it, .* Zone 2 temperature is 230 °C, above 215 °C",
    ):
        close(platform, "oven-2", 11, "it is cold")
    run(platform, 200)  # the sensor is silent for longer than stale_after
    assert of_asset(platform) == [(at(1), None)]
    close(platform, "oven-2", 200, "the sensor is removed")
    assert of_asset(platform) == [(at(1), at(200))]
    feed(platform, 205, 230.0, count=2)
    run(platform, 210)
    assert of_asset(platform) == [(at(1), at(200)), (at(205), None)]
    close(platform, "oven-1", 300, "no evaluation for an hour and a half")
