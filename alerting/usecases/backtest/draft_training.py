"""The training of a draft, to look at before the draft is applied: by the functions that train and
evaluate live, in memory alone. Nothing is registered, promoted, compared with a champion or
notified, and no other training learns of it."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

import numpy as np

from alerting.definitions.alert_definition import Definition, ModelDefinition, TrainedDefinition
from alerting.definitions.wording.language import joined, translatable
from alerting.detection.problem_occurrences import first_lookback
from alerting.kinds.protocol import ScoredRows
from alerting.learning.selection.decision import Proposal
from alerting.ports import BacktestPorts, Progress, SandboxPorts, WantedHistory
from alerting.ports.use_cases import log_context
from alerting.reporting.definition.decision_text import (
    learned_lines,
    result_line,
    unseen_lines,
)
from alerting.reporting.estimates import to_document
from alerting.reporting.variable_charts import ChartLevel, Panel, new_panel
from alerting.usecases.backtest.backtest import in_service
from alerting.usecases.backtest.preview import (
    CachedReadings,
    PreviewedAlarms,
    SeriesCache,
)
from alerting.usecases.backtest.preview_chart import (
    MOST_PANELS,
    FoundAlarms,
    Interval,
    PreviewChart,
    counted_times,
    draw_problems,
    draw_variable,
    find_past_alarms,
    spans_on,
)
from alerting.usecases.backtest.sandbox import Sandbox, Subject
from alerting.usecases.episodes.mutes_and_suppression import suppressed_intervals_by_asset
from alerting.usecases.training.definition_dataset import require_model
from alerting.usecases.training.training_steps import train

LONGEST_TRAINING_S = 1800.0
MOST_TRAINING_READINGS = 100_000_000
"""Instants that the training of a draft may read; it reads each several times."""
EPISODES_SHOWN = 50
_MOMENT = timedelta(milliseconds=1)
_HOLD = timedelta(hours=1)
_UNSEEN = ("test", "unseen")
"""Names of the part of a dataset that a training has not seen."""


@log_context(sandbox="draft")
def train_draft(
    platform: BacktestPorts,
    subject: Subject,
    now: datetime,
    progress: Progress,
    require_time: Callable[[], None],
    most_readings: int = MOST_TRAINING_READINGS,
) -> PreviewedAlarms:
    """Train a draft on all readings up to now as `train` does, and return what the trained model
    would have raised in the time that it had not seen.

    `require_time`: called often, raises to end the training. Raises UserError for a draft without a
    model, where a training is not possible, and beyond `most_readings`.
    """
    definition = require_model(subject.revision)
    readings = CachedReadings(
        platform.readings,
        SeriesCache(lambda: 0.0),
        (now, now),
        now,
        most_readings,
        require_time,
        progress,
    )
    readings.hold_no_more()
    revision = in_service(subject.revision, now)
    sandbox = Sandbox(replace(platform, readings=readings), revision)
    view = replace(sandbox.training(now), misses=platform.misses, latency=timedelta(0))

    def report(step: str, done: int, total: int | None) -> None:
        require_time()
        progress(step, done, total)

    proposal = train(view, definition.name, now, report)
    part = next((proposal.dataset.parts[n] for n in _UNSEEN if n in proposal.dataset.parts), None)
    if part is None:
        return PreviewedAlarms(0, (), {}, now, now, trained=describe_training(proposal))
    report("evaluating the unseen time", 0, None)
    start = part.start - _MOMENT
    end = part.end + _MOMENT
    made = find_past_alarms(view, revision, start, end, require_time, proposal.challenger_version)
    suppressed = suppressed_intervals_by_asset(view, definition, made.targets, start, end)
    return PreviewedAlarms(
        len(made.alarms),
        made.newest_episodes(EPISODES_SHOWN),
        to_document(made.load(suppressed, end, platform.budget.flood_above)) or {},
        now,
        start,
        drawn=_draw(view, definition, made, start, end),
        trained=describe_training(proposal),
    )


def describe_training(proposal: Proposal) -> tuple[str, ...]:
    """Return what `train` prints about a model, without what becomes of it: why none would serve or
    why a person would decide, what it found on unseen data, and from what it learned."""
    refused = [] if proposal.promote else [result_line(proposal)]
    is_told = not proposal.promote or (proposal.test and not proposal.waiting)
    reason = [] if is_told else [joined(" ", proposal.reason, proposal.details)]
    return (
        *refused,
        *unseen_lines(proposal.test),
        *reason,
        *learned_lines(proposal.dataset),
        *proposal.dataset.notes,
    )


def _draw(
    platform: SandboxPorts,
    definition: ModelDefinition,
    made: FoundAlarms,
    start: datetime,
    end: datetime,
) -> PreviewChart | None:
    """Return the scores, the alarms and the problems of the asset with the most alarms."""
    if not made.targets:
        return None
    asset = max(made.targets, key=lambda target: len(spans_on(target, made.alarms, end)))
    times: list[Interval] = []
    if isinstance(definition, TrainedDefinition):
        problem = definition.problem
        since = start - first_lookback(problem) if problem.variables else end
        history = platform.readings.load(
            WantedHistory(asset, since, end, problem.variables, events_since=start)
        )
        times = [time for time, _ in counted_times(definition, history, start, end)]
        drawn = draw_problems(platform.readings, definition, asset, times, start, end).panels
    else:
        names = sorted(definition.variables_evaluated(asset))[:MOST_PANELS]
        read = [draw_variable(platform.readings, asset, n, (), _HOLD, (start, end)) for n in names]
        drawn = tuple(panel for panel in read if panel is not None)
    rows = [scored for part in made.evaluations[asset.name] for scored in part.scores]
    alarms = spans_on(asset, made.alarms, end)
    panels = (*_draw_scores(definition, rows), *drawn)[:MOST_PANELS]
    return PreviewChart(asset.name, panels, start, end, draft=alarms, problem=tuple(times))


def _draw_scores(definition: Definition, rows: Sequence[ScoredRows]) -> tuple[Panel, ...]:
    """Return the risk over time, or the score of a model that gives none; nothing without
    scores."""
    at = np.concatenate([part.at for part in rows]) if rows else np.empty(0, np.int64)
    values = np.concatenate([part.score for part in rows]) if rows else np.empty(0)
    if not len(at) or np.isnan(values).all():
        return ()
    is_risk = isinstance(definition, TrainedDefinition)
    levels = (ChartLevel(rows[-1].threshold, translatable("alarm at")),)
    name = translatable("Risk") if is_risk else translatable("Score")
    hold = timedelta(milliseconds=3 * float(np.median(np.diff(at)))) if len(at) > 1 else _HOLD
    return (new_panel(Panel(name, None, at, values, levels, share=is_risk, hold=hold)),)
