"""Commands on periods: `kpi` and `late-data`."""

from datetime import timedelta
from typing import TYPE_CHECKING, Annotated, cast

import typer

from alerting.cli.printing.output import console, print_json, short, show, zone
from alerting.cli.support import (
    InPlant,
    Json,
    command,
    instant,
    platform,
    require_past,
    seen_in,
)
from alerting.definitions.durations import format_duration

if TYPE_CHECKING:
    from alerting.alarm_kpis.groups import Grouping
    from alerting.alarm_kpis.metrics import Kpis, Spread
    from alerting.usecases.alarm_load.kpis import AlarmQuality, QualityByGroup


@command
def late_data(
    start: Annotated[
        str | None,
        typer.Option("--from", help="Arrivals since; the last day when left out.", metavar="TIME"),
    ] = None,
    as_json: Json = False,
) -> None:
    """List late readings and events: their delay, and the latency that would have sufficed.

    Late is what arrives after its time was evaluated. A latency is set on the variable of the asset
    (alerting import assets); alerts are then raised that much later.
    """
    from alerting.usecases.ingestion.lateness import lateness

    begin = instant(start, "--from")
    with platform() as p:
        found = lateness(p, begin or p.clock.now() - timedelta(days=1))
    if as_json:
        print_json(found)
        return
    rows = [vars(line) | {"longest": str(line.longest).split(".")[0]} for line in found]
    show(
        rows,
        ["asset", "what", "deliveries", "rows", "longest", "newest", "latency"],
        False,
        "no readings or events came late",
    )
    if found:
        console.print(
            "latency: would suffice for nineteen of twenty deliveries; later readings are "
            "reprocessed",
            style="dim",
        )


@command
def kpi(
    start: Annotated[
        str | None,
        typer.Option("--from", help="Start; 30 days before the end if left out.", metavar="TIME"),
    ] = None,
    end: Annotated[
        str | None, typer.Option("--to", help="End; now when left out.", metavar="TIME")
    ] = None,
    asset: Annotated[
        str | None, typer.Option(help="Only assets of this name or pattern, e.g. oven-*.")
    ] = None,
    target: Annotated[
        list[str] | None,
        typer.Option(
            "--target", help="Change a target, e.g. flood_starts_above=8.", metavar="NAME=VALUE"
        ),
    ] = None,
    by: Annotated[
        str | None,
        typer.Option(
            "--by", help="One line for each position, line or shift.", metavar="position|line|shift"
        ),
    ] = None,
    past: Annotated[
        bool | None,
        typer.Option(
            "--past/--no-past",
            help=(
                "Count alarms found by evaluating past data; when left out, only if they are most "
                "of all alarms."
            ),
            show_default=False,
        ),
    ] = None,
    in_plant: InPlant = None,
    as_json: Json = False,
) -> None:
    """Show alarm metrics after ISA-18.2 / EEMUA 191: rates, floods, chattering with advice, stale,
    top ten, priorities, times."""
    from alerting.alarm_kpis.metrics import targets_under
    from alerting.usecases.alarm_load.kpis import alarm_quality, alarm_quality_by, read_targets

    begin = instant(start, "--from")
    stop = instant(end, "--to")
    if by not in (None, "position", "line", "shift"):
        raise typer.BadParameter(
            f"{by!r} is not a grouping; write position, line or shift", param_hint="--by"
        )
    with platform() as opened:
        p = seen_in(opened, in_plant)
        require_past(p.clock.now(), begin, stop)
        targets = read_targets(target or [], targets_under(p.budget))
        until = stop or p.clock.now()
        begin = begin or until - timedelta(days=30)
        if by is None:
            whole = alarm_quality(p, begin, until, asset, targets, past)
        else:
            groups = alarm_quality_by(p, begin, until, cast("Grouping", by), asset, targets, past)
    if as_json:
        print_json(whole if by is None else groups)
    elif by is None:
        _show_whole(whole)
    else:
        _show_groups(groups)


