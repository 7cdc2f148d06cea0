"""The `alerting` command: one sub-command per use case, the same use cases that the DAGs and the API call."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer
import yaml

from alerting.cli.alarm_kpis import kpi
from alerting.cli.backtest import backtest
from alerting.cli.dataset import dataset, tell_findings
from alerting.cli.demo import app as demo_app
from alerting.cli.ingest.commands import app as import_app
from alerting.cli.late_data import late
from alerting.cli.models import approve, models, rollback, show_candidates, show_platform_alerts, show_test
from alerting.cli.notifications import notify_app, routes_app
from alerting.cli.operators import register as register_operate
from alerting.cli.operators import standing_words
from alerting.cli.printing.output import readable_output, table_lines
from alerting.cli.scenarios import test
from alerting.cli.support import (
    Json,
    command,
    console,
    instant,
    is_served,
    plain,
    platform,
    print_json,
    print_text,
    progress,
    read_documents,
    short,
    show,
    user,
    write_file,
    writes,
)
from alerting.cli.suppression import suppressed
from alerting.cli.up import prepare, up
from alerting.definitions.wording.clean_text import clean_text
from alerting.reporting.messages import OUTCOME_WORDS

app = typer.Typer(
    name="alerting",
    help="Alerting for production lines: an alert is a document; models, episodes, advice and reports follow from it.",
    epilog="Times are ISO 8601 with a zone, e.g. 2015-03-14T06:00Z. Exit codes: 0 done, 1 refused or failed, 2 wrong usage.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.add_typer(import_app, name="import")
app.add_typer(demo_app, name="demo")
app.add_typer(routes_app, name="routes")
app.add_typer(notify_app, name="notify")
app.command("up")(up)
app.command("prepare")(prepare)
app.command("test")(test)
app.command("dataset")(dataset)
register_operate(app)
for _promotion in (approve, models, rollback):
    app.command()(_promotion)
app.command("kpi")(kpi)
app.command("late")(late)
app.command("suppressed")(suppressed)
app.command("backtest")(backtest)

_HASH_SHOWN = 12
_STEPS_SHOWN = 6
_NEVER_FOLDED = 1 << 20

Files = Annotated[list[Path], typer.Argument(help="YAML or JSON files, each with one definition, a list, or several documents.")]
Name = Annotated[str, typer.Argument(help="Name of a definition.")]
From = Annotated[str | None, typer.Option("--from", help="Start, ISO 8601 with zone.", metavar="TIME")]
To = Annotated[str | None, typer.Option("--to", help="End, ISO 8601 with zone.", metavar="TIME")]
Reason = Annotated[str, typer.Option("--reason", help="Why, kept with the revision.")]


@app.command()
@command
def check(files: Files, as_json: Json = False) -> None:
    """Read definitions and hold them against the known assets; every fault is listed, nothing is changed."""
    from alerting.usecases.definitions import sync

    documents = read_documents(files)
    with platform() as p:
        good = sync.check(p, documents)
    rows = [{"name": d.name, "kind": d.kind, "assets": ", ".join(d.assets), "state": d.state} for d in good]
    show(rows, ["name", "kind", "assets", "state"], as_json, "no definitions in these files")


@app.command()
@command
@writes
def apply(
    files: Files,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show the plan and change nothing.")] = False,
    reason: Reason = "applied from files",
    accept_load: Annotated[
        str,
        typer.Option(
            "--accept-load", help="Why more alarms than the budget allows are right; kept in the audit.", metavar="REASON"
        ),
    ] = "",
    as_json: Json = False,
) -> None:
    """Make definitions current: shows the plan and the load it means for people, then writes all of them, or none.

    What becomes active is first judged over the last days; where that breaks the alarm budget of a position nothing is applied.
    """
    from alerting.usecases.definitions import sync
    from alerting.usecases.definitions.next_steps import next_steps
    from alerting.usecases.operations.alarm_budget import apply_within_budget, forecasts

    documents = read_documents(files)
    with platform() as p:
        plans, now = sync.plan(p, documents), p.clock.now()
        rows = [{"name": i.name, "action": i.action, "changes": _changes(i.changes)} for i in plans]
        load = forecasts(p, plans, now)
        following = next_steps(p, plans, datetime.now(UTC))
        if not as_json:
            show(rows, ["name", "action", "changes"], False, "no definitions in these files")
            for forecast in load:
                for words in forecast.words:
                    console.print(f"{forecast.definition}: {words}", markup=False, style="red" if forecast.breaks else None)
        if not dry_run:
            apply_within_budget(p, documents, load, user(), now, reason, accept_load)
    if as_json:
        print_json({"plan": rows, "load": load, "applied": not dry_run, "next": [] if dry_run else following})
    elif dry_run:
        console.print("dry run: nothing was changed")
    else:
        console.print(f"applied: {sum(i.action != 'unchanged' for i in plans)} of {len(plans)} changed")
        _show_next(following)
        if following and not is_served():
            console.print("the platform does not run, so all this waits for `alerting up`")


def _show_next(steps: Sequence[str]) -> None:
    """What happens now; of many definitions the first ones."""
    for step in steps[:_STEPS_SHOWN]:
        console.print(f"next: {step}")
    if len(steps) > _STEPS_SHOWN:
        console.print(f"next: and so on for {len(steps) - _STEPS_SHOWN} more: alerting list")


def _changes(changes: dict[str, tuple[Any, Any]]) -> str:
    return "; ".join(f"{k}: {json.dumps(plain(a))} → {json.dumps(plain(b))}" for k, (a, b) in changes.items())


@app.command("list")
@command
def list_definitions(as_json: Json = False) -> None:
    """List all definitions with kind, state and revision; faulty ones with their faults."""
    from alerting.usecases.definitions import sync

    with platform() as p:
        sync.sync(p, p.clock.now())
        faults = p.definitions.faulty()
        rows = [sync.summary(r, faults.get(r.name, [])) for r in p.definitions.latest()]
        known = {r["name"] for r in rows}
        rows += [{"name": n, "state": "faulty", "faults": f} for n, f in sorted(faults.items()) if n not in known]
        unmended = p.platform_alerts.open()
    shown = rows if as_json else [row | {"rev": row.get("revision")} for row in rows]
    columns = ["name", "kind", "state", "rev", "assets", "severity", "since"]
    show(shown, columns, as_json, "no definitions yet: alerting apply FILE")
    if not as_json:
        for row in rows:
            for fault in row.get("faults", []):
                console.print(f"{row['name']}: {fault}", style="red", markup=False)
        show_platform_alerts([a for a in unmended if a.subject not in faults])


@app.command("show")
@command
def show_definition(
    name: Name, revision: Annotated[int | None, typer.Option(help="An older revision.")] = None, as_json: Json = False
) -> None:
    """Show a definition as YAML, which `apply` reads back unchanged; its revisions follow as comments."""
    from alerting.definitions.validation import definition_document
    from alerting.usecases.definitions import sync

    with platform() as p:
        sync.sync(p, p.clock.now())
        chosen = sync.require_revision(p, name, revision)
        history = p.definitions.revisions(name)
        faults = p.definitions.faulty().get(name, [])
    document = definition_document(chosen.definition)
    if as_json:
        print_json({"definition": document, "revision": chosen.number, "revisions": history, "faults": faults})
        return
    print_text(_yaml(document))
    rows = [
        {"revision": r.number, "at": r.at, "author": r.author, "reason": r.reason, "hash": r.hash[:_HASH_SHOWN]} for r in history
    ]
    told = [line.plain for line in table_lines(rows, ["revision", "at", "author", "reason", "hash"], console.width - 2)]
    told += [f"the current document is faulty, revision {chosen.number} stays in force: {fault}" for fault in faults]
    print_text("".join(f"# {line}\n" for text in told for line in clean_text(text, visible=True).splitlines()))


@app.command()
@command
def export(
    names: Annotated[list[str] | None, typer.Argument(help="Definitions; all of them when left out.")] = None,
    out: Annotated[Path | None, typer.Option("--out", help="File to write; standard output when left out.")] = None,
    as_json: Json = False,
) -> None:
    """Write definitions as YAML (with --json: as a JSON list) that `apply` reads back unchanged."""
    from alerting.definitions.validation import definition_document
    from alerting.usecases.definitions import sync

    with platform() as p:
        sync.sync(p, p.clock.now())
        chosen = [sync.require_revision(p, n) for n in names] if names else p.definitions.latest()
    documents = [definition_document(r.definition) for r in chosen]
    if out is not None:
        text = json.dumps(documents, indent=2) if as_json else "---\n".join(map(_yaml, documents))
        write_file(out, text)
    if out is None and not as_json:
        print_text("---\n".join(map(_yaml, documents)))
    elif as_json:
        print_json(documents if out is None else {"file": out, "definitions": [d["name"] for d in documents]})
    else:
        console.print(f"{len(chosen)} definitions written to {out}")


def _yaml(document: dict[str, Any]) -> str:
    return yaml.safe_dump(document, sort_keys=False, allow_unicode=True, width=_NEVER_FOLDED)


@app.command()
@command
@writes
def retire(name: Name, reason: Reason = "retired", as_json: Json = False) -> None:
    """Take a definition out of service; its history, models and episodes stay."""
    from alerting.usecases.definitions import sync
    from alerting.usecases.operations import maintain

    with platform() as p:
        revision = sync.retire(p, name, user(), p.clock.now(), reason)
        closed = maintain.close_orphans(p, p.clock.now())
    if as_json:
        print_json({"definition": name, "revision": revision.number, "closed": closed})
    else:
        console.print(f"{name} is retired with revision {revision.number}; {closed} open episodes closed")


@app.command()
@command
@writes
def train(
    name: Name,
    as_of: Annotated[str | None, typer.Option("--as-of", help="The pretended now, ISO 8601 with zone.", metavar="TIME")] = None,
    as_json: Json = False,
) -> None:
    """Train and compare candidates, and promote the best if it earns it; says why or why not."""
    from alerting.usecases.training import train as pipeline

    pretended = instant(as_of, "--as-of")
    with platform() as p, progress() as tell:
        result = pipeline.train(p, name, pretended or p.clock.now(), tell)
    if as_json:
        print_json(result)
        return
    show_candidates(result["leaderboard"])
    tell_findings(result)
    show_test(result["test"])
    console.print(f"{result['verdict']}: {result['reason']}", markup=False)
    if result.get("waiting"):
        console.print(f"waits for approval: alerting approve {result['run_id']}  (or in the Airflow UI)", markup=False)


@app.command()
@command
@writes
def evaluate(
    names: Annotated[list[str] | None, typer.Argument(help="Definitions; all active ones when left out.")] = None,
    start: From = None,
    end: To = None,
    model: Annotated[
        str | None, typer.Option(help="With --from: judge the whole stretch by this version, or `champion`.", metavar="VERSION")
    ] = None,
    revision: Annotated[
        str | None, typer.Option(help="With --from: judge by this revision, or `latest`.", metavar="REVISION")
    ] = None,
    as_json: Json = False,
) -> None:
    """Judge what is new, raise and close episodes, and deliver notifications.

    With --from and --to it judges a past stretch anew: by what was in force there, or by the named model; nobody is told.
    """
    from alerting.usecases.evaluation import evaluate as pipeline
    from alerting.usecases.notification.deliver import deliver_due

    begin, stop = instant(start, "--from"), instant(end, "--to")
    if (begin is None) != (stop is None):
        raise typer.BadParameter("give both --from and --to, or neither", param_hint="--from/--to")
    if begin is None and (model or revision):
        raise typer.BadParameter("goes with --from and --to only", param_hint="--model/--revision")
    with platform() as p, progress() as tell:
        if begin is not None and stop is not None:
            if not names:
                raise typer.BadParameter("name the definition to judge anew", param_hint="NAMES")
            counts = [(n, pipeline.evaluate_past(p, n, begin, stop, model, revision, tell)) for n in names]
        else:
            counts = [("all" if not names else ", ".join(names), pipeline.evaluate(p, names, p.clock.now(), tell))]
            deliver_due(p, p.clock.now())
    rows = [{"definitions": n, **plain(c)} for n, c in counts]
    columns = ["definitions", "pairs", "raised", "closed", "settled", "withdrawn", "late", "too_late"]
    show(rows, columns, as_json, "nothing to evaluate")
    if not as_json:
        for _, count in counts:
            for pair, why in count.unknown.items():
                console.print(f"unknown: {pair}: {why}", markup=False)


@app.command()
@command
def episodes(
    name: Annotated[str | None, typer.Argument(help="Name of a definition, or the id of one episode to see all of it.")] = None,
    start: From = None,
    end: To = None,
    as_json: Json = False,
) -> None:
    """List episodes, newest first; with the id of one (or its beginning), everything known of it."""
    from alerting.usecases.episodes.listing import episodes_of
    from alerting.usecases.episodes.store import find_episode

    begin, stop = instant(start, "--from"), instant(end, "--to")
    with platform() as p:
        known = {r.name for r in p.definitions.latest()}
        if name is not None and name not in known:
            one = find_episode(p, name)
            return _show_episode(one, standing_words(p, one), as_json)
        found = episodes_of(p, name, begin, stop)
    if as_json:
        return print_json(found)
    rows = [
        {
            "id": e.id[:10],
            "definition": e.definition,
            "asset": e.asset,
            "severity": e.severity,
            "raised": e.raised_at,
            "state": "open" if e.condition == "open" else _ended_as(e),
            "why": e.evaluation.reason,
        }
        for e in found
    ]
    return show(rows, ["id", "definition", "asset", "severity", "raised", "state", "why"], False, "no episodes")


def _ended_as(episode: Any) -> str:
    """The outcome of a closed episode, and whether it was found in past days."""
    outcome = OUTCOME_WORDS[episode.settlement.outcome] if episode.settlement else str(episode.condition)
    return f"{outcome}, past" if episode.backfilled else outcome


def _show_episode(episode: Any, standing: list[str], as_json: bool) -> None:
    from alerting.reporting import sentences

    if as_json:
        return print_json(episode)
    console.print(f"{episode.title} on {episode.asset}: {episode.condition} ({episode.severity})", style="bold", markup=False)
    console.print(f"  {short(episode.raised_at)}  {episode.evaluation.reason}", markup=False)
    for line in standing:
        console.print(f"  {line}", markup=False)
    for c in sentences.reasons(episode)[0]:
        console.print(f"  why: {c.words}", markup=False)
    if episode.recommendation:
        console.print(f"  what-if: {episode.recommendation.words}", markup=False)
    for title, text in episode.guidance.items():
        console.print(f"  {title}: {text}", markup=False)
    if episode.settlement and episode.condition != "open":
        console.print(f"  outcome: {episode.settlement.outcome}: {episode.settlement.reason}", markup=False)
    moves = [(t, sentences.happened(t)[1]) for t in episode.transitions]
    rows = [{"at": t.at, "what": t.kind, "who": t.actor, "reason": reason} for t, reason in moves]
    show(rows, ["at", "what", "who", "reason"], False, "")
    told = [{"channel": n.channel, "of": n.transition, "status": n.status, "attempts": n.attempts} for n in episode.outbox]
    return show(told, ["channel", "of", "status", "attempts"], False, "nobody was told")


@app.command()
@command
@writes
def feedback(
    episode: Annotated[str, typer.Argument(help="Id of an episode, or its beginning.")],
    verdict: Annotated[str | None, typer.Option(help="true_alarm, false_alarm or unsure.")] = None,
    acted: Annotated[bool, typer.Option("--acted", help="Something was done about it.")] = False,
    action: Annotated[str | None, typer.Option(help="What was done.")] = None,
    comment: Annotated[str | None, typer.Option(help="Anything else.")] = None,
    acted_at: Annotated[str | None, typer.Option("--acted-at", help="When it was done, if not now.", metavar="TIME")] = None,
    as_json: Json = False,
) -> None:
    """Say of an episode whether it was right, and whether you acted on it."""
    from alerting.usecases.operators.feedback import give_feedback

    if verdict not in (None, "true_alarm", "false_alarm", "unsure"):
        raise typer.BadParameter(f"{verdict!r} is none of true_alarm, false_alarm, unsure", param_hint="--verdict")
    done_at = instant(acted_at, "--acted-at")
    with platform() as p:
        after = give_feedback(
            p,
            episode_id=episode,
            verdict=verdict,  # type: ignore[arg-type]
            acted=acted,
            action=action,
            comment=comment,
            who=user(),
            at=p.clock.now(),
            acted_at=done_at,
        )
    if as_json:
        return print_json(after)
    outcome = f"{after.settlement.outcome} ({after.settlement.reason})" if after.settlement else "not settled yet"
    return console.print(f"noted for {after.title} on {after.asset}; outcome: {outcome}", markup=False)


@app.command()
@command
def report(
    name: Name,
    start: From = None,
    end: To = None,
    out: Annotated[Path | None, typer.Option("--out", help="HTML file to write; NAME-report.html when left out.")] = None,
    as_json: Json = False,
) -> None:
    """Write the performance report of a definition over a period (the last four weeks when left out)."""
    from datetime import timedelta

    from alerting.usecases.operations.report import make_report

    begin, stop = instant(start, "--from"), instant(end, "--to")
    with platform() as p:
        until = stop or p.clock.now()
        made = make_report(p, name, begin or until - timedelta(weeks=4), until, p.clock.now())
    target = out or Path(f"{name}-report.html")
    write_file(target, made.page)
    if as_json:
        return print_json({**made.figures, "page": str(target)})
    console.print(made.headline, markup=False)
    return console.print(f"written to {target}", markup=False)


def main() -> None:
    """Entry point of the `alerting` command."""
    readable_output()
    app()
