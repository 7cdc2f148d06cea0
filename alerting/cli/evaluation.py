"""`alerting evaluate` and `alerting score`."""

from collections.abc import Iterable
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from alerting.cli.ingest import options
from alerting.cli.ingest.commands import file_layout, with_time_columns
from alerting.cli.printing.output import console, plain, short, show, show_result, zone
from alerting.cli.support import (
    DefinitionName,
    End,
    Json,
    Start,
    command,
    instant,
    platform,
    progress,
    require_past,
    user,
    writes,
)
from alerting.reporting.base import messages

if TYPE_CHECKING:
    from alerting.adapters.files.rows import Layout
    from alerting.kinds.protocol.evaluation import ScoredRows
    from alerting.usecases.evaluation.run import EvaluationCounts
    from alerting.usecases.scoring.past_scores import ScoringPlan

_COUNTED = [
    "definitions",
    "targets",
    "raised",
    "closed",
    "determined",
    "withdrawn",
    "late",
    "too_late",
]
_COUNTED_PAST = ["definitions", "targets", "found", "raised", "withdrawn", "determined"]


@writes
def evaluate(
    names: Annotated[
        list[str] | None, typer.Argument(help="Definitions; all active ones when left out.")
    ] = None,
    start: Start = None,
    end: End = None,
    model: Annotated[
        str | None,
        typer.Option(
            help="With --from: evaluate the whole interval with this version, or `champion`.",
            metavar="VERSION",
        ),
    ] = None,
    revision: Annotated[
        str | None,
        typer.Option(
            help="With --from: evaluate with this revision, or `latest`.", metavar="REVISION"
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Evaluate new readings, raise and close episodes, and deliver notifications.

    With --from and --to it evaluates a past interval again: with the revisions and models in force
    then, before the first ones with the newest, or with those that are named. No notification is
    sent for a past interval.
    """
    from alerting.usecases.evaluation import evaluate as evaluation
    from alerting.usecases.notification.deliver import deliver_due

    begin = instant(start, "--from")
    stop = instant(end, "--to")
    if (begin is None) != (stop is None):
        raise typer.BadParameter("give both --from and --to, or neither", param_hint="--from/--to")
    if begin is None and (model or revision):
        raise typer.BadParameter("goes with --from and --to only", param_hint="--model/--revision")
    with platform() as p, progress() as report_progress:
        require_past(p.clock.now(), begin, stop)
        if begin is not None and stop is not None:
            if not names:
                raise typer.BadParameter(
                    "name the definition to evaluate again", param_hint="NAMES"
                )
            counts = [
                (n, evaluation.evaluate_past(p, n, begin, stop, model, revision, report_progress))
                for n in names
            ]
            after = {"from": begin, "to": stop, "model": model, "revision": revision}
            for name in names:
                what = "past evaluated again"
                p.audit.add(user(), what, name, p.clock.now(), after=after)
        else:
            now = p.clock.now()
            counts = [
                (
                    "all" if not names else ", ".join(names),
                    evaluation.evaluate(p, names, now, report_progress),
                )
            ]
            deliver_due(p, p.clock.now())
    show(
        [{"definitions": n, **plain(c)} for n, c in counts],
        _COUNTED if stop is None else _COUNTED_PAST,
        as_json,
        "nothing to evaluate",
    )
    if not as_json:
        if stop is None:
            latency = timedelta(seconds=counts[0][1].latency_s)
            console.print(messages.evaluated_to(now - latency, latency, zone()), style="dim")
        for _, count in counts:
            _show_notes(count)


def _show_notes(count: "EvaluationCounts") -> None:
    for note in count.notes:
        console.print(note)
    for target, reason in count.unknown.items():
        console.print(f"unknown: {target}: {reason}")


@command
def score(
    name: DefinitionName,
    file: Annotated[
        Path | None,
        typer.Argument(
            help="Readings to score, CSV or Parquet as `import readings` reads them.",
            metavar="[FILE]",
        ),
    ] = None,
    history: Annotated[
        bool,
        typer.Option("--history", help="Write past scores to --out, instead of the newest ones."),
    ] = False,
    start: Annotated[
        str | None,
        typer.Option(
            "--from",
            help="Start, ISO 8601 with zone; the training cutoff of the model when left out.",
            metavar="TIME",
        ),
    ] = None,
    end: Annotated[
        str | None,
        typer.Option(
            "--to", help="End, ISO 8601 with zone; the last reading when left out.", metavar="TIME"
        ),
    ] = None,
    model: Annotated[
        str | None,
        typer.Option(help="Version of the model; the champion when left out.", metavar="VERSION"),
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", help="File to write, .csv or .parquet.", metavar="FILE")
    ] = None,
    time: options.Time = None,
    time_format: options.TimeFormat = None,
    asset: options.AssetName = None,
    asset_column: options.AssetColumn = None,
    asset_prefix: options.AssetPrefix = "",
    tz: options.Zone = None,
    rename: options.Rename = None,
    as_json: Json = False,
) -> None:
    """Show the newest score of each asset, or write those of the past or of a FILE: time, asset,
    score, threshold, reason.

    The scores are those that live evaluation gives: no instant sees later readings, and instants
    that the model has learned from, or in recovery after a problem, are unknown. Those of a FILE
    are computed from its readings and the stored events. Nothing is stored, and nothing is sent.
    """
    from alerting.usecases.scoring.past_scores import plan_scoring, score_past

    if (history or file is not None) == (out is None) or (history and file is not None):
        raise typer.BadParameter(
            "give --out together with --history or with a FILE", param_hint="--out"
        )
    if (start or end) and not history:
        raise typer.BadParameter("goes with --history only", param_hint="--from/--to")
    layout_options = (time, time_format, asset, asset_column, asset_prefix, tz, rename)
    if file is None and any(layout_options):
        raise typer.BadParameter("options of a file go with a FILE only", param_hint="FILE")
    if file is not None and out is not None:
        if model is not None:
            raise typer.BadParameter("a FILE is scored by the champion", param_hint="--model")
        layout = with_time_columns(
            file_layout(asset, asset_column, asset_prefix, None, None, None, rename, None),
            time,
            time_format,
            tz,
        )
        return _score_file(name, file, layout, out, as_json)
    begin = instant(start, "--from")
    stop = instant(end, "--to")
    with platform() as p, progress() as report:
        require_past(p.clock.now(), begin, stop)
        plan = plan_scoring(p, name, begin, stop, model, newest=not history)
        scored = score_past(p, plan, report)
        if out is not None:
            return _write_scores(plan, scored, out, as_json)
        newest = [_newest_row(asset_name, rows) for asset_name, rows in scored]
    values = [name for name in ("low", "median", "high") if any(name in row for row in newest)]
    return show(
        newest,
        ["asset", "time", "score", "threshold", *values, "model_version", "reason"],
        as_json,
        "no asset",
    )


def _score_file(name: str, file: Path, layout: "Layout", out: Path, as_json: bool) -> None:
    from alerting.adapters.predictions.file_scores import score_file

    with platform() as p, progress() as report:
        scored = score_file(p, name, file, layout, out, report)
    document = {
        "file": str(out),
        "version": scored.version,
        "rows": scored.rows,
        "scores": scored.scores,
        "unknown": scored.unknown,
        "notes": scored.notes,
    }
    written = (
        f"{scored.scores:,} scores of {scored.rows:,} rows by version {scored.version}, written to "
        f"{out}"
    )
    lines = [f"unknown: {count:,} instants: {reason}" for reason, count in scored.unknown.items()]
    show_result(document, as_json, written, *lines, *scored.notes)


def _write_scores(
    plan: "ScoringPlan", scored: "Iterable[tuple[str, ScoredRows]]", out: Path, as_json: bool
) -> None:
    from alerting.adapters.files.tables.score_table import write_scores

    counts = write_scores(out, scored)
    known = counts.pop("", 0)
    unknown = dict(counts.most_common())
    document = {
        "file": str(out),
        "version": plan.version,
        "from": plan.start,
        "to": plan.end,
        "scores": known,
        "unknown": unknown,
    }
    written = (
        f"{known:,} scores by version {plan.version}, {short(plan.start)} to {short(plan.end)}, "
        f"written to {out}"
    )
    show_result(
        document,
        as_json,
        written,
        *(f"unknown: {count:,} instants: {reason}" for reason, count in unknown.items()),
    )


def _newest_row(asset: str, rows: "ScoredRows") -> dict[str, Any]:
    from alerting.readings.instants import from_millis

    known = not rows.unknown[-1]
    found = {
        "asset": asset,
        "time": from_millis(int(rows.at[-1])),
        "score": float(rows.score[-1]) if known and rows.has_alarm else None,
        "threshold": rows.threshold if rows.has_alarm else None,
        "model_version": rows.model_version,
        "reason": rows.unknown[-1] or None,
    }
    if rows.values is None or not known:
        return found
    return found | dict(zip(("low", "median", "high"), rows.values[-1][0].tolist(), strict=True))