def _show_groups(found: "QualityByGroup") -> None:
    from alerting.alarm_kpis.observation import observation

    rows = [
        {
            found.by: g.name,
            "alarms": g.kpis.alarms,
            ("an hour" if found.by == "shift" else "a day"): _or_unknown(
                g.kpis.per_hour if found.by == "shift" else g.kpis.per_day
            ),
            "budget": g.budget / 24 if found.by == "shift" else g.budget,
            "most in 10 min": _or_unknown(g.kpis.busiest),
            "in flood": _share(g.kpis.time_in_flood),
            "chattering": len(g.kpis.chattering),
            "stale": len(g.kpis.stale),
            "to acknowledge": format_duration(g.kpis.to_acknowledge.median)
            if g.kpis.to_acknowledge.median is not None
            else "",
        }
        for g in found.groups
    ]
    show(rows, list(rows[0]) if rows else [], False, "no definition in service applies to an asset")
    if found.past.message:
        console.print(found.past.message)
    for g in found.groups:
        if observed_text := observation(g.kpis, zone()):
            console.print(f"{g.name}: {observed_text}")
    if found.groups:
        own = "; rates are per hour of the shift" if found.by == "shift" else ""
        console.print(f"{found.groups[0].kpis.note}{own}", style="dim")


def _show_whole(found: "AlarmQuality") -> None:
    from alerting.alarm_kpis.observation import observation

    k = found.kpis
    shelved = (
        f", {k.silent} more while muted ({k.suppressed} of them suppressed by design)"
        if k.silent
        else ""
    )
    console.print(
        f"{_count_noun(k.alarms, 'alarm')} from {short(k.start)} to {short(k.end)}{shelved}",
        style="bold",
    )
    if found.past.message:
        console.print(found.past.message)
    if observed_text := observation(k, zone()):
        console.print(observed_text)
    verdicts = {True: "met", False: "not met", None: "too short a time"}
    rows = [
        {"metric": f.metric, "value": _or_unknown(f.value), "target": f.target, "": verdicts[f.met]}
        for f in k.findings
    ]
    show(rows, ["metric", "value", "target", ""], False, "")
    _show_load(k)
    chattering = [
        f"{c.definition} on {c.asset}: {c.cycles} times in {_count_noun(c.bursts, 'burst')}"
        for c in k.chattering
    ]
    for line, advice in zip(chattering, found.advice, strict=True):
        console.print(f"chattering: {line}")
        for sentence in [p.message for p in advice.proposals] or [advice.why_not or ""]:
            console.print(f"  {sentence}")
    top = [
        {"alarm": f"{t.definition} on {t.asset}", "times": t.alarms, "share": f"{t.share:.0%}"}
        for t in k.top
    ]
    show(top, ["alarm", "times", "share"], False, "")
    for s in k.stale:
        still = " and still is" if s.still else ""
        console.print(
            f"stale: {s.definition} on {s.asset} was active for "
            f"{format_duration(s.active_for)}{still}"
        )
    if found.muted:
        console.print(f"muted now: {len(found.muted)} (see: alerting shelf list)")
    console.print(k.note, style="dim")


def _show_load(k: "Kpis") -> None:
    bands = ", ".join(
        f"{b.name} ({b.least}{_most(b.least, b.most)}) {_share(b.share)}" for b in k.bands
    )
    console.print(f"10-minute periods: {bands}")
    for f in k.floods:
        console.print(
            f"flood: {short(f.start)} to {short(f.end)}, {f.alarms} alarms, at most {f.peak} in 10 "
            "minutes"
        )
    mix = ", ".join(f"{p.severity} {p.share:.0%} (target {p.target:.0%})" for p in k.priorities)
    console.print(f"severities: {mix}")
    console.print(f"to acknowledge: {_spread(k.to_acknowledge, 'not acknowledged')}")
    console.print(f"to clear: {_spread(k.to_clear, 'still open')}")


def _or_unknown(value: float | None) -> float | str:
    return "not known" if value is None else value


def _share(value: float | None) -> str:
    return "not known" if value is None else f"{value:.1%}"


def _count_noun(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def _most(least: int, most: int | None) -> str:
    if most is None:
        return " and more"
    return "" if most == least else f" to {most}"


def _spread(spread: "Spread", missing: str) -> str:
    rest = f"; {spread.missing} {missing}" if spread.missing else ""
    if spread.median is None or spread.p90 is None or spread.longest is None:
        return f"none{rest}"
    median, p90, longest = (
        format_duration(value) for value in (spread.median, spread.p90, spread.longest)
    )
    return f"median {median}, nine of ten within {p90}, longest {longest}{rest}"
