"""The production that an alarm touches: when, how many units, which lots, and what is not known."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from types import MappingProxyType
from zoneinfo import ZoneInfo

import pytest

from alerting.definitions.alert_definition import Problem
from alerting.definitions.asset_documents import parse_asset
from alerting.definitions.wording.language import ENGLISH, language
from alerting.episodes import touched_production as production
from alerting.episodes.touched_production import (
    MOST_SHOWN,
    known_samples,
    touched_production,
    touched_time,
)
from tests.builders import at, classifier, history, threshold
from tests.helpers.episodes import episode

PIECES = {"counter": True, "counts": "units", "sampling": "1m", "rolls_over_at": 100000}
PLAIN = MappingProxyType({
    "temperature": {"type": "number"},
    "moisture": {"type": "number"},
    "pieces": PIECES,
    "lot": {"type": "category", "names": "lots"},
})  # fmt: skip
TOO_HOT = Problem(variable="temperature", above=215)
GOOD = 200.0
BAD = 220.0
UNTIL = 120


def line(bad=(), missing=(), reset=None, lots=((0, "L1"),), every=1, counter=True, **changes):
    """Return two hours of readings: a sample every `every` minutes, which is bad at these minutes,
    ten pieces a minute, and the lots that begin at their minutes."""
    pieces = {**PIECES} if counter else {"counts": "units", "sampling": "1m"}
    variables = {**PLAIN, "pieces": pieces, **changes}
    minutes = range(UNTIL)
    begun = dict(lots)
    level = [10.0 * (m + 1 if reset is None or m < reset else m - reset) for m in minutes]
    made = level if counter else [10.0] * UNTIL
    sampled = [None if m % every else BAD if m in bad else GOOD for m in minutes]
    columns = {
        "temperature": [float("nan") if value is None else value for value in sampled],
        "moisture": [float("nan") if value is None else value / 50 for value in sampled],
        "pieces": [float("nan") if m in missing else n for m, n in zip(minutes, made, strict=True)],
        "lot": [begun.get(m) for m in minutes],
    }
    asset = parse_asset({"name": "oven-1", "variables": {k: v for k, v in variables.items() if v}})
    return history(minutes, asset, **{k: v for k, v in columns.items() if k in asset.variables})


def touched(readings, raised, now, closed=None, problem=TOO_HOT, **changes):
    """Return what an alarm of this minute touches, as known at another."""
    alarm = episode(raised, closed_at=None if closed is None else at(closed), **changes)
    samples = known_samples(problem, readings, at(now))
    time = touched_time(samples, alarm, at(raised), at(now))
    return touched_production(alarm, time, samples, readings, at(now))


def minutes_of(production):
    times = (production.start, production.end, production.clean_until)
    return [None if time is None else (time - at(0)) / timedelta(minutes=1) for time in times]


TROUBLE = range(20, 35)
LAB = {"temperature": {"type": "number", "delay": "10m", "sampling": "30m"}}
PREDICTED = {"is_prediction": True}
ACROSS = ((0, "L1"), (25, "L2"), (32, "L3"), (50, "L4"))
MONTH = timedelta(days=31) / timedelta(minutes=1)
TIMES = {
    "open": (line(TROUBLE), 20, 30, None, {}, [19, 30, 19]),
    "closed by the first good sample": (line(TROUBLE), 20, 60, 36, {}, [19, 35, 19]),
    "closed by hand before it": (line(TROUBLE), 20, 60, 30, {}, [19, 30, 19]),
    "bad again before it closed": (
        line([*TROUBLE, *range(37, 40)]), 20, 60, 45, {}, [19, 40, 19],
    ),
    "no good sample before": (line(range(35)), 0, 60, 40, {}, [-MONTH, 35, None]),
    "laboratory: the next sample is not known": (
        line([30, 60], every=30, **LAB), 30, 65, None, {}, [0, 65, 0],
    ),
    "laboratory: the next sample is good": (
        line([30], every=30, **LAB), 30, 100, 80, {}, [0, 60, 0],
    ),
    "laboratory: bad, and known ten minutes later": (
        line([30], every=30, **LAB), 35, 39, None, PREDICTED, [35, 39, 0],
    ),
    "predicted, and good samples since": (line(), 20, 30, None, PREDICTED, [30, 30, 30]),
    "predicted, no sample yet": (line(every=60), 20, 50, None, PREDICTED, [20, 50, 0]),
    "predicted, cleared by a later sample": (
        line(every=30), 20, 70, 50, PREDICTED, [60, 60, 60],
    ),
    "predicted after a bad sample, which another alarm blocks": (
        line([30], every=30, **LAB), 45, 55, None, PREDICTED, [45, 55, 0],
    ),
    "predicted and come": (line(TROUBLE), 10, 60, 40, PREDICTED, [19, 35, 19]),
}  # fmt: skip


@pytest.mark.parametrize("case", TIMES)
def test_from_the_last_good_sample_to_the_first_good_one_after_the_last_bad_one(case):
    readings, raised, now, closed, changes, expected = TIMES[case]
    assert minutes_of(touched(readings, raised, now, closed, **changes)) == expected


@pytest.mark.parametrize(
    ("bad", "expected"), [((), [61, 61, 61]), ((30,), [29, 30, 29]), ((31,), [61, 61, 61])]
)
def test_an_alarm_about_the_unit_just_made_blocks_no_later_unit(bad, expected):
    """Raised at 30 about the unit of the minute before, and over at 31."""
    alarm = episode(30, closed_at=at(31), is_prediction=True)
    time = touched_time(known_samples(TOO_HOT, line(bad), at(61)), alarm, at(29), at(61))
    assert minutes_of(time) == expected


UNITS = {
    "a counter": (line(TROUBLE), 160, ""),
    "a number at each reading": (line(TROUBLE, counter=False), 160, ""),
    "a counter that began again": (line(TROUBLE, reset=25), 150, ""),
    "a counter that paused": (line(TROUBLE, missing=range(22, 33)), 160, ""),
    "began again in a pause": (
        line(TROUBLE, missing=range(22, 33), reset=27), None, "{pieces} 00:21 to 00:33",
    ),
    "no numbers for a time": (
        line(TROUBLE, missing=range(22, 33), counter=False), None, "{pieces} 00:21 to 00:33",
    ),
    "no value at its beginning": (
        line(TROUBLE, missing=range(23)), None, "{pieces} 00:19 to 00:23",
    ),
    "none since": (line(TROUBLE, missing=range(24, UNTIL)), None, "{pieces} 00:23 to 00:35"),
    "never one": (line(TROUBLE, missing=range(UNTIL)), None, "{pieces} 00:19 to 00:35"),
    "no variable counts": (line(TROUBLE, pieces=None), None, ""),
}  # fmt: skip


@pytest.mark.parametrize("case", UNITS)
def test_units_are_counted_or_the_missing_reading_is_named(case):
    readings, number, unknown = UNITS[case]
    production = touched(readings, 20, 60, 36)
    assert production.units == number
    message = ENGLISH.with_clock(UTC, at(60)).translate(production.message).replace("today ", "")
    assert unknown.format(pieces="; pieces unknown: no reading of pieces") in message
    assert ("pieces" in message) is (case != "no variable counts")


def test_of_bad_production_only_what_samples_show_counts():
    """Bad at 30 and 60, good at 90; a sample counts until the next one."""
    production = touched(line([30, 60], every=30, **LAB), 30, 119, 100)
    assert (minutes_of(production), production.length_s / 60) == ([0, 90, 0], 90)
    assert (production.bad_s / 60, production.bad_units) == (60, 600)
    missing = touched(line([30, 60], every=30, missing=range(70, UNTIL), **LAB), 30, 119, 100)
    assert (missing.bad_s / 60, missing.bad_units) == (60, None)


LOTS = [
    (ACROSS, [("L1", 19, 25, 60), ("L2", 25, 32, 70), ("L3", 32, 35, 30)]),
    (((25, "L2"), (26, "L2")), [(None, 19, 25, 60), ("L2", 25, 35, 100)]),
    (((60, "L5"),), [(None, 19, 35, 160)]),
    (
        ((0, "L1"), (22, "L2"), (24, "L1")),
        [("L1", 19, 22, 30), ("L2", 22, 24, 20), ("L1", 24, 35, 110)],
    ),
]


@pytest.mark.parametrize(("lots", "expected"), LOTS)
def test_lots_come_in_order_with_their_times_and_units(lots, expected):
    production = touched(line(TROUBLE, lots=lots), 20, 60, 36)
    minute = timedelta(minutes=1)
    found = [
        (lot.name, (lot.start - at(0)) / minute, (lot.end - at(0)) / minute, lot.units)
        for lot in production.lots
    ]
    assert found == expected
    assert ("lots unknown" in production.message) is (expected[0][0] is None)


SHOWN = [
    (threshold(blocks_production=True), TOO_HOT),
    (threshold(), None),
    (threshold(above=None, equals=7, blocks_production=True), {"equals": 7}),
    (classifier(blocks_production=True), classifier().problem),
    (threshold(problem={"variable": "moisture", "above": 4}, blocks_production=True),
     {"variable": "moisture", "above": 4}),
]  # fmt: skip


@pytest.mark.parametrize(("definition", "problem"), SHOWN)
def test_the_problem_or_the_limit_shows_which_production_is_good(definition, problem):
    expected = problem
    if isinstance(problem, dict):
        expected = Problem.model_validate({"variable": "temperature", **problem})
    assert definition.quality_problem == expected


ZURICH = ZoneInfo("Europe/Zurich")
MANY = tuple((minute, f"L{minute}") for minute in range(18, 35))
SENTENCES = [
    (
        line(TROUBLE, lots=ACROSS),
        "en",
        "block today 01:19 to 01:35 (16 min), 160 pieces, lots L1, L2 and L3; "
        "clean until the sample of today 01:19",
    ),
    (
        line(TROUBLE, missing=range(24, UNTIL), lots=()),
        "en",
        "block today 01:19 to 01:35 (16 min); pieces unknown: no reading of pieces "
        "today 01:23 to 01:35 (12 min); lots unknown today 01:19 to 01:35 (16 min); "
        "clean until the sample of today 01:19",
    ),
    (
        line(range(35), lots=MANY),
        "en",
        "block Fri 5 Dec 01:20 to today 01:35 (31 d), lots L18, L19, L20, L21, L22 and 12 more; "
        "pieces unknown: no reading of pieces Fri 5 Dec 01:20 to today 01:00 (30 d 23 h); "
        "lots unknown Fri 5 Dec 01:20 to today 01:18 (30 d 23 h); "
        "no good sample is known before it",
    ),
    (
        line(TROUBLE),
        "de",
        "sperren: heute 01:19 bis 01:35 (16 min), 160 Stück, Charge L1; "
        "gut bis zur Probe von heute 01:19",
    ),
    (
        line(TROUBLE, missing=range(24, UNTIL)),
        "fr",
        "à bloquer\u00a0: aujourd\u2019hui 01:19 \u2013 01:35 (16 min), lot L1; "
        "nombre de pièces inconnu\u00a0: aucun relevé de pieces "
        "aujourd\u2019hui 01:23 \u2013 01:35 (12 min); "
        "bon jusqu\u2019à l\u2019échantillon (aujourd\u2019hui 01:19)",
    ),
]


@pytest.mark.parametrize(("readings", "code", "text"), SENTENCES)
def test_the_sentence(readings, code, text):
    production = touched(readings, 20, 60, 36)
    assert language(code).with_clock(ZURICH, at(60)).translate(production.message) == text


def test_many_lots_are_counted_and_what_is_cleared_blocks_nothing():
    message = touched(line(TROUBLE, lots=MANY), 20, 60, 36).message
    assert "lots L19, L20, L21, L22, L23 and 11 more; clean" in message
    cleared = touched(line(every=30), 20, 70, 50, **PREDICTED)
    assert cleared.message.startswith(
        "nothing to block: good by the sample of 2026-01-05 01:00 UTC"
    )
    assert cleared.lots == ()


def test_of_thousands_of_lots_the_first_hundred_are_counted_and_the_falls_once(monkeypatch):
    """A serial number a minute: each lot once read the whole counter again."""
    looked = []
    find = production.find_falls
    monkeypatch.setattr(production, "find_falls", lambda *of: looked.append(1) or find(*of))
    serials = line(range(5, UNTIL), lots=[(minute, f"S{minute}") for minute in range(UNTIL)])
    alarm = episode(20)
    samples = known_samples(TOO_HOT, serials, at(UNTIL))
    time = touched_time(samples, alarm, at(20), at(UNTIL))
    first = touched_production(alarm, time, samples, serials, at(UNTIL), MOST_SHOWN)
    whole = touched_production(alarm, time, samples, serials, at(UNTIL))
    assert looked == [1, 1]
    assert (len(first.lots), first.more_lots, whole.more_lots) == (100, len(whole.lots) - 100, 0)
    assert whole.lots[:100] == first.lots
    assert {lot.units for lot in whole.lots[:-1]} == {10.0}
    assert "S8 and 111 more" in first.message


def test_an_hour_that_comes_twice_in_the_night_of_a_changed_clock_is_told_by_its_length():
    """02:30 before and 02:10 after the clock goes back: 40 minutes, not minus 20."""
    readings = line(TROUBLE)
    night = datetime(2026, 10, 25, 0, 30, tzinfo=UTC) - at(19)
    later = replace(readings, readings=readings.readings.shift(freq=night))
    alarm = episode(20, raised_at=at(20) + night, closed_at=at(36) + night)
    now = at(60) + night
    samples = known_samples(TOO_HOT, later, now)
    time = replace(touched_time(samples, alarm, alarm.raised_at, now), end=at(59) + night)
    text = touched_production(alarm, time, samples, later, now).message
    assert ENGLISH.with_clock(ZURICH, now).translate(text) == (
        "block today 02:30 to 02:10 (40 min), 400 pieces, lot L1; "
        "clean until the sample of today 02:30"
    )
