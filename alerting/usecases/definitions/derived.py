"""Stride and windows derived from the data, as stored at the first training of a question."""

from alerting.definitions.model import TrainedDefinition
from alerting.definitions.revisions import question_hash
from alerting.learning.features.planning import DerivedFeatures
from alerting.ports import DerivedFeatureStore


def stored_features(
    derived_features: DerivedFeatureStore, definition: TrainedDefinition
) -> DerivedFeatures | None:
    """Return what was derived at the first training of the question; None before it, and where
    nothing needs to be derived."""
    if definition.features.stride and definition.features.windows:
        return None
    return derived_features.get(definition.name, question_hash(definition))


def with_stored_features(
    derived_features: DerivedFeatureStore, definition: TrainedDefinition
) -> TrainedDefinition:
    """Return the definition with stride and windows as they were derived, where it states none."""
    stored = stored_features(derived_features, definition)
    return definition if stored is None else stored.fill(definition)
