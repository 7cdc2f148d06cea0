"""`alerting evaluate`."""

from datetime import timedelta
from typing import Annotated

import typer

from alerting.cli.printing.output import console, plain, show, zone
from alerting.cli.support import End, Json, Start, instant, platform, progress, writes
from alerting.reporting import messages


@writes
def evaluate(
    names: Annotated[list[str] | None, typer.Argument(help="Definitions; all active ones when left out.")] = None,
    start: Start = None,
    end: End = None,
    model: Annotated[
        str | None,
        typer.Option(help="With --from: evaluate the whole interval with this version, or `champion`.", metavar="VERSION"),
    ] = None,
    revision: Annotated[
        str | None, typer.Option(help="With --from: evaluate with this revision, or `latest`.", metavar="REVISION")
    ] = None,
    as_json: Json = False,
) -> None:
    """Evaluate new readings, raise and close episodes, and deliver notifications.

    With --from and --to it evaluates a past interval again: with the revisions and models in force then, or with those that are
    named. No notification is sent for a past interval.
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
        if begin is not None and stop is not None:
            if not names:
                raise typer.BadParameter("name the definition to evaluate again", param_hint="NAMES")
            counts = [(n, evaluation.evaluate_past(p, n, begin, stop, model, revision, report_progress)) for n in names]
        else:
            now = p.clock.now()
            counts = [("all" if not names else ", ".join(names), evaluation.evaluate(p, names, now, report_progress))]
            deliver_due(p, p.clock.now())
    rows = [{"definitions": n, **plain(c)} for n, c in counts]
    columns = ["definitions", "targets", "raised", "closed", "determined", "withdrawn", "late", "too_late"]
    show(rows, columns, as_json, "nothing to evaluate")
    if not as_json:
        if stop is None:
            latency = timedelta(seconds=counts[0][1].latency_s)
            console.print(messages.evaluated_to(now - latency, latency, zone()), style="dim")
        for _, count in counts:
            for target, reason in count.unknown.items():
                console.print(f"unknown: {target}: {reason}")
