"""Marking a time of an asset: once, with a reason, in the audit, and undone; readings without the
values that were labelled bad, while stored ones stay as they are."""

from dataclasses import astuple
from datetime import timedelta

import numpy as np
import pytest

from alerting.definitions.asset_documents import Asset, Computed, Variable
from alerting.definitions.faults import Conflicting, NotFound
from alerting.ports import AuditFilter, ReadingRow, Wanted, WantedHistory
from alerting.readings.history import to_millis
from alerting.usecases import time_labels as marking
from alerting.usecases.data_upkeep import roll_up
from alerting.usecases.ingestion.arrived_rows import add_readings
from alerting.usecases.time_labels import (
    list_labels,
    mark_interval,
    undo_label,
    without_bad_values,
)
from alerting.usecases.trend_samples import read_buckets
from alerting.usecases.trend_series import read_series
from tests.builders import at
from tests.helpers.refusals import assert_refused
from tests.in_memory_platform import in_memory_platform

OVEN = Asset(
    name="oven-1",
    variables={
        "a": Variable(),
        "b": Variable(),
        "recipe": Variable(type="category"),
        "more": Variable(computed=Computed(kind="difference", of="a", minus="b")),
    },
)


@pytest.fixture
def platform():
    made = in_memory_platform()
    made.assets.store_assets([OVEN])
    rows = [ReadingRow("oven-1", at(n), {"a": n, "b": 100.0, "recipe": "x"}) for n in range(180)]
    add_readings(made, rows, at(180))
    made.clock.instant = at(180)
    return made


def mark(platform, start=0, end=10, variables=("a",), kind="bad", now=180, **more):
    given = {"asset": "oven-1", "reason": "sensor exchanged", "author": "anna"} | more
    given |= {"variables": variables, "kind": kind}
    return mark_interval(
        platform, platform.audit, start=at(start), end=at(end), now=at(now), **given
    )


def test_a_mark_and_its_end_are_in_the_audit_with_reason_and_person(platform):
    assert (
        undo_label(
            platform, platform.audit, mark(platform).id, "bea", at(190), "wrong day"
        ).undone_by
        == "bea"
    )
    undone, marked = platform.audit.find(AuditFilter(subject="oven-1"), 9)
    assert [(one.actor, one.what, one.why) for one in (marked, undone)] == [
        ("anna", "time marked", "sensor exchanged"),
        ("bea", "mark undone", "wrong day"),
    ]
    assert marked.after["kind"] == "bad"
    assert undone.before == marked.after


def test_the_same_mark_twice_is_one_and_may_be_made_anew_after_it_was_undone(platform):
    made = mark(platform)
    assert mark(platform, now=181, author="bea", reason="again") == made
    undo_label(platform, platform.audit, made.id, "bea", at(190))
    assert undo_label(platform, platform.audit, made.id, "carl", at(191)).undone_by == "bea"
    again = mark(platform, now=200)
    assert again.id != made.id
    assert [one.id for one in list_labels(platform, "oven-1", 9)] == [again.id, made.id]
    assert len(platform.audit.find(AuditFilter(subject="oven-1"), 9)) == 3


@pytest.mark.parametrize(
    ("wrong", "fault"),
    [
        ({"start": 10, "end": 10}, "begin before it ends"),
        ({"end": 1440 * 400, "now": 1440 * 500}, "at most a year"),
        ({"start": 181, "end": 190}, "has not begun"),
        ({"reason": "  "}, "a reason is needed"),
        ({"reason": "x" * 501}, "at most 500"),
        ({"variables": ("recipee",)}, "recipe"),
        ({"asset": "oven-9"}, "no asset"),
    ],
)
def test_what_cannot_be_marked_is_refused_and_nothing_is_stored(platform, wrong, fault):
    assert_refused(fault, mark, platform, **wrong)
    assert list_labels(platform, "oven-1", 9) == []


def test_an_unknown_mark_or_asset_is_not_found(platform):
    assert_refused(
        "", undo_label, platform, platform.audit, "f" * 16, "bea", at(190), fault=NotFound
    )
    assert_refused("", list_labels, platform, "oven-9", 9, fault=NotFound)


