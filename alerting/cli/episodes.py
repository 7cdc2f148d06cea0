"""Commands on episodes: `episodes`, `why`, `feedback` and `alerting episode …`."""

from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer

from alerting.cli.printing.output import console, print_json, short, show, show_result
from alerting.cli.support import (
    AssetName,
    DefinitionName,
    End,
    InPlant,
    Json,
    Start,
    actor,
    command,
    command_group,
    instant,
    platform,
    require_past,
    seen_in,
    user,
    writes,
)
from alerting.definitions.faults import close_names
from alerting.reporting.base.messages import OUTCOME_NAMES

if TYPE_CHECKING:
    from alerting.adapters.platform import Platform
    from alerting.episodes.episode import Episode, RecommendationTaken, Verdict

episode_group = command_group("Episodes: acknowledge, confirm, comment on and assign them.")

Id = Annotated[str, typer.Argument(metavar="EPISODE", help="Id of an episode, or its beginning.")]
ActedAt = Annotated[
    str | None,
    typer.Option("--acted-at", help="Time of the action; now when left out.", metavar="TIME"),
]


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
    in_plant: InPlant = None,
    as_json: Json = False,
) -> None:
    """List episodes: happening, expected, over but not acknowledged, earlier; with --from and --to
    those that were open at some time between; with the id of one, all its details."""
    from alerting.reporting.base import sentences
    from alerting.usecases.episodes.store import episodes_of, group_of, in_groups

    begin = instant(start, "--from")
    stop = instant(end, "--to")
    with platform() as whole:
        p = seen_in(whole, in_plant)
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
            "definition": e.definition,
            "asset": e.asset,
            "severity": e.severity,
            "raised": e.raised_at,
            "now": group_of(e),
            "outcome": "" if e.condition == "open" else _ended_as(e),
            "why": sentences.headline(e),
        }
        for e in in_groups(found)
    ]
    return show(
        rows,
        ["id", "now", "definition", "asset", "severity", "raised", "outcome", "why"],
        False,
        "no episodes",
    )


def _find_episode(p: "Platform", text: str, names: Collection[str]) -> "Episode":
    from alerting.definitions.faults import NotFound
    from alerting.usecases.episodes.store import find_episode

    try:
        return find_episode(p.episodes, text)
    except NotFound as unknown:
        meant = close_names(text, names)
        hint = f", or did you mean {' or '.join(meant)}?" if meant else ""
        raise NotFound(f"{unknown}{hint}") from unknown


def _ended_as(episode: Any) -> str:
    outcome = OUTCOME_NAMES[episode.outcome_record.outcome] if episode.outcome_record else ""
    return ", ".join(
        part for part in (outcome, "found in past data" if episode.backfilled else "") if part
    )


def _show_episode(
    episode: Any, notifications: Sequence[Any], states: list[str], as_json: bool
) -> None:
    from alerting.reporting.base import sentences

    if as_json:
        return print_json(vars(episode) | {"notifications": notifications})
    console.print(
        f"{episode.title} on {episode.asset}: {episode.phase} ({episode.severity})", style="bold"
    )
    console.print(f"  {short(episode.raised_at)}  {episode.evaluation.reason}")
    for line in states:
        console.print(f"  {line}")
    for c in sentences.reasons(episode)[0]:
        console.print(f"  why: {c.message}")
    at_raise = episode.recommendation.message if episode.recommendation else None
    if at_raise:
        console.print(f"  what-if ({short(episode.raised_at)}): {at_raise}")
    if episode.present and episode.present.recommendation.message != at_raise:
        console.print(
            f"  what-if ({short(episode.advised_at)}): {episode.present.recommendation.message}"
        )
    for title, text in episode.guidance.items():
        console.print(f"  {title}: {text}")
    if episode.outcome_record and episode.condition != "open":
        console.print(
            f"  outcome: {episode.outcome_record.outcome}: {episode.outcome_record.reason}"
        )
    moves = [(t, sentences.describe_transition(t)[1]) for t in episode.transitions]
    rows = [{"at": t.at, "what": t.kind, "actor": t.actor, "reason": reason} for t, reason in moves]
    show(rows, ["at", "what", "actor", "reason"], False, "")
    sent = [
        {"channel": n.channel, "of": n.transition, "status": n.status, "attempts": n.attempts}
        for n in notifications
    ]
    return show(sent, ["channel", "of", "status", "attempts"], False, "no notifications")


