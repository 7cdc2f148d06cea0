"""Backtest: what a definition would have raised over a stretch of the past, trained again as time went by.

It walks forward through history on a pretended platform (`pipelines.shadow`) with the use cases that run live: `train` at the
start of each segment, with nothing known that came later, then `evaluate` to the end of it. A champion is carried along and
replaced by the same rule as live. Nothing live is written; every finished segment is kept, so that a run that was interrupted
goes on after the last one.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Literal
from zoneinfo import ZoneInfo

from croniter import croniter
from pydantic import TypeAdapter

from alerting.definitions.durations import format_duration
from alerting.definitions.faults import UserError
from alerting.definitions.matching import matching_assets
from alerting.definitions.model import ClassifierDefinition, Definition, Revision
from alerting.definitions.revisions import definition_hash, next_revision
from alerting.definitions.validation import definition_document
from alerting.episodes.episode import Episode
from alerting.ports import Document, Platform, Progress, silent
from alerting.reporting.backtest import BacktestFigures, SegmentFigure
from alerting.reporting.conclusion import conclude
from alerting.reporting.load import Load
from alerting.reporting.metrics import ReportMetrics, compute_metrics, to_document
from alerting.reporting.page import draw, render_page
from alerting.usecases.backtest.checkpoint import checkpoint_files, restore
from alerting.usecases.backtest.metrics import beside_acted, cost_of, events_of, load_of
from alerting.usecases.backtest.sandbox import Shadow
from alerting.usecases.definitions.sync import check, latest_revision, require_revision, sync
from alerting.usecases.definitions.versions import champion_at
from alerting.usecases.episodes.outcomes import settle_due
from alerting.usecases.evaluation.evaluate import evaluate
from alerting.usecases.operations.report import gather_material
from alerting.usecases.training.train import train

RULES = 1  # part of a run's identity: results kept under other rules are not taken for these
WITHOUT_TRAINING = timedelta(days=7)  # length of a segment where nothing is trained: how much an interruption may cost
STEP = timedelta(days=1)  # evaluated at once
Retrain = timedelta | Literal["scheduled", "never"]


@dataclass(frozen=True)
class Subject:
    """What is tested: a definition as it stands under a revision, or as it would be if it were applied."""

    revision: Revision
    applied: bool

    @property
    def definition(self) -> Definition:
        """The definition as given."""
        return self.revision.definition


@dataclass(frozen=True)
class Backtest:
    """A finished backtest. `figures`, `events`, `load` and `cost` are JSON-able; `episodes` oldest first.

    `resumed`: segments that were kept from an interrupted run; `kept`: the whole result was there already.
    """

    id: str
    definition: str
    start: datetime
    end: datetime
    headline: str
    segments: tuple[Document, ...]
    figures: Document
    events: Document | None
    load: Document | None
    cost: Document | None
    episodes: tuple[Episode, ...]
    page: str
    finished_at: datetime
    resumed: int = 0
    kept: bool = False


def named_subject(platform: Platform, name: str) -> Subject:
    """The newest revision of a definition, in service or not. Raises UserError when there is none."""
    sync(platform, platform.clock.now())
    return Subject(require_revision(platform, name), applied=True)


def written_subject(platform: Platform, document: Document) -> Subject:
    """A definition that need not be applied. Raises UserError with every fault, as `check` does."""
    (definition,) = check(platform, [document])
    latest = latest_revision(platform, definition.name)
    if latest is not None and latest.hash == definition_hash(definition):
        return Subject(latest, applied=True)
    return Subject(next_revision(definition, latest, "backtest", platform.clock.now(), "not applied"), applied=False)


def backtest(
    platform: Platform,
    subject: Subject,
    start: datetime,
    end: datetime,
    retrain: Retrain = "scheduled",
    fresh: bool = False,
    progress: Progress = silent,
) -> Backtest:
    """Walk forward over (start, end] and keep the result; the same arguments find it, or go on where they were interrupted.

    `retrain`: "scheduled" as the definition says, "never" after the training at `start`, or this often. `fresh`: forget what
    was kept. Raises UserError for an empty or future stretch, without readings, or when no model could be trained at all.
    """
    _require_past(platform, subject, start, end)
    id = run_id(subject, start, end, retrain)
    if fresh:
        platform.backtests.forget(id)
    run = platform.backtests.begin(id, _arguments(platform, subject, start, end, retrain))
    if run.get("finished_at") is not None:
        return _kept(platform, run)
    shadow = Shadow(platform, _in_service(subject.revision, start))
    done = restore(platform, shadow, run)
    cuts = segment_starts(subject.definition, start, end, retrain)
    segments = [_segment_figure(s) for s in run["segments"]]
    for number, (a, b) in enumerate(zip(cuts, [*cuts[1:], end], strict=True), start=1):
        if number > done:
            segments.append(_walk(platform, shadow, subject, id, number, a, b, _of_all(progress, number, len(cuts))))
    progress("counting", len(cuts), len(cuts))
    return _finish(platform, shadow, subject, id, start, end, retrain, segments, done)


def run_id(subject: Subject, start: datetime, end: datetime, retrain: Retrain) -> str:
    """Identity of a run: definition, stretch, cadence, and the rules of this module."""
    arguments = [RULES, subject.revision.hash, start.isoformat(), end.isoformat(), _cadence(retrain)]
    return hashlib.sha256(json.dumps(arguments).encode()).hexdigest()[:16]


def segment_starts(definition: Definition, start: datetime, end: datetime, retrain: Retrain) -> list[datetime]:
    """When a model is trained: at `start`, and then at each tick before `end`. Without a model: one start a week."""
    if definition.kind == "threshold":
        return _every(WITHOUT_TRAINING, start, end)
    if isinstance(retrain, timedelta):
        return _every(retrain, start, end)
    if retrain == "never" or definition.schedule.retrain is None:
        return [start]
    starts, ticks = [start], croniter(definition.schedule.retrain, start.astimezone(ZoneInfo(definition.schedule.timezone)))
    while (tick := ticks.get_next(datetime).astimezone(UTC)) < end:
        starts.append(tick)
    return starts


def _every(span: timedelta, start: datetime, end: datetime) -> list[datetime]:
    return [start + i * span for i in range(-(-(end - start) // span))]


def _require_past(platform: Platform, subject: Subject, start: datetime, end: datetime) -> None:
    if start >= end:
        raise UserError(f"--from {start.isoformat()} must lie before --to {end.isoformat()}")
    now = platform.clock.now()
    if end > now:
        raise UserError(f"--to {end.isoformat()} lies after now, {now.isoformat()}: nothing can be tested there yet")
    assets = matching_assets(subject.definition, platform.assets.all())
    spans = [span for a in assets if (span := platform.readings.span(a.name)) is not None]
    if any(first < end and last > start for first, last in spans):
        return
    have = f" (they reach from {min(s[0] for s in spans)} to {max(s[1] for s in spans)})" if spans else ""
    raise UserError(
        f"no asset of {subject.definition.name!r} has readings from {start.isoformat()} to {end.isoformat()}{have}: "
        "choose another stretch, or import readings first"
    )


def _arguments(platform: Platform, subject: Subject, start: datetime, end: datetime, retrain: Retrain) -> Document:
    return {
        "definition": subject.definition.name,
        "revision": subject.revision.number,
        "applied": subject.applied,
        "definition_hash": subject.revision.hash,
        "document": definition_document(subject.definition),
        "start": start,
        "end": end,
        "retrain": _cadence(retrain),
        "begun_at": platform.clock.now(),
    }


def _cadence(retrain: Retrain) -> str:
    return format_duration(retrain) if isinstance(retrain, timedelta) else retrain


def _in_service(revision: Revision, start: datetime) -> Revision:
    """The revision as if it had been in service since `start`, whatever its state is; nobody is there to approve anything."""
    changes: dict[str, Any] = {"state": "active"}
    if isinstance(revision.definition, ClassifierDefinition):
        changes["promotion"] = revision.definition.promotion.model_copy(update={"mode": "automatic"})
    return revision.model_copy(update={"at": start, "definition": revision.definition.model_copy(update=changes)})


def _of_all(progress: Progress, number: int, count: int) -> Progress:
    """Progress of one segment as progress of all: the bar counts segments, the words say what goes on in this one."""

    def tell(step: str, done: int, total: int | None) -> None:
        part = f" {done}/{total}" if total else ""
        progress(f"segment {number} of {count}: {step}{part}", number - 1, count)

    return tell


# --- one segment ----------------------------------------------------------------------------------------------------------


_FIGURE = TypeAdapter(SegmentFigure)


def _walk(
    platform: Platform,
    shadow: Shadow,
    subject: Subject,
    id: str,
    number: int,
    start: datetime,
    end: datetime,
    progress: Progress,
) -> SegmentFigure:
    """Train at `start`, judge up to `end`, and keep what both left behind."""
    name = subject.definition.name
    trained = SegmentFigure(number, start, end)
    if isinstance(subject.definition, ClassifierDefinition):
        trained = _train(shadow, name, f"{id}-{number}", trained, progress)
    unknown: dict[str, str] = {}
    steps = _every(STEP, start, end)
    for done, day in enumerate(steps):
        progress("evaluating", done, len(steps))
        until = min(day + STEP, end)
        unknown = evaluate(shadow.watching(until), [name], until).unknown
    raised = sum(start < e.raised_at <= end for e in shadow.episodes.find())
    figure = _FIGURE.validate_python(
        {**asdict(trained), "episodes": raised, "unknown": tuple(f"{pair}: {why}" for pair, why in unknown.items())}
    )
    platform.backtests.keep_segment(id, number, asdict(figure), checkpoint_files(shadow, name, figure))
    return figure


def _train(shadow: Shadow, name: str, run: str, segment: SegmentFigure, progress: Progress) -> SegmentFigure:
    """Train as of the segment's start; where history does not suffice the champion stays, as it would have live."""
    platform = shadow.training(segment.start)
    shadow.models.prefix = run
    decided: dict[str, Any]
    try:
        decided = train(platform, name, segment.start, progress)
    except UserError as refusal:
        decided = {"verdict": "not_trained", "reason": str(refusal), "promote": False, "leaderboard": []}
    version = champion_at(shadow.decisions.of(name), segment.start)
    shadow.models.keep_only(version)
    tags = shadow.models.version_tags(name, version) if version is not None else {}
    return SegmentFigure(
        number=segment.number,
        start=segment.start,
        end=segment.end,
        verdict=decided["verdict"],
        reason=decided["reason"],
        promoted=decided["promote"],
        version=version,
        family=tags.get("family"),
        model_hash=tags.get("model_hash"),
        training_cutoff=datetime.fromisoformat(tags["training_cutoff"]) if tags else None,
        cut_short=tuple(line["family"] for line in decided["leaderboard"] if line["cut_short"]),
    )


