"""Printing of the result of a training."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from alerting.cli.printing.output import console, print_text, short, show

if TYPE_CHECKING:
    from alerting.learning.selection.proposal import CandidateSummary, Proposal


def show_candidates(leaderboard: "Sequence[CandidateSummary]", run_id: str) -> None:
    """Print the best candidate of each family, best first, and how to repeat what was cut short."""
    from alerting.reporting.page import decision_text as text

    lines = [vars(candidate) for candidate in text.ranked(leaderboard)]
    titles = text.candidate_titles(leaderboard)
    rows = [line | {key: text.format_metric(line, key) for key in titles} for line in lines]
    show(rows, ["family", *titles, "trials", "cut_short"], False, "")
    for said in text.cut_short_lines(leaderboard, run_id):
        console.print(said, style="yellow")


def show_test(test: Mapping[str, Any]) -> None:
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
    show_test(result.test)
    for line in decision_text.period_lines(result.dataset):
        console.print(line)
    show_candidates(result.leaderboard, result.run_id)
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


def say_whose(
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
