"""Backtest: the episodes that a definition would have raised, with its trainings.

It walks forward through history in a sandbox with the use cases that run live: `train` at the start
of each segment, in the point-in-time view of it, then `evaluate` to the end of it. A champion stays
until the live rule replaces it. Nothing live is written. Every finished segment is stored, so that
an interrupted run continues after the last one.
"""

import hashlib
import json
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from croniter import croniter

from alerting.definitions.durations import format_duration
from alerting.definitions.faults import UserError
from alerting.definitions.matching import matching_assets
from alerting.definitions.model import Definition, ModelDefinition, Revision, TrainedDefinition
from alerting.definitions.revisions import definition_document, next_revision
from alerting.ports import (
    BacktestPorts,
    Document,
    PlanPorts,
    Progress,
    TrainingPorts,
    silent,
)
from alerting.ports.logs import log_context
from alerting.usecases.backtest.checkpoint import restore
from alerting.usecases.backtest.result import finish, stored_result
from alerting.usecases.backtest.run import Backtest, Retrain, Subject, cadence
from alerting.usecases.backtest.sandbox import Sandbox
from alerting.usecases.backtest.segment import instants, segment_metrics, walk_segment
from alerting.usecases.definitions.checking import check
from alerting.usecases.definitions.lookup import require_revision
from alerting.usecases.definitions.sync import sync
from alerting.usecases.training.dataset import fix_features

RULES = 5  # part of a run's identity: results stored under other rules do not count
# length of a segment without training, which bounds the work that an interruption loses
WITHOUT_TRAINING = timedelta(days=7)
USUAL = timedelta(weeks=4)


def named_subject(platform: PlanPorts, name: str) -> Subject:
    """Return a definition's newest revision as a subject. Raises UserError without one."""
    sync(platform, platform.clock.now())
    return Subject(require_revision(platform.definitions, name), applied=True)


def written_subject(platform: PlanPorts, document: Document) -> Subject:
    """Return a document as a subject, not applied. Raises UserError as `check` does."""
    (definition,) = check(platform, [document])
    latest = platform.definitions.newest_revision(definition.name)
    if latest is not None and latest.definition == definition:
        return Subject(latest, applied=True)
    return Subject(
        next_revision(definition, latest, "backtest", platform.clock.now(), "not applied"),
        applied=False,
    )


def find_period(
    platform: TrainingPorts, subject: Subject, start: datetime | None, end: datetime | None
) -> tuple[datetime, datetime]:
    """Return the period of a backtest. Left out, its end is the last midnight (UTC), or the last
    reading of its assets before; its start is four weeks earlier, or at the first reading, to the
    hour."""
    now = platform.clock.now()
    spans = _spans_of_readings(platform, subject.definition)
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
    until = end or min(midnight, max((last for _, last in spans), default=midnight))
    begin = start or until - USUAL
    first = min((first for first, _ in spans), default=begin)
    if start is None and begin < first < until:
        begin = first.replace(minute=0, second=0, microsecond=0)
    return begin, until


@log_context(sandbox="backtest")
def backtest(
    platform: BacktestPorts,
    subject: Subject,
    start: datetime,
    end: datetime,
    retrain: Retrain = "scheduled",
    fresh: bool = False,
    progress: Progress = silent,
) -> Backtest:
    """Walk over (start, end] and store the result, or continue an interrupted run.

    `retrain`: "scheduled" by the definition, "never" after the training at `start`, or this often.
    `fresh`: drop stored results. Raises UserError for an empty or future interval, without
    readings, or if no model could be trained at all.
    """
    require_past(platform, subject, start, end)
    id = run_id(subject, start, end, retrain, platform.latency)
    if fresh:
        platform.backtests.forget(id)
    run = platform.backtests.begin(
        id,
        {
            "definition": subject.definition.name,
            "revision": subject.revision.number,
            "applied": subject.applied,
            "definition_hash": subject.revision.hash,
            "document": definition_document(subject.definition),
            "start": start,
            "end": end,
            "retrain": cadence(retrain),
            "begun_at": platform.clock.now(),
        },
    )
    if run.get("finished_at") is not None:
        return stored_result(platform.backtests, run)
    sandbox = Sandbox(platform, in_service(subject.revision, start))
    if isinstance(subject.definition, TrainedDefinition):
        with suppress(UserError):  # without enough data the first training that has them fixes them
            fix_features(sandbox.training(start), subject.definition, start)
    done = restore(platform.backtests, sandbox, run)
    cuts = segment_starts(subject.definition, start, end, retrain)
    segments = [segment_metrics(s) for s in run["segments"]]
    for number, (a, b) in enumerate(zip(cuts, [*cuts[1:], end], strict=True), start=1):
        if number > done:
            segments.append(
                walk_segment(
                    platform.backtests,
                    sandbox,
                    subject,
                    id,
                    number,
                    a,
                    b,
                    _of_all(progress, number, len(cuts)),
                )
            )
    progress("counting", len(cuts), len(cuts))
    return finish(platform, sandbox, subject, id, start, end, retrain, segments, done)


