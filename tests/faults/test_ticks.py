"""The checks of the fault test of a cluster must see ticks that are late or left out."""

import pytest

from tests.faults.clustered.ticks import Tick, late_after_outages, late_ticks, left_out, outages

pytestmark = pytest.mark.fast
PARTS = ("primary", "broker")


def note(part, what, t):
    return {"of": part, "what": what, "t": t}


def test_an_outage_lasts_from_the_loss_of_database_or_broker_to_its_return():
    notes = [
        note("primary", "kill", 10),
        note("worker-1", "kill", 12),
        note("broker", "kill", 20),
        note("broker", "back", 25),
        note("worker-1", "back", 26),
        note("primary", "back", 30),
        note("primary", "step down", 50),
        note("primary", "refused", 51),
        note("primary", "back", 55),
    ]
    assert sorted(outages(notes, PARTS)) == [(10, 30), (20, 25), (50, 55)]


@pytest.mark.parametrize(
    ("away", "late"),
    [
        pytest.param([], True, id="nothing was away"),
        pytest.param([(110, 121)], False, id="the database was away for longer than the delay"),
        pytest.param([(110, 115), (112, 119)], True, id="time that both were away counts once"),
        pytest.param([(60, 101)], True, id="away before it was due"),
        pytest.param([(169, 300)], True, id="away after a minute and more"),
    ],
)
def test_a_tick_is_late_after_a_minute_in_which_database_and_broker_answered(away, late):
    ticks = [Tick(40, 99), Tick(100, 170)]
    assert [tick.due for tick, _ in late_ticks(ticks, away)] == ([100] if late else [])


def test_a_tick_that_is_late_after_an_outage_is_found_although_others_are_not():
    away = [(95, 105)]
    ticks = [Tick(40, 45), Tick(100, 180), Tick(160, 230), Tick(220, 225)]
    assert late_after_outages(ticks, away) == [((95, 105), 70)]
    assert late_after_outages([*ticks[:2], *ticks[3:]], away) == []


def test_minutes_without_a_tick_are_found():
    ticks = [Tick(due, due + 5) for due in (0, 60, 180, 240)]
    assert left_out(ticks, []) == [(60, 180)]
    assert left_out(ticks, [(70, 90)]) == []
