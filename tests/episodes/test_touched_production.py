"""The production that an alarm touches: when, how many units, which lots, and what is not known."""

from datetime import UTC, datetime, timedelta
from types import MappingProxyType
from zoneinfo import ZoneInfo

import pytest

from alerting.definitions.asset_documents import parse_asset
from alerting.definitions.wording.language import language
from alerting.episodes.touched_production import (
    MOST_LOTS,
    TouchedProduction,
    TouchedTime,
    bad_production,
    known_samples,
    touched_production,
    touched_time,
)
from alerting.reporting.phrases import local_times
from tests.builders import at, classifier, history, several, threshold
from tests.helpers.episodes import episode

PIECES = {"counter": True, "counts": "units", "sampling": "1m", "rolls_over_at": 100000}
PLAIN = MappingProxyType({
    "temperature": {"type": "number"},
    "moisture": {"type": "number"},
    "pieces": PIECES,
    "lot": {"type": "category", "names": "lots"},
})  # fmt: skip
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
    level = [10.0 * (m if reset is None or m < reset else m - reset) for m in minutes]
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


def touched(readings, raised, now, closed=None, definition=None, **changes):
    """Return what an alarm of this minute touches, as known at another, and its sentence."""
    definition = definition or threshold(blocks_production=True)
    alarm = episode(raised, closed_at=None if closed is None else at(closed), **changes)
    samples = known_samples(definition, readings, at(now))
    time = touched_time(samples, alarm, at(raised), at(now))
    return touched_production(time, readings, at(now))


def minutes_of(production):
    time = production.time
    minute = timedelta(minutes=1)
    clean_at = None if time.clean_until is None else (time.clean_until - at(0)) / minute
    start, end = (time.start - at(0)) / minute, (time.end - at(0)) / minute
    return start, end, clean_at, time.is_measured


TROUBLE = range(20, 35)
LAB = {"temperature": {"type": "number", "delay": "10m", "sampling": "30m"}}
PREDICTED = {"is_prediction": True, "definition": None}
ACROSS = ((0, "L1"), (25, "L2"), (32, "L3"), (50, "L4"))
MONTH = timedelta(days=31) / timedelta(minutes=1)
TIMES = {
    "open": (line(TROUBLE), 20, 30, None, {}, (19, 30, 19, True)),
    "closed by the first good sample": (line(TROUBLE), 20, 60, 36, {}, (19, 35, 19, True)),
    "closed by hand before it": (line(TROUBLE), 20, 60, 30, {}, (19, 30, 19, True)),
    "bad again before it closed": (
        line([*TROUBLE, *range(37, 40)]), 20, 60, 45, {}, (19, 40, 19, True),
    ),
    "no good sample before": (line(range(35)), 0, 60, 40, {}, (-MONTH, 35, None, True)),
    "laboratory: the next sample is not known": (
        line([30, 60], every=30, **LAB), 30, 65, None, {}, (0, 65, 0, True),
    ),
    "laboratory: the next sample is good": (
        line([30], every=30, **LAB), 30, 100, 80, {}, (0, 60, 0, True),
    ),
    "laboratory: bad, and known ten minutes later": (
        line([30], every=30, **LAB), 35, 39, None, PREDICTED, (35, 39, 0, False),
    ),
    "predicted, and good samples since": (line(), 20, 30, None, PREDICTED, (30, 30, 30, False)),
    "predicted, no sample yet": (line(every=60), 20, 50, None, PREDICTED, (20, 50, 0, False)),
    "predicted, cleared by a later sample": (
        line(every=30), 20, 70, 50, PREDICTED, (60, 60, 60, False),
    ),
    "predicted and come": (line(TROUBLE), 10, 60, 40, PREDICTED, (19, 35, 19, True)),
}  # fmt: skip


@pytest.mark.parametrize("case", TIMES)
def test_from_the_last_good_sample_to_the_first_good_one_after_the_last_bad_one(case):
    readings, raised, now, closed, changes, expected = TIMES[case]
    definition = None
    if changes:
        definition = classifier(problem={"variable": "temperature", "above": 215})
        changes = {"is_prediction": True}
    production = touched(readings, raised, now, closed, definition, **changes)
    assert minutes_of(production) == expected


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
    assert production.units.number == number
    shown = local_times(production.units.unknown, at(60)).replace("today ", "")
    expected = unknown.format(pieces="pieces unknown: no reading of pieces")
    assert shown.partition(" (")[0] == expected


