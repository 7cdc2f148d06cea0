"""The question of a definition: what a model answers, and nothing else of the document."""

import pytest

from alerting.definitions.revisions import question_hash
from tests.builders import classifier, revision, threshold

pytestmark = pytest.mark.fast


@pytest.mark.parametrize(
    "change",
    [
        {"problem": {"variable": "moisture", "above": 5.0, "for": "5m"}},
        {"problem": {"variable": "moisture", "above": 4.5, "for": "5m", "predict": "state"}},
        {"problem": {"variable": "moisture", "above": 4.5, "for": "5m", "clear": 4.2}},
        {"problem": {"variable": "moisture", "above": 4.5, "for": "5m", "merge_within": "1h"}},
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


def test_hashes_of_a_definition_without_clear_and_merge_within_are_those_of_before_these_fields():
    assert question_hash(classifier()) == "9f4b0cfb72e43c56"
    assert revision(classifier()).hash == "ea7c983a742e6fc1"
    limited = threshold(problem={"variable": "moisture", "above": 4.5})
    assert revision(limited).hash == "4509480bb816451b"
