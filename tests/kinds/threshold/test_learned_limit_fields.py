"""Every field of a learned limit changes its estimate, wherever the limit is written; `promotion`
decides on new ones."""

import json
from datetime import UTC, datetime

import pytest

from alerting.definitions.asset_documents import Variable
from alerting.definitions.fields.condition_fields import Learned
from alerting.definitions.revisions import question_hash
from alerting.detection.learned_limits import GroupLimit, LimitTable
from alerting.kinds.registry import parse_definition, sometimes_trained_kinds
from alerting.kinds.threshold.definition import FAMILY, LearnedThresholdDefinition
from alerting.kinds.threshold.training import TRAINING, FittedLimits, from_files, to_files
from alerting.kinds.training_protocol import LearningData, NormalTime
from tests.builders import at, history, oven, too_hot
from tests.helpers.long_history import in_memory

pytestmark = pytest.mark.fast

DAY = 1440
OVEN = oven(temperature=Variable(low=-1000, high=1000), recipe=Variable(type="category"))
FIELDS = {
    "quantile": [{"quantile": 0.6}, {"quantile": 0.9}],
    "over": [{"quantile": 0.6, "over": "1d"}, {"quantile": 0.6, "over": "3d"}],
    "by": [{"quantile": 0.6}, {"quantile": 0.6, "by": ["recipe"]}],
}


def learned(**fields):
    return {"learned": fields}


def written(where, limit):
    """Return the changes that write a limit at a place."""
    one = {"variable": "temperature", "above": limit}
    return {
        "above": {"above": limit},
        "below": {
            "above": None,
            "below": {
                "learned": {**limit["learned"], "quantile": 1 - limit["learned"]["quantile"]}
            },
        },
        "levels": {"above": None, "levels": {"high": {"above": limit}}},
        "any": {
            "variable": "",
            "above": None,
            "any": [one, {"variable": "temperature", "below": 0}],
        },
        "all.any": {
            "variable": "",
            "above": None,
            "all": [{"any": [one, {"variable": "temperature", "below": 0}]}, one],
        },
    }[where]


def definition(**changes):
    return parse_definition({k: v for k, v in too_hot(**changes).items() if v not in (None, "")})


def estimated(document_changes, values=None):
    """Return the estimate from hourly readings of three days, which rise from 0 to 71; recipe B
    from the second day on."""
    found = definition(**document_changes)
    values = values or [float(v) for v in range(72)]
    data = history(
        [60 * m for m in range(72)],
        OVEN,
        temperature=values,
        recipe=["A" if m < 24 else "B" for m in range(72)],
    )
    period = NormalTime(at(-1), at(3 * DAY), at(3 * DAY))
    return (
        found,
        LearningData([in_memory(data)], {}, period),
        TRAINING.estimate(found, 1, FAMILY, LearningData([in_memory(data)], {}, period)).model,
    )


PLACES = ["above", "below", "levels", "any", "all.any"]


@pytest.mark.parametrize("where", PLACES)
def test_each_field_of_a_learned_limit_changes_the_estimate_and_the_question(where):
    assert set(Learned.model_fields) == set(FIELDS)
    for field, (one, other) in FIELDS.items():
        before, after = (written(where, learned(**fields)) for fields in (one, other))
        assert estimated(before)[2].hash != estimated(after)[2].hash, field
        assert question_hash(definition(**before)) != question_hash(definition(**after)), field


def test_a_document_with_a_learned_limit_has_a_model_and_the_scheduler_finds_it_by_its_paths():
    paths = [path.split(".") for path in sometimes_trained_kinds()["threshold"]]

    def is_found(one):
        document = one.model_dump(mode="json", by_alias=True, exclude_none=True)
        return isinstance(one, LearnedThresholdDefinition), any(
            exists(document, path) for path in paths
        )

    limit = learned(quantile=0.9)
    assert {is_found(definition(**written(where, limit))) for where in PLACES} == {(True, True)}
    assert is_found(definition()) == (False, False)
    by_person = written("above", limit) | {"promotion": {"mode": "approval"}}
    assert definition(**by_person).promotion.mode == "approval"


