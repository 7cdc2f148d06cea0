"""Silences and maintenance: who is notified, what is recorded, and how they end."""

import pytest

from alerting.adapters.memory.platform import memory_platform
from alerting.definitions.assets import Asset, EventType
from alerting.definitions.faults import NotFound
from alerting.operators.actions import NotAllowed
from alerting.operators.silences import SilenceScope
from alerting.ports import EventRow, ReadingRow
from alerting.usecases.alarm_load.kpis import alarm_quality
from alerting.usecases.definitions.sync import apply
from alerting.usecases.episodes.outcomes import update_outcome
from alerting.usecases.evaluation.evaluate import evaluate
from alerting.usecases.ingestion.arrivals import add_events, add_readings
from alerting.usecases.notification.deliver import deliver_due
from alerting.usecases.operators.operate import Actor
from alerting.usecases.operators.silencing import (
    EndingEvent,
    alarms_of,
    extend_silence,
    list_silences,
    start_silence,
    stop_silence,
)
from alerting.usecases.report_material.material import gather_material
from tests.builders import at, oven, too_hot
from tests.helpers.stores import audit_entries
from tests.in_memory_platform import HandClock, Mailbox, platform_on

ANN = Actor("ann", "operator")
LINE = SilenceScope(part="line-1")


@pytest.fixture
def mail():
    return Mailbox("mail")


@pytest.fixture
def crew():
    return Mailbox("crew")


@pytest.fixture
def platform(mail, crew):
    made = platform_on(memory_platform(), (mail, crew), HandClock())
    ovens = [
        oven().model_copy(update={"name": n, "parent": "line-1"}) for n in ("oven-1", "oven-2")
    ]
    made.assets.store_assets([Asset(name="line-1", title="Line 1"), *ovens])
    made.assets.put_event_types([EventType(name="started", duration="instant")])
    apply(made, [too_hot(assets=["oven-*"], stale_after="10h")], "engineer", at(0), "test")
    return made


def run(platform, minute, value=None, asset="oven-1"):
    platform.clock.instant = at(minute)
    if value is not None:
        row = ReadingRow(asset, at(minute), {"temperature": value})
        add_readings(platform, [row], at(minute))
    evaluate(platform, None, at(minute))
    deliver_due(platform, at(minute))


def silence(platform, minute, end=None, kind="maintenance", scope=LINE, **more):
    given = {"since": None, "event": None, "notified": ()} | more
    until = None if end is None else at(end)
    return start_silence(
        platform,
        kind,
        scope,
        given["since"],
        until,
        given["event"],
        "belt change",
        given["notified"],
        ANN,
        at(minute),
    )


def alarms(mailbox):
    return [m.key.split(":")[1].split("-")[0] for m in mailbox.messages if "silence" not in m.key]


def notified(mailbox):
    return [m for m in mailbox.messages if m.key.startswith("silence")]


def the_episode(platform):
    [one] = platform.episodes.find()
    return one


@pytest.mark.parametrize("kind", ["maintenance", "silence"])
def test_an_alarm_that_comes_and_goes_meanwhile_sends_nothing(platform, mail, kind):
    made = silence(platform, 0, 60, kind)
    run(platform, 5, 300)
    run(platform, 20, 100)
    run(platform, 61)
    episode = the_episode(platform)
    assert episode.condition == "closed"
    assert alarms(mail) == []
    assert (episode.maintenance is not None) == (kind == "maintenance")
    assert "belt change, ann" in episode.transitions[1].reason
    assert alarms_of(platform, made, at(61)) == [episode]


@pytest.mark.parametrize("kind", ["maintenance", "silence"])
def test_one_that_is_still_open_at_the_end_is_sent_then_once(platform, mail, kind):
    silence(platform, 0, 60, kind)
    run(platform, 5, 300)
    assert the_episode(platform).muted_by
    run(platform, 59)
    assert alarms(mail) == []
    run(platform, 60)
    run(platform, 70)
    assert alarms(mail) == ["unmuted"]
    assert the_episode(platform).muted_by is None


def test_one_that_was_open_before_is_muted_and_counts_as_ever(platform, mail):
    run(platform, 5, 300)
    silence(platform, 6, 60)
    assert the_episode(platform).muted_by
    run(platform, 20, 310)
    assert alarms(mail) == ["raised"]
    assert the_episode(platform).maintenance is None


def test_others_are_notified_as_ever(platform, mail):
    silence(platform, 0, 60, scope=SilenceScope(part="oven-2"))
    silence(platform, 0, 60, scope=SilenceScope(part="line-1", up_to="low"))
    run(platform, 5, 300)
    assert alarms(mail) == ["raised"]


def test_a_planned_one_mutes_from_its_begin_on_without_any_act(platform, mail):
    silence(platform, 0, 60, since=at(10))
    run(platform, 5, 300)
    assert alarms(mail) == ["raised"]
    run(platform, 9)
    assert the_episode(platform).muted_by is None
    run(platform, 10)
    assert the_episode(platform).muted_by
    assert list_silences(platform, at(5)).planned == list_silences(platform, at(10)).present


