"""Commands that raise and explain alarms: `evaluate`, `backtest` and `test`, which run definitions
over data; `episodes`, `why` and `report`."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Annotated, Any

import typer

from alerting.cli.command import (
    Line,
    Output,
    OutputTable,
    colored,
    command,
    definition_notes,
    lines_of_notes,
    plain,
    platform,
    progress,
    require_past,
    say,
    short,
    table_output,
    user,
    write_file,
    writes,
    zone,
)
from alerting.cli.document_files import read_document
from alerting.cli.options import (
    DefinitionName,
    End,
    Start,
    read_duration,
    read_instant,
)
from alerting.definitions.alert_definition import TrainedDefinition, matching_assets
from alerting.definitions.faults import NotFound, UserError, close_names
from alerting.definitions.fields.definition_checks import advice_warnings
from alerting.definitions.revisions import definition_document, in_plant_zone
from alerting.definitions.wording.language import ENGLISH, joined
from alerting.episodes.episode import Episode
from alerting.kinds.registry import parse_definition
from alerting.notifications.notification import Notification
from alerting.operators.actions_and_mutes import ISA_LETTERS, describe_mute
from alerting.ports import Platform, ReportHead
from alerting.reporting import phrases, sentences
from alerting.reporting.definition.decision_text import METRIC_TITLES, counts, format_metric
from alerting.reporting.estimates import Table, write_workbook
from alerting.reporting.periods import read_period
from alerting.reporting.phrases import OUTCOME_NAMES
from alerting.usecases.backtest import backtest as backtesting
from alerting.usecases.backtest.backtest import named_subject, written_subject
from alerting.usecases.backtest.sandbox import Backtest, Retrain, Subject
from alerting.usecases.definitions import revisions_and_evaluation_plan, versions
from alerting.usecases.definitions.scenarios import read_scenarios, run_scenario
from alerting.usecases.episodes.outcomes import touched_by
from alerting.usecases.episodes.stored_episodes import (
    episodes_of,
    find_episode,
    group_of,
    in_groups,
)
from alerting.usecases.evaluation import rounds as evaluation
from alerting.usecases.explain import why as explain
from alerting.usecases.issue_reports import issue_by_hand
from alerting.usecases.make_reports import make_report
from alerting.usecases.notification.delivery import deliver_due
from alerting.usecases.operators.operate import operator_state

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
        lines += (f"unknown: {target}: {say(reason)}" for target, reason in count.unknown.items())
    return Output(rows, lines)


def _read_cadence(text: str) -> Retrain:
    if text in ("never", "scheduled"):
        return "never" if text == "never" else "scheduled"
    interval = read_duration(text)
    if interval < timedelta(hours=1):
        raise typer.BadParameter(f"{text!r} is too short; the shortest is 1h, or `never`")
    return interval


@writes
def backtest(
    name_or_file: Annotated[
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
        subject = _subject(p, name_or_file)
        begin, until = backtesting.find_period(p, subject, start, end)
        made = backtesting.backtest(p, subject, begin, until, retrain, fresh, report)
        notes = definition_notes(p, [subject.definition])
    target = out or Path(f"{made.definition}-backtest.html")
    write_file(target, made.page)
    value = vars(made) | {"episodes": [_episode_fields(episode) for episode in made.episodes]}
    value |= {"page": str(target), **notes[made.definition]}
    done = (
        f"no notification was sent, no live data changed; written to {target} (backtest {made.id})"
    )
    return Output(value, [*lines_of_notes(notes), *_lines_of_backtest(made), done])


def _subject(p: Platform, name_or_file: str) -> Subject:
    file = Path(name_or_file)
    if file.suffix not in (".yaml", ".yml", ".json") and not file.exists():
        return named_subject(p, name_or_file)
    return written_subject(p, read_document(file))


def _episode_fields(episode: Episode) -> dict[str, Any]:
    names = ("id", "asset", "severity", "raised_at", "closed_at", "model_version")
    outcome = episode.outcome_record
    return {name: getattr(episode, name) for name in names} | {
        "value": episode.current.value,
        "threshold": episode.current.threshold,
        "outcome": outcome.outcome if outcome else None,
        "reason": episode.current.reason,
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
        yield from (
            f"{METRIC_TITLES[name]}: {format_metric(made.events, name)}{behind.get(name, '')}"
            for name in _METRICS
        )
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
    return Output(rows, _lines_of_scenarios(rows), not all(row["passed"] for row in rows))


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
        yield from (
            colored(f"        {line}", {"-": "red", "+": "green"}.get(line[0], ""))
            for line in row["difference"]
        )
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
        revisions_and_evaluation_plan.sync(p, p.clock.now())
        return definition_document(versions.require_revision(p.definitions, written).definition)


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
            episode = _find_episode(p, name, names)
            sent = p.notifications.of_episodes([episode.id])[episode.id]
            block = touched_by(p, episode, p.clock.now())
            blocked = [] if block is None else [block.message]
            states = [*_state_lines(p, episode), *blocked, *_advice_lines(p, episode)]
            return Output(
                vars(episode) | {"notifications": sent, "block": block},
                lines_of_episode(episode, sent, states),
            )
        listed = episodes_of(p, name, start, end)
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
        for e in in_groups(listed)
    ]
    columns = ["id", "now", "definition", "asset", "severity", "raised", "outcome", "why"]
    return table_output(rows, columns, "no episodes")._replace(value=listed)


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
    yield f"  {short(episode.raised_at)}  {say(episode.evaluation.reason)}"
    if episode.renewals:
        yield f"  {short(episode.current.at)}  {say(episode.current.reason)}"
    yield from (f"  {say(state)}" for state in states)
    yield from (f"  why: {say(reason.message)}" for reason in sentences.reasons(episode)[0])
    at_raise = episode.recommendation.message if episode.recommendation else None
    if at_raise:
        yield f"  what-if ({short(episode.raised_at)}): {say(at_raise)}"
    present = episode.present.recommendation.message if episode.present else at_raise
    if present and present != at_raise:
        yield f"  what-if ({short(episode.advised_at)}): {say(present)}"
    if episode.life_message:
        yield f"  {say(episode.life_message)}"
    yield from (f"  {title}: {text}" for title, text in episode.guidance.items())
    if episode.outcome_record and episode.condition != "open":
        outcome = episode.outcome_record
        yield f"  outcome: {outcome.outcome}: {say(outcome.reason)}"
    reader = ENGLISH.with_clock(zone())
    moves = [
        vars(t) | {"what": t.kind, "reason": sentences.describe_transition(t, reader)[1]}
        for t in episode.transitions
    ]
    yield OutputTable(moves, ["at", "what", "actor", "reason"])
    sent = [vars(n) | {"of": n.transition} for n in notifications]
    yield OutputTable(sent, ["channel", "of", "status", "attempts"], "no notifications")


def _advice_lines(p: Platform, episode: Episode) -> Iterable[str]:
    """Return the lines of an episode's advice; if it has none because operators can set no
    variable, say what to declare."""
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
    state = operator_state(p, episode, p.clock.now())
    yield f"state: {state.state} (ISA-18.2 {ISA_LETTERS[state.state]})"
    for title, stamp in (("acknowledged", episode.acknowledged), ("confirmed", episode.confirmed)):
        if stamp is not None:
            yield f"{title} by {stamp.actor} at {short(stamp.at)}"
    if episode.assigned_to:
        yield f"assigned to {episode.assigned_to}"
    if state.first_out == "first":
        yield "came first: the first of several alarms of this asset"
    yield from map(describe_mute, state.mutes)
    if state.suppressed:
        yield f"suppressed by design: {say(state.suppressed)}"
    else:
        yield from (f"an unknown state does not suppress it: {say(why)}" for why in state.unknown)


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
        explanation = explain(p, name, asset, at or p.clock.now())
    head = f"{name} on {asset} at {short(explanation.at)}: {explanation.verdict}"
    lines = (explanation.answer, *explanation.facts)
    return Output(explanation, [head, *(joined("", "  ", line) for line in lines)])


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
    xlsx: Annotated[
        Path | None,
        typer.Option("--xlsx", help="Workbook to write, with all tables.", metavar="FILE"),
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
    tables = [
        Table(name, tuple(stored["columns"]), tuple(map(tuple, stored["rows"])))
        for name, stored in content.tables.items()
    ]
    for table in tables if csv else ():
        write_file(Path(csv or "") / f"{table.name}.csv", table.to_csv())
    if xlsx:
        write_file(xlsx, write_workbook(tables))
    others = [f" and {csv}/"] * bool(csv) + [f" and {xlsx}"] * bool(xlsx)
    written = "".join((f"written to {target}", *others))
    value = {**content.metrics, "id": head.id, "page": str(target)}
    return Output(value, [content.metrics["judgement"]["sentence"], written])


def _file_name(head: ReportHead, *, is_interval: bool) -> str:
    """Return the name of the file of a report: with its period, or with its days if an interval is
    given."""
    if head.period is not None:
        return f"{head.definition}-report-{head.period}.html"
    days = f"-{head.start:%Y-%m-%d}-to-{head.end:%Y-%m-%d}" if is_interval else ""
    return f"{head.definition}-report{days}.html"
