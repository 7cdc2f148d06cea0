"""Open episodes that no evaluation will end: each ends at once with the reason, and is raised again
when its target is evaluated again and the condition still holds."""

from datetime import timedelta

import pytest

from alerting.definitions.faults import UserError
from alerting.ports import ReadingRow
from alerting.usecases.definitions.sync import apply
from alerting.usecases.evaluation.evaluate import evaluate, plan_round
from alerting.usecases.evaluation.orphans import close_orphans
from alerting.usecases.ingestion.arrivals import add_readings
from alerting.usecases.notification.deliver import deliver_due
from alerting.usecases.operators import operate
from alerting.usecases.upkeep.maintain import maintain
from tests.builders import at, oven, too_hot
from tests.helpers.stores import real  # noqa: F401 - a fixture
from tests.in_memory_platform import HandClock, Mailbox, platform_on

EVE = operate.Actor("eve", "operator")
RULE = too_hot(assets=["oven-1", "oven-2"], stale_after="2h")
MINUTE = timedelta(minutes=1)


@pytest.fixture
def mailbox():
    return Mailbox("mail")


@pytest.fixture
def platform(real, mailbox):  # noqa: F811 - a fixture
    return with_two_open(real, mailbox)


def with_two_open(stores, mailbox):
    made = platform_on(stores, [mailbox], HandClock())
    store_assets(made, "oven-1", "oven-2")
    apply(made, [RULE], "engineer", at(0), "test")
    for asset in ("oven-1", "oven-2"):
        add_readings(made, [ReadingRow(asset, at(1), {"temperature": 230.0})], at(0))
    run(made, 10)
    assert {e.asset: e.condition for e in made.episodes.find()} == {
        "oven-1": "open",
        "oven-2": "open",
    }
    return made


def store_assets(platform, *names):
    platform.assets.store_assets([oven().model_copy(update={"name": name}) for name in names])


def run(platform, minute):
    platform.clock.instant = at(minute)
    evaluate(platform, None, at(minute))
    deliver_due(platform, at(minute))


def of_asset(platform, asset="oven-2"):
    return [(e.raised_at, e.closed_at) for e in platform.episodes.find(asset=asset)[::-1]]


def last_reason(platform, asset="oven-2"):
    return str(platform.episodes.find(asset=asset)[0].transitions[-1].reason)


def delete(platform, collection, **query):
    platform.episodes._episodes.database[collection].delete_many(query)


def change_in_database(platform, **fields):
    definitions = platform.episodes._episodes.database["alert_definitions"]
    definitions.update_one({"name": "too-hot"}, {"$set": fields}, bypass_document_validation=True)


def plan_one_round(platform, minute):
    platform.clock.instant = at(minute)
    plan_round(platform, MINUTE, 1, at(minute))


