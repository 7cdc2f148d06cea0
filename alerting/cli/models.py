"""Commands on models: `train`, `models`, `dataset` and `alerting model …`, and the result of a
training in words."""

import os
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from alerting.cli.output import console, plain, print_json, print_text, short, show, show_result
from alerting.cli.support import (
    DefinitionName,
    Json,
    command,
    command_group,
    instant,
    platform,
    progress,
    require_file,
    require_past,
    user,
    writes,
)
from alerting.definitions.faults import UserError
from alerting.reporting.base.messages import seconds

if TYPE_CHECKING:
    from alerting.adapters.platform import Platform
    from alerting.learning.selection.proposal import CandidateSummary, Proposal
    from alerting.usecases.training.progress import UnderWay

model_group = command_group("Models: approve, reject and roll back champions.")

AsOf = Annotated[
    str | None,
    typer.Option(
        "--as-of", help="Use only data known at this instant, ISO 8601 with zone.", metavar="TIME"
    ),
]
Verbose = Annotated[
    bool, typer.Option("--verbose", help="Print every finding on the data, not one line a kind.")
]
RunId = Annotated[
    str,
    typer.Argument(help="Run of the training or its beginning, or a definition for its last one."),
]


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
            help="Train also beside one that is under way, which is followed else, and also where "
            "nothing is new since the last one.",
        ),
    ] = False,
    verbose: Verbose = False,
    as_json: Json = False,
) -> None:
    """Train and compare candidates, and promote the best if it passes the gates; prints the result
    and its reason first.

    A training that the platform has begun is followed to its end.
    """
    if (name is None) != due or (due and as_of):
        raise typer.BadParameter("name one definition, or train all that are due with --due alone")
    if name is None:
        _train_due(as_json)
        return
    from alerting.local.processes import may_run, own_identity
    from alerting.usecases.training import train as training
    from alerting.usecases.training.due import end_dead_trainings
    from alerting.usecases.training.runs import follow_training

    now = instant(as_of, "--as-of")
    with platform() as p, progress() as report_progress:
        require_past(p.clock.now(), now, option="--as-of")
        end_dead_trainings(p, may_run)
        known = {d.run_id for d in p.decisions.for_definition(name)}
        followed = None if again else _training_of_platform(p, name, now)
        if followed is None:
            at = now or p.clock.now()
            result = training.train(p, name, at, report_progress, not again, own_identity())
            _audit(p, result)
        else:
            result = follow_training(p, name, followed, _wait_a_second, report_progress)
    if as_json:
        print_json(result)
        return
    _say_whose(result, name, now, is_followed=followed is not None, is_known=result.run_id in known)
    show_proposal(result, verbose)


def _training_of_platform(p: "Platform", name: str, as_of: datetime | None) -> str | None:
    """Return the id of the training that is under way, or due and started by Airflow."""
    from alerting.local.airflow_client import start_training
    from alerting.settings.environment import read_settings
    from alerting.usecases.training.runs import training_to_follow

    return training_to_follow(p, name) or start_training(read_settings(os.environ), p, name, as_of)


def _wait_a_second() -> None:
    time.sleep(1.0)


def _train_due(as_json: bool) -> None:
    from alerting.local.processes import may_run, own_identity
    from alerting.usecases.training import train as training
    from alerting.usecases.training.due import end_dead_trainings, find_due_trainings

    results: list[dict[str, Any]] = []
    with platform() as p, progress() as report_progress:
        end_dead_trainings(p, may_run)
        for one in find_due_trainings(p, p.clock.now()):
            row = {"definition": one.definition, "run": one.run}
            try:
                result = training.train(
                    p, one.definition, p.clock.now(), report_progress, process=own_identity()
                )
                _audit(p, result)
                results.append(row | {"verdict": result.verdict, "reason": result.reason})
            except UserError as refusal:
                results.append(row | {"verdict": "failed", "reason": str(refusal)})
    show(results, ["definition", "verdict", "reason"], as_json, "no training is due")


def _audit(p: "Platform", result: "Proposal") -> None:
    after = {"run": result.run_id, "verdict": result.verdict}
    p.audit.add(user(), "trained by command", result.definition, p.clock.now(), after=after)


@model_group.command("approve")
@writes
def approve(
    run_id: RunId,
    reject: Annotated[
        str | None,
        typer.Option("--reject", help="Reject it instead, for this reason.", metavar="REASON"),
    ] = None,
    as_json: Json = False,
) -> None:
    """Approve the promotion that a training proposed, or reject it with a reason."""
    from alerting.usecases.training.runs import answer_run

    with platform() as p:
        result = answer_run(p, run_id, user(), reject)
    show_result(result, as_json, f"{result.verdict}: {result.reason}")


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
    as_json: Json = False,
) -> None:
    """Put an earlier champion back into service; evaluation uses it from now on."""
    from alerting.usecases.training import promote

    with platform() as p:
        record = promote.rollback(p, name, reason, user(), to)
    show_result(record, as_json, f"{record.reason}. In service since {short(record.acted_at)}.")