def run_id(
    subject: Subject, start: datetime, end: datetime, retrain: Retrain, latency: timedelta
) -> str:
    """Return a run's identity: definition, interval, cadence, latency, rules."""
    arguments = [
        RULES,
        subject.revision.hash,
        start.isoformat(),
        end.isoformat(),
        cadence(retrain),
        format_duration(latency),
    ]
    return hashlib.sha256(json.dumps(arguments).encode()).hexdigest()[:16]


def segment_starts(
    definition: Definition, start: datetime, end: datetime, retrain: Retrain
) -> list[datetime]:
    """Return when a model is trained: at `start` and each tick; without one, weekly."""
    if not isinstance(definition, ModelDefinition):
        return instants(WITHOUT_TRAINING, start, end)
    if isinstance(retrain, timedelta):
        return instants(retrain, start, end)
    if retrain == "never" or definition.retrain_cron is None:
        return [start]
    starts = [start]
    ticks = croniter(
        definition.retrain_cron, start.astimezone(ZoneInfo(definition.schedule.timezone))
    )
    while (tick := ticks.get_next(datetime).astimezone(UTC)) < end:
        starts.append(tick)
    return starts


def require_past(platform: TrainingPorts, subject: Subject, start: datetime, end: datetime) -> None:
    """Check a period. Raises UserError for an empty or future one, and without readings in it."""
    if start >= end:
        raise UserError(f"--from {start.isoformat()} must lie before --to {end.isoformat()}")
    now = platform.clock.now()
    if end > now:
        raise UserError(
            f"--to {end.isoformat()} lies after now, {now.isoformat()}: there are no readings of "
            "the future to test with"
        )
    spans = _spans_of_readings(platform, subject.definition)
    if any(first < end and last > start for first, last in spans):
        return
    have = (
        f" (they reach from {min(s[0] for s in spans).isoformat()} to "
        f"{max(s[1] for s in spans).isoformat()})"
        if spans
        else ""
    )
    raise UserError(
        f"no asset of {subject.definition.name!r} has readings from {start.isoformat()} to "
        f"{end.isoformat()}{have}: choose another period, or import readings first"
    )


def _spans_of_readings(
    platform: TrainingPorts, definition: Definition
) -> list[tuple[datetime, datetime]]:
    """Return the instants of the first and last reading of each asset that has any."""
    assets = matching_assets(definition, platform.assets.all())
    return [
        span
        for a in assets
        if (span := platform.readings.span(a.name, platform.clock.now())) is not None
    ]


def in_service(revision: Revision, start: datetime) -> Revision:
    """Return the revision as in service since `start`, without approvals by a person."""
    changes: dict[str, Any] = {"state": "active"}
    if isinstance(revision.definition, ModelDefinition):
        changes["promotion"] = revision.definition.promotion.model_copy(
            update={"mode": "automatic"}
        )
    return revision.model_copy(
        update={"at": start, "definition": revision.definition.model_copy(update=changes)}
    )


def _of_all(progress: Progress, number: int, count: int) -> Progress:
    """Return a segment's progress as that of all: the text names its step."""

    def report_progress(step: str, done: int, total: int | None) -> None:
        part = f" {done}/{total}" if total else ""
        progress(f"segment {number} of {count}: {step}{part}", number - 1, count)

    return report_progress
