"""Backtest: the episodes that a definition would have raised, with its trainings.

It walks forward in a sandbox with the use cases that run live: `train` at the start of each
segment, then `evaluate` to its end. A champion stays until the live rule replaces it. Nothing live
is written. Every finished segment is stored: an interrupted run continues after the last one.
"""

import hashlib
import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, replace
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
from croniter import croniter
from pydantic import TypeAdapter

from alerting.definitions.alert_definition import (
    Definition,
    ModelDefinition,
    Revision,
    TrainedDefinition,
    matching_assets,
)
from alerting.definitions.faults import UserError, format_duration, require_order
from alerting.definitions.fields.names_and_times import length
from alerting.definitions.revisions import definition_document, next_revision
from alerting.definitions.wording.language import Interval, in_english, joined
from alerting.episodes.episode import Episode
from alerting.episodes.prediction_rule import CountedEpisode
from alerting.learning.data.quality import find_bursts
from alerting.learning.score_metrics import (
    EventMetrics,
    ProblemIntervals,
    event_metrics,
    problem_intervals,
)
from alerting.learning.selection.operating_point import warnable_problems
from alerting.ports import (
    BacktestPorts,
    Document,
    Episodes,
    PlanPorts,
    Progress,
    TrainingPorts,
    silent,
)
from alerting.ports.use_cases import log_context
from alerting.readings.history import millis, to_millis
from alerting.reporting.definition.conclusion import conclude
from alerting.reporting.definition.period_data import Material, as_counted, gap_and_horizon
from alerting.reporting.definition.report_metrics import compute_metrics
from alerting.reporting.episode_details import (
    BacktestMetrics,
    Cost,
    Load,
    SegmentMetrics,
    operator_load,
)
from alerting.reporting.estimates import to_document
from alerting.stores.reports import Backtests
from alerting.usecases.backtest.sandbox import (
    Backtest,
    Retrain,
    Sandbox,
    Subject,
    cadence,
    checkpoint_files,
    restore,
)
from alerting.usecases.definitions.revisions_and_evaluation_plan import check, sync
from alerting.usecases.definitions.versions import champion_at, require_revision, serves_twin
from alerting.usecases.episodes.outcomes import determine_due_outcomes
from alerting.usecases.evaluation.rounds import evaluate
from alerting.usecases.report_material import gather_material
from alerting.usecases.training.definition_dataset import fix_features
from alerting.usecases.training.promote import promote_run
from alerting.usecases.training.training_steps import train

