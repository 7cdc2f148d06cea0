"""Kind `threshold`: a variable leaves its limits."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Literal, cast

import numpy as np

from alerting.definitions.alert_definition import Condition, Severity
from alerting.definitions.asset_documents import Asset
from alerting.definitions.faults import UserError, shown
from alerting.definitions.fields.condition_fields import Combination, Conditions
from alerting.definitions.threshold_limits import level_delays, severities
from alerting.definitions.wording.language import in_english, translatable
from alerting.detection.carried_reading import Carried
from alerting.detection.combined_conditions import (
    all_series,
    combine_carried,
    conditions_that_count,
    evaluate_combination,
    longest_lookback,
    search_from,
    severity_of_missing,
    under_another_revision,
    unevaluated_intervals,
)
from alerting.detection.evaluation_results_and_texts import (
    Evaluation,
    ReadingInForce,
    combined_message,
    fact_message,
    limit_message,
    unknown_message,
)
from alerting.detection.learned_limits import LearnedLimits, learned_sides_at
from alerting.detection.threshold import evaluate_series, lookback
from alerting.detection.threshold_batch import limits_of
from alerting.episodes.episode import Episode
from alerting.episodes.lifecycle import Step, advance
from alerting.kinds.protocol import (
    NO_LEARNED_LIMITS,
    Charted,
    EvaluationSources,
    Inputs,
    Raise,
    RaiseEvidence,
    TargetEvaluation,
    TrainedKind,
    VersionInterval,
    state_for,
)
from alerting.kinds.reading_spacing import Times, describe_unfulfillable, lasting_condition
from alerting.kinds.threshold.definition import LearnedThresholdDefinition, ThresholdDefinition
from alerting.kinds.threshold.training import LearnedLimitsModel, from_files
from alerting.kinds.threshold.why import explain_instant
from alerting.learning.models.trained import TrainedModel
from alerting.ports import Files, ModelUnavailable, WantedHistory
from alerting.readings.history import History, Millis, to_millis, with_older
from alerting.readings.variable_series import Numbers, Series, is_text, series_of
from alerting.reporting.variable_charts import (
    AT_RAISE,
    ChartLevel,
    MovingLevel,
    condition_levels,
)


def limits_in_force(
    definition: ThresholdDefinition,
    sources: EvaluationSources,
    part: VersionInterval,
    carried: Carried | None,
) -> LearnedLimits | None:
    """Return the learned limits for the readings of a part; None for a definition without learned
    limits.

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
        missing = in_english(
            "the learned limits of version {version} come from readings up to {until}",
            version=part.model_version,
            until=model.training_cutoff,
        )
        return replace(none, missing=missing, cutoff=model.training_cutoff)
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
    """Return the part, cut at the training cutoff of its learned limits. Raises ModelUnavailable if
    the estimate cannot be read."""
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
    """Return all readings that an evaluation of a part needs, one row per instant."""
    return sources.shared.load(
        sources.asset, part.start, part.end, definition.variables_evaluated(sources.asset)
    )


_QUARTER_MS = (
    900_000  # every zone is a multiple of it away from UTC, so an hour of the day begins with one
)
# A variable, a severity and a side, and the number of the line among those that have these in
# common.
_Line = tuple[str, Severity, str, int]


def moving_levels(
    definition: ThresholdDefinition, sources: EvaluationSources, parts: Sequence[VersionInterval]
) -> dict[str, tuple[MovingLevel, ...]]:
    """Return, by variable, the learned limits of a definition in consecutive parts.

    Each part has the limits of its revision and version. Raises ModelUnavailable if an estimate in
    service cannot be read.
    """
    if not isinstance(definition, LearnedThresholdDefinition) or not parts:
        return {}
    pieces = [_in_part(sources, piece) for part in parts for piece in _pieces(sources, part)]
    several = any(condition.levels is not None for condition in definition.conditions)
    levels: dict[str, tuple[MovingLevel, ...]] = {}
    for line in dict.fromkeys(line for _, lines in pieces for line in lines):
        variable, severity, *_ = line
        steps = [
            lines.get(line, (np.array([start]), np.array([np.nan]))) for start, lines in pieces
        ]
        at = np.concatenate([instants for instants, _ in steps])
        values = np.concatenate([limits for _, limits in steps])
        same = (values[1:] == values[:-1]) | (np.isnan(values[1:]) & np.isnan(values[:-1]))
        changes = np.append(True, ~same)
        label = severity if several else translatable("limit")
        drawn = MovingLevel(at[changes], values[changes], to_millis(parts[-1].end), label)
        levels[variable] = (*levels.get(variable, ()), drawn)
    return levels


