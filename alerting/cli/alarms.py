"""Commands on alarms: `episodes`, `why` and `report`."""

from collections.abc import Collection, Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Annotated

import typer

from alerting.cli.output import Line, Output, OutputTable, colored, short, table_output
from alerting.cli.support import (
    DefinitionName,
    End,
    Start,
    command,
    platform,
    read_instant,
    require_past,
    write_file,
)
from alerting.definitions.alert_definition import TrainedDefinition, matching_assets
from alerting.definitions.faults import NotFound, UserError, close_names
from alerting.definitions.fields.definition_checks import advice_warnings
from alerting.episodes.episode import Episode
from alerting.notifications.notification import Notification
from alerting.operators.actions_and_mutes import ISA_LETTERS, describe_mute
from alerting.ports import Platform, ReportContent, ReportHead
from alerting.reporting import sentences
from alerting.reporting.estimates import Table
from alerting.reporting.periods import read_period
from alerting.reporting.phrases import OUTCOME_NAMES
from alerting.usecases.episodes.stored_episodes import (
    episodes_of,
    find_episode,
    group_of,
    in_groups,
)
from alerting.usecases.explain import why as explain
from alerting.usecases.issue_reports import issue_by_hand
from alerting.usecases.make_reports import make_report
from alerting.usecases.operators.operate import operator_state


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
) -> Output:
    """List episodes: happening, expected, over but not acknowledged, earlier; with --from and --to
    those that were open at some time between; with the id of one, all its details."""
    with platform() as p:
        require_past(p.clock.now(), start, end)
        names = {r.name for r in p.definitions.latest_revisions()}
        if name is not None and name not in names:
            one = _find_episode(p, name, names)
            sent = p.notifications.of_episodes([one.id])[one.id]
            states = [*_state_lines(p, one), *_advice_lines(p, one)]
            return Output(vars(one) | {"notifications": sent}, lines_of_episode(one, sent, states))
        found = episodes_of(p, name, start, end)
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
    return table_output(rows, columns, "no episodes")._replace(value=found)


def _find_episode(p: Platform, text: str, names: Collection[str]) -> Episode:
    try:
        return find_episode(p.episodes, text)
    except NotFound as unknown:
        meant = close_names(text, names)
        hint = f", or did you mean {' or '.join(meant)}?" if meant else ""
        raise NotFound(f"{unknown}{hint}") from unknown


def _ended_as(episode: Episode) -> str:
    outcome = OUTCOME_NAMES[episode.outcome_record.outcome] if episode.outcome_record else ""
    return ", ".join(filter(None, (outcome, "found in past data" if episode.backfilled else "")))


def lines_of_episode(
    episode: Episode, notifications: Sequence[Notification], states: Sequence[str]
) -> Iterator[Line]:
    """Yield all that is known of an episode. `states`: sentences on what operators did."""
    yield colored(
        f"{episode.title} on {episode.asset}: {episode.phase} ({episode.severity})", "bold"
    )
    yield f"  {short(episode.raised_at)}  {episode.evaluation.reason}"
    yield from (f"  {state}" for state in states)
    yield from (f"  why: {reason.message}" for reason in sentences.reasons(episode)[0])
    at_raise = episode.recommendation.message if episode.recommendation else None
    if at_raise:
        yield f"  what-if ({short(episode.raised_at)}): {at_raise}"
    present = episode.present.recommendation.message if episode.present else at_raise
    if present != at_raise:
        yield f"  what-if ({short(episode.advised_at)}): {present}"
    yield from (f"  {title}: {text}" for title, text in episode.guidance.items())
    if episode.outcome_record and episode.condition != "open":
        yield f"  outcome: {episode.outcome_record.outcome}: {episode.outcome_record.reason}"
    moves = [
        vars(t) | {"what": t.kind, "reason": sentences.describe_transition(t)[1]}
        for t in episode.transitions
    ]
    yield OutputTable(moves, ["at", "what", "actor", "reason"])
    sent = [vars(n) | {"of": n.transition} for n in notifications]
    yield OutputTable(sent, ["channel", "of", "status", "attempts"], "no notifications")


