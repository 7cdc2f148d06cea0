"""The learned limits in force in an interval, with the categories that choose them."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from typing import cast

from alerting.detection.carried import Carried
from alerting.detection.learned_limits import LearnedLimits
from alerting.kinds.protocol.evaluation import EvaluationSources, VersionInterval
from alerting.kinds.protocol.unknown_reasons import NO_LEARNED_LIMITS
from alerting.kinds.threshold.definition import LearnedThresholdDefinition, ThresholdDefinition
from alerting.kinds.threshold.model import LearnedLimitsModel
from alerting.readings.history import History


def limits_in_force(
    definition: ThresholdDefinition,
    sources: EvaluationSources,
    part: VersionInterval,
    carried: Carried | None,
) -> LearnedLimits | None:
    """Return the limits for a part's readings, None if none.

    Raises ModelUnavailable if the model of the part cannot be read.
    """
    if not isinstance(definition, LearnedThresholdDefinition):
        return None
    none = LearnedLimits({}, definition.schedule.timezone, NO_LEARNED_LIMITS)
    if part.model_version is None:
        return none
    model = cast("LearnedLimitsModel", sources.models.get(definition, part.model_version))
    fitted = model.by_asset.get(sources.asset.name)
    if fitted is None:
        return replace(
            none,
            missing=(
                f"no learned limit for {sources.asset.name}: too few readings in the estimate; "
                "train again"
            ),
        )
    if part.end <= model.training_cutoff:
        learned_from = (
            f"the learned limits of version {part.model_version} come from readings up to"
        )
        return replace(
            none,
            missing=f"{learned_from} {model.training_cutoff.isoformat()}",
            cutoff=model.training_cutoff,
        )
    instants = sorted({part.start, *_taken_at(carried)})
    history = (
        read_part(definition, sources, part) if definition.groups_by else History(sources.asset)
    )
    categories = {
        name: sources.shared.category(sources.asset, name, history, instants)
        for name in definition.groups_by
    }
    few = f"too few readings for a learned limit on {sources.asset.name}"
    return replace(
        none, tables=fitted.tables, categories=categories, cutoff=model.training_cutoff, missing=few
    )


def split_at_cutoff(
    definition: ThresholdDefinition,
    sources: EvaluationSources,
    part: VersionInterval,
    carried: Carried | None,
) -> list[VersionInterval]:
    """Return the part, cut at its limits' cutoff. Raises ModelUnavailable for a lost estimate."""
    learned = limits_in_force(definition, sources, part, carried)
    cut = learned.cutoff if learned is not None else None
    if cut is None or not part.start < cut < part.end:
        return [part]
    return [replace(part, end=cut), replace(part, start=cut, is_new=False)]


def _taken_at(carried: Carried | None) -> Iterator[datetime]:
    if carried is not None:
        yield carried.at
        for part in carried.parts:
            yield from _taken_at(part)


def read_part(
    definition: ThresholdDefinition, sources: EvaluationSources, part: VersionInterval
) -> History:
    """Return all readings that an evaluation of a part needs."""
    return sources.shared.load(
        sources.asset, part.start, part.end, definition.variables_evaluated(sources.asset)
    )