def _segment_figure(document: Mapping[str, Any]) -> SegmentFigure:
    return _FIGURE.validate_python({**document, "cut_short": tuple(document["cut_short"]), "unknown": tuple(document["unknown"])})


# --- the result -----------------------------------------------------------------------------------------------------------


def _finish(
    platform: Platform,
    shadow: Shadow,
    subject: Subject,
    id: str,
    start: datetime,
    end: datetime,
    retrain: Retrain,
    segments: list[SegmentFigure],
    done: int,
) -> Backtest:
    """Settle with all that is known by now, count, draw, and keep."""
    if isinstance(subject.definition, ClassifierDefinition) and all(s.version is None for s in segments):
        raise UserError(f"no model could be trained, so nothing was judged: {segments[-1].reason}")
    now = platform.clock.now()
    view = shadow.watching(now)
    settle_due(view, now)
    material = gather_material(view, view.definitions.latest()[0], start, end, now)
    figures = compute_metrics(material)
    events = events_of(material)
    top = BacktestFigures(
        run=id,
        subject=_subject_words(subject),
        trained=trained_words(subject.definition, segments, retrain),
        segments=tuple(segments),
        load=load_of(material, platform.budget.flood_above),
        events=events,
        cost=cost_of(subject.definition, events, (end - start) / timedelta(weeks=1)),
        beside_acted=beside_acted(platform, material),
    )
    judgement = conclude(figures)
    page = render_page(figures, judgement, draw(figures, material.scores), top)
    results = {
        "finished_at": now,
        "headline": judgement.sentence,
        "figures": {**_without_episodes(figures), "judgement": to_document(judgement), "beside_acted": top.beside_acted},
        "events": top.events.to_document() if top.events else None,
        "cost": to_document(top.cost),
        "load": _load_document(top.load),
    }
    platform.backtests.finish(id, results, shadow.episodes.find(end=end)[::-1], page)
    run = platform.backtests.get(id)
    if run is None:
        raise UserError("this backtest was removed while it ran; run it again")
    kept = _kept(platform, run)
    return Backtest(**{**kept.__dict__, "resumed": done, "kept": False})


