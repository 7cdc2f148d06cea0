"""The dataset of a definition, from which a training learns, with its quality report."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import numpy as np

from alerting.definitions.alert_definition import (
    ModelDefinition,
    Revision,
    TrainedDefinition,
    matching_assets,
)
from alerting.definitions.faults import TooFewResults, UserError, shown
from alerting.definitions.revisions import question_hash
from alerting.definitions.wording.language import joined, translatable
from alerting.detection.suppressed_intervals import SuppressedInterval
from alerting.kinds.registry import trained_kinds
from alerting.learning.data.dataset import Dataset, build_dataset, derive_at, describe_results_at
from alerting.learning.data.dataset_rows import PARTS
from alerting.learning.data.row_labels import FeedbackLabel, collect_feedback_labels, collect_misses
from alerting.learning.features.plan import FeaturePlan
from alerting.learning.features.planning import DerivedFeatures
from alerting.learning.selection.choice import LEAST_PROBLEMS
from alerting.ports import Episodes, LabelPorts, TrainingPorts, WantedHistory
from alerting.readings.history import BoolArray, History, from_millis
from alerting.usecases.definitions.revisions_and_evaluation_plan import sync
from alerting.usecases.definitions.versions import require_revision, stored_features
from alerting.usecases.episodes.mutes_and_suppression import suppressed_intervals_by_asset
from alerting.usecases.time_labels import labelled_intervals, labels_read, without_bad_values


def fix_features(
    platform: TrainingPorts, definition: TrainedDefinition, as_of: datetime
) -> DerivedFeatures | None:
    """Return the stored stride and windows, or derive and store them from the data at as_of; None
    if the definition states its own."""
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
    """Describe the derived stride and windows in a sentence, or the values that a training would
    derive now; None if none are derived."""
    if definition.features.stride and definition.features.windows:
        return None
    if (stored := stored_features(platform.derived_features, definition)) is not None:
        return stored.message
    try:
        histories = histories_at(platform, definition, as_of)
        derived = derive_at(definition, histories, as_of)
        results = describe_results_at(definition, histories, as_of)
    except UserError as missing:
        return joined("", "Stride and windows cannot be derived yet: ", missing.message)
    if results:
        results = _describe_serving(platform, definition, histories, as_of, results)
    if derived is None:
        return results or None
    fixed = joined("", "Not trained yet; a training now would fix: ", derived.message)
    return joined(" ", fixed, results)


def _describe_serving(
    platform: TrainingPorts,
    definition: TrainedDefinition,
    histories: Sequence[History],
    as_of: datetime,
    results: str,
) -> str:
    """Return the description of the results of a value that is estimated between them, with what a
    training would put into service: values, and whether an alarm; or why it would be refused."""
    try:
        dataset = build_dataset(
            definition, 0, histories, as_of, memory_bytes=platform.limits.memory_bytes
        )
    except TooFewResults:
        return results
    except UserError as refusal:
        return joined("", f"{results} A training now would be refused: ", refusal.message)
    serving = "its values would serve without an alarm if they are better than the last result"
    if not definition.has_alarm:
        return f"{results} {serving[0].upper()}{serving[1:]}."
    problems = dataset.problems_in_validation
    if problems >= LEAST_PROBLEMS:
        serving = f"it would be raised if its warnings are better than chance, else {serving}"
    text = (
        f"{results} An alarm needs {LEAST_PROBLEMS} problems in the validation period, which has "
        f"{problems}: {serving}."
    )
    if dataset.predicts == "state":
        return text
    return (
        f"{text} Nothing is estimated while the last result is outside of the limit; give "
        f"{definition.problem.variable} its delay, or write problem.predict: state."
    )


def histories_at(
    platform: LabelPorts, definition: TrainedDefinition, as_of: datetime
) -> list[History]:
    """Return the histories of all assets of a definition from which it may learn at as_of, without
    values that were labelled bad by then."""
    end = min(as_of, definition.periods.last or as_of)
    readings = without_bad_values(platform, as_of).readings
    return [
        readings.load(WantedHistory(a, None, end))
        for a in matching_assets(definition, platform.assets.all())
    ]


_NONE = timedelta(0)


def dataset_of(platform: TrainingPorts, name: str, as_of: datetime) -> Dataset:
    """Return the dataset of a training of this definition at as_of. Raises UserError if training on
    it is not possible."""
    sync(platform, platform.clock.now())
    revision = require_revision(platform.definitions, name)
    return dataset_at(platform, revision, require_trained(revision), as_of)


def dataset_at(
    platform: TrainingPorts,
    revision: Revision,
    definition: TrainedDefinition,
    as_of: datetime,
    plan: FeaturePlan | None = None,
) -> Dataset:
    """Return the dataset of one revision at as_of, with the feedback given by then, and stride and
    windows of its question.

    `plan`: of a model that is fitted again.
    """
    feedback = feedback_labels_at(platform, definition, as_of)
    histories = histories_at(platform, definition, as_of)
    limits = platform.limits
    derived = stored_features(platform.derived_features, definition)
    if derived is None and labels_read(
        platform, definition, [history.asset for history in histories], as_of
    ):
        derived = derive_at(definition, histories, as_of)  # rows are left out by their windows
    stated = definition if derived is None else derived.fill(definition)
    return build_dataset(
        definition,
        revision.number,
        histories,
        as_of,
        feedback,
        suppressed_at(platform, stated, as_of),
        limits.max_rows,
        limits.memory_bytes,
        plan,
        derived,
    )


def suppressed_at(
    platform: TrainingPorts, definition: TrainedDefinition, as_of: datetime
) -> dict[str, list[SuppressedInterval]]:
    """Return, by asset, the intervals whose rows are left out, in the point-in-time view of as_of:
    suppressed intervals, and intervals in which windows or labels touch a time not to be learned
    from. `definition`: with its windows."""
    end = min(as_of, definition.periods.last or as_of)
    assets = matching_assets(definition, platform.assets.all())
    suppressed = suppressed_intervals_by_asset(platform, definition, assets, None, end)
    window = definition.window
    ahead = window.after + window.length + definition.problem.hold
    lengths = definition.features.windows or ()
    behind = {asset.name: max(lengths, default=_NONE) + definition.delay(asset) for asset in assets}
    marked = labelled_intervals(platform, definition, assets, as_of, ahead, behind)
    return {
        name: [*suppressed.get(name, ()), *marked.get(name, ())]
        for name in suppressed.keys() | marked.keys()
    }


def feedback_labels_at(
    platform: TrainingPorts, definition: TrainedDefinition, as_of: datetime
) -> list[FeedbackLabel]:
    """Return the feedback labels by as_of of this definition's episodes that warned of the same
    problem.

    Then follow misses that were reported by as_of.
    """
    same = {
        revision.number
        for revision in platform.definitions.revisions(definition.name)
        if revision.definition.problem == definition.problem
    }
    episodes = [
        e
        for e in platform.episodes.find(definition.name)
        if e.revision in same and e.maintenance is None
    ]
    misses = platform.misses.for_interval(definition=definition.name)
    return [
        *collect_feedback_labels(episodes, definition, as_of),
        *collect_misses(misses, definition, as_of),
    ]


def acted_windows(
    episodes: Episodes, definition: TrainedDefinition, as_of: datetime
) -> list[tuple[str, datetime, datetime]]:
    """Return asset, start and end of the outcome windows of episodes with feedback `acted` by
    as_of."""
    return [
        (a.asset, from_millis(a.raised), from_millis(a.ends))
        for a in collect_feedback_labels(episodes.find(definition.name), definition, as_of)
        if a.acted is not None
    ]


def require_trained(revision: Revision) -> TrainedDefinition:
    """Return the definition of a revision that learns from problems. Raises UserError for another
    kind, and for a retired one."""
    definition = require_model(revision)
    if not isinstance(definition, TrainedDefinition):
        raise UserError(
            f"{revision.name!r} is a {definition.kind} definition; it learns from readings alone, "
            "without a dataset"
        )
    return definition


def require_model(revision: Revision) -> ModelDefinition:
    """Return the definition of a revision that can be trained. Raises UserError for another kind,
    and for a retired one."""
    if not isinstance(revision.definition, ModelDefinition):
        raise UserError(
            f"{revision.name!r} is a {revision.definition.kind} definition; trained are "
            f"{', '.join(trained_kinds())}"
        )
    if revision.definition.state == "retired":
        raise UserError(
            translatable(
                "{definition} is retired; apply it with state: active to train it",
                definition=shown(revision.name),
            )
        )
    return revision.definition


def profile(dataset: Dataset) -> dict[str, Any]:
    """Return the contents of a dataset as plain values: rows, positives and assets by part, dropped
    rows, feedback, oddities."""
    return {
        "definition": dataset.definition,
        "revision": dataset.revision,
        "as_of": dataset.as_of,
        "hash": dataset.hash,
        "question": dataset.predicts,
        "columns": len(dataset.plan.columns),
        "problems": len(dataset.problems),
        "parts": [
            _part(dataset, part)
            for part in (*PARTS, "purged", "excluded")
            if _labelled_rows(dataset, part).any()
        ],
        "dropped": dataset.counts,
        "answers": dataset.answers,
        "answered": dataset.answered,
        "findings": list(dataset.findings),
    }


def _labelled_rows(dataset: Dataset, part: str) -> BoolArray:
    return np.asarray((dataset.fit | dataset.measured) & (dataset.part == part))


def _part(dataset: Dataset, part: str) -> dict[str, Any]:
    rows = _labelled_rows(dataset, part)
    at = dataset.at[rows]
    return {
        "part": part,
        "rows": int(rows.sum()),
        "positive": int(dataset.label[rows].sum()),
        "assets": len(set(dataset.asset[rows].tolist())),
        "from": from_millis(int(at.min())),
        "to": from_millis(int(at.max())),
    }