WAYS = {
    "applied without the asset": lambda p: apply(
        p, [RULE | {"assets": ["oven-1"]}], "ada", at(20), "x"
    ),
    "edited in the database": lambda p: change_in_database(p, assets=["oven-1"]),
    "retired in the database": lambda p: change_in_database(p, state="retired"),
    "a draft in the database": lambda p: change_in_database(p, state="draft"),
    "asset deleted in the database": lambda p: delete(p, "assets", name="oven-2"),
    "asset renamed": lambda p: (
        delete(p, "assets", name="oven-2"),
        store_assets(p, "oven-two"),
    ),
    "definition and revisions deleted in the database": lambda p: (
        delete(p, "alert_definitions", name="too-hot"),
        delete(p, "definition_revisions", name="too-hot"),
    ),
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("ends", ["round", "evaluation", "maintenance"])
def test_an_episode_that_nothing_evaluates_any_more_ends_at_once_with_the_reason(
    platform, mailbox, way, ends
):
    WAYS[way](platform)
    platform.clock.instant = at(20)
    if ends == "round":
        plan_one_round(platform, 20)
    elif ends == "evaluation":
        run(platform, 20)
    else:
        maintain(platform, at(20))
    [(raised_at, closed_at)] = of_asset(platform)
    assert closed_at is not None
    assert raised_at <= closed_at <= at(20)
    assert any(
        words in last_reason(platform)
        for words in (
            "does not name oven-2 any more, since revision 2",
            "the definition is retired since",
            "the definition is a draft since",
            "there is no asset oven-2 any more",
            "there is no definition of this name any more",
        )
    )
    deliver_due(platform, at(21))
    told = [m.subject for m in mailbox.messages if "oven-2" in m.subject]
    assert told == [
        "MEDIUM: too-hot on oven-2",
        *(["Over: too-hot on oven-2"] if "revisions" not in way else []),
    ]


def test_named_again_it_is_raised_again_if_it_still_holds_and_not_for_the_time_between(platform):
    apply(platform, [RULE | {"assets": ["oven-1"]}], "ada", at(20), "x")
    run(platform, 20)
    add_readings(platform, [ReadingRow("oven-2", at(25), {"temperature": 100.0})], at(25))
    add_readings(platform, [ReadingRow("oven-2", at(30), {"temperature": 230.0})], at(30))
    apply(platform, [RULE], "ada", at(40), "x")
    add_readings(platform, [ReadingRow("oven-2", at(42), {"temperature": 230.0})], at(42))
    run(platform, 45)
    assert of_asset(platform) == [(at(1), at(20)), (at(42), None)]


@pytest.mark.parametrize(
    "way",
    [
        {"schedule": {"every": "5m"}},
        {"severity": "high"},
        {"above": 225},
        {"title": "Hot"},
    ],
)
def test_what_is_evaluated_goes_on(platform, way):
    apply(platform, [RULE | way], "ada", at(20), "x")
    run(platform, 21)
    assert close_orphans(platform, at(21)) == 0
    assert [closed for _, closed in of_asset(platform)] == [None]


def test_a_faulty_definition_or_asset_ends_nothing_and_an_operator_can_close_it(platform):
    change_in_database(platform, above="much")
    run(platform, 20)
    assert of_asset(platform) == [(at(1), None)], "its last valid revision stays in force"
    assets = platform.episodes._episodes.database["assets"]
    assets.update_one(
        {"name": "oven-2"}, {"$set": {"variables": "none"}}, bypass_document_validation=True
    )
    run(platform, 30)
    assert of_asset(platform) == [(at(1), None)]
    id = platform.episodes.find(asset="oven-2")[0].id
    operate.close(platform, id, EVE, at(31), "looked at it: cold")
    assert of_asset(platform) == [(at(1), at(31))]


def test_a_variable_that_became_a_category_stops_only_its_own_target(platform):
    assets = platform.episodes._episodes.database["assets"]
    of_type = {"variables.temperature.type": "category"}
    assets.update_one({"name": "oven-2"}, {"$set": of_type})
    add_readings(platform, [ReadingRow("oven-1", at(20), {"temperature": 100.0})], at(20))
    run(platform, 30)
    assert of_asset(platform, "oven-1") == [(at(1), at(20))]
    assert of_asset(platform) == [(at(1), None)]
    state = platform.states.load_many([("too-hot", "oven-2")]).state(0)
    assert "'temperature' is a category; a limit needs a number" in str(state.unknown_reason)
    id = platform.episodes.find(asset="oven-2")[0].id
    operate.close(platform, id, EVE, at(31), "it is a state now")
    assert of_asset(platform) == [(at(1), at(31))]


def test_an_operator_closes_what_is_unknown_or_not_evaluated_and_it_is_raised_again(platform):
    id = platform.episodes.find(asset="oven-2")[0].id
    with pytest.raises(UserError, match="this one ends by itself"):
        operate.close(platform, id, EVE, at(11), "it is cold")
    run(platform, 200)  # the sensor is silent for longer than stale_after
    assert of_asset(platform) == [(at(1), None)]
    operate.close(platform, id, EVE, at(200), "the sensor is removed")
    assert of_asset(platform) == [(at(1), at(200))]
    add_readings(platform, [ReadingRow("oven-2", at(205), {"temperature": 230.0})], at(205))
    run(platform, 210)
    assert of_asset(platform) == [(at(1), at(200)), (at(205), None)]
    other = platform.episodes.find(asset="oven-1")[0].id
    operate.close(platform, other, EVE, at(300), "no evaluation for an hour and a half")
