"""`alerting backtest`."""

from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from alerting.cli.printing.output import console, plain, print_json, short, show
from alerting.cli.support import (
    Json,
    definition_notes,
    instant,
    platform,
    progress,
    read_documents,
    show_notes,
    write_file,
    writes,
)
from alerting.definitions.durations import parse_duration
from alerting.definitions.faults import UserError

if TYPE_CHECKING:
    from alerting.adapters.platform import Platform
    from alerting.usecases.backtest.run import Backtest, Retrain, Subject


@writes
def backtest(
    what: Annotated[
        str,
        typer.Argument(
            metavar="NAME|FILE", help="Name of a definition, draft or not; or a YAML or JSON file."
        ),
    ],
    start: Annotated[
        str | None,
        typer.Option(
            "--from",
            help=(
                "Start, ISO 8601 with zone; four weeks before --to if left out, or at the first "
                "reading."
            ),
            metavar="TIME",
        ),
    ] = None,
    end: Annotated[
        str | None,
        typer.Option(
            "--to",
            help=(
                "End, ISO 8601 with zone; the last midnight (UTC) when left out, or the last "
                "reading before it."
            ),
            metavar="TIME",
        ),
    ] = None,
    retrain: Annotated[
        str | None,
        typer.Option(
            help=(
                "Train this often, e.g. 7d, or `never` after the start; the schedule of the "
                "definition when left out."
            )
        ),
    ] = None,
    fresh: Annotated[
        bool, typer.Option("--fresh", help="Ignore the stored result of the same backtest.")
    ] = False,
    out: Annotated[
        Path | None,
        typer.Option("--out", help="HTML file to write; NAME-backtest.html when left out."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Backtest a definition: walk forward through history, training on the way, without
    notifications.

    Works on a definition in service, on a draft, and on a file that is not applied. Nothing live
    changes. The same command continues an interrupted backtest after its last finished segment, and
    shows a finished one at once.
    """
    from alerting.usecases.backtest import backtest as backtesting

    cadence = _retrain(retrain)
    asked = (instant(start, "--from"), instant(end, "--to"))
    with platform() as p, progress() as report_progress:
        subject = _subject(p, what)
        begin, until = backtesting.find_period(p, subject, *asked)
        made = backtesting.backtest(p, subject, begin, until, cadence, fresh, report_progress)
        notes = definition_notes(p, [subject.definition])
    target = out or Path(f"{made.definition}-backtest.html")
    write_file(target, made.page)
    if as_json:
        return print_json(_document(made) | {"page": str(target), **notes[made.definition]})
    show_notes(notes)
    return _print(made, target)


def _retrain(text: str | None) -> "Retrain":
    if text is None:
        return "scheduled"
    if text == "never":
        return "never"
    try:
        interval = parse_duration(text)
    except ValueError as error:
        raise typer.BadParameter(f"{error}, or `never`", param_hint="--retrain") from error
    if interval < timedelta(hours=1):
        raise typer.BadParameter(
            f"{text!r} is too short; the shortest is 1h", param_hint="--retrain"
        )
    return interval


def _subject(platform: "Platform", what: str) -> "Subject":
    from alerting.usecases.backtest.backtest import named_subject, written_subject

    file = Path(what)
    if file.suffix not in (".yaml", ".yml", ".json") and not file.exists():
        return named_subject(platform, what)
    documents = read_documents([file])
    if len(documents) > 1:
        names = ", ".join(str(d.get("name")) for d in documents)
        raise UserError(
            f"{file}: holds {len(documents)} definitions ({names}); a backtest takes one, so write "
            "it into its own file"
        )
    return written_subject(platform, documents[0])


def _document(made: "Backtest") -> dict[str, Any]:
    return {
        **plain({**made.__dict__, "page": None, "episodes": []}),
        "episodes": [
            {
                "id": e.id,
                "asset": e.asset,
                "severity": e.severity,
                "raised_at": e.raised_at.isoformat(),
                "closed_at": e.closed_at.isoformat() if e.closed_at else None,
                "value": e.evaluation.value,
                "threshold": e.evaluation.threshold,
                "model_version": e.model_version,
                "outcome": e.outcome_record.outcome if e.outcome_record else None,
                "reason": e.evaluation.reason,
            }
            for e in made.episodes
        ],
    }


def _print(made: "Backtest", target: Path) -> None:
    from alerting.reporting.page.decision_text import METRIC_TITLES, counts, format_metric

    rows = [
        {**s, "model": (s["model_hash"] or "")[:12], "from": s["start"], "to": s["end"]}
        for s in made.segments
    ]
    console.print(f"{made.definition} from {short(made.start)} to {short(made.end)}")
    if any(s["verdict"] for s in made.segments):
        show(
            rows,
            ["number", "from", "to", "verdict", "family", "model", "training_cutoff", "episodes"],
            False,
            "",
        )
    if made.events:
        shown = (
            "event_recall",
            "false_alarms_per_week",
            "episode_precision",
            "time_in_alarm",
            "median_lead_time",
        )
        behind = counts(made.events)
        for n in shown:
            console.print(f"{METRIC_TITLES[n]}: {format_metric(made.events, n)}{behind.get(n, '')}")
    if made.load:
        load = made.load
        noun = "episode" if load["episodes"] == 1 else "episodes"
        console.print(
            f"{load['episodes']} {noun}, {load['per_day'] or 0:.3g} a day "
            f"({load['per_week']['value'] or 0:.3g} a week); "
            f"at most {load['peak']} within 10 minutes, {load['floods']} floods (more than "
            f"{load['flood_above']}); "
            f"{load['days_without']} days without any",
        )
    if bursts := made.metrics.get("bursts"):
        console.print(bursts)
    if not_notified := made.metrics.get("not_notified"):
        console.print(
            f"{not_notified} more episodes began and ended while suppressed by design: without "
            "notification, in no metric",
        )
    if made.cost:
        cost = made.cost
        console.print(
            f"cost {cost['total']:.4g} (misses {cost['misses']:.4g}, false alarms "
            f"{cost['false_alarms']:.4g}), "
            f"{cost['per_week']:.4g} a week",
        )
    console.print(made.headline)
    if made.is_stored:
        console.print(f"stored result of {short(made.finished_at)}; --fresh computes it again")
    elif made.resumed:
        console.print(f"continued after {made.resumed} segments that were finished before")
    console.print(
        f"no notification was sent, no live data changed; written to {target} (backtest {made.id})"
    )
