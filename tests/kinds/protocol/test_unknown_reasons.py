"""Reasons of a target with a model between two strides."""

import pytest

from alerting.episodes.lifecycle import ConditionState
from alerting.kinds.protocol.evaluation import TargetEvaluation
from alerting.kinds.protocol.unknown_reasons import (
    NO_MODEL,
    NOT_ASKED,
    OUT_OF_SERVICE,
    carried_reason,
)
from tests.builders import at

SILENT = "no values are known of the last 1 h"
ROWS = [object()]


@pytest.mark.parametrize(
    ("stored", "changes", "said"),
    [
        (None, {}, None),
        (SILENT, {}, SILENT),
        # of the evaluations before, and of the part before in the same one
        (None, {"scores": ROWS, "unknown": SILENT}, SILENT),
        (SILENT, {"scores": ROWS}, None),
        # without a definition in service, or a model, nothing was asked
        (NO_MODEL, {}, NOT_ASKED),
        (OUT_OF_SERVICE, {}, NOT_ASKED),
        (None, {"unknown": OUT_OF_SERVICE, "has_model": False}, NOT_ASKED),
        (SILENT, {"scores": ROWS, "unknown": NO_MODEL, "has_model": False}, NOT_ASKED),
    ],
)
def test_the_reason_stays_unless_it_was_that_nothing_could_be_asked(stored, changes, said):
    state = ConditionState(watermark=at(0), unknown_reason=stored)
    assert carried_reason(TargetEvaluation(state, **changes)) == said
