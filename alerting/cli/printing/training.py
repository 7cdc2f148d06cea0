"""Printing of the result of a training."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from alerting.cli.printing.output import console, show

if TYPE_CHECKING:
    from alerting.learning.selection.proposal import CandidateSummary


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
