"""The question of a definition: what a model answers, and nothing else of the document."""

import pytest

from alerting.definitions.question import question_hash
from tests.builders import classifier

pytestmark = pytest.mark.fast


@pytest.mark.parametrize(
    "change",
    [
        {"problem": {"variable": "moisture", "above": 5.0, "for": "5m"}},
        {"problem": {"variable": "moisture", "above": 4.5, "for": "5m", "predict": "state"}},
        {"horizon": "1h"},
        {"gap": "5m"},
        {"assets": ["oven-*"]},
        {"include": ["zone_*"]},
        {"exclude": ["moisture"]},
        {"features": {"stride": "10m"}},
    ],
)
def test_another_question_has_another_hash(change):
    assert question_hash(classifier(**change)) != question_hash(classifier())


@pytest.mark.parametrize(
    "change",
    [
        {"title": "Moist"},
        {"severity": "low"},
        {"learning": {"trials": 3}},
        {"features": {"windows": ["1h"]}},
    ],
)
def test_the_same_question_in_another_document_has_the_same_hash(change):
    assert question_hash(classifier(**change)) == question_hash(classifier())
