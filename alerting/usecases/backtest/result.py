"""Metrics and charts of a backtest's result, and reading of a stored result."""

from dataclasses import replace
from datetime import datetime, timedelta

from alerting.definitions.durations import format_duration
from alerting.definitions.faults import UserError
from alerting.definitions.model import Definition, ModelDefinition
from alerting.ports import BacktestPorts, Backtests, Document
from alerting.reporting.base.table import to_document
from alerting.reporting.definition.conclusion import conclude
from alerting.reporting.definition.metrics import compute_metrics
from alerting.reporting.page.backtest import BacktestMetrics, SegmentMetrics
from alerting.usecases.backtest.metrics import (
    beside_acted,
    bursts_of,
    cost_of,
    events_of,
    load_of,
)
from alerting.usecases.backtest.run import Backtest, Retrain, Subject
from alerting.usecases.backtest.sandbox import Sandbox
from alerting.usecases.episodes.outcomes import determine_due_outcomes
from alerting.usecases.report_material.material import gather_material


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
    """Determine outcomes from all data, compute metrics, draw charts, store the result."""
    if isinstance(subject.definition, ModelDefinition) and all(s.version is None for s in segments):
        raise UserError(
            f"no model could be trained, so no instant was evaluated: {segments[-1].reason}"
        )
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
    from alerting.reporting.page.page import draw, render_page  # noqa: PLC0415 - Matplotlib takes 30 MB; previews draw no report

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
    other = (
        " Each time with what was known by then: what a later training prints for this period is "
        "of another model."
    )
    return f"{message}.{other if models else ''}{approval}"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun} was" if number == 1 else f"{number} {noun}s were"
