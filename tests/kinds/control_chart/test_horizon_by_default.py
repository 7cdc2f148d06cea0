"""A kind that detects, with a problem that a laboratory measures once a shift: its horizon is at
least that long."""

from datetime import timedelta

import numpy as np
import pytest

from alerting.definitions.assets import Asset, Variable
from alerting.definitions.revisions import (
    definition_document,
    definition_hash,
    next_revision,
    plan_change,
    question_hash,
)
from alerting.kinds.validation import parse_definition, parse_revision
from alerting.ports import ReadingRow
from alerting.usecases.episodes.outcomes import determine_due_outcomes
from tests.builders import at
from tests.helpers.kind_life import evaluated, platform_with, trained_at

DAY = 24 * 60
SHIFT = 8 * 60
DOCUMENT = {
    "name": "drift",
    "kind": "control_chart",
    "assets": ["mixer"],
    "variable": "torque",
    "problem": {"variable": "purity", "below": 90},
    "schedule": {"retrain": None},
}


def mixer(sampling=timedelta(minutes=SHIFT)):
    return Asset(
        name="mixer", variables={"torque": Variable(), "purity": Variable(sampling=sampling)}
    )


def rows():
    random = np.random.default_rng(0)
    for minute in range(0, 12 * DAY, 10):
        shift = 6.0 if 11 * DAY <= minute < 11 * DAY + 300 else 0.0
        values = {"torque": 50 + float(random.normal()) + shift}
        if minute % SHIFT == 0:
            values["purity"] = 80.0 if minute == 11 * DAY + SHIFT else 95.0
        yield ReadingRow("mixer", at(minute), values)


def definition(**changes):
    return parse_definition(DOCUMENT | changes)


def test_an_alarm_has_an_outcome_though_samples_are_farther_apart_than_half_an_hour():
    platform = platform_with(mixer(), [*rows()], DOCUMENT)
    trained_at(platform, "drift", 10 * DAY)
    evaluated(platform, [*range(10 * DAY, 12 * DAY, 60)])
    [episode] = [e for e in platform.episodes.find("drift") if e.raised_at >= at(11 * DAY)]
    determine_due_outcomes(platform, at(12 * DAY))
    assert episode.valid_until == episode.raised_at + timedelta(minutes=SHIFT)
    assert platform.episodes.get(episode.id).outcome_record.outcome == "hit"


def test_the_horizon_by_default_follows_the_declared_sampling_and_changes_no_hash():
    one = definition()
    assert one.for_assets([mixer()]).horizon == timedelta(minutes=SHIFT)
    assert one.for_assets([mixer(None)]).horizon == timedelta(minutes=30)
    assert one.for_assets([mixer(timedelta(minutes=1))]).horizon == timedelta(minutes=30)
    assert definition(horizon="1h").for_assets([mixer()]).horizon == timedelta(hours=1)
    assert definition_hash(one) == "bb6e888d8998ef8c"  # as before a written one was told from it


def test_a_written_horizon_stays_also_when_it_is_the_usual_one():
    written = definition(horizon="30m")
    assert written.for_assets([mixer()]).horizon == timedelta(minutes=30)
    assert "horizon 30m is shorter" in next(iter(written.horizon_warnings([mixer()])))
    assert definition_document(written)["horizon"] == "30m"
    assert "horizon" not in definition_document(definition())
    assert parse_definition(definition_document(written)) == written != definition()
    assert question_hash(written) == question_hash(definition())
    applied = plan_change(written, stored(definition()))
    assert (applied.action, applied.changes) == ("change", {"horizon": (None, "30m")})


@pytest.mark.parametrize("changes", [{}, {"horizon": "30m"}, {"horizon": "1h"}])
def test_a_stored_revision_keeps_whether_the_horizon_is_written(changes):
    one = definition(**changes)
    assert stored(one).definition == one
    assert plan_change(one, stored(one)).action == "unchanged"


def test_a_revision_of_an_earlier_release_has_its_horizon_left_out():
    document = next_revision(definition(), None, "ann", at(0), "why").model_dump(
        mode="json", by_alias=True
    )
    assert document["definition"]["horizon"] == "30m"
    revision = parse_revision(document)
    assert revision.definition == definition()
    assert revision.definition.for_assets([mixer()]).horizon == timedelta(minutes=SHIFT)


def stored(one):
    """A revision as the database gives it back."""
    revision = next_revision(one, None, "ann", at(0), "why")
    return parse_revision(revision.model_dump(mode="json", by_alias=True))


def test_a_written_horizon_below_the_sampling_is_warned_of():
    assert [*definition().horizon_warnings([mixer()])] == []
    [warning] = definition(horizon="1h").horizon_warnings([mixer()])
    assert "horizon 1h is shorter than the sampling of the problem's variable, 8h" in warning


def test_a_training_says_which_problems_were_found_while_they_lasted():
    platform = platform_with(mixer(), [*rows()], DOCUMENT | {"normal": "12d"})
    decided = trained_at(platform, "drift", 12 * DAY)
    assert "1 of 1 problems found" in decided.reason
    assert "announced" in decided.reason
