"""Lines of definitions: which are wanted, their raises, precision and load."""

from dataclasses import replace
from datetime import timedelta

import pytest

from alerting.episodes.episode import OutcomeRecord
from alerting.usecases.alarm_load.definition_overview import (
    WantedDefinitions,
    definition_line,
    find_definitions,
)
from alerting.usecases.definitions.revisions_and_evaluation_plan import apply
from tests.builders import at, oven, too_hot
from tests.helpers.console.api import episode
from tests.in_memory_platform import in_memory_platform

DAY = 24 * 60
NOW = at(40 * DAY)


@pytest.fixture
def platform():
    made = in_memory_platform()
    made.assets.store_assets([oven()])
    documents = [too_hot(name=name, tags=["heat"]) for name in ("too-hot", "b", "c")]
    draft = too_hot(name="d", state="draft", assets=["oven-*"])
    apply(made, [*documents, draft], "ann", at(0), "x")
    return made


def found(platform, after="", limit=10, **wanted):
    page = find_definitions(platform, NOW, WantedDefinitions(**wanted), after, limit)
    return [line.name for line in page.lines], page.number, page.next


def test_a_page_goes_on_behind_a_name_and_holds_what_is_wanted(platform):
    heated = ["b", "c", "too-hot"]
    assert found(platform, limit=2) == (["b", "c"], 4, "c")
    assert found(platform, "c", limit=2) == (["d", "too-hot"], 4, None)
    assert found(platform, text="HEAT") == (heated, 3, None)
    assert found(platform, text="temp", state="active") == (heated, 3, None)
    assert found(platform, state="draft") == (["d"], 1, None)
    assert found(platform, asset="oven-9") == (["d"], 1, None)
    page = find_definitions(platform, NOW, WantedDefinitions(), "", 1)
    assert (dict(page.states), page.assets) == ({"active": 3, "draft": 1}, ("oven-1",))


def test_of_a_definition_that_just_came_into_service_alarms_are_counted_and_no_rate_is_said(
    platform,
):
    assert definition_line(platform, NOW, "too-hot").young_since is None
    apply(platform, [too_hot(name="new")], "ann", NOW - timedelta(hours=1), "test")
    platform.episodes.insert(episode(40 * DAY - 5, id="one", definition="new"))
    line = definition_line(platform, NOW, "new")
    assert (line.notified, line.young_since) == (1, NOW - timedelta(hours=1))


def test_raises_are_counted_by_day_and_precision_over_them(platform):
    days = {5: "hit", 13: "hit", 37: "hit", 38: "false_alarm", 39: "avoided"}
    for day, outcome in days.items():
        record = OutcomeRecord(outcome, "r", None, None, False, False, 1)
        one = episode(day * DAY + 1, outcome_record=record)
        platform.episodes.insert(replace(one, backfilled=day == 37))
    line = definition_line(platform, NOW, "too-hot")
    assert line.raises == (0,) + (1,) + (0,) * 24 + (1, 1)
    assert line.found_in_past == 1
    assert (line.precision.right, line.precision.counted) == (2, 3)
    assert line.precision.share == pytest.approx(2 / 3)
    assert line.alarms_per_day == pytest.approx(2 / platform.budget.days)
