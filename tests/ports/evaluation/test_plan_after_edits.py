"""The plan after edits equals the plan that is made of all definitions."""

import random

import pytest
from bson.datetime_ms import DatetimeMS

from alerting.episodes.evaluation_plan import EvaluationPlan, SourceHash
from alerting.usecases.definitions import revisions_and_evaluation_plan
from alerting.usecases.definitions.revisions_and_evaluation_plan import (
    apply,
    current_plan,
    read_edits,
    source_hash_of,
    sync,
)
from tests.builders import at, oven, too_hot, too_moist
from tests.in_memory_platform import HandClock, platform_on

ASSETS = [oven().model_copy(update={"name": f"oven-{number}"}) for number in (1, 2, 3)]
NAMES = ("first", "second", "third", "fourth", "fifth")


def plant(stores):
    platform = platform_on(stores, [], HandClock())
    platform.assets.store_assets(ASSETS)
    apply(platform, [too_hot(), too_moist()], "engineer", at(0), "test")
    current_plan(platform)
    return platform


def whole_plan(platform):
    """Return the plan of all definitions, as one that finds no stored plan makes it."""
    platform.evaluation_plans.store_plan("another", EvaluationPlan((), ()))
    return current_plan(platform)


def random_edit(draw, platform, minute):
    """Change a definition: its limit, assets, state, kind or text, by the platform or directly."""
    name = draw.choice(NAMES)
    fields = {"assets": draw.choice((["oven-1"], ["oven-*"], ["oven-2", "oven-3"]))}
    fields |= draw.choice(({}, {"state": "retired"}, {"severity": "critical"}))
    build = draw.choice((too_hot, too_hot, too_moist))
    document = build(name=name, **fields, **({"above": 210 + minute} if build is too_hot else {}))
    if draw.random() < 0.5:
        apply(platform, [document], "engineer", at(minute), "edited")
        return
    fault = {"variable": "unknown"} if draw.random() < 0.3 and build is too_hot else {}
    platform.definitions.store_document(document | fault)


def test_after_any_edits_the_plan_is_that_of_all_definitions(stores, monkeypatch):
    draw = random.Random(0)
    platform = plant(stores)
    whole = []
    monkeypatch.setattr(
        revisions_and_evaluation_plan, "sync", lambda *given: whole.append(given) or sync(*given)
    )
    alone = 0
    for minute in range(1, 17):
        platform.clock.instant = at(minute)
        for _ in range(draw.choice((1, 1, 2))):
            random_edit(draw, platform, minute)
        before = len(whole)
        made = current_plan(platform)
        alone += len(whole) == before
        faulty = platform.definitions.faulty()
        assert sync(platform, at(minute)).new == ()
        assert platform.definitions.faulty() == faulty
        assert whole_plan(platform) == made
    assert alone >= 8


def test_a_faulty_edit_is_told_once_and_its_last_valid_revision_stays(stores, monkeypatch):
    platform = plant(stores)
    first = current_plan(platform)
    monkeypatch.setattr(
        revisions_and_evaluation_plan, "sync", lambda *_: pytest.fail("all definitions were read")
    )
    platform.definitions.store_document(too_hot(variable="unknown"))
    assert current_plan(platform) == first
    (alert,) = platform.platform_alerts.open()
    assert (alert.kind, alert.subject) == ("definition faulty", "too-hot")
    assert list(platform.definitions.faulty()) == ["too-hot"]
    platform.definitions.store_document(too_hot())
    assert current_plan(platform) == first
    assert platform.definitions.faulty() == {}
    assert platform.platform_alerts.open() == []


def test_an_edit_of_an_alert_that_suppresses_another_checks_that_again(stores):
    platform = plant(stores)
    suppression = {"while": [{"definition": "new"}]}
    platform.definitions.store_document(too_hot(name="suppressed", suppression=suppression))
    current_plan(platform)
    assert list(platform.definitions.faulty()) == ["suppressed"]
    apply(platform, [too_hot(name="new")], "engineer", at(1), "test")
    assert "suppressed" in current_plan(platform).names
    assert platform.definitions.faulty() == {}
    apply(platform, [too_hot(name="new", state="retired")], "engineer", at(2), "test")
    current_plan(platform)
    assert list(platform.definitions.faulty()) == ["suppressed"]


def test_after_a_deletion_all_definitions_are_read(real):
    platform = plant(real)
    real.database["alert_definitions"].delete_one({"name": "too-hot"})
    assert read_edits(platform, source_hash_of(platform)) is None
    real.database["alert_definitions"].update_one({"name": "too-moist"}, {"$set": {"name": "x"}})
    assert read_edits(platform, source_hash_of(platform)) is None


def test_a_document_that_cannot_be_decoded_stops_no_other(real):
    platform = plant(real)
    documents = real.database["alert_definitions"]
    documents.insert_one(
        too_hot(name="far", title=DatetimeMS(2**60)), bypass_document_validation=True
    )
    platform.definitions.store_document(too_hot(above=231))
    platform.clock.instant = at(1)
    assert current_plan(platform).targets[0].limits.above == 231
    assert list(platform.definitions.faulty()) == ["far"]


def test_revisions_are_counted_where_nothing_else_changed():
    added = {
        "aa/bb/5.3-60000": 2,
        "cc/bb/7.3-60000": 0,
        "cc/bb/5-60000": 2,
        "aa/bb/5.2-60000": None,
        "aa/cc/5.3-60000": None,
        "aa/bb/5.3-0": None,
    }
    now = SourceHash.read("aa/bb/7.3-60000")
    assert {since: now.added_revisions(SourceHash.read(since)) for since in added} == added
    assert SourceHash.read("a text of another form") is None
