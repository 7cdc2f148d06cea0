"""Effect of operators' answers on training: never a silent negative, never a label against the
data."""

from dataclasses import replace
from datetime import timedelta
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from alerting.episodes.episode import Feedback
from alerting.learning.data.dataset import (
    build_dataset,
    dataset_files,
    dataset_from_files,
    export_table,
)
from alerting.learning.data.row_labels import (
    CONFIRMED,
    LEFT_OUT,
    POSITIVE,
    WEIGHTED,
    FeedbackLabel,
    collect_feedback_labels,
    describe_feedback,
    relabel,
)
from alerting.readings.history import from_millis
from tests import small_models

pytestmark = pytest.mark.models

MINUTE = 60_000
STRIDE = 10 * MINUTE
WINDOW = 30 * MINUTE
AT = np.arange(0, 20) * STRIDE
NOTHING = np.empty(0, np.int64)


def effects(answer, occurred=NOTHING, negative=None, **use):
    definition = small_models.definition(feedback=use)
    return relabel(
        definition, [answer], AT, np.ones(len(AT), bool) if negative is None else negative, occurred
    ).effect.tolist()


def answer(raised=100, acted=None, verdict=None):
    ends = raised * MINUTE + WINDOW
    return FeedbackLabel(
        "oven-1", raised * MINUTE, ends, None if acted is None else acted * MINUTE, verdict
    )