def _pieces(sources: EvaluationSources, part: VersionInterval) -> list[VersionInterval]:
    definition = part.revision.definition if part.revision else None
    if not isinstance(definition, LearnedThresholdDefinition) or definition.state != "active":
        return [part]
    return split_at_cutoff(definition, sources, part, None)


def _in_part(
    sources: EvaluationSources, part: VersionInterval
) -> tuple[int, dict[_Line, tuple[Millis, Numbers]]]:
    """Return the first instant of a part and its limits; no limits before learned ones serve."""
    start = to_millis(part.start) + 1
    lines = dict[_Line, tuple[Millis, Numbers]]()
    definition = part.revision.definition if part.revision else None
    if isinstance(definition, LearnedThresholdDefinition) and definition.state == "active":
        learned = limits_in_force(definition, sources, part, None)
        for condition in definition.conditions:
            for severity, side, steps in _of_condition(
                condition, learned, start, to_millis(part.end)
            ):
                same = (condition.variable, severity, side)
                lines[*same, sum(line[:3] == same for line in lines)] = steps
    return start, lines


def _of_condition(
    condition: Condition, learned: LearnedLimits | None, start: int, end: int
) -> Iterator[tuple[Severity, str, tuple[Millis, Numbers]]]:
    if learned is None:
        return
    instants = [
        np.array([start]),
        np.arange(start // _QUARTER_MS + 1, end // _QUARTER_MS + 1) * _QUARTER_MS,
    ]
    for category in learned.categories.values():
        instants += [category.at, category.at + category.longest + 1]
    ts = np.unique(np.concatenate(instants).astype(np.int64))
    ts = ts[(ts >= start) & (ts <= end)]
    yield from (
        (limit.severity, limit.side, (ts, limit.moving.values))
        for limit in learned_sides_at(condition, learned, ts)
    )


def evaluate_threshold_interval(
    definition: Condition,
    asset: Asset,
    series: Series,
    result: TargetEvaluation,
    part: VersionInterval,
    learned: LearnedLimits | None = None,
) -> TargetEvaluation:
    """Evaluate one part. `series`: a value for each instant (ms), which begins
    `lookback(definition, asset)` before it."""
    carried = result.state.carried
    if carried is not None and part.is_new:
        [carried] = under_another_revision([definition], carried)
    evaluated = evaluate_series(
        definition,
        asset,
        series.ts,
        series.values,
        carried,
        part.start,
        part.end,
        series.bad,
        learned,
        series.events,
    )
    after, steps = advance(
        state_for(result, part),
        evaluated.intervals,
        definition.hold,
        definition.clear_for,
        severities(definition),
        level_delays(definition),
    )
    for step in steps:
        reading = evaluated.reading_at(step.at)
        in_force = reading or ReadingInForce(step.at, None, None, "no_limit")
        reason, limit = limit_message(
            definition, asset, in_force, step.severity, lasted=step.kind != "renewed"
        )
        if step.kind == "raised":
            version = part.model_version
            content = RaiseEvidence(
                Evaluation(step.at, "triggered", step.reason), inputs={definition.variable: None}
            )
            if reading is not None:
                value = reading.evaluated if definition.count_within else reading.value
                content = RaiseEvidence(
                    Evaluation(step.at, "triggered", reason, reading.evaluated, limit, version),
                    inputs={definition.variable or definition.event or "": value},
                )
            result.raises[step.at] = Raise(
                content.evaluation.value, content=content, model_version=version
            )
        result.add_step(step, part, reason, None if in_force.fact else in_force.evaluated, limit)
    last = evaluated.intervals[-1]
    return replace(
        result,
        state=replace(after, watermark=part.end, carried=evaluated.carried),
        unknown=(
            fact_message(definition, asset, last.fact, evaluated.reading_at(last.start))
            if last.fact and last.status == "unknown"
            else None
        ),
        learned=learned,
    )


def evaluate_combined_interval(
    definition: Conditions,
    combination: Combination,
    sources: EvaluationSources,
    result: TargetEvaluation,
    part: VersionInterval,
    learned: LearnedLimits | None = None,
) -> TargetEvaluation:
    """Evaluate one part under conditions of several variables, from the carried readings."""
    asset = sources.asset
    before = result.state
    history = sources.shared.load(
        asset,
        part.start - longest_lookback(combination, asset),
        part.end,
        {leaf.variable for leaf in combination.leaves()},
    )
    series = all_series(combination, history)
    severity = severity_of_missing(definition)
    evaluated = evaluate_combination(
        combination, asset, series, before.carried, part.start, part.end, severity, learned
    )
    after, steps = advance(
        state_for(result, part),
        evaluated.intervals,
        definition.hold,
        definition.clear_for,
        severities(definition),
    )
    for step in steps:
        conditions = evaluated.conditions_at(step.at)
        reason = combined_message(
            definition,
            asset,
            conditions_that_count(combination, conditions),
            evaluated.is_missing(step.at),
            lasted=step.kind != "renewed",
        )
        result.add_step(step, part, reason)
        if step.kind == "raised":
            inputs = {
                condition.condition.variable: None
                if condition.reading is None
                else condition.reading.value
                for condition in conditions
            }
            content = RaiseEvidence(Evaluation(step.at, "triggered", reason), inputs=inputs)
            result.raises[step.at] = Raise(None, content=content, model_version=part.model_version)
    last = evaluated.intervals[-1]
    return replace(
        result,
        state=replace(after, watermark=part.end, carried=evaluated.carried),
        unknown=(
            unknown_message(asset, evaluated.conditions_at(last.start))
            if last.status == "unknown"
            else None
        ),
        learned=learned,
    )


def readings_carried_into(
    part: VersionInterval,
    combination: Combination,
    sources: EvaluationSources,
    carried: Carried | None,
) -> Carried:
    """Return the last reading of each condition before a part: the carried ones, or for the first
    part the last known values."""
    if carried is not None and carried.parts and not part.is_new:
        return carried
    leaves = list(combination.leaves())
    earlier = [None] * len(leaves) if carried is None else under_another_revision(leaves, carried)
    return combine_carried(
        (_last_value(*pair, sources, part.start) for pair in zip(leaves, earlier, strict=True)),
        part.start,
    )


def _last_value(
    condition: Condition, carried: Carried | None, sources: EvaluationSources, at: datetime
) -> Carried | None:
    """Return the carried reading if it has a value, is bad or ended, else the last recent reading
    before `at`."""
    if carried is not None and (carried.value is not None or carried.bad or carried.ended):
        return carried
    asset = sources.asset
    name = condition.variable
    newest = sources.shared.newest_values(asset, {name: search_from(condition, at)}, at)
    if newest.empty:
        return carried
    before = newest.index[-1].to_pydatetime() - timedelta(milliseconds=1)
    history = sources.platform.readings.load(
        WantedHistory(asset, before - lookback(condition, asset), at, [name])
    )
    series = series_of(condition, history)
    return evaluate_series(
        condition, asset, series.ts, series.values, None, before, at, series.bad
    ).carried


def note_revision(result: TargetEvaluation, part: VersionInterval) -> None:
    """Record on an open episode that a new revision evaluates it from here on."""
    raised = result.state.raised_at
    if raised is not None and part.revision is not None and part.is_new:
        reason = translatable(
            "revision {number} evaluates it from here on ({reason})",
            number=str(part.revision.number),
            reason=part.revision.reason,
        )
        result.steps.append((Step("revised", part.start, raised, reason), part))


class ThresholdKind:
    """A variable leaves its limits: each reading is compared with them."""

    why = staticmethod(explain_instant)
    unevaluated_intervals = staticmethod(unevaluated_intervals)
    moving_levels = staticmethod(moving_levels)

    def inputs(self, definition: ThresholdDefinition, asset: Asset) -> Inputs:
        combination = definition.combination
        if isinstance(definition, LearnedThresholdDefinition):
            before = max(lookback(condition, asset) for condition in definition.conditions)
            return Inputs(
                None, before, max(condition.stale_after for condition in definition.conditions)
            )
        if combination is not None:
            leaves = list(combination.leaves())
            return Inputs(
                None if asset.is_computed(leaves[0].variable) else leaves[0].variable,
                longest_lookback(combination, asset),
                max(leaf.stale_after for leaf in leaves),
            )
        # what is not stored is read for each target by itself
        if asset.is_computed(definition.variable) or definition.count_within is not None:
            return Inputs(None, lookback(definition, asset), definition.stale_after)
        return Inputs(
            definition.variable,
            lookback(definition, asset),
            definition.stale_after,
            limits_of(definition, asset),
        )

    def spacing_variables(self, definition: ThresholdDefinition, asset: Asset) -> Sequence[str]:
        return [*definition.variables_evaluated(asset)]

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
            for piece in split_at_cutoff(definition, sources, part, before.state.carried):
                before = _evaluate_part(definition, sources, piece, before)
            return before
        except ModelUnavailable as unavailable:
            return before.stop(f"the limits cannot be read: {unavailable}")

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
        """Return the content of a new episode, which its evaluation knew."""
        return at_raise.content or RaiseEvidence(Evaluation(step.at, "triggered", step.reason))

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
        for drawing in (_charted(leaf, asset) for leaf in combination.leaves()):
            same = drawn.get(drawing.variable or "")
            drawn[drawing.variable or ""] = (
                drawing if same is None else same._replace(levels=(*same.levels, *drawing.levels))
            )
        first, *others = drawn.values()
        return first._replace(others=tuple(others))


def _require_numbers(definition: ThresholdDefinition, asset: Asset) -> None:
    """Raise UserError if a numeric limit is on a variable that has become a category since the
    definition was checked."""
    combination = definition.combination
    for condition in (definition,) if combination is None else combination.leaves():
        if (
            condition.equals is None
            and condition.count_within is None
            and is_text(asset, condition.variable)
        ):
            raise UserError(
                translatable(
                    "{name} is a category; a limit needs a number", name=shown(condition.variable)
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
        start = part.start - lookback(definition, sources.asset)
        series = (
            sources.read(definition, start, part.end)
            if definition.count_within is None
            else _counted_series(definition, sources, start, part.end)
        )
    else:
        series = series_of(definition, read_part(definition, sources, part))
    return evaluate_threshold_interval(definition, sources.asset, series, before, part, learned)


def _counted_series(
    definition: ThresholdDefinition, sources: EvaluationSources, start: datetime, end: datetime
) -> Series:
    """Return the readings and events of (start, end], and the value in force before, if it counts
    until the next one."""
    asset = sources.asset
    history = sources.shared.load(asset, start, end, definition.variables_evaluated(asset))
    if definition.no_data == "ignore" and definition.variable:
        since = {definition.variable: search_from(definition, start)}
        history = with_older(history, sources.shared.newest_values(asset, since, start))
    return series_of(definition, history)


def _charted(condition: Condition, asset: Asset) -> Charted:
    hold = None if condition.no_data == "ignore" else condition.stale_after
    return Charted(condition.variable or None, condition_levels(condition, asset), hold)


KIND: TrainedKind[ThresholdDefinition] = ThresholdKind()
