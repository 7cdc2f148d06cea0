"""Mutes of a part of the plant: who is notified, what is recorded, and how they end."""

import pytest

from alerting.definitions.asset_documents import Asset, EventType
from alerting.definitions.faults import NotFound
from alerting.operators.actions_and_mutes import EndingEvent, Matcher, NotAllowed
from alerting.ports import EventRow
from alerting.usecases.alarm_load.alarm_metrics import alarm_quality
from alerting.usecases.episodes.outcomes import update_outcome
from alerting.usecases.ingestion.arrived_rows import add_events
from alerting.usecases.operators.operate import end_mute, list_mutes, prolong_mute, start_mute
from alerting.usecases.report_material import gather_material
from tests.builders import at
from tests.helpers.ovens import ANN, define, live, oven_platform, ovens, run, the_episode
from tests.helpers.stores import audit_entries
from tests.in_memory_platform import Mailbox

LINE = Matcher(part="line-1")


def line_platform(**changes):
    platform = oven_platform(Mailbox("mail"), Mailbox("crew"), count=2, state="draft")
    below = [one.model_copy(update={"parent": "line-1"}) for one in ovens(2)]
    platform.assets.store_assets([Asset(name="line-1", title="Line 1"), *below])
    platform.assets.put_event_types([EventType(name="started", duration="instant")])
    define(platform, 0, **changes)
    return platform


@pytest.fixture
def platform():
    return line_platform()


def mute(
    platform,
    minute,
    end=None,
    kind="maintenance",
    matcher=LINE,
    since=None,
    event=None,
    notified=(),
):
    until = None if end is None else at(end)
    words = (event, "belt change", notified, ANN, at(minute))
    return start_mute(platform, kind, matcher, since, until, *words)


def begun(end, **more):
    return lambda platform, minute: mute(platform, minute, end, **more)


def stopped(platform, minute):
    [one] = list_mutes(platform, at(minute)).present
    end_mute(platform, one.id, ANN, at(minute), "done already")


def started(platform, minute):
    event = EventRow("oven-2", "started", at(10), at(10), "plc")
    add_events(platform, [event], at(minute))


OPEN_THEN = [(60, "unmuted")]
STORIES = {
    # what happens, who is told of the alarm, whether it is muted at the end and of maintenance
    "comes and goes meanwhile": (
        [(0, begun(60)), (5, 300), (20, 100), (61,)], [], False, True,
    ),
    "comes and goes while it is muted": (
        [(0, begun(60, kind="plain")), (5, 300), (20, 100), (61,)], [], False, False,
    ),
    "is muted while it lasts": ([(0, begun(60)), (5, 300), (59,)], [], True, True),
    "is still open at the end": (
        [(0, begun(60)), (5, 300), (59,), (60,), (70,)], OPEN_THEN, False, True,
    ),
    "is still open at the end of a plain mute": (
        [(0, begun(60, kind="plain")), (5, 300), (59,), (60,), (70,)], OPEN_THEN, False, False,
    ),
    "was open before: it is muted and counts as ever": (
        [(5, 300), (6, begun(60)), (20, 310)], [(5, "raised")], True, False,
    ),
    "of another part": (
        [(0, begun(60, matcher=Matcher(part="oven-2"))), (5, 300)],
        [(5, "raised")], False, False,
    ),
    "too severe": (
        [(0, begun(60, matcher=Matcher(part="line-1", up_to="low"))), (5, 300)],
        [(5, "raised")], False, False,
    ),
    "before a planned one": (
        [(0, begun(60, since=at(10))), (5, 300), (9,)], [(5, "raised")], False, False,
    ),
    "a planned one begins without any act": (
        [(0, begun(60, since=at(10))), (5, 300), (9,), (10,)], [(5, "raised")], True, False,
    ),
    "ended early": (
        [(0, begun(60)), (5, 300), (10, stopped)], [(10, "unmuted")], False, True,
    ),
    "an event ends it": (
        [(0, begun(None, event=EndingEvent("started", "oven-2"))), (5, 300), (12, started)],
        [(12, "unmuted")], False, True,
    ),
}  # fmt: skip


def test_who_is_told_of_an_alarm_of_a_muted_line():
    found = {}
    for name, (story, *_) in STORIES.items():
        platform = line_platform()
        heard = live(platform, *story)
        episode = the_episode(platform)
        found[name] = (heard, episode.muted_by is not None, episode.maintenance is not None)
    assert found == {name: tuple(expected) for name, (_, *expected) in STORIES.items()}


