"""Port `DerivedFeatureStore`."""

from datetime import timedelta

from alerting.learning.features.planning import DerivedFeatures

MINUTES = DerivedFeatures(
    timedelta(minutes=1), (timedelta(minutes=15), timedelta(hours=1)), "the finest sampling is 1m"
)
HOURS = DerivedFeatures(timedelta(hours=1), (timedelta(hours=3),), "the finest sampling is 1h")


def test_the_values_of_a_question_are_kept_as_first_stored(stores):
    assert stores.derived_features.get("too-moist", "q1") is None
    assert stores.derived_features.fix("too-moist", "q1", MINUTES) == MINUTES
    assert stores.derived_features.fix("too-moist", "q1", HOURS) == MINUTES
    assert stores.derived_features.get("too-moist", "q1") == MINUTES


def test_each_question_of_each_definition_has_values_of_its_own(stores):
    stores.derived_features.fix("too-moist", "q1", MINUTES)
    assert stores.derived_features.fix("too-moist", "q2", HOURS) == HOURS
    assert stores.derived_features.get("too-dry", "q1") is None
