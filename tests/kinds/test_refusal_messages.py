"""Every refusal of a training beside what its reader does next: the sentences, and the table in
docs/learning.md."""

from datetime import timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from alerting.definitions.faults import DocumentRefused, unknown_name
from alerting.definitions.wording.language import commands_of, joined, with_command
from alerting.kinds.control_chart.training import Signals
from alerting.kinds.normal_operation import propose_end
from alerting.kinds.registry import parse_definition
from alerting.kinds.training_protocol import NormalTime
from alerting.learning.selection.choice import ChanceTest
from alerting.learning.selection.decision import add_objection, decide
from alerting.learning.selection.operating_point import VALIDATION
from alerting.ports import Training
from alerting.reporting.definition.decision_text import result_line
from alerting.usecases.definitions.next_steps import describe_training, describe_waiting, one_step
from alerting.usecases.training.objections import refuse
from tests.builders import at, too_moist
from tests.helpers.learning.proposals import proposal

DAY = timedelta(days=1)
START = at(0)
PAGE = Path(__file__).parents[2] / "docs" / "learning.md"


def refused_as_chance(problems=10):
    test = ChanceTest(0.3, 0.4, trials=5, problems=problems, prevalence=0.1)
    refused = refuse(test, None)
    told = {"reason": refused.reason, "details": refused.details}
    return result_line(proposal(verdict="no_challenger", promote=False, **told))


def few_points(days_of_normal):
    """45 unseen points of nine hours, of a run length of 900 points."""
    end = START + days_of_normal * DAY
    period = NormalTime(START, end, end + timedelta(hours=9))
    found = Signals(0, 45, 45 / 900, 0)
    return f"{found.describe()} {propose_end(period, found.allowed)}"


def little_time():
    found = "On 4 days of unseen normal time 0 false alarms, 0.29 allowed."
    period = NormalTime(START, START + 20 * DAY, START + 24 * DAY)
    longer = propose_end(period, 0.29)
    decision = decide({"too_little_time": True}, details=f"{found} {longer}")
    return f"{decision.reason} {decision.details}"


def finds_nothing():
    first = decide({"no_champion": True})
    added = add_objection(first, "finds_nothing", {"period": VALIDATION})
    return result_line(proposal(waiting=True, reason=added.reason))


def approved():
    return result_line(proposal(verdict="provisional", approved_by="ann"))


def faults_of(**changes):
    with pytest.raises(DocumentRefused) as refused:
        parse_definition(too_moist(**changes))
    return str(refused.value)


def training(**changes):
    return Training("too-moist", "q", "run", 1, at(2), **changes)


def described(**changes):
    return describe_training(training(**changes), False)


