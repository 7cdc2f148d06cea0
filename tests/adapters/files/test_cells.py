from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow as pa
import pytest

from alerting.adapters.files.cells import (
    NO_INSTANT,
    clean,
    filled_cells,
    numbers,
    values,
    why_bad,
    why_no_instant,
)
from alerting.adapters.files.times.instants import StampReader
from alerting.readings.history import to_millis
from alerting.readings.written_values import MISSING_TEXTS

pytestmark = pytest.mark.fast

BERLIN = ZoneInfo("Europe/Berlin")


def column(*cells):
    return clean(pa.array(cells, pa.string()))


def ms(*parts):
    return to_millis(datetime(*parts, tzinfo=UTC))


def read(cells, zone):
    return StampReader(None, zone).read(cells)


def test_missing_words_are_missing_and_never_zero():
    cells = column(*MISSING_TEXTS, " ", None, "0")
    assert filled_cells(cells).tolist() == [False] * (len(MISSING_TEXTS) + 2) + [True]
    assert values(cells, "number", ".")[0].tolist() == [None] * (len(MISSING_TEXTS) + 2) + [0.0]
    assert values(cells, "category", ".")[0].tolist() == [None] * (len(MISSING_TEXTS) + 2) + ["0"]


NUMBERS = dict.fromkeys(["1.5", "+1.5", " 1.5 ", "1.50", "15e-1", "0.15E1"], 1.5)
NO_NUMBERS = dict.fromkeys(["1_5", "0x1", "1,5", "1.5.5", "1 5", "one", "1.5 bar", "٣"])


def test_the_usual_ways_to_write_a_number_are_read_alone_and_among_texts_and_all_else_is_text():
    cells = NUMBERS | NO_NUMBERS
    alone = {text: values(column(text), "number", ".")[0].tolist() for text in cells}
    assert alone == {text: [number] for text, number in cells.items()}
    floats, texts = numbers(column(*cells))
    assert texts.tolist() == [number is None for number in cells.values()]
    assert floats[~texts].tolist() == [1.5] * len(NUMBERS)
    assert np.isnan(floats[texts]).all()


def test_infinity_is_bad_and_not_a_number_is_missing():
    found, bad = values(column("inf", "-Infinity", "1e999", "-nan", "1"), "number", ".")
    assert found.tolist() == [None, None, None, None, 1.0]
    assert bad.tolist() == [True, True, True, False, False]


def test_a_boolean_is_true_or_false_or_one_or_zero():
    found, bad = values(column("true", "FALSE", "1", "0", "", "2", "yes"), "boolean", ".")
    assert found.tolist() == [True, False, True, False, None, None, None]
    assert bad.tolist() == [False] * 5 + [True, True]


INSTANTS = {
    "2015-01-01 06:00:00": ms(2015, 1, 1, 6),
    "2015-01-01T06:00": ms(2015, 1, 1, 6),
    "2015-01-01": ms(2015, 1, 1),
    "2015-01-01T06:00:00Z": ms(2015, 1, 1, 6),
    "2015-01-01 06:00:00+02:00": ms(2015, 1, 1, 4),
    "2015-01-01 06:00:00.125": ms(2015, 1, 1, 6) + 125,
    "2015-01-01 06:00:00,125": ms(2015, 1, 1, 6) + 125,
    "1420092000": ms(2015, 1, 1, 6),
    "1420092000.125": ms(2015, 1, 1, 6) + 125,
    "1420092000125": ms(2015, 1, 1, 6) + 125,
}
NO_INSTANTS = [
    "now", "01.02.2015", "2015-13-01", "2015-02-30 10:00", "5", "20150101", "2015-01-01 25:00",
    "nonsense",
]  # fmt: skip


def test_instants_are_read_alone_and_among_others_and_all_else_is_bad():
    assert {text: read(column(text), None).at.tolist() for text in INSTANTS} == {
        text: [expected] for text, expected in INSTANTS.items()
    }
    mixed = read(column(*INSTANTS, *NO_INSTANTS, None), None)
    missing = [NO_INSTANT] * (len(NO_INSTANTS) + 1)
    assert mixed.at.tolist() == [*INSTANTS.values(), *missing]
    is_bad = [False] * len(INSTANTS) + [True] * len(NO_INSTANTS) + [False]
    assert (mixed.bad.tolist(), mixed.absent.tolist()) == (
        is_bad,
        [False] * (len(is_bad) - 1) + [True],
    )
    for zone in (None, BERLIN):
        alone = {text: read(column(text), zone).bad.tolist() for text in NO_INSTANTS}
        assert [text for text, bad in alone.items() if bad != [True]] == []


def test_parts_of_a_millisecond_are_cut_and_counted():
    found = read(
        column("2015-01-01 06:00:00.1239", "2015-01-01 06:00:00.123000", "1420092000.1239"), None
    )
    assert found.at.tolist() == [ms(2015, 1, 1, 6) + 123] * 3
    assert found.cut == 2


REASONS = [
    ("abc", "number", "'abc' is not a number"),
    ("12,5", "number", "'12,5' is not a number; if that is a decimal comma, add --decimal ,"),
    ("inf", "number", "'inf' is infinite; a measured value is finite"),
    ("1e999", "number", "'1e999' is larger than the largest number that can be stored"),
    ("yes", "boolean", "'yes' is neither true nor false"),
]
REASONS_OF_STAMPS = {
    ("01.02.2015", None): "write for example 2015-01-01 06:00:00",
    ("2015-13-01", None): "not a date and time of the calendar",
    ("5", None): "later than March 1973",
    ("2015-02-30 10:00", BERLIN): "calendar",
    ("2015-10-25 02:30:00", BERLIN): "comes twice in Europe/Berlin",
    ("2015-03-29 02:30:00", BERLIN): "does not exist in Europe/Berlin",
}


def test_the_reason_of_a_bad_cell_is_in_plain_words_and_says_what_to_write():
    assert [(cell, kind, why_bad(cell, kind)) for cell, kind, _ in REASONS] == REASONS
    told = {cell: why_no_instant(*cell) for cell in REASONS_OF_STAMPS}
    assert {
        cell: told[cell] for cell, part in REASONS_OF_STAMPS.items() if part not in told[cell]
    } == {}