def rows_with(effect, got):
    return [int(AT[i] // MINUTE) for i, e in enumerate(got) if e == effect]


PREVENTED = {LEFT_OUT: [90, 100, 110, 120, 130]}
TRUE = {LEFT_OUT: [80, 90, 100, 110, 120, 130]}
AT_RAISE = {LEFT_OUT: [80, 90, 110, 120, 130], POSITIVE: [100]}
BY_WORD = {POSITIVE: [100, 110], LEFT_OUT: [90, 120, 130]}


def changed(acted, verdict, **use):
    """The minutes of the rows by what an answer to an alarm of minute 100 made of them."""
    got = effects(answer(100, acted, verdict), **use)
    return {effect: rows_with(effect, got) for effect in sorted(set(got) - {0})}


def test_an_answer_leaves_out_counts_or_confirms_rows_as_the_definition_says():
    rows = [
        # acted at, verdict, use, what becomes of which rows
        (110, None, {}, PREVENTED),
        (110, None, {"avoided": "positive"}, PREVENTED),
        (110, "true_alarm", {"avoided": "positive"}, BY_WORD),
        (110, None, {"avoided": "weight"}, {WEIGHTED: [100, 110], LEFT_OUT: [90, 120, 130]}),
        (110, "unsure", {"avoided": "weight"}, PREVENTED),
        (None, "true_alarm", {}, TRUE),
        (None, "true_alarm", {"confirmed": "positive"}, AT_RAISE),
        (None, "unsure", {"avoided": "weight"}, {}),
        (None, None, {"avoided": "weight"}, {}),
    ]
    found = [changed(acted, verdict, **use) for acted, verdict, use, _ in rows]
    assert found == [expected for *_, expected in rows]
    every = {"avoided": "weight", "confirmed": "positive"}
    told = [set(effects(answer(100, acted, "false_alarm"), **every)) for acted in (None, 110)]
    assert told == [{0, CONFIRMED}] * 2


def test_where_the_problem_occurred_the_data_decide():
    occurred = np.array([125 * MINUTE])
    use = {"avoided": "positive", "confirmed": "positive"}
    verdicts = (None, "true_alarm", "false_alarm")
    found = {v: set(effects(answer(100, 110, v), occurred, **use)) for v in verdicts}
    assert found == {verdict: {0} for verdict in verdicts}


VERDICTS = st.sampled_from([None, "true_alarm", "false_alarm", "unsure"])
ANSWERS = st.lists(
    st.builds(answer, st.integers(0, 180), st.one_of(st.none(), st.integers(0, 200)), VERDICTS),
    max_size=6,
)


@given(
    ANSWERS,
    st.sampled_from(["exclude", "positive", "weight"]),
    st.sampled_from(["exclude", "positive"]),
    st.lists(st.booleans(), min_size=len(AT), max_size=len(AT)),
)
def test_no_answer_touches_a_positive_row_and_no_row_that_an_action_may_have_made_negative_stays_so(
    answers, avoided, confirmed, negative
):
    answers = [
        a if a.acted is None or a.raised <= a.acted <= a.ends else replace(a, acted=a.raised)
        for a in answers
    ]
    negative = np.array(negative)
    definition = small_models.definition(feedback={"avoided": avoided, "confirmed": confirmed})
    effect = relabel(definition, answers, AT, negative, NOTHING).effect
    assert (effect[~negative] == 0).all()
    for a in answers:
        if a.acted is not None and a.verdict != "false_alarm":
            reached = negative & (a.acted < AT + WINDOW) & (a.ends >= AT)
            assert np.isin(effect[reached], (LEFT_OUT, POSITIVE, WEIGHTED)).all()


def test_answers_are_those_given_by_then_and_an_action_counts_only_in_its_window():
    raised = small_models.START
    given = raised + timedelta(days=2)
    acted = raised + timedelta(minutes=5)
    late = Feedback("e", "true_alarm", True, "belt", None, "ann", given, acted)
    slow = Feedback("e", None, True, "belt", None, "bob", raised + timedelta(hours=1))

    def told(days, feedback):
        facts = {"valid_until": None, "raised_at": raised, "asset": "oven-1"}
        episode = SimpleNamespace(feedback=(feedback,), **facts)
        as_of = raised + timedelta(days=days)
        return collect_feedback_labels([episode], small_models.definition(), as_of)

    assert told(1, late) == told(3, slow) == []
    (known,) = told(3, late)
    assert (known.acted - known.raised, known.verdict) == (5 * MINUTE, "true_alarm")


def test_answers_are_told_in_words():
    counts = {
        "answers": 9,
        "used": 7,
        "left_out": 200,
        "positive": 12,
        "weighted": 0,
        "confirmed": 30,
    }
    assert describe_feedback(counts) == (
        "7 of 9 verdicts changed 212 rows: 200 left out, 12 counted as positive; 30 rows stay "
        "negative after the operators' verdicts."
    )
    assert describe_feedback(dict.fromkeys(counts, 0)) == ""


def with_answers(**use):
    """Return the line's dataset without answers, and with one in the calm of each part."""
    plain = small_models.dataset(120)
    said = []
    for part in ("train", "validation", "test"):
        rows = np.flatnonzero(plain.part == part)[6:-6]
        calm = next(i for i in rows if not plain.label[i - 6 : i + 7].any())
        at = int(plain.at[calm])
        said.append(FeedbackLabel("oven-1", at, at + WINDOW, at + STRIDE, "true_alarm"))
    history = small_models.line(120)
    asked = small_models.definition(feedback=use)
    return plain, build_dataset(asked, 1, [history], small_models.as_of(history), said), said


def test_validation_and_test_rest_on_data_alone():
    plain, answered, _ = with_answers(avoided="positive")
    changed = answered.label != answered.label_by_data
    assert answered.part[changed].tolist() == ["train", "train"]
    left_out = set(answered.part_by_data[answered.part == "excluded"])
    assert left_out == {"train", "validation", "test"}
    np.testing.assert_array_equal(answered.label_by_data, plain.label)
    np.testing.assert_array_equal(answered.part_by_data, plain.part)
    assert answered.answers["answers"] == answered.answers["used"] == 3
    assert answered.findings[-1].kind == "answers"
    assert answered.hash != plain.hash


def test_weights_survive_the_files_and_reach_the_export():
    _, answered, said = with_answers(avoided="weight", weight=0.25)
    got = dataset_from_files(dataset_files(answered))
    np.testing.assert_array_equal(got.weight, answered.weight)
    assert (got.findings, got.answers) == (answered.findings, answered.answers)
    table = export_table(got)
    assert list(table.columns[:5]) == ["asset", "ts", "part", "label", "weight"]
    lighter = table[table.weight < 1]
    at = [pd.Timestamp(from_millis(said[0].raised + i * STRIDE)) for i in (0, 1)]
    assert lighter[["label", "ts"]].values.tolist() == [[1, at[0]], [1, at[1]]]
    assert set(table.part) == {"train", "validation", "test", "purged", "excluded"}
    assert set(table["crew.last"].dropna()) == {"early", "late"}