def test_ended_early_it_announces_what_is_open(platform, mail):
    made = silence(platform, 0, 60)
    run(platform, 5, 300)
    over = stop_silence(platform, made.id, ANN, at(10), "done already")
    run(platform, 10)
    assert (over.ended_by, over.end_reason, over.end) == ("ann", "done already", at(10))
    assert alarms(mail) == ["unmuted"]
    assert stop_silence(platform, made.id, ANN, at(11)) == over


def test_the_same_of_one_instant_is_begun_once_and_again_after_its_end(platform):
    first = silence(platform, 0, 60)
    assert silence(platform, 0, 60) == first
    stop_silence(platform, first.id, ANN, at(0))
    again = silence(platform, 0, 60)
    assert again.id != first.id
    assert list_silences(platform, at(1)).present == (again,)


def test_an_event_ends_it_at_its_own_time(platform, mail):
    silence(platform, 0, event=EndingEvent("started", "oven-2"))
    run(platform, 5, 300)
    add_events(platform, [EventRow("oven-2", "started", at(10), at(10), "plc")], at(12))
    [past] = list_silences(platform, at(12)).past  # no job has looked at it
    assert (past.end, past.ended_by) == (at(10), "platform")
    run(platform, 12)
    assert alarms(mail) == ["unmuted"]
    [stored] = platform.silences.overlapping(None, at(99))
    assert (stored.ended_at, stored.end_reason) == (at(10), "started on oven-2")


def test_those_who_are_told_get_its_begin_and_its_end_with_what_was_raised(platform, mail, crew):
    silence(platform, 0, 60, notified=("crew",))
    run(platform, 5, 300)
    run(platform, 6)
    run(platform, 60)
    run(platform, 61)
    begun, ended = notified(crew)
    assert begun.subject == "Maintenance since Mon 5 Jan 00:00: Line 1"
    assert "belt change (ann)" in begun.text
    assert ended.subject == "Maintenance is over: Line 1"
    assert "From Mon 5 Jan 00:00 to 01:00 (1 h)." in ended.text
    assert "too-hot on oven-1, still open" in ended.text
    assert notified(mail) == []


def test_it_is_extended_and_each_change_is_audited(platform):
    made = silence(platform, 0, 60)
    extend_silence(platform, made.id, at(90), ANN, at(30))
    assert [one.until for one in list_silences(platform, at(70)).present] == [at(90)]
    with pytest.raises(NotAllowed):
        extend_silence(platform, made.id, at(30 + 9 * 60), ANN, at(30))
    stop_silence(platform, made.id, ANN, at(80), "done")
    entries = [e for e in audit_entries(platform) if e["subject"] == made.id]
    assert [(e["actor"], str(e["what"]), e["why"]) for e in entries] == [
        ("ann", "silenced", "belt change"),
        ("ann", "silence extended", ""),
        ("ann", "silence ended", "done"),
    ]


@pytest.mark.parametrize(
    "given",
    [
        {"scope": SilenceScope(part="oven-9")},
        {"scope": SilenceScope(definition="too-cold")},
        {"event": EndingEvent("stopped", "oven-1")},
        {"notified": ("pager",)},
    ],
)
def test_an_unknown_name_is_refused(platform, given):
    with pytest.raises(NotFound, match="there is no"):
        silence(platform, 0, 60, **given)


def test_an_alarm_of_maintenance_has_no_outcome_whatever_is_said_of_it(platform):
    silence(platform, 0, 60)
    run(platform, 5, 300)
    update_outcome(platform, the_episode(platform).id, at(30))
    record = the_episode(platform).outcome_record
    assert record.outcome == "undetermined"
    assert "maintenance" in record.reason


def test_figures_and_reports_count_alarms_of_maintenance_apart(platform):
    silence(platform, 0, 60)
    run(platform, 5, 300)
    run(platform, 20, 100)
    run(platform, 61)
    run(platform, 65, 300)
    run(platform, 70, 100)
    figures = alarm_quality(platform, at(0), at(80)).kpis
    assert (figures.alarms, figures.silent, figures.maintenance) == (1, 1, 1)
    revision = platform.definitions.newest_revision("too-hot")
    found = gather_material(platform, revision, at(0), at(80), at(80))
    assert [e.raised_at for e in found.episodes] == [at(65)]
    assert found.in_maintenance == 1


def test_problems_that_begin_in_maintenance_are_in_no_figure(platform):
    silence(platform, 0, 60)
    problem = {"problem": {"variable": "temperature", "above": 250}}
    apply(platform, [too_hot(assets=["oven-*"]) | problem], "engineer", at(0), "test")
    for minute, value in ((0, 100), (5, 300), (20, 100), (65, 300), (70, 100)):
        run(platform, minute, value)
    revision = platform.definitions.newest_revision("too-hot")
    found = gather_material(platform, revision, at(0), at(80), at(80))
    assert [start.to_pydatetime() for start in found.problems["start"]] == [at(65)]
