"""Marking a time of an asset: once, with a reason, in the audit, and undone."""

from datetime import timedelta

import pytest

from alerting.definitions.faults import Conflicting, NotFound, UserError
from alerting.ports import AuditFilter
from alerting.usecases.labels import marking
from alerting.usecases.labels.marking import list_labels, mark_interval, undo_label
from tests.builders import at, oven
from tests.in_memory_platform import in_memory_platform


@pytest.fixture
def platform():
    made = in_memory_platform()
    made.assets.store_assets([oven()])
    return made


def mark(platform, start=0, end=10, now=60, **more):
    given = {
        "asset": "oven-1",
        "variables": ("temperature",),
        "kind": "bad",
        "reason": "sensor exchanged",
        "author": "anna",
    } | more
    return mark_interval(
        platform, platform.audit, start=at(start), end=at(end), now=at(now), **given
    )


def test_a_mark_and_its_end_are_in_the_audit_with_reason_and_person(platform):
    made = mark(platform)
    ended = undo_label(platform, platform.audit, made.id, "bea", at(70), "wrong day")
    assert ended.undone_by == "bea"
    undone, marked = platform.audit.find(AuditFilter(subject="oven-1"), 9)
    assert [(one.actor, one.what, one.why) for one in (marked, undone)] == [
        ("anna", "time marked", "sensor exchanged"),
        ("bea", "mark undone", "wrong day"),
    ]
    assert marked.after["kind"] == "bad"
    assert undone.before == marked.after


def test_the_same_mark_twice_is_one_and_may_be_made_anew_after_it_was_undone(platform):
    made = mark(platform)
    assert mark(platform, now=61, author="bea", reason="again") == made
    undo_label(platform, platform.audit, made.id, "bea", at(70))
    assert undo_label(platform, platform.audit, made.id, "carl", at(71)).undone_by == "bea"
    again = mark(platform, now=80)
    assert again.id != made.id
    assert [one.id for one in list_labels(platform, "oven-1", 9)] == [again.id, made.id]
    assert len(platform.audit.find(AuditFilter(subject="oven-1"), 9)) == 3


@pytest.mark.parametrize(
    ("wrong", "fault"),
    [
        ({"start": 10, "end": 10}, "begin before it ends"),
        ({"end": 1440 * 400, "now": 1440 * 500}, "at most a year"),
        ({"start": 61, "end": 70}, "has not begun"),
        ({"reason": "  "}, "a reason is needed"),
        ({"reason": "x" * 501}, "at most 500"),
        ({"variables": ("temprature",)}, "temperature"),
        ({"asset": "oven-9"}, "no asset"),
    ],
)
def test_what_cannot_be_marked_is_refused_and_nothing_is_stored(platform, wrong, fault):
    with pytest.raises(UserError, match=fault):
        mark(platform, **wrong)
    assert list_labels(platform, "oven-1", 9) == []


def test_an_unknown_mark_or_asset_is_not_found(platform):
    with pytest.raises(NotFound):
        undo_label(platform, platform.audit, "f" * 16, "bea", at(70))
    with pytest.raises(NotFound):
        list_labels(platform, "oven-9", 9)


def test_the_marks_of_an_asset_are_bounded(platform, monkeypatch):
    monkeypatch.setattr(marking, "MOST_LABELS", 2)
    made = [mark(platform, start=n, now=60 + n) for n in range(2)]
    with pytest.raises(Conflicting, match="undo some"):
        mark(platform, start=5)
    undo_label(platform, platform.audit, made[0].id, "bea", at(70))
    assert mark(platform, start=5, now=80).start == at(0) + timedelta(minutes=5)
