"""Very many assets, declared by data: what an engineer applies does not wait for those that no
definition names."""

from dataclasses import replace

from alerting.definitions.assets import Asset
from alerting.definitions.upkeep import AlarmBudget
from alerting.usecases.alarm_load.budget_gate import apply_within_budget, forecasts
from alerting.usecases.alarm_load.expected_load import position_by_asset
from alerting.usecases.definitions import sync
from alerting.usecases.definitions.next_steps import next_steps
from alerting.usecases.definitions.targets import current_plan
from tests.builders import at, oven, too_hot
from tests.in_memory_platform import in_memory_platform


class Reads:
    """Port `Assets` that counts how often all assets are read."""

    def __init__(self, stored):
        self.stored = stored
        self.count = 0

    def __getattr__(self, name):
        self.count += name in ("all", "faulty", "read_all")
        return getattr(self.stored, name)


def plant():
    platform = in_memory_platform()
    platform = replace(platform, assets=Reads(platform.assets), budget=AlarmBudget(mode="refuse"))
    junk = [Asset(name=f"junk-{i}") for i in range(10)]
    platform.assets.store_assets(
        [*junk, Asset(name="hall", position="baker"), oven().model_copy(update={"parent": "hall"})]
    )
    platform.clock.instant = at(60)
    return platform


def test_applying_reads_no_asset_that_the_definition_does_not_name():
    platform = plant()
    documents = [too_hot(assets=["oven-*"])]
    now = platform.clock.now()
    plans = sync.plan(platform, documents)
    loads = forecasts(platform, plans, now)
    steps = next_steps(
        platform.assets, platform.definitions, platform.decisions, platform.trainings, plans, now
    )
    apply_within_budget(platform, documents, loads, "engineer", now, "test")
    assert "on oven-1" in steps[0]
    assert "position baker" in loads[0].notes[0]
    assert platform.definitions.newest_revision("too-hot").number == 1
    assert platform.assets.count == 0


def test_a_new_plan_reads_all_assets_once():
    platform = plant()
    sync.apply(platform, [too_hot(assets=["oven-*"])], "engineer", platform.clock.now(), "test")
    assert [target.asset for target in current_plan(platform).targets] == ["oven-1"]
    assert platform.assets.count == 1


def test_positions_of_very_many_assets_are_found_in_one_pass_over_them():
    class Passes(list):
        """A list that counts how often it is gone through."""

        count = 0

        def __iter__(self):
            self.count += 1
            return super().__iter__()

    assets = Passes(
        [
            Asset(name="line", position="bakery"),
            *(Asset(name=f"oven-{i}", parent="line") for i in range(50)),
        ]
    )
    found = position_by_asset(assets)
    assert set(found.values()) == {"bakery"}
    assert assets.count <= 2