def test_it_is_ended_once_and_the_same_of_one_instant_is_begun_once_and_again_after_its_end(
    platform,
):
    first = mute(platform, 0, 60)
    assert mute(platform, 0, 60).id == first.id
    over = end_mute(platform, first.id, ANN, at(0), "done already")
    assert (over.ended_by, over.end_reason, over.end) == ("ann", "done already", at(0))
    assert end_mute(platform, first.id, ANN, at(1)) == over
    again = mute(platform, 0, 60)
    assert again.id != first.id
    assert list_mutes(platform, at(1)).present == (again,)
    planned = mute(platform, 0, 60, since=at(10))
    assert list_mutes(platform, at(5)).planned == (planned,)


def test_an_event_ends_it_at_its_own_time(platform):
    mute(platform, 0, event=EndingEvent("started", "oven-2"))
    started(platform, 12)
    [past] = list_mutes(platform, at(12)).past  # no job has looked at it
    assert (past.end, past.ended_by) == (at(10), "platform")
    run(platform, 12)
    [stored] = platform.mutes.overlapping(None, at(99))
    assert (stored.ended_at, stored.end_reason) == (at(10), "started on oven-2")


def test_those_who_are_told_get_its_begin_and_its_end_with_what_was_raised(platform):
    mute(platform, 0, 60, notified=("crew",))
    live(platform, (5, 300), (6,), (60,), (61,))
    mail, crew = (
        [m for m in channel.messages if m.key.startswith("mute")]
        for channel in platform.channels.values()
    )
    assert [m.subject for m in crew] == [
        "Maintenance since Mon 5 Jan 00:00: Line 1",
        "Maintenance is over: Line 1",
    ]
    assert "belt change (ann)" in crew[0].text
    assert "From Mon 5 Jan 00:00 to 01:00 (1 h)." in crew[1].text
    assert "too-hot on oven-1, still open" in crew[1].text
    assert mail == []


def test_it_is_prolonged_and_each_change_is_audited(platform):
    made = mute(platform, 0, 60)
    prolong_mute(platform, made.id, at(90), ANN, at(30))
    assert [one.until for one in list_mutes(platform, at(70)).present] == [at(90)]
    with pytest.raises(NotAllowed):
        prolong_mute(platform, made.id, at(30 + 9 * 60), ANN, at(30))
    end_mute(platform, made.id, ANN, at(80), "done")
    entries = [e for e in audit_entries(platform) if e["subject"] == made.id]
    assert [(e["actor"], str(e["what"]), e["why"]) for e in entries] == [
        ("ann", "muted", "belt change"),
        ("ann", "mute prolonged", ""),
        ("ann", "mute ended", "done"),
    ]


@pytest.mark.parametrize(
    "given",
    [
        {"matcher": Matcher(part="oven-9")},
        {"matcher": Matcher(definition="too-cold")},
        {"event": EndingEvent("stopped", "oven-1")},
        {"notified": ("pager",)},
    ],
)
def test_an_unknown_name_is_refused(platform, given):
    with pytest.raises(NotFound, match="there is no"):
        mute(platform, 0, 60, **given)


def test_an_alarm_of_maintenance_has_no_outcome_whatever_is_said_of_it(platform):
    mute(platform, 0, 60)
    live(platform, (5, 300))
    update_outcome(platform, the_episode(platform).id, at(30))
    record = the_episode(platform).outcome_record
    assert record.outcome == "undetermined"
    assert "maintenance" in record.reason


def test_alarms_and_problems_of_maintenance_are_in_no_figure_and_counted_apart():
    platform = line_platform(problem={"variable": "temperature", "above": 250})
    mute(platform, 0, 60)
    live(platform, (0, 100), (5, 300), (20, 100), (61,), (65, 300), (70, 100))
    figures = alarm_quality(platform, at(0), at(80)).kpis
    assert (figures.alarms, figures.silent, figures.maintenance) == (1, 1, 1)
    revision = platform.definitions.newest_revision("too-hot")
    found = gather_material(platform, revision, at(0), at(80), at(80))
    assert [e.raised_at for e in found.episodes] == [at(65)]
    assert found.in_maintenance == 1
    assert [start.to_pydatetime() for start in found.problems["start"]] == [at(65)]