def _kept(platform: Platform, run: Document) -> Backtest:
    return Backtest(
        id=run["id"],
        definition=run["definition"],
        start=run["start"],
        end=run["end"],
        headline=run["headline"],
        segments=tuple(run["segments"]),
        figures=run["figures"],
        events=run["events"],
        load=run["load"],
        cost=run["cost"],
        episodes=tuple(platform.backtests.episodes(run["id"])),
        page=platform.backtests.page(run["id"]) or "",
        finished_at=run["finished_at"],
        kept=True,
    )


def _without_episodes(figures: ReportMetrics) -> Document:
    """Figures without the list of episodes, of which there may be very many; they are kept one by one."""
    return {name: value for name, value in to_document(figures).items() if name != "episodes"}


def _load_document(load: Load | None) -> Document | None:
    if load is None:
        return None
    return {**to_document(load), "busiest_day": load.busiest_day.isoformat() if load.busiest_day else None}


def _subject_words(subject: Subject) -> str:
    name, number = subject.definition.name, subject.revision.number
    if not subject.applied:
        return f"{name} as it was handed in, without applying it,"
    return f"{name} revision {number}{'' if subject.definition.state == 'active' else f' (a {subject.definition.state})'}"


def trained_words(definition: Definition, segments: list[SegmentFigure], retrain: Retrain) -> str:
    """How often a model was trained, as a sentence; empty for kinds without a model."""
    if not isinstance(definition, ClassifierDefinition):
        return ""
    if isinstance(retrain, timedelta):
        often = f"every {format_duration(retrain)}"
    elif retrain == "never" or definition.schedule.retrain is None:
        often = "once, at the start"
    else:
        often = f"at the start and as scheduled ({definition.schedule.retrain}, {definition.schedule.timezone})"
    tried, failed = len(segments), sum(s.verdict == "not_trained" for s in segments)
    models = len({s.model_hash for s in segments if s.model_hash})
    words = f"It was trained {often}: {tried} times, {models} different {'model' if models == 1 else 'models'} in service"
    words += f"; {failed} trainings were not possible" if failed else ""
    approval = " Promotions that need approval were taken as approved at once." if definition.promotion.mode == "approval" else ""
    return f"{words}.{approval}"