@command
def why(
    name: DefinitionName,
    asset: AssetName,
    at: Annotated[
        str | None,
        typer.Option(
            "--at", help="The instant, ISO 8601 with zone; now when left out.", metavar="TIME"
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Explain why an alarm was raised or not: value and limit, missing readings, score, shelf, and
    notifications."""
    from alerting.usecases.explain.explain import why as explain

    when = instant(at, "--at")
    with platform() as p:
        require_past(p.clock.now(), when, option="--at")
        found = explain(p, name, asset, when or p.clock.now())
    if as_json:
        return print_json(found)
    console.print(f"{name} on {asset} at {short(found.at)}: {found.verdict}", style="bold")
    return show_result(found, False, *(f"  {line}" for line in (found.answer, *found.facts)))


@writes
def feedback(
    episode: Id,
    verdict: Annotated[str | None, typer.Option(help="true_alarm, false_alarm or unsure.")] = None,
    acted: Annotated[bool, typer.Option("--acted", help="An operator acted on it.")] = False,
    action: Annotated[str | None, typer.Option(help="The action.")] = None,
    comment: Annotated[str | None, typer.Option(help="A comment.")] = None,
    acted_at: ActedAt = None,
    taken: Annotated[
        str | None,
        typer.Option(
            "--recommendation",
            help="Whether you followed it: yes, partly, other or no.",
            metavar="TEXT",
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Give feedback on an episode: whether it was right, and whether you acted on it."""
    from alerting.episodes.episode import Feedback
    from alerting.usecases.operators.feedback import give_feedback

    if verdict not in (None, "true_alarm", "false_alarm", "unsure"):
        raise typer.BadParameter(
            f"{verdict!r} is not a verdict; write true_alarm, false_alarm or unsure",
            param_hint="--verdict",
        )
    if taken not in (None, "yes", "partly", "other", "no"):
        raise typer.BadParameter(
            f"{taken!r}: write yes, partly, other or no", param_hint="--recommendation"
        )
    done_at = instant(acted_at, "--acted-at")
    with platform() as p:
        now = p.clock.now()
        said = cast("Verdict", verdict)
        followed = cast("RecommendationTaken | None", taken)
        feedback = Feedback(episode, said, acted, action, comment, user(), now, done_at, followed)
        after = give_feedback(p, feedback)
    outcome = (
        f"{after.outcome_record.outcome} ({after.outcome_record.reason})"
        if after.outcome_record
        else "not known yet"
    )
    show_result(after, as_json, f"recorded for {after.title} on {after.asset}; outcome: {outcome}")


@episode_group.command("ack")
@writes
def ack(
    episode: Id,
    note: Annotated[str, typer.Option(help="A note for the next operator.")] = "",
    as_json: Json = False,
) -> None:
    """Acknowledge an episode: you have seen it. Idempotent."""
    from alerting.usecases.operators import operate

    with platform() as p:
        _show_state(p, operate.acknowledge(p, episode, actor(), p.clock.now(), note), as_json)


@episode_group.command("close")
@writes
def close(
    episode: Id,
    reason: Annotated[str, typer.Option("--reason", help="Why it is over.")],
    as_json: Json = False,
) -> None:
    """Close an alert that nothing evaluates, or whose predicted problem has come, when no reading
    shows whether it goes on."""
    from alerting.usecases.operators import operate

    with platform() as p:
        _show_state(p, operate.close(p, episode, actor(), p.clock.now(), reason), as_json)


@episode_group.command("confirm")
@writes
def confirm(
    episode: Id,
    did: Annotated[str, typer.Option("--did", help="The action.")] = "",
    acted_at: ActedAt = None,
    as_json: Json = False,
) -> None:
    """Confirm an action on an episode; its outcome then counts as `acted`."""
    from alerting.usecases.operators import operate

    done_at = instant(acted_at, "--acted-at")
    with platform() as p:
        _show_state(p, operate.confirm(p, episode, actor(), p.clock.now(), did, done_at), as_json)


@episode_group.command("comment")
@writes
def comment(
    episode: Id, text: Annotated[str, typer.Argument(help="The comment.")], as_json: Json = False
) -> None:
    """Add a comment to an episode."""
    from alerting.usecases.operators import operate

    with platform() as p:
        _show_state(p, operate.comment(p, episode, actor(), p.clock.now(), text), as_json)


@episode_group.command("assign")
@writes
def assign(
    episode: Id,
    to: Annotated[str, typer.Argument(metavar="PERSON", help="Name of a person.")],
    as_json: Json = False,
) -> None:
    """Assign an episode to a person."""
    from alerting.usecases.operators import operate

    with platform() as p:
        _show_state(p, operate.assign(p, episode, actor(), p.clock.now(), to), as_json)


def _advice_lines(p: "Platform", episode: "Episode") -> list[str]:
    """Return what to declare if there is no advice, as operators can set no variable."""
    from alerting.definitions.checks.trained import advice_warnings
    from alerting.definitions.matching import matching_assets
    from alerting.definitions.model import TrainedDefinition

    latest = p.definitions.newest_revision(episode.definition)
    advice = episode.recommendation
    if (
        latest is None
        or not isinstance(latest.definition, TrainedDefinition)
        or (advice is not None and advice.changes)
    ):
        return []
    return list(
        advice_warnings(latest.definition, matching_assets(latest.definition, p.assets.all()))
    )


def state_lines(p: "Platform", episode: "Episode") -> list[str]:
    """Return the operator state of an episode as lines for people."""
    from alerting.operators.actions import ISA_LETTERS
    from alerting.operators.shelves import describe_shelf
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
    lines += [describe_shelf(shelf) for shelf in state.shelves]
    lines += [f"suppressed by design: {state.suppressed}"] if state.suppressed else []
    unknown = () if state.suppressed else state.unknown
    return lines + [f"an unknown state does not suppress it: {reason}" for reason in unknown]


def _show_state(p: "Platform", episode: "Episode", as_json: bool) -> None:
    if as_json:
        print_json(episode)
        return
    console.print(f"{episode.title} on {episode.asset}", style="bold")
    for line in state_lines(p, episode):
        console.print(f"  {line}")
