"""Commands on models: `train`, `models`, `dataset`, `score` and `alerting model …`, and the result
of a training in words."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from textwrap import wrap
from typing import Annotated, Any

import typer
from rich.text import Text

from alerting.cli import options
from alerting.cli.command import (
    Line,
    Output,
    OutputTable,
    colored,
    command,
    commands_below,
    platform,
    progress,
    require_file,
    require_past,
    say,
    short,
    table_output,
    user,
    with_instants,
    writes,
)
from alerting.cli.main import command_group
from alerting.cli.options import DefinitionName, read_instant
from alerting.definitions.alert_definition import fixed_threshold
from alerting.definitions.faults import UserError
from alerting.definitions.file_form import Stated
from alerting.definitions.wording.language import count_in_english, format_threshold, joined
from alerting.kinds.protocol import ScoredRows
from alerting.learning.data.findings import Finding, describe_findings
from alerting.learning.selection.decision import CandidateSummary, Proposal
from alerting.local.supervisor import may_run, own_identity
from alerting.ports import Platform, Progress
from alerting.readings.history import from_millis
from alerting.reporting.definition import decision_text
from alerting.reporting.phrases import seconds
from alerting.usecases.definitions.versions import require_revision
from alerting.usecases.model_registry import export_onnx
from alerting.usecases.scoring.past_scores import champion, plan_scoring, score_past
from alerting.usecases.training.definition_dataset import dataset_of, profile
from alerting.usecases.training.due import (
    UnderWay,
    end_dead_trainings,
    find_due_trainings,
    training_under_way,
)
from alerting.usecases.training.promote import model_history
from alerting.usecases.training.promote import rollback as roll_back
from alerting.usecases.training.training_requests import answer_run, require_none_under_way
from alerting.usecases.training.training_steps import train as train_now

model_group = command_group("Models: approve, reject and roll back champions.")

AsOf = Annotated[
    datetime | None,
    typer.Option(
        "--as-of",
        parser=read_instant,
        help="Use only data known at this instant, ISO 8601 with zone.",
        metavar="TIME",
    ),
]
Verbose = Annotated[
    bool,
    typer.Option(
        "--verbose", help="Print all figures, also those for statisticians, and every finding."
    ),
]
_VERBOSE = "--verbose"
_WHOLE = "\u00a0%"  # a percentage that no line breaks
_SCREEN = 15  # lines of a result without --verbose


@writes
def train(
    name: Annotated[str | None, typer.Argument(help="Name of the definition.")] = None,
    as_of: AsOf = None,
    due: Annotated[
        bool,
        typer.Option(
            "--due",
            help="Train every definition whose question is new or changed, or failed before.",
        ),
    ] = False,
    again: Annotated[
        bool,
        typer.Option(
            "--again",
            help="Train also beside one that is under way, and where nothing is new since the last "
            "one.",
        ),
    ] = False,
    verbose: Verbose = False,
) -> Output:
    """Train and compare candidates, and promote the best if it passes the gates; prints the result
    and its reason first."""
    if (name is None) != due or (due and as_of):
        raise typer.BadParameter("name one definition, or train all that are due with --due alone")
    with platform() as p, progress() as report_progress:
        require_past(p.clock.now(), as_of, option="--as-of")
        end_dead_trainings(p, may_run)
        if name is None:
            trained = [*_train_due(p, report_progress)]
            return table_output(trained, ["definition", "verdict", "reason"], "no training is due")
        if not again:
            require_none_under_way(p, name)
        run_ids = {d.run_id for d in p.decisions.for_definition(name)}
        result = _train(p, name, as_of or p.clock.now(), report_progress, only_new=not again)
    whose = _name_training(result, as_of, is_known=result.run_id in run_ids)
    return Output(result, [*whose, *lines_of_proposal(result, verbose)])


def _train_due(p: Platform, progress: Progress) -> Iterator[dict[str, Any]]:
    for due in find_due_trainings(p, p.clock.now()):
        row = {"definition": due.definition, "run": due.run}
        try:
            result = _train(p, due.definition, p.clock.now(), progress)
            why = joined(" ", result.reason, result.details)
            yield row | {"verdict": result.verdict, "reason": why}
        except UserError as refusal:
            yield row | {"verdict": "failed", "reason": refusal.message}


def _train(
    p: Platform, name: str, at: datetime, progress: Progress, *, only_new: bool = False
) -> Proposal:
    result = train_now(p, name, at, progress, only_new, own_identity())
    after = {"run": result.run_id, "verdict": result.verdict}
    p.audit.add(user(), "trained by command", result.definition, p.clock.now(), after=after)
    return result


def _name_training(result: Proposal, as_of: datetime | None, *, is_known: bool) -> Iterator[Line]:
    """Yield the training to which the result belongs, if this command did not run it."""
    if is_known:
        exact = f" --as-of {as_of.isoformat()}" if as_of else ""
        anew = f"alerting train {result.definition}{exact} --again"
        yield Text(
            f"Nothing is new since the training as of {short(result.as_of)}; all the same: {anew}"
        )


@model_group.command("approve")
@writes
def approve(
    run_id: Annotated[
        str,
        typer.Argument(
            help="Run of the training or its beginning, or a definition for its last one."
        ),
    ],
    reject: Annotated[
        str | None,
        typer.Option("--reject", help="Reject it instead, for this reason.", metavar="REASON"),
    ] = None,
) -> Output:
    """Approve the promotion that a training proposed, or reject it with a reason."""
    with platform() as p:
        result = answer_run(p, run_id, user(), reject)
    return Output(result, [*_wrapped([decision_text.result_line(result)])])


@model_group.command("rollback")
@writes
def rollback(
    name: DefinitionName,
    reason: Annotated[str, typer.Option("--reason", help="Reason, recorded with the decision.")],
    to: Annotated[
        int | None,
        typer.Option(
            "--to",
            help="A version that was in service; the one before when left out.",
            metavar="VERSION",
        ),
    ] = None,
) -> Output:
    """Put an earlier champion back into service; evaluation uses it from now on."""

    with platform() as p:
        record = roll_back(p, name, reason, user(), to)
    return Output(record, [f"{say(record.reason)} In service since {short(record.acted_at)}."])


@model_group.command("export")
@command
def export(
    name: DefinitionName,
    out: Annotated[Path, typer.Option("--out", help="ONNX file to write.", metavar="FILE.onnx")],
    model: Annotated[
        str | None,
        typer.Option("--model", help="A version; the champion when left out.", metavar="VERSION"),
    ] = None,
    asset: Annotated[
        str | None,
        typer.Option("--asset", help="Of a detector of several assets, which.", metavar="ASSET"),
    ] = None,
) -> Output:
    """Write a model as an ONNX file: from a row of its features to its probability, or to how
    unlike normal it is, for other runtimes."""

    require_file(out, "model.onnx")
    with platform() as p:
        revision = require_revision(p.definitions, name)
        number = champion(p, revision, model)
        data = export_onnx(p, revision.definition, number, asset)
    out.write_bytes(data)
    result = {"definition": name, "version": number, "file": str(out), "bytes": len(data)}
    return Output(result, [f"version {number} of {name} written to {out} ({len(data):,} bytes)"])


@command
@options.states_form(
    *("time", "time_format", "asset", "asset_column", "asset_prefix", "zone", "rename", "sheet")
)
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
    *,
    stated: Stated,
) -> Output:
    """Show the newest score of each asset, or write the scores of the past or of a FILE: time,
    asset, score, threshold, reason.

    The scores are the same as in live evaluation: no instant sees later readings, and instants from
    which the model has learned, or in recovery after a problem, are unknown. The scores of a FILE
    are computed from its readings and the stored events. Nothing is stored, and nothing is sent.
    """
    if (history or file is not None) == (out is None) or (history and file is not None):
        raise typer.BadParameter(
            "give --out together with --history or with a FILE", param_hint="--out"
        )
    if (start or end) and not history:
        raise typer.BadParameter("goes with --history only", param_hint="--from/--to")
    if file is None and stated:
        raise typer.BadParameter("options of a file go with a FILE only", param_hint="FILE")
    if file is None or out is None:
        return _score_stored(name, start, end, model, out)
    if model is not None:
        raise typer.BadParameter("a FILE is scored by the champion", param_hint="--model")
    from alerting.adapters.scored_files import score_file

    with platform() as p, progress() as report:
        scored = score_file(p, name, file, options.file_form(stated), out, report)
    written = (
        f"{scored.scores:,} scores of {scored.rows:,} rows by version {scored.version}, written to "
        f"{out}"
    )
    lines = [written, *_unknown(scored.unknown), *scored.notes]
    return Output(vars(scored) | {"file": str(out)}, lines)


def _score_stored(
    name: str, start: datetime | None, end: datetime | None, model: str | None, out: Path | None
) -> Output:
    """Return the newest score of each asset, or write the scores of an interval to a file."""
    from alerting.adapters.scored_files import write_scores

    with platform() as p, progress() as report:
        require_past(p.clock.now(), start, end)
        plan = plan_scoring(p, name, start, end, model, newest=out is None)
        scored: Iterable[tuple[str, ScoredRows]] = score_past(p, plan, report)
        if out is None:
            newest = [_newest_row(asset, rows) for asset, rows in scored]
            values = [
                value for value in ("low", "median", "high") if any(value in r for r in newest)
            ]
            columns = ["asset", "time", "score", "threshold", *values, "model_version", "reason"]
            return table_output(newest, columns, "no asset")
        counts = write_scores(out, scored)
    number = counts.pop("", 0)
    unknown = dict(counts.most_common())
    written = (
        f"{number:,} scores by version {plan.version}, {short(plan.start)} to {short(plan.end)}, "
        f"written to {out}"
    )
    content = {"file": str(out), "version": plan.version, "from": plan.start, "to": plan.end}
    return Output(content | {"scores": number, "unknown": unknown}, [written, *_unknown(unknown)])


def _unknown(counts: Mapping[str, int]) -> list[str]:
    return [f"unknown: {count:,} instants: {say(reason)}" for reason, count in counts.items()]


def _newest_row(asset: str, rows: ScoredRows) -> dict[str, Any]:
    is_known = not rows.unknown[-1]
    row = {
        "asset": asset,
        "time": from_millis(int(rows.at[-1])),
        "score": float(rows.score[-1]) if is_known and rows.has_alarm else None,
        "threshold": rows.threshold if rows.has_alarm else None,
        "model_version": rows.model_version,
        "reason": rows.unknown[-1] or None,
    }
    if rows.interval is None or not is_known:
        return row
    return row | dict(zip(("low", "median", "high"), rows.interval[-1].tolist(), strict=True))


@command
def dataset(
    name: Annotated[str, typer.Argument(help="Name of a classifier definition.")],
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            help="Write features, label, asset, ts, part and weight to this Parquet file.",
            metavar="FILE.parquet",
        ),
    ] = None,
    as_of: AsOf = None,
    verbose: Verbose = False,
) -> Output:
    """Show the rows of a training: rows and positives by part, left-out rows with the reason, and
    data quality."""

    with platform() as p:
        require_past(p.clock.now(), as_of, option="--as-of")
        built = dataset_of(p, name, as_of or p.clock.now())
    if out is not None:
        from alerting.learning.data.dataset import export_table

        require_file(out, "dataset.parquet")
        written = export_table(built)
        written.to_parquet(out, index=False)
    content = profile(built)
    lines = _lines_of_dataset(content, built.findings, verbose)
    if out is None:
        return Output(content, lines)
    return Output(content | {"file": str(out)}, [*lines, f"{len(written):,} rows written to {out}"])


def _lines_of_dataset(
    content: Mapping[str, Any], findings: Sequence[Finding], verbose: bool
) -> Iterator[Line]:
    features, problems = (
        count_in_english(f"{{number}} {noun}", f"{{number}} {noun}s", content[key])
        for noun, key in (("feature", "columns"), ("problem", "problems"))
    )
    yield f"{content['definition']}, revision {content['revision']}: {features}, {problems} known"
    yield OutputTable(content["parts"], ["part", "rows", "positive", "assets", "from", "to"])
    if content["dropped"]:
        dropped = [
            {"dropped because": decision_text.drop_reason(code), "rows": rows}
            for code, rows in content["dropped"].items()
        ]
        yield OutputTable(dropped, ["dropped because", "rows"])
    if verbose:
        columns = ["kind", "variable", "value", "consequence", "message"]
        yield OutputTable([vars(finding) for finding in findings], columns)
    else:
        yield from (f"data: {say(line)}" for line in describe_findings(findings))
    if not findings:
        yield "no data quality findings"


@command
def models(name: DefinitionName, verbose: Verbose = False) -> Output:
    """Show the champion, the result of the last training, all versions, and every decision with its
    reason."""

    with platform() as p:
        history = model_history(p, name)
        alarm_at = fixed_threshold(require_revision(p.definitions, name).definition)
        now = p.clock.now()
        under_way = training_under_way(
            history["unfinished"], now, datetime.now(UTC), p.line_speed()
        )
    lines = [*_lines_of_models(history, under_way, now, verbose)]
    if alarm_at is not None:
        text = (
            f"The definition fixes the alarm at a risk of {format_threshold(alarm_at)}: figures "
            "here are of the threshold of each training."
        )
        lines = [*_wrapped([text], "yellow"), *lines]
    return Output(history, lines)


def _lines_of_models(
    history: Mapping[str, Any], under_way: UnderWay | None, now: datetime, verbose: bool
) -> Iterator[Line]:
    name = history["definition"]
    if history["answers"] is not None:
        yield colored(f"{name} {say(history['answers'])}", "yellow")
    yield from _wrapped([_champion(history)], "bold")
    if under_way is not None:
        yield _describe_unfinished(history["unfinished"], under_way, now, name)
    if history["unreadable"]:
        yield colored(f"the model registry cannot be read: {say(history['unreadable'])}", "red")
    else:
        yield from _lines_of_training(history["training"], verbose)
        columns = ["version", "alias", "family", "revision"]
        columns += ["training_cutoff", "refit_cutoff", "threshold"]
        rows = [
            with_instants(_format_threshold_of(version), "training_cutoff", "refit_cutoff")
            for version in history["versions"]
        ]
        yield OutputTable(rows, columns, "no version is registered yet")
    if estimate := history["estimate"]:
        yield colored("\nwhat it learned", "bold")
        yield from (f"  {say(note)}" for note in estimate["notes"])
        for table in estimate["tables"]:
            rows = [dict(zip(table["columns"], row, strict=True)) for row in table["rows"]]
            yield f"\n{table['title']}"
            yield OutputTable(rows, table["columns"])
    if history["decisions"]:
        yield colored("\ndecisions, oldest first", "bold")
        columns = ["at", "as_of", "verdict", "challenger", "champion", "by", "reason"]
        rows = [
            {
                **with_instants(_format_threshold_of(d), "at", "as_of"),
                "by": d["actor"],
                "reason": joined(" ", d["reason"], d["details"]),
            }
            for d in history["decisions"]
        ]
        yield OutputTable(rows, columns)


def _champion(history: Mapping[str, Any]) -> str:
    name = history["definition"]
    if history["champion"] is None:
        return joined(": ", f"{name} has no champion", history["missing_champion"] or "")
    serving = next((d["summary"] for d in reversed(history["decisions"]) if d["promoted"]), "")
    provisional = f", provisional: {say(serving)}" if history["provisional"] else ""
    since = short(datetime.fromisoformat(history["since"]))
    by_twin = ", by its twin: the refit gave way" if history["by_twin"] else ""
    return f"{name}: version {history['champion']} in service since {since}{by_twin}{provisional}"


def _describe_unfinished(
    training: Mapping[str, Any], under_way: UnderWay, now: datetime, name: str
) -> Line:
    silent = seconds((now - under_way.last_sign).total_seconds())
    done = f"{training['candidates_done']} of {training['candidates'] or 'unknown'} candidates done"
    text = f"training since {short(under_way.started_at)}: {training['step']}, {done}"
    if not under_way.is_silent:
        return colored(f"{text} (last step {silent} ago)", "yellow")
    return colored(
        f"{text}; no progress for {silent}; the training was probably interrupted, start it "
        f"again: alerting train {name}",
        "red",
    )


def _lines_of_training(training: Mapping[str, Any] | None, verbose: bool) -> Iterator[Line]:
    if training is None:
        return
    as_of = short(training["as_of"])
    yield colored(f"\nlast training, as of {as_of}, run {training['run_id']}", "bold")
    yield from _wrapped(decision_text.unseen_lines(training["test"]))
    if training["waiting"]:
        yield colored(f"waits for approval: alerting model approve {training['run_id']}", "yellow")
    yield from _wrapped(decision_text.cut_short_lines(training["leaderboard"]), "yellow")
    if verbose:
        yield from _lines_for_statisticians(
            training["leaderboard"], training["chance"], training["test"]
        )
    else:
        yield f"all figures: {_VERBOSE}"
    yield from _lines_of_alert(training["alert"] if training["waiting"] else "")
    yield ""


def _format_threshold_of(row: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return a row with its threshold formatted for tables."""
    if not row.get("threshold"):
        return row
    return {**row, "threshold": format_threshold(float(row["threshold"]))}


