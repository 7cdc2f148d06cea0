"""A kind that detects, with a problem that a laboratory measures once a shift: its horizon is at
least that long."""

from datetime import timedelta

import numpy as np

from alerting.definitions.asset_documents import Asset, Variable
from alerting.definitions.revisions import (
    definition_document,
    definition_hash,
    flat_changes,
    next_revision,
    question_hash,
)
from alerting.kinds.registry import parse_definition, parse_revision
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


def stored(one):
    """Return a revision as the database gives it back."""
    revision = next_revision(one, None, "ann", at(0), "why")
    return parse_revision(revision.model_dump(mode="json", by_alias=True))


def test_the_horizon_by_default_follows_the_declared_sampling_and_a_written_one_stays():
    plain = definition()
    written = definition(horizon="30m")
    longer = definition(horizon="1h")
    found = [
        plain.for_assets([mixer()]),
        plain.for_assets([mixer(None)]),
        plain.for_assets([mixer(timedelta(minutes=1))]),
        written.for_assets([mixer()]),
        longer.for_assets([mixer()]),
        # a stored revision has every field, also a horizon that was left out
        stored(plain).definition.for_assets([mixer()]),
    ]
    assert [one.horizon / timedelta(minutes=1) for one in found] == [SHIFT, 30, 30, 30, 60, SHIFT]
    warned = [" ".join(one.horizon_warnings([mixer()])) for one in (plain, written, longer)]
    assert warned[0] == ""
    assert "horizon 30m is shorter" in warned[1]
    assert "horizon 1h is shorter than the sampling of the problem's variable, 8h" in warned[2]


def test_whether_the_horizon_is_written_stays_in_documents_revisions_and_changes_no_hash():
    plain = definition()
    written = definition(horizon="30m")
    assert definition_hash(plain) == "bb6e888d8998ef8c"  # as before a written one was told from it
    assert question_hash(written) == question_hash(plain)
    assert definition_document(written)["horizon"] == "30m"
    assert "horizon" not in definition_document(plain)
    assert parse_definition(definition_document(written)) == written != plain
    document = next_revision(plain, None, "ann", at(0), "why").model_dump(
        mode="json", by_alias=True
    )
    assert document["definition"]["horizon"] == "30m"
    for one in (plain, written, definition(horizon="1h")):
        assert stored(one).definition == one
    changes = flat_changes(definition_document(plain), definition_document(written))
    assert changes == {"horizon": (None, "30m")}
