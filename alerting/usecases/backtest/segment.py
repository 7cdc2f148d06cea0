"""One segment of a backtest: train at its start, evaluate to its end, store both."""

from collections.abc import Mapping
from dataclasses import asdict, replace
from datetime import datetime, timedelta
from typing import Any

from pydantic import TypeAdapter

from alerting.definitions.faults import UserError
from alerting.definitions.model import ModelDefinition
from alerting.ports import Backtests, Progress
from alerting.reporting.page.backtest import SegmentMetrics
from alerting.usecases.backtest.checkpoint import checkpoint_files
from alerting.usecases.backtest.run import Subject
from alerting.usecases.backtest.sandbox import Sandbox
from alerting.usecases.definitions.versions import champion_at, serves_twin
from alerting.usecases.evaluation.evaluate import evaluate
from alerting.usecases.training.promote import promote_run
from alerting.usecases.training.train import train

STEP = timedelta(days=1)  # evaluated at once
_FIGURE = TypeAdapter(SegmentMetrics)


def walk_segment(
    backtests: Backtests,
    sandbox: Sandbox,
    subject: Subject,
    id: str,
    number: int,
    start: datetime,
    end: datetime,
    progress: Progress,
) -> SegmentMetrics:
    """Train at `start`, evaluate up to `end`, and store the results of both."""
    name = subject.definition.name
    trained = SegmentMetrics(number, start, end)
    since = sandbox.evaluated_until(start)
    if isinstance(subject.definition, ModelDefinition):
        trained = _train(sandbox, name, trained, progress)
    unknown: dict[str, str] = {}
    steps = instants(STEP, start, end)
    for done, day in enumerate(steps):
        progress("evaluating", done, len(steps))
        until = min(day + STEP, end)
        counts = evaluate(sandbox.live_view(until), [name], until)
        for (
            reason
        ) in counts.unreadable.values():  # figures without it would say that nothing happened
            raise UserError(f"the backtest stopped at {until.isoformat()}: {reason}")
        unknown = counts.unknown
    figure = replace(
        trained,
        episodes=sum(e.id not in sandbox.stored for e in sandbox.memory.episodes.find()),
        unknown=tuple(f"{target}: {why}" for target, why in unknown.items()),
    )
    backtests.store_segment(
        id, number, asdict(figure), checkpoint_files(sandbox, name, figure, since)
    )
    return figure


def instants(step: timedelta, start: datetime, end: datetime) -> list[datetime]:
    """Return the instants from `start` on, a step apart, before `end`."""
    return [start + i * step for i in range(-(-(end - start) // step))]


def _train(
    sandbox: Sandbox, name: str, segment: SegmentMetrics, progress: Progress
) -> SegmentMetrics:
    """Train as of the segment's start; without enough history the champion stays."""
    platform = sandbox.training(segment.start)
    approved = False
    try:
        decided = train(platform, name, segment.start, progress)
        if decided.waiting:
            approved = True
            decided = promote_run(platform, decided.run_id, approved_by="the backtest")
        outcome: dict[str, Any] = {
            "verdict": decided.verdict,
            "reason": decided.reason,
            "promoted": decided.promote,
        }
        outcome["cut_short"] = tuple(
            candidate.family for candidate in decided.leaderboard if candidate.cut_short
        )
    except UserError as refusal:
        outcome = {
            "verdict": "not_trained",
            "reason": str(refusal),
            "promoted": False,
            "cut_short": (),
        }
    decisions = sandbox.memory.decisions.for_definition(name)
    version = champion_at(decisions, segment.start, question=None)
    sandbox.drop_models(segment.start)
    tags = sandbox.memory.models.version_tags(name, version) if version is not None else {}
    cutoff = tags.get("training_cutoff")
    if version is not None and not serves_twin(decisions, version, segment.start):
        cutoff = tags.get("refit_cutoff", cutoff)
    return replace(
        segment,
        version=version,
        family=tags.get("family"),
        model_hash=tags.get("model_hash"),
        training_cutoff=datetime.fromisoformat(cutoff) if cutoff else None,
        approved=approved,
        **outcome,
    )


def segment_metrics(document: Mapping[str, Any]) -> SegmentMetrics:
    return _FIGURE.validate_python(document)