def exists(document, path):
    """Return whether a path leads somewhere, through the members of lists as MongoDB follows it."""
    if not path:
        return True
    if isinstance(document, list):
        return any(exists(one, path) for one in document)
    return (
        isinstance(document, dict) and path[0] in document and exists(document[path[0]], path[1:])
    )


def test_the_limit_is_that_of_the_last_time_alone_and_a_model_survives_its_file():
    _, _, model = estimated(written("above", learned(quantile=0.6, over="1d")))
    [table] = model.by_asset["oven-1"].tables.values()
    assert table.groups[()] == (23, 62.0)  # 49 to 71
    _, _, model = estimated(written("above", learned(quantile=0.6, by=["recipe", "hour_of_day"])))
    again = from_files(to_files(model))
    assert (again, again.hash) == (model, model.hash)


def test_new_limits_wait_for_a_person_where_many_readings_lay_beyond_the_old_ones():
    found, data, champion = estimated(
        written("above", learned(quantile=0.9, over="2d")), [float(m % 5) for m in range(72)]
    )
    moved = history(
        [3 * DAY + 60 * m for m in range(1, 73)],
        OVEN,
        temperature=[float(m % 5 + 10 * (m > 12)) for m in range(72)],
    )
    later = LearningData([in_memory(moved)], {}, NormalTime(at(3 * DAY), at(6 * DAY), at(6 * DAY)))
    challenger = TRAINING.estimate(found, 1, FAMILY, later).model
    compared = TRAINING.compare(found, later, {FAMILY: challenger}, champion)
    assert compared.decision.by_person
    assert "lie beyond the limit in service, 4; 10 % were expected." in compared.decision.details
    assert not TRAINING.compare(found, data, {FAMILY: champion}, None).decision.by_person
    assert TRAINING.compare(found, data, {FAMILY: champion}, champion).decision.verdict == "keep"


def test_limits_of_a_variable_that_never_changes_wait_for_a_person():
    found, data, model = estimated(written("above", learned(quantile=0.9)), [5.0] * 72)
    decision = TRAINING.compare(found, data, {FAMILY: model}, None).decision
    assert (decision.objection, decision.by_person) == ("constant", True)
    assert "temperature of oven-1 never changes in these readings" in decision.reason
    assert TRAINING.compare(found, data, {FAMILY: model}, model).decision.verdict == "keep"


START = datetime(2024, 1, 1, tzinfo=UTC)
END = datetime(2024, 1, 29, tzinfo=UTC)


COUNTED = [
    ([4.5, 4.1, 4.75], "3 groups of hour of day: 4.1 to 4.75"),
    (
        [4.5, None, 4.1],
        "2 groups of hour of day: 4.1 to 4.5; 1 more with fewer than 299 readings: the "
        "coarser limit is taken",
    ),
    ([4.5], "1 group of hour of day: 4.5"),
    (
        [None, None, None],
        "all 3 groups of hour of day have fewer than 299 readings: the coarser limit is taken",
    ),
    ([], "no reading with a known hour of day: the coarser limit is taken"),
    (
        [None],
        "the only group of hour of day has fewer than 299 readings: the coarser limit is taken",
    ),
]


def test_groups_are_counted_with_their_range_and_those_without_enough_readings():
    def said(limits):
        by_hour = {(str(hour),): GroupLimit(60, limit) for hour, limit in enumerate(limits)}
        groups = {(): GroupLimit(1440, 4.6), **by_hour}
        table = LimitTable(0.99, ("hour_of_day",), START, END, groups)
        return [*FittedLimits({json.dumps(["force"]): table}, {}).describe("press-1")]

    told = (
        "press-1: force, quantile 0.99 of 1,440 readings, 2024-01-01 00:00 UTC to 2024-01-29 "
        "00:00 UTC: 4.6; "
    )
    assert [said(limits) for limits, _ in COUNTED] == [[told + words] for _, words in COUNTED]
