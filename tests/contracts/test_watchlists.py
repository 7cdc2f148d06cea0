"""Port `Watchlists`."""

from alerting.detection.throughout import limits_of
from alerting.pipelines.definitions import apply
from alerting.pipelines.evaluate import evaluate
from alerting.pipelines.watching import current_watchlist
from alerting.pipelines.watchlist import Watch, Watchlist
from alerting.stores import watchlists
from tests.builders import at, oven, threshold, too_hot
from tests.pretended import HandClock, platform_on

LIST = Watchlist(
    ("moist", "hot", "fast", "late"),
    (
        Watch("moist", "oven-1", 5, 60_000),
        Watch("hot", "oven-1", 6, 60_000, "temperature", limits_of(threshold(), oven()), ("medium",)),
        Watch("fast", "oven-2", 7, 300_000, "temperature", None, ("high", "critical"), 900_000),
        Watch("late", "oven-2", 8, 60_000, revision=3, settles=True, also_reads=("moisture", "speed"), events=("stop", "jam *")),
    ),
)


def test_a_list_comes_back_equal_for_just_what_it_was_made_of(stores, monkeypatch):
    monkeypatch.setattr(watchlists, "_PART", 2)
    stores.watchlists.put("a", LIST)
    assert stores.watchlists.get("a") == LIST
    assert stores.watchlists.get("b") is None
    stores.watchlists.put("b", Watchlist(("hot",), LIST.watches[1:2]))
    assert stores.watchlists.get("a") is None
    assert stores.watchlists.get("b") == Watchlist(("hot",), LIST.watches[1:2])


def test_a_list_of_which_a_part_is_of_somebody_else_is_none(stores, monkeypatch):
    monkeypatch.setattr(watchlists, "_PART", 2)
    stores.watchlists.put("a", LIST)
    stores.database["watchlists"].update_one({"_id": 1}, {"$set": {"written": "b"}})
    assert stores.watchlists.get("a") is None
    assert stores.watchlists.get("b") is None


def plant(stores):
    platform = platform_on(stores, [], HandClock())
    platform.assets.put([oven().model_copy(update={"attributes": {"limit": 215.0}})])
    apply(platform, [too_hot(), too_hot(name="own", above={"attribute": "limit"})], "engineer", at(0), "test")
    return platform


def test_what_was_written_is_told_apart_from_all_that_was_written_before(stores):
    platform = plant(stores)
    seen = {stores.watchlists.written()}
    for change in (
        lambda: apply(platform, [too_hot(above=216)], "engineer", at(1), "test"),
        lambda: apply(platform, [too_hot(above=215)], "engineer", at(2), "back again"),
        lambda: stores.assets.put([oven()]),
        lambda: stores.assets.put([oven().model_copy(update={"name": "oven-2"})]),
        lambda: stores.database["alert_definitions"].update_one({"name": "own"}, {"$set": {"severity": "high"}}),
    ):
        change()
        seen.add(stores.watchlists.written())
    assert len(seen) == 6


def test_evaluation_takes_up_every_change_at_its_next_run(stores):
    platform = plant(stores)
    first = current_watchlist(platform)
    assert stores.watchlists.get(stores.watchlists.written()) == first
    evaluate(platform, None, at(1))
    assert current_watchlist(platform) == first
    stores.assets.put([oven().model_copy(update={"attributes": {"limit": 230.0}})])
    assert [w.limits.above for w in current_watchlist(platform).watches] == [230.0, 215.0]
    stores.database["alert_definitions"].update_one({"name": "too-hot"}, {"$set": {"above": 240.0}})
    platform.clock.instant = at(2)
    evaluate(platform, None, at(3))
    assert [r.number for r in platform.definitions.revisions("too-hot")] == [1, 2]
    assert {w.definition: w.limits.above for w in current_watchlist(platform).watches} == {"own": 230.0, "too-hot": 240.0}
    apply(platform, [too_hot(name="own", state="retired")], "engineer", at(4), "test")
    assert current_watchlist(platform).names == ("too-hot",)
