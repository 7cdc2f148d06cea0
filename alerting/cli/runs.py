"""Commands that run definitions over data: `evaluate`, `score`, `backtest` and `test`."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Annotated, Any

import typer

from alerting.cli import files as options
from alerting.cli.files import file_layout
from alerting.cli.output import Line, Output, OutputTable, colored, plain, short, table_output, zone
from alerting.cli.support import (
    DefinitionName,
    End,
    Start,
    command,
    definition_notes,
    lines_of_notes,
    platform,
    progress,
    read_document,
    read_duration,
    read_instant,
    require_past,
    user,
    write_file,
    writes,
)
from alerting.definitions.revisions import definition_document, in_plant_zone
from alerting.episodes.episode import Episode
from alerting.kinds.protocol import ScoredRows
from alerting.kinds.validation import parse_definition
from alerting.ports import Platform
from alerting.readings.history import from_millis
from alerting.reporting import phrases
from alerting.reporting.page.decision_text import METRIC_TITLES, counts, format_metric
from alerting.usecases.backtest import backtest as backtesting
from alerting.usecases.backtest.backtest import named_subject, written_subject
from alerting.usecases.backtest.sandbox import Backtest, Retrain, Subject
from alerting.usecases.definitions import revisions_and_targets, versions
from alerting.usecases.definitions.scenarios import read_scenarios, run_scenario
from alerting.usecases.evaluation import rounds as evaluation
from alerting.usecases.notification.delivery import deliver_due
from alerting.usecases.scoring.past_scores import plan_scoring, score_past

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
_METRICS = (
    "event_recall",
    "false_alarms_per_week",
    "episode_precision",
    "time_in_alarm",
    "median_lead_time",
)
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
) -> Output:
    """Evaluate new readings, raise and close episodes, and deliver notifications.

    With --from and --to it evaluates a past interval again: with the revisions and models in force
    then, before the first ones with the newest, or with those that are named. No notification is
    sent for a past interval.
    """
    if (start is None) != (end is None):
        raise typer.BadParameter("give both --from and --to, or neither", param_hint="--from/--to")
    if start is None and (model or revision):
        raise typer.BadParameter("goes with --from and --to only", param_hint="--model/--revision")
    if start is not None and not names:
        raise typer.BadParameter("name the definition to evaluate again", param_hint="NAMES")
    with platform() as p, progress() as report:
        now = p.clock.now()
        require_past(now, start, end)
        if start is None or end is None:
            counts = {", ".join(names or ["all"]): evaluation.evaluate(p, names, now, report)}
            deliver_due(p, p.clock.now())
        else:
            counts = {
                name: evaluation.evaluate_past(p, name, start, end, model, revision, report)
                for name in names or ()
            }
            after = {"from": start, "to": end, "model": model, "revision": revision}
            for name in counts:
                p.audit.add(user(), "past evaluated again", name, p.clock.now(), after=after)
    rows = [{"definitions": name, **plain(count)} for name, count in counts.items()]
    lines: list[Line] = [OutputTable(rows, _COUNTED if end is None else _COUNTED_PAST)]
    if end is None:
        [count] = counts.values()
        latency = timedelta(seconds=count.latency_s)
        lines.append(colored(phrases.evaluated_to(now - latency, latency, zone()), "dim"))
    for count in counts.values():
        lines += count.notes
        lines += (f"unknown: {target}: {reason}" for target, reason in count.unknown.items())
    return Output(rows, lines)


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
        datetime | None,
        typer.Option(
            "--from",
            parser=read_instant,
            help="Start, ISO 8601 with zone; the training cutoff of the model when left out.",
            metavar="TIME",
        ),
    ] = None,
    end: Annotated[
        datetime | None,
        typer.Option(
            "--to",
            parser=read_instant,
            help="End, ISO 8601 with zone; the last reading when left out.",
            metavar="TIME",
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
) -> Output:
    """Show the newest score of each asset, or write those of the past or of a FILE: time, asset,
    score, threshold, reason.

    The scores are those that live evaluation gives: no instant sees later readings, and instants
    that the model has learned from, or in recovery after a problem, are unknown. Those of a FILE
    are computed from its readings and the stored events. Nothing is stored, and nothing is sent.
    """
    if (history or file is not None) == (out is None) or (history and file is not None):
        raise typer.BadParameter(
            "give --out together with --history or with a FILE", param_hint="--out"
        )
    if (start or end) and not history:
        raise typer.BadParameter("goes with --history only", param_hint="--from/--to")
    of_file = (time, time_format, asset, asset_column, asset_prefix, tz, rename)
    if file is None and any(of_file):
        raise typer.BadParameter("options of a file go with a FILE only", param_hint="FILE")
    if file is None or out is None:
        return _score_stored(name, start, end, model, out)
    if model is not None:
        raise typer.BadParameter("a FILE is scored by the champion", param_hint="--model")
    from alerting.adapters.predictions import score_file

    layout = file_layout(
        asset=asset,
        asset_column=asset_column,
        asset_prefix=asset_prefix,
        time=time,
        time_format=time_format,
        zone=tz,
        rename=rename,
    )
    with platform() as p, progress() as report:
        scored = score_file(p, name, file, layout, out, report)
    written = (
        f"{scored.scores:,} scores of {scored.rows:,} rows by version {scored.version}, written to "
        f"{out}"
    )
    lines = [written, *_unknown(scored.unknown), *scored.notes]
    return Output(vars(scored) | {"file": str(out)}, lines)


def _score_stored(
    name: str, start: datetime | None, end: datetime | None, model: str | None, out: Path | None
) -> Output:
    """Return the newest score of each asset, or write those of an interval to a file."""
    from alerting.adapters.predictions import write_scores

    with platform() as p, progress() as report:
        require_past(p.clock.now(), start, end)
        plan = plan_scoring(p, name, start, end, model, newest=out is None)
        scored: Iterable[tuple[str, ScoredRows]] = score_past(p, plan, report)
        if out is None:
            newest = [_newest_row(asset, rows) for asset, rows in scored]
            values = [one for one in ("low", "median", "high") if any(one in r for r in newest)]
            columns = ["asset", "time", "score", "threshold", *values, "model_version", "reason"]
            return table_output(newest, columns, "no asset")
        counts = write_scores(out, scored)
    known = counts.pop("", 0)
    unknown = dict(counts.most_common())
    written = (
        f"{known:,} scores by version {plan.version}, {short(plan.start)} to {short(plan.end)}, "
        f"written to {out}"
    )
    found = {"file": str(out), "version": plan.version, "from": plan.start, "to": plan.end}
    return Output(found | {"scores": known, "unknown": unknown}, [written, *_unknown(unknown)])


def _unknown(counts: Mapping[str, int]) -> list[str]:
    return [f"unknown: {count:,} instants: {reason}" for reason, count in counts.items()]


def _newest_row(asset: str, rows: ScoredRows) -> dict[str, Any]:
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


def _read_cadence(text: str) -> Retrain:
    if text in ("never", "scheduled"):
        return "never" if text == "never" else "scheduled"
    interval = read_duration(text)
    if interval < timedelta(hours=1):
        raise typer.BadParameter(f"{text!r} is too short; the shortest is 1h, or `never`")
    return interval


@writes
def backtest(
    what: Annotated[
        str,
        typer.Argument(
            metavar="NAME|FILE", help="Name of a definition, draft or not; or a YAML or JSON file."
        ),
    ],
    start: Annotated[
        datetime | None,
        typer.Option(
            "--from",
            parser=read_instant,
            help=(
                "Start, ISO 8601 with zone; four weeks before --to if left out, or at the first "
                "reading."
            ),
            metavar="TIME",
        ),
    ] = None,
    end: Annotated[
        datetime | None,
        typer.Option(
            "--to",
            parser=read_instant,
            help=(
                "End, ISO 8601 with zone; the last midnight (UTC) when left out, or the last "
                "reading before it."
            ),
            metavar="TIME",
        ),
    ] = None,
    retrain: Annotated[
        Any,
        typer.Option(
            parser=_read_cadence,
            metavar="DURATION",
            help=(
                "Train this often, e.g. 7d, or `never` after the start; the schedule of the "
                "definition when left out."
            ),
        ),
    ] = "scheduled",
    fresh: Annotated[
        bool, typer.Option("--fresh", help="Ignore the stored result of the same backtest.")
    ] = False,
    out: Annotated[
        Path | None,
        typer.Option("--out", help="HTML file to write; NAME-backtest.html when left out."),
    ] = None,
) -> Output:
    """Backtest a definition: walk forward through history, training on the way, without
    notifications.

    Works on a definition in service, on a draft, and on a file that is not applied. Nothing live
    changes. The same command continues an interrupted backtest after its last finished segment, and
    shows a finished one at once.
    """
    with platform() as p, progress() as report:
        subject = _subject(p, what)
        begin, until = backtesting.find_period(p, subject, start, end)
        made = backtesting.backtest(p, subject, begin, until, retrain, fresh, report)
        notes = definition_notes(p, [subject.definition])
    target = out or Path(f"{made.definition}-backtest.html")
    write_file(target, made.page)
    found = vars(made) | {"episodes": [_raised(episode) for episode in made.episodes]}
    found |= {"page": str(target), **notes[made.definition]}
    done = (
        f"no notification was sent, no live data changed; written to {target} (backtest {made.id})"
    )
    return Output(found, [*lines_of_notes(notes), *_lines_of_backtest(made), done])


def _subject(p: Platform, what: str) -> Subject:
    file = Path(what)
    if file.suffix not in (".yaml", ".yml", ".json") and not file.exists():
        return named_subject(p, what)
    return written_subject(p, read_document(file))


def _raised(episode: Episode) -> dict[str, Any]:
    names = ("id", "asset", "severity", "raised_at", "closed_at", "model_version")
    outcome = episode.outcome_record
    return {name: getattr(episode, name) for name in names} | {
        "value": episode.evaluation.value,
        "threshold": episode.evaluation.threshold,
        "outcome": outcome.outcome if outcome else None,
        "reason": episode.evaluation.reason,
    }


def _lines_of_backtest(made: Backtest) -> Iterator[Line]:
    yield f"{made.definition} from {short(made.start)} to {short(made.end)}"
    if any(s["verdict"] for s in made.segments):
        rows = [
            {**s, "model": (s["model_hash"] or "")[:12], "from": s["start"], "to": s["end"]}
            for s in made.segments
        ]
        columns = ["number", "from", "to", "verdict", "family", "model", "training_cutoff"]
        yield OutputTable(rows, [*columns, "episodes"])
    if made.events:
        behind = counts(made.events)
        for name in _METRICS:
            value = format_metric(made.events, name)
            yield f"{METRIC_TITLES[name]}: {value}{behind.get(name, '')}"
    if load := made.load:
        yield (
            f"{load['episodes']} {'episode' if load['episodes'] == 1 else 'episodes'}, "
            f"{load['per_day'] or 0:.3g} a day ({load['per_week']['value'] or 0:.3g} a week); "
            f"at most {load['peak']} within 10 minutes, {load['floods']} floods (more than "
            f"{load['flood_above']}); {load['days_without']} days without any"
        )
    if bursts := made.metrics.get("bursts"):
        yield bursts
    if not_notified := made.metrics.get("not_notified"):
        yield (
            f"{not_notified} more episodes began and ended while suppressed by design: without "
            "notification, in no metric"
        )
    if cost := made.cost:
        yield (
            f"cost {cost['total']:.4g} (misses {cost['misses']:.4g}, false alarms "
            f"{cost['false_alarms']:.4g}), {cost['per_week']:.4g} a week"
        )
    yield made.headline
    if made.is_stored:
        yield f"stored result of {short(made.finished_at)}; --fresh computes it again"
    elif made.resumed:
        yield f"continued after {made.resumed} segments that were finished before"


@command
def test(
    files: Annotated[
        list[Path],
        typer.Argument(help="YAML files, each with one definition and its scenarios."),
    ],
) -> Output:
    """Run scenarios: readings over time and the transitions that must follow. Exit code 1 if one
    fails.

    A definition is a file beside the scenarios, or written in them, or the name of one that is in
    the database.
    """
    rows = [row for file in files for row in _run_scenarios(file)]
    is_failure = not all(row["passed"] for row in rows)
    return Output(rows, _lines_of_scenarios(rows), is_failure)


def _run_scenarios(file: Path) -> Iterator[dict[str, Any]]:
    written = read_scenarios(read_document(file), str(file))
    document = _definition(written.definition, file)
    definition = in_plant_zone(parse_definition(document), str(zone()))
    for result in (run_scenario(definition, scenario) for scenario in written.scenarios):
        row = {name: getattr(result, name) for name in ("title", "passed", "difference")}
        yield {"file": str(file), **row, "notes": result.notes, "found": result.found}


def _lines_of_scenarios(rows: Sequence[Mapping[str, Any]]) -> Iterator[Line]:
    for row in rows:
        yield f"{'passed' if row['passed'] else 'FAILED'}  {row['title']}  ({row['file']})"
        if not row["passed"]:
            yield "        - expected and not found, + found and not expected"
        for line in row["difference"]:
            yield colored(f"        {line}", {"-": "red", "+": "green"}.get(line[0], ""))
        yield from (colored(f"        {note}", "yellow") for note in row["notes"])
    passed = sum(row["passed"] for row in rows)
    yield f"{passed} of {len(rows)} scenarios passed"


def _definition(written: str | dict[str, Any], file: Path) -> dict[str, Any]:
    if isinstance(written, dict):
        return written
    beside = file.parent / written
    if beside.suffix in {".yaml", ".yml", ".json"}:
        return read_document(beside)
    with platform() as p:
        revisions_and_targets.sync(p, p.clock.now())
        return definition_document(versions.require_revision(p.definitions, written).definition)