@model_group.command("export")
@command
def export(
    name: DefinitionName,
    out: Annotated[Path, typer.Option("--out", help="ONNX file to write.", metavar="FILE.onnx")],
    model: Annotated[
        str | None,
        typer.Option("--model", help="A version; the champion when left out.", metavar="VERSION"),
    ] = None,
    as_json: Json = False,
) -> None:
    """Write a model as an ONNX file: from a row of its features to its probability, for other
    runtimes."""
    from alerting.usecases.definitions.lookup import require_revision
    from alerting.usecases.registry.onnx_export import export_onnx
    from alerting.usecases.scoring.past_scores import champion

    require_file(out, "model.onnx")
    with platform() as p:
        revision = require_revision(p.definitions, name)
        number = champion(p, revision, model)
        data = export_onnx(p, revision.definition, number)
    out.write_bytes(data)
    result = {"definition": name, "version": number, "file": str(out), "bytes": len(data)}
    show_result(result, as_json, f"version {number} of {name} written to {out} ({len(data)} bytes)")


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
    as_json: Json = False,
) -> None:
    """Show the rows of a training: rows and positives by part, left-out rows with the reason, and
    data quality."""
    from alerting.learning.data.findings import describe_findings
    from alerting.usecases.training.dataset import dataset_of, profile

    now = instant(as_of, "--as-of")
    with platform() as p:
        require_past(p.clock.now(), now, option="--as-of")
        built = dataset_of(p, name, now or p.clock.now())
    if out is not None:
        from alerting.learning.data.files import export_table

        require_file(out, "dataset.parquet")
        export_table(built).to_parquet(out, index=False)
    content = profile(built)
    if as_json:
        print_json(content | ({"file": str(out)} if out else {}))
        return
    known = f"{content['columns']} features, {content['problems']} problems known"
    console.print(f"{name}, revision {content['revision']}: {known}")
    show(content["parts"], ["part", "rows", "positive", "assets", "from", "to"], False, "")
    if content["dropped"]:
        from alerting.reporting.page.decision_text import drop_reason

        dropped = [
            {"dropped because": drop_reason(code), "rows": rows}
            for code, rows in content["dropped"].items()
        ]
        show(dropped, ["dropped because", "rows"], False, "")
    if verbose:
        columns = ["kind", "variable", "value", "consequence", "message"]
        show([plain(finding) for finding in built.findings], columns, False, "")
    for line in describe_findings(built.findings) if not verbose else []:
        console.print(f"data: {line}")
    if not built.findings:
        console.print("no data quality findings")
    if out is not None:
        console.print(f"{len(built.rows)} rows written to {out}")


@command
def models(name: DefinitionName, as_json: Json = False) -> None:
    """Show the champion, the leaderboard of the last training, all versions, and every decision
    with its reason."""
    from alerting.usecases.training.progress import training_under_way
    from alerting.usecases.training.promote import model_history

    with platform() as p:
        history = model_history(p, name)
        now = p.clock.now()
        under_way = training_under_way(
            history["unfinished"], now, datetime.now(UTC), p.line_speed()
        )
    if as_json:
        print_json(history)
        return
    _show_champion(history)
    if under_way is not None:
        _show_unfinished(history["unfinished"], under_way, now, name)
    if history["unreadable"]:
        console.print(f"the model registry cannot be read: {history['unreadable']}", style="red")
    else:
        _show_training(history["training"])
        columns = ["version", "alias", "family", "revision"]
        columns += ["training_cutoff", "refit_cutoff", "threshold"]
        rows = [_short(v) for v in history["versions"]]
        show(rows, columns, False, "no version is registered yet")
    if history["estimate"]:
        _show_estimate(history["estimate"])
    if history["decisions"]:
        console.print("\ndecisions, oldest first", style="bold")
        columns = ["at", "as_of", "verdict", "challenger", "champion", "by", "reason"]
        rows = [_short(d) | {"by": d["actor"]} for d in history["decisions"]]
        show(rows, columns, False, "")


def _show_estimate(estimate: dict[str, Any]) -> None:
    console.print("\nwhat it learned", style="bold")
    for note in estimate["notes"]:
        console.print(f"  {note}")
    for table in estimate["tables"]:
        console.print(f"\n{table['title']}")
        rows = [dict(zip(table["columns"], row, strict=True)) for row in table["rows"]]
        show(rows, table["columns"], False, "")


