"""Commands on champions: who serves and why, approve or reject, go back."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Any

import typer

from alerting.cli.support import Json, command, console, platform, print_json, short, show, user, writes
from alerting.reporting.messages import seconds

if TYPE_CHECKING:
    from alerting.ports import PlatformAlert

_PROBABLY_KILLED = timedelta(minutes=30)  # the time budget of one search is minutes

Name = Annotated[str, typer.Argument(help="Name of a definition.")]


@command
@writes
def approve(
    run_id: Annotated[str, typer.Argument(help="The training's run, as `train` and `models` print it.")],
    reject: Annotated[
        str | None, typer.Option("--reject", help="Reject instead, with this reason, which is kept.", metavar="REASON")
    ] = None,
    as_json: Json = False,
) -> None:
    """Approve (or reject, with a reason) the promotion that a training proposed."""
    from alerting.usecases.training.promote import promote_run

    with platform() as p:
        result = promote_run(p, run_id, approved_by=user(), rejected_reason=reject)
    if as_json:
        return print_json(result)
    return console.print(f"{result['verdict']}: {result['reason']}", markup=False)


@command
@writes
def rollback(
    name: Name,
    reason: Annotated[str, typer.Option("--reason", help="Why, kept with the decision.")],
    to: Annotated[
        int | None, typer.Option("--to", help="A version that was in service; the one before when left out.", metavar="VERSION")
    ] = None,
    as_json: Json = False,
) -> None:
    """Put an earlier champion back into service; evaluation uses it from now on."""
    from alerting.usecases.training import promote

    with platform() as p:
        record = promote.rollback(p, name, reason, user(), to)
    if as_json:
        return print_json(record)
    return console.print(f"{record.reason}. In service since {short(record.at)}.", markup=False)


@command
def models(name: Name, as_json: Json = False) -> None:
    """Show who is champion, the leaderboard of the last training, all versions, and every decision with its reason."""
    from alerting.usecases.training.promote import model_history

    with platform() as p:
        history = model_history(p, name)
    if as_json:
        return print_json(history)
    _show_champion(history)
    _show_unfinished(history["unfinished"], name)
    if history["unreadable"]:
        console.print(f"the model registry cannot be read: {history['unreadable']}", style="red", markup=False)
    else:
        _show_training(history["training"])
        columns = ["version", "alias", "family", "revision", "training_cutoff", "threshold"]
        show([_short(v) for v in history["versions"]], columns, False, f"no model yet: alerting train {name}")
    if history["decisions"]:
        console.print("\ndecisions, oldest first", style="bold")
        columns = ["at", "verdict", "challenger", "champion", "by", "reason"]
        return show([_short(d) | {"by": d["actor"]} for d in history["decisions"]], columns, False, "")
    return None


def _show_champion(history: dict[str, Any]) -> None:
    if history["champion"] is None:
        return console.print(f"{history['definition']} has no champion", style="bold", markup=False)
    provisional = ", provisional: there was nothing to compare it with" if history["provisional"] else ""
    since = short(datetime.fromisoformat(history["since"]))
    text = f"{history['definition']}: version {history['champion']} in service since {since}{provisional}"
    return console.print(text, style="bold", markup=False)


def _show_unfinished(training: dict[str, Any] | None, name: str) -> None:
    if training is None:
        return
    silent = datetime.now(UTC) - training["last_sign"]
    done = f"{training['candidates_done']} of {training['candidates'] or 'unknown'} candidates done"
    text = f"training since {short(training['started_at'])}: {training['step']}, {done}"
    if silent < _PROBABLY_KILLED:
        console.print(f"{text} (last step {seconds(silent.total_seconds())} ago)", style="yellow")
    else:
        console.print(
            f"{text}; no sign of life for {seconds(silent.total_seconds())}, so it was probably interrupted: "
            f"alerting train {name}",
            style="red",
        )


def _show_training(training: dict[str, Any] | None) -> None:
    if training is None:
        return
    as_of = short(datetime.fromisoformat(training["as_of"]))
    console.print(f"\nlast training, as of {as_of}, run {training['run_id']}", style="bold", markup=False)
    show_candidates(training["leaderboard"])
    show_test(training["test"])
    if training["waiting"]:
        console.print(
            f"waits for approval: alerting approve {training['run_id']} [--reject REASON]", style="yellow", markup=False
        )
    console.print()


def show_candidates(leaderboard: Sequence[dict[str, Any]]) -> None:
    """Every family's best of one training, the best first, with 95 % bounds."""
    from alerting.reporting.decision_text import CANDIDATE_METRICS, candidate_metrics, measured

    ranked = sorted(leaderboard, key=lambda line: -line["ap"])
    told = [line | {key: measured(candidate_metrics(line), key) for key in CANDIDATE_METRICS} for line in ranked]
    show(told, ["family", *CANDIDATE_METRICS, "trials", "cut_short"], False, "")


def show_test(test: dict[str, Any]) -> None:
    """How the challenger did on the test period, with 95 % bounds, and how its threshold was chosen."""
    from alerting.reporting.decision_text import FIGURES, measured

    if "ap" in test:
        console.print("test period, scored once (in brackets: 95 % bounds)", style="bold")
        for key, title in FIGURES.items():
            console.print(f"  {title}: {measured(test, key)}", markup=False)
    for note in test.get("notes", []):
        console.print(f"  {note}", markup=False)
    if test.get("threshold_reason"):
        console.print(f"threshold {test['threshold']:.3g}: {test['threshold_reason']}", markup=False)


def _short(row: dict[str, Any]) -> dict[str, Any]:
    """A row with its numbers as tables show them."""
    return row | ({"threshold": float(row["threshold"])} if row.get("threshold") else {})


def show_platform_alerts(alerts: "Sequence[PlatformAlert]") -> None:
    """What an engineer must mend, a line for each."""
    for alert in alerts:
        text = f"platform alert since {short(alert.opened_at)}: {alert.subject}: {alert.kind}: {alert.reason}"
        console.print(text, style="red", markup=False)
