"""Kind `threshold`: a variable leaves its limits."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Literal, cast

from alerting.definitions.assets import Asset
from alerting.definitions.faults import UserError, shown
from alerting.definitions.model import Condition
from alerting.definitions.wording.language import translatable
from alerting.detection.conditions import longest_lookback
from alerting.detection.data_gaps import data_gaps
from alerting.detection.evaluation import Evaluation
from alerting.detection.messages.condition_messages import limit_message
from alerting.detection.threshold import lookback
from alerting.detection.threshold_batch import limits_of
from alerting.episodes.episode import Episode
from alerting.episodes.lifecycle import Step
from alerting.kinds.normal.model import stopped
from alerting.kinds.protocol.evaluation import (
    EvaluationSources,
    Raise,
    RaiseEvidence,
    TargetEvaluation,
    VersionInterval,
)
from alerting.kinds.protocol.kind import Charted, Inputs, TrainedKind
from alerting.kinds.protocol.spacing import Times, describe_unfulfillable, lasting_condition
from alerting.kinds.threshold.definition import LearnedThresholdDefinition, ThresholdDefinition
from alerting.kinds.threshold.evaluate import (
    evaluate_combined_interval,
    evaluate_threshold_interval,
    note_revision,
    readings_carried_into,
)
from alerting.kinds.threshold.learned import limits_in_force, read_part, split_at_cutoff
from alerting.kinds.threshold.model import from_files
from alerting.kinds.threshold.moving import moving_levels
from alerting.kinds.threshold.why import explain_instant
from alerting.learning.models.trained import TrainedModel
from alerting.ports import Files, ModelUnavailable
from alerting.readings.history import History, to_millis
from alerting.readings.series import is_text, series_of
from alerting.reporting.figures.episode_chart import AT_RAISE, ChartLevel, condition_levels


class ThresholdKind:
    """A variable leaves its limits: each reading is compared with them."""

    why = staticmethod(explain_instant)
    data_gaps = staticmethod(data_gaps)
    moving_levels = staticmethod(moving_levels)

    def inputs(self, definition: ThresholdDefinition, asset: Asset) -> Inputs:
        combination = definition.combination
        if isinstance(definition, LearnedThresholdDefinition):
            before = max(lookback(one) for one in definition.conditions)
            return Inputs(None, before, max(one.stale_after for one in definition.conditions))
        if combination is not None:
            leaves = list(combination.leaves())
            stored = None if asset.is_computed(leaves[0].variable) else leaves[0].variable
            return Inputs(
                stored, longest_lookback(combination), max(leaf.stale_after for leaf in leaves)
            )
        if asset.is_computed(
            definition.variable
        ):  # it is not stored, so it is read for each target by itself
            return Inputs(None, lookback(definition), definition.stale_after)
        return Inputs(
            definition.variable,
            lookback(definition),
            definition.stale_after,
            limits_of(definition, asset),
        )

    def spacing_variables(self, definition: ThresholdDefinition, asset: Asset) -> Sequence[str]:
        return [one.variable for one in definition.conditions]

    def describe_spacing(self, definition: ThresholdDefinition, times: Times) -> Iterator[str]:
        return describe_unfulfillable(lasting_condition(definition), times)

    def evaluate(
        self,
        definition: ThresholdDefinition,
        sources: EvaluationSources,
        part: VersionInterval,
        before: TargetEvaluation,
    ) -> TargetEvaluation:
        note_revision(before, part)
        _require_numbers(definition, sources.asset)
        try:
            for one in split_at_cutoff(definition, sources, part, before.state.carried):
                before = _evaluate_part(definition, sources, one, before)
            return before
        except ModelUnavailable as unavailable:
            return stopped(before, f"the limits cannot be read: {unavailable}")

    def load(self, files: Files) -> TrainedModel:
        """Return the learned limits of these files."""
        return cast("TrainedModel", from_files(files))

    def explain(
        self,
        definition: ThresholdDefinition,
        asset: Asset,
        step: Step,
        at_raise: Raise,
        history: History | None,
    ) -> RaiseEvidence:
        """Return the content of a new episode: the limit that was left, and the value."""
        reading = at_raise.reading
        if at_raise.content is not None:
            return at_raise.content
        if reading is None:
            return RaiseEvidence(
                Evaluation(step.at, "triggered", step.reason), inputs={definition.variable: None}
            )
        reason, limit = limit_message(definition, asset, reading, step.severity)
        return RaiseEvidence(
            Evaluation(step.at, "triggered", reason, at_raise.value, limit, at_raise.model_version),
            inputs={definition.variable: reading.value},
        )

    def outcome(self, definition: ThresholdDefinition, asset: Asset) -> Literal["onset", "state"]:
        return "onset"

    def chart(self, definition: ThresholdDefinition, asset: Asset, episode: Episode) -> Charted:
        combination = definition.combination
        if combination is None:
            charted = _charted(definition, asset)
            limit = episode.evaluation.threshold
            if (
                not definition.learned
                or limit is None
                or limit in {level.value for level in charted.levels}
            ):
                return charted
            return charted._replace(levels=(*charted.levels, ChartLevel(limit, AT_RAISE)))
        drawn: dict[str, Charted] = {}
        for one in (_charted(leaf, asset) for leaf in combination.leaves()):
            same = drawn.get(one.variable or "")
            drawn[one.variable or ""] = (
                one if same is None else same._replace(levels=(*same.levels, *one.levels))
            )
        first, *others = drawn.values()
        return first._replace(others=tuple(others))


def _require_numbers(definition: ThresholdDefinition, asset: Asset) -> None:
    """Raise UserError if a limit is on a variable that has become a category, which no check of the
    definition could see."""
    combination = definition.combination
    for one in (definition,) if combination is None else combination.leaves():
        if one.equals is None and is_text(asset, one.variable):
            raise UserError(
                translatable(
                    "{name} is a category; a limit needs a number", name=shown(one.variable)
                )
            )


def _evaluate_part(
    definition: ThresholdDefinition,
    sources: EvaluationSources,
    part: VersionInterval,
    before: TargetEvaluation,
) -> TargetEvaluation:
    if to_millis(part.start) >= to_millis(part.end):
        return replace(before, state=replace(before.state, watermark=part.end))
    combination = definition.combination
    if combination is not None:
        carried = readings_carried_into(part, combination, sources, before.state.carried)
        before = replace(before, state=replace(before.state, carried=carried))
    learned = limits_in_force(definition, sources, part, before.state.carried)
    if combination is not None:
        return evaluate_combined_interval(definition, combination, sources, before, part, learned)
    if learned is None:
        series = sources.read(definition, part.start - lookback(definition), part.end)
    else:
        series = series_of(definition, read_part(definition, sources, part))
    return evaluate_threshold_interval(definition, sources.asset, series, before, part, learned)


def _charted(condition: Condition, asset: Asset) -> Charted:
    hold = None if condition.no_data == "ignore" else condition.stale_after
    return Charted(condition.variable, condition_levels(condition, asset), hold)


KIND: TrainedKind[ThresholdDefinition] = ThresholdKind()