def test_of_bad_production_only_what_samples_show_counts():
    readings = line([30, 60], every=30, **LAB)
    samples = known_samples(threshold(), readings, at(119))
    time = touched_time(samples, episode(30, closed_at=at(100)), at(30), at(119))
    assert time.end == at(90)  # good half an hour after the second bad sample
    bad = bad_production(samples, time, readings, at(119))
    assert (bad.time, bad.units) == (timedelta(minutes=60), 600)
    missing = line([30, 60], every=30, missing=range(40, UNTIL), **LAB)
    assert bad_production(samples, time, missing, at(119)).units is None


@pytest.mark.parametrize(
    ("lots", "names", "unknown"),
    [
        (ACROSS, [("L1", 19, 25, 60), ("L2", 25, 32, 70), ("L3", 32, 35, 30)], False),
        (((25, "L2"), (26, "L2")), [("L2", 25, 35, 100)], True),
        (((60, "L5"),), [], True),
        (((0, "L1"), (22, "L2"), (24, "L1")), [("L1", 19, 22, 30), ("L2", 22, 24, 20),
                                               ("L1", 24, 35, 110)], False),
    ],
)  # fmt: skip
def test_lots_come_in_order_with_their_times_and_units(lots, names, unknown):
    production = touched(line(TROUBLE, lots=lots), 20, 60, 36)
    assert [
        (lot.name, (lot.start - at(0)).seconds / 60, (lot.end - at(0)).seconds / 60, lot.units)
        for lot in production.lots
    ] == names
    assert bool(production.lots_unknown) is unknown


def test_conditions_of_several_variables_show_quality_too():
    limits = [{"variable": "temperature", "above": 215}, {"variable": "moisture", "above": 4.2}]
    definition = several(all=limits, blocks_production=True)
    production = touched(line(TROUBLE), 20, 30, definition=definition)
    assert minutes_of(production) == (19, 30, 19, True)


LATE = datetime(2026, 10, 24, 22, tzinfo=UTC)
ZURICH = ZoneInfo("Europe/Zurich")
MANY = tuple((minute, f"L{minute}") for minute in range(18, 35))
SENTENCES = [
    (
        line(TROUBLE, lots=ACROSS),
        "en",
        "block today 01:19 to 01:35 (16 min), 160 pieces, lots L1, L2 and L3; "
        "before it clean by the sample of today 01:19",
    ),
    (
        line(TROUBLE, missing=range(24, UNTIL), lots=()),
        "en",
        "block today 01:19 to 01:35 (16 min); pieces unknown: no reading of pieces "
        "today 01:23 to 01:35 (12 min); lots unknown: no reading of lot today 01:19 to 01:35 "
        "(16 min); before it clean by the sample of today 01:19",
    ),
    (
        line(TROUBLE, lots=MANY, pieces={**PIECES, "unit": "kg"}),
        "en",
        "block today 01:19 to 01:35 (16 min), 160 kg, lots L19, L20, L21, L22, L23 and 11 more; "
        "before it clean by the sample of today 01:19",
    ),
    (
        line(TROUBLE),
        "de",
        "sperren: heute 01:19 bis 01:35 (16 min), 160 Stück, Charge L1; "
        "davor gut nach der Probe von heute 01:19",
    ),
    (
        line(TROUBLE, missing=range(24, UNTIL)),
        "fr",
        "à bloquer\u00a0: aujourd\u2019hui 01:19 \u2013 01:35 (16 min), lot L1; "
        "nombre de pièces inconnu\u00a0: aucun relevé de pieces "
        "aujourd\u2019hui 01:23 \u2013 01:35 (12 min); "
        "avant\u00a0: bon d\u2019après l\u2019échantillon (aujourd\u2019hui 01:19)",
    ),
]


@pytest.mark.parametrize(("readings", "code", "text"), SENTENCES)
def test_the_sentence(readings, code, text):
    production = touched(readings, 20, 60, 36)
    assert local_times(production.message, at(60), ZURICH, language(code)) == text
    assert MOST_LOTS == 5


def test_an_hour_that_comes_twice_in_the_night_of_a_changed_clock_is_told_by_its_length():
    """02:30 before and 02:10 after the clock goes back: 40 minutes, not minus 20."""
    time = TouchedTime(LATE + timedelta(minutes=150), LATE + timedelta(minutes=190), LATE, True)
    text = TouchedProduction(time).message
    assert local_times(text, LATE + timedelta(hours=4), ZURICH) == (
        "block today 02:30 to 02:10 (40 min); not measured since the good sample of today 00:00"
    )