def _advice_lines(p: Platform, episode: Episode) -> Iterable[str]:
    """Return what to declare if there is no advice, as operators can set no variable."""
    latest = p.definitions.newest_revision(episode.definition)
    advice = episode.recommendation
    if (
        latest is None
        or not isinstance(latest.definition, TrainedDefinition)
        or (advice is not None and advice.changes)
    ):
        return []
    return advice_warnings(latest.definition, matching_assets(latest.definition, p.assets.all()))


def _state_lines(p: Platform, episode: Episode) -> Iterator[str]:
    """Yield the operator state of an episode."""
    state = operator_state(p, episode, p.clock.now())
    yield f"state: {state.state} (ISA-18.2 {ISA_LETTERS[state.state]})"
    for title, stamp in (("acknowledged", episode.acknowledged), ("confirmed", episode.confirmed)):
        if stamp is not None:
            yield f"{title} by {stamp.actor} at {short(stamp.at)}"
    if episode.assigned_to:
        yield f"assigned to {episode.assigned_to}"
    if state.first_out == "first":
        yield "first-out: the first of several alarms of this asset"
    yield from map(describe_mute, state.mutes)
    if state.suppressed:
        yield f"suppressed by design: {state.suppressed}"
    else:
        yield from (f"an unknown state does not suppress it: {why}" for why in state.unknown)


@command
def why(
    name: DefinitionName,
    asset: Annotated[
        str, typer.Argument(metavar="ASSET", help="Name of an asset that it applies to.")
    ],
    at: Annotated[
        datetime | None,
        typer.Option(
            "--at",
            parser=read_instant,
            help="The instant, ISO 8601 with zone; now when left out.",
            metavar="TIME",
        ),
    ] = None,
) -> Output:
    """Explain why an alarm was raised or not: value and limit, missing readings, score, mute, and
    notifications."""
    with platform() as p:
        require_past(p.clock.now(), at, option="--at")
        found = explain(p, name, asset, at or p.clock.now())
    head = f"{name} on {asset} at {short(found.at)}: {found.verdict}"
    return Output(found, [head, *(f"  {line}" for line in (found.answer, *found.facts))])


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
) -> Output:
    """Write a performance report: of an interval (the last four weeks when left out), or of a
    calendar period, which is stored and which its recipients get."""
    if period and (start or end):
        raise typer.BadParameter("give a period or an interval, not both", param_hint="--period")
    with platform() as p:
        now = p.clock.now()
        require_past(now, start, end)
        until = end or now
        id = (
            issue_by_hand(p, name, read_period(period, p.zone), now).id
            if period
            else make_report(p, name, start or until - timedelta(weeks=4), until, now).id
        )
        head = p.reports.get(id)
        content = p.reports.content(id)
    if head is None or content is None:
        raise NotFound(f"the report {id} is deleted")
    if head.empty:
        raise UserError(
            f"there is nothing to report on {name} in {head.period}: no episode, problem, "
            "promotion, answer, miss or gap"
        )
    target = out or Path(_file_name(head, is_interval=bool(start or end)))
    write_file(target, content.page)
    if csv is not None:
        _write_tables(csv, content)
    written = f"written to {target}" + (f" and {csv}/" if csv else "")
    found = {**content.metrics, "id": head.id, "page": str(target)}
    return Output(found, [content.metrics["judgement"]["sentence"], written])


def _file_name(head: ReportHead, *, is_interval: bool) -> str:
    """Return the name of the file of a report: with its period, or with its days where an interval
    is given."""
    if head.period is not None:
        return f"{head.definition}-report-{head.period}.html"
    days = f"-{head.start:%Y-%m-%d}-to-{head.end:%Y-%m-%d}" if is_interval else ""
    return f"{head.definition}-report{days}.html"


def _write_tables(folder: Path, content: ReportContent) -> None:
    for name, stored in content.tables.items():
        rows = tuple(tuple(row) for row in stored["rows"])
        table = Table(name, tuple(stored["columns"]), rows)
        write_file(folder / f"{name}.csv", table.to_csv())
