"""Commands on alarms: `episodes`, `why` and `report`."""

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from alerting.cli.output import console, print_json, short, show, show_result
from alerting.cli.support import (
    DefinitionName,
    End,
    Json,
    Start,
    command,
    instant,
    platform,
    require_past,
    write_file,
)
from alerting.definitions.faults import NotFound, UserError, close_names
from alerting.reporting.base.messages import OUTCOME_NAMES

if TYPE_CHECKING:
    from alerting.adapters.platform import Platform
    from alerting.episodes.episode import Episode
    from alerting.ports import ReportContent, ReportHead


@command
def episodes(
    name: Annotated[
        str | None,
        typer.Argument(
            help="Name of a definition, or the id of one episode to show its details.",
            metavar="[NAME|ID]",
        ),
    ] = None,
    start: Start = None,
    end: End = None,
    as_json: Json = False,
) -> None:
    """List episodes: happening, expected, over but not acknowledged, earlier; with --from and --to
    those that were open at some time between; with the id of one, all its details."""
    from alerting.reporting.base import sentences
    from alerting.usecases.episodes.store import episodes_of, group_of, in_groups

    begin = instant(start, "--from")
    stop = instant(end, "--to")
    with platform() as p:
        require_past(p.clock.now(), begin, stop)
        names = {r.name for r in p.definitions.latest_revisions()}
        if name is not None and name not in names:
            one = _find_episode(p, name, names)
            lines = [*state_lines(p, one), *_advice_lines(p, one)]
            return _show_episode(one, p.notifications.of_episodes([one.id])[one.id], lines, as_json)
        found = episodes_of(p, name, begin, stop)
    if as_json:
        return print_json(found)
    rows = [
        {
            "id": e.id[:10],
            "now": group_of(e),
            "definition": e.definition,
            "asset": e.asset,
            "severity": e.severity,
            "raised": e.raised_at,
            "outcome": "" if e.condition == "open" else _ended_as(e),
            "why": sentences.headline(e),
        }
        for e in in_groups(found)
    ]
    columns = ["id", "now", "definition", "asset", "severity", "raised", "outcome", "why"]
    return show(rows, columns, False, "no episodes")


def _find_episode(p: "Platform", text: str, names: Collection[str]) -> "Episode":
    from alerting.usecases.episodes.store import find_episode

    try:
        return find_episode(p.episodes, text)
    except NotFound as unknown:
        meant = close_names(text, names)
        hint = f", or did you mean {' or '.join(meant)}?" if meant else ""
        raise NotFound(f"{unknown}{hint}") from unknown


def _ended_as(episode: Any) -> str:
    outcome = OUTCOME_NAMES[episode.outcome_record.outcome] if episode.outcome_record else ""
    return ", ".join(filter(None, (outcome, "found in past data" if episode.backfilled else "")))


def _show_episode(
    episode: Any, notifications: Sequence[Any], states: list[str], as_json: bool
) -> None:
    from alerting.reporting.base import sentences

    if as_json:
        return print_json(vars(episode) | {"notifications": notifications})
    title = f"{episode.title} on {episode.asset}: {episode.phase} ({episode.severity})"
    console.print(title, style="bold")
    lines = [f"{short(episode.raised_at)}  {episode.evaluation.reason}", *states]
    lines += [f"why: {reason.message}" for reason in sentences.reasons(episode)[0]]
    at_raise = episode.recommendation.message if episode.recommendation else None
    if at_raise:
        lines.append(f"what-if ({short(episode.raised_at)}): {at_raise}")
    if episode.present and episode.present.recommendation.message != at_raise:
        present = episode.present.recommendation.message
        lines.append(f"what-if ({short(episode.advised_at)}): {present}")
    lines += [f"{title}: {text}" for title, text in episode.guidance.items()]
    if episode.outcome_record and episode.condition != "open":
        lines.append(f"outcome: {episode.outcome_record.outcome}: {episode.outcome_record.reason}")
    for line in lines:
        console.print(f"  {line}")
    moves = [
        {
            "at": t.at,
            "what": t.kind,
            "actor": t.actor,
            "reason": sentences.describe_transition(t)[1],
        }
        for t in episode.transitions
    ]
    show(moves, ["at", "what", "actor", "reason"], False)
    sent = [vars(n) | {"of": n.transition} for n in notifications]
    return show(sent, ["channel", "of", "status", "attempts"], False, "no notifications")


def _advice_lines(p: "Platform", episode: "Episode") -> list[str]:
    """Return what to declare if there is no advice, as operators can set no variable."""
    from alerting.definitions.checks.trained import advice_warnings
    from alerting.definitions.matching import matching_assets
    from alerting.definitions.model import TrainedDefinition

    latest = p.definitions.newest_revision(episode.definition)
    advice = episode.recommendation
    if latest is None or (advice is not None and advice.changes):
        return []
    definition = latest.definition
    if not isinstance(definition, TrainedDefinition):
        return []
    return list(advice_warnings(definition, matching_assets(definition, p.assets.all())))