def test_the_marks_of_an_asset_are_bounded(platform, monkeypatch):
    monkeypatch.setattr(marking, "MOST_LABELS", 2)
    made = [mark(platform, start=n, now=180 + n) for n in range(2)]
    assert_refused("undo some", mark, platform, start=5, fault=Conflicting)
    undo_label(platform, platform.audit, made[0].id, "bea", at(190))
    assert mark(platform, start=5, now=200).start == at(0) + timedelta(minutes=5)


def missing(platform, *names, when=None):
    """Return the minutes in which a variable is missing, of each of these variables."""
    history = without_bad_values(platform, when).readings.load(
        WantedHistory(OVEN, None, at(180), list(names))
    )
    return [np.flatnonzero(history.readings[name].isna()).tolist() for name in names]


def test_values_of_the_interval_are_missing_and_of_bad_quality_and_no_others(platform):
    mark(platform, 10, 20)
    hidden = list(range(10, 20))
    found = dict(zip(OVEN.variables, missing(platform, *OVEN.variables), strict=True))
    assert found == {"a": hidden, "b": [], "recipe": [], "more": hidden}, "more is a - b"
    history = without_bad_values(platform).readings.load(WantedHistory(OVEN, None, at(180)))
    assert history.doubts.bad["a"].tolist() == [to_millis(at(n)) for n in hidden]
    assert platform.readings.load(WantedHistory(OVEN, None, at(180))).readings["a"].notna().all()


def test_a_label_without_variables_is_on_all_of_the_asset_and_one_of_learning_changes_no_value(
    platform,
):
    mark(platform, 10, 12, ())
    mark(platform, 50, 60, (), "not_to_learn_from")
    assert missing(platform, "a", "recipe") == [[10, 11], [10, 11]]


def test_labels_count_as_they_were_at_the_instant(platform):
    undo_label(platform, platform.audit, mark(platform, 10, 12, now=100).id, "bea", at(150))
    found = {when: missing(platform, "a", when=at(when)) for when in (99, 100, 149, 150)}
    assert found == {99: [[]], 100: [[10, 11]], 149: [[10, 11]], 150: [[]]}
    assert missing(platform, "a") == [[]]


def test_columns_of_many_and_newest_values_follow_the_labels(platform):
    mark(platform, 170, 200, ("a", "recipe"))
    readings = without_bad_values(platform).readings
    types = {"a": "number", "b": "number", "recipe": "category"}
    columns = readings.load_many([Wanted("oven-1", types, at(168))], at(180))["oven-1"]
    assert np.isnan(columns.values["a"]).tolist() == [False] + [True] * 10
    assert columns.values["recipe"].tolist() == ["x"] + [None] * 10
    assert not np.isnan(columns.values["b"]).any()
    newest = readings.newest_values(OVEN, dict.fromkeys(("a", "b", "recipe"), at(0)), at(180))
    assert {name: newest[name].dropna().to_dict() for name in ("a", "b", "recipe")} == {
        "a": {at(169): 169.0},
        "b": {at(179): 100.0},
        "recipe": {at(169): "x"},
    }
    assert newest.index.is_monotonic_increasing


@pytest.mark.parametrize("size", ["minutes", "hours"])
@pytest.mark.parametrize("start", [60, 45])
def test_buckets_of_rollups_are_those_of_the_readings_with_the_labels(platform, start, size):
    mark(platform, start, 130)
    given = (OVEN, ["a", "b", "more"], to_millis(at(0)), to_millis(at(180)), size, 1000)
    before = read_buckets(without_bad_values(platform), *given)
    roll_up(platform, at(180 + 60 * 24))
    rolled = read_buckets(without_bad_values(platform), *given)
    assert not before.rolled
    assert rolled.rolled == {"a", "b", "more"}
    for name in given[1]:
        of_readings, of_rollups = (astuple(found.by_variable[name]) for found in (before, rolled))
        np.testing.assert_array_equal(of_readings, of_rollups)
    assert (before.by_variable["a"].count.sum(), before.by_variable["a"].bad.sum()) == (
        start + 50,
        130 - start,
    )


def test_a_series_shows_the_time_as_bad(platform):
    mark(platform, 45, 130)
    shown = read_series(platform, "oven-1", ["a", "b"], at(0), at(180), 40, at(180)).series
    assert shown[0].count == 95
    assert shown[0].bad == ((to_millis(at(45)), to_millis(at(130))),)
    assert (shown[1].count, shown[1].bad) == (180, ())
