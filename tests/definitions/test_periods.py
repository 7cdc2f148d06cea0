"""Periods as their author gives them: shares, lengths, dates; and what is refused or warned
about."""

import pytest

from alerting.definitions.checks.trained import training_warnings
from alerting.definitions.faults import DefinitionRefused
from alerting.definitions.revisions import definition_document
from alerting.kinds.validation import parse_definition
from tests.builders import classifier, too_moist

pytestmark = pytest.mark.fast

MARCH = "2026-03-01T00:00:00Z"
APRIL = "2026-04-01T00:00:00Z"
DATES = {"validation": {"from": MARCH, "to": APRIL}, "test": {"from": APRIL}}


@pytest.mark.parametrize(
    "periods", [{"test": 0.3}, {"train": "30d", "validation": "1w", "test": "2w"}, DATES]
)
def test_each_way_is_written_back_as_it_was_read(periods):
    read = classifier(periods=periods)
    assert definition_document(read)["periods"] == periods
    assert parse_definition(definition_document(read)) == read


@pytest.mark.parametrize(
    ("periods", "words"),
    [
        (
            {"train": 0.3},
            "periods.train: 0.3 is not possible here (write a length such as 90d, or {from: …, "
            "to: …})",
        ),
        ({"test": "a while"}, "periods.test: 'a while' is not a duration"),
        ({"test": "0s"}, "periods.test: must be longer than 0s"),
        (
            {"test": {"form": MARCH, "from": APRIL}},
            "periods.test.form: is not a field (did you mean from?)",
        ),
        ({"test": {"to": APRIL}}, "periods.test.from: is missing"),
        (
            {"test": {"from": APRIL, "to": MARCH}},
            "periods.test.from: must lie before periods.test.to",
        ),
        (
            {"validation": {"from": MARCH, "to": APRIL}, "test": {"from": MARCH}},
            "periods.validation.to: must lie before",
        ),
        (
            {"validation": {"from": APRIL}, "test": {"from": MARCH}},
            "periods.validation.from: must lie before periods.test.from",
        ),
        (
            {"train": {"from": MARCH}, "start": MARCH},
            "periods.start: says the same as periods.train.from (keep one of them)",
        ),
        (
            {"test": {"from": MARCH, "to": APRIL}, "end": APRIL},
            "periods.end: says the same as periods.test.to",
        ),
    ],
)
def test_what_cannot_be_meant_is_refused_with_its_place(periods, words):
    with pytest.raises(DefinitionRefused) as refused:
        parse_definition(too_moist(periods=periods))
    assert words in str(refused.value)


@pytest.mark.parametrize(
    ("periods", "retrain", "warned"),
    [
        (DATES, "0 3 * * 0", True),
        ({"end": APRIL}, "0 3 * * 0", True),
        (DATES, None, False),
        ({"test": "14d"}, "0 3 * * 0", False),
        ({"train": {"from": MARCH}}, "0 3 * * 0", False),
    ],
)
def test_dates_with_a_schedule_of_trainings_are_warned_about(periods, retrain, warned):
    warnings = training_warnings(classifier(periods=periods, schedule={"retrain": retrain}), [])
    assert any("validates and tests on the same days" in warning for warning in warnings) == warned