def _lines_of_candidates(leaderboard: Sequence[CandidateSummary]) -> Iterator[Line]:
    """Yield the best candidate of each family, best first."""
    lines = [vars(candidate) for candidate in decision_text.ranked(leaderboard)]
    titles = decision_text.candidate_titles(leaderboard)
    rows = [
        line | {key: decision_text.format_metric(line, key) for key in titles} for line in lines
    ]
    yield OutputTable(rows, ["family", *titles, "trials", "cut_short"])


def _lines_for_statisticians(
    leaderboard: Sequence[CandidateSummary], statistics: Sequence[str], test: Mapping[str, Any]
) -> Iterator[Line]:
    """Yield the candidates, the figures of tests, and all metrics of the test period with 95 %
    intervals."""
    yield from _lines_of_candidates(leaderboard)
    yield from statistics
    if "ap" in test:
        yield colored("test period, scored once (in brackets: 95 % intervals)", "bold")
        yield from (f"  {say(line)}" for line in decision_text.metric_lines(test))
    notes = (note for key in ("notes", "statistics") for note in test.get(key, ()))
    yield from (f"  {say(note)}" for note in notes)


def lines_of_proposal(result: Proposal, verbose: bool) -> Iterator[Line]:
    """Yield the result of a training: the decision, what it rests on, what to do, and findings on
    the data, on a first screen; all figures if `verbose`."""
    head = [*_wrapped([decision_text.result_line(result)], "bold")]
    yield from head
    reasons = [*_wrapped(decision_text.result_lines(result))]
    yield from reasons
    notes = [finding.message for finding in result.findings] if verbose else result.dataset.notes
    messages = [f"data: {say(note)}" for note in notes or result.dataset.notes]
    if verbose:
        yield from messages
        yield from decision_text.period_lines(result.dataset)
        yield from _lines_for_statisticians(
            result.leaderboard, decision_text.chance_lines(result.evidence), result.test
        )
        yield from _lines_of_alert(decision_text.proposed_alert(result.evidence))
        return
    learned = [*_wrapped(decision_text.learned_lines(result.dataset))]
    yield from learned
    room = _SCREEN - len(head) - len(reasons) - len(learned) - 1
    for message in messages:
        lines = [*_wrapped([message])]
        room -= len(lines)
        yield from lines if room >= 0 else ()
    findings = len(result.findings)
    every = f", and each of the {findings:,} findings" if findings > 1 else ""
    yield f"all figures{every}: {_VERBOSE}"
    yield from _lines_of_alert(decision_text.proposed_alert(result.evidence))


def _lines_of_alert(alert: str) -> Iterator[Line]:
    """Yield the definition that is ready instead of a model, to be copied from the end; nothing
    without one."""
    if alert:
        yield Text(f"\n{alert.rstrip()}")


def _wrapped(texts: Iterable[str], style: str = "") -> Iterator[Line]:
    """Yield texts in lines that a screen holds, with the commands that they carry."""
    for text in texts:
        yield from (
            colored(line.replace(_WHOLE, " %"), style)
            for line in wrap(
                say(text).replace(" %", _WHOLE),
                100,
                subsequent_indent="  ",
                break_on_hyphens=False,
                break_long_words=False,
            )
        )
        yield from commands_below(text)