def _show_champion(history: dict[str, Any]) -> None:
    if history["answers"] is not None:
        console.print(f"{history['definition']} {history['answers']}", style="yellow")
    if history["champion"] is None:
        why = f": {missing}" if (missing := history["missing_champion"]) else ""
        return console.print(f"{history['definition']} has no champion{why}", style="bold")
    serving = next((d["summary"] for d in reversed(history["decisions"]) if d["promoted"]), "")
    provisional = f", provisional: {serving}" if history["provisional"] else ""
    since = short(datetime.fromisoformat(history["since"]))
    by_twin = ", by its twin: the refit gave way" if history["by_twin"] else ""
    text = (
        f"{history['definition']}: version {history['champion']} in service since "
        f"{since}{by_twin}{provisional}"
    )
    return console.print(text, style="bold")


def _show_unfinished(
    training: dict[str, Any], under_way: "UnderWay", now: datetime, name: str
) -> None:
    silent = seconds((now - under_way.last_sign).total_seconds())
    done = f"{training['candidates_done']} of {training['candidates'] or 'unknown'} candidates done"
    text = f"training since {short(under_way.started_at)}: {training['step']}, {done}"
    if not under_way.is_silent:
        console.print(f"{text} (last step {silent} ago)", style="yellow")
    else:
        console.print(
            f"{text}; no progress for {silent}; the training was probably interrupted, start it "
            f"again: alerting train {name}",
            style="red",
        )


def _show_training(training: dict[str, Any] | None) -> None:
    if training is None:
        return
    console.print(
        f"\nlast training, as of {short(training['as_of'])}, run {training['run_id']}", style="bold"
    )
    _show_candidates(training["leaderboard"])
    for line in training["chance"]:
        console.print(line)
    _show_test(training["test"])
    if training["waiting"]:
        console.print(
            f"waits for approval: alerting model approve {training['run_id']}",
            style="yellow",
        )
    console.print()


def _short(row: dict[str, Any]) -> dict[str, Any]:
    """Return a row with its numbers formatted for tables."""
    from alerting.definitions.wording.spoken import format_threshold

    if not row.get("threshold"):
        return row
    return row | {"threshold": format_threshold(float(row["threshold"]))}


def _show_candidates(leaderboard: "Sequence[CandidateSummary]") -> None:
    """Print the best candidate of each family, best first, and what was cut short."""
    from alerting.reporting.page import decision_text as text

    lines = [vars(candidate) for candidate in text.ranked(leaderboard)]
    titles = text.candidate_titles(leaderboard)
    rows = [line | {key: text.format_metric(line, key) for key in titles} for line in lines]
    show(rows, ["family", *titles, "trials", "cut_short"], False, "")
    for said in text.cut_short_lines(leaderboard):
        console.print(said, style="yellow")


def _show_test(test: Mapping[str, Any]) -> None:
    """Print the metrics on the test period, with 95 % intervals, and the threshold's reason."""
    from alerting.definitions.wording.spoken import format_threshold
    from alerting.learning.selection.values import WORSE
    from alerting.reporting.page.decision_text import metric_lines

    if "ap" in test:
        console.print("test period, scored once (in brackets: 95 % intervals)", style="bold")
        for line in metric_lines(test):
            console.print(f"  {line}")
    for note in test.get("notes", []):
        console.print(f"  {note}", style="red" if WORSE in note else None)
    if test.get("threshold_reason"):
        console.print(
            f"threshold {format_threshold(test['threshold'])}, chosen in the validation period: "
            f"{test['threshold_reason']}"
        )


def show_proposal(result: "Proposal", verbose: bool) -> None:
    """Print the result of a training: decision, test period, candidates, findings on the data."""
    from alerting.reporting.page import decision_text

    console.print(decision_text.result_line(result), style="bold")
    if alert := decision_text.proposed_alert(result.evidence):
        print_text(alert)
    if result.waiting:
        console.print(
            f"waits for approval: alerting model approve {result.run_id}  (or in the Airflow UI)"
        )
    _show_test(result.test)
    for line in decision_text.period_lines(result.dataset):
        console.print(line)
    _show_candidates(result.leaderboard)
    for line in decision_text.chance_lines(result.evidence):
        console.print(line)
    messages = [finding.message for finding in result.findings] if verbose else []
    for line in messages or result.dataset.notes:
        console.print(f"data: {line}")
    if len(result.dataset.notes) < len(result.findings) and not verbose:
        console.print(
            f"each of the {len(result.findings)} findings: dataset/quality.json of run "
            f"{result.run_id}, or --verbose"
        )


def _say_whose(
    result: "Proposal", name: str, as_of: datetime | None, *, is_followed: bool, is_known: bool
) -> None:
    """Say which training the result is of, if it is not one of this command."""
    until = short(result.as_of)
    anew = f"alerting train {name}{f' --as-of {as_of.isoformat()}' if as_of else ''} --again"
    if is_followed and as_of not in (None, result.as_of):
        print_text(f"The platform had begun this training as of {until}; as you asked: {anew}\n")
    elif is_followed:
        console.print(f"This training is the platform's, as of {until}.")
    elif is_known:
        print_text(f"Nothing is new since the training as of {until}; all the same: {anew}\n")