def state_lines(p: "Platform", episode: "Episode") -> list[str]:
    """Return the operator state of an episode as lines for people."""
    from alerting.operators.actions import ISA_LETTERS
    from alerting.operators.mutes import describe_mute
    from alerting.usecases.operators.operate import operator_state

    state = operator_state(p, episode, p.clock.now())
    lines = [f"state: {state.state} (ISA-18.2 {ISA_LETTERS[state.state]})"]
    for title, stamp in (("acknowledged", episode.acknowledged), ("confirmed", episode.confirmed)):
        if stamp is not None:
            lines.append(f"{title} by {stamp.actor} at {short(stamp.at)}")
    if episode.assigned_to:
        lines.append(f"assigned to {episode.assigned_to}")
    if state.first_out == "first":
        lines.append("first-out: the first of several alarms of this asset")
    lines += [describe_mute(mute) for mute in state.mutes]
    if state.suppressed:
        return [*lines, f"suppressed by design: {state.suppressed}"]
    return lines + [f"an unknown state does not suppress it: {reason}" for reason in state.unknown]


@command
def why(
    name: DefinitionName,
    asset: Annotated[
        str, typer.Argument(metavar="ASSET", help="Name of an asset that it applies to.")
    ],
    at: Annotated[
        str | None,
        typer.Option(
            "--at", help="The instant, ISO 8601 with zone; now when left out.", metavar="TIME"
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Explain why an alarm was raised or not: value and limit, missing readings, score, mute, and
    notifications."""
    from alerting.usecases.explain.explain import why as explain

    when = instant(at, "--at")
    with platform() as p:
        require_past(p.clock.now(), when, option="--at")
        found = explain(p, name, asset, when or p.clock.now())
    head = f"{name} on {asset} at {short(found.at)}: {found.verdict}"
    show_result(found, as_json, head, *(f"  {line}" for line in (found.answer, *found.facts)))


@command
def report(
    name: DefinitionName,
    start: Start = None,
    end: End = None,
    period: Annotated[
        str | None,
        typer.Option(
            help="A closed calendar period: 2026-W46, 2026-11 or 2026-Q4.", metavar="PERIOD"
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", help="HTML file to write; NAME-report-PERIOD.html when left out."),
    ] = None,
    csv: Annotated[
        Path | None,
        typer.Option("--csv", help="Folder for a CSV file of each table.", metavar="DIR"),
    ] = None,
    as_json: Json = False,
) -> None:
    """Write a performance report: of an interval (the last four weeks when left out), or of a
    calendar period, which is stored and which its recipients get."""
    begin = instant(start, "--from")
    stop = instant(end, "--to")
    if period and (start or end):
        raise typer.BadParameter("give a period or an interval, not both", param_hint="--period")
    with platform() as p:
        now = p.clock.now()
        require_past(now, begin, stop)
        head, content = _issue(p, name, period) if period else _make(p, name, begin, stop, now)
    target = out or Path(_file_name(name, head, begin or stop))
    write_file(target, content.page)
    if csv is not None:
        _write_tables(csv, content)
    written = f"written to {target}" + (f" and {csv}/" if csv else "")
    found = {**content.metrics, "id": head.id, "page": str(target)}
    show_result(found, as_json, content.metrics["judgement"]["sentence"], written)


def _make(
    p: "Platform", name: str, begin: datetime | None, stop: datetime | None, now: datetime
) -> "tuple[ReportHead, ReportContent]":
    from alerting.usecases.reports.make import make_report

    until = stop or now
    return _stored(p, make_report(p, name, begin or until - timedelta(weeks=4), until, now).id)


def _issue(p: "Platform", name: str, period: str) -> "tuple[ReportHead, ReportContent]":
    from alerting.reporting.base.periods import read_period
    from alerting.usecases.reports.issue import issue_by_hand

    head = issue_by_hand(p, name, read_period(period, p.zone), p.clock.now())
    if head.empty:
        raise UserError(
            f"there is nothing to report on {name} in {head.period}: no episode, problem, "
            "promotion, answer, miss or gap"
        )
    return _stored(p, head.id)


def _stored(p: "Platform", id: str) -> "tuple[ReportHead, ReportContent]":
    head = p.reports.get(id)
    content = p.reports.content(id)
    if head is None or content is None:
        raise NotFound(f"the report {id} is deleted")
    return head, content


def _file_name(subject: str, head: "ReportHead", given: datetime | None) -> str:
    """Return the name of the file of a report: with its period, or with its days where an interval
    is given."""
    if head.period is not None:
        return f"{subject}-report-{head.period}.html"
    days = f"-{head.start:%Y-%m-%d}-to-{head.end:%Y-%m-%d}" if given is not None else ""
    return f"{subject}-report{days}.html"


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
