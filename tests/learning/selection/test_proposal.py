"""A proposal is the same after its file, and a file that is not one is refused."""

import json
import math
from datetime import timedelta, timezone

import numpy as np
import pytest

from alerting.definitions.faults import UserError
from alerting.learning.data.findings import Finding
from alerting.learning.selection.decision import Proposal
from alerting.reporting.definition.decision_text import decision_markdown
from tests.builders import at
from tests.helpers.learning.proposals import LIGHTGBM, proposal


def test_a_proposal_is_the_same_after_its_file():
    made = proposal(
        as_of=at(10).astimezone(timezone(timedelta(hours=2))),
        leaderboard=[LIGHTGBM | {"intervals": {"ap": (0.5, 0.7)}}],
        test={"ap": 0.6, "intervals": {"ap": [0.5, 0.7]}, "brier": None, "notes": ["few problems"]},
        findings=[Finding("gaps", "moisture", 3.0, "kept", "3 gaps")],
    )
    read = Proposal.from_json(made.to_json(), "run")
    assert read == made
    assert decision_markdown(read) == decision_markdown(made)
    figures = proposal(test={"ap": math.nan, "best": math.inf})
    again = Proposal.from_json(figures.to_json(), "run").test
    np.testing.assert_equal(again, {"ap": math.nan, "best": math.inf})


def test_a_file_that_is_no_proposal_is_refused_with_what_to_do():
    forged = [
        {"as_of": "2026-01-01T00:00:00"},
        {"verdict": "perhaps"},
        {"promote": None},
        {"more": 1},
        {"leaderboard": [{}]},
    ]
    words = "the proposal of run r7 in the registry is damaged; train again"
    for changes in forged:
        document = json.loads(proposal().to_json()) | changes
        with pytest.raises(UserError, match=words):
            Proposal.from_json(json.dumps(document).encode(), "r7")
            pytest.fail(f"{changes} was read")
