"""Derive stride and windows from the data, and fix them at the first training of a question for all
that follow."""

from datetime import datetime

from alerting.definitions.faults import UserError
from alerting.definitions.matching import matching_assets
from alerting.definitions.model import TrainedDefinition
from alerting.definitions.revisions import question_hash
from alerting.learning.data.dataset import derive_at
from alerting.learning.features.derive import DerivedFeatures
from alerting.ports import LabelPorts, TrainingPorts
from alerting.readings.history import History
from alerting.usecases.definitions.derived import stored_features
from alerting.usecases.labels.overlay import without_bad_values


def fix_features(
    platform: TrainingPorts, definition: TrainedDefinition, as_of: datetime
) -> DerivedFeatures | None:
    """Return the stored values, or derive and store them from the data at as_of; None where the
    definition states its own."""
    if (stored := stored_features(platform.derived_features, definition)) is not None:
        return stored
    derived = derive_at(definition, histories_at(platform, definition, as_of), as_of)
    return (
        None
        if derived is None
        else platform.derived_features.fix(definition.name, question_hash(definition), derived)
    )


def describe_features(
    platform: TrainingPorts, definition: TrainedDefinition, as_of: datetime
) -> str | None:
    """Describe the derived values in a sentence, or those that a training now would derive; None
    where there are none."""
    if definition.features.stride and definition.features.windows:
        return None
    if (stored := stored_features(platform.derived_features, definition)) is not None:
        return stored.message
    try:
        derived = derive_at(definition, histories_at(platform, definition, as_of), as_of)
    except UserError as missing:
        return f"Stride and windows cannot be derived yet: {missing}"
    return (
        None if derived is None else f"Not trained yet; a training now would fix: {derived.message}"
    )


def histories_at(
    platform: LabelPorts, definition: TrainedDefinition, as_of: datetime
) -> list[History]:
    """Return the histories of all assets of a definition from which it may learn at as_of, without
    values that were labelled bad by then."""
    end = min(as_of, definition.periods.last or as_of)
    readings = without_bad_values(platform, as_of).readings
    return [readings.load(a, None, end) for a in matching_assets(definition, platform.assets.all())]
