"""Commands on performance: `report` and `miss`."""

from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from alerting.cli.printing.output import console, print_json, short, show, show_result
from alerting.cli.support import (
    DefinitionName,
    End,
    InPlant,
    Json,
    Start,
    actor,
    command,
    instant,
    platform,
    require_past,
    seen_in,
    write_file,
    writes,
)
from alerting.definitions.faults import UserError

if TYPE_CHECKING:
    from alerting.adapters.platform import Platform
    from alerting.ports import ReportContent, ReportHead


@command
def report(
    name: Annotated[
        str | None,
        typer.Argument(
            metavar="[NAME]", help="Name of a definition; left out with --plant or --id."
        ),
    ] = None,
    start: Start = None,
    end: End = None,
    period: Annotated[
        str | None,
        typer.Option(
            help="A closed calendar period: 2026-W46, 2026-11 or 2026-Q4.", metavar="PERIOD"
        ),
    ] = None,
    plant: Annotated[
        bool,
        typer.Option(
            "--plant", help="The report on the whole plant; the last closed period of its length."
        ),
    ] = False,
    id: Annotated[
        str | None,
        typer.Option("--id", help="Create a stored report again by its id.", metavar="ID"),
    ] = None,
    listed: Annotated[bool, typer.Option("--list", help="List the stored reports.")] = False,
    in_plant: InPlant = None,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            help="HTML file to write; NAME-report-PERIOD.html when left out.",
        ),
    ] = None,
    csv: Annotated[
        Path | None,
        typer.Option("--csv", help="Folder for a CSV file of each table.", metavar="DIR"),
    ] = None,
    as_json: Json = False,
) -> None:
    """Write a performance report: of an interval (the last four weeks when left out), or of a
    calendar period.

    A report on a calendar period is stored as its next revision if anything has changed, and its
    recipients get it.
    """
    _check_choice(name, plant, id, listed, period, start, end)
    begin = instant(start, "--from")
    stop = instant(end, "--to")
    with platform() as whole:
        p = _view(whole, in_plant, name, id)
        require_past(p.clock.now(), begin, stop)
        if listed:
            _list_reports(p, name, as_json)
            return
        if id is not None:
            head, content, headline = _create_again(p, id)
        elif plant or period is not None:
            head, content = _issue(p, name or p.plant_report.subject, period)
            headline = head.headline
        else:
            from alerting.usecases.reports.make import make_report

            until = stop or p.clock.now()
            made = make_report(
                p, name or "", begin or until - timedelta(weeks=4), until, p.clock.now()
            )
            head, content = _stored(p, made.id)
            headline = made.headline
    target = out or Path(_file_name(name or head.definition or "plant", head, begin or stop))
    write_file(target, content.page)
    if csv is not None:
        _write_tables(csv, content)
    written = f"written to {target}" + (f" and {csv}/" if csv else "")
    show_result({**content.metrics, "id": head.id, "page": str(target)}, as_json, headline, written)


def _file_name(subject: str, head: "ReportHead", given: object) -> str:
    """Return the name of the file of a report: with its period, or with its days where an interval
    is given."""
    if head.period is not None:
        return f"{subject}-report-{head.period}.html"
    days = f"-{head.start:%Y-%m-%d}-to-{head.end:%Y-%m-%d}" if given is not None else ""
    return f"{subject}-report{days}.html"


def _view(p: "Platform", plant: str | None, definition: str | None, id: str | None) -> "Platform":
    """Return the platform in whose time zone a report is made: that of the plant which is named, or
    in which its subject lies."""
    from alerting.usecases.reports.plants import view_for_report

    head = p.reports.get(id) if id is not None else None
    subject = definition if head is None else head.definition
    return seen_in(p, plant) if plant or subject is None else view_for_report(p, subject)


def _check_choice(
    name: str | None,
    plant: bool,
    id: str | None,
    listed: bool,
    period: str | None,
    start: str | None,
    end: str | None,
) -> None:
    if name is None and not (plant or id or listed):
        raise typer.BadParameter(
            "name a definition, or give --plant, --id or --list", param_hint="NAME"
        )
    if plant and (name or start or end):
        raise typer.BadParameter(
            "the plant's report takes no name and no interval; give --period", param_hint="--plant"
        )
    if period and (start or end):
        raise typer.BadParameter("give a period or an interval, not both", param_hint="--period")


