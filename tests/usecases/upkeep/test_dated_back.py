"""After a clock that was ahead: what was written meanwhile is dated back, nothing else is, and
nobody is told of a wrong clock that was right."""

import pytest

from alerting.operators.actions_and_mutes import Matcher
from alerting.ports import DeliveryFailed
from alerting.usecases.data_upkeep import maintain
from alerting.usecases.definitions.revisions_and_evaluation_plan import apply
from alerting.usecases.health.platform_health import check_platform
from alerting.usecases.operators.operate import Actor, end_mute, start_mute
from tests.builders import at, too_hot
from tests.helpers.late_line import Line, told

ANN = Actor("ann", "engineer")
OVEN = Matcher(asset="oven-1")
AHEAD = 60
NOW = 10


def muted(line, minute, since=None, minutes=30):
    begin = minute if since is None else since
    until = at(begin + minutes)
    when = since if since is None else at(since)
    return start_mute(line.platform, "plain", OVEN, when, until, None, "work", (), ANN, at(minute))


@pytest.fixture
def line(real):
    line = Line(stores=real)
    line.live((5, {1: 200, 5: 200}))
    return line


def go_back(line, minute=NOW):
    line.run(minute - 1 + AHEAD)
    line.run(minute)
    check_platform(line.platform, at(minute))


def phases(line, minute=NOW):
    found = line.platform.mutes.overlapping(None, at(10**6))
    return [mute.phase(at(minute)) for mute in found]


def test_a_mute_that_began_under_the_wrong_clock_is_in_force(line):
    muted(line, NOW - 1 + AHEAD)
    go_back(line)
    assert phases(line) == ["present"]
    assert phases(line, NOW + 31) == ["over"]


def test_a_mute_that_was_planned_for_later_stays_where_it_was_planned(line):
    planned = muted(line, NOW - 1 + AHEAD, since=600)
    go_back(line)
    found = line.platform.mutes.get(planned.id)
    assert (found.since, found.until, found.end) == (at(600), at(630), at(630))
    assert found.made_at <= at(NOW)


@pytest.mark.parametrize("begun", [6, NOW - 2 + AHEAD])
def test_a_mute_that_was_ended_under_the_wrong_clock_is_over(line, begun):
    mute = muted(line, begun, minutes=600)
    end_mute(line.platform, mute.id, ANN, at(NOW - 1 + AHEAD))
    go_back(line)
    assert phases(line) == ["over"]


def test_a_message_that_was_refused_under_the_wrong_clock_is_tried_again(line):
    deliver = line.mail.deliver

    def refuse(message):
        raise DeliveryFailed("503", permanent=False)

    line.mail.deliver = refuse
    line.live((6, {6: 230}))
    line.run(NOW - 1 + AHEAD)
    line.mail.deliver = deliver
    go_back(line)
    line.run(NOW + 1)
    assert "raised" in told(line)


def test_a_channel_that_delivered_under_the_wrong_clock_and_then_refuses_is_told(line):
    line.live((6, {6: 230}), (NOW - 1 + AHEAD, {7: 200}))
    assert told(line) == ["raised", "closed"]
    go_back(line)

    def refuse(message):
        raise DeliveryFailed("403", permanent=True)

    line.mail.deliver = refuse
    line.live((NOW + 40, {NOW + 40: 230}))  # not by turns with its last delivery in truth
    check_platform(line.platform, at(NOW + 40))
    assert "channel failing" in {a.kind for a in line.platform.platform_alerts.open()}


def test_a_revision_of_the_wrong_clock_is_in_force(line):
    apply(line.platform, [too_hot(above=240)], "ada", at(NOW - 2 + AHEAD), "test")
    go_back(line)
    assert line.platform.definitions.newest_revision("too-hot").at <= at(NOW)


def test_a_maintenance_that_is_repeated_later_finds_no_wrong_clock_and_moves_nothing(line):
    line.run(NOW)
    apply(line.platform, [too_hot(above=240)], "ada", at(NOW - 2), "test")
    line.run(NOW)
    maintain(line.platform, at(NOW - 5))
    assert [a.kind for a in line.platform.platform_alerts.open()] == []
    assert line.platform.definitions.newest_revision("too-hot").at == at(NOW - 2)
