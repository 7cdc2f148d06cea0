"""Text that is shown: control characters are removed, or written out where an operator is to see
them."""

import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alerting.definitions.wording.clean_text import clean_text, spreadsheet_text

pytestmark = pytest.mark.fast

HIDDEN = [
    *map(chr, (*range(0x09), *range(0x0E, 0x20), *range(0x7F, 0x85), *range(0x86, 0xA0))),
    "\u202e",
    "\u2066",
    "\u061c",
]


SHOWN = [
    ("a\x1b[2Jb", "ab", "a\\x1b[2Jb"),
    ("\x9b31mred", "red", "\\x9b31mred"),
    ("a\u202eb", "ab", "a\\u202eb"),
    ("a\x07b", "ab", "a\\x07b"),
    ("soft\u00adhyphen\u200b", "softhyphen", "softhyphen"),
    ("one\r\ntwo\tthree", "one\ntwo three", "one\ntwo three"),
    ("é ≤ 温 💥", "é ≤ 温 💥", "é ≤ 温 💥"),
    ("half \ud800", "half \ufffd", "half \ufffd"),
]


def test_control_characters_are_removed_or_written_out():
    found = [(text, clean_text(text), clean_text(text, visible=True)) for text, *_ in SHOWN]
    assert found == SHOWN


@given(st.text(alphabet=st.one_of(st.characters(), st.sampled_from(HIDDEN))))
def test_no_control_character_is_left_and_a_second_time_changes_nothing(text):
    for visible in (False, True):
        shown = clean_text(text, visible=visible)
        assert not [c for c in HIDDEN if c in shown]
        assert clean_text(shown, visible=visible) == shown


CELLS = [
    ("=HYPERLINK(1)", "'=HYPERLINK(1)"),
    ("+1", "'+1"),
    ("-1", "'-1"),
    ("@SUM(1)", "'@SUM(1)"),
    ("\t=1", "'\t'=1"),
    ("\rx", "'\rx"),
    (" =1", " '=1"),
    ("\uff1d1", "'\uff1d1"),
    ("2026-01-05;=1+1;x", "2026-01-05;'=1+1;x"),
    ('2026-01-05;"=1+1"', '2026-01-05;"\'=1+1"'),
    ("2026-01-05;-5,3;+2e-3", "2026-01-05;-5,3;+2e-3"),
    ("\n-1;x", "\n'-1;x"),
    ("a=b; c", "a=b; c"),
]


def test_no_cell_is_a_formula_also_where_lines_are_divided_at_semicolons():
    written = [spreadsheet_text(text) for text, _ in CELLS]
    assert written == [cell for _, cell in CELLS]
    assert [spreadsheet_text(cell) for cell in written] == written


@given(st.text(alphabet=st.sampled_from('=+-@;,\t\r\n" a1\ufeff')))
def test_no_reader_of_csv_sees_a_formula_whatever_divides_its_lines(text):
    line = io.StringIO(newline="")
    csv.writer(line).writerow([1, spreadsheet_text(text)])
    for separator in ",;\t":
        for row in csv.reader(io.StringIO(line.getvalue(), newline=""), delimiter=separator):
            for cell in row:
                found = cell.strip(' "\ufeff')
                is_number = found[1:].rstrip().replace(".", "").replace(",", "").isdecimal()
                assert not found.startswith(("=", "@")), repr(text)
                assert not found.startswith(("+", "-")) or is_number, repr(text)