def _issue(
    p: "Platform", name: str | None, period: str | None
) -> "tuple[ReportHead, ReportContent]":
    from alerting.reporting.life.periods import period_at, period_before, read_period
    from alerting.usecases.reports.issue import issue_by_hand

    now = p.clock.now()
    last = period_before(period_at(p.plant_report.period, now, p.zone), p.zone)
    head = issue_by_hand(p, name, read_period(period, p.zone) if period else last, now)
    if not head.revision:
        raise UserError(
            f"there is nothing to report on {name} in {head.period}: no episode, problem, "
            "promotion, answer, miss or gap"
        )
    return _stored(p, head.id)


def _stored(p: "Platform", id: str) -> "tuple[ReportHead, ReportContent]":
    head = p.reports.get(id)
    content = p.reports.content(id)
    assert head is not None  # noqa: S101 - just stored
    assert content is not None  # noqa: S101
    return head, content


def _create_again(p: "Platform", id: str) -> "tuple[ReportHead, ReportContent, str]":
    from alerting.usecases.reports.issue import create_again

    head, made = create_again(p, id)
    same = made.content.page == p.reports.page(id)
    end = (
        "it is the stored one, byte for byte"
        if same
        else "its inputs have changed since: it differs from the stored one"
    )
    return head, made.content, f"{id} created again: {end}"


def _write_tables(folder: Path, content: "ReportContent") -> None:
    from alerting.reporting.base.table import Table

    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(
            f"{folder}: cannot be created ({error.strerror}); name another folder with --csv"
        ) from error
    for name, stored in content.tables.items():
        table = Table(name, tuple(stored["columns"]), tuple(tuple(row) for row in stored["rows"]))
        write_file(folder / f"{name}.csv", table.to_csv())


def _list_reports(p: "Platform", name: str | None, as_json: bool) -> None:
    heads = [
        head
        for head in (p.reports.for_definition(name) if name else p.reports.newest_reports(200))
        if head.revision
    ]
    rows: list[dict[str, Any]] = [
        {
            "id": h.id,
            "of": h.definition or "the plant",
            "period": h.period or f"{short(h.start)} to {short(h.end)}",
            "revision": h.revision,
            "headline": h.headline,
        }
        for h in heads
    ]
    show(rows, ["id", "of", "period", "revision", "headline"], as_json, "no report yet")


@writes
def miss(
    name: DefinitionName,
    asset: Annotated[
        str | None,
        typer.Option("--asset", help="Asset on which the problem happened.", metavar="ASSET"),
    ] = None,
    at: Annotated[
        str | None,
        typer.Option("--at", help="When it happened, ISO 8601 with zone.", metavar="TIME"),
    ] = None,
    comment: Annotated[str, typer.Option("--comment", help="What happened.", metavar="TEXT")] = "",
    as_json: Json = False,
) -> bool:
    """Report a problem for which no alert was raised; without --asset and --at list the reported
    misses.

    A miss enters the outcome and recall of reports, and the labels of the next training as the
    definition's feedback rules say.
    """
    from alerting.usecases.operators.misses import report_miss

    missed_at = instant(at, "--at")
    with platform() as p:
        if asset is None and missed_at is None:
            from alerting.usecases.definitions.lookup import require_revision

            require_revision(p.definitions, name)
            rows = [
                vars(found) | {"missed_at": short(found.missed_at), "at": short(found.at)}
                for found in p.misses.for_interval(definition=name)
            ]
            show(
                rows,
                ["missed_at", "asset", "comment", "actor", "at"],
                as_json,
                "no miss is reported",
            )
            return False
        if asset is None or missed_at is None:
            raise typer.BadParameter(
                "give both: the asset, and the time at which the problem happened",
                param_hint="--asset --at",
            )
        told = report_miss(p, name, asset, missed_at, comment, actor(), p.clock.now())
    if as_json:
        print_json(told)
    else:
        console.print(
            f"miss of {name} on {asset} at {short(told.missed_at)} reported: it enters the next "
            "revision of its report"
        )
    return True