new = with_command("is new: training starts within two minutes", "alerting train --due")
# situation, sentence, what its reader does next
TABLE = {
    "nothing beyond chance": (
        refused_as_chance,
        (
            "No candidate ranks better than chance",
            "about 13 more problems (if its figure stays",
            "another horizon",
            "`kind: anomaly`, which learns from normal operation alone",
        ),
        "waits for as many problems, or asks another question",
    ),
    "too few problems for the folds": (
        lambda: refused_as_chance(problems=2),
        ("2 problems to learn from are too few", "3 are needed", "a longer history"),
        "imports older readings, or writes fewer `learning.folds`",
    ),
    "control chart, few unseen points, long normal period": (
        lambda: few_points(days_of_normal=60),
        (
            "45 unseen points; about 450 needed.",
            "With `normal: {from: 2026-01-05T00:00Z, to: 2026-03-02T",
            "the platform decides",
        ),
        "writes this `normal`, and trains again",
    ),
    "control chart, few unseen points, short normal period": (
        lambda: few_points(days_of_normal=3),
        ("45 unseen points; about 450 needed.", "About 4 more days of readings are needed."),
        "waits so long",
    ),
    "control chart, false alarms as allowed": (
        lambda: Signals(3, 900, 4.5, 9).describe(),
        ("3 signals on 900 unseen points", "allows 4.5"),
        "nothing",
    ),
    "control chart, too many signals": (
        lambda: Signals(30, 900, 4.5, 90).describe(),
        ("30 signals on 900 unseen points", "allows 4.5"),
        "looks for what changed, or writes another `normal`",
    ),
    "detector, too little unseen time": (
        little_time,
        (
            "too little normal time that it has not seen",
            "With `normal: {from: 2026-01-05T00:00Z, to: 2026-01-2",
        ),
        "writes this `normal`, or approves",
    ),
    "threshold finds no problem": (
        finds_nothing,
        ("no threshold finds a problem in the validation period", "waits for a person"),
        "reads the figures, then approves or rejects",
    ),
    "a version waits": (
        lambda: describe_waiting(proposal(waiting=True)),
        (
            "version 1 waits for approval: compare and decide on its page",
            "alerting model approve run",
        ),
        "approves or rejects",
    ),
    "a person approved": (
        approved,
        ("ann approved the first model, which goes into service.", "It is better."),
        "nothing",
    ),
    "a training is under way": (
        described,
        ("is being trained since 2026-01-05 00:02 UTC",),
        "waits; its result: `alerting models NAME`",
    ),
    "a training failed": (
        lambda: described(ended_at=at(3), failure="no readings of moisture; import readings"),
        ("failed at 2026-01-05 00:03 UTC: no readings of moisture; import readings",),
        "does what the reason says",
    ),
    "mistyped kind, and another fault": (
        lambda: faults_of(kind="klassifier", horzion="1h"),
        ("did you mean classifier?", "horzion"),
        "mends all faults at once",
    ),
    "mistyped definition": (
        lambda: unknown_name(
            "definition", "wanddicke", ["wanddicke-zu-duenn", "oven"], "apply one"
        ),
        ("did you mean wanddicke-zu-duenn?",),
        "writes that name",
    ),
    "several alerts applied": (
        lambda: one_step([joined(": ", f"a-{n}", new) for n in range(4)]),
        ("all 4 alerts wait for their first training; follow all 4 in their list", "alerting list"),
        "`alerting list`",
    ),
}


@pytest.mark.parametrize("situation", TABLE)
def test_a_refusal_says_what_to_do_next(situation):
    say, parts, _ = TABLE[situation]
    text = say()
    said = "\n".join([text, *commands_of(text)])
    for part in parts:
        assert part in said
    assert "train it" not in said
    assert "provisionally" not in said
    assert not ("goes into service only if" in said and "approved the" in said)


def test_the_page_has_a_row_for_each_situation():
    rows = {
        cells[0]: cells[-1]
        for line in PAGE.read_text(encoding="utf-8").splitlines()
        if line.startswith("| ") and len(cells := line.strip("| ").split(" | ")) == 3
    }
    assert {situation: after for situation, (_, _, after) in TABLE.items()}.items() <= rows.items()


@pytest.mark.parametrize("days", [10, 30, 60])
def test_the_earlier_end_that_is_proposed_leaves_enough_unseen_time(days):
    end = START + days * DAY
    period = NormalTime(START, end, end + timedelta(hours=9))
    said = propose_end(period, 0.05)
    written = pd.Timestamp(said.split("to: ")[1].split("}")[0])
    unseen = period.end - written.to_pydatetime()
    assert 0.5 <= 0.05 * (unseen / timedelta(hours=9)) <= 0.6
    assert 2 * (written.to_pydatetime() - START) >= end - START


def test_no_end_is_proposed_that_the_model_in_service_has_seen():
    period = NormalTime(START, START + 60 * DAY, START + 61 * DAY)
    assert "With `normal" in propose_end(period, 0.1, START + 30 * DAY)
    assert "more days of readings" in propose_end(period, 0.1, START + 59 * DAY)
    assert propose_end(period, 0.0) == ""


def test_more_problems_is_an_estimate_by_their_square_root():
    test = ChanceTest(0.3, 0.4, trials=5, problems=10, prevalence=0.1)
    above = np.sqrt(10 / (10 + test.more_problems)) * (test.bound - test.prevalence)
    assert test.ap - test.prevalence == pytest.approx(above, abs=0.005)
