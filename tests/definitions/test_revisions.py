import pytest

from alerting.definitions.revisions import definition_hash, in_force, plan_change
from tests.builders import at, classifier, revision

pytestmark = pytest.mark.fast


def test_a_change_is_planned_field_by_field():
    before = revision(classifier())
    plan = plan_change(classifier(horizon="1h", guidance={"action": "slow down"}), before)
    assert plan.action == "change"
    assert plan.changes == {"horizon": ("30m", "1h"), "guidance.action": (None, "slow down")}


def test_the_same_content_in_another_order_or_with_defaults_written_out_is_unchanged():
    before = revision(classifier())
    assert plan_change(classifier(severity="medium", gap="0s"), before).action == "unchanged"


def test_every_change_of_content_changes_the_hash():
    assert definition_hash(classifier()) != definition_hash(classifier(horizon="31m"))


def test_the_past_is_judged_by_the_revision_in_force_there():
    first = revision(classifier(), at(0))
    second = revision(classifier(horizon="1h"), at(60), before=first)
    assert in_force([first, second], at(-1)) is None
    assert in_force([first, second], at(59)) == first
    assert in_force([first, second], at(60)) == second


def test_fields_that_were_added_later_do_not_change_the_hash_of_a_definition_without_them():
    assert "costs" not in classifier().model_dump(mode="json")
    assert "variables" not in classifier().recommendation.model_dump(mode="json")
    assert definition_hash(classifier(costs={"miss": 900})) != definition_hash(classifier())