RULES = 5  # part of a run's identity: results stored under other rules do not count
# length of a segment without training, which bounds the work that an interruption loses
WITHOUT_TRAINING = timedelta(days=7)
USUAL = timedelta(weeks=4)
STEP = timedelta(days=1)  # evaluated at once
_FIGURE = TypeAdapter(SegmentMetrics)


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
    """Return the period of a backtest. By default it ends at the last midnight (UTC), or at the
    last reading if that is earlier; it starts four weeks earlier, or at the first reading, to the
    hour."""
    spans = _spans_of_readings(platform, subject.definition)
    midnight = platform.clock.now().replace(hour=0, minute=0, second=0, microsecond=0)
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
    segments = [_FIGURE.validate_python(s) for s in run["segments"][:done]]
    for number, (a, b) in enumerate(zip(cuts, [*cuts[1:], end], strict=True), start=1):
        if number > done:
            report = _report_for_all(progress, number, len(cuts))
            segments.append(
                walk_segment(platform.backtests, sandbox, subject, id, number, a, b, report)
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
    """Return the instants at which a model is trained: `start` and each tick; without a model, a
    start every week."""
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
    require_order(start, end)
    now = platform.clock.now()
    if end > now:
        text = "--to {end} lies after now, {now}: there are no readings of the future to test with"
        raise UserError(in_english(text, end=end, now=now))
    spans = _spans_of_readings(platform, subject.definition)
    if any(first < end and last > start for first, last in spans):
        return
    have = ""
    if spans:
        reach = Interval(min(spans)[0], max(last for _, last in spans))
        have = in_english(" (they reach from {reach})", reach=reach)
    raise UserError(
        in_english(
            "no asset of {name} has readings from {period}{have}: choose another period, or "
            "import readings first",
            name=repr(subject.definition.name),
            period=Interval(start, end),
            have=have,
        )
    )


def _spans_of_readings(
    platform: TrainingPorts, definition: Definition
) -> list[tuple[datetime, datetime]]:
    """Return the instants of the first and last reading of each asset that has any."""
    return [
        span
        for a in matching_assets(definition, platform.assets.all())
        if (span := platform.readings.span(a.name, platform.clock.now())) is not None
    ]


def in_service(revision: Revision, start: datetime) -> Revision:
    """Return the revision as if in service since `start`, with no approvals by a person."""
    changes: dict[str, Any] = {"state": "active"}
    if isinstance(revision.definition, ModelDefinition):
        changes["promotion"] = revision.definition.promotion.model_copy(
            update={"mode": "automatic"}
        )
    return revision.model_copy(
        update={"at": start, "definition": revision.definition.model_copy(update=changes)}
    )


def _report_for_all(progress: Progress, number: int, count: int) -> Progress:
    """Return a function that reports a segment's progress as progress of all segments."""

    def report_progress(step: str, done: int, total: int | None) -> None:
        part = f" {done}/{total}" if total else ""
        progress(f"segment {number} of {count}: {step}{part}", number - 1, count)

    return report_progress


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
    """Train at `start`, evaluate up to `end`, and store the results of both. Raises UserError if
    stored readings cannot be read."""
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
        for reason in counts.unreadable.values():  # without it, nothing would seem to have happened
            raise UserError(
                in_english("the backtest stopped at {until}: {reason}", until=until, reason=reason)
            )
        unknown = counts.unknown
    figure = replace(
        trained,
        episodes=sum(e.id not in sandbox.stored for e in sandbox.memory.episodes.find()),
        unknown=tuple(joined(": ", target, why) for target, why in unknown.items()),
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
            "reason": str(joined(" ", decided.reason, decided.details)),
            "promoted": decided.promote,
            "cut_short": tuple(c.family for c in decided.leaderboard if c.cut_short),
        }
    except UserError as refusal:
        outcome = {
            "verdict": "not_trained",
            "reason": refusal.message,
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


def finish(
    platform: BacktestPorts,
    sandbox: Sandbox,
    subject: Subject,
    id: str,
    start: datetime,
    end: datetime,
    retrain: Retrain,
    segments: list[SegmentMetrics],
    done: int,
) -> Backtest:
    """Determine outcomes from all data, compute metrics, draw charts, store the result. Raises
    UserError if no model could be trained, or if the run was removed."""
    if isinstance(subject.definition, ModelDefinition) and all(s.version is None for s in segments):
        text = "no model could be trained, so no instant was evaluated: {reason}"
        raise UserError(in_english(text, reason=segments[-1].reason))
    now = platform.clock.now()
    view = sandbox.live_view(now)
    determine_due_outcomes(view, now)
    material = gather_material(view, view.definitions.latest_revisions()[0], start, end, now)
    metrics = compute_metrics(material)
    events = events_of(material)
    top = BacktestMetrics(
        run=id,
        subject=_describe_subject(subject),
        trained=describe_training(subject.definition, segments, retrain),
        segments=tuple(segments),
        load=load_of(material, platform.budget.flood_above),
        events=events,
        cost=cost_of(subject.definition, events, (end - start) / timedelta(weeks=1)),
        beside_acted=beside_acted(platform.episodes, material),
        bursts=bursts_of(material),
    )
    judgement = conclude(metrics)
    from alerting.reporting.report_page import draw, render_page  # noqa: PLC0415 - Matplotlib takes 30 MB; previews draw no report

    page = render_page(metrics, judgement, draw(metrics, material), top)
    results: Document = {
        "finished_at": now,
        "headline": judgement.sentence,
        "metrics": to_document(metrics)
        | {
            "judgement": to_document(judgement),
            "beside_acted": top.beside_acted,
            "bursts": top.bursts,
        },
        "events": top.events.to_document() if top.events else None,
        "cost": to_document(top.cost),
        "load": to_document(top.load),
    }
    del results["metrics"]["episodes"]  # may be many; they are stored one by one
    platform.backtests.finish(id, results, sandbox.memory.episodes.find(end=end)[::-1], page)
    run = platform.backtests.get(id)
    if run is None:
        raise UserError("this backtest was removed while it ran; run it again")
    return replace(stored_result(platform.backtests, run), resumed=done, is_stored=False)


def stored_result(backtests: Backtests, run: Document) -> Backtest:
    return Backtest(
        **{
            name: run[name]
            for name in ("id", "definition", "start", "end", "headline", "finished_at")
        },
        **{name: run[name] for name in ("metrics", "events", "load", "cost")},
        segments=tuple(run["segments"]),
        episodes=tuple(backtests.episodes(run["id"])),
        page=backtests.page(run["id"]) or "",
        is_stored=True,
    )


def _describe_subject(subject: Subject) -> str:
    name = subject.definition.name
    number = subject.revision.number
    if not subject.applied:
        return f"{name} from its file, without applying it,"
    return (
        f"{name} revision "
        f"{number}{'' if subject.definition.state == 'active' else f' (a {subject.definition.state})'}"  # noqa: E501
    )


def describe_training(
    definition: Definition, segments: list[SegmentMetrics], retrain: Retrain
) -> str:
    """Return a sentence on how often a model was trained; empty for kinds without a model."""
    if not isinstance(definition, ModelDefinition):
        return ""
    if isinstance(retrain, timedelta):
        often = f"every {format_duration(retrain)}"
    elif retrain == "never" or definition.retrain_cron is None:
        often = "once, at the start"
    else:
        often = (
            f"at the start and as scheduled ({definition.retrain_cron}, "
            f"{definition.schedule.timezone})"
        )
    tried = len(segments)
    failed = sum(s.verdict == "not_trained" for s in segments)
    models = len({s.model_hash for s in segments if s.model_hash})
    message = f"It was trained {often}"
    if tried > 1:
        message += f": {tried} times, {models} different {'model' if models == 1 else 'models'} in "
        message += "service"
    message += f"; {_count(failed, 'training')} not possible" if failed else ""
    needed = definition.promotion.mode == "approval" or any(s.approved for s in segments)
    approval = " Promotions that need approval were taken as approved at once." if needed else ""
    remark = (
        " Each time with what was known by then: what a later training prints for this period is "
        "of another model."
    )
    return f"{message}.{remark if models else ''}{approval}"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun} was" if number == 1 else f"{number} {noun}s were"


def load_of(material: Material, flood_above: int) -> Load | None:
    """Return the load of the episodes on operators, over the evaluated time."""
    if not material.evaluated:
        return None
    intervals = material.evaluated.values()
    raised = [e for e in material.episodes if material.start <= e.raised_at < material.end]
    episodes_of = [(e.raised_at, e.raised_at + length(material.in_alarm(e))) for e in raised]
    return operator_load(
        episodes_of, min(a for a, _ in intervals), max(b for _, b in intervals), flood_above
    )


def events_of(material: Material) -> EventMetrics | None:
    """Return event metrics by the candidates' code; None without problem or evaluated time."""
    definition = material.definition
    if definition.problem is None or not material.evaluated:
        return None
    gap, horizon = gap_and_horizon(definition)
    episodes_of = {asset: _count_episodes(material, asset) for asset in material.evaluated}
    if isinstance(definition, TrainedDefinition):
        intervals, observed = _scored_problems(material, definition)
        seed = definition.learning.seed
    else:
        intervals = _evaluated_intervals(material)
        seed = 0
        observed = {asset: time.total_seconds() for asset, time in material.evaluated_times.items()}
    start = to_millis(material.start)
    end = to_millis(material.end)
    begun = {  # problems that began outside of [start, end) confirm episodes, but do not count
        asset: ProblemIntervals(
            problems.start,
            problems.end,
            problems.counted & (problems.start >= start) & (problems.start < end),
        )
        for asset, problems in intervals.items()
    }
    return event_metrics(episodes_of, begun, gap, horizon, observed, seed)


def bursts_of(material: Material) -> str:
    """Return a sentence on problems that come in bursts; empty where they do not."""
    problem = material.definition.problem
    if problem is None or material.definition.is_of_unit:
        return ""
    bursts = find_bursts(problem, list(material.histories.values()))
    return "" if bursts is None else bursts.message


def _count_episodes(material: Material, asset: str) -> list[CountedEpisode]:
    """Return the episodes of the period on one asset whose outcome is known, each with the
    evaluated time of its alarm."""
    episodes = as_counted(material.definition, [e for e in material.episodes if e.asset == asset])
    return [
        counted._replace(ended=to_millis(e.raised_at + length(material.in_alarm(e))))
        for e, counted in episodes
        if e.outcome_record is not None
        and e.outcome_record.occurred is not None
        and material.start <= e.raised_at < material.end
    ]


def cost_of(definition: Definition, events: EventMetrics | None, weeks: float) -> Cost | None:
    """Return the cost of misses and false alarms; None if the definition names none."""
    if events is None or not isinstance(definition, TrainedDefinition):
        return None
    miss = definition.operating_point.cost_of_miss
    false_alarm = definition.operating_point.cost_of_false_alarm
    if miss is None or false_alarm is None:
        return None
    misses = (events.n_events - events.n_found) * miss
    false = events.n_false_alarms * false_alarm
    return Cost(misses, false, misses + false, (misses + false) / weeks)


def _scored_problems(
    material: Material, definition: TrainedDefinition
) -> tuple[Mapping[str, ProblemIntervals], dict[str, float]]:
    """Return problems with a scored instant in their warning time, and scored time by asset."""
    scores = material.scores
    asset = scores["asset"].to_numpy(object)
    stride = definition.stride.total_seconds()
    seconds = {
        str(name): float(count) * stride for name, count in scores["asset"].value_counts().items()
    }
    at = millis(scores["ts"]) if len(scores) else np.empty(0, np.int64)
    return warnable_problems(
        at, asset, material.problems, material.predicts == "onset", *gap_and_horizon(definition)
    ), seconds


def _evaluated_intervals(material: Material) -> dict[str, ProblemIntervals]:
    """Return the problems with an evaluated instant in their warning time, by asset."""
    gap, horizon = gap_and_horizon(material.definition)
    intervals = {}
    for asset, (first, last) in material.evaluated.items():
        of_asset = material.problems[material.problems["asset"] == asset].sort_values("start")
        problems = problem_intervals(of_asset, onset=material.predicts == "onset")
        latest = problems.start - gap
        counted = (to_millis(first) < latest) & (latest - horizon < to_millis(last))
        intervals[asset] = ProblemIntervals(problems.start, problems.end, counted)
    return intervals


def beside_acted(episodes: Episodes, material: Material) -> int:
    """Return how many episodes lie in the outcome window of a live episode on which operators
    acted."""
    definition = material.definition
    window = definition.gap + definition.horizon
    since = material.start - definition.longest_window
    acted = [
        (e.asset, e.raised_at, e.valid_until or e.raised_at + window)
        for e in episodes.find(definition.name, start=since, end=material.end)
        if e.outcome_record is not None and e.outcome_record.acted
    ]

    def beside(episode: Episode) -> bool:
        return any(
            asset == episode.asset and at <= episode.raised_at <= until
            for asset, at, until in acted
        )

    return sum(beside(e) for e in material.episodes if e.raised_at >= material.start)
