"""Kind `threshold`: a variable leaves its limits."""

from datetime import datetime
from typing import Literal

from alerting.definitions.assets import Asset
from alerting.detection.data_gaps import data_gaps
from alerting.detection.threshold import lookback
from alerting.detection.threshold_batch import limits_of
from alerting.episodes.episode import Episode
from alerting.episodes.lifecycle import Step
from alerting.kinds.evaluation import Evidence, Raise, Sources, TargetEvaluation, VersionInterval
from alerting.kinds.kind import Charted, Gap, Inputs, Kind, Why, WhyQuestion
from alerting.kinds.threshold.definition import ThresholdDefinition
from alerting.kinds.threshold.evaluate import evaluate_threshold_interval, explain_raise, note_revision
from alerting.kinds.threshold.why import explain_instant
from alerting.readings.history import History
from alerting.reporting.episode_chart import condition_levels


class ThresholdKind:
    """A variable leaves its limits: each reading is compared with them."""

    def inputs(self, definition: ThresholdDefinition, asset: Asset) -> Inputs:
        return Inputs(definition.variable, lookback(definition), definition.stale_after, limits_of(definition, asset))

    def evaluate(
        self, definition: ThresholdDefinition, sources: Sources, part: VersionInterval, before: TargetEvaluation
    ) -> TargetEvaluation:
        series = sources.read(definition, part.start - lookback(definition), part.end)
        note_revision(before, part)
        return evaluate_threshold_interval(definition, sources.asset, series, before, part)

    def explain(
        self, definition: ThresholdDefinition, asset: Asset, step: Step, at_raise: Raise, history: History | None
    ) -> Evidence:
        return explain_raise(definition, asset, step, at_raise)

    def outcome(self, definition: ThresholdDefinition, asset: Asset) -> Literal["onset", "state"]:
        return "onset"

    def why(self, definition: ThresholdDefinition, question: WhyQuestion) -> Why:
        return explain_instant(definition, question)

    def chart(self, definition: ThresholdDefinition, asset: Asset, episode: Episode) -> Charted:
        hold = None if definition.no_data == "ignore" else definition.stale_after
        return Charted(definition.variable, condition_levels(definition, asset), hold)

    def data_gaps(self, definition: ThresholdDefinition, history: History, start: datetime, end: datetime) -> tuple[Gap, ...]:
        return data_gaps(definition, history, start, end)


KIND: Kind[ThresholdDefinition] = ThresholdKind()
